"""Nats of predicted tokens, plain and weighted by kind, the constraints, and a table of them all.

`COMPONENTS` has the unit of everything that a training step logs, and which direction is better.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch.nn import functional

from giblet.config.strict import StrictSettings
from giblet.music.constraints import (
    Grid,
    harmonic_dissonance,
    key_departure,
    rhythm_off_grid,
    voice_leap,
)
from giblet.music.discriminators import DEFAULT_SCALES
from giblet.music.musical_features import N_FEATURES, pitch_classes
from giblet.music.tokens import VOCABULARY

KINDS = {
    "note_on": VOCABULARY.note_on,
    "note_off": VOCABULARY.note_off,
    "time_shift": VOCABULARY.time_shift,
    "velocity": VOCABULARY.velocity,
}


class TokenWeights(StrictSettings):
    """Weights of tokens in the loss, by kind; of EOS and others 1, of PAD 0."""

    notes: PositiveFloat = 3.0
    timing: PositiveFloat = 2.0
    velocity: PositiveFloat = 1.5


class ConstraintWeights(StrictSettings):
    """Weights of the constraints, in nats per unit of each."""

    rhythm: NonNegativeFloat = 0.1
    dissonance: NonNegativeFloat = 0.1
    key: NonNegativeFloat = 0.1
    voice_leap: NonNegativeFloat = 0.01


def token_nats(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Nats (batch, n) of targets (batch, n) under logits (batch, n, n_ids); 0 for PAD."""
    nats = functional.cross_entropy(
        logits.float().flatten(0, -2),
        targets.flatten().long(),
        ignore_index=VOCABULARY.pad,
        reduction="none",
    )
    return nats.view(targets.shape)


def token_weights(targets: Any, settings: TokenWeights) -> Any:
    """Weight of each token, of the shape of ``targets``: numpy array or tensor.

    >>> token_weights(torch.tensor([60, 188, 300, 770, VOCABULARY.eos, VOCABULARY.pad]),
    ...               TokenWeights()).tolist()
    [3.0, 3.0, 2.0, 1.5, 1.0, 0.0]
    """
    v = VOCABULARY
    notes = v.is_note_on(targets) | v.is_note_off(targets)
    shifts, levels = v.is_time_shift(targets), v.is_velocity(targets)
    others = ~(notes | shifts | levels | (targets == v.pad))
    weighted = (settings.notes * notes, settings.timing * shifts, settings.velocity * levels)
    return sum(weighted, 1.0 * others)


def mean_nats(nats: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean over all tokens but PAD, unweighted: what models are compared by; scalar."""
    return nats.sum() / (targets != VOCABULARY.pad).sum().clamp(min=1)


def weighted_nats(
    nats: torch.Tensor, targets: torch.Tensor, settings: TokenWeights
) -> torch.Tensor:
    """Weighted mean of `token_nats` by kind of token: what a model learns from; scalar.

    The weights are divided by their sum, so that the unit stays nats per token.
    """
    weights = token_weights(targets, settings)
    return (weights * nats).sum() / weights.sum().clamp(min=1e-6)


def means_by_kind(values: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
    """Mean value (scalar) at each of ``KINDS``, and at EOS (``end``), that ``targets`` have.

    ``values`` and ``targets`` have one shape.
    """
    means = {}
    for name, part in (KINDS | {"end": slice(VOCABULARY.eos, VOCABULARY.eos + 1)}).items():
        own = (targets >= part.start) & (targets < part.stop)
        if own.any():
            means[name] = values[own].mean()
    return means


@dataclass(frozen=True)
class Component:
    """A named value of a training step."""

    label: str
    unit: str
    better: Literal["lower", "higher", "middle"]


def _table() -> dict[str, Component]:
    kinds = {kind: kind.upper() for kind in KINDS}
    table = {
        "nats": Component("negative log-likelihood, unweighted", "nats per token", "lower"),
        "nats_weighted": Component("the same, weighted by kind", "nats per token", "lower"),
        "nats_kind": Component("of which kind a token is", "nats per token", "lower"),
        "entropy": Component("uncertainty of the prediction", "nats per token", "middle"),
        "accuracy": Component("the likeliest token is right", "share", "higher"),
        "rhythm": Component("moments off the sixteenths", "0 to 1", "lower"),
        "dissonance": Component("of new notes with sounding ones", "0 to 1", "lower"),
        "key": Component("distance from the tonic", "0 to 1", "lower"),
        "voice_leap": Component("interval to the nearest earlier note", "semitones", "lower"),
        "shift_divergence": Component("of lengths from the piece's", "nats", "lower"),
        "pitch_divergence": Component("of pitch classes from the piece's", "nats", "lower"),
        "kind_divergence": Component("of kinds of tokens from the piece's", "nats", "lower"),
    }
    for kind, name in kinds.items():
        table[f"nats_{kind}"] = Component(f"{name} tokens alone", "nats per token", "lower")
        table[f"accuracy_{kind}"] = Component(f"the likeliest {name} is right", "share", "higher")
    for feature in N_FEATURES:
        table[f"music_{feature}"] = Component(f"mean {feature} features", "relative", "lower")
    for scale in DEFAULT_SCALES:
        table |= {
            f"adversarial_{scale}": Component(f"{scale}: model's hinge", "score", "lower"),
            f"features_{scale}": Component(f"{scale}: feature matching", "relative", "lower"),
            f"discriminator_{scale}": Component(f"{scale}: its hinge", "score", "middle"),
            f"r1_{scale}": Component(f"{scale}: R1", "score² per unit²", "lower"),
            f"auc_{scale}": Component(
                f"{scale}: real above generated; stays at 1 where none is mistaken",
                *("share of pairs", "middle"),
            ),
            f"real_score_{scale}": Component(f"{scale}: of real music", "score", "middle"),
            f"fake_score_{scale}": Component(f"{scale}: of generated", "score", "higher"),
        }
    for level in ("fine", "local", "global"):
        table[f"kl_{level}"] = Component(f"{level} latents: KL", "nats per latent", "middle")
        table[f"bag_{level}"] = Component(f"by {level} latents alone", "nats per token", "lower")
        table[f"active_units_{level}"] = Component(f"{level} latents: used", "share", "higher")
    learned = [name for name in table if name.startswith(("music_", "adversarial_", "features_"))]
    for name in ("nats", "nats_weighted", *ConstraintWeights.model_fields, *learned):
        table[f"share_{name}"] = Component(f"{name}: of the gradient", "share", "middle")
    for name in (*KINDS, "end"):
        table[f"weight_{name}"] = Component(f"{name}: learned weight", "relative", "middle")
    return table | {
        "loss": Component("all that is learned from", "nats per token", "lower"),
        "kl_per_token": Component("KL of all levels", "nats per token", "middle"),
        "beta": Component("weight of KL", "relative", "middle"),
        "gradient_norm": Component("of the model, before it is clipped", "relative", "middle"),
        "learning_rate": Component("of the model", "per step", "middle"),
    }


COMPONENTS: dict[str, Component] = _table()


def constraints(
    probabilities: torch.Tensor, targets: torch.Tensor, seconds: torch.Tensor, grid: Grid
) -> dict[str, torch.Tensor]:
    """The constraints by name, scalars with a gradient, where ``targets`` are no PAD.

    Parameters
    ----------
    probabilities : (batch, n, n_ids), of the targets
    targets : (batch, n) int
    seconds : (batch, n), s, moments of the targets
    grid : of the same moments
    """
    heard = probabilities * (targets != VOCABULARY.pad)[..., None]
    return {
        "rhythm": rhythm_off_grid(heard, grid),
        "dissonance": harmonic_dissonance(heard, targets),
        "key": key_departure(heard, targets),
        "voice_leap": voice_leap(heard, targets, seconds),
    }


@torch.no_grad()
def diagnostics(logits: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
    """What is not learned from but logged: by kind of token, and divergences; scalars.

    Accuracies are of argmaxima, those of a kind among its own tokens: VELOCITYs are seldom the
    likeliest of all tokens, so that whichever is the likeliest of all would not move from 0.
    Divergences are Jensen and Shannon's, between the mean prediction and the counts of the targets.
    A kind that is not among the targets has no value.
    """
    known = targets != VOCABULARY.pad
    nats, flat, predicted = token_nats(logits, targets), targets[known].long(), logits[known]
    log_p, nats = predicted.float().log_softmax(-1), nats[known]
    probabilities, right = log_p.exp(), (predicted.argmax(-1) == flat).float()
    counts = functional.one_hot(flat, VOCABULARY.n_ids).float()
    by_kind = [
        torch.stack([x[:, part].sum(-1) for part in KINDS.values()], -1)
        for x in (probabilities, counts)
    ]
    is_kind = by_kind[1].any(-1)
    values = {
        "entropy": -(probabilities * log_p).sum(-1).mean(),
        "accuracy": right.mean(),
        "nats_kind": -(by_kind[0] * by_kind[1]).sum(-1)[is_kind].clamp(min=1e-30).log().mean(),
        "kind_divergence": _divergence(*(x.sum(0) for x in by_kind)),
    }
    mean = [x.sum(0) for x in (probabilities, counts)]
    shifts = [x[VOCABULARY.time_shift] for x in mean]
    classes = [pitch_classes(x[VOCABULARY.note_on]) for x in mean]
    values |= {"shift_divergence": _divergence(*shifts), "pitch_divergence": _divergence(*classes)}
    right_of_kind = torch.zeros_like(right)
    for part in KINDS.values():
        own = (flat >= part.start) & (flat < part.stop)
        likeliest = part.start + predicted[own, part].argmax(-1)
        right_of_kind[own] = (likeliest == flat[own]).float()
    for name, each in (("nats", nats), ("accuracy", right_of_kind)):
        means = means_by_kind(each, flat)
        values |= {f"{name}_{kind}": means[kind] for kind in KINDS if kind in means}
    return values


def total_loss(losses: Mapping[str, torch.Tensor], weights: Mapping[str, float]) -> torch.Tensor:
    """Sum of the losses that have a weight, each times its weight; scalar."""
    return torch.stack([weights[name] * losses[name] for name in losses if name in weights]).sum()


def _divergence(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Jensen and Shannon's, in nats, of amounts (n,); 0 to log(2)."""
    first, second = (x / x.sum().clamp(min=1e-9) for x in (first, second))
    middle = (first + second) / 2
    parts = [torch.special.xlogy(x, x / middle.clamp(min=1e-30)) for x in (first, second)]
    return (parts[0] + parts[1]).sum() / 2
