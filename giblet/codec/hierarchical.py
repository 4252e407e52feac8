"""The ``hierarchical`` architecture: three levels of latents, one VQ a level, joined by skips."""

from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Self

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers.models.dac.modeling_dac import DacResidualUnit, Snake1d

from giblet.codec.interface import SETTINGS, CodecNetwork, to_length, to_whole
from giblet.codec.levels import HierarchicalSettings, split_stride
from giblet.codec.music import MusicFeatures
from giblet.codec.quantizer import ResidualQuantizer
from giblet.codec.starting import add_weight_norm, shrink, start_pairs, zero_biases
from giblet.store import save_json

_WEIGHTS = "model.safetensors"
_LEVEL = 0.05  # standard deviation inside the network: x + sin²(x) is nearly linear there


class HierarchicalNetwork(CodecNetwork):
    """Three encoders in a row, each with latents of its own; the decoder joins them on its way up.

    Latents are a list, finest level first, (batch, n_padded / compression, latent_dim) each, where
    sound is padded to whole frames of the coarsest level, so that levels match; with music, its
    features (batch, ceil(n_padded / hop_length), n_features) come last. Codes are a like list.
    Nothing but these lists reaches the decoder, and all of them are counted. Codes of -1 are a
    level left out: it costs no bits and says nothing to the decoder.
    """

    def __init__(self, settings: HierarchicalSettings):
        super().__init__()
        self.settings, self.hop_length = settings, settings.compression[-1]
        strides = [split_stride(b // a) for a, b in pairwise((1, *settings.compression))]
        widths = iter(pairwise(_channels(settings, sum(map(len, strides)))))
        levels = [[(*next(widths), stride) for stride in level] for level in strides]
        n_first, ends = levels[0][0][0], [level[-1][1] for level in levels]
        self.first = nn.Conv1d(1, n_first, 7, padding=3)
        self.last = nn.Sequential(Snake1d(n_first), nn.Conv1d(n_first, 1, 7, padding=3), nn.Tanh())
        self.down = nn.ModuleList(nn.Sequential(*(_down(*c) for c in level)) for level in levels)
        self.up = nn.ModuleList(
            nn.Sequential(*(_up(n_out, n_in, stride) for n_in, n_out, stride in reversed(level)))
            for level in levels
        )
        dim = settings.latent_dim
        self.to_latents = nn.ModuleList(nn.Conv1d(n, dim, 3, padding=1) for n in ends)
        self.from_latents = nn.ModuleList(nn.Conv1d(dim, n, 3, padding=1) for n in ends)
        streams = [(dim, settings.n_codebooks, settings.codebook_size)] * len(ends)
        self.music = self.from_music = None
        if (music := settings.music) is not None:
            self.music = MusicFeatures(settings.sample_rate, music.n_fft, music.hop_length)
            self.from_music = nn.Conv1d(self.music.n_features, ends[-1], 1)
            streams.append((self.music.n_features, music.n_codebooks, music.codebook_size))
        add_weight_norm(self)
        self.quantizers = nn.ModuleList(
            ResidualQuantizer(*stream, settings.quantizer) for stream in streams
        )

    def encode(self, waveform: torch.Tensor) -> list[torch.Tensor]:
        whole = to_whole(waveform, self.hop_length)
        hidden, latents = self.first(whole), []
        for down, to_latents in zip(self.down, self.to_latents, strict=True):
            hidden = down(hidden)
            latents.append(to_latents(hidden).transpose(1, 2))
        return latents if self.music is None else [*latents, self.music(whole)]

    def decode(self, latents: list[torch.Tensor], n_samples: int) -> torch.Tensor:
        """Raises ValueError for levels whose lengths do not match."""
        n_coarsest = latents[len(self.up) - 1].shape[1]
        hidden = self._music(latents, n_coarsest)
        for i in reversed(range(len(self.up))):
            n_frames = n_coarsest * self.hop_length // self.settings.compression[i]
            if latents[i].shape[1] != n_frames:
                raise ValueError(f"level {i}: {latents[i].shape[1]} latents, not {n_frames}")
            hidden = self.up[i](hidden + self.from_latents[i](latents[i].transpose(1, 2)))
        return to_length(self.last(hidden), n_samples)

    def _music(self, latents: list[torch.Tensor], n_frames: int) -> torch.Tensor | float:
        """What music features say to each latent of the coarsest level."""
        if self.music is None:
            return 0.0
        moments = torch.arange(n_frames, device=latents[-1].device) * self.hop_length
        frames = latents[-1][:, moments // self.music.hop_length]
        return self.from_music(frames.transpose(1, 2))

    def start(self, waveform: torch.Tensor) -> None:
        """Near the identity, at every level: see ``giblet.codec.starting.start_pairs``."""
        for module in self.modules():
            if isinstance(module, DacResidualUnit):
                shrink(module.conv2)
        zero_biases(self)
        pairs = [(self.first, self.last[1])]
        for down, up, *latents in zip(
            self.down, self.up, self.to_latents, self.from_latents, strict=True
        ):
            pairs += [(d.strided, u.strided) for d, u in zip(down, up[::-1], strict=True)]
            pairs.append(tuple(latents))
        if self.music is not None:
            self.music.start(waveform)
            shrink(self.from_music)
        basis = self.settings.start_basis
        start_pairs(pairs, lambda: self(waveform), waveform.std(), _LEVEL, basis)

    @property
    def codebooks_started(self) -> bool:
        return all(quantizer.started for quantizer in self.quantizers)

    def start_codebooks(self, latents: list[torch.Tensor]) -> None:
        for quantizer, level in zip(self.quantizers, latents, strict=True):
            quantizer.start(level)

    def quantize(self, latents: list[torch.Tensor], n_codebooks: int | None = None) -> tuple:
        """As CodecNetwork, with lists; ``n_codebooks`` of each level."""
        found = zip(self.quantizers, latents, strict=True)
        quantized, codes, losses = zip(*(q(level) for q, level in found), strict=True)
        loss = torch.stack(losses[: len(self.up)]).mean()  # music features are not learned
        if not self.codebooks_started:
            return latents, None, loss
        if n_codebooks is not None:
            codes = [level[..., :n_codebooks] for level in codes]
            quantized = self.dequantize(codes)
        quantized, codes = list(quantized), list(codes)
        for i in range(self._n_dropped()):
            quantized[i], codes[i] = 0 * quantized[i], codes[i].new_full(codes[i].shape, -1)
        return quantized, codes, loss

    def _n_dropped(self) -> int:
        """Finest levels that this training step goes without: any number but all."""
        if not self.training or torch.rand(()).item() >= self.settings.level_dropout:
            return 0
        return int(torch.randint(1, len(self.up), ()))

    def dequantize(self, codes: list[torch.Tensor]) -> list[torch.Tensor]:
        pairs = zip(self.quantizers, codes, strict=True)
        return [quantizer.dequantize(level) for quantizer, level in pairs]

    def count_bits(self, codes: list[torch.Tensor]) -> int:
        pairs = zip(self.quantizers, codes, strict=True)
        return sum(quantizer.count_bits(level) for quantizer, level in pairs)

    def save(self, folder: str | Path, half: bool = False) -> None:
        self.check_started()
        state = {name: value.contiguous() for name, value in self.state_dict().items()}
        if half:
            state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
        save_file(state, Path(folder) / _WEIGHTS)
        save_json(self.settings.model_dump(mode="json"), Path(folder) / SETTINGS)

    @classmethod
    def load(cls, folder: str | Path, settings: HierarchicalSettings) -> Self:
        network = cls(settings)
        network.load_state_dict(load_file(Path(folder) / _WEIGHTS))
        return network


class _Strided(nn.Sequential):
    """Layers, one of which changes the rate."""

    @property
    def strided(self) -> nn.Module:
        return next(m for m in self if isinstance(m, nn.Conv1d | nn.ConvTranspose1d))


def _channels(settings: HierarchicalSettings, n_convolutions: int) -> list[int]:
    """Before the first strided convolution and after each."""
    doubled = (settings.num_filters * 2**i for i in range(n_convolutions + 1))
    return [min(n, settings.max_filters) for n in doubled]


def _down(n_in: int, n_out: int, stride: int) -> _Strided:
    return _Strided(
        DacResidualUnit(n_in, dilation=1),
        DacResidualUnit(n_in, dilation=3),
        Snake1d(n_in),
        nn.Conv1d(n_in, n_out, 2 * stride, stride, padding=ceil(stride / 2)),
    )


def _up(n_in: int, n_out: int, stride: int) -> _Strided:
    """The way back from ``_down``, to exactly ``stride`` times as many frames."""
    padding = {"padding": ceil(stride / 2), "output_padding": stride % 2}
    return _Strided(
        Snake1d(n_in),
        nn.ConvTranspose1d(n_in, n_out, 2 * stride, stride, **padding),
        DacResidualUnit(n_out, dilation=1),
        DacResidualUnit(n_out, dilation=3),
    )
