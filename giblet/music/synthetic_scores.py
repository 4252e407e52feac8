"""SIMULATED scores with known factors, to test whether latents find them. They are no music."""

from collections.abc import Callable
from itertools import product

import numpy as np

from giblet.errors import GibletError
from giblet.music.attributes import MAJOR, MINOR
from giblet.music.disentanglement import (
    dci,
    dci_above_chance,
    mutual_information_gap,
    separated_attribute_predictability,
)
from giblet.music.notes import Beats, Notes
from giblet.music.tokens import VOCABULARY

# factor -> lowest and highest value: beats per minute, notes per beat, MIDI number, minor or major
FACTORS = {
    "tempo": (60.0, 180.0),
    "density": (0.5, 4.0),
    "register": (48.0, 84.0),
    "mode": (0.0, 1.0),
}
SLOTS = 4  # places for onsets in a beat
SPREAD = 5.0  # semitones, of pitches about the register
MAJOR_SCALE, MINOR_SCALE = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)


def factor_grid(n_levels: int = 5) -> np.ndarray:
    """Every combination (n_levels³ · 2, 4) of values of ``FACTORS``: none tells of another.

    >>> factor_grid(3).shape
    (54, 4)
    """
    levels = [
        np.linspace(low, high, 2 if name == "mode" else n_levels)
        for name, (low, high) in FACTORS.items()
    ]
    return np.array(list(product(*levels)))


def simulated_score(factors: np.ndarray, n_beats: int, rng: np.random.Generator) -> Notes:
    """SIMULATED notes of ``n_beats`` beats, one voice in a key of its own.

    Parameters
    ----------
    factors : (4,), in the order and the ranges of ``FACTORS``
    rng : draws the key, the onsets, the pitches and the velocities

    Raises GibletError for a factor outside its range.

    >>> score = simulated_score([120, 2, 60, 1], 16, np.random.default_rng(0))
    >>> len(score), score.warnings
    (32, ('SIMULATED score',))
    """
    for (name, (low, high)), value in zip(FACTORS.items(), factors, strict=True):
        if not low <= value <= high:
            raise GibletError(f"simulated score: {name} must be {low:g} to {high:g}, got {value}")
    tempo, density, register, mode = factors
    beat = 60.0 / tempo
    n_notes = max(1, round(density * n_beats))
    slots = np.sort(rng.choice(SLOTS * n_beats, n_notes, replace=False))
    onset = slots * beat / SLOTS
    end = np.append(onset[1:], n_beats * beat)
    return Notes(
        onset,
        end - onset,
        _pitches(register, mode >= 0.5, n_notes, rng),
        rng.integers(60, 100, n_notes),
        beats=Beats(
            np.arange(n_beats + 1) * beat,
            np.arange(n_beats + 1) % 4,
            np.full(n_beats + 1, 4),
        ),
        warnings=("SIMULATED score",),
    )


def disentanglement_of(
    encode: Callable[[Notes], np.ndarray],
    rng: np.random.Generator,
    n_levels: int = 5,
    n_each: int = 4,
    n_beats: int = 64,
) -> dict[str, float]:
    """MIG, SAP and DCI of the codes (n_codes,) that ``encode`` makes of SIMULATED scores.

    There are ``n_each`` scores of every combination of ``factor_grid(n_levels)``: 1,000 by
    default. With few, MIG is too high by chance. Of DCI's disentanglement chance is .16: what it
    is beyond that stands beside it (`giblet.music.disentanglement.dci_above_chance`).

    >>> scores = disentanglement_of(
    ...     lambda notes: [len(notes), notes.pitch.mean()], np.random.default_rng(0), 2, 1
    ... )
    >>> list(scores)[:3], list(scores)[-1]
    (['mig', 'sap', 'disentanglement'], 'disentanglement_above_chance')
    """
    factors = np.repeat(factor_grid(n_levels), n_each, axis=0)
    codes = np.array([encode(simulated_score(row, n_beats, rng)) for row in factors])
    return {
        "mig": mutual_information_gap(codes, factors),
        "sap": separated_attribute_predictability(codes, factors),
        **vars(dci(codes, factors)),
        "disentanglement_above_chance": dci_above_chance(codes, factors, rng).disentanglement,
    }


def _pitches(register: float, major: bool, n: int, rng: np.random.Generator) -> np.ndarray:
    """Notes of a random key, more often those that fit it well, about ``register``."""
    tonic = rng.integers(12)
    profile, scale = (MAJOR, MAJOR_SCALE) if major else (MINOR, MINOR_SCALE)
    weight = np.zeros(12)
    weight[list(scale)] = profile[list(scale)]
    pitches = np.arange(VOCABULARY.n_pitches)
    chance = weight[(pitches - tonic) % 12] ** 2
    chance *= np.exp(-0.5 * ((pitches - register) / SPREAD) ** 2)
    return rng.choice(pitches, n, p=chance / chance.sum())
