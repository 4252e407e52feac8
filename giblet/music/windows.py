"""Pieces in parts: crops to train on, windows that score each token once, streamed scoring."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch

from giblet.errors import GibletError
from giblet.music.grammar import Grammar
from giblet.music.tokens import VOCABULARY
from giblet.music.transformer import Transformer, chunked_nats

Truncation = Literal["head", "sliding", "adaptive", "random"]

_EARLY = 0.02  # of a bar: a moment rounded to just before a bar line counts as on it


def training_windows(
    tokens: np.ndarray,
    length: int,
    strategy: Truncation,
    phases: np.ndarray | None = None,
    rng: np.random.Generator | None = None,
) -> list[slice]:
    """Windows of at most ``length`` tokens of one piece, by a truncation strategy.

    - ``head``: the beginning alone.
    - ``sliding``: windows of ``length`` that begin every ``length / 2`` tokens; the last one ends
      with the piece.
    - ``adaptive``: windows one after another, each token in one. Each ends at the latest bar line
      or rest in the second half of ``length``; where there is neither, at ``length``.
    - ``random``: one window of ``length``, all beginnings equally likely.

    A piece that is not longer than ``length`` is one window in any case.

    Parameters
    ----------
    tokens : (n_tokens,) int
    length : tokens, 2 or more
    phases : (n_tokens, 2), see ``token_phases``; ``adaptive`` cuts at rests alone without them
    rng : for ``random``

    Raises GibletError for a length below 2.
    """
    n = len(tokens)
    if length < 2:
        raise GibletError(f"windows of {length} tokens: at least 2 are needed")
    if n <= length:
        return [slice(0, n)] if n else []
    if strategy == "head":
        return [slice(0, length)]
    if strategy == "random":
        if rng is None:
            raise GibletError("random windows need a generator: pass rng")
        start = int(rng.integers(n - length + 1))
        return [slice(start, start + length)]
    if strategy == "sliding":
        starts = [*range(0, n - length, length // 2), n - length]
        return [slice(start, start + length) for start in starts]
    return _adaptive(musical_cuts(tokens, phases), n, length)


def _adaptive(cuts: np.ndarray, n: int, length: int) -> list[slice]:
    windows, start = [], 0
    while n - start > length:
        latest = np.searchsorted(cuts, start + length, side="right") - 1
        found = latest >= 0 and cuts[latest] > start + length // 2
        stop = int(cuts[latest]) if found else start + length
        windows.append(slice(start, stop))
        start = stop
    return [*windows, slice(start, n)]


def musical_cuts(tokens: np.ndarray, phases: np.ndarray | None = None) -> np.ndarray:
    """Indices of tokens at which a bar begins, or at which a rest has ended.

    NOTE_OFFs at a bar line belong to the bar before it.

    Parameters
    ----------
    tokens : (n_tokens,) int
    phases : (n_tokens, 2), see ``token_phases``; None or all 0 where bars are unknown

    Returns
    -------
    cuts : (n_cuts,) int64, ascending

    >>> on, off, beat = 60, 188, VOCABULARY.time_shift_token(32)
    >>> musical_cuts(np.array([on, beat, off, beat, on, beat, off])).tolist()
    [4]
    """
    tokens = np.asarray(tokens)
    moved = VOCABULARY.is_time_shift(tokens[:-1])
    on, off = VOCABULARY.is_note_on(tokens), VOCABULARY.is_note_off(tokens)
    sounding = np.cumsum(on.astype(np.int64) - off)[:-1]
    cut = moved & (sounding <= 0) & ~VOCABULARY.is_time_shift(tokens[1:])
    if phases is not None and np.any(phases):
        in_bar = (np.asarray(phases)[:, 1] + _EARLY) % 1
        cut |= moved & (np.diff(in_bar) <= 0)
    places = np.arange(len(tokens))
    after_offs = np.minimum.accumulate(np.where(off, len(tokens), places)[::-1])[::-1]
    cuts = np.unique(after_offs[1:][cut])
    return cuts[cuts < len(tokens)]


class ScoringWindow(NamedTuple):
    """Tokens ``start:stop`` are read, tokens ``scored:stop`` are scored."""

    start: int
    scored: int
    stop: int


def scoring_windows(n_tokens: int, length: int, stride: int) -> list[ScoringWindow]:
    """Windows of at most ``length`` tokens that together score each token exactly once.

    For models that cannot stream. The first window scores all of its tokens, each later one
    its last ``stride`` (or fewer, at the end): every token but those of the first window has at
    least ``length - stride`` tokens before it.

    Raises GibletError unless 1 <= stride <= length.

    >>> scoring_windows(10, length=6, stride=3)
    [ScoringWindow(start=0, scored=0, stop=6), ScoringWindow(start=3, scored=6, stop=9), \
ScoringWindow(start=4, scored=9, stop=10)]
    """
    if not 1 <= stride <= length:
        raise GibletError(f"stride ({stride}) must lie between 1 and length ({length})")
    stops = [*range(min(length, n_tokens), n_tokens, stride), n_tokens] if n_tokens else []
    return [
        ScoringWindow(max(0, stop - length), stops[at - 1] if at else 0, stop)
        for at, stop in enumerate(stops)
    ]


def stream_nats(
    model: Transformer,
    tokens: np.ndarray,
    seconds: np.ndarray,
    phases: np.ndarray,
    chunk: int = 512,
    latent: torch.Tensor | None = None,
) -> np.ndarray:
    """Nats of each token given all those before it that the model can hear, at any length.

    The piece runs through the model's caches, ``chunk`` tokens at a time; memory does not grow
    with its length, unless attention is ``full``. Without dropout. A token that its grammar does
    not allow has inf.

    Parameters
    ----------
    tokens : (n_tokens,) int, without BOS
    seconds : (n_tokens,) s, see ``token_seconds``
    phases : (n_tokens, 2), see ``token_phases``
    latent : (n_tokens, width), where the model was trained with one

    Returns
    -------
    nats : (n_tokens,) float32
    """
    weight = model.embedding.weight
    targets = torch.as_tensor(np.asarray(tokens, np.int64)).to(weight.device)
    nats = np.zeros(len(targets), np.float32)
    with torch.inference_mode():
        parts = stream_hidden(model, targets, seconds, phases, chunk, latent)
        for part, hidden, possible in parts:
            values = chunked_nats(hidden, targets[part], weight, possible)
            allowed = possible.gather(1, targets[part, None])[:, 0]
            nats[part] = values.masked_fill(~allowed, torch.inf).cpu().numpy()
    return nats


def stream_hidden(
    model: Transformer,
    targets: torch.Tensor,
    seconds: np.ndarray,
    phases: np.ndarray,
    chunk: int = 512,
    latent: torch.Tensor | None = None,
) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
    """Parts of a piece: place, hidden states (n, width), and which ids are possible (n, n_ids).

    Both predict ``targets`` (n_tokens,). Parameters as in `stream_nats`. Without gradients only.
    """
    moments = torch.as_tensor(seconds).to(targets.device, torch.float32)[None]
    angles = torch.as_tensor(phases).to(targets.device, torch.float32)[None]
    inputs = torch.cat((targets.new_tensor([VOCABULARY.bos]), targets[:-1]))[None]
    was_training = model.training
    model.eval()
    caches, grammar = model.new_caches(), Grammar()
    for start in range(0, len(targets), chunk):
        part = slice(start, start + chunk)
        signal = None if latent is None else latent[None, part]
        hidden = model(inputs[:, part], moments[:, part], angles[:, part], signal, caches)
        yield part, hidden[0], grammar.possible(inputs[:, part])[0]
    model.train(was_training)
