"""Scores of pieces against MusPy itself, overlaps against exact areas."""

import numpy as np
import pytest
from scipy import stats

from giblet.errors import GibletError
from giblet.music.metrics import SCORES, overlapping_area, overlaps, piece_scores
from giblet.music.notes import Beats, Notes

RESOLUTION = 8  # steps of a beat, which lasts 0.5 s
OF_MUSPY = SCORES[:9]


def random_steps(rng, n_notes=60):
    """Columns of notes in steps: time, duration, pitch; the first begins at 0."""
    time = np.sort(rng.integers(200, size=n_notes))
    time -= time[0]
    return time, rng.integers(1, 24, size=n_notes), rng.integers(40, 80, size=n_notes)


def as_notes(time, duration, pitch):
    second = 0.5 / RESOLUTION
    n_beats = (time + duration).max() // RESOLUTION + 2
    beats = Beats(np.arange(n_beats) * 0.5, np.arange(n_beats) % 4, np.full(n_beats, 4))
    velocity = np.full(len(time), 64)
    return Notes.from_unsorted(time * second, duration * second, pitch, velocity, beats)


def of_muspy(time, duration, pitch):
    muspy = pytest.importorskip("muspy")
    notes = [
        muspy.Note(int(t), int(p), int(d), 64)
        for t, d, p in zip(time, duration, pitch, strict=True)
    ]
    music = muspy.Music(resolution=RESOLUTION, tracks=[muspy.Track(notes=notes)])
    return {name: getattr(muspy, name)(music) for name in OF_MUSPY}


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_muspy(seed):
    steps = random_steps(np.random.default_rng(seed))
    scores = piece_scores(as_notes(*steps))
    for name, expected in of_muspy(*steps).items():
        assert scores[name] == pytest.approx(expected, abs=1e-12), name


def test_scores_of_a_sparse_piece_are_those_of_muspy():
    steps = np.array([0, 3, 50, 96]), np.array([2, 1, 14, 8]), np.array([60, 64, 64, 71])
    scores, expected = piece_scores(as_notes(*steps)), of_muspy(*steps)
    assert scores["empty_beat_rate"] == pytest.approx(expected["empty_beat_rate"])
    assert expected["empty_beat_rate"] > 0.4


def test_scores_by_hand():
    onset, duration = np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.5, 3.0])
    scores = piece_scores(Notes(onset, duration, np.array([60, 64, 67]), np.full(3, 80)))
    assert scores["notes_per_second"] == pytest.approx(3 / 4)
    assert scores["mean_onset_interval"] == 1
    assert scores["mean_duration"] == pytest.approx(1.5)
    assert scores["polyphony"] == pytest.approx(4.5 / 4)
    assert np.isnan(scores["empty_beat_rate"])  # without beats


def test_a_piece_without_notes_has_no_scores():
    none = Notes(np.zeros(0), np.zeros(0), np.zeros(0, int), np.zeros(0, int))
    assert all(map(np.isnan, piece_scores(none).values()))
    assert tuple(piece_scores(none)) == SCORES


def test_overlap_of_two_normals(rng):
    """Two unit normals, 2 apart: 2 Phi(-1)."""
    first, second = rng.normal(0, 1, 4000), rng.normal(2, 1, 4000)
    assert overlapping_area(first, second) == pytest.approx(2 * stats.norm.cdf(-1), abs=0.03)
    assert overlapping_area(first, first) == pytest.approx(1, abs=1e-4)
    assert overlapping_area(first, first + 100) == pytest.approx(0, abs=1e-6)


def test_overlap_equals_the_integral_of_the_lower_density(rng):
    first, second = rng.gamma(2, size=40), rng.gamma(3, size=25)
    a, b = stats.gaussian_kde(first), stats.gaussian_kde(second)
    x = np.linspace(-20, 30, 200_001)
    expected = np.minimum(a(x), b(x)).sum() * (x[1] - x[0])
    assert overlapping_area(first, second) == pytest.approx(expected, abs=1e-4)


def test_overlap_of_constants_and_of_too_few():
    assert overlapping_area(np.ones(3), np.ones(5)) == 1
    assert overlapping_area(np.ones(3), np.arange(5.0)) == 0
    assert np.isnan(overlapping_area(np.ones(1), np.arange(5.0)))
    assert np.isnan(overlapping_area(np.array([1, np.nan]), np.arange(5.0)))


def test_overlaps_fall_as_pieces_differ(rng):
    human = [as_notes(*random_steps(rng)) for _ in range(12)]
    others = [as_notes(*random_steps(rng)) for _ in range(12)]
    fast = [
        Notes(n.onset / 8, n.duration / 8, np.full_like(n.pitch, 60), n.velocity) for n in others
    ]
    ceiling, made = overlaps(others, human), overlaps(fast, human)
    for name in ("pitch_range", "pitch_entropy", "notes_per_second", "mean_duration"):
        assert made[name] < 0.2 < 0.6 < ceiling[name], name
    with pytest.raises(GibletError, match="at least 1 and 3"):
        overlaps(others, human[:2])
