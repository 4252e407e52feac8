"""Trials: balanced, with distractors that are no neighbours, anchors as the standard has them."""

import numpy as np
import pytest

from giblet.errors import GibletError
from giblet.listening_test.trials import (
    ANCHORS_HZ,
    REFERENCE,
    choice_trials,
    clip_starts,
    low_pass,
    rating_trials,
    trial_waveforms,
)

RATE = 8000


def test_choices_are_balanced_and_distractors_the_same_for_all_columns():
    trials = choice_trials(["stimulus", "brain"], 10, np.random.default_rng(0))
    assert len(trials) == 20
    for column in ("stimulus", "brain"):
        own = [trial for trial in trials if trial.column == column]
        assert sorted(trial.clip for trial in own) == list(range(10))
        assert sum(trial.sounds[0] == "right" for trial in own) == 5
    others = {(trial.clip, trial.other) for trial in trials}
    assert len(others) == 10, "one distractor a clip"
    assert all(abs(clip - other) > 1 for clip, other in others)


def test_the_order_is_the_seeds():
    order = [choice_trials(["brain"], 10, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert order[0] == order[1] != order[2]


def test_rating_screens_have_the_reference_and_both_anchors_in_changing_places():
    trials = rating_trials(["codec", "brain"], [0, 3, 6], np.random.default_rng(0))
    assert sorted(trial.clip for trial in trials) == [0, 3, 6]
    assert all({*trial.sounds} == {"codec", "brain", REFERENCE, *ANCHORS_HZ} for trial in trials)
    assert len({trial.sounds for trial in trials}) > 1


def test_clips_do_not_overlap_and_too_short_a_sound_is_refused():
    starts = clip_starts(30 * RATE, RATE, 4.0, 10)
    assert len(starts) == 7, "as many as there is room for"
    assert (np.diff(starts) >= 4 * RATE).all()
    assert starts[-1] + 4 * RATE == 30 * RATE
    with pytest.raises(GibletError, match=r"11\.0 s.*--seconds"):
        clip_starts(11 * RATE, RATE, 4.0, 10)


@pytest.mark.parametrize("cutoff", ANCHORS_HZ.values())
def test_an_anchor_keeps_what_is_below_and_nothing_above(cutoff):
    rate, times = 24000, np.arange(24000) / 24000
    low, high = (np.sin(2 * np.pi * hz * times) for hz in (0.8 * cutoff, 1.25 * cutoff))
    middle = slice(6000, 18000)
    assert np.abs(low_pass(low, rate, cutoff) - low)[middle].max() < 0.01
    assert np.abs(low_pass(high, rate, cutoff))[middle].max() < 0.01


def test_sounds_of_a_trial_are_those_it_names():
    length, starts = 100, np.array([0, 100, 200, 300])
    sounds = {name: k * 1000 + np.arange(400.0) for k, name in enumerate(("original", "brain"))}
    for trial in choice_trials(["brain"], 4, np.random.default_rng(0)):
        heard, *originals = trial_waveforms(trial, sounds, starts, length, RATE)
        assert heard[0] == 1000 + starts[trial.clip]
        right = originals[trial.sounds.index("right")]
        other = originals[trial.sounds.index("other")]
        assert (right[0], other[0]) == (starts[trial.clip], starts[trial.other])
