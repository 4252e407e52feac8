"""Hierarchical attention: a window of tokens, and one summary for each block before it.

Museformer (Yu et al. 2022, arXiv 2210.10349) attends to tokens of some bars and to
summaries of all others; here the blocks have a fixed number of tokens, and the number of
summaries is bounded, so that time and memory grow with n.
"""

from functools import lru_cache

import torch
from torch.nn import functional

from giblet.music.attention_kinds import additive_mask


def summarize(
    keys: torch.Tensor, values: torch.Tensor, pool: torch.Tensor, block: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values (batch, n_heads, n_blocks * block, dim) to one of each per block.

    ``pool`` (n_heads, dim): weights within a block are the softmax of its product with the keys.
    """
    keys, values = (x.unflatten(2, (-1, block)) for x in (keys, values))
    weights = (keys * pool[:, None, None, :].to(keys.dtype)).sum(-1, keepdim=True).softmax(dim=3)
    return (weights * keys).sum(3), (weights * values).sum(3)


def hierarchical_attention(
    queries: torch.Tensor,
    fine: tuple[torch.Tensor, torch.Tensor],
    coarse: tuple[torch.Tensor, torch.Tensor],
    first: int,
    n_blocks: int,
    window: int,
    block: int,
    n_summaries: int,
) -> torch.Tensor:
    """Attention of queries (batch, n_heads, n, dim) to tokens and to summaries at once.

    ``fine``: keys and values of the last n_past + n tokens; the token of index i attends to the
    last ``window`` of them. ``coarse``: keys and values of the last of ``n_blocks`` complete
    blocks; token i attends to the ``n_summaries`` latest blocks that begin before its window,
    thus to blocks up to (i - window) // block. ``first``: index i of the first query.
    ``window`` is a multiple of ``block``.
    """
    n, past = queries.shape[2], fine[0].shape[2] - queries.shape[2]
    drop = max(0, past - window)
    sizes = [past - drop, *([window] * (n // window)), *([n % window] if n % window else [])]
    fine_parts = list(zip(*(x[:, :, drop:].split(sizes, dim=2) for x in fine), strict=True))
    latest_first = tuple(x.flip(2) for x in coarse)
    out = []
    for at, rows in enumerate(queries.split(sizes[1:], dim=2)):
        begin = first + at * window
        count = rows.shape[2]
        latest = (begin + count - 1 - window) // block
        earliest = max(0, (begin - window) // block - n_summaries + 1)
        seen = slice(n_blocks - 1 - latest, n_blocks - earliest) if latest >= 0 else slice(0, 0)
        keys, values = (
            torch.cat((before, own, summaries[:, :, seen]), dim=2)
            for before, own, summaries in zip(
                fine_parts[at], fine_parts[at + 1], latest_first, strict=True
            )
        )
        mask = None
        if count > 1:
            whole = _mask(
                count, begin % block, window, block, n_summaries, queries.dtype, queries.device
            )
            left = window - sizes[at]
            mask = whole[:, left : left + keys.shape[2]]
        else:
            keys, values = (x[:, :, max(0, sizes[at] + 1 - window) :] for x in (keys, values))
        out.append(functional.scaled_dot_product_attention(rows, keys, values, attn_mask=mask))
    return torch.cat(out, dim=2)


@lru_cache(maxsize=16)
def _mask(
    n: int,
    phase: int,
    window: int,
    block: int,
    n_summaries: int,
    dtype: torch.dtype,
    device: torch.device,
) -> torch.Tensor:
    """(n, window + n + number of summaries) to add to scores: tokens, then summaries, latest first.

    Of n queries in a row, the first ``phase`` tokens after the beginning of a block.
    """
    with torch.inference_mode(False):  # kept, and used in training too
        query = torch.arange(n, device=device)[:, None]
        distance = query + window - torch.arange(window + n, device=device)
        last = (phase + n - 1) // block  # blocks, counted from the latest that the first query sees
        latest = (phase + query) // block
        summary = last - torch.arange(last + n_summaries, device=device)
        return additive_mask(
            torch.cat(
                (
                    (distance >= 0) & (distance < window),
                    (summary <= latest) & (summary > latest - n_summaries),
                ),
                dim=1,
            ),
            dtype,
        )
