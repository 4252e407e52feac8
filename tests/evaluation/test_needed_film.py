"""The film that results need: one TR less, and the result itself is missing."""

import numpy as np
import pytest

from giblet.alignment.dataset import FilmData, split_film
from giblet.alignment.hrf import HRF_SECONDS
from giblet.config.config import parse_config
from giblet.errors import GibletError
from giblet.evaluation.brain_scores import held_out_stretches
from giblet.evaluation.needed_film import StimulusParts, film_needs
from giblet.stats.encoding_maps import held_out_folds
from giblet.timing import tr_onsets, trs_for


def has_parts(n_trs, config):
    try:
        return split_film(n_trs, config.t_r, config.splits, True) is not None
    except GibletError:
        return False


def count_clips(runs, config):
    """As identification joins them."""
    part = split_film(len(runs), config.t_r, config.splits, True, runs)
    data = FilmData({}, None, part, runs)
    clip_trs = trs_for(config.decoding.clip_seconds, config.t_r)
    return sum(len(stretch) // clip_trs for stretch in held_out_stretches(data))


@pytest.mark.parametrize("t_r", [0.72, 1.5, 2.0])
def test_needs_are_those_of_the_results_themselves(t_r):
    config = parse_config({"t_r": t_r})
    trained, ridge, clips = film_needs(config, np.repeat("run-1", 30))

    def n_trs(need):
        return round(need.seconds / t_r)

    assert has_parts(n_trs(trained), config)
    assert not has_parts(n_trs(trained) - 1, config)
    gap = trs_for(HRF_SECONDS, t_r)
    assert held_out_folds(np.zeros(n_trs(ridge)), gap)
    with pytest.raises(GibletError, match="too few TRs"):
        held_out_folds(np.zeros(n_trs(ridge) - 1), gap)
    assert count_clips(np.repeat("a", n_trs(clips)), config) == 10
    assert count_clips(np.repeat("a", n_trs(clips) - 1), config) == 9
    assert not any(need.is_met for need in (trained, ridge, clips))


def test_clips_lie_within_runs():
    config = parse_config({"splits": {"gap_seconds": 1.5}})
    runs = np.repeat(["a", "b"], [310, 40])  # 70 TRs to test: 30 + 40, 5 + 6 clips of 6 TRs
    need = film_needs(config, runs)[-1]
    assert need.has.startswith("11 clips") == (count_clips(runs, config) == 11)
    assert need.is_met
    assert need.has.startswith("11 ")


def test_of_runs_that_are_named_no_length_is_known():
    runs = np.repeat(["a", "b", "c"], 100)
    config = parse_config({"splits": {"test_runs": ["c"], "gap_seconds": 3}})
    trained, _ridge, clips = film_needs(config, runs)
    assert (trained.seconds, trained.is_met) == (None, True)
    assert (clips.seconds, clips.is_met) == (None, True)
    assert clips.has.startswith(f"{100 // trs_for(8, 1.5)} clips")
    config = parse_config({"splits": {"test_runs": ["d"]}})
    assert not film_needs(config, runs)[0].is_met


def test_without_a_film_ridge_alone_is_of_interest():
    config = parse_config({"film": "none", "bold": "somewhere"})
    (need,) = film_needs(config, np.zeros(round(float(tr_onsets(300, 1.5)[-1] / 1.5))))
    assert need.is_met
    assert need.result == "ridge from the film"


def test_of_stimuli_clips_lie_within_whole_ones():
    config = parse_config({"decoding": {"clip_seconds": 9}})
    part = np.repeat(["train", "test"], [40, 60])
    stimuli = StimulusParts(part, np.repeat(np.arange(10), 10), has_ridge=False)
    trained, ridge, clips = film_needs(config, np.repeat("run-1", 100), None, stimuli)
    assert [need.seconds for need in (trained, ridge, clips)] == [None] * 3
    assert [need.is_met for need in (trained, ridge, clips)] == [True, False, False]
    assert clips.has.startswith("6 clips of 9 s")  # 6 of 10 TRs are one clip, not 10 of 60
    none = StimulusParts(None, stimuli.stimulus, has_ridge=True)
    trained, ridge, clips = film_needs(config, np.repeat("run-1", 100), None, none)
    assert [need.is_met for need in (trained, ridge, clips)] == [False, True, False]
