"""Code heads: from the features of a frame to its codes, by latents, classes or indices."""

from abc import ABC, abstractmethod

import torch
from torch import nn
from torch.nn import functional

from giblet.autoencoder.losses import code_cross_entropy, masked_mse


class Codebooks(nn.Module):
    """A codec's codewords (n_codebooks, codebook_size, codebook_dim), whose sums are latents.

    Only the sharpness is learned: the factor from distances to logits, one number a codebook.
    """

    def __init__(self, n_codebooks: int, codebook_size: int, codebook_dim: int):
        super().__init__()
        self.register_buffer("words", torch.zeros(n_codebooks, codebook_size, codebook_dim))
        self.sharpness = nn.Parameter(torch.zeros(n_codebooks))

    @torch.no_grad()
    def take(self, words: torch.Tensor) -> None:
        """These codewords; a codebook is first as sharp as its own spread."""
        self.words.copy_(words)
        spread = self.words.var(dim=1).sum(-1).clamp(min=1e-12)  # (n_codebooks,)
        self.sharpness.copy_((1 / spread).log())

    def latents(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes (batch, n_codebooks, n_frames) int to latents (batch, n_frames, codebook_dim).

        A frame without codes (-1) is 0.
        """
        present = (codes >= 0).all(dim=1)  # (batch, n_frames)
        valid = codes.clamp(min=0).long()
        latents = sum(book[valid[:, q]] for q, book in enumerate(self.words))
        return latents * present[..., None]

    def nearest(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents (..., n_frames, codebook_dim) to codes (..., n_codebooks, n_frames) int64.

        Residual quantisation: the nearest codeword of each codebook in turn to what is left.
        """
        left, codes = latents, []
        for book in self.words:
            codes.append(_closeness(left, book).argmax(dim=-1))
            left = left - book[codes[-1]]
        return torch.stack(codes, dim=-2)

    def logits(self, latents: torch.Tensor, codes: torch.Tensor | None = None) -> torch.Tensor:
        """Latents (batch, n_frames, codebook_dim) to (batch, n_codebooks, n_frames, codebook_size).

        Minus the squared distance of each codeword to the residual of the latent, after the true
        codewords of the codebooks before are subtracted: ``codes`` (batch, n_codebooks, n_frames),
        or without them the nearest ones.
        """
        codes = self.nearest(latents) if codes is None else codes.clamp(min=0).long()
        left, scores = latents.float(), []
        for q, book in enumerate(self.words):
            scores.append(_closeness(left, book) * self.sharpness[q].exp())
            left = left - book[codes[:, q]]
        return torch.stack(scores, dim=1)


def _closeness(left: torch.Tensor, book: torch.Tensor) -> torch.Tensor:
    """Minus the squared distance to each codeword, without the term that all codewords share.

    In single precision: in half precision a neighbour may come out nearest.
    """
    with torch.autocast(left.device.type, enabled=False):
        return 2 * functional.linear(left.float(), book) - book.square().sum(-1)


class CodeHead(nn.Module, ABC):
    """Features of frames (batch, n_frames, dim) to codes (batch, n_codebooks, n_frames)."""

    unit = "nats"  # of its loss

    @abstractmethod
    def codes(self, frames: torch.Tensor) -> torch.Tensor:
        """The codes, int64."""

    @abstractmethod
    def loss(self, frames: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Loss against the true codes (-1: no frame), a scalar."""

    def start_at(self, frequencies: torch.Tensor) -> None:
        """Begin at these frequencies of codes (n_codebooks, codebook_size), if that can be."""


class ClassifierHead(CodeHead):
    """A score for every code of every codebook; cross-entropy."""

    def __init__(self, dim: int, n_codebooks: int, codebook_size: int):
        super().__init__()
        self.n_codebooks, self.codebook_size = n_codebooks, codebook_size
        self.scores = nn.Linear(dim, n_codebooks * codebook_size)

    @torch.no_grad()
    def start_at(self, frequencies: torch.Tensor) -> None:
        """A fresh classifier first has to unlearn its own guesses: a short film never does."""
        self.scores.bias.copy_(frequencies.log().flatten())
        self.scores.weight.mul_(0.1)

    def logits(self, frames: torch.Tensor, codes: torch.Tensor | None = None) -> torch.Tensor:
        """(batch, n_codebooks, n_frames, codebook_size); the true codes play no part."""
        scores = self.scores(functional.gelu(frames))
        return scores.unflatten(-1, (self.n_codebooks, self.codebook_size)).transpose(1, 2)

    def codes(self, frames):
        return self.logits(frames).argmax(dim=-1)

    def loss(self, frames, codes):
        return code_cross_entropy(self.logits(frames).float(), codes)


class GeometricHead(CodeHead):
    """A latent for each frame; codes are as likely as they are near, so near misses sound near.

    It learns to be near the true latent. Cross-entropy would not do for that: it does not change
    when a latent grows beyond the codewords.
    """

    unit = "latent"

    def __init__(self, dim: int, codebooks: Codebooks):
        super().__init__()
        self.codebooks = codebooks
        self.latent = nn.Linear(dim, codebooks.words.shape[-1])

    def latents(self, frames: torch.Tensor) -> torch.Tensor:
        """(batch, n_frames, codebook_dim), the codec's own."""
        return self.latent(frames).float()

    def logits(self, frames: torch.Tensor, codes: torch.Tensor | None = None) -> torch.Tensor:
        """(batch, n_codebooks, n_frames, codebook_size); see `Codebooks.logits`."""
        return self.codebooks.logits(self.latents(frames), codes)

    def codes(self, frames):
        return self.codebooks.nearest(self.latents(frames))

    def loss(self, frames, codes):
        return masked_mse(self.latents(frames), known_latents(self.codebooks, codes))

    def calibration(self, frames: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Cross-entropy (nats per code); its gradient reaches the codebooks' sharpness alone."""
        logits = self.codebooks.logits(self.latents(frames).detach(), codes)
        return code_cross_entropy(logits, codes)


def known_latents(codebooks: Codebooks, codes: torch.Tensor) -> torch.Tensor:
    """Latents (batch, n_frames, codebook_dim) of codes, NaN where there is no frame."""
    present = (codes >= 0).all(dim=1)[..., None]
    return torch.where(present, codebooks.latents(codes), torch.nan)


class RegressionHead(CodeHead):
    """The index of each code as a number in [0, 1]; mean squared error.

    An index is a label without neighbours: this head is an ablation that shows the cost.
    """

    unit = "index"

    def __init__(self, dim: int, n_codebooks: int, codebook_size: int):
        super().__init__()
        self.highest = codebook_size - 1
        self.index = nn.Linear(dim, n_codebooks)

    @torch.no_grad()
    def start_at(self, frequencies: torch.Tensor) -> None:
        places = torch.linspace(0, 1, frequencies.shape[1], dtype=frequencies.dtype)
        self.index.bias.copy_(frequencies @ places)
        self.index.weight.mul_(0.1)

    def _places(self, frames):
        return self.index(functional.gelu(frames)).transpose(1, 2)  # (batch, n_codebooks, n_frames)

    def codes(self, frames):
        return (self._places(frames) * self.highest).round().clamp(0, self.highest).long()

    def loss(self, frames, codes):
        error = (self._places(frames).float() - codes / self.highest).square()
        present = codes >= 0
        return (error * present).sum() / present.sum().clamp(min=1)
