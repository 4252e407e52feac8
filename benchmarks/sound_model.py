"""Layers of an audio model of 94 M parameters: speed and memory, in windows and of a whole file.

    python benchmarks/sound_model.py FOLDER [--seconds 20 60] [--ways windows bfloat16 whole]

The model has wav2vec 2.0 base's configuration and random weights, saved in FOLDER; the sound is
noise. Each run is a process of its own, on one thread: processor seconds, and the peak of its
resident memory above that of the loaded model. In windows: `giblet.audio.model_features` (10 s
with 5 s of context on either side). Whole: one call of transformers for the whole sound, as
extractors without windows make it. In bfloat16: the same windows under torch's autocast.
"""

import argparse
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from giblet.audio.model_features import SoundModel, mean_in_bins

RATE = 16000
LAYERS = [3, 6, 9]
BIN_SECONDS = 0.5
WAYS = ("windows", "bfloat16", "whole")


def save_model(folder: Path) -> None:
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    torch.manual_seed(0)
    Wav2Vec2Model(Wav2Vec2Config()).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)


def windows(model: SoundModel, sound: np.ndarray) -> np.ndarray:
    """Means in bins, as `giblet sound_features` writes them."""
    seconds = len(sound) // RATE
    pieces = model.features(np.array_split(sound, seconds))
    return mean_in_bins(pieces, model.rate_hz, BIN_SECONDS, round(seconds / BIN_SECONDS))


def whole(model: SoundModel, sound: np.ndarray) -> np.ndarray:
    states = model._states(sound)
    return torch.cat([states[i][0] for i in LAYERS], dim=1).numpy()


def measured(way: str, folder: Path, seconds: int) -> tuple[float, float, np.ndarray]:
    """Processor seconds, MB above the loaded model, and the layers."""
    torch.set_num_threads(1)
    model = SoundModel(str(folder), LAYERS)
    sound = np.random.default_rng(0).standard_normal(RATE * seconds).astype(np.float32)
    half = torch.autocast("cpu", torch.bfloat16) if way == "bfloat16" else nullcontext()
    before, begin = peak_mb(), time.process_time()
    with half:
        features = (whole if way == "whole" else windows)(model, sound)
    return time.process_time() - begin, peak_mb() - before, features


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=int, nargs="+", default=[20, 60])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    options = parser.parse_args()
    save_model(options.folder)
    for seconds in options.seconds:
        found = {}
        for way in options.ways:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                used, mb, found[way] = pool.submit(measured, way, options.folder, seconds).result()
            speed = seconds / used
            row = f"{seconds:5} s, {way:8} {used:7.1f} processor s, {speed:5.2f} x, {mb:6.0f} MB"
            print(row, flush=True)
        if not {"bfloat16", "windows"} <= found.keys():
            continue
        apart = found["bfloat16"] - found["windows"]
        print(f"bfloat16: relative error {apart.std() / found['windows'].std():.1e}")


if __name__ == "__main__":
    main()
