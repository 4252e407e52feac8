"""Reading a trained autoencoder: bottlenecks of a film, the BOLD it predicts."""

import numpy as np
import torch

from giblet.alignment.dataset import FilmData
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.decoders import convolve_causally


@torch.inference_mode()
def bottlenecks(autoencoder: Autoencoder, data: FilmData, batch: int = 32) -> np.ndarray:
    """The bottleneck of every TR, (n_trs, bottleneck_dim) float32."""
    n_trs = len(data.part)
    parts = []
    for start in range(0, n_trs, batch):
        film = {m: values[start : start + batch] for m, values in data.film.items()}
        parts.append(autoencoder.encode(film))
    return torch.cat(parts).numpy()


@torch.inference_mode()
def predict_bold(autoencoder: Autoencoder, bottleneck: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """Predicted BOLD (n_subjects, n_trs, n_voxels); the HRF starts from zero in each run."""
    parts = [torch.from_numpy(part)[None] for part in _by_run(bottleneck, runs)]
    predicted = [autoencoder.predict_bold(part)[0] for part in parts]
    return torch.cat(predicted, dim=1).numpy()


@torch.inference_mode()
def blurred_bottlenecks(
    autoencoder: Autoencoder, bottleneck: np.ndarray, runs: np.ndarray
) -> np.ndarray:
    """Bottlenecks (n_trs, bottleneck_dim) as BOLD follows them, (n_trs, n_slow): what BOLD is
    read from (`Autoencoder.slow`), through the readout's HRF, which starts from zero in each
    run."""
    kernel, slow = autoencoder.decoders["bold"].kernel, autoencoder.slow
    parts = [slow(torch.from_numpy(part)[None]) for part in _by_run(bottleneck, runs)]
    return torch.cat([convolve_causally(part, kernel)[0] for part in parts]).numpy()


def _by_run(values: np.ndarray, runs: np.ndarray) -> list[np.ndarray]:
    return np.split(values, np.flatnonzero(runs[1:] != runs[:-1]) + 1)
