"""A score by TR of a film: a piano roll for the model, and feature spaces for linear models."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from giblet.music.notes import Notes
from giblet.music.score_features import FEATURES, Listening, chosen_features, tr_features
from giblet.music.sounding import sounding_pitches
from giblet.music.tokens import VOCABULARY
from giblet.timing import (
    count_samples,
    frames_rate_hz,
    samples_duration,
    tr_moments,
    volumes_to_trs,
)

STEPS_PER_SECOND = 8
# feature space: its label, and the features in it (see `giblet.music.FEATURES`)
SPACES = {
    "notes": (
        "notes that begin and sound",
        ("onset_rate", "onset_interval", "velocity", "pitch_height", "polyphony", "roughness"),
    ),
    "expectation": (
        "surprisal and entropy",
        tuple(name for name in FEATURES if "_surprisal_" in name)
        + tuple(name for name in FEATURES if "_entropy_" in name or "_product_" in name),
    ),
    "harmony": ("key and chords", ("key_clarity", "tonnetz", "tonnetz_speed", "chord_change")),
    "metre": ("beat and bar", ("beat_phase", "bar_phase", "metrical_weight")),
    "form": ("novelty of 48 s", ("novelty",)),
    "latents": (
        "latents, which know the future",
        tuple(name for name in FEATURES if name.startswith("latent_")),
    ),
}


def piano_roll(notes: Notes, t_r: float, n_trs: int, offset: float = 0.0) -> np.ndarray:
    """Pitches that sound, and those that begin, in each step of each TR.

    Parameters
    ----------
    offset : time of the film at which the score's time is 0, in s

    Returns
    -------
    roll : (n_trs, n_steps, 2 * n_pitches) uint8, 0 or 1. Columns are the pitches that sound in the
        middle of a step, then those of which a note begins in it. About 8 steps a second

    >>> notes = Notes(np.zeros(1), np.ones(1), np.array([60]), np.array([80]))
    >>> roll = piano_roll(notes, 1.0, 2)
    >>> roll[:, :, 60].tolist(), roll[:, :, VOCABULARY.n_pitches + 60].sum(1).tolist()
    ([[1, 1, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0, 0]], [1, 0])
    """
    n_steps = max(1, count_samples(t_r, STEPS_PER_SECOND))
    moments = tr_moments(n_trs, t_r, n_steps)
    roll = np.zeros((len(moments), 2 * VOCABULARY.n_pitches), np.uint8)
    for places, sounds in sounding_pitches(notes, moments - offset):
        roll[places, : VOCABULARY.n_pitches] = sounds
    step_seconds = samples_duration(1, frames_rate_hz(n_steps, t_r))
    steps = volumes_to_trs(notes.onset + offset, step_seconds)
    inside = (steps >= 0) & (steps < len(moments))
    roll[steps[inside], VOCABULARY.n_pitches + notes.pitch[inside]] = 1
    return roll.reshape(n_trs, n_steps, -1)


def score_on_trs(
    piece: Listening,
    t_r: float,
    n_trs: int,
    offset: float = 0.0,
    means: Mapping[str, float] | None = None,
    until: float = np.inf,
) -> xr.Dataset:
    """A score on a film's TRs.

    Parameters
    ----------
    offset : time of the film at which the score's time is 0, in s
    means, until : of `tr_features`

    Returns
    -------
    arrays : ``score`` (tr, score_step, score_row) uint8, as `piano_roll`; ``score_values`` (tr,
        score_value) float32, as `giblet.music.tr_features`, of all features whose needs the piece
        has. Of each value the coordinates ``score_value``, its name, ``score_space``, its feature
        space in `SPACES`, ``score_unit``, and ``score_causal``, 1 where it knows nothing of what is
        to come
    """
    values = tr_features(piece, t_r, n_trs, offset=offset, means=means, until=until)
    features = {name: _feature_of(name) for name in values}
    space_of = {name: space for space, (_, names) in SPACES.items() for name in names}
    columns = {
        "score_value": list(features),
        "score_space": [space_of[one.name] for one in features.values()],
        "score_unit": [one.unit for one in features.values()],
        "score_causal": np.array([one.causal for one in features.values()], np.int8),
    }
    return xr.Dataset(
        {
            "score": (
                ("tr", "score_step", "score_row"),
                piano_roll(piece.notes, t_r, n_trs, offset),
            ),
            "score_values": (("tr", "score_value"), values.to_numpy(np.float32)),
        },
        coords={name: ("score_value", labels) for name, labels in columns.items()}
        | {"tr": np.arange(n_trs)},
        attrs={"left_out": sorted({*FEATURES} - {one.name for one in chosen_features(piece)})},
    )


def _feature_of(column: str):
    """The feature whose column, or one of whose columns, this is: the longest name that fits."""
    fits = [name for name in FEATURES if column == name or column.startswith(f"{name}_")]
    return FEATURES[max(fits, key=len)]
