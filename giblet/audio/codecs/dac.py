"""DAC: a ``transformers.DacModel``, run in windows that overlap by all it can hear."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from transformers import DacModel

from giblet.audio.codecs.encodec_streaming import exact_inference
from giblet.audio.codecs.pretrained import WindowedCodec


@dataclass(frozen=True, eq=False)
class Dac(WindowedCodec):
    """A ``DacModel`` at one bandwidth; its convolutions look ahead as far as back."""

    model: DacModel

    @property
    def codebook_dim(self) -> int:
        """Of the latents that the decoder gets, not of DAC's small look-up vectors."""
        return self.model.config.hidden_size

    @property
    def reach(self) -> tuple[int, int]:
        hop = self.hop_length
        return -(-receptive_field(self.model.encoder) // hop), receptive_field(
            self.model.decoder, hop
        )

    def _encoded(self, sound: torch.Tensor, wanted: slice) -> torch.Tensor:
        latents = self.model.encoder(sound[None, None])[..., wanted]
        return self.model.quantizer(latents, self.n_codebooks)[1][0]

    def _decoded(self, codes: torch.Tensor) -> torch.Tensor:
        return self.model.decoder(self._dequantised(codes).T[None])[0, 0]

    def _dequantised(self, codes: torch.Tensor) -> torch.Tensor:
        return self.model.quantizer.from_codes(codes[None])[0][0].T

    @exact_inference
    def codebooks(self) -> np.ndarray:
        """The codewords as the decoder sees them, (n_codebooks, codebook_size, codebook_dim)."""
        layers = self.model.quantizer.quantizers[: self.n_codebooks]
        books = [layer.out_proj(layer.codebook.weight.T[None])[0].T for layer in layers]
        return torch.stack(books).float().numpy()


def receptive_field(part: nn.Module, stride_in: int = 1) -> int:
    """Receptive field of an output of ``part`` to either side (input steps), or a little more.

    ``stride_in``: 1 for an encoder, which divides the rate; the hop length for a decoder, which
    multiplies it. Sums over all layers, also those that run side by side.
    """
    reach, stride = 0.0, float(stride_in)  # in output samples of a decoder, inputs of an encoder
    for layer in part.modules():
        if isinstance(layer, nn.ConvTranspose1d):
            padding = layer.padding[0]
            stride /= layer.stride[0]
            reach += max(padding, layer.kernel_size[0] - 1 - padding) * stride
        elif isinstance(layer, nn.Conv1d):
            padding = int(layer.padding[0])
            further = (layer.kernel_size[0] - 1) * layer.dilation[0] - padding
            reach += max(padding, further) * stride
            stride *= layer.stride[0]
    return int(np.ceil(reach / stride_in)) + 1
