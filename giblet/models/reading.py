"""Reading a trained autoencoder: bottlenecks of a film, the BOLD it predicts."""

import numpy as np
import torch

from giblet.dataset import FilmData
from giblet.models.autoencoder import Autoencoder


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
    """Predicted BOLD (n_subjects, n_trs, n_voxels); the HRF starts anew in each run."""
    decoder = autoencoder.decoders["bold"]
    parts = np.split(bottleneck, np.flatnonzero(runs[1:] != runs[:-1]) + 1)
    predicted = [decoder(torch.from_numpy(part)[None])[0] for part in parts]
    return torch.cat(predicted, dim=1).numpy()
