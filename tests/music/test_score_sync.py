"""A score beside its sound: a known shift is found, another piece is not taken for it."""

import numpy as np
import pytest

from giblet.music.notes import Notes
from giblet.music.score_sync import (
    RATE_HZ,
    SAMPLE_RATE,
    ScoreLag,
    joint_lag,
    lag_facts,
    lag_from_facts,
    lag_sentence,
    lag_warnings,
    length_warnings,
    onset_density,
    onset_envelope,
    score_lag,
)
from giblet.music.synth import synthesize

SECONDS = 40


def piece(seed, tempo=0.25):
    """Random chords on a grid, so that shifts by a beat fit rather well, too."""
    rng = np.random.default_rng(seed)
    at = np.flatnonzero(rng.random(round(SECONDS / tempo)) < 0.6) * tempo
    onset = np.repeat(at, 2)
    pitch = np.sort(rng.integers(48, 84, (len(at), 2)), axis=1).ravel()
    velocity = np.repeat(rng.integers(50, 110, len(at)), 2)
    return Notes.from_unsorted(onset, np.full(len(onset), 0.3), pitch, velocity)


def heard(notes, delay):
    """The onset envelope of the piece, ``delay`` s late."""
    sound = synthesize(notes, SAMPLE_RATE)
    silence = np.zeros(round(max(delay, 0) * SAMPLE_RATE), np.float32)
    return onset_envelope(np.concatenate([silence, sound[round(max(-delay, 0) * SAMPLE_RATE) :]]))


@pytest.fixture(scope="module")
def late():
    return heard(piece(0), 0.18)


def lag_of(notes, envelope, offset=0.0):
    return score_lag(onset_density(notes, len(envelope), offset), envelope)


def test_a_shift_is_recovered(late):
    lag = lag_of(piece(0), late)
    assert lag.seconds == pytest.approx(0.18, abs=0.01)
    assert lag.correlation > 0.7
    assert abs(lag.drift) <= 0.01
    assert lag.p_value == pytest.approx(1 / SECONDS, abs=0.001)
    assert lag.is_this_piece
    (line,) = lag_warnings(lag, 0.5)
    offset = float(line.split("score_offset: ")[1].split()[0])
    assert offset == pytest.approx(0.68, abs=0.01)


def test_an_offset_takes_the_shift_away_and_nothing_else_does(late):
    lag = lag_of(piece(0), late, offset=0.18)
    assert lag.seconds == pytest.approx(0, abs=0.01)
    assert not lag_warnings(lag, 0.18)


def test_an_early_sound_has_a_negative_lag():
    lag = lag_of(piece(0), heard(piece(0), -2.3))
    assert lag.seconds == pytest.approx(-2.3, abs=0.01)
    (line,) = lag_warnings(ScoreLag(-2.3, 0.8, 0.01, 0.0), 0.5)
    assert "score_offset: -1.8" in line


def test_halves_are_of_the_notes_not_of_the_sound(late):
    """Notes in the first third alone: the second half of the sound has none."""
    notes = piece(0)
    begins = notes.onset < SECONDS / 3
    columns = (notes.onset, notes.duration, notes.pitch, notes.velocity)
    lag = lag_of(Notes(*(column[begins] for column in columns)), late)
    assert lag.seconds == pytest.approx(0.18, abs=0.01)
    assert lag.is_this_piece


@pytest.mark.parametrize("at", [-0.4, 0.0, 0.3])
def test_a_lag_between_two_frames_is_the_top_of_the_parabola(at):
    from giblet.music.score_sync import _vertex

    assert _vertex(3 - 2 * (np.arange(9) - 4 - at) ** 2, 4) == pytest.approx(at)


@pytest.mark.parametrize("n_pieces", [1, 6])
def test_lags_are_finer_than_a_frame(rng, n_pieces):
    """The envelope is that of the score, 2.4 frames late."""
    from scipy.ndimage import shift

    densities = [(rng.random(2500) < 0.03).astype(float) for _ in range(n_pieces)]
    parts = [(one, shift(np.convolve(one, np.hanning(9), "same"), 2.4)) for one in densities]
    lag = score_lag(*parts[0]) if n_pieces == 1 else joint_lag(parts)
    assert lag.seconds == pytest.approx(2.4 / RATE_HZ, abs=0.15 / RATE_HZ)


def test_a_score_of_another_piece_is_no_match(late):
    """Pieces of the same tempo: p < .05 in about one of twenty."""
    lags = [lag_of(piece(seed), late) for seed in range(1, 21)]
    assert sum(lag.is_this_piece for lag in lags) <= 4
    assert max(lag.correlation for lag in lags) < lag_of(piece(0), late).correlation
    wrong = next(lag for lag in lags if not lag.is_this_piece)
    (line,) = lag_warnings(wrong, 0.0)
    assert "no better than by chance" in line
    assert "another piece" in line


def test_another_tempo_is_named(late):
    notes = piece(0)
    faster = Notes(notes.onset / 1.01, notes.duration, notes.pitch, notes.velocity)
    lag = lag_of(faster, late)
    assert lag.drift > 0.1
    assert any("another tempo" in line for line in lag_warnings(lag, 0.0))
    slower = ScoreLag(0.0, 0.8, 0.01, -0.2)
    assert any("drifts by -200 ms" in line for line in lag_warnings(slower, 0.0))


def test_correlations_are_those_of_numpy(rng):
    from giblet.music.score_sync import _correlations

    density, envelope = rng.random(300), rng.random(300)
    here = np.arange(300) < 130
    curve = _correlations(density, envelope, here)
    for k in (0, 1, 57, 299):
        expected = np.corrcoef(envelope[here], np.roll(density, k)[here])[0, 1]
        assert curve[k] == pytest.approx(expected, abs=1e-9)
    assert np.isnan(_correlations(np.zeros(300), envelope, here)).all()


def test_what_cannot_be_compared_has_no_lag(late):
    silence = onset_envelope(np.zeros(SECONDS * SAMPLE_RATE, np.float32))
    assert lag_of(piece(0), silence) is None
    assert score_lag(np.zeros(len(late)), late) is None
    brief = late[: round(15 * RATE_HZ)]
    assert lag_of(piece(0), brief) is None
    assert lag_warnings(None, 0.0) == [lag_sentence(None)]


@pytest.mark.parametrize("lag", [ScoreLag(0.18, 0.9, 0.01, -0.02), None])
def test_facts_are_those_of_the_lag(lag):
    again = lag_from_facts(lag_facts(lag))
    assert (again is None) == (lag is None)
    assert lag is None or vars(again) == pytest.approx(vars(lag))


def test_notes_outside_the_sound_are_counted():
    notes = piece(0)
    assert not length_warnings(notes, SECONDS + 1, 0.0)
    n_late = int((notes.onset + 5 >= SECONDS).sum())
    (line,) = length_warnings(notes, SECONDS, 5.0)
    assert line.startswith(f"{n_late} of {len(notes)} notes of the score begin outside the sound")
    n_early = int((notes.onset < 5).sum())
    (line,) = length_warnings(notes, SECONDS, -5.0)
    assert line.startswith(f"{n_early} of {len(notes)} notes of the score begin outside the sound")


def parts_of(rng, seconds, unrelated, delay=0.18):
    """Onsets of pieces from second 0 on, each in a tempo of its own, and envelopes of sounds."""
    parts = []
    for length in seconds:
        onsets = [
            np.cumsum(rng.choice([0.0, 0.25, 0.5], round(4 * length)) * rng.uniform(0.8, 1.25))
            for _ in range(2)
        ]
        score, sound = (np.append(0.0, at[at < length - 0.5]) for at in onsets)
        sound = sound if unrelated else score + delay
        n = round(100 * length)
        density, rises = (np.bincount((100 * at).astype(int), minlength=n) for at in (score, sound))
        envelope = np.convolve(rises, np.exp(-np.arange(10) / 3))[:n] + 0.3 * rng.random(n)
        parts.append((density.astype(float), envelope))
    return parts


@pytest.mark.parametrize("n_pieces", [3, 12])
def test_the_lag_of_several_pieces_is_found(rng, n_pieces):
    lag = joint_lag(parts_of(rng, rng.uniform(8, 19, n_pieces), unrelated=False))
    assert lag.is_this_piece
    assert lag.seconds == pytest.approx(0.18, abs=0.03)  # an envelope's weight is behind its rise


@pytest.mark.parametrize("n_pieces", [3, 12])
def test_silence_between_pieces_is_no_fit(rng, n_pieces):
    """All pieces begin and end with their sounds, whatever they are."""
    p = [
        joint_lag(parts_of(rng, rng.uniform(8, 19, n_pieces), unrelated=True), seed=seed).p_value
        for seed in range(12)
    ]
    assert np.mean(np.array(p) < 0.05) <= 0.25
    assert np.median(p) > 0.1


@pytest.mark.parametrize("n_pieces", [3, 12])
def test_how_pieces_begin_is_no_fit(rng, n_pieces):
    """Loud first notes of all change nothing: the first 0.25 s count in no piece."""
    parts = parts_of(rng, rng.uniform(8, 19, n_pieces), unrelated=True)
    loud = [(one.copy(), other.copy()) for one, other in parts]
    for density, envelope in loud:
        density[:25] += 20.0
        envelope[:25] += 20.0
    assert vars(joint_lag(loud)) == pytest.approx(vars(joint_lag(parts)), nan_ok=True)


def test_beats_that_pieces_share_with_other_sounds_are_no_fit():
    """Scores and unrelated sounds on one beat: a shift by a beat fits as well as none."""
    p = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        parts = []
        for n in rng.integers(1700, 2100, 3):  # a circular shift would end on no beat
            beats = np.arange(50, n, 50)
            density, envelope = np.zeros(n), 0.3 * rng.random(n)
            density[beats[rng.random(len(beats)) < 0.7]] = 1.0
            envelope[beats[rng.random(len(beats)) < 0.7]] += 1.0
            parts.append((density, envelope))
        p.append(joint_lag(parts, seed=seed).p_value)
    assert np.median(p) > 0.1
    assert np.mean(np.array(p) < 0.05) <= 0.25


def test_r_at_a_lag_is_that_of_numpy_in_the_seconds_in_common(rng):
    from giblet.music.score_sync import _fits, _products

    density, envelope = rng.random((2, 31)) + 5
    curve = _products(density, envelope)
    assert curve.shape == (4, 31)  # lags of -15 to 15
    r, fit = _fits(curve)
    for lag in range(-15, 16):
        first, second = density[max(-lag, 0) : 31 - max(lag, 0)], envelope[max(lag, 0) :]
        second = second[: len(first)]
        at = 15 + lag
        assert r[at] == pytest.approx(np.corrcoef(first, second)[0, 1])
        assert curve[3, at] == len(first) == 31 - abs(lag)
        assert fit[at] == pytest.approx(r[at] * np.sqrt(len(first)))
    assert not _products(np.ones(9), rng.random(9)).any()


def test_two_pieces_that_fit_at_other_lags_do_not_agree(rng):
    """Each would fit at its own lag: what counts is that of the other."""
    parts = [parts_of(rng, [30.0], unrelated=False, delay=delay)[0] for delay in (0.18, 5.18)]
    assert not joint_lag(parts).is_this_piece


@pytest.mark.parametrize("lag", [0, 40, -90, 200])
def test_r_of_pieces_is_that_of_their_deviations_and_short_ones_lack_far_lags(rng, lag):
    """The shortest piece has lags of up to 49 frames: beyond, it adds nothing."""
    from giblet.music.score_sync import _pooled, _products

    parts = [rng.random((2, n)) for n in (100, 350, 600)]
    r, fit = _pooled([_products(*part) for part in parts], 250)
    cut = []
    for density, envelope in parts:
        if abs(lag) <= (len(density) - 1) // 2:
            first, second = density[max(-lag, 0) :], envelope[max(lag, 0) :]
            n = min(len(first), len(second))
            cut.append([one[:n] - one[:n].mean() for one in (first, second)])
    density, envelope = np.concatenate(cut, axis=1)
    expected = density @ envelope / np.sqrt((density @ density) * (envelope @ envelope))
    assert r[250 + lag] == pytest.approx(expected)
    assert fit[250 + lag] == pytest.approx(expected * np.sqrt(len(density)))
    assert len(cut) == (2 if abs(lag) > 49 and abs(lag) <= 174 else 3 if abs(lag) <= 49 else 1)


def test_a_lag_beyond_short_pieces_is_found_in_the_long_ones(rng):
    """The sound is 6 s late: beyond half of two pieces, of which nothing counts there."""
    lag = joint_lag(parts_of(rng, [30.0, 9.0, 30.0, 9.0, 30.0], unrelated=False, delay=6.0))
    assert lag.seconds == pytest.approx(6.0, abs=0.05)


@pytest.mark.parametrize(
    ("music", "n"),
    [
        ([0, 1], 2 * 29),  # orders times shifts, one a second of the longest
        ([0, 1, 2], 6 * 29),
        ([0, 0, 2], 3 * 29),
        ([0, 0, 0, 0], 29),
        ([0, 1, 2, 3], 24),
        ([0, 0, 2, 3], 12 * 29),
        ([0, 1, 2, 3, 4], 120),
        ([0, 0, 2, 3, 4], 60),
        ([*range(8)], 200),
        ([0] * 8, 29),
    ],
)
def test_p_is_the_share_of_distinct_orders_and_shifts(rng, music, n):
    """The same music in other recordings is the same order; the score that fits is the best."""
    music = np.array(music)
    apart = parts_of(rng, np.full(len(music), 29.9), unrelated=False)
    parts = [apart[k] for k in music]
    assert joint_lag(parts, music).p_value == pytest.approx(1 / n)


def test_a_piece_without_onsets_does_not_move_the_music_of_the_others(rng):
    """The first piece is silent, and has the score of the third; the others have own scores."""
    parts = parts_of(rng, np.full(5, 29.9), unrelated=False)
    parts = [(np.zeros(2990), np.zeros(2990)), *parts]
    assert joint_lag(parts, np.array([2, 1, 2, 3, 4, 5])).p_value == pytest.approx(1 / 120)


def test_the_best_order_counts_with_those_that_fit_as_well(rng):
    """Of five scores two are exchanged: ten exchanges of two fit no better than the true order."""
    parts = parts_of(rng, np.full(5, 12.0), unrelated=False)
    scores, sounds = map(list, zip(*parts, strict=True))
    scores[0], scores[1] = scores[1], scores[0]
    lag = joint_lag(list(zip(scores, sounds, strict=True)))
    assert 2 / 120 <= lag.p_value < 12 / 120


def test_few_seconds_of_pieces_cannot_be_compared(rng):
    assert joint_lag(parts_of(rng, [8.0, 9.0], unrelated=False)) is None
    assert joint_lag([]) is None
