"""Sound by its timestamps: what is believed, what is logged, and how much is held."""

import tracemalloc

import numpy as np
import pytest

from giblet.audio.placement import Piece, place
from giblet.errors import GibletError

RATE, SIZE = 1000, 100  # Hz; samples in a piece


def pieces(n=40, rate=RATE, size=SIZE, **shifted):
    """Ramps (so that every sample is another), stamped exactly but for ``shifted`` {"p3": s}."""
    for k in range(n):
        samples = np.arange(k * size, (k + 1) * size, dtype=np.float32) + 1
        yield Piece(samples, rate, k * size / rate + shifted.get(f"p{k}", 0.0))


def placed(source):
    return np.concatenate([samples for samples, _ in place(source, "a.wav")])


def later(seconds, first, n=40):
    return {f"p{k}": seconds for k in range(first, n)}


def test_exact_stamps_change_nothing(caplog):
    np.testing.assert_array_equal(placed(pieces()), np.arange(4000) + 1)
    assert not caplog.text


@pytest.mark.parametrize("seconds", [-0.08, 0.05, 0.09, 5.0, -2.0, 1.7e9])
@pytest.mark.parametrize("k", [1, 7, 38])
def test_a_single_stamp_is_not_believed(caplog, seconds, k):
    np.testing.assert_array_equal(placed(pieces(**{f"p{k}": seconds})), np.arange(4000) + 1)
    assert not caplog.text


def test_jitter_is_not_believed(caplog, rng):
    shifts = {f"p{k}": rng.uniform(-0.006, 0.006) for k in range(1, 40)}
    np.testing.assert_array_equal(placed(pieces(**shifts)), np.arange(4000) + 1)
    assert not caplog.text


@pytest.mark.parametrize("k", [1, 20, 37])
def test_a_gap_that_later_stamps_confirm_is_silence(caplog, k):
    sound = placed(pieces(**later(0.25, k)))
    expected = np.insert(np.arange(4000) + 1, k * SIZE, np.zeros(250))
    np.testing.assert_array_equal(sound, expected)
    assert f"0.250 s without sound at {k / 10:.2f} s" in caplog.text


def test_an_overlap_that_later_stamps_confirm_is_left_out(caplog):
    sound = placed(pieces(**later(-0.03, 20)))
    np.testing.assert_array_equal(sound, np.delete(np.arange(4000) + 1, slice(2000, 2030)))
    assert "0.030 s of sound left out at 2.00 s" in caplog.text


def test_an_overlap_may_span_pieces():
    sound = placed(pieces(size=20, **later(-0.05, 20)))
    np.testing.assert_array_equal(sound, np.delete(np.arange(800) + 1, slice(400, 450)))


def test_stamps_that_start_again_go_on(caplog):
    sound = placed([*pieces(20), *pieces(20)])
    np.testing.assert_array_equal(sound, np.tile(np.arange(2000) + 1, 2))
    assert "start again at 2.00 s" in caplog.text
    assert len(caplog.records) == 1


def test_gaps_after_stamps_that_start_again_are_found():
    sound = placed([*pieces(20), *pieces(20, **later(0.3, 5, 20))])
    assert len(sound) == 4300
    assert not sound[2500:2800].any()


def test_many_corrections_take_few_lines(caplog):
    shifts = {f"p{k}": 0.02 * (k // 2) for k in range(60)}
    sound = placed(pieces(60, **shifts))
    assert len(sound) == 6000 + 20 * 29
    assert len(caplog.records) == 6
    assert "24 more gaps without sound, 0.480 s in all" in caplog.text


def test_pieces_without_stamps_follow_on():
    stamped = [Piece(p.samples, RATE, p.begin if k % 2 else None) for k, p in enumerate(pieces())]
    np.testing.assert_array_equal(placed(stamped), np.arange(4000) + 1)


def test_a_long_gap_comes_in_blocks_and_the_longest_are_refused():
    blocks = place(pieces(rate=RATE, **later(5 * 3600, 20)), "a.wav")
    tracemalloc.start()
    n_samples = sum(len(samples) for samples, _ in blocks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_samples == 4000 + 5 * 3600 * RATE
    assert peak < 2e5  # bytes, of 7e7
    with pytest.raises(GibletError, match=r"a\.wav: .* jump from 2\.00 s to 93602\.00 s"):
        placed(pieces(**later(26 * 3600, 20)))


def test_a_change_of_rate_keeps_the_clock():
    first = list(pieces(20))
    second = [Piece(p.samples, 2 * RATE, 2 + p.begin) for p in pieces(20, rate=2 * RATE)]
    lengths = [(len(samples), rate) for samples, rate in place([*first, *second], "a.wav")]
    assert lengths == 20 * [(SIZE, RATE)] + 20 * [(SIZE, 2 * RATE)]


def test_few_pieces_are_held():
    taken = []

    def source():
        for piece in pieces(1000):
            taken.append(1)
            yield piece

    stream = place(source(), "a.wav")
    next(stream)
    assert len(taken) <= 13


@pytest.mark.parametrize("jitter", [0.008, 0.012, 0.015])
def test_a_gap_is_seen_among_stamps_that_jitter_by_much(caplog, rng, jitter):
    shifts = rng.uniform(-jitter, jitter, 400) + 0.1 * (np.arange(400) >= 200)  # s
    source = pieces(400, **{f"p{k}": shift for k, shift in enumerate(shifts)})
    silent = np.flatnonzero(placed(source)[RATE:] == 0) + RATE
    assert np.ptp(silent) == len(silent) - 1, "one gap"
    assert silent[0] == pytest.approx(200 * SIZE, abs=jitter * RATE)
    assert len(silent) == pytest.approx(0.1 * RATE, abs=jitter * RATE)
    assert len(caplog.records) == 1
