"""Keys and values of past tokens, kept so that new tokens are computed alone."""

import copy
from typing import Self

import torch


class KeyValueCache:
    """Keys and values of the last ``keep`` tokens; of all tokens if ``keep`` is None.

    Memory is bounded by twice ``keep`` tokens, in one buffer that is written in place. Where
    gradients are recorded, nothing is written in place: what is kept stays part of the graph.
    """

    def __init__(self, keep: int | None):
        self.keep = keep
        self._room: torch.Tensor | None = None  # (keys and values, batch, heads, capacity, dim)
        self._start = self._stop = 0  # of what is held
        self._linked: tuple[torch.Tensor, torch.Tensor] | None = None  # the same, with gradients

    def copy(self) -> Self:
        """A cache that goes on from here; only where gradients are recorded."""
        return copy.copy(self)

    def append(self, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values (batch, n_heads, at most keep + n, dim): the kept ones, then the n new.

        The result is valid until the next call.
        """
        if torch.is_grad_enabled():
            return self._append_linked(keys, values)
        n = keys.shape[2]
        if self._room is None:
            self._store(torch.stack((keys, values)))
            return keys, values
        if self._stop + n <= self._room.shape[3]:  # generation: nothing moves
            self._room[0, :, :, self._stop : self._stop + n] = keys
            self._room[1, :, :, self._stop : self._stop + n] = values
            self._stop += n
            held = self._room[:, :, :, self._start : self._stop]
            self._start = self._first_kept(self._stop, self._start)
        else:
            held = torch.cat(
                (self._room[:, :, :, self._start : self._stop], torch.stack((keys, values))), dim=3
            )
            self._store(held)
        return held[0], held[1]

    def _append_linked(
        self, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self._linked is not None:
            keys, values = (
                torch.cat((old, new), dim=2)
                for old, new in zip(self._linked, (keys, values), strict=True)
            )
        first = self._first_kept(keys.shape[2])  # clones: a view would hold all of it
        self._linked = (keys[:, :, first:].clone(), values[:, :, first:].clone())
        return keys, values

    def _store(self, held: torch.Tensor) -> None:
        """Keep the last tokens of ``held`` in a buffer with room for as many again."""
        held = held[:, :, :, self._first_kept(held.shape[3]) :]
        self._start, self._stop = 0, held.shape[3]
        capacity = 2 * (self.keep or max(self._stop, 1))
        if self._room is None or self._room.shape[3] < capacity:
            self._room = held.new_empty((*held.shape[:3], capacity, held.shape[4]))
        self._room[:, :, :, : self._stop] = held

    def _first_kept(self, stop: int, start: int = 0) -> int:
        return start if self.keep is None else max(start, stop - self.keep)
