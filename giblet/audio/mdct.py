"""giblet's own codec: an ``MdctModel``, run in windows that overlap by all it can hear."""

from dataclasses import dataclass

import numpy as np
import torch

from giblet.audio.mdct_model import MdctModel
from giblet.audio.windowed import WindowedCodec


@dataclass(frozen=True, eq=False)
class Mdct(WindowedCodec):
    """An ``MdctModel`` at one bandwidth. Every frame of sound comes back, both ends included."""

    model: MdctModel

    @property
    def codebook_dim(self) -> int:
        return self.model.config.codebook_dim

    @property
    def reach(self) -> tuple[int, int]:
        return self.model.reach

    def _encoded(self, sound: torch.Tensor, wanted: slice) -> torch.Tensor:
        latents = self.model.encode(sound[None])[0, wanted]
        return self.model.quantize(latents, self.n_codebooks)

    def sound(self, latents: torch.Tensor) -> torch.Tensor:
        return self.model.decode(latents)

    def _decoded(self, codes: torch.Tensor) -> torch.Tensor:
        return self.model.decode(self._dequantised(codes)[None])[0]

    def _dequantised(self, codes: torch.Tensor) -> torch.Tensor:
        return self.model.dequantize(codes)

    def codebooks(self) -> np.ndarray:
        """The codewords (n_codebooks, codebook_size, codebook_dim) whose sums are the latents."""
        return self.model.codebooks[: self.n_codebooks].detach().float().numpy()
