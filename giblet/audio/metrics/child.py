"""Scores from a process of its own, which a package may take down: a crash costs one score.

This file is also that process. Run as a script, it takes a file with a function ``scorer``, and
what that function takes; it reads pairs of sounds and prints their scores.
"""

import runpy
import struct
import subprocess
import sys
from collections.abc import Sequence
from threading import BoundedSemaphore

import numpy as np

CHILDREN_AT_ONCE = 2  # of all threads together: each holds a model or a library

_READY = b"ready"
_PAIRS_PER_CHILD = 64  # about 60 MB of 8 s segments at 16 kHz at a time
_free = BoundedSemaphore(CHILDREN_AT_ONCE)


def child_command(file: str, *arguments: str) -> list[str]:
    """The command of a child process that scores by ``scorer(*arguments)`` of ``file``.

    That function imports its package, and returns (reference, estimate) → score, NaN for none. The
    file imports nothing of giblet when it is loaded: a child may have no giblet on its path.
    """
    return [sys.executable, "-P", __file__, file, *arguments]  # -P: no modules beside this file


def scores_in_child(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], command: Sequence[str], package: str
) -> list[float]:
    """Scores of (reference, estimate) pairs, each two waveforms (n_samples,), by a child process.

    ``command`` starts it. It prints ``ready``, and then for each pair that it reads (the number of
    samples as 8 bytes, both sounds as float32, little-endian) a score on a line of its own. NaN for
    a pair that it did not survive. At most `CHILDREN_AT_ONCE` run, whatever the number of threads.
    Raises RuntimeError where ``package`` does not work at all.
    """
    scores: list[float] = []
    while len(scores) < len(pairs):
        batch = pairs[len(scores) :][:_PAIRS_PER_CHILD]
        with _free:
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


def _serve(file: str, *arguments: str) -> None:
    """The child process: reads pairs of sounds and prints their scores, one per line."""
    scores, sys.stdout = sys.stdout, sys.stderr  # what a package prints is no score
    score = runpy.run_path(file)["scorer"](*arguments)
    print(_READY.decode(), file=scores, flush=True)
    while header := sys.stdin.buffer.read(8):
        (n_samples,) = struct.unpack("<q", header)
        pair = np.frombuffer(sys.stdin.buffer.read(2 * 4 * n_samples), "<f4").reshape(2, n_samples)
        print(float(score(*pair)), file=scores, flush=True)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
