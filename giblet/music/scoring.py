"""Scores of a music model on pieces it has not seen, beside count models and human pieces."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from giblet.log import progress
from giblet.music.count_models import TokenCounts
from giblet.music.grammar import possible_tokens
from giblet.music.inputs import encoded
from giblet.music.metrics import overlaps
from giblet.music.model import MusicTransformerVAEGAN
from giblet.music.nats_bought import nats_bought_by_latents
from giblet.music.notes import Notes
from giblet.music.posteriors import active_units, iw_elbo
from giblet.music.tokens import VOCABULARY, tokenize

logger = logging.getLogger(__name__)
COLUMNS = ("model", "metric", "value", "n")
ORDERS = (1, 2, 3, 5)  # of the count models
N_SAMPLES = 8  # of z, in the importance-weighted bound
_FEWEST_HUMAN = 5  # pieces: three to compare with, two to be compared


def surprise_scores(
    model: MusicTransformerVAEGAN, pieces: Mapping[str, Notes], training: Mapping[str, Notes]
) -> pd.DataFrame:
    """Nats of a model, with and without the beats it may know, and of count models.

    Returns
    -------
    scores
        Columns ``model metric value n``: ``nats_per_token``, ``nats_per_note`` and
        ``nats_per_second`` (of music, from each piece's first onset to its last end), ``n`` the
        number of tokens, notes or seconds. The count models (`TokenCounts`) are trained on
        ``training``; without such pieces there are none. All know the grammar of the tokens.
    """
    tokens = {name: tokenize(notes) for name, notes in pieces.items()}
    totals = {"giblet": 0.0, "giblet, without beats": 0.0}
    for name in progress(pieces, "scoring", "pieces"):
        notes = pieces[name]
        with_beats = model.nats(tokens[name], notes.beats, float(notes.onset[0]))
        totals["giblet"] += with_beats.sum(dtype=float)
        totals["giblet, without beats"] += model.nats(tokens[name]).sum(dtype=float)
    learned = [tokenize(notes) for notes in training.values()]
    for order in ORDERS if learned else ():
        counts = TokenCounts(learned, order, VOCABULARY.size)
        totals[f"counts, order {order}"] = sum(
            counts.nats(t, possible_tokens(t)).sum() for t in tokens.values()
        )
    sizes = {
        "nats_per_token": sum(map(len, tokens.values())),
        "nats_per_note": int(sum(VOCABULARY.is_note_on(t).sum() for t in tokens.values())),
        "nats_per_second": sum(notes.end - notes.onset[0] for notes in pieces.values()),
    }
    rows = [
        {"model": name, "metric": metric, "value": total / n, "n": n}
        for name, total in totals.items()
        for metric, n in sizes.items()
    ]
    return pd.DataFrame(rows)


@torch.inference_mode()
def latent_scores(model: MusicTransformerVAEGAN, pieces: Mapping[str, Notes]) -> pd.DataFrame:
    """What the latents of a model of mode vae are worth, and cost.

    Returns
    -------
    scores
        Columns as those of `surprise_scores`, ``n`` the number of tokens (of segments for the
        units). ``nats_per_token`` with each piece's own z (posterior means);
        ``nats_bought, <kind>, <levels>``: how many more nats per token the model needs with the z
        of another piece or of the priors, on all levels and on each alone; ``kl_per_token,
        <level>``, in nats; ``active_units, <level>``, the number of them. ``bound_per_token,
        elbo`` and ``bound_per_token, importance-weighted``, by eight samples of z, are bounds
        from above on the nats of whole pieces; the second is never the greater one.
    """
    encoded_pieces = {name: model.encode(notes) for name, notes in pieces.items()}
    names, n_tokens = list(pieces), 0
    totals: defaultdict[str, float] = defaultdict(float)
    means: dict[str, list[torch.Tensor]] = {}
    assert model.latents is not None, "mode transformer has none"
    for i, name in enumerate(progress(names, "scoring latents", "pieces")):
        notes, tokens = pieces[name], tokenize(pieces[name])
        known = notes.beats, float(notes.onset[0])

        def nats(z, tokens=tokens, known=known):
            arrays = {level: values[0].cpu().numpy() for level, values in z.items()}
            return torch.from_numpy(model.nats(tokens, *known, arrays))

        own, other = encoded_pieces[name], encoded_pieces[names[i - 1]]
        prior = model.drawn_latents(notes.end - notes.onset[0])
        zs = [model.as_latents(z) or {} for z in (own, other, prior)]
        for kind, levels in nats_bought_by_latents(nats, *zs).items():
            for level, value in levels.items():
                label = "nats_per_token" if kind == "own" else f"nats_bought, {kind}, {level}"
                totals[label] += value * len(tokens)
        batch = {key: values[None].to(model.device) for key, values in encoded(notes).items()}
        drawing = torch.Generator(model.device).manual_seed(i)
        posteriors = model.posteriors(batch, drawing)
        for level, kl in model.latents.kl(posteriors).items():
            totals[f"kl_per_token, {level}"] += float(kl.sum())
            posterior = posteriors[level]
            means.setdefault(level, []).append(posterior.mean[posterior.occupied])
        for label, bound in _bounds(model, batch, nats, drawing).items():
            totals[f"bound_per_token, {label}"] += bound
        n_tokens += len(tokens)
    values = {label: (total / n_tokens, n_tokens) for label, total in totals.items()}
    for level, parts in means.items():
        joined = torch.cat(parts)
        values[f"active_units, {level}"] = int(active_units(joined).sum()), len(joined)
    rows = [
        {"model": "giblet, own z", "metric": metric, "value": value, "n": n}
        for metric, (value, n) in values.items()
    ]
    return pd.DataFrame(rows)


def _bounds(model, batch, nats, drawing: torch.Generator) -> dict[str, float]:
    """Bounds on a piece's nats; ``nats`` are those of its tokens by z."""
    weights = []
    for _ in range(N_SAMPLES):
        posteriors = model.posteriors(batch, drawing)
        likelihood = -nats({name: p.z for name, p in posteriors.items()}).double().sum()
        weights.append(model.latents.log_weights(posteriors, likelihood[None].to(model.device)))
    sampled = torch.stack(weights).double()
    return {"elbo": -float(sampled.mean()), "importance-weighted": -float(iw_elbo(sampled))}


def overlap_scores(generated: Sequence[Notes], human: Sequence[Notes]) -> pd.DataFrame:
    """How alike generated pieces are to human ones (`giblet.music.metrics.overlaps`).

    Every second human piece is compared with; the others, under the name ``human``, give the
    highest value that can be hoped for. Human pieces are cut to the median length of the generated
    ones. Columns as those of `surprise_scores`. Without generated pieces, or with less than five
    human ones, there is nothing to compare, and a warning says so.
    """
    if not generated or len(human) < _FEWEST_HUMAN:
        logger.warning(
            "no overlaps: %d generated and %d human pieces; at least 1 and %d are needed",
            *(len(generated), len(human), _FEWEST_HUMAN),
        )
        return pd.DataFrame(columns=COLUMNS)
    seconds = float(np.median([notes.end - notes.onset[0] for notes in generated]))
    cut = [excerpt(notes, seconds) for notes in human]
    rows = [
        {"model": name, "metric": f"overlap of {metric}", "value": value, "n": len(pieces)}
        for name, pieces in {"giblet": generated, "human": cut[1::2]}.items()
        for metric, value in overlaps(pieces, cut[::2]).items()
    ]
    return pd.DataFrame(rows)


def memorisation_scores(
    model: MusicTransformerVAEGAN, generated: Mapping[str, Notes], human: Mapping[str, Notes]
) -> pd.DataFrame:
    """Longest runs of intervals that pieces share with the music that the model learned.

    Rows ``shared_run, longest`` and ``shared_run, mean`` of the generated pieces, and of human ones
    that the model has not seen, under the name ``human``: what is usual. Columns as those of
    `surprise_scores`; no rows for a model that does not have the intervals of its training.
    """
    rows = []
    for name, pieces in {"giblet": generated, "human": human}.items():
        if model.training_intervals is not None and pieces:
            runs = [model.training_intervals.longest_run(p).n_intervals for p in pieces.values()]
            for metric, value in (("longest", max(runs)), ("mean", np.mean(runs))):
                metric = f"shared_run, {metric}"
                rows.append({"model": name, "metric": metric, "value": value, "n": len(runs)})
    return pd.DataFrame(rows, columns=COLUMNS)


def excerpt(notes: Notes, seconds: float) -> Notes:
    """The first ``seconds`` after the first onset; notes that last longer are cut."""
    end = notes.onset[0] + seconds
    kept = notes.onset < end
    columns = [c[kept] for c in (notes.onset, notes.duration, notes.pitch, notes.velocity)]
    columns[1] = np.minimum(columns[1], end - columns[0])
    return replace(
        notes, **dict(zip(("onset", "duration", "pitch", "velocity"), columns, strict=True))
    )
