"""Surprisal and entropy of notes by a music model, in nats, also with short contexts."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from giblet.errors import GibletError
from giblet.music.inputs import Inputs, crop, encoded, next_positions
from giblet.music.model import MusicTransformerVAEGAN
from giblet.music.ngrams import NoteSurprisal
from giblet.music.notes import Notes
from giblet.music.tokens import VOCABULARY, detokenize, tokenize
from giblet.music.windows import stream_hidden

CONTEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)  # notes
_TOKENS = 8192  # of a batch of windows


def note_surprisal(model: MusicTransformerVAEGAN, notes: Notes) -> NoteSurprisal:
    """Surprisal of each note given all tokens before it.

    A note's *pitch* is its NOTE_ON; its *time* is the TIME_SHIFTs since the NOTE_ON before it, 0
    within a chord. Surprisal is ``-log p`` of those tokens, entropy that of the distributions that
    the model predicts at their places, over the tokens that may stand there. That a note begins,
    and nothing else, is part of its NOTE_ON. NOTE_OFFs and VELOCITYs belong to neither.

    Of unisons within 1/64 s the tokens have one note: the others are NaN.

    Raises GibletError for a model with latents, which would know the future.
    """
    if model.mode != "transformer":
        raise GibletError(f"surprisal needs a model of mode transformer, this one is {model.mode}")
    tokens = tokenize(notes).astype(np.int64)
    nats, entropy = _of_tokens(model, tokens, notes)
    places = note_tokens(notes)
    return NoteSurprisal(
        *_parts(tokens, nats, places),
        *_parts(tokens, entropy, places),
    )


def note_tokens(notes: Notes) -> np.ndarray:
    """Place (n_notes,) int64 among ``tokenize(notes)`` of the NOTE_ON of each note; -1 without one.

    >>> chord = Notes(np.zeros(3), np.ones(3), np.array([60, 64, 64]), np.full(3, 80))
    >>> note_tokens(chord).tolist()
    [1, 2, -1]
    """
    v = VOCABULARY
    tokens = tokenize(notes).astype(np.int64)
    places = np.flatnonzero(v.is_note_on(tokens))
    first = notes.onset[:1]
    step = np.floor((notes.onset - first) / v.step_seconds + 0.5).astype(np.int64)
    # NOTE_ONs ascend by step, then pitch; of unisons the first has the token
    keys = step * v.n_pitches + notes.pitch
    _, heads, token = np.unique(keys, return_index=True, return_inverse=True)
    is_head = np.zeros(len(notes), bool)
    is_head[heads] = True
    return np.where(is_head, places[token], -1)


def context_surprisal(
    model: MusicTransformerVAEGAN,
    notes: Notes,
    contexts: Sequence[int] = CONTEXTS,
    slack: float = 0.125,
) -> np.ndarray:
    """Surprisal of each note's pitch and time given only the last notes before it.

    How much of the past a listener's expectations need (Kern et al. 2022, eLife 11:e80935). The
    model hears a piece that begins with the context. Notes that are scored together have up to
    ``slack`` of the context more.

    Parameters
    ----------
    contexts : numbers of notes, 1 or more
    slack : share of a context; 0: exactly so many notes, at ``1 / slack`` times the cost

    Returns
    -------
    surprisal : (n_notes, n_contexts) float64, nats; NaN as in `note_surprisal`, and where the piece
        has had fewer notes
    """
    if model.mode != "transformer":
        raise GibletError(f"surprisal needs a model of mode transformer, this one is {model.mode}")
    values = np.full((len(notes), len(contexts)), np.nan)
    places = note_tokens(notes)
    own = np.argsort(places)[np.count_nonzero(places < 0) :]  # notes in the tokens' order
    snapped = _snapped(notes)
    for column, context in enumerate(contexts):
        if context < 1:
            raise GibletError(f"a context has 1 note or more, not {context}")
        together = 1 + int(slack * context)
        starts = range(0, len(snapped) - context, together)
        windows = [(s, min(s + context + together, len(snapped))) for s in starts]
        size = max(1, _TOKENS // (4 * (context + together)))
        for begin in range(0, len(windows), size):
            some = windows[begin : begin + size]
            for (start, stop), scores in zip(some, _windows(model, snapped, some), strict=True):
                values[own[start + context : stop], column] = scores[context:]
    return values


def _windows(model, notes: Notes, windows: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """Surprisal of the notes of excerpts, each heard alone."""
    pieces = [_excerpt(notes, start, stop) for start, stop in windows]
    inputs = [encoded(piece) for piece in pieces]
    longest = max(len(each["targets"]) for each in inputs)
    padded = [crop(each, slice(None), longest) for each in inputs]
    batch: Inputs = {k: torch.stack([p[k] for p in padded]).to(model.device) for k in padded[0]}
    with torch.inference_mode():
        nats = model.target_nats(model(batch), batch).cpu().numpy()
    values = []
    for each, row, piece in zip(inputs, nats, pieces, strict=True):
        pitch, time = _parts(each["targets"].numpy(), row, note_tokens(piece))
        values.append(pitch + time)
    return values


def _snapped(notes: Notes) -> Notes:
    """The notes that the tokens have, on their grid: excerpts then have the same steps."""
    heard = detokenize(tokenize(notes))
    first = notes.onset[0] if len(notes) else 0.0
    return replace(heard, onset=heard.onset + first, beats=notes.beats, warnings=())


def _excerpt(notes: Notes, start: int, stop: int) -> Notes:
    part = slice(start, stop)
    columns = notes.onset[part], notes.duration[part], notes.pitch[part], notes.velocity[part]
    return Notes(*columns, beats=notes.beats)


def _of_tokens(model, tokens: np.ndarray, notes: Notes) -> tuple[np.ndarray, np.ndarray]:
    """Nats and entropy (n_tokens,) float64 of each token's place."""
    first = float(notes.onset[0]) if len(notes) else 0.0
    seconds, phases = next_positions(tokens, notes.beats, first)
    targets = torch.as_tensor(tokens).to(model.device)
    nats, entropy = np.zeros(len(tokens)), np.zeros(len(tokens))
    network = model.transformer
    with torch.inference_mode():
        for part, hidden, possible in stream_hidden(network, targets, seconds[:-1], phases[:-1]):
            logs = network.logits(hidden, possible).float().log_softmax(-1)
            nats[part] = -logs.gather(1, targets[part, None])[:, 0].cpu().numpy()
            entropy[part] = -(logs.exp() * logs).sum(-1).cpu().numpy()
    return nats, entropy


def _parts(
    tokens: np.ndarray, values: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values of tokens as those of notes: of each NOTE_ON, and of the TIME_SHIFTs before it."""
    shifts = np.where(VOCABULARY.is_time_shift(tokens), values[: len(tokens)], 0.0)
    ons = np.flatnonzero(VOCABULARY.is_note_on(tokens))
    time = np.zeros(len(tokens))
    time[ons] = np.diff(np.cumsum(shifts, dtype=float)[ons], prepend=0.0)
    own = places >= 0
    return np.where(own, values[places], np.nan), np.where(own, time[places], np.nan)
