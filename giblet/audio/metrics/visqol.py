"""ViSQOL in a process of its own: the optional ``visqol-python``. This file is also that process.

Run as a script, it reads pairs of sounds and prints their scores.
"""

import struct
import sys
from collections.abc import Sequence

import numpy as np

VISQOL_RATE_HZ = 48000  # of the audio mode

_MIN_SAMPLES = 48000  # 1 s
_CHILD = [sys.executable, "-P", __file__]  # -P: this file is no package of that name


def visqol_scores(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """ViSQOL, audio mode (MOS-LQO, 1 to 4.75), of (reference, estimate) pairs at 48 kHz.

    Waveforms (n_samples,). NaN where it gives no score: shorter than 1 s, silence, or a crash.
    ViSQOL aligns patches of the two, within a second: it does not hear a small delay.

    Raises
    ------
    RuntimeError
        The ``visqol-python`` package does not work at all.
    """
    from giblet.audio.metrics.child import scores_in_child  # not in the child, which has no giblet

    long_enough = [pair for pair in pairs if len(pair[0]) >= _MIN_SAMPLES]
    scored = iter(scores_in_child(long_enough, _CHILD, "visqol-python"))
    return [next(scored) if len(pair[0]) >= _MIN_SAMPLES else np.nan for pair in pairs]


def _serve() -> None:
    """The child process: reads pairs of sounds and prints their scores, one per line."""
    scores, sys.stdout = sys.stdout, sys.stderr  # what the package prints is no score
    from visqol import VisqolApi

    api = VisqolApi()
    api.create(mode="audio")
    print("ready", file=scores, flush=True)
    while header := sys.stdin.buffer.read(8):
        (n_samples,) = struct.unpack("<q", header)
        pair = np.frombuffer(sys.stdin.buffer.read(2 * 4 * n_samples), "<f4").reshape(2, n_samples)
        try:
            score = api.measure_from_arrays(*pair.astype(np.float64), VISQOL_RATE_HZ).moslqo
        except Exception:  # of one pair of sounds
            score = np.nan
        print(float(score), file=scores, flush=True)


if __name__ == "__main__":
    _serve()
