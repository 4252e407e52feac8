"""DNSMOS P.835, for a child process: see `giblet.audio.metrics.speech_models`."""

from collections.abc import Callable

import numpy as np

RATE_HZ = 16000
SECONDS = 9.01
WINDOW = 144160  # samples of them, which the model reads
OVERALL = (-0.06766283, 1.11546468, 0.04602535)  # dnsmos_local.py, highest power first


def scorer(file: str) -> Callable[[np.ndarray, np.ndarray], float]:
    """Overall quality of the second of two sounds (n_samples,), by Microsoft's sig_bak_ovr.onnx.

    Windows of 9.01 s a second apart, mean over them; a shorter sound is doubled until it is as
    long (Reddy et al. 2022). The model reads ``input_1`` (n_windows, 144160), and returns three
    columns, of which the last is the overall quality before the polynomial ``OVERALL``.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    def score(_reference: np.ndarray, estimate: np.ndarray) -> float:
        raw = [session.run(None, {"input_1": one[None]})[0][0, 2] for one in windows(estimate)]
        return float(np.mean(np.polyval(OVERALL, raw)))

    return score


def windows(sound: np.ndarray) -> list[np.ndarray]:
    """The windows (144160,) float32 of a sound (n_samples,) at 16 kHz, as of dnsmos_local.py.

    >>> [len(windows(np.ones(n))) for n in (16000, 144160, 160160, 176000)]
    [7, 1, 1, 2]
    """
    while len(sound) < WINDOW:
        sound = np.concatenate([sound, sound])
    n_windows = int(len(sound) // RATE_HZ - SECONDS) + 1
    # their ends, rounded as there: a window that comes out a sample short is left out
    parts = [sound[RATE_HZ * n : int((n + SECONDS) * RATE_HZ)] for n in range(n_windows)]
    return [np.asarray(part, dtype=np.float32) for part in parts if len(part) == WINDOW]
