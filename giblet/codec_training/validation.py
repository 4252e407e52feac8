"""Validation of a codec in training: scores of decoded sounds, use of codebooks."""

import logging

import numpy as np
import torch

from giblet.audio.metrics.scores import segment_scores
from giblet.codec_training.network import Codes
from giblet.timing import samples_duration

logger = logging.getLogger(__name__)

_LEAST_USE = 0.05  # share of a codebook in use, below which it has collapsed
_LEVEL_RANGE = (0.33, 3.0)  # standard deviation of output over input


def sound_scores(
    references: torch.Tensor, estimates: torch.Tensor, sample_rate: int
) -> dict[str, float]:
    """Means over sounds (batch, n_samples) of the metrics of `giblet.audio.metrics.scores`, and of
    ``snr_db``, ``spectral_convergence`` and ``level``: the output's standard deviation over the
    input's.

    A mean is over the sounds for which the metric is defined, NaN where there are none.
    """
    pairs = [_array(sounds) for sounds in (references, estimates)]
    seconds = samples_duration(references.shape[-1], sample_rate)
    scores = segment_scores(*(sounds.ravel() for sounds in pairs), sample_rate, seconds)
    audible = [(r, e) for r, e in zip(*pairs, strict=True) if r.any()]
    scores["snr_db"] = [_snr_db(*pair) for pair in audible]
    scores["spectral_convergence"] = [_spectral_convergence(*pair) for pair in audible]
    scores["level"] = [float(e.std() / r.std()) for r, e in audible]
    return {name: _mean(np.asarray(values)) for name, values in scores.items()}


def code_use(codes: Codes | None, codebook_size: int) -> dict[str, float]:
    """By codebook, the share of codewords in use and their perplexity over as many, in (0, 1].

    Both are low, too, where there are fewer frames than codewords. Nothing before the codebooks
    are started.
    """
    if codes is None:
        return {}
    levels = [codes] if isinstance(codes, torch.Tensor) else codes
    books = [book for level in levels for book in level.flatten(0, 1).T]  # each (n_frames,)
    use = {}
    for i, book in enumerate(books):
        counts = torch.bincount(book[book >= 0]).float()
        share = counts[counts > 0] / counts.sum()
        most = min(int(counts.sum()), codebook_size)
        use[f"use_{i}"] = len(share) / most
        use[f"perplexity_{i}"] = float(torch.exp(-(share * share.log()).sum())) / most
    return use


def warn_of_collapse(step: int, scores: dict[str, float]) -> None:
    """One line for a codebook that has collapsed, or an output far louder or softer than input."""
    for name, value in scores.items():
        if name.startswith("use_") and value < _LEAST_USE:
            percent = 100 * value
            logger.warning("step %d: codebook %s: %.1f %% in use", step, name[4:], percent)
    level = scores["level"]
    if not _LEVEL_RANGE[0] <= level <= _LEVEL_RANGE[1]:
        logger.warning("step %d: the output is %.2g times as loud as the input", step, level)


def _array(sounds: torch.Tensor) -> np.ndarray:
    return sounds.detach().float().cpu().numpy()


def _mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")


def _snr_db(reference: np.ndarray, estimate: np.ndarray) -> float:
    error = np.square(reference - estimate).sum()
    return float(10 * np.log10(np.square(reference).sum() / max(error, 1e-12)))


def _spectral_convergence(reference: np.ndarray, estimate: np.ndarray) -> float:
    """``||X| - |Y||`` relative to ``|X|`` in windows of 2048 samples (Yamamoto et al. 2020)."""
    import librosa

    magnitudes = [np.abs(librosa.stft(sound, n_fft=2048)) for sound in (reference, estimate)]
    return float(np.linalg.norm(magnitudes[0] - magnitudes[1]) / np.linalg.norm(magnitudes[0]))
