"""Scores of a music model on pieces it has not seen, beside count models and human pieces."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from giblet.log import progress
from giblet.music.count_models import TokenCounts
from giblet.music.metrics import overlaps
from giblet.music.model import MusicTransformerVAEGAN
from giblet.music.notes import Notes
from giblet.music.tokens import VOCABULARY, tokenize

ORDERS = (1, 2, 3, 5)  # of the count models


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
        ``training``; without such pieces there are none.
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
        totals[f"counts, order {order}"] = sum(counts.nats(t).sum() for t in tokens.values())
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


def overlap_scores(generated: Sequence[Notes], human: Sequence[Notes]) -> pd.DataFrame:
    """How alike generated pieces are to human ones (`giblet.music.metrics.overlaps`).

    Every second human piece is compared with; the others, under the name ``human``, give the
    highest value that can be hoped for. Human pieces are cut to the median length of the generated
    ones. Columns as those of `surprise_scores`.
    """
    seconds = float(np.median([notes.end - notes.onset[0] for notes in generated if len(notes)]))
    cut = [excerpt(notes, seconds) for notes in human]
    rows = [
        {"model": name, "metric": f"overlap of {metric}", "value": value, "n": len(pieces)}
        for name, pieces in {"giblet": generated, "human": cut[1::2]}.items()
        for metric, value in overlaps(pieces, cut[::2]).items()
    ]
    return pd.DataFrame(rows)


def excerpt(notes: Notes, seconds: float) -> Notes:
    """The first ``seconds`` after the first onset; notes that last longer are cut."""
    end = notes.onset[0] + seconds
    kept = notes.onset < end
    columns = [c[kept] for c in (notes.onset, notes.duration, notes.pitch, notes.velocity)]
    columns[1] = np.minimum(columns[1], end - columns[0])
    return replace(
        notes, **dict(zip(("onset", "duration", "pitch", "velocity"), columns, strict=True))
    )
