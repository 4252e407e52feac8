"""Tokens that may come next: the canonical form of `giblet.music.tokenize` as a grammar.

A pitch ends only if it sounds, and begins only if it does not. At one moment NOTE_OFFs precede
NOTE_ONs, both ascending; a VELOCITY differs from the last one and precedes a NOTE_ON; only a
TIME_SHIFT of 512 steps precedes another; a piece ends with its last note. A network knows none of
this by itself: its attention need not reach back to where a note began.
"""

from typing import Self

import numpy as np
import torch

from giblet.music.tokens import VOCABULARY

IMPOSSIBLE = -1e4  # a logit: its probability is 0 in all precisions, and it has a gradient of 0
_N_PITCHES = VOCABULARY.n_pitches


class Grammar:
    """What may follow tokens of some pieces, read from BOS on, in one part or in many.

    >>> after = Grammar().possible(torch.tensor([[VOCABULARY.bos, 771, 60]]))
    >>> after.sum(dim=-1).tolist()  # a VELOCITY or EOS; a NOTE_ON; all but 61 + 128 + 1 + EOS, ...
    [[7, 128, 584]]
    """

    def __init__(self) -> None:
        self._before: tuple[torch.Tensor, ...] | None = None

    def possible(self, tokens: torch.Tensor) -> torch.Tensor:
        """Which ids may follow each of the next tokens.

        Parameters
        ----------
        tokens : (n_pieces, n_tokens) int64
            In the canonical form; BOS at a piece's beginning. PAD follows PAD and EOS.

        Returns
        -------
        possible : (n_pieces, n_tokens, n_ids) bool
        """
        v = VOCABULARY
        if self._before is None:
            none = torch.full_like(tokens[:, :1], -1)
            silent = torch.zeros(len(tokens), 1, _N_PITCHES, dtype=torch.int8, device=tokens.device)
            self._before = silent, none, none, none
        sounding, latest_on, latest_off, loudness = self._before
        is_on, is_off, is_shift = (
            v.is_note_on(tokens),
            v.is_note_off(tokens),
            v.is_time_shift(tokens),
        )
        is_shift, is_velocity = v.is_time_shift(tokens), v.is_velocity(tokens)

        sounding = sounding + _changes(tokens, is_on, is_off).cumsum(dim=1, dtype=torch.int8)
        moment = is_shift.cumsum(dim=1)
        latest_on = _latest_of_moment(v.pitch(tokens), is_on, moment, latest_on)
        latest_off = _latest_of_moment(v.pitch(tokens), is_off, moment, latest_off)
        loudness = _latest(v.velocity_bin(tokens), is_velocity, loudness)
        self._before = sounding[:, -1:], latest_on[:, -1:], latest_off[:, -1:], loudness[:, -1:]

        is_begin = tokens == v.bos
        pitches = torch.arange(_N_PITCHES, device=tokens.device)
        bins = torch.arange(v.n_velocities, device=tokens.device)
        sounds = sounding > 0
        possible = sounds.new_zeros(*tokens.shape, v.n_ids)
        on = ~sounds & (pitches > latest_on[..., None])
        possible[..., v.note_on] = on & (loudness >= 0)[..., None]
        off = sounds & (pitches > latest_off[..., None])
        possible[..., v.note_off] = off & (is_off | is_shift)[..., None]
        is_long = v.steps(tokens) == v.max_steps
        possible[..., v.time_shift] = (is_on | is_off | is_long)[..., None]
        other = (bins != loudness[..., None]) & on.any(dim=-1, keepdim=True)
        possible[..., v.velocity] = other & ~is_velocity[..., None]
        possible[..., v.eos] = (is_off | is_begin) & ~sounds.any(dim=-1)
        ended = (tokens == v.eos) | (tokens == v.pad)
        possible[ended] = False
        possible[..., v.pad] = ended
        return possible

    def of_each(self, n_pieces: int) -> Self:
        """The grammar of ``n_pieces`` pieces that go on from one that was read."""
        if self._before is not None:
            self._before = tuple(state.expand(n_pieces, *state.shape[1:]) for state in self._before)
        return self


def possible_tokens(tokens: np.ndarray) -> np.ndarray:
    """Tokens that may stand at each place of a piece (n_tokens,): (n_tokens, 774) bool."""
    inputs = np.concatenate([[VOCABULARY.bos], tokens])[:-1].astype(np.int64)
    return possible_targets(torch.from_numpy(inputs))[:, : VOCABULARY.size].numpy()


def possible_targets(inputs: torch.Tensor) -> torch.Tensor:
    """Which ids may follow each token (n_tokens,) of a piece from BOS on: (n_tokens, n_ids)."""
    return Grammar().possible(inputs[None])[0]


def _changes(tokens: torch.Tensor, is_on: torch.Tensor, is_off: torch.Tensor) -> torch.Tensor:
    """1 where a token begins a pitch, -1 where it ends it: (..., n_pitches) int8."""
    sign = is_on.to(torch.int8) - is_off.to(torch.int8)
    changes = sign.new_zeros(*tokens.shape, _N_PITCHES)
    pitch = VOCABULARY.pitch(tokens).clamp(min=0)
    return changes.scatter_(-1, pitch[..., None], sign[..., None])


def _latest_of_moment(
    pitch: torch.Tensor, is_kind: torch.Tensor, moment: torch.Tensor, before: torch.Tensor
) -> torch.Tensor:
    """Highest pitch of a kind since the last TIME_SHIFT, -1 for none; ``before`` in moment 0."""
    height = torch.where(is_kind, pitch, -1)
    height[:, :1] = torch.where(moment[:, :1] == 0, height[:, :1].maximum(before), height[:, :1])
    size = _N_PITCHES + 1
    return (moment * size + height + 1).cummax(dim=1).values - moment * size - 1


def _latest(values: torch.Tensor, is_kind: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """The last value of a kind so far, ``before`` where there is none yet."""
    places = torch.arange(values.shape[1], device=values.device).expand_as(values)
    last = torch.where(is_kind, places, -1).cummax(dim=1).values
    return torch.where(last >= 0, values.gather(1, last.clamp(min=0)), before)
