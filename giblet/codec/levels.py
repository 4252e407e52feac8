"""Settings of the ``hierarchical`` architecture: levels, what they cost, and a ratio asked for."""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, field_validator, model_validator

from giblet.codec.interface import PCM_BITS, CodebookSize, StrictSettings
from giblet.codec.quantizer import QuantizerSettings
from giblet.codec.starting import Basis

_SMALLEST = 16  # codewords that ``with_ratio`` chooses
_DOUBLINGS = 10  # of strides that it tries

Share = Annotated[float, Field(ge=0, le=1)]


class MusicSettings(StrictSettings):
    """Features beside the latents: a frame every ``hop_length`` samples, codes of their own."""

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
        0.0, description="of training steps that go without the finest level, or finest two"
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
    found, left = [], stride
    for factor in (5, 4, 3, 2):
        while left % factor == 0:
            found, left = [factor, *found], left // factor
    if left != 1:
        raise ValueError(f"a stride of {stride} is no product of 2, 3, 4 and 5")
    return found
