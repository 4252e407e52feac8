"""Whether a discriminator can hear what its scale is there for, beside models that count.

Real windows of tokens against windows of corrupted music (`giblet.music.corruptions`), which are
wrong on one scale alone; the AUC is measured on other pieces.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from giblet.errors import GibletError
from giblet.music.adversarial import hinge_discriminator, one_hot
from giblet.music.corruptions import draw_unigram, shuffle_bars, transpose_low_voices
from giblet.music.discriminators import Scale, TokenDiscriminator, joined_features
from giblet.music.notes import Notes
from giblet.music.tokens import VOCABULARY, tokenize

FURTHEST = 6  # semitones, of transposed voices
CHUNK = 64  # windows at a time


def corrupt(notes: Notes, scale: Scale, rng: np.random.Generator) -> Notes:
    """A piece that is wrong on the scale ``phrase`` or ``global``; the rest stays as it is."""
    if scale == "phrase":
        return transpose_low_voices(notes, int(rng.integers(1, FURTHEST + 1) * rng.choice([-1, 1])))
    return shuffle_bars(notes, rng)


def cut_windows(
    sequences: Sequence[np.ndarray], n_tokens: int, n_windows: int, rng: np.random.Generator
) -> np.ndarray:
    """Windows (n_windows, n_tokens) int64 from random places of tokens (n,) of pieces.

    A piece is as likely as it has places. Raises GibletError where all pieces are too short.
    """
    places = np.array([max(0, len(tokens) - n_tokens + 1) for tokens in sequences])
    if not places.any():
        raise GibletError(f"no piece has {n_tokens} tokens, as this scale needs")
    pieces = rng.choice(len(sequences), n_windows, p=places / places.sum())
    starts = rng.integers(places[pieces])
    cuts = zip(pieces, starts, strict=True)
    return np.stack([sequences[p][s : s + n_tokens] for p, s in cuts]).astype(np.int64)


def real_and_corrupted(
    pieces: Sequence[Notes], scale: Scale, n_tokens: int, n_windows: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Windows (n_windows, n_tokens) of pieces, and as many that are wrong on ``scale``.

    ``local``: independent tokens, as frequent as in the pieces.
    """
    tokens = [tokenize(notes) for notes in pieces]
    real = cut_windows(tokens, n_tokens, n_windows, rng)
    if scale == "local":
        return real, draw_unigram(np.concatenate(tokens), real.shape, rng).astype(np.int64)
    wrong = [tokenize(corrupt(notes, scale, rng)) for notes in pieces]
    return real, cut_windows(wrong, n_tokens, n_windows, rng)


def fit_discriminator(
    discriminator: TokenDiscriminator,
    real: np.ndarray,
    fake: np.ndarray,
    n_steps: int,
    rng: np.random.Generator,
    learning_rate: float = 2e-3,
    batch_size: int = 16,
) -> None:
    """Train on windows (n_windows, n_tokens) of both kinds with the hinge loss."""
    features = [_features(windows) for windows in (real, fake)]
    optimizer = torch.optim.Adam(discriminator.parameters(), learning_rate, betas=(0.5, 0.99))
    for _ in range(n_steps):
        scores = []
        for windows, known in zip((real, fake), features, strict=True):
            rows = rng.integers(len(windows), size=batch_size)
            scores.append(_scores(discriminator, windows[rows], known[rows]))
        loss = hinge_discriminator(*scores)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def score_windows(discriminator: TokenDiscriminator, windows: np.ndarray) -> np.ndarray:
    """Scores (n_windows,) of windows (n_windows, n_tokens); high for real music."""
    parts = np.array_split(windows, -(-len(windows) // CHUNK))
    return np.concatenate([_scores(discriminator, w, _features(w)).numpy() for w in parts])


def separation(score: Callable[[np.ndarray], np.ndarray], real: np.ndarray, fake: np.ndarray):
    """AUC of ``score`` of windows: the probability that a real one scores above a corrupted one.

    >>> separation(lambda windows: windows.mean(1), np.array([[2], [1]]), np.array([[1], [0]]))
    0.875
    """
    difference = score(real)[:, None] - score(fake)
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


def fit_ngram(sequences: Sequence[np.ndarray], order: int) -> Callable[[np.ndarray], np.ndarray]:
    """A count model as a peer: mean log-likelihood (n_windows,) of windows, of order 1 or 2.

    Order 2 is interpolated with order 1 as Witten and Bell (1991) do.
    """
    n_ids = VOCABULARY.n_ids
    unigram = np.bincount(np.concatenate(sequences), minlength=n_ids) + 0.01
    unigram /= unigram.sum()
    if order == 1:
        return lambda windows: np.log(unigram[windows]).mean(1)
    pairs = np.concatenate([n_ids * tokens[:-1] + tokens[1:] for tokens in sequences])
    counts = np.bincount(pairs, minlength=n_ids**2).reshape(n_ids, n_ids).astype(float)
    kinds = (counts > 0).sum(1, keepdims=True) + 1e-9
    bigram = (counts + kinds * unigram) / (counts.sum(1, keepdims=True) + kinds)
    return lambda windows: np.log(bigram[windows[:, :-1], windows[:, 1:]]).mean(1)


def _features(windows: np.ndarray) -> torch.Tensor:
    """(n_windows, n_tokens, n_features), in parts."""
    tokens = torch.from_numpy(windows)
    return torch.cat([joined_features(one_hot(part)) for part in tokens.split(CHUNK)])


def _scores(discriminator: TokenDiscriminator, windows: np.ndarray, features: torch.Tensor):
    embedded = discriminator.embed(one_hot(torch.from_numpy(windows)), features)
    return discriminator.judge(embedded)[0]
