"""What latents hold and what can be done with them: of a model of mode vae, on validation pieces.

    python benchmarks/music_latents.py DATA --vae FOLDER --transformer FOLDER --out latents.tsv
        [--parts bought bounds paths] [--pieces 20]

DATA has MIDI in validation/. The parts, each one's rows written when it ends; a part that the table
has is skipped:

- bought: nats a token that a piece's own z (posterior means) saves over another piece's z and over
  a z of the priors, on all levels and on each alone; KL a token; active units of each level.
- bounds: ELBO and importance-weighted bounds (k = 1, 5, 20) on the log likelihood, in nats a token.
  The bound may not fall with k: ``increase`` must be 0 or more. 20 draws a piece; those of k = 5
  are its mean over 4 groups, of k = 1 over 20 draws, so the order holds piece by piece.
- paths: excerpts of pairs of pieces, interpolated on every level in ``--shares`` steps; each point
  is the mean of ``--draws`` generated pieces. ``spearman, <attribute>``: mean over pairs of the
  correlation with the order on the path, signed by its ends; ``by chance``: the same of the path's
  values in random order. Only pairs whose ends differ by more than the median pair count.
  ``nats, <what>``: mean nats a token under the *transformer* model of the midpoints, of tokens of
  both pieces mixed at random, of the pieces themselves, and of music that the VAE makes of a z of
  its priors: a decoder that ignores z has midpoints as likely as those.

``n`` is the number of tokens, segments or pairs.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from music_minutes import append_rows, finished, read_pieces

from giblet.log import progress
from giblet.music.attributes import ATTRIBUTES, attributes_of
from giblet.music.inputs import encoded
from giblet.music.latent_tools import interpolate_levels, midpoint_nats, monotonicity
from giblet.music.model import MusicTransformerVAEGAN, load
from giblet.music.notes import Notes
from giblet.music.posteriors import iw_elbo
from giblet.music.scoring import excerpt, latent_scores
from giblet.music.tokens import tokenize

PARTS = ("bought", "bounds", "paths")
MOST_DRAWS, SIZES = 20, (1, 5, 20)  # of importance samples
Row = dict[str, object]


def bought(model: MusicTransformerVAEGAN, pieces: Mapping[str, Notes]) -> list[Row]:
    """Nats bought by z, KL and active units."""
    table = latent_scores(model, pieces)
    return [
        {"metric": row.metric, "value": float(row.value), "n": int(row.n)}
        for row in table.itertuples()
    ]


def log_weights(model: MusicTransformerVAEGAN, notes: Notes, seed: int, n: int) -> torch.Tensor:
    """``log p(x | z) + log p(z) - log q(z | x)`` (n, 1) of n draws of a whole piece, in nats."""
    generator, tokens = torch.Generator().manual_seed(seed), tokenize(notes)
    batch = {key: values[None] for key, values in encoded(notes).items()}
    found = []
    with torch.inference_mode():
        for _ in range(n):
            posteriors = model.posteriors(batch, generator)
            z = {name: posterior.z[0].numpy() for name, posterior in posteriors.items()}
            nats = model.nats(tokens, notes.beats, float(notes.onset[0]), z).sum(dtype=float)
            log_likelihood = torch.tensor([-nats], dtype=torch.float64)
            found.append(model.latents.log_weights(posteriors, log_likelihood))
    return torch.stack(found)


def bounds(model: MusicTransformerVAEGAN, pieces: Mapping[str, Notes]) -> list[Row]:
    """Importance-weighted bounds of all pieces, and by how much they rise."""
    totals, n_tokens, least = dict.fromkeys(SIZES, 0.0), 0, np.inf
    for at, notes in enumerate(progress(list(pieces.values()), "bounds", "pieces")):
        weights = log_weights(model, notes, at, MOST_DRAWS)
        own = [
            float(torch.stack([iw_elbo(part) for part in weights.split(k)]).mean()) for k in SIZES
        ]
        for k, bound in zip(SIZES, own, strict=True):
            totals[k] += bound
        n_tokens += len(tokenize(notes))
        least = min(least, *np.diff(own))
    per_token = [total / n_tokens for total in totals.values()]
    names = ["ELBO (k = 1)", *(f"IW-ELBO (k = {k})" for k in SIZES[1:])]
    rows = [
        {"metric": name, "value": value, "n": n_tokens}
        for name, value in zip(names, per_token, strict=True)
    ]
    rows.append({"metric": "increase, least of all pieces, nats", "value": least, "n": len(pieces)})
    return rows


def made(
    model: MusicTransformerVAEGAN, points: Sequence[Mapping], seconds: float, n: int, seed: int
) -> list[list[Notes]]:
    """Pieces of at least 8 notes that the model makes of each z, ``n`` tries each, all at once."""
    z = {name: np.repeat([point[name] for point in points], n, axis=0) for name in points[0]}
    drawn = model.generate(seconds, n * len(points), seed=seed, z=z)
    return [
        [notes for notes in drawn[i * n : (i + 1) * n] if len(notes) >= 8]
        for i in range(len(points))
    ]


def mean_attributes(pieces: Sequence[Notes]) -> dict[str, float]:
    """Mean of each attribute over the pieces that have it."""
    rows = [attributes_of(notes) for notes in pieces]
    means = {}
    for name in ATTRIBUTES:
        values = np.array([row[name] for row in rows], float)
        known = values[np.isfinite(values)]
        means[name] = float(known.mean()) if len(known) else np.nan
    return means


def paths(
    model: MusicTransformerVAEGAN,
    transformer: MusicTransformerVAEGAN,
    pieces: Mapping[str, Notes],
    options: argparse.Namespace,
) -> list[Row]:
    """Attributes on interpolations, and nats of their midpoints."""
    rng, seconds = np.random.default_rng(0), options.seconds
    cut = [excerpt(notes, seconds) for notes in pieces.values()]
    pairs = list(zip(cut[::2], cut[1::2], strict=False))
    shares = np.linspace(0, 1, options.shares)
    walks: list[dict[str, np.ndarray]] = []
    nats: dict[str, list[float]] = {}
    for at, (a, b) in enumerate(progress(pairs, "paths", "pairs")):
        ends = model.encode(a), model.encode(b)
        points = made(model, interpolate_levels(*ends, shares), seconds, options.draws, at)
        rows = [mean_attributes(point) for point in points]
        walks.append({name: np.array([row[name] for row in rows]) for name in ATTRIBUTES})
        tokens = [tokenize(a), tokenize(b)]
        priors = model.drawn_latents(seconds, options.draws, at)
        drawn = [{name: z[i] for name, z in priors.items()} for i in range(options.draws)]
        free = [notes for each in made(model, drawn, seconds, 1, at) for notes in each]
        for kind, midpoints in (("midpoint", points[len(points) // 2]), ("prior z", free)):
            for notes in midpoints:
                found = midpoint_nats(transformer.nats, tokenize(notes), *tokens, rng)
                found[kind] = found.pop("midpoint")
                found["pieces"] = (found.pop("a") + found.pop("b")) / 2
                for name, value in found.items():
                    nats.setdefault(name, []).append(value)
    rows = [{"metric": "pairs", "value": len(pairs), "n": len(pairs)}]
    return [*rows, *_monotone(walks, rng), *_nats_rows(nats, len(pairs))]


def _monotone(walks: Sequence[Mapping[str, np.ndarray]], rng: np.random.Generator) -> list[Row]:
    rows: list[Row] = []
    for name in ATTRIBUTES:
        own = [walk[name] for walk in walks if np.isfinite(walk[name]).all()]
        spans = np.array([abs(path[-1] - path[0]) for path in own])
        far = [path for path, span in zip(own, spans, strict=True) if span >= np.median(spans)]
        if not far:
            continue
        found = [monotonicity(path) for path in far]
        chance = [monotonicity(rng.permutation(path)) for path in far for _ in range(200)]
        rows += [
            {"metric": f"spearman, {name}", "value": float(np.nanmean(found)), "n": len(far)},
            {"metric": f"by chance, {name}", "value": float(np.nanmean(chance)), "n": len(far)},
        ]
    return rows


def _nats_rows(nats: Mapping[str, Sequence[float]], n_pairs: int) -> list[Row]:
    return [
        {"metric": f"nats, {name}", "value": float(np.mean(values)), "n": n_pairs}
        for name, values in nats.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--vae", required=True, help="folder of the model with latents")
    parser.add_argument("--transformer", required=True, help="folder of another, that judges")
    parser.add_argument("--out", type=Path, required=True, help="TSV that rows are added to")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--pieces", type=int, default=20)
    parser.add_argument("--shares", type=int, default=9, help="points on a path, odd")
    parser.add_argument("--draws", type=int, default=8, help="pieces made of each point")
    parser.add_argument("--seconds", type=float, default=24.0, help="of excerpts and made pieces")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model, transformer = load(options.vae), load(options.transformer)
    pieces = read_pieces(options.data / "validation", options.pieces)
    done = {name for (name,) in finished(options.out, ["part"])}
    for part in options.parts:
        if part in done:
            continue
        rows = {
            "bought": lambda: bought(model, pieces),
            "bounds": lambda: bounds(model, pieces),
            "paths": lambda: paths(model, transformer, pieces, options),
        }[part]()
        append_rows(options.out, [{"part": part, **row} for row in rows])


if __name__ == "__main__":
    main()
