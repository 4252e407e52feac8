"""ViSQOL in a process of its own: the optional ``visqol-python``."""

from collections.abc import Callable, Sequence

import numpy as np

VISQOL_RATE_HZ = 48000  # of the audio mode

_MIN_SAMPLES = 48000  # 1 s


def visqol_scores(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """ViSQOL, audio mode (MOS-LQO, 1 to 4.75), of (reference, estimate) pairs at 48 kHz.

    Waveforms (n_samples,). NaN where it gives no score: shorter than 1 s, silence, or a crash.
    ViSQOL aligns patches of the two, within a second: it does not hear a small delay.

    Raises
    ------
    RuntimeError
        The ``visqol-python`` package does not work at all.
    """
    from giblet.audio.metrics.child import child_command, scores_in_child  # the child has neither

    long_enough = [pair for pair in pairs if len(pair[0]) >= _MIN_SAMPLES]
    scored = iter(scores_in_child(long_enough, child_command(__file__), "visqol-python"))
    return [next(scored) if len(pair[0]) >= _MIN_SAMPLES else np.nan for pair in pairs]


def scorer() -> Callable[[np.ndarray, np.ndarray], float]:
    """For the child process: ViSQOL of a pair; NaN where it fails."""
    from visqol import VisqolApi

    api = VisqolApi()
    api.create(mode="audio")

    def score(reference: np.ndarray, estimate: np.ndarray) -> float:
        pair = (sound.astype(np.float64) for sound in (reference, estimate))
        try:
            return api.measure_from_arrays(*pair, VISQOL_RATE_HZ).moslqo
        except Exception:  # of one pair of sounds
            return np.nan

    return score
