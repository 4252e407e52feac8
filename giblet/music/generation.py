"""Pieces drawn from a model: continued from a beginning, or filled in between two moments."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from giblet.errors import GibletError
from giblet.log import progress
from giblet.music.grammar import IMPOSSIBLE, Grammar
from giblet.music.inputs import next_positions
from giblet.music.notes import Beats, Notes
from giblet.music.tokens import VOCABULARY, detokenize, tokenize

_MOST_TOKENS_PER_SECOND = 400  # a model that does not move on in time ends here
_CHUNK = 512  # tokens of a beginning that are heard at a time
_MOST = {"top_p": 1, "temperature": 100}
_SUFFIX = 64  # notes after a gap that decide between candidates


def continuations(
    model: nn.Module,
    seconds: float,
    n_pieces: int = 1,
    primer: Notes | None = None,
    temperature: float = 1.0,
    top_p: float = 0.98,
    seed: int = 0,
    z: Mapping[str, np.ndarray] | None = None,
) -> list[Notes]:
    """See `giblet.music.model.MusicTransformerVAEGAN.generate`."""
    _check(seconds=seconds, n_pieces=n_pieces, temperature=temperature, top_p=top_p)
    generator = torch.Generator().manual_seed(seed)
    before, beats, first = np.zeros(0, np.int64), None, 0.0
    if primer is not None and len(primer):
        before, beats, first = tokenize(primer), primer.beats, float(primer.onset[0])
    if z is None:
        passed = float(next_positions(before, None)[0][-1])
        z = model.drawn_latents(passed + seconds, n_pieces, seed)
    hearing = Hearing(model, beats, first, model.as_latents(z, n_pieces))
    drawn = draw_tokens(hearing, before, n_pieces, seconds, temperature, top_p, generator)
    pieces = [detokenize(np.concatenate([before, tokens])) for tokens in drawn]
    return [replace(piece, onset=piece.onset + first) for piece in pieces]


@dataclass
class Hearing:
    """A model with what it has heard of some pieces: tokens in its caches, beats, latents."""

    model: nn.Module
    beats: Beats | None = None
    first_onset: float = 0.0
    z: Mapping[str, torch.Tensor] | None = None  # level -> (n_pieces, n_segments, width)
    caches: Any = None
    grammar: Grammar = field(default_factory=Grammar)

    def begin(self, before: np.ndarray, n_pieces: int) -> tuple[torch.Tensor, float]:
        """Logits (n_pieces, n_ids) after BOS and ``before`` (n_before,), and the seconds passed."""
        self.caches, self.grammar = self.model.transformer.new_caches(), Grammar()
        seconds, _phases = next_positions(before, None)
        ids = torch.from_numpy(np.concatenate([[VOCABULARY.bos], before]).astype(np.int64))
        for start in range(0, len(ids), _CHUNK):
            part = slice(start, start + _CHUNK)
            tokens = ids[None, part].expand(n_pieces, -1)
            logits = self.hear(tokens, np.broadcast_to(seconds[part], tokens.shape))
        return logits, float(seconds[-1])

    def hear(self, tokens: torch.Tensor, moments: np.ndarray) -> torch.Tensor:
        """Logits (n_pieces, n_ids) of what may follow tokens (n_pieces, n).

        At the ends of the tokens ``moments`` s have passed.
        """
        phases = np.zeros((*moments.shape, 2))
        if self.beats is not None:
            phases = self.beats.phases(self.first_onset + moments.ravel()).reshape(phases.shape)
        device = self.model.device
        inputs = {
            "inputs": tokens.to(device),
            "seconds": torch.from_numpy(moments.astype(np.float32)).to(device),
            "phases": torch.from_numpy(phases.astype(np.float32)).to(device),
        }
        hidden = self.model(inputs, self.caches, self.z)[:, -1]
        possible = self.grammar.possible(inputs["inputs"])[:, -1]
        return self.model.transformer.logits(hidden, possible).float().cpu()


@torch.inference_mode()
def draw_tokens(
    hearing: "Hearing",
    before: np.ndarray,
    n_pieces: int,
    seconds: float,
    temperature: float,
    top_p: float,
    generator: torch.Generator,
    may_end: bool = True,
    wait: int = 0,
) -> list[np.ndarray]:
    """Tokens drawn after ``before`` (n_before,) until ``seconds`` more have passed.

    With ``wait`` the first is a TIME_SHIFT of at least so many steps, which do not count.
    Only tokens that the grammar allows are drawn (`giblet.music.grammar`). The last TIME_SHIFT is
    cut so that they end at that moment; sounding notes are not ended. With ``may_end`` a piece
    ends where the model draws EOS. One cache serves all pieces.

    Returns
    -------
    drawn : n_pieces of (n_tokens,) int32, without ``before``
    """
    v = VOCABULARY
    until = max(1, round(seconds / v.step_seconds)) + wait
    logits, passed = hearing.begin(before, n_pieces)
    if not len(before):
        logits[:, v.eos] = IMPOSSIBLE  # a piece of nothing
    if wait:
        logits[:, : v.time_shift_token(wait)] = IMPOSSIBLE
        logits[:, v.time_shift.stop :] = IMPOSSIBLE
    steps = torch.zeros(n_pieces, dtype=torch.int64)
    running = torch.ones(n_pieces, dtype=torch.bool)
    drawn = []
    for _ in progress(range(int(seconds * _MOST_TOKENS_PER_SECOND) + 1), "drawing", "tokens"):
        if not may_end:
            logits[:, v.eos] = IMPOSSIBLE
        tokens = draw(logits, temperature, top_p, generator)
        left = (until - steps).clamp(min=1)
        tokens = torch.where(v.steps(tokens) > left, v.time_shift_token(left), tokens)
        tokens = torch.where(running, tokens, v.pad)
        drawn.append(tokens)
        steps += v.steps(tokens)
        running &= (tokens != v.eos) & (steps < until)
        if not running.any():
            break
        moments = passed + steps.numpy() * v.step_seconds
        logits = hearing.hear(tokens[:, None], moments[:, None])
    columns = torch.stack(drawn, dim=1).numpy()
    return [row[row < v.size].astype(np.int32) for row in columns]


def draw(
    logits: torch.Tensor, temperature: float, top_p: float, generator: torch.Generator
) -> torch.Tensor:
    """One token (batch,) of each row of logits (batch, n_ids).

    Only the likeliest tokens whose probabilities together reach ``top_p`` are drawn (nucleus
    sampling, Holtzman et al. 2020, arXiv 1904.09751), and those as likely as the last of them; the
    temperature comes first.
    """
    shares = (logits / temperature).softmax(dim=-1)
    ascending = torch.from_numpy(np.sort(shares.numpy()))  # torch's also gives the order: slow
    left_out = ascending.cumsum(dim=-1, dtype=torch.float64) <= 1 - top_p
    n_left_out = left_out[:, :-1].sum(dim=-1, keepdim=True)  # the likeliest always stays
    shares = shares.masked_fill(shares < ascending.gather(1, n_left_out), 0.0)
    up_to = shares.cumsum(dim=-1, dtype=torch.float64)
    moments = torch.rand(len(shares), 1, dtype=torch.float64, generator=generator)
    return torch.searchsorted(up_to, moments * up_to[:, -1:], right=True)[:, 0]


def infilled(
    model: nn.Module,
    notes: Notes,
    begin: float,
    end: float,
    n_candidates: int = 16,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
) -> Notes:
    """A piece with new notes between two moments, which suit what comes before and after.

    Candidates are drawn after what precedes ``begin``; one of them is taken with a probability
    proportional to that of the first notes after ``end`` given it (sampling importance
    resampling, Rubin 1988). With many candidates it is a draw from the model given both sides.
    Notes that begin in the gap are replaced, those that sound into it end at ``begin``.

    Parameters
    ----------
    notes : with beats, where they are known
    begin, end : s

    Raises
    ------
    GibletError
        The gap has no length, or nothing precedes it.
    """
    _check(n_candidates=n_candidates, temperature=temperature, top_p=top_p)
    early, late = notes.onset < begin, notes.onset >= end
    if end - begin < VOCABULARY.step_seconds or not early.any():
        raise GibletError(
            f"infilling from {begin:g} to {end:g} s: give an end at least 1/64 s after the "
            "beginning, and a beginning after the first note"
        )
    generator = torch.Generator().manual_seed(seed)
    first = float(notes.onset[0])
    kept = _only(notes, early)
    kept = replace(kept, duration=np.minimum(kept.duration, begin - kept.onset))
    before, wait = _up_to(tokenize(kept), begin - first)
    z = model.drawn_latents(notes.end - first, 1, seed)
    hearing = Hearing(model, notes.beats, first, model.as_latents(z, n_candidates))
    options = (end - begin, temperature, top_p, generator)
    gaps = draw_tokens(hearing, before, n_candidates, *options, may_end=False, wait=wait)
    after = _only(notes, late)
    candidates = []
    for gap in gaps:
        made = detokenize(np.concatenate([before, gap]))
        made = replace(made, onset=made.onset + first)
        new = _only(made, made.onset >= begin - VOCABULARY.step_seconds / 2)
        new = replace(new, duration=np.minimum(new.duration, end - new.onset))
        candidates.append(_joined(kept, new))
    chosen = candidates[_resampled(hearing, candidates, after, generator)]
    return replace(_joined(chosen, after), beats=notes.beats)


def _resampled(hearing: Hearing, pieces: list[Notes], after: Notes, generator) -> int:
    """Number of the piece that is taken, by the surprise of what comes ``after`` it."""
    first, z = hearing.first_onset, hearing.z
    z = None if z is None else {name: values[0].cpu().numpy() for name, values in z.items()}
    if not len(after):
        return 0
    late, v = _only(after, np.arange(len(after)) < _SUFFIX), VOCABULARY
    n_late = np.count_nonzero(v.is_note_on(tokenize(late)))
    surprise = []
    for piece in pieces:
        tokens = tokenize(_joined(piece, late))
        is_on = v.is_note_on(tokens)
        place = np.flatnonzero(is_on)[-n_late]  # of the first late note
        is_note = is_on | v.is_note_off(tokens)
        begin = np.flatnonzero(is_note[:place]).max(initial=-1) + 1  # its TIME_SHIFT, its VELOCITY
        nats = hearing.model.nats(tokens, hearing.beats, first, z)
        surprise.append(nats[begin:].sum(dtype=np.float64))
    weights = torch.from_numpy(-np.array(surprise)).softmax(dim=0)
    return int(torch.multinomial(weights, 1, generator=generator))


def _joined(*parts: Notes) -> Notes:
    """All notes of the parts, without beats."""
    onset, duration, pitch, velocity = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("onset", "duration", "pitch", "velocity")
    )
    return Notes.from_unsorted(onset, duration, pitch, velocity)


def _only(notes: Notes, mask: np.ndarray) -> Notes:
    return Notes(
        notes.onset[mask],
        notes.duration[mask],
        notes.pitch[mask],
        notes.velocity[mask],
        beats=notes.beats,
    )


def _up_to(tokens: np.ndarray, seconds: float) -> tuple[np.ndarray, int]:
    """Tokens and the longest TIME_SHIFTs before ``seconds`` after their first; steps that are left.

    The rest is no token: what follows may begin with a longer TIME_SHIFT.
    """
    v = VOCABULARY
    steps = max(0, round(seconds / v.step_seconds) - int(v.steps(tokens.astype(np.int64)).sum()))
    whole, rest = divmod(steps, v.max_steps)
    shifts = np.full(whole, v.time_shift_token(v.max_steps))
    return np.concatenate([tokens, shifts]).astype(np.int64), rest


def _check(**numbers: float) -> None:
    for name, value in numbers.items():
        most = _MOST.get(name, np.inf)
        if not 0 < value <= most:
            limit = f", and {most} at most" if name in _MOST else ""
            raise GibletError(f"{name} must be above 0{limit}, not {value:g}")
