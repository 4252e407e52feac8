"""Wall time to score a film's sound, by number of processes.

    python benchmarks/quality.py FOLDER [--minutes 4] [--bandwidth 6] [--jobs 1 2] [--estimates 1]

The reference is the sounds in FOLDER, concatenated and repeated to ``--minutes``; the estimate
is the output of the bundled codec, further ones have added noise. ``23 min`` is
extrapolated, except for the start of the processes; ``--minutes 23`` measures it.
"""

import argparse
import os
import time
from itertools import cycle
from pathlib import Path

import numpy as np

from giblet.audio.codecs.codec import load_codec
from giblet.audio.files import read_sound
from giblet.audio.metrics.scores import score_estimates, summarise

RATE = 24000  # Hz
SEGMENT_SECONDS = 8.0


def film_sound(folder: Path, minutes: float) -> np.ndarray:
    """``minutes`` of the sounds in ``folder``, (n_samples,)."""
    sounds, n_wanted = [], round(minutes * 60 * RATE)
    for file in cycle(sorted(folder.rglob("*.flac"))):
        sounds.append(read_sound(file, RATE))
        if sum(map(len, sounds)) >= n_wanted:
            return np.concatenate(sounds)[:n_wanted]


def degraded(reference: np.ndarray, bandwidth_kbps: float, n: int) -> list[np.ndarray]:
    """``n`` estimates: the codec's output, then with increasing noise."""
    codec = load_codec("bundled", bandwidth_kbps)
    coded = codec.decode(codec.encode(reference))[: len(reference)]
    noise = np.random.default_rng(0).standard_normal(len(coded)).astype(np.float32)
    return [coded + 0.01 * i * noise for i in range(n)]


def main() -> None:
    """Print one row per number of processes, then the scores of the codec."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--bandwidth", type=float, default=6.0)
    parser.add_argument("--jobs", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--estimates", type=int, default=1)
    options = parser.parse_args()
    reference = film_sound(options.folder, options.minutes)
    estimates = degraded(reference, options.bandwidth, options.estimates)
    score_estimates(reference[:RATE], [estimates[0][:RATE]], RATE, SEGMENT_SECONDS)  # imports
    print(f"{os.cpu_count()} cores, load before {os.getloadavg()[0]:.1f}")
    print(f"{'minutes':>8}{'estimates':>10}{'n_jobs':>7}{'wall s':>8}{'CPU s':>8}{'23 min: s':>10}")
    for n_jobs in options.jobs:
        start, before = time.perf_counter(), os.times()
        scores = score_estimates(reference, estimates, RATE, SEGMENT_SECONDS, n_jobs)
        wall = time.perf_counter() - start
        cpu = sum(os.times()[:4]) - sum(before[:4])
        print(
            f"{options.minutes:>8g}{options.estimates:>10}{n_jobs:>7}{wall:>8.1f}{cpu:>8.1f}"
            f"{wall / options.minutes * 23:>10.0f}",
            flush=True,
        )
    for metric, values in scores[0].items():
        row = summarise(metric, values, seed=0, n_bootstrap=1000)
        print(f"{metric:<15}{row['value']:>8.3f}  n {row['n']}  n_failed {row['n_failed']}")


if __name__ == "__main__":
    main()
