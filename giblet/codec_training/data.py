"""Random crops of sound to train on."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import IterableDataset

from giblet.audio.files import read_sound
from giblet.codec_training.recipe import DataSettings
from giblet.codec_training.signals import synthetic_crop
from giblet.errors import GibletError
from giblet.timing import count_samples

Sounds = Mapping[str, Sequence[np.ndarray]]  # kind → waveforms (n_samples,)


def read_sounds(folder: Path, kinds: Sequence[str], sample_rate: int = 24000) -> Sounds:
    """Every sound in the folders of these kinds, mono at ``sample_rate`` Hz.

    Raises GibletError where there are none, or one cannot be read.
    """
    sounds = {
        kind: [read_sound(file, sample_rate) for file in sorted((folder / kind).glob("[!.]*.*"))]
        for kind in kinds
    }
    if not any(sounds.values()):
        raise GibletError(f"{folder}: no sounds in its folders {', '.join(kinds)}")
    return sounds


class RandomCrops(IterableDataset):
    """Endless crops (1, n_samples) float32, drawn by kind, then by duration, then by place.

    Crop ``i`` depends on ``seed`` and ``i`` alone: a run that goes on from ``first`` sees what it
    would have seen without a stop.

    Parameters
    ----------
    sounds : kind -> waveforms (n_samples,) at ``sample_rate``
        Every kind named in ``settings.kind_weights`` that has sounds is drawn from.
    """

    def __init__(
        self,
        sounds: Sounds,
        sample_rate: int,
        settings: DataSettings,
        seed: int,
        first: int = 0,
        validation: bool = False,
    ):
        seconds = settings.validation_seconds if validation else settings.crop_seconds
        n_samples = count_samples(seconds, sample_rate)
        self.settings, self.seed, self.n_samples = settings, seed, n_samples
        self.sample_rate = sample_rate
        self.first, self.validation = first, validation
        self.sounds = {
            kind: [w for w in sounds.get(kind, ()) if len(w) > n_samples]
            for kind in settings.kind_weights
        }
        self.kinds = [kind for kind, waveforms in self.sounds.items() if waveforms]
        if not self.kinds:
            raise GibletError(
                f"no sound of kind {', '.join(settings.kind_weights)} is longer than "
                f"{seconds} s: nothing to train on"
            )

    def __iter__(self) -> Iterator[torch.Tensor]:
        for index in count(self.first):
            yield torch.from_numpy(self._crop(np.random.default_rng([self.seed, index])))[None]

    def _crop(self, rng: np.random.Generator) -> np.ndarray:
        weights = np.array([self.settings.kind_weights[kind] for kind in self.kinds])
        waveforms = self.sounds[rng.choice(self.kinds, p=weights / weights.sum())]
        lengths = np.array([len(w) for w in waveforms], dtype=float)
        waveform = waveforms[rng.choice(len(waveforms), p=lengths / lengths.sum())]
        start = rng.integers(len(waveform) - self.n_samples)
        crop = waveform[start : start + self.n_samples].astype(np.float32)
        if self.validation:
            return crop
        crop = self._augmented(crop, rng)
        if self.settings.synthetic and rng.random() < self.settings.synthetic:
            return synthetic_crop(rng, crop, self.sample_rate)
        return crop

    def _augmented(self, crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Random polarity and level; where it would exceed full scale, normalised to it."""
        gain = 10 ** (rng.uniform(*self.settings.gain_db) / 20) * rng.choice([-1.0, 1.0])
        peak = np.abs(crop).max() * abs(gain)
        return (crop * (gain / max(peak, 1.0))).astype(np.float32)
