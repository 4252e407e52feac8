"""The ``hierarchical`` architecture: three levels of latents, one VQ a level, joined by skips."""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, PositiveInt, field_validator, model_validator
from torch import nn
from transformers.models.dac.modeling_dac import DacResidualUnit

from giblet.audio.codecs.hierarchical import HierarchicalConfig, HierarchicalModel, split_stride
from giblet.codec_training.initialization import (
    Basis,
    add_weight_norm,
    plain_weights,
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

    def config(self) -> HierarchicalConfig:
        """The same, as the model has it."""
        same = {"compression", "num_filters", "max_filters", "latent_dim", "music"}
        return HierarchicalConfig(
            **self.model_dump(include=same),
            sampling_rate=self.sample_rate,
            codebooks_per_level=self.n_codebooks,
            codewords_per_level=self.codebook_size,
        )

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


_LEVEL = 0.05  # standard deviation inside the network: x + sin²(x) is nearly linear there


class HierarchicalNetwork(CodecNetwork):
    """A `HierarchicalModel` with codebooks trained separately.

    ``save`` writes a folder that ``load_codec`` reads. Latents are the model's, codes a like list.
    The decoder gets nothing but these lists, and all of them count as bits. Codes of -1 are a
    level left out: it costs no bits and the decoder ignores it.
    """

    def __init__(self, settings: HierarchicalSettings, model: HierarchicalModel | None = None):
        super().__init__()
        self.settings, self.model = settings, model or HierarchicalModel(settings.config())
        add_weight_norm(self.model)
        streams = zip(self.model.dims, self.model.config.streams, strict=True)
        self.quantizers = nn.ModuleList(
            ResidualQuantizer(dim, n_books, size, settings.quantizer)
            for dim, (n_books, size, _) in streams
        )

    def encode(self, waveform: torch.Tensor) -> list[torch.Tensor]:
        return self.model.encode(to_whole(waveform, self.model.config.hop_length))

    def decode(self, latents: list[torch.Tensor], n_samples: int) -> torch.Tensor:
        """Raises ValueError for levels whose lengths do not match."""
        return to_length(self.model.decode(latents), n_samples)

    def start(self, waveform: torch.Tensor) -> None:
        """Near the identity, at every level: see `initialization.start_pairs`."""
        model = self.model
        for module in model.modules():
            if isinstance(module, DacResidualUnit):
                shrink(module.conv2)
        zero_biases(model)
        pairs = [(model.first, model.last[1])]
        for down, up, *latents in zip(
            model.down, model.up, model.to_latents, model.from_latents, strict=True
        ):
            pairs += [(d.strided, u.strided) for d, u in zip(down, up[::-1], strict=True)]
            pairs.append(tuple(latents))
        if model.music is not None:
            model.music.start(waveform)
            shrink(model.from_music)
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
        loss = torch.stack(losses[: len(self.model.up)]).mean()  # music features are not learned
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
        return int(torch.randint(1, len(self.model.up), ()))

    def dequantize(self, codes: list[torch.Tensor]) -> list[torch.Tensor]:
        pairs = zip(self.quantizers, codes, strict=True)
        return [quantizer.dequantize(level) for quantizer, level in pairs]

    def count_bits(self, codes: list[torch.Tensor]) -> int:
        pairs = zip(self.quantizers, codes, strict=True)
        return sum(quantizer.count_bits(level) for quantizer, level in pairs)

    @torch.no_grad()
    def export(self) -> HierarchicalModel:
        """A `HierarchicalModel` that codes as this network does, its weights plain."""
        self.check_started()
        model = HierarchicalModel(self.model.config)
        model.load_state_dict(plain_weights(self.model))
        for books, quantizer in zip(model.codebooks, self.quantizers, strict=True):
            books.copy_(torch.stack([layer.codebook for layer in quantizer.vq.layers]))
        return model.eval()

    def save(self, folder: str | Path, half: bool = False) -> None:
        model = self.export()
        (model.half() if half else model).save_pretrained(folder)
        save_json(self.settings.model_dump(mode="json"), Path(folder) / SETTINGS)

    @classmethod
    def load(cls, folder: str | Path, settings: HierarchicalSettings) -> Self:
        model = HierarchicalModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
        network = cls(settings, model)
        for quantizer, books in zip(network.quantizers, model.codebooks, strict=True):
            quantizer.set_codebooks(list(books))
        return network
