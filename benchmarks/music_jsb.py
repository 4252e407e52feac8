"""Next-pitch prediction on the JSB chorales: count models, and the network, in one run.

    python benchmarks/music_jsb.py [--data FILE] [--on valid]

The task of Music Transformer (Huang et al. 2019, table 1): 229 / 76 / 77 chorales as sixteenths of
four voices, read soprano, alto, tenor, bass, sixteenth after sixteenth; nats per token on
held-out chorales. The paper has .335 with relative attention and time and pitch bias, .417 for its
baseline. A sixteenth with fewer than four notes is filled with rests from below: the file does not
record which voice is silent. The count models (`giblet.music.count_models`) are trained on the 229;
each knows the voice and the sixteenth of the beat, and what its name says.

The file is ``music/benchmark/jsb-chorales-16th.json`` in the folder that GIBLET_SHARED names, from
github.com/czhuang/JSB-Chorales-dataset.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

from giblet.music.count_models import CountModel

N_VOICES, REST, LOWEST, N_SYMBOLS = 4, 0, 35, 48  # pitches 36-81 become 1-46
START = 47  # what a voice has before its first sixteenth


def read_chorales(path: Path) -> dict[str, list[np.ndarray]]:
    """Split → chorales (n_sixteenths, n_voices) int64, pitches from 1, 0 for a rest."""
    splits = json.loads(path.read_text())
    return {name: [_grid(piece) for piece in pieces] for name, pieces in splits.items()}


def _grid(piece: list[list[float]]) -> np.ndarray:
    grid = np.full((len(piece), N_VOICES), REST)
    for row, pitches in zip(grid, piece, strict=True):
        row[: len(pitches)] = np.array(pitches, dtype=int) - LOWEST
    return grid


def rows(chorales: list[np.ndarray], contexts: tuple[str, ...]) -> np.ndarray:
    """Rows (n_tokens, n_contexts + 1): what is known of each token, then the token."""
    columns = []
    for grid in chorales:
        start = np.full((1, N_VOICES), START)
        known = {
            "voice": np.broadcast_to(np.arange(N_VOICES), grid.shape),
            "beat": np.broadcast_to(np.arange(len(grid))[:, None] % 4, grid.shape),
            "last": np.concatenate([start, grid[:-1]]),
            "above": np.concatenate([np.full((len(grid), 1), START), grid[:, :-1]], axis=1),
        }
        columns.append([known[name].ravel() for name in contexts] + [grid.ravel()])
    return np.concatenate([np.stack(each, axis=1) for each in columns])


COUNTED = {  # the context that is dropped first stands first
    "pitch": (),
    "pitch, by voice": ("beat", "voice"),
    "voice's last pitch": ("last", "beat", "voice"),
    "voice's last pitch, voice above": ("above", "last", "beat", "voice"),
}


def counted_nats(splits: dict, on: str) -> dict[str, float]:
    """Count model → nats per token."""
    found = {}
    for name, contexts in COUNTED.items():
        model = CountModel(rows(splits["train"], contexts), N_SYMBOLS)
        found[name] = float(-np.log(model.probabilities(rows(splits[on], contexts))).mean())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shared = Path(os.environ.get("GIBLET_SHARED", "../shared"))
    parser.add_argument(
        "--data", type=Path, default=shared / "music" / "benchmark" / "jsb-chorales-16th.json"
    )
    parser.add_argument("--on", choices=("valid", "test"), default="valid")
    options = parser.parse_args()
    splits = read_chorales(options.data)
    for name, pieces in splits.items():
        print(f"{name}: {len(pieces)} chorales, {sum(grid.size for grid in pieces)} tokens")
    start = time.perf_counter()
    for name, nats in counted_nats(splits, options.on).items():
        print(f"counts of {name}: {nats:.3f} nats/token")
    print(f"{time.perf_counter() - start:.1f} s for all count models")


if __name__ == "__main__":
    main()
