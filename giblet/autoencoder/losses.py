"""Losses of codes, features and BOLD, and the baselines of codes."""

import torch
from torch.nn import functional


def code_cross_entropy(logits: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy (nats per code) of the true codes; -1 (no frame) is ignored.

    ``logits`` (batch, n_codebooks, n_frames, codebook_size), ``codes`` (batch, n_codebooks,
    n_frames). Chance is ln 1024 = 6.93.
    """
    return functional.cross_entropy(logits.flatten(0, 2), codes.flatten().long(), ignore_index=-1)


def masked_mse(estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared error over the finite entries of ``target``; 0 if there is none."""
    finite = torch.isfinite(target)
    if target.numel() and finite.all():  # the same in fewer passes
        return functional.mse_loss(estimate, target)
    error = torch.where(finite, estimate - torch.nan_to_num(target), 0.0)
    return error.square().sum() / finite.sum().clamp(min=1)


def code_frequencies(train: torch.Tensor, codebook_size: int) -> torch.Tensor:
    """Frequency of each code in ``train`` (n_trs, n_codebooks, n_frames), add-one smoothing.

    Returns (n_codebooks, codebook_size) float64, rows summing to 1; -1 (no frame) is not counted.
    """
    rows = [train[:, q][train[:, q] >= 0].long() for q in range(train.shape[1])]
    counts = torch.stack([torch.bincount(row, minlength=codebook_size) for row in rows]) + 1.0
    return counts.double() / counts.sum(dim=1, keepdim=True)


def unigram_nats(codes: torch.Tensor, train: torch.Tensor, codebook_size: int) -> torch.Tensor:
    """Cross-entropy (nats per code) of ``codes`` under code frequencies counted on ``train``.

    Both (n_trs, n_codebooks, n_frames). The baseline of a model.
    """
    surprise = -code_frequencies(train, codebook_size).log()
    rows = [codes[:, q][codes[:, q] >= 0].long() for q in range(codes.shape[1])]
    return torch.stack([surprise[q, row].mean() for q, row in enumerate(rows)]).mean()
