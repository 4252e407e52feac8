"""A codec's own geometry: codes to latents, and a latent to how likely each code is."""

import torch
from torch import nn
from torch.nn import functional


class Codebooks(nn.Module):
    """A codec's codewords (n_codebooks, codebook_size, codebook_dim), whose sums are latents.

    Nothing of it is learned but how sharply distances tell codes apart, one number a codebook.
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
        known = codes.clamp(min=0).long()
        found = sum(book[known[:, q]] for q, book in enumerate(self.words))
        return found * present[..., None]

    def nearest(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents (..., n_frames, codebook_dim) to codes (..., n_codebooks, n_frames) int64.

        The nearest codeword of each codebook in turn to what those before it have left.
        """
        left, codes = latents, []
        for book in self.words:
            codes.append(_closeness(left, book).argmax(dim=-1))
            left = left - book[codes[-1]]
        return torch.stack(codes, dim=-2)

    def logits(self, latents: torch.Tensor, codes: torch.Tensor | None = None) -> torch.Tensor:
        """Latents (batch, n_frames, codebook_dim) to (batch, n_codebooks, n_frames, codebook_size).

        Less the squared distance of each codeword to what is left of the latent, once the true
        codewords of the codebooks before are taken off: ``codes`` (batch, n_codebooks, n_frames),
        or without them the nearest ones.
        """
        codes = self.nearest(latents) if codes is None else codes.clamp(min=0).long()
        left, scores = latents.float(), []
        for q, book in enumerate(self.words):
            scores.append(_closeness(left, book) * self.sharpness[q].exp())
            left = left - book[codes[:, q]]
        return torch.stack(scores, dim=1)


def _closeness(left: torch.Tensor, book: torch.Tensor) -> torch.Tensor:
    """Less the squared distance to each codeword, but for what is the same for all of them.

    In single precision: half of it takes a neighbour for the nearest.
    """
    with torch.autocast(left.device.type, enabled=False):
        return 2 * functional.linear(left.float(), book) - book.square().sum(-1)
