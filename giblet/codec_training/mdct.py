"""The ``mdct`` architecture: giblet's own, layers at the frame rate between lapped transforms."""

from pathlib import Path
from typing import Literal, Self

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, field_validator
from torch.nn import functional

from giblet.audio.codecs.mdct import MdctConfig, MdctModel, compand, mdct
from giblet.codec_training.network import (
    SETTINGS,
    CodebookSize,
    CodecNetwork,
    to_length,
    to_whole,
)
from giblet.codec_training.quantizer import QuantizerSettings, ResidualQuantizer
from giblet.config.strict import StrictSettings
from giblet.io.tables import save_json

_BRANCH = 0.1  # of their own start: blocks begin near the identity


class MdctSettings(StrictSettings):
    """Not causal; fields as in ``giblet.audio.codecs.mdct.MdctConfig``."""

    architecture: Literal["mdct"] = "mdct"
    sample_rate: PositiveInt = 24000
    hop_length: PositiveInt = 320
    width: PositiveInt = 256
    expansion: PositiveInt = 3
    n_encoder_blocks: PositiveInt = 4
    n_decoder_blocks: PositiveInt = 5
    kernel_size: PositiveInt = 7
    companding: PositiveFloat = 0.5
    n_codebooks: PositiveInt = 8
    codebook_size: CodebookSize = 1024
    codebook_dim: PositiveInt = 128
    beam_size: PositiveInt = 8
    offset_frames: NonNegativeInt = 0
    quantizer: QuantizerSettings = QuantizerSettings(dropout=0.3)

    @field_validator("kernel_size", "hop_length")
    @classmethod
    def _have_a_middle(cls, value: int, info) -> int:
        if value % 2 != (info.field_name == "kernel_size"):
            raise ValueError("kernel_size must be odd and hop_length even")
        return value

    @field_validator("codebook_dim")
    @classmethod
    def _narrows(cls, value: int, info) -> int:
        if not value <= info.data.get("width", value) <= info.data.get("hop_length", value):
            raise ValueError("codebook_dim, width and hop_length must not decrease in this order")
        return value

    def config(self) -> MdctConfig:
        """The same, as the model has it."""
        own = {"architecture", "sample_rate", "quantizer"}
        return MdctConfig(**self.model_dump(exclude=own), sampling_rate=self.sample_rate)


class MdctNetwork(CodecNetwork):
    """An ``MdctModel`` with codebooks trained separately.

    ``save`` writes a folder that ``MdctModel.from_pretrained`` and ``load_codec`` read. Latents
    are (batch, ceil(n_samples / hop_length), codebook_dim).
    """

    def __init__(self, settings: MdctSettings, model: MdctModel | None = None):
        super().__init__()
        self.settings = settings
        self.model = model or MdctModel(settings.config())
        self.model.codebooks.requires_grad_(False)  # the quantizer's moving averages learn them
        self.quantizer = ResidualQuantizer(
            dim=settings.codebook_dim,
            n_codebooks=settings.n_codebooks,
            codebook_size=settings.codebook_size,
            settings=settings.quantizer,
        )

    def encode(self, waveform: torch.Tensor) -> torch.Tensor:
        return self.model.encode(to_whole(waveform, self.settings.hop_length)[:, 0])

    def decode(self, latents: torch.Tensor, n_samples: int) -> torch.Tensor:
        return to_length(self.model.decode(latents)[:, None], n_samples)

    def quantize(self, latents, n_codebooks=None):
        """As CodecNetwork; the model's own search chooses in evaluation, and among fixed codebooks
        (``learn_by: none``) in training too, where it keeps ``quantizer.beam_size`` choices."""
        learned = (
            self.settings.quantizer.learn_by != "none" or self.settings.quantizer.rotation_trick
        )
        if not self.codebooks_started or (self.training and learned):
            return super().quantize(latents, n_codebooks)
        if self.training:
            with torch.autocast(latents.device.type, enabled=False):
                return self._quantize_fixed(latents.float(), self.quantizer.n_used())
        n_codebooks = n_codebooks or self.settings.n_codebooks
        codes = self._search(latents, n_codebooks, self.settings.beam_size)
        return self.dequantize(codes), codes, latents.new_zeros(())

    def _search(self, latents: torch.Tensor, n_codebooks: int, beam_size: int) -> torch.Tensor:
        codes = self.export().quantize(latents.detach().flatten(0, 1), n_codebooks, beam_size).T
        return codes.unflatten(0, latents.shape[:2])

    def _quantize_fixed(self, latents: torch.Tensor, n_used: int) -> tuple:
        """Straight-through; codes of unused codebooks are -1.

        The commitment is vector-quantize-pytorch's: to the sum of codewords after each codebook.
        """
        codes = self._search(latents, n_used, self.settings.quantizer.beam_size)
        books = zip(self.model.codebooks, codes.unbind(dim=-1), strict=False)
        sums = torch.stack([book[code] for book, code in books]).cumsum(dim=0)
        commitment = (latents - sums).square().mean()
        codes = functional.pad(codes, (0, self.settings.n_codebooks - n_used), value=-1)
        return latents + (sums[-1] - latents).detach(), codes, commitment

    @torch.no_grad()
    def start(self, waveform: torch.Tensor) -> None:
        """Latents begin as principal components of the companded coefficients, the decoder as the
        inverse, with blocks near the identity between them."""
        settings, encoder, decoder = self.settings, self.model.encoder, self.model.decoder
        whole = to_whole(waveform, settings.hop_length)[:, 0]
        seen = compand(mdct(whole, settings.hop_length), settings.companding).flatten(0, 1)
        self.model.level.copy_(seen.std())
        _, directions = torch.linalg.eigh(seen.T @ seen)  # ascending
        kept = directions[:, -settings.width :]
        encoder.enter.weight.copy_(kept.T)
        decoder.leave.weight.copy_(kept)
        strongest = torch.eye(settings.width, device=seen.device)[-settings.codebook_dim :]
        encoder.leave.weight.copy_(strongest)
        decoder.enter.weight.copy_(strongest.T)
        for block in (*encoder.blocks, *decoder.blocks):
            block.down.weight.mul_(_BRANCH)

    @torch.no_grad()
    def export(self) -> MdctModel:
        """The codec with its codebooks in place: the network's own model, not a copy."""
        self.check_started()
        for codebook, layer in zip(self.model.codebooks, self.quantizer.vq.layers, strict=True):
            codebook.copy_(layer.codebook)
        return self.model

    def save(self, folder: str | Path, half: bool = False) -> None:
        model = MdctModel(self.settings.config())
        model.load_state_dict(self.export().state_dict())
        (model.half() if half else model).save_pretrained(folder)
        save_json(self.settings.model_dump(mode="json"), Path(folder) / SETTINGS)

    @classmethod
    def load(cls, folder: str | Path, settings: MdctSettings) -> Self:
        network = cls(
            settings, MdctModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
        )
        network.quantizer.set_codebooks(list(network.model.codebooks))
        return network
