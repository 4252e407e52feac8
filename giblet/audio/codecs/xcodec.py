"""X-Codec: a ``transformers.XcodecModel``, run in long windows.

Half of its encoder is HuBERT, which hears all of the sound at once: its attention, and the
normalisation of its first layer, are over the whole of it. So codes of a window are not quite those
of a whole film, which no machine could compute at once either. Sound that fits into one block
(20 s) is coded exactly as transformers does. Longer sound is coded in blocks with 5 s on either
side: always the same blocks, so that codes do not depend on how the sound arrives. The decoder is
local and exact at any length.
"""

from dataclasses import dataclass

import numpy as np
import torch
from transformers import XcodecModel

from giblet.audio.codecs.dac import receptive_field
from giblet.audio.codecs.encodec_streaming import exact_inference
from giblet.audio.codecs.pretrained import WindowedCodec
from giblet.timing import count_samples


@dataclass(frozen=True, eq=False)
class Xcodec(WindowedCodec):
    """An ``XcodecModel`` at one bandwidth: a prefix of its codebooks."""

    model: XcodecModel
    block_seconds: float = 20.0
    context_seconds: float = 5.0

    @property
    def codebook_dim(self) -> int:
        """Of the latents that the acoustic decoder reads."""
        return self.model.fc2.out_features

    @property
    def reach(self) -> tuple[int, int]:
        """Of HuBERT as far as is chosen; of the decoder all that it hears."""
        acoustic = -(-receptive_field(self.model.acoustic_encoder) // self.hop_length)
        context = count_samples(self.context_seconds, self.frame_rate)
        return max(acoustic, context), receptive_field(self.model.acoustic_decoder, self.hop_length)

    def sound(self, latents: torch.Tensor) -> torch.Tensor:
        return self.model.acoustic_decoder(latents.transpose(1, 2))[:, 0]

    def _encoded(self, sound: torch.Tensor, wanted: slice) -> torch.Tensor:
        codes = self.model.encode(sound[None, None], return_dict=False)[0]
        return codes[: self.n_codebooks, wanted]

    def _decoded(self, codes: torch.Tensor) -> torch.Tensor:
        return self.sound(self._dequantised(codes)[None])[0]

    def _dequantised(self, codes: torch.Tensor) -> torch.Tensor:
        return self.model.fc2(self.model.quantizer.decode(codes[:, None])[0].T)

    @exact_inference
    def codebooks(self) -> np.ndarray:
        """The codewords as the decoder sees them; the first book holds the projection's bias."""
        weight, bias = self.model.fc2.weight, self.model.fc2.bias
        layers = self.model.quantizer.quantizers[: self.n_codebooks]
        books = torch.stack([layer.codebook.embed @ weight.T for layer in layers])
        books[0] += bias
        return books.float().numpy()
