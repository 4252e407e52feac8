"""The ``hierarchical`` codec: three levels of latents with codebooks of their own, joined by skips.

A code frame holds all codes of ``hop_length`` samples: one or more of the coarsest level, then
those of each finer level. Its latents are the levels' side by side, so that codewords, each zero
outside of its own place, sum to them as in any residual codec.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import ceil, lcm

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.models.dac.modeling_dac import DacResidualUnit, Snake1d

from giblet.audio.codecs.dac import receptive_field
from giblet.audio.codecs.encodec_streaming import exact_inference
from giblet.audio.codecs.pretrained import WindowedCodec
from giblet.audio.music_features import MusicFeatures


class HierarchicalConfig(PreTrainedConfig):
    """Sizes of a `HierarchicalModel`; sample rate in Hz, others counts.

    ``compression``: samples per latent at each level, finest first. ``music``: ``n_fft``,
    ``hop_length``, ``n_codebooks`` and ``codebook_size`` of the music features, or None.
    """

    model_type = "giblet_hierarchical"

    sampling_rate: int = 24000
    compression: list[int] | tuple[int, ...] = (8, 16, 32)
    num_filters: int = 32
    max_filters: int = 256
    latent_dim: int = 64
    codebooks_per_level: int = 1
    codewords_per_level: int = 1024
    music: dict | None = None

    @property
    def hop_length(self) -> int:
        """Samples of a code frame: whole latents of each level, whole frames of music."""
        return lcm(self.compression[-1], self.music["hop_length"] if self.music else 1)

    @property
    def codebook_size(self) -> int:
        """Of the larger codebooks, where music has others than the levels."""
        return max(size for _, size, _ in self.streams)

    @property
    def n_codebooks(self) -> int:
        """Codes of a frame."""
        return sum(n_books * n_latents for n_books, _size, n_latents in self.streams)

    @property
    def streams(self) -> list[tuple[int, int, int]]:
        """(codebooks, codewords, latents per code frame) of each level, then of music."""
        books = self.codebooks_per_level, self.codewords_per_level
        streams = [(*books, self.hop_length // stride) for stride in self.compression]
        if (music := self.music) is not None:
            n_frames = self.hop_length // music["hop_length"]
            streams.append((music["n_codebooks"], music["codebook_size"], n_frames))
        return streams


AutoConfig.register(HierarchicalConfig.model_type, HierarchicalConfig, exist_ok=True)


class HierarchicalModel(PreTrainedModel):
    """Three encoders in a row, each with latents of its own; the decoder joins them on its way up.

    Latents are a list, finest level first, (batch, n_padded / compression, latent_dim) each, where
    sound is padded to whole code frames, so that levels match; with music, its features (batch,
    n_padded / music's hop_length, n_features) come last.
    """

    config_class = HierarchicalConfig
    main_input_name = "waveform"

    def __init__(self, config: HierarchicalConfig):
        super().__init__(config)
        strides = [split_stride(b // a) for a, b in pairwise((1, *config.compression))]
        widths = iter(pairwise(_channels(config, sum(map(len, strides)))))
        levels = [[(*next(widths), stride) for stride in level] for level in strides]
        n_first, ends = levels[0][0][0], [level[-1][1] for level in levels]
        self.first = nn.Conv1d(1, n_first, 7, padding=3)
        self.last = nn.Sequential(Snake1d(n_first), nn.Conv1d(n_first, 1, 7, padding=3), nn.Tanh())
        self.down = nn.ModuleList(nn.Sequential(*(_down(*c) for c in level)) for level in levels)
        self.up = nn.ModuleList(
            nn.Sequential(*(_up(n_out, n_in, stride) for n_in, n_out, stride in reversed(level)))
            for level in levels
        )
        dim = config.latent_dim
        self.to_latents = nn.ModuleList(nn.Conv1d(n, dim, 3, padding=1) for n in ends)
        self.from_latents = nn.ModuleList(nn.Conv1d(dim, n, 3, padding=1) for n in ends)
        self.dims = [dim] * len(ends)  # of each stream's latents
        self.music: MusicFeatures | None = None
        if (music := config.music) is not None:
            self.music = MusicFeatures(config.sampling_rate, music["n_fft"], music["hop_length"])
            self.from_music = nn.Conv1d(self.music.n_features, ends[-1], 1)
            self.dims.append(self.music.n_features)
        self.codebooks = nn.ParameterList(  # of each stream (n_books, size, dim)
            nn.Parameter(torch.zeros(n_books, size, dim), requires_grad=False)
            for (n_books, size, _), dim in zip(config.streams, self.dims, strict=True)
        )
        self.post_init()

    def _init_weights(self, module):
        """Layers have their weights from their own constructors."""

    def encode(self, waveform: torch.Tensor) -> list[torch.Tensor]:
        """Sound (batch, 1, n_frames * hop_length) to latents."""
        hidden, latents = self.first(waveform), []
        for down, to_latents in zip(self.down, self.to_latents, strict=True):
            hidden = down(hidden)
            latents.append(to_latents(hidden).transpose(1, 2))
        return latents if self.music is None else [*latents, self.music(waveform)]

    def decode(self, latents: list[torch.Tensor]) -> torch.Tensor:
        """Latents to sound (batch, 1, n_frames * hop_length).

        Raises ValueError for levels whose lengths do not match.
        """
        compression = self.config.compression
        n_coarsest = latents[len(self.up) - 1].shape[1]
        hidden = self._music(latents, n_coarsest)
        for i in reversed(range(len(self.up))):
            n_frames = n_coarsest * compression[-1] // compression[i]
            if latents[i].shape[1] != n_frames:
                raise ValueError(f"level {i}: {latents[i].shape[1]} latents, not {n_frames}")
            hidden = self.up[i](hidden + self.from_latents[i](latents[i].transpose(1, 2)))
        return self.last(hidden)

    def _music(self, latents: list[torch.Tensor], n_frames: int) -> torch.Tensor | float:
        """Music features projected to each frame of the coarsest level; 0 without music."""
        if self.music is None:
            return 0.0
        moments = torch.arange(n_frames, device=latents[-1].device) * self.config.compression[-1]
        frames = latents[-1][:, moments // self.music.hop_length]
        return self.from_music(frames.transpose(1, 2))

    @property
    def reach(self) -> tuple[int, int]:
        """Code frames to either side that the encoder, and the decoder, can hear, or a few more."""
        config = self.config
        down = nn.ModuleList([self.first, *self.down, self.to_latents[-1]])
        up = nn.ModuleList([self.from_latents[-1], *reversed(self.up), self.last])
        heard = max(receptive_field(down), 0 if self.music is None else self.music.reach)
        coarsest = receptive_field(up, config.compression[-1]) * config.compression[-1]
        return ceil(heard / config.hop_length), ceil(coarsest / config.hop_length)

    def quantize(self, latents: list[torch.Tensor]) -> list[torch.Tensor]:
        """Latents (1, n, dim) of each stream to the nearest codewords' indices (n_books, n)."""
        codes = []
        for books, stream in zip(self.codebooks, latents, strict=True):
            left, indices = stream[0], []
            for book in books:
                indices.append((book.square().sum(-1) - 2 * left @ book.T).argmin(-1))
                left = left - book[indices[-1]]
            codes.append(torch.stack(indices))
        return codes

    def framed(self, latents: list[torch.Tensor]) -> torch.Tensor:
        """Latents of each stream side by side in code frames, coarsest level first.

        A list of (batch, n_latents, dim) to (batch, n_frames, codebook_dim).
        """
        per_frame = [n_latents for _, _, n_latents in self.config.streams]
        streams = [
            stream.unflatten(1, (-1, n)).flatten(2)
            for stream, n in zip(latents, per_frame, strict=True)
        ]
        return torch.cat([streams[i] for i in self._order], dim=-1)

    def unframed(self, frames: torch.Tensor) -> list[torch.Tensor]:
        """The inverse of ``framed``."""
        per_frame = [n_latents for _, _, n_latents in self.config.streams]
        sizes = [n * dim for n, dim in zip(per_frame, self.dims, strict=True)]
        parts = frames.split([sizes[i] for i in self._order], dim=-1)
        latents: list[torch.Tensor] = [frames] * len(sizes)
        for i, part in zip(self._order, parts, strict=True):
            latents[i] = part.unflatten(-1, (per_frame[i], -1)).flatten(1, 2)
        return latents

    @property
    def _order(self) -> list[int]:
        """Streams in the order of a code frame: the coarsest level, the finer ones, music."""
        n_levels = len(self.up)
        return [*reversed(range(n_levels)), *range(n_levels, len(self.dims))]

    def rows(self, codes: list[torch.Tensor]) -> torch.Tensor:
        """Codes (n_books, n) of each stream as rows of code frames, (n_codebooks, n_frames).

        A level's rows are those of its first codebook, then of the next.
        """
        streams = self.config.streams
        rows = [codes[i].unflatten(1, (-1, streams[i][2])).transpose(1, 2) for i in self._order]
        return torch.cat([part.flatten(0, 1) for part in rows])

    @torch.no_grad()
    def row_codebooks(self) -> torch.Tensor:
        """Codewords of each row in its place of the latents, (n_codebooks, size, codebook_dim).

        Of a smaller codebook (music's) the codewords that are not there are zero.
        """
        streams, size = self.config.streams, self.config.codebook_size
        n_dims = sum(n * dim for (_, _, n), dim in zip(streams, self.dims, strict=True))
        rows, begin = [], 0
        for i in self._order:
            (n_books, n_words, n_latents), dim = streams[i], self.dims[i]
            for book in range(n_books):
                for place in range(n_latents):
                    row = self.codebooks[i].new_zeros(size, n_dims)
                    at = begin + place * dim
                    row[:n_words, at : at + dim] = self.codebooks[i][book]
                    rows.append(row)
            begin += n_latents * dim
        return torch.stack(rows)


@dataclass(frozen=True, eq=False)
class Hierarchical(WindowedCodec):
    """A `HierarchicalModel`: fewer codebooks are fewer levels, the coarsest first."""

    model: HierarchicalModel

    @property
    def codebook_dim(self) -> int:
        """Of all latents of a code frame."""
        streams = self.model.config.streams
        return sum(n * dim for (_, _, n), dim in zip(streams, self.model.dims, strict=True))

    @property
    def reach(self) -> tuple[int, int]:
        return self.model.reach

    def sound(self, latents: torch.Tensor) -> torch.Tensor:
        return self.model.decode(self.model.unframed(latents))[:, 0]

    def _encoded(self, sound: torch.Tensor, wanted: slice) -> torch.Tensor:
        rows = self.model.rows(self.model.quantize(self.model.encode(sound[None, None])))
        return rows[: self.n_codebooks, wanted]

    def _decoded(self, codes: torch.Tensor) -> torch.Tensor:
        return self.sound(self._dequantised(codes)[None])[0]

    def _dequantised(self, codes: torch.Tensor) -> torch.Tensor:
        books = self.model.row_codebooks()
        return torch.stack(
            [functional.embedding(row, book) for row, book in zip(codes, books, strict=False)]
        ).sum(0)

    @exact_inference
    def codebooks(self) -> np.ndarray:
        """The codewords (n_codebooks, codebook_size, codebook_dim) whose sums are the latents."""
        return self.model.row_codebooks()[: self.n_codebooks].float().numpy()


def split_stride(stride: int) -> list[int]:
    """Strides of convolutions, 2 to 5 each, whose product is ``stride``; largest last.

    Raises ValueError for another prime factor.

    >>> split_stride(8), split_stride(60)
    ([2, 4], [3, 4, 5])
    """
    strides: list[int] = []
    left = stride
    for factor in (5, 4, 3, 2):
        while left % factor == 0:
            strides, left = [factor, *strides], left // factor
    if left != 1:
        raise ValueError(f"a stride of {stride} is no product of 2, 3, 4 and 5")
    return strides


class _Strided(nn.Sequential):
    """Layers, one of which changes the rate."""

    @property
    def strided(self) -> nn.Module:
        return next(m for m in self if isinstance(m, nn.Conv1d | nn.ConvTranspose1d))


def _channels(config: HierarchicalConfig, n_convolutions: int) -> list[int]:
    """Before the first strided convolution and after each."""
    doubled = (config.num_filters * 2**i for i in range(n_convolutions + 1))
    return [min(n, config.max_filters) for n in doubled]


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
