"""Causal attention over a window of tokens, computed in blocks: time and memory grow with n.

In all functions the queries (batch, n_heads, n, dim) belong to the last n tokens of the keys and
values (batch, n_heads, n_past + n, dim); the result has the queries' shape.
"""

from functools import lru_cache

import torch
from torch.nn import functional


def full_attention(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Each token attends to all tokens up to itself."""
    n, past = queries.shape[2], keys.shape[2] - queries.shape[2]
    if n == 1 or past == 0:
        return functional.scaled_dot_product_attention(queries, keys, values, is_causal=n > 1)
    mask = _band(n, past, past + n, queries.dtype, queries.device)
    return functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)


def window_attention(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, window: int
) -> torch.Tensor:
    """Each token attends to the last ``window`` tokens, itself included.

    Blocks of a quarter as many queries attend to their own keys and to a window of keys before
    them: smaller blocks compute less that is masked, but have larger gradients. The blocks take
    the place of heads, and their keys overlap in memory: nothing is copied. The first block takes
    what remains, so that all others are whole and share one mask.
    """
    n, block = queries.shape[2], max(1, window // 4)
    first = min(n, window + max(0, n - window) % block)
    past = min(keys.shape[2] - n, window - 1)
    keys, values = (x[:, :, -(past + n) :] for x in (keys, values))
    begin = past + first
    out = _banded(queries[:, :, :first], keys[:, :, :begin], values[:, :, :begin], window)
    if first == n:
        return out

    blocks = queries[:, :, first:].flatten(0, 1).unflatten(1, (-1, block))
    own_keys, own_values = (
        _Overlapping.apply(x[:, :, begin - window :].flatten(0, 1), window + block, block)
        for x in (keys, values)
    )  # (batch * n_heads, n_blocks, window + block, dim)
    rest = _banded(blocks, own_keys, own_values, window)
    rest = rest.flatten(1, 2).unflatten(0, queries.shape[:2])
    return torch.cat((out, rest), dim=2)


def dilated_attention(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, window: int, dilation: int
) -> torch.Tensor:
    """Each token attends to itself and to ``window - 1`` tokens at distances of ``dilation``.

    Tokens of equal index modulo ``dilation`` are sequences of their own with a plain window.
    """
    n, past = queries.shape[2], keys.shape[2] - queries.shape[2]
    if dilation == 1:
        return window_attention(queries, keys, values, window)
    if n == 1:
        own = slice(past % dilation, None, dilation)
        return window_attention(queries, keys[:, :, own], values[:, :, own], window)

    early, late = past % dilation, -(past + n) % dilation
    queries = functional.pad(queries, (0, 0, early, late))  # begins where a row of keys begins
    keys, values = (functional.pad(x, (0, 0, 0, late)) for x in (keys, values))
    queries, keys, values = (
        x.unflatten(2, (-1, dilation)).movedim(3, 1).flatten(0, 1) for x in (queries, keys, values)
    )  # (batch * dilation, n_heads, n_tokens / dilation, dim)
    out = window_attention(queries, keys, values, window)
    out = out.unflatten(0, (-1, dilation)).movedim(1, 3).flatten(2, 3)
    return out[:, :, early : early + n]


class _Overlapping(torch.autograd.Function):
    """Rows of x (batch, n, dim) in views of ``size`` rows, one every ``step``.

    As ``x.unfold(1, size, step).mT``, whose gradient torch adds row by row: here slices are added.
    """

    @staticmethod
    def forward(ctx, x: torch.Tensor, size: int, step: int) -> torch.Tensor:
        ctx.sizes = x.shape[1], step
        return x.unfold(1, size, step).mT

    @staticmethod
    def backward(ctx, gradient: torch.Tensor):
        n, step = ctx.sizes
        n_blocks, size = gradient.shape[1:3]
        total = gradient.new_zeros(gradient.shape[0], n_blocks, step, gradient.shape[3])
        total = functional.pad(total, (0, 0, 0, 0, 0, -(-size // step)))
        for at, part in enumerate(gradient.split(step, dim=2)):
            total[:, at : at + n_blocks, : part.shape[2]] += part
        return total.flatten(1, 2)[:, :n], None, None


def _banded(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, window: int
) -> torch.Tensor:
    """Window attention in one piece, with a dense mask."""
    n, past = queries.shape[2], keys.shape[2] - queries.shape[2]
    if n == 1 and past < window:  # sees all
        return functional.scaled_dot_product_attention(queries, keys, values)
    mask = _band(n, past, window, queries.dtype, queries.device)
    return functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)


@lru_cache(maxsize=16)
def _band(n: int, past: int, window: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """(n, past + n) to add to scores: 0 where query r may see key c: 0 <= past + r - c < window."""
    with torch.inference_mode(False):  # kept, and used in training too
        distance = (
            torch.arange(n, device=device)[:, None] + past - torch.arange(past + n, device=device)
        )
        return additive_mask((distance >= 0) & (distance < window), dtype)


def additive_mask(visible: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """0 where ``visible``, else -inf."""
    mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return mask.masked_fill_(~visible, float("-inf"))
