"""The ``encodec`` architecture: transformers' EnCodec in any size, started near the identity."""

from pathlib import Path
from typing import Literal, Self

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import nn
from transformers import EncodecConfig, EncodecModel
from transformers.models.encodec.modeling_encodec import EncodecResnetBlock

from giblet.codec_training.initialization import Basis, shrink, start_pairs, zero_biases
from giblet.codec_training.network import (
    SETTINGS,
    CodebookSize,
    CodecNetwork,
    to_length,
)
from giblet.codec_training.quantizer import QuantizerSettings, ResidualQuantizer, copy_codebooks
from giblet.config.strict import StrictSettings
from giblet.io.tables import save_json

_LEVEL = 0.2  # standard deviation inside the network: ELU is nearly linear there


class EncodecSettings(StrictSettings):
    """SEANet + LSTM, causal, with weight norm: fields as in ``transformers.EncodecConfig``."""

    architecture: Literal["encodec"] = "encodec"
    sample_rate: PositiveInt = 24000
    num_filters: PositiveInt = 16
    upsampling_ratios: tuple[PositiveInt, ...] = (5, 4, 4, 4)
    num_residual_layers: PositiveInt = 1
    num_lstm_layers: PositiveInt = 1
    kernel_size: PositiveInt = 7
    last_kernel_size: PositiveInt = 7
    residual_kernel_size: PositiveInt = 3
    dilation_growth_rate: PositiveInt = 2
    compress: PositiveInt = 2
    pad_mode: Literal["reflect", "constant"] = "reflect"
    use_conv_shortcut: bool = False
    target_bandwidths: tuple[PositiveFloat, ...] = (1.5, 3.0, 6.0)
    codebook_size: CodebookSize = 1024
    codebook_dim: PositiveInt = 128
    quantizer: QuantizerSettings = QuantizerSettings(dropout_multiple_of=2)
    start_basis: Basis = "principal"

    def config(self) -> EncodecConfig:
        """The same, as transformers has it."""
        own = {"architecture", "sample_rate", "quantizer", "start_basis"}
        fields = self.model_dump(exclude=own)
        return EncodecConfig(
            **fields, sampling_rate=self.sample_rate, hidden_size=self.codebook_dim
        )


class EncodecNetwork(CodecNetwork):
    """An ``EncodecModel`` with codebooks trained separately.

    ``save`` writes a folder that ``EncodecModel.from_pretrained`` and ``load_codec`` read. Latents
    are (batch, ceil(n_samples / hop_length), codebook_dim).
    """

    def __init__(self, settings: EncodecSettings, model: EncodecModel | None = None):
        super().__init__()
        self.settings = settings
        self.model = model or EncodecModel(settings.config())
        self.quantizer = ResidualQuantizer(
            dim=settings.codebook_dim,
            n_codebooks=self.model.config.num_quantizers,
            codebook_size=settings.codebook_size,
            settings=settings.quantizer,
        )

    def encode(self, waveform: torch.Tensor) -> torch.Tensor:
        return self.model.encoder(waveform).transpose(1, 2)

    def decode(self, latents: torch.Tensor, n_samples: int) -> torch.Tensor:
        return to_length(self.model.decoder(latents.transpose(1, 2)), n_samples)

    def start(self, waveform: torch.Tensor) -> None:
        start_near_identity(self.model, waveform, self.settings.start_basis)

    def export(self) -> EncodecModel:
        """The codec with its codebooks in place: the network's own model, not a copy."""
        self.check_started()
        copy_codebooks(self.quantizer.vq, self.model)
        return self.model

    def save(self, folder: str | Path, half: bool = False) -> None:
        model = EncodecModel(self.model.config)
        model.load_state_dict(self.export().state_dict())
        (model.half() if half else model).save_pretrained(folder)
        save_json(self.settings.model_dump(mode="json"), Path(folder) / SETTINGS)

    @classmethod
    def load(cls, folder: str | Path, settings: EncodecSettings) -> Self:
        model = EncodecModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
        network = cls(settings, model)
        network.quantizer.set_codebooks([layer.codebook.embed for layer in model.quantizer.layers])
        return network


def start_near_identity(
    model: EncodecModel, waveform: torch.Tensor, basis: Basis = "principal"
) -> None:
    """Give every layer weights with which the decoder undoes the encoder as well as it can.

    transformers' own start shrinks the signal about fivefold at each transposed convolution, and
    from a random start no gradient leads to the phase: the output settles at silence, or at noise
    of the right colour. See `initialization.start_pairs`; residual branches begin
    small; every layer is scaled on ``waveform`` (batch, 1, n_samples), biases zero.
    """
    encoder, decoder = _convolutions(model.encoder), _convolutions(model.decoder)
    for module in model.modules():
        if isinstance(module, EncodecResnetBlock):
            shrink(module.block[-1].conv)
    zero_biases(model)
    pairs = list(zip(encoder, reversed(decoder), strict=True))
    start_pairs(
        pairs, lambda: model.decoder(model.encoder(waveform)), waveform.std(), _LEVEL, basis
    )


def _convolutions(part: nn.Module) -> list[nn.Module]:
    """The convolutions outside of residual blocks, in order."""
    return [layer.conv for layer in part.layers if hasattr(layer, "conv")]
