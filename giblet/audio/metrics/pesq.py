"""PESQ in a process of its own: the ``pesq`` package can take its process down with it.

It does so on sounds of more than 50 utterances (a few minutes of talk).
"""

from collections.abc import Callable, Sequence

import numpy as np

_RATE_HZ = 16000
_MIN_SAMPLES = 16000  # 1 s


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
    from giblet.audio.metrics.child import child_command, scores_in_child  # the child has neither

    long_enough = [pair for pair in pairs if len(pair[0]) >= _MIN_SAMPLES]
    scored = iter(scores_in_child(long_enough, child_command(__file__), "pesq"))
    return [next(scored) if len(pair[0]) >= _MIN_SAMPLES else np.nan for pair in pairs]


def scorer() -> Callable[[np.ndarray, np.ndarray], float]:
    """For the child process: wide-band PESQ of a pair; errors, which are codes below 0, are NaN."""
    from pesq import PesqError, pesq

    def score(reference: np.ndarray, estimate: np.ndarray) -> float:
        found = pesq(_RATE_HZ, reference, estimate, "wb", on_error=PesqError.RETURN_VALUES)
        return found if found > 0 else np.nan

    return score
