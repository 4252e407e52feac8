"""The ``hierarchical`` architecture: three levels of latents, one VQ a level, joined by skips."""

from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, PositiveInt, field_validator, model_validator
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional
from transformers.models.dac.modeling_dac import DacResidualUnit, Snake1d

from giblet.codec_training import spectral_features as features
from giblet.codec_training.initialization import (
    Basis,
    add_weight_norm,
    shrink,
    start_pairs,
    zero_biases,
)
from giblet.codec_training.network import (
    PCM_BITS,
    SETTINGS,
    CodebookSize,
    CodecNetwork,
    to_length,
    to_whole,
)
from giblet.codec_training.quantizer import QuantizerSettings, ResidualQuantizer
from giblet.config.strict import StrictSettings
from giblet.io.tables import save_json

_SMALLEST = 16  # codewords that ``with_ratio`` chooses
_DOUBLINGS = 10  # of strides that it tries

Share = Annotated[float, Field(ge=0, le=1)]


class MusicSettings(StrictSettings):
    """Features besides the latents: a frame every ``hop_length`` samples, with their own codes."""

    n_fft: PositiveInt = 2048
    hop_length: PositiveInt = 2048
    n_codebooks: PositiveInt = 2
    codebook_size: CodebookSize = 256

    @field_validator("hop_length")
    @classmethod
    def _whole_steps(cls, value: int, info) -> int:
        step = info.data.get("n_fft", value * 4) // 4
        if value % step:
            raise ValueError(f"{value} must be a multiple of {step}, a quarter of n_fft")
        return value


class HierarchicalSettings(StrictSettings):
    """``compression``: samples of sound per latent at each level, finest first.

    All relative to the sample rate: (8, 16, 32) at 24 kHz are 3000, 1500 and 750 latents per
    second. Each must be a multiple of the one before.
    """

    architecture: Literal["hierarchical"] = "hierarchical"
    sample_rate: PositiveInt = 24000
    compression: tuple[PositiveInt, PositiveInt, PositiveInt] = (8, 16, 32)
    num_filters: PositiveInt = 32
    max_filters: PositiveInt = 256
    latent_dim: PositiveInt = 64
    n_codebooks: PositiveInt = 1
    codebook_size: CodebookSize = 1024
    level_dropout: Share = Field(
        0.0, description="of training steps that leave out the finest level or the finest two"
    )
    music: MusicSettings | None = None
    quantizer: QuantizerSettings = QuantizerSettings()
    start_basis: Basis = "principal"

    @field_validator("compression")
    @classmethod
    def _multiples(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        for finer, coarser in pairwise((1, *value)):
            if coarser % finer:
                raise ValueError(f"{coarser} must be a multiple of {finer}, the level before it")
            split_stride(coarser // finer)
        return value

    @model_validator(mode="after")
    def _every_music_frame_is_heard(self) -> Self:
        if self.music is not None and self.music.hop_length < self.compression[-1]:
            raise ValueError(
                f"music.hop_length {self.music.hop_length} must be at least that of the coarsest "
                f"level, {self.compression[-1]}: else frames are paid for and not heard"
            )
        return self

    @property
    def compression_ratio(self) -> float:
        """Bits of 16-bit PCM over bits of codes, for sound of whole frames."""
        bits = self.n_codebooks * (self.codebook_size - 1).bit_length()
        per_sample = sum(bits / stride for stride in self.compression)
        if (music := self.music) is not None:
            bits = music.n_codebooks * (music.codebook_size - 1).bit_length()
            per_sample += bits / music.hop_length
        return PCM_BITS / per_sample

    def with_ratio(self, ratio: float) -> Self:
        """The same, compressing sound to 1 / ``ratio`` of its 16-bit PCM or a little less.

        All levels become coarser by one power of two, and codebooks may shrink by powers of two
        down to 16 codewords: of these the ratio nearest above the one asked for, and of equals
        the larger codebooks. Music keeps its own, in frames no shorter than the coarsest level's.

        Raises ValueError if none reaches ``ratio``.

        >>> settings = HierarchicalSettings().with_ratio(450)
        >>> settings.compression, settings.codebook_size, round(settings.compression_ratio)
        ((512, 1024, 2048), 1024, 468)
        """
        sizes = [2**k for k in range(_SMALLEST.bit_length() - 1, self.codebook_size.bit_length())]
        choices = [self._coarser(2**k, size) for k in range(_DOUBLINGS + 1) for size in sizes]
        enough = [choice for choice in choices if choice.compression_ratio >= ratio]
        if not enough:
            raise ValueError(f"no strides reach a compression of {ratio}:1")
        return min(enough, key=lambda c: (c.compression_ratio, -c.codebook_size))

    def _coarser(self, factor: int, codebook_size: int) -> Self:
        strides = tuple(stride * factor for stride in self.compression)
        update = {"compression": strides, "codebook_size": codebook_size}
        if self.music is not None:
            hop_length = max(self.music.hop_length, strides[-1])
            update["music"] = {**self.music.model_dump(), "hop_length": hop_length}
        return type(self).model_validate({**self.model_dump(), **update})


def split_stride(stride: int) -> list[int]:
    """Strides of convolutions, 2 to 5 each, whose product is ``stride``; largest last.

    Raises ValueError for another prime factor.

    >>> split_stride(8), split_stride(60)
    ([2, 4], [3, 4, 5])
    """
    strides, left = [], stride
    for factor in (5, 4, 3, 2):
        while left % factor == 0:
            strides, left = [factor, *strides], left // factor
    if left != 1:
        raise ValueError(f"a stride of {stride} is no product of 2, 3, 4 and 5")
    return strides


N_CHROMA = 12


class MusicFeatures(nn.Module):
    """Sound (batch, 1, n_samples) to features (batch, ceil(n_samples / hop_length), n_features).

    Per frame, from ``n_steps`` = hop_length / (n_fft / 4) spectra: the share of each of 12 pitch
    classes; the rise of the log-mel spectrum into each step; centroid, roll-off and the contrast
    of each octave band. Each feature is standardised by ``start``.

    Raises ValueError if ``hop_length`` is no multiple of ``n_fft / 4``.
    """

    def __init__(
        self, sample_rate: int, n_fft: int, hop_length: int, n_mels: int = 40, floor: float = 1e-3
    ):
        super().__init__()
        if hop_length % (n_fft // 4):
            raise ValueError(f"hop_length {hop_length} must be a multiple of {n_fft // 4}")
        self.n_fft, self.hop_length, self.floor = n_fft, hop_length, floor
        self.n_steps = hop_length // (n_fft // 4)
        self.bands = features.octave_bands(sample_rate, n_fft)
        self.register_buffer("mel", features.mel_bank(sample_rate, n_fft, n_mels), persistent=False)
        self.register_buffer("chroma", features.chroma_bank(sample_rate, n_fft), persistent=False)
        self.n_features = N_CHROMA + self.n_steps + 2 + len(self.bands)
        self.register_buffer("mean", torch.zeros(self.n_features))
        self.register_buffer("std", torch.ones(self.n_features))

    def start(self, waveform: torch.Tensor) -> None:
        """Standardise by the features of ``waveform`` (batch, 1, n_samples)."""
        frames = self._measure(waveform).flatten(0, 1)
        self.mean.copy_(frames.mean(dim=0))
        self.std.copy_(frames.std(dim=0).clamp(min=1e-3))

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        return (self._measure(waveform) - self.mean) / self.std

    @torch.no_grad()
    def _measure(self, waveform: torch.Tensor) -> torch.Tensor:
        n_frames = -(-waveform.shape[-1] // self.hop_length)
        whole = to_whole(waveform[:, 0].float(), self.hop_length)
        whole = functional.pad(whole, (0, max(0, self.n_fft - whole.shape[-1])))  # one spectrum
        magnitude = features.Spectra(whole).magnitude(self.n_fft)
        parts = [self._by_frame(part, n_frames) for part in self._parts(magnitude)]
        harmony, rhythm, *timbre = parts
        means = [part.mean(dim=-1) for part in (harmony, *timbre)]  # (batch, n, n_frames)
        return torch.cat([*means, rhythm[:, 0].transpose(1, 2)], dim=1).transpose(1, 2)

    def _parts(self, magnitude: torch.Tensor) -> list[torch.Tensor]:
        """Harmony, rhythm, and the three of timbre, each (batch, n, n_spectra - 1)."""
        now, floor = magnitude[..., 1:], self.floor
        log_mel = features.log_above(self.mel @ magnitude, floor)
        return [
            features.chroma(now.square(), self.chroma, floor),
            features.onset_envelope(log_mel)[:, None],
            features.centroid(now, floor)[:, None],
            features.roll_off(now, floor)[:, None],
            features.contrast(now, self.bands, floor),
        ]

    def _by_frame(self, part: torch.Tensor, n_frames: int) -> torch.Tensor:
        """(batch, n, n_spectra) to (batch, n, n_frames, n_steps)."""
        return part[..., : n_frames * self.n_steps].unflatten(-1, (n_frames, self.n_steps))


_WEIGHTS = "model.safetensors"
_LEVEL = 0.05  # standard deviation inside the network: x + sin²(x) is nearly linear there


class HierarchicalNetwork(CodecNetwork):
    """Three encoders in a row, each with latents of its own; the decoder joins them on its way up.

    Latents are a list, finest level first, (batch, n_padded / compression, latent_dim) each, where
    sound is padded to whole frames of the coarsest level, so that levels match; with music, its
    features (batch, ceil(n_padded / hop_length), n_features) come last. Codes are a like list.
    The decoder gets nothing but these lists, and all of them count as bits. Codes of -1 are a
    level left out: it costs no bits and the decoder ignores it.
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
        """Music features projected to each frame of the coarsest level; 0 without music."""
        if self.music is None:
            return 0.0
        moments = torch.arange(n_frames, device=latents[-1].device) * self.hop_length
        frames = latents[-1][:, moments // self.music.hop_length]
        return self.from_music(frames.transpose(1, 2))

    def start(self, waveform: torch.Tensor) -> None:
        """Near the identity, at every level: see `initialization.start_pairs`."""
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
        levels = zip(self.quantizers, latents, strict=True)
        quantized, codes, losses = zip(*(q(level) for q, level in levels), strict=True)
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
