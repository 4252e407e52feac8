"""Scores from a process of its own, which a package may take down: a crash costs one score."""

import struct
import subprocess
from collections.abc import Sequence

import numpy as np

_READY = b"ready"
_PAIRS_PER_CHILD = 64  # about 60 MB of 8 s segments at 16 kHz at a time


def scores_in_child(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], command: Sequence[str], package: str
) -> list[float]:
    """Scores of (reference, estimate) pairs, each two waveforms (n_samples,), by a child process.

    ``command`` starts it. It prints ``ready``, and then for each pair that it reads (the number of
    samples as 8 bytes, both sounds as float32, little-endian) a score on a line of its own. NaN for
    a pair that it did not survive. Raises RuntimeError where ``package`` does not work at all.
    """
    scores: list[float] = []
    while len(scores) < len(pairs):
        batch = pairs[len(scores) :][:_PAIRS_PER_CHILD]
        scores += _scores_until_crash(batch, command, package)
    return scores


def _scores_until_crash(
    batch: Sequence[tuple[np.ndarray, np.ndarray]], command: Sequence[str], package: str
) -> list[float]:
    """Scores of the first pairs of ``batch``, at least one; NaN for the pair that crashed."""
    sent = b"".join(struct.pack("<q", len(pair[0])) + _packed(pair) for pair in batch)
    child = subprocess.run(command, input=sent, capture_output=True)
    lines = child.stdout.split()
    if not lines or lines[0] != _READY:
        reason = child.stderr.decode()[-500:]
        raise RuntimeError(f"{package} does not run (pip install {package}): {reason}")
    scores = [float(line) for line in lines[1:]]
    return scores if len(scores) == len(batch) else [*scores, np.nan]


def _packed(pair: tuple[np.ndarray, np.ndarray]) -> bytes:
    return np.stack(pair).astype("<f4").tobytes()
