"""Whether a discriminator can hear what its scale is there for, beside models that count.

Real windows of tokens against windows of music that is wrong on one scale alone; the AUC is of
other pieces. `draw_unigram`: each token is likely, no two belong together (local).
`transpose_low_voices`: each voice is real, together they are in two keys (phrase). `shuffle_bars`:
each bar is real, their order is not (global).
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from giblet.errors import GibletError
from giblet.music.adversarial import hinge_discriminator, one_hot
from giblet.music.count_models import TokenCounts
from giblet.music.discriminators import Scale, TokenDiscriminator, joined_features
from giblet.music.notes import Notes
from giblet.music.tokens import tokenize

FURTHEST = 6  # semitones, of transposed voices
CHUNK = 64  # windows at a time
AVERAGED = 100  # steps


def draw_unigram(tokens: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator):
    """Tokens of ``shape`` drawn independently, each as often as in ``tokens`` (n,)."""
    ids, counts = np.unique(tokens, return_counts=True)
    return rng.choice(ids, size=shape, p=counts / counts.sum())


def transpose_low_voices(notes: Notes, semitones: int) -> Notes:
    """Notes below the median pitch moved by ``semitones``, where they stay within 0-127."""
    moved = notes.pitch + semitones
    low = (notes.pitch < np.median(notes.pitch)) & (moved >= 0) & (moved <= 127)
    pitch = np.where(low, moved, notes.pitch)
    return Notes.from_unsorted(notes.onset, notes.duration, pitch, notes.velocity, notes.beats)


def bar_edges(notes: Notes) -> np.ndarray:
    """Moments (n_bars + 1,) in s at which bars begin, and the end of the last beat that is known.

    Notes before the first downbeat are in no bar. Raises GibletError for notes without beats.
    """
    if notes.beats is None:
        raise GibletError("notes: without beats there are no bars; read them from a MIDI file")
    downbeats = notes.beats.seconds[notes.beats.in_bar == 0]
    end = max(notes.beats.seconds[-1], notes.onset[-1] + 1e-3)
    return np.unique([*downbeats, end])


def shuffle_bars(notes: Notes, rng: np.random.Generator) -> Notes:
    """Bars in random order, each with its own length and the notes that begin in it.

    A note keeps its duration, also across a bar line. Notes before the first downbeat stay in
    front. Without beats afterwards: those of ``notes`` no longer fit.
    """
    edges = bar_edges(notes)
    lengths = np.diff(edges)
    order = rng.permutation(len(lengths))
    starts = np.empty(len(lengths))
    starts[order] = edges[0] + np.concatenate([[0], np.cumsum(lengths[order])[:-1]])
    bar = np.searchsorted(edges, notes.onset + 1e-6, side="right") - 1
    moved = np.where(bar >= 0, starts[bar] - edges[bar], 0.0)
    return Notes.from_unsorted(notes.onset + moved, notes.duration, notes.pitch, notes.velocity)


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
    """Train on windows (n_windows, n_tokens) of both kinds with the hinge loss.

    The weights are a running mean over about the last ``AVERAGED`` steps: single steps of so small
    batches are noisy.
    """
    mean = [weight.detach().clone() for weight in discriminator.parameters()]
    features = [_features(windows) for windows in (real, fake)]
    optimizer = torch.optim.Adam(discriminator.parameters(), learning_rate, betas=(0.5, 0.99))
    for step in range(n_steps):
        scores = []
        for windows, known in zip((real, fake), features, strict=True):
            rows = rng.integers(len(windows), size=batch_size)
            scores.append(_scores(discriminator, windows[rows], known[rows]))
        loss = hinge_discriminator(*scores)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for average, weight in zip(mean, discriminator.parameters(), strict=True):
                average.lerp_(weight, 1 / min(step + 1, AVERAGED))
    with torch.no_grad():
        for average, weight in zip(mean, discriminator.parameters(), strict=True):
            weight.copy_(average)


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


def log_likelihoods(counts: TokenCounts, windows: np.ndarray) -> np.ndarray:
    """Mean log-likelihood (n_windows,) of windows (n_windows, n_tokens) by a baseline: counts.

    In nats per token. A window's first tokens, whose context it does not hold, are left out.
    """
    first = counts.order - 1
    return np.array([-counts.nats(window)[first:].mean() for window in windows])


def _features(windows: np.ndarray) -> torch.Tensor:
    """(n_windows, n_tokens, n_features), in parts."""
    tokens = torch.from_numpy(windows)
    return torch.cat([joined_features(one_hot(part)) for part in tokens.split(CHUNK)])


def _scores(discriminator: TokenDiscriminator, windows: np.ndarray, features: torch.Tensor):
    embedded = discriminator.embed(one_hot(torch.from_numpy(windows)), features)
    return discriminator.judge(embedded)[0]
