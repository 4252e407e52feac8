"""Time and memory of each attention from 2,048 to 32,768 tokens, and how they grow.

    python benchmarks/music_attention.py [--kinds window full]

One layer of width 256 with 4 heads, forward and backward, in its own process per length.
Time is that of the processor; memory is the peak above what stood before the first call, after a
short sequence warmed up everything. The exponents are slopes of straight lines through the
logarithms: 1 is linear, 2 quadratic. Small lengths are dominated by what does not grow, so
the exponents of memory are those of the peak alone.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time

LENGTHS = (2048, 4096, 8192, 16384, 32768)
KINDS = ("window", "multi_scale", "hierarchical", "full")
WIDTH, HEADS = 256, 4


def measure(kind: str, n: int) -> tuple[float, float]:
    """Seconds of processor time and MB."""
    import psutil
    import torch

    from giblet.music.attention import Attention, AttentionSettings

    torch.set_num_threads(1)
    torch.manual_seed(0)
    layer = Attention(WIDTH, HEADS, AttentionSettings(kind=kind))
    layer(torch.randn(1, 600, WIDTH, requires_grad=True)).sum().backward()
    before = psutil.Process().memory_info().rss
    x = torch.randn(1, n, WIDTH, requires_grad=True)
    start = time.process_time()
    layer(x).sum().backward()
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return seconds, (peak - before) / 1e6


def exponent(values: list[float]) -> float:
    """Slope of log(values) over log(LENGTHS), by least squares."""
    x, y = ([math.log(v) for v in column] for column in (LENGTHS, values))
    x_mean, y_mean = sum(x) / len(x), sum(y) / len(y)
    rise = sum((a - x_mean) * (b - y_mean) for a, b in zip(x, y, strict=True))
    return rise / sum((a - x_mean) ** 2 for a in x)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--row", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.row:
        print(json.dumps(measure(args.row[0], int(args.row[1]))))
        return
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for kind in args.kinds:
        rows = []
        for n in LENGTHS:
            command = [sys.executable, __file__, "--row", kind, str(n)]
            out = subprocess.run(command, capture_output=True, text=True, env=environment)
            if out.returncode:
                raise SystemExit(out.stderr)
            rows.append(json.loads(out.stdout))
            print(f"{kind:<14}{n:>7} tokens {rows[-1][0]:8.2f} s {rows[-1][1]:8.0f} MB", flush=True)
        time_power, memory_power = (exponent(column) for column in zip(*rows, strict=True))
        print(f"{kind:<14} time ∝ n^{time_power:.2f}, memory ∝ n^{memory_power:.2f}", flush=True)


if __name__ == "__main__":
    main()
