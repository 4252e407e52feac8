"""Networks of video frames, text and scores: features of a TR to a vector, and back."""

from itertools import pairwise

import torch
from torch import nn


class VideoEncoder(nn.Module):
    """Video frames (batch, n_frames, height, width, 3) uint8 → (batch, out_dim)."""

    def __init__(self, out_dim: int = 1024, channels=(3, 16, 32, 64, 64)):
        super().__init__()
        layers = []
        for n_in, n_out in pairwise(channels):
            layers += [nn.Conv2d(n_in, n_out, 3, stride=2, padding=1), nn.GELU()]
        self.convs = nn.Sequential(*layers, nn.AdaptiveAvgPool2d((3, 5)), nn.Flatten())
        self.project = nn.Linear(channels[-1] * 15, out_dim)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        batch, n_frames = pictures.shape[:2]
        images = pictures.flatten(0, 1).permute(0, 3, 1, 2)  # (batch * n_frames, 3, height, width)
        features = self.convs(images.to(self.project.weight.dtype) / 255 - 0.5)
        return self.project(features.view(batch, n_frames, -1).mean(dim=1))


class TextEncoder(nn.Module):
    """Embedded words (batch, n_features) → (batch, out_dim)."""

    def __init__(self, n_features: int = 1024, out_dim: int = 256):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_features, out_dim), nn.GELU(), nn.Linear(out_dim, out_dim)
        )

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        return self.layers(words)


_RARE = 1e-4  # share of steps: a pitch that training never has
_SMALL = 0.01  # of a last layer's own weights, where learning begins at the training mean


class VideoDecoder(nn.Module):
    """Bottleneck → video frames (batch, n_frames, height, width, 3) float in [0, 1]."""

    def __init__(self, bottleneck_dim: int, n_frames: int, height: int, width: int):
        super().__init__()
        self.shape = (n_frames, 3, height, width)
        self.small = (64, -(-height // 16), -(-width // 16))
        self.lay_out = nn.Linear(bottleneck_dim, self.small[0] * self.small[1] * self.small[2])
        channels = (64, 32, 16, 16, 3 * n_frames)
        layers = []
        for n_in, n_out in pairwise(channels):
            layers += [nn.GELU(), nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1)]
        self.convs = nn.Sequential(*layers)

    @torch.no_grad()
    def start_at(self, mean: torch.Tensor) -> None:
        """Begin by predicting this mean colour (3,) in [0, 1] for any input."""
        last = self.convs[-1]
        last.bias.copy_(torch.logit(mean.clamp(0.01, 0.99)).repeat(self.shape[0]))
        last.weight.mul_(_SMALL)

    def forward(self, bottleneck: torch.Tensor) -> torch.Tensor:
        images = self.convs(self.lay_out(bottleneck).view(-1, *self.small))
        _n_frames, _rgb, height, width = self.shape
        images = images[..., :height, :width].unflatten(1, self.shape[:2])
        return torch.sigmoid(images.permute(0, 1, 3, 4, 2))


class TextDecoder(nn.Module):
    """Bottleneck → embedded words (batch, n_features)."""

    def __init__(self, bottleneck_dim: int, n_features: int = 1024, dim: int = 256):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(bottleneck_dim, dim), nn.GELU(), nn.Linear(dim, n_features)
        )

    @torch.no_grad()
    def start_at(self, mean: torch.Tensor) -> None:
        """Begin by predicting this mean (n_features,) for any input."""
        self.layers[-1].bias.copy_(mean)
        self.layers[-1].weight.mul_(_SMALL)

    def forward(self, bottleneck: torch.Tensor) -> torch.Tensor:
        return self.layers(bottleneck)


class ScoreEncoder(nn.Module):
    """Piano roll (batch, n_steps, n_rows) uint8 → (batch, out_dim)."""

    def __init__(self, n_steps: int, n_rows: int, out_dim: int = 256):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_steps * n_rows, out_dim), nn.GELU(), nn.Linear(out_dim, out_dim)
        )

    def forward(self, roll: torch.Tensor) -> torch.Tensor:
        return self.layers(roll.flatten(1).to(self.layers[0].weight.dtype))


class ScoreDecoder(nn.Module):
    """Bottleneck → piano roll (batch, n_steps, n_rows) float in [0, 1]."""

    def __init__(self, bottleneck_dim: int, n_steps: int, n_rows: int, dim: int = 256):
        super().__init__()
        self.shape = (n_steps, n_rows)
        self.layers = nn.Sequential(
            nn.Linear(bottleneck_dim, dim), nn.GELU(), nn.Linear(dim, n_steps * n_rows)
        )

    @torch.no_grad()
    def start_at(self, mean: torch.Tensor) -> None:
        """Begin by predicting this mean (n_rows,) in [0, 1] in every step, for any input."""
        odds = torch.logit(mean.clamp(_RARE, 1 - _RARE))
        self.layers[-1].bias.copy_(odds.repeat(self.shape[0]))
        self.layers[-1].weight.mul_(_SMALL)

    def forward(self, bottleneck: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.layers(bottleneck)).view(-1, *self.shape)
