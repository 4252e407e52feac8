"""The ``snake`` architecture: the DAC recipe on transformers' layers (Kumar et al. 2023)."""

from math import prod
from pathlib import Path
from typing import Literal, Self

import torch
from pydantic import PositiveInt, field_validator
from transformers import DacConfig, DacModel
from transformers.models.dac.modeling_dac import DacResidualUnit

from giblet.codec_training.initialization import (
    Basis,
    add_weight_norm,
    plain_weights,
    shrink,
    start_pairs,
    zero_biases,
)
from giblet.codec_training.network import (
    SETTINGS,
    CodebookSize,
    CodecNetwork,
    to_length,
    to_whole,
)
from giblet.codec_training.quantizer import FactorizedQuantizer, QuantizerSettings, set_codebook
from giblet.config.strict import StrictSettings
from giblet.io.tables import save_json

_LEVEL = 0.05  # standard deviation inside the network: x + sin²(x) is nearly linear there


class SnakeSettings(StrictSettings):
    """Fully convolutional, Snake activations, weight norm, tanh: fields as in ``DacConfig``."""

    architecture: Literal["snake"] = "snake"
    sample_rate: PositiveInt = 24000
    encoder_hidden_size: PositiveInt = 16
    downsampling_ratios: tuple[PositiveInt, ...] = (2, 4, 5, 8)
    decoder_hidden_size: PositiveInt = 256
    n_codebooks: PositiveInt = 8
    codebook_size: CodebookSize = 1024
    codebook_dim: PositiveInt = 8
    quantizer: QuantizerSettings = QuantizerSettings(dropout=0.5)
    start_basis: Basis = "principal"

    @field_validator("quantizer")
    @classmethod
    def _moving_averages(cls, value: QuantizerSettings) -> QuantizerSettings:
        if value.learn_by != "ema":
            raise ValueError("codebooks looked up by direction learn by ema")
        return value

    @field_validator("decoder_hidden_size")
    @classmethod
    def _can_be_halved(cls, value: int, info) -> int:
        n_halvings = len(info.data.get("downsampling_ratios", ()))
        if value % 2**n_halvings:
            raise ValueError(f"{value} must be a multiple of {2**n_halvings}: each block halves it")
        return value

    def config(self) -> DacConfig:
        """The same, as transformers has it."""
        own = {"architecture", "sample_rate", "quantizer", "start_basis"}
        return DacConfig(**self.model_dump(exclude=own), sampling_rate=self.sample_rate)


class SnakeNetwork(CodecNetwork):
    """Encoder and decoder of a ``DacModel`` with weight norm; codebooks trained separately.

    ``save`` writes a folder that ``DacModel.from_pretrained`` and ``load_codec`` read. Latents are
    (batch, ceil(n_samples / hop_length), encoder_hidden_size * 2 ** n_blocks).
    """

    def __init__(self, settings: SnakeSettings, model: DacModel | None = None):
        super().__init__()
        self.settings = settings
        model = model or DacModel(settings.config())
        self.encoder, self.decoder = model.encoder, model.decoder
        add_weight_norm(self)
        self.quantizer = FactorizedQuantizer(
            dim=model.config.hidden_size,
            n_codebooks=settings.n_codebooks,
            codebook_size=settings.codebook_size,
            codebook_dim=settings.codebook_dim,
            settings=settings.quantizer,
        )

    def encode(self, waveform: torch.Tensor) -> torch.Tensor:
        whole = to_whole(waveform, prod(self.settings.downsampling_ratios))
        return self.encoder(whole).transpose(1, 2)

    def decode(self, latents: torch.Tensor, n_samples: int) -> torch.Tensor:
        """Odd strides lose a few last samples in DAC: they are zeros."""
        return to_length(self.decoder(latents.transpose(1, 2)), n_samples)

    def start(self, waveform: torch.Tensor) -> None:
        """Near the identity: see ``giblet.codec_training.initialization.start_pairs``."""
        encoder, decoder = self.encoder, self.decoder
        downs = [encoder.conv1, *(block.conv1 for block in encoder.block), encoder.conv2]
        ups = [decoder.conv2, *(block.conv_t1 for block in decoder.block[::-1]), decoder.conv1]
        for module in self.modules():
            if isinstance(module, DacResidualUnit):
                shrink(module.conv2)
        zero_biases(self)
        start_pairs(
            list(zip(downs, ups, strict=True)),
            lambda: self.decode(self.encode(waveform), waveform.shape[-1]),
            waveform.std(),
            _LEVEL,
            self.settings.start_basis,
        )

    @torch.no_grad()
    def export(self) -> DacModel:
        """A ``DacModel`` that codes as this network does, its weights plain."""
        self.check_started()
        model = DacModel(self.settings.config())
        model.encoder.load_state_dict(plain_weights(self.encoder))
        model.decoder.load_state_dict(plain_weights(self.decoder))
        for own, exported in zip(self.quantizer.layers, model.quantizer.quantizers, strict=True):
            for source, target in (
                (own.in_proj, exported.in_proj),
                (own.out_proj, exported.out_proj),
            ):
                target.weight.copy_(source.weight[..., None])  # a linear layer as a convolution
                target.bias.copy_(source.bias)
            exported.codebook.weight.copy_(own.vq.codebook)
        return model.eval()

    def save(self, folder: str | Path, half: bool = False) -> None:
        model = self.export()
        (model.half() if half else model).save_pretrained(folder)
        save_json(self.settings.model_dump(mode="json"), Path(folder) / SETTINGS)

    @classmethod
    @torch.no_grad()
    def load(cls, folder: str | Path, settings: SnakeSettings) -> Self:
        model = DacModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
        network = cls(settings, model)
        for own, exported in zip(network.quantizer.layers, model.quantizer.quantizers, strict=True):
            for source, target in (
                (exported.in_proj, own.in_proj),
                (exported.out_proj, own.out_proj),
            ):
                target.weight = source.weight[..., 0]
                target.bias.copy_(source.bias)
            set_codebook(own.vq, exported.codebook.weight)
        network.quantizer.started.fill_(True)
        return network
