"""PESQ in a process of its own: the ``pesq`` package can take its process down with it.

It does so on sounds of more than 50 utterances (a few minutes of talk). This file is also that
process: run as a script, it reads pairs of sounds and prints their scores.
"""

import struct
import sys
from collections.abc import Sequence

import numpy as np

_RATE_HZ = 16000
_MIN_SAMPLES = 16000  # 1 s
_CHILD = [sys.executable, "-P", __file__]  # -P: modules beside this file are not the child's


def pesq_scores(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """Wide-band PESQ (ITU-T P.862.2, MOS-LQO, 1.0 to 4.64) of (reference, estimate) pairs.

    Waveforms (n_samples,) at 16 kHz, the two of a pair equally long. NaN where PESQ gives no score:
    shorter than 1 s, no utterance found, or the pair crashed it. PESQ re-aligns and re-scales the
    estimate, so it hears neither a delay nor a gain, and it means nothing where there is no speech.

    Raises
    ------
    ValueError
        The two of a pair are not equally long (PESQ itself would score them).
    RuntimeError
        The ``pesq`` package does not work at all.
    """
    for reference, estimate in pairs:
        if len(reference) != len(estimate):
            raise ValueError(f"reference has {len(reference)} samples, estimate {len(estimate)}")
    from giblet.audio.metrics.child import scores_in_child  # not in the child, which has no giblet

    long_enough = [pair for pair in pairs if len(pair[0]) >= _MIN_SAMPLES]
    scored = iter(scores_in_child(long_enough, _CHILD, "pesq"))
    return [next(scored) if len(pair[0]) >= _MIN_SAMPLES else np.nan for pair in pairs]


def _serve() -> None:
    """The child process: reads pairs of sounds and prints their scores, one per line."""
    from pesq import PesqError, pesq

    print("ready", flush=True)
    while header := sys.stdin.buffer.read(8):
        (n_samples,) = struct.unpack("<q", header)
        pair = np.frombuffer(sys.stdin.buffer.read(2 * 4 * n_samples), "<f4").reshape(2, n_samples)
        score = pesq(_RATE_HZ, *pair, "wb", on_error=PesqError.RETURN_VALUES)
        print(score if score > 0 else np.nan, flush=True)  # errors are codes below 0


if __name__ == "__main__":
    _serve()
