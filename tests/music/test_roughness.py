"""Roughness against a loop over partials, and the order of intervals that listeners give."""

import numpy as np
import pytest
from music.test_sounding import random_notes

from giblet.music.notes import Notes
from giblet.music.roughness import N_HARMONICS, ROLL_OFF, partial_roughness, roughness


def of_chord(*pitches):
    n = len(pitches)
    notes = Notes(np.zeros(n), np.ones(n), np.sort(pitches), np.full(n, 80))
    return roughness(notes, np.array([0.5]))[0]


def by_loop(pitches):
    """Sum over each pair of partials, from the formula with its constants written out again."""
    partials = [
        (440 * 2 ** ((pitch - 69) / 12) * k, ROLL_OFF ** (k - 1))
        for pitch in pitches
        for k in range(1, N_HARMONICS + 1)
    ]
    total = 0.0
    for i, (f, a) in enumerate(partials):
        for g, b in partials[:i]:
            x = 0.24 / (0.0207 * min(f, g) + 18.96) * abs(f - g)
            total += min(a, b) * (5 * np.exp(-3.51 * x) - 5 * np.exp(-5.75 * x))
    return total


@pytest.mark.parametrize("pitches", [(60,), (40, 41), (60, 64, 67), (33, 60, 61, 72, 90)])
def test_it_is_the_sum_over_all_pairs_of_partials(pitches):
    assert of_chord(*pitches) == pytest.approx(by_loop(pitches))


def test_it_is_of_what_sounds(rng):
    notes, moments = random_notes(rng), rng.uniform(0, 22, 40)
    for moment, found in zip(moments, roughness(notes, moments), strict=True):
        on = (notes.onset <= moment) & (moment < notes.onset + notes.duration)
        assert found == pytest.approx(by_loop(sorted(set(notes.pitch[on]))))
    assert roughness(notes, np.array([-1.0, 1000.0])).tolist() == [0.0, 0.0]


def test_intervals_are_in_the_order_of_listeners():
    second, tone, third, fourth, tritone, fifth, octave = (
        of_chord(60, 60 + k) for k in (1, 2, 4, 5, 6, 7, 12)
    )
    assert second > tone > third > fourth > fifth > octave
    assert tone > tritone > fourth


def test_two_sines_are_roughest_at_a_quarter_of_a_critical_band():
    apart = np.linspace(0, 400, 4001)
    curve = partial_roughness(500.0, 500.0 + apart, 1.0, 1.0)
    bandwidth = 0.0207 * 500 + 18.96
    peak = np.log(5.75 / 3.51) / (5.75 - 3.51)  # where the derivative is 0
    assert apart[curve.argmax()] == pytest.approx(peak / 0.24 * bandwidth, abs=0.1)
    assert curve[0] == 0
    assert curve[-1] < 0.01 * curve.max()
    np.testing.assert_allclose(partial_roughness(500.0, 530.0, 0.2, 1.0), 0.2 * curve[300])
    assert of_chord(36, 40) > of_chord(60, 64)  # thirds are rougher in the bass
