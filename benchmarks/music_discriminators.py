"""What each discriminator hears, beside models that count: AUC of real and corrupted music.

    python benchmarks/music_discriminators.py FOLDER [--scale global] [--windows 3000] [--steps 500]

FOLDER has MIDI in train/ and validation/. Each discriminator is trained alone on windows of the
training pieces. The AUC is of windows of validation pieces ("windows"), and of pieces ("pieces"):
of the mean score of all windows of a piece and of those of corrupted pieces; "own" is the share of
pieces that score above their own corruption.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from giblet.music.count_models import TokenCounts
from giblet.music.discriminators import DEFAULT_SCALES, TokenDiscriminator
from giblet.music.midi import read_midi
from giblet.music.separation import (
    corrupt,
    draw_unigram,
    fit_discriminator,
    log_likelihoods,
    real_and_corrupted,
    score_windows,
    separation,
)
from giblet.music.tokens import VOCABULARY, tokenize


def corrupted_tokens(pieces, scale, rng):
    """Tokens of each piece, wrong on ``scale`` from its beginning to its end."""
    if scale != "local":
        return [tokenize(corrupt(notes, scale, rng)) for notes in pieces]
    tokens = [tokenize(notes) for notes in pieces]
    return [draw_unigram(np.concatenate(tokens), t.shape, rng) for t in tokens]


def piece_scores(score, tokens, n_tokens):
    """(n_pieces,) mean over the whole windows of each; NaN for those that have none."""
    cut = [t[: len(t) // n_tokens * n_tokens].reshape(-1, n_tokens) for t in tokens]
    scores = score(np.concatenate(cut).astype(np.int64))
    parts = np.split(scores, np.cumsum([len(c) for c in cut])[:-1])
    return np.array([part.mean() if len(part) else np.nan for part in parts])


def measure(pieces, scale: str, n_windows: int, n_steps: int) -> None:
    """Print a row for each model of one scale."""
    rng = np.random.default_rng(0)
    n_tokens = DEFAULT_SCALES[scale].n_tokens
    begin = time.process_time()
    train = real_and_corrupted(pieces["train"], scale, n_tokens, n_windows, rng)
    held_out = real_and_corrupted(pieces["validation"], scale, n_tokens, 400, rng)
    whole = [tokenize(notes) for notes in pieces["validation"]]
    wrong = corrupted_tokens(pieces["validation"], scale, rng)
    torch.manual_seed(0)
    discriminator = TokenDiscriminator(DEFAULT_SCALES[scale])
    prepared = time.process_time()
    fit_discriminator(discriminator, *train, n_steps, rng)
    seconds = f"{prepared - begin:.0f} + {time.process_time() - prepared:.0f} s"
    tokens = [tokenize(notes) for notes in pieces["train"]]
    models = {
        "unigram": partial(log_likelihoods, TokenCounts(tokens, 1, VOCABULARY.n_ids)),
        "bigram": partial(log_likelihoods, TokenCounts(tokens, 2, VOCABULARY.n_ids)),
        f"discriminator, {seconds}": lambda windows: score_windows(discriminator, windows),
    }
    for name, score in models.items():
        of_pieces = np.array([piece_scores(score, p, n_tokens) for p in (whole, wrong)])
        real, fake = of_pieces[:, np.isfinite(of_pieces).all(axis=0)]
        values = (
            separation(score, *held_out),
            separation(lambda scores: scores, real, fake),
            (real > fake).mean(),
        )
        print(f"{scale:8}{name:32}" + "".join(f"{value:8.3f}" for value in values), flush=True)


def main() -> None:
    """Print a row for each scale and model: AUC of windows, and of pieces."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scale", choices=list(DEFAULT_SCALES), action="append")
    parser.add_argument("--windows", type=int, default=3000)
    parser.add_argument("--steps", type=int, default=500)
    options = parser.parse_args()
    pieces = {
        part: [read_midi(path) for path in sorted((options.folder / part).rglob("*.mid"))]
        for part in ("train", "validation")
    }
    print(f"{'scale':8}{'model':32}{'windows':>8}{'pieces':>8}{'own':>8}")
    for scale in options.scale or DEFAULT_SCALES:
        measure(pieces, scale, options.windows, options.steps)


if __name__ == "__main__":
    main()
