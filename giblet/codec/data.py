"""Random crops of sound to train on."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch.utils.data import IterableDataset

from giblet.codec.settings import CodecSettings


class RandomCrops(IterableDataset):
    """Endless crops (1, n_samples) float32, drawn by kind, then by duration, then by place.

    Parameters
    ----------
    sounds : kind -> waveforms (n_samples,) at ``sample_rate``
        Every kind named in ``settings.kind_weights`` that has sounds is drawn from.
    """

    def __init__(
        self,
        sounds: Mapping[str, Sequence[np.ndarray]],
        sample_rate: int,
        settings: CodecSettings,
        seed: int,
    ):
        n_samples = round(settings.crop_seconds * sample_rate)
        self.settings, self.seed, self.n_samples = settings, seed, n_samples
        self.sounds = {
            kind: [w for w in sounds.get(kind, ()) if len(w) > n_samples]
            for kind in settings.kind_weights
        }
        self.kinds = [kind for kind, waveforms in self.sounds.items() if waveforms]
        if not self.kinds:
            raise ValueError(
                f"no sound of kind {', '.join(settings.kind_weights)} is longer than "
                f"{settings.crop_seconds} s: nothing to train on"
            )

    def __iter__(self) -> Iterator[torch.Tensor]:
        rng = np.random.default_rng(self.seed)
        weights = np.array([self.settings.kind_weights[kind] for kind in self.kinds])
        while True:
            waveforms = self.sounds[rng.choice(self.kinds, p=weights / weights.sum())]
            lengths = np.array([len(w) for w in waveforms], dtype=float)
            waveform = waveforms[rng.choice(len(waveforms), p=lengths / lengths.sum())]
            start = rng.integers(len(waveform) - self.n_samples)
            crop = waveform[start : start + self.n_samples].astype(np.float32)
            yield torch.from_numpy(self._augment(crop, rng))[None]

    def _augment(self, crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Random polarity and level, never above full scale."""
        gain = 10 ** (rng.uniform(*self.settings.gain_db) / 20) * rng.choice([-1.0, 1.0])
        peak = np.abs(crop).max() * abs(gain)
        return (crop * (gain / max(peak, 1.0))).astype(np.float32)
