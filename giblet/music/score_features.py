"""Features of a score, as music neuroscience uses them: one table, values by note and by TR."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from giblet.errors import GibletError
from giblet.music.metre import bar_phase, beat_phase, metrical_weight
from giblet.music.ngrams import NgramModel, NoteSurprisal
from giblet.music.notes import Notes
from giblet.music.novelty import novelty
from giblet.music.roughness import roughness
from giblet.music.sounding import polyphony
from giblet.music.tonality import chord_change, key_clarity, tonnetz, tonnetz_speed
from giblet.timing import count_samples, frames_rate_hz, tr_moments, volumes_to_trs

if TYPE_CHECKING:
    from giblet.music.model import MusicTransformerVAEGAN

MOMENTS_PER_SECOND = 10  # at which states are read, for their mean in a TR
TONNETZ_AXES = ("fifth_x", "fifth_y", "minor_x", "minor_y", "major_x", "major_y")
Values = np.ndarray | Mapping[str, np.ndarray]  # (n,), or several under their names


@dataclass(frozen=True, eq=False)
class Listening:
    """A piece, and the models that expect it; what costs time is computed once.

    Parameters
    ----------
    model : of mode ``transformer``, for surprisal
    ngrams : for surprisal
    latent_model : with latents, for them
    contexts : in notes, for ``model_surprisal_context``
    """

    notes: Notes
    model: "MusicTransformerVAEGAN | None" = None
    ngrams: NgramModel | None = None
    latent_model: "MusicTransformerVAEGAN | None" = None
    contexts: Sequence[int] = ()

    @property
    def has(self) -> set[str]:
        """Names of what features may need, of which there is something."""
        given = {
            "model": self.model,
            "ngrams": self.ngrams,
            "latent_model": self.latent_model,
            "beats": self.notes.beats,
            "contexts": None if self.model is None or not len(self.contexts) else self.contexts,
        }
        return {name for name, value in given.items() if value is not None}

    @cached_property
    def by_model(self) -> NoteSurprisal:
        """Surprisal by the model of tokens."""
        from giblet.music.surprisal import note_surprisal

        assert self.model is not None
        return note_surprisal(self.model, self.notes)

    @cached_property
    def by_ngrams(self) -> NoteSurprisal:
        """Surprisal by the n-gram model."""
        assert self.ngrams is not None
        return self.ngrams.surprisal(self.notes)

    @cached_property
    def latents(self) -> dict[str, np.ndarray]:
        """Level → (n_segments, width)."""
        assert self.latent_model is not None
        return self.latent_model.encode(self.notes)


@dataclass(frozen=True)
class Feature:
    """One feature of a score.

    name, unit
        Of its column, or the beginning of its columns' names.
    function
        Of a `Listening`, to values (n_notes,); of a state, of a `Listening` and moments
        (n_moments,) in s, to values (n_moments,). Or to several of them under their names.
    per_tr
        ``centred_sum``: the sum over a TR's notes of their values minus the mean of all notes.
        ``rate``: the sum of the values, per s. ``mean``: of a state over the TR.
    causal
        Whether values at a moment depend on nothing that begins after it.
    needs
        A part of `Listening` that may be missing; the feature is then left out.
    """

    name: str
    unit: str
    function: Callable[..., Values]
    per_tr: Literal["centred_sum", "rate", "mean"] = "centred_sum"
    causal: bool = True
    needs: str = ""


def _onset_interval(piece: Listening) -> np.ndarray:
    """Time since the onset before, in s; NaN at the first onset. Notes of a chord have the same."""
    onsets, at = np.unique(piece.notes.onset, return_inverse=True)
    return np.diff(onsets, prepend=np.nan)[at]


def _circle(phase: Callable[[Notes], np.ndarray]) -> Callable[[Listening], Values]:
    def both(piece: Listening) -> Values:
        angle = 2 * np.pi * phase(piece.notes)
        return {"cos": np.cos(angle), "sin": np.sin(angle)}

    return both


def _state(of: Callable[[Notes, np.ndarray], np.ndarray]) -> Callable[..., Values]:
    return lambda piece, moments: of(piece.notes, moments)


def _tonnetz(piece: Listening, moments: np.ndarray) -> Values:
    return dict(zip(TONNETZ_AXES, tonnetz(piece.notes, moments).T, strict=True))


def _by_context(piece: Listening) -> Values:
    from giblet.music.surprisal import context_surprisal

    assert piece.model is not None
    values = context_surprisal(piece.model, piece.notes, piece.contexts)
    return dict(zip(map(str, piece.contexts), values.T, strict=True))


def _latent(level: str) -> Callable[..., Values]:
    def values(piece: Listening, moments: np.ndarray) -> Values:
        """The latent of the segment that holds each moment; 0 outside the piece."""
        assert piece.latent_model is not None
        z, settings = piece.latents[level], piece.latent_model.settings.latents
        assert settings is not None
        since = moments - (piece.notes.onset[0] if len(piece.notes) else 0.0)
        seconds = settings.levels[level].seconds or np.inf
        segment = np.floor(since / seconds).astype(int)
        inside = (segment >= 0) & (segment < len(z)) & (moments < piece.notes.end)
        held = np.where(inside[:, None], z[np.where(inside, segment, 0)], 0.0)
        return {str(i): column for i, column in enumerate(held.T)}

    return values


def _expectations(source: str, attribute: str, needs: str) -> list[Feature]:
    def of(part: str) -> Callable[[Listening], np.ndarray]:
        return lambda piece: getattr(getattr(piece, attribute), part)

    def product(surprisal: str, entropy: str) -> Callable[[Listening], np.ndarray]:
        return lambda piece: of(surprisal)(piece) * of(entropy)(piece)

    features = []
    for part, entropy in (
        ("pitch", "pitch_entropy"),
        ("time", "time_entropy"),
        ("both", "entropy"),
    ):
        features += [
            Feature(f"{source}_surprisal_{part}", "nat", of(part), needs=needs),
            Feature(f"{source}_entropy_{part}", "nat", of(entropy), needs=needs),
            Feature(f"{source}_product_{part}", "nat^2", product(part, entropy), needs=needs),
        ]
    return features


# Products of surprisal and entropy: Cheung et al. 2019, Current Biology 29, 4084-4092.
FEATURES: dict[str, Feature] = {
    feature.name: feature
    for feature in (
        Feature("onset_rate", "1/s", lambda piece: np.ones(len(piece.notes)), "rate"),
        Feature("onset_interval", "s", _onset_interval),
        Feature("velocity", "1", lambda piece: piece.notes.velocity.astype(float)),
        Feature("pitch_height", "semitone", lambda piece: piece.notes.pitch.astype(float)),
        Feature("polyphony", "1", _state(polyphony), "mean"),
        *_expectations("model", "by_model", "model"),
        *_expectations("ngram", "by_ngrams", "ngrams"),
        Feature("model_surprisal_context", "nat", _by_context, needs="contexts"),
        Feature("key_clarity", "1", _state(key_clarity), "mean"),
        Feature("tonnetz", "1", _tonnetz, "mean"),
        Feature("tonnetz_speed", "1/s", _state(tonnetz_speed), "mean"),
        Feature("chord_change", "1", lambda piece: chord_change(piece.notes)),
        Feature("roughness", "1", _state(roughness), "mean"),
        Feature("novelty", "1", _state(novelty), "mean"),
        Feature("beat_phase", "1", _circle(beat_phase), needs="beats"),
        Feature("bar_phase", "1", _circle(bar_phase), needs="beats"),
        Feature("metrical_weight", "1", lambda piece: metrical_weight(piece.notes), needs="beats"),
        *(
            Feature(f"latent_{level}", "1", _latent(level), "mean", False, "latent_model")
            for level in ("fine", "local", "global")
        ),
    )
}


def chosen_features(piece: Listening, names: Sequence[str] | None = None) -> list[Feature]:
    """Features by name; by default all whose needs the piece has.

    Raises GibletError for a name that is none, and for a feature whose needs are missing.
    """
    if names is None:
        return [f for f in FEATURES.values() if not f.needs or f.needs in piece.has]
    for name in names:
        if name not in FEATURES:
            known = ", ".join(FEATURES)
            raise GibletError(f"score features: there is no {name!r}; there are {known}")
        if (needs := FEATURES[name].needs) and needs not in piece.has:
            raise GibletError(f"score features: {name} needs {needs}, which this piece lacks")
    return [FEATURES[name] for name in names]


def note_features(piece: Listening, names: Sequence[str] | None = None) -> pd.DataFrame:
    """Values of features at each note; of states, those at its onset. NaN where there is none.

    Returns
    -------
    values : one row for each note, one column for each value

    >>> notes = Notes(np.array([0.0, 0.5]), np.ones(2), np.array([60, 64]), np.full(2, 80))
    >>> note_features(Listening(notes), ["pitch_height", "polyphony"]).to_numpy().tolist()
    [[60.0, 1.0], [64.0, 2.0]]
    """
    columns: dict[str, np.ndarray] = {}
    for feature in chosen_features(piece, names):
        at = (piece.notes.onset,) if feature.per_tr == "mean" else ()
        columns |= _columns(feature, feature.function(piece, *at))
    return pd.DataFrame(columns, index=range(len(piece.notes)), dtype=float)


def tr_features(
    piece: Listening,
    t_r: float,
    n_trs: int,
    names: Sequence[str] | None = None,
    offset: float = 0.0,
    means: Mapping[str, float] | None = None,
    until: float = np.inf,
) -> pd.DataFrame:
    """Values of features in each TR; 0 in TRs without notes.

    Notes' values are centred before they are added up: else the sum mostly counts notes. The mean
    is that of all notes of the piece, a constant that notes still to come are part of; ``means``
    of training pieces instead keep it out.

    Parameters
    ----------
    offset : time of the stimulus at which the score's time is 0, in s
    means : column → what a note's value is compared with, see ``note_features(...).mean()``
    until : time of the score at which another piece begins, in s: from then on states are 0

    Returns
    -------
    values : one row for each TR, the columns of `note_features`

    >>> notes = Notes(np.array([0.0, 0.5, 2]), np.ones(3), np.array([60, 62, 67]), np.full(3, 80))
    >>> tr_features(Listening(notes), 1.5, 2, ["pitch_height"]).to_numpy().tolist()
    [[-4.0], [4.0]]
    """
    trs = volumes_to_trs(piece.notes.onset + offset, t_r)
    n_per_tr = max(1, count_samples(t_r, MOMENTS_PER_SECOND))
    moments = tr_moments(n_trs, t_r, n_per_tr) - offset
    columns: dict[str, np.ndarray] = {}
    for feature in chosen_features(piece, names):
        if feature.per_tr == "mean":
            states = _columns(feature, feature.function(piece, moments))
            heard = {name: np.where(moments < until, v, 0.0) for name, v in states.items()}
            columns |= {k: v.reshape(n_trs, n_per_tr).mean(1) for k, v in heard.items()}
            continue
        for name, values in _columns(feature, feature.function(piece)).items():
            if feature.per_tr == "centred_sum":
                mean = means[name] if means else _mean(values)
                values = np.where(np.isfinite(values), values - mean, 0.0)
            sums = _sums(values, trs, n_trs)
            columns[name] = sums * (frames_rate_hz(1, t_r) if feature.per_tr == "rate" else 1)
    return pd.DataFrame(columns, index=range(n_trs), dtype=float)


def _columns(feature: Feature, values: Values) -> dict[str, np.ndarray]:
    if isinstance(values, Mapping):
        return {f"{feature.name}_{label}": column for label, column in values.items()}
    return {feature.name: values}


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else 0.0


def _sums(values: np.ndarray, trs: np.ndarray, n_trs: int) -> Any:
    inside = (trs >= 0) & (trs < n_trs)
    return np.bincount(trs[inside], values[inside], minlength=n_trs)
