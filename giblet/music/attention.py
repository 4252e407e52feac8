"""Causal self-attention in four kinds, with rotary positions and a cache for new tokens."""

import copy
from typing import Literal, Self

import torch
from pydantic import Field, PositiveInt, model_validator as validator
from torch import nn

from giblet.config.strict import StrictSettings
from giblet.errors import GibletError
from giblet.music.attention_kinds import dilated_attention, full_attention
from giblet.music.cache import KeyValueCache
from giblet.music.summaries import hierarchical_attention, summarize

_ROTARY_BASE = 10_000.0


class AttentionSettings(StrictSettings):
    """Which past tokens each token attends to. Only ``full`` grows with the square of n."""

    kind: Literal["full", "window", "multi_scale", "hierarchical"] = "window"
    window: PositiveInt = Field(256, description="tokens that each head sees, itself included")
    dilations: tuple[PositiveInt, ...] = Field(
        (1, 2, 4, 8), description="multi_scale: steps between those tokens, shared out over heads"
    )
    block: PositiveInt = Field(64, description="hierarchical: tokens of a summary")
    n_summaries: PositiveInt = Field(64, description="hierarchical: the latest ones are seen")

    @validator(mode="after")
    def _whole_blocks(self) -> Self:
        if self.kind == "hierarchical" and self.window % self.block:
            raise ValueError(f"window ({self.window}) must be a multiple of block ({self.block})")
        return self

    @property
    def reach(self) -> int | None:
        """Tokens back that one layer can depend on, itself included; None: all."""
        if self.kind == "full":
            return None
        if self.kind == "multi_scale":
            return (self.window - 1) * max(self.dilations) + 1
        return self.window + (self.kind == "hierarchical") * self.block * self.n_summaries


class Attention(nn.Module):
    """Multi-head causal self-attention (batch, n, width) → (batch, n, width).

    Positions are rotary (Su et al. 2021, arXiv 2104.09864) by token index: scores depend on
    distances alone. Time and beats belong to the input, see ``giblet.music.positions``.
    """

    def __init__(self, width: int, n_heads: int, settings: AttentionSettings):
        super().__init__()
        if width % (2 * n_heads):
            raise GibletError(
                f"width ({width}) must be an even multiple of n_heads ({n_heads}): change one"
            )
        self.settings = settings
        self.n_heads, self.head_width = n_heads, width // n_heads
        self.to_heads = nn.Linear(width, 3 * width, bias=False)
        self.from_heads = nn.Linear(width, width, bias=False)
        self._groups = _head_groups(n_heads, settings)
        if settings.kind == "hierarchical":
            self.pool = nn.Parameter(torch.zeros(n_heads, self.head_width))

    def new_cache(self) -> "AttentionCache":
        """An empty cache, for one batch of sequences."""
        return AttentionCache(self.settings, [dilation for _heads, dilation in self._groups])

    def rotation(self, x: torch.Tensor, first: int = 0) -> torch.Tensor:
        """Cosines and sines (2, n, head_width) for ``x`` (batch, n, width).

        ``first``: the index of its first token.
        """
        positions = first + torch.arange(x.shape[1], device=x.device)
        return _rotation(positions, self.head_width, x.dtype)

    def forward(
        self,
        x: torch.Tensor,
        cache: "AttentionCache | None" = None,
        rotation: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Attention of ``x`` (batch, n, width) to itself and to what ``cache`` holds.

        The cache is updated in place: chunks of any sizes give what the whole gives.
        ``rotation``: see the method of that name; layers of equal size may share one.
        """
        first = cache.n_seen if cache else 0
        if rotation is None:
            rotation = self.rotation(x, first)
        heads = self.to_heads(x).unflatten(-1, (3, self.n_heads, self.head_width))
        heads = heads.permute(2, 0, 3, 1, 4)  # (3, batch, n_heads, n, head_width)
        queries, turned = _rotate(heads[:2], rotation)
        if self.settings.kind == "hierarchical":
            out = self._hierarchical(queries, turned, heads[1], heads[2], cache, first)
        else:
            out = self._by_group(queries, turned, heads[2], cache)
        if cache:
            cache.n_seen += x.shape[1]
        return self.from_heads(out.transpose(1, 2).flatten(2))

    def _by_group(self, queries, keys, values, cache):
        """Full, windowed and dilated attention: each group of heads in its own way."""
        out = []
        for at, (heads, dilation) in enumerate(self._groups):
            own = [x[:, heads] for x in (queries, keys, values)]
            if cache:
                own[1:] = cache.groups[at].append(*own[1:])
            if self.settings.kind == "full":
                out.append(full_attention(*own))
            else:
                out.append(dilated_attention(*own, self.settings.window, dilation))
        return torch.cat(out, dim=1) if len(out) > 1 else out[0]

    def _hierarchical(self, queries, turned, keys, values, cache, first):
        """Attention to a window of tokens and to summaries of whole blocks before it."""
        settings = self.settings
        fine = (turned, values)
        if cache:
            fine = cache.groups[0].append(*fine)
            keys, values = cache.complete(keys, values)
        n_blocks = (first + queries.shape[2]) // settings.block
        n_new = keys.shape[2] // settings.block
        whole = n_new * settings.block
        coarse_keys, coarse_values = summarize(
            keys[:, :, :whole], values[:, :, :whole], self.pool, settings.block
        )
        ends = torch.arange(n_blocks - n_new + 1, n_blocks + 1, device=keys.device)
        ends = ends * settings.block - 1  # a summary stands where its block ends
        coarse = (_rotate(coarse_keys, _rotation(ends, self.head_width, keys.dtype)), coarse_values)
        if cache:
            cache.incomplete = torch.stack((keys[:, :, whole:], values[:, :, whole:]))
            coarse = cache.summaries.append(*coarse)
        return hierarchical_attention(
            queries,
            fine,
            coarse,
            first,
            n_blocks,
            settings.window,
            settings.block,
            settings.n_summaries,
        )


class AttentionCache:
    """What one attention layer keeps of past tokens: bounded, unless its kind is ``full``."""

    def __init__(self, settings: AttentionSettings, dilations: list[int]):
        self.n_seen = 0
        keep = [(settings.window - 1) * dilation for dilation in dilations]
        self.groups = [KeyValueCache(None if settings.kind == "full" else n) for n in keep]
        self.summaries = KeyValueCache(settings.n_summaries - 1 + settings.window // settings.block)
        self.incomplete: torch.Tensor | None = None  # keys and values of a block not yet whole

    def copy(self) -> Self:
        """A cache that goes on from here; only where gradients are recorded."""
        twin = copy.copy(self)
        twin.groups = [group.copy() for group in self.groups]
        twin.summaries = self.summaries.copy()
        return twin

    def complete(
        self, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values since the last whole block: those kept and the new ones."""
        if self.incomplete is None:
            return keys, values
        both = torch.cat((self.incomplete, torch.stack((keys, values))), dim=3)
        return both[0], both[1]


def _rotation(positions: torch.Tensor, dim: int, dtype: torch.dtype) -> torch.Tensor:
    """Cosines and sines (2, n, dim) of the angles of positions (n,), at least float32.

    Both stand twice, the sines first with a minus. Angles are computed in float64, so that they
    are exact at any position.
    """
    exponents = torch.arange(0, dim, 2, dtype=torch.float64, device=positions.device) / dim
    angles = positions[:, None] * _ROTARY_BASE**-exponents
    cosine, sine = angles.cos(), angles.sin()
    both = torch.stack((torch.cat((cosine, cosine), -1), torch.cat((-sine, sine), -1)))
    return both.to(torch.promote_types(dtype, torch.float32))


def _rotate(x: torch.Tensor, rotation: torch.Tensor) -> torch.Tensor:
    """Turn pairs (i, dim / 2 + i) of the last dimension of x (..., n, dim)."""
    cosine, sine = rotation
    left, right = x.chunk(2, dim=-1)
    turned = torch.addcmul(torch.cat((right, left), dim=-1) * sine, x, cosine)
    return turned.to(x.dtype)


def _head_groups(n_heads: int, settings: AttentionSettings) -> list[tuple[slice, int]]:
    """Heads that attend alike, and the dilation of each group."""
    dilations = settings.dilations if settings.kind == "multi_scale" else (1,)
    if n_heads % len(dilations):
        raise GibletError(
            f"n_heads ({n_heads}) must be a multiple of the number of dilations "
            f"({len(dilations)}): change one"
        )
    size = n_heads // len(dilations)
    return [(slice(i * size, (i + 1) * size), d) for i, d in enumerate(dilations)]
