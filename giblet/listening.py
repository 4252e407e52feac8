"""How far latents of a codec sound apart: gradients through its decoder."""

from copy import deepcopy
from dataclasses import replace

import torch

from giblet.audio.codec import Codec
from giblet.codec.losses import WeightedLosses

_LOSSES = {"log_mel": 3.0, "phase": 2.0}  # as the bundled codec is trained


class LatentDistance:
    """Of two sets of latents: how far apart they sound, 0 for alike, near 1 for silence."""

    def __init__(self, codec: Codec):
        self.codec = codec
        self.losses = WeightedLosses(_LOSSES, codec.sample_rate)

    def __call__(self, estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Both (n_trs, n_frames, codebook_dim); every TR is heard by itself."""
        self._move(estimate.device)
        with torch.no_grad():
            wanted = self.codec.sound(target)
        heard = self.codec.sound(estimate)
        _each, total = self.losses(heard.float(), wanted.float())
        return total / sum(_LOSSES.values())

    def _move(self, device: torch.device) -> None:
        """To where the latents are; the codec that was given stays where it was."""
        if self.codec.model.device != device:
            self.codec = replace(self.codec, model=deepcopy(self.codec.model).to(device))
            self.losses.to(device)
