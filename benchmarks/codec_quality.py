"""How the bundled codec sounds: scores on folders of sounds, one folder a kind.

    python benchmarks/codec_quality.py FOLDER [--codec bundled] [--bandwidths 1.5 3 6]

Beside it stands uncompressed mel + Griffin-Lim on the same sounds, and how fast each is.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from giblet.audio.codec import load_codec
from giblet.audio.files import read_sound
from giblet.audio.mel import MelSettings, mel_spectrogram, mel_to_sound
from giblet.audio.quality import segment_scores, summarise

METRICS = ("pesq_wb", "stoi", "si_sdr_db", "log_mel_db")
RATE = 24000  # Hz


def scored(sounds: list[np.ndarray], through) -> tuple[dict[str, dict], float]:
    """Summaries by metric over all sounds, and how many times faster than the sound it was."""
    start, estimates = time.perf_counter(), [through(sound) for sound in sounds]
    times_real = sum(map(len, sounds)) / RATE / (time.perf_counter() - start)
    parts = [
        segment_scores(sound, estimate[: len(sound)], RATE, 8.0)
        for sound, estimate in zip(sounds, estimates, strict=True)
    ]
    pooled = {metric: np.concatenate([p[metric] for p in parts]) for metric in METRICS}
    return {m: summarise(m, s, seed=0, n_bootstrap=1000) for m, s in pooled.items()}, times_real


def main() -> None:
    """Print one row a kind and a way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--codec", default="bundled")
    parser.add_argument("--bandwidths", type=float, nargs="*", default=[1.5, 3.0, 6.0])
    options = parser.parse_args()
    ways: dict = {}
    for bandwidth in options.bandwidths:
        codec = load_codec(options.codec, bandwidth)
        ways[f"{options.codec} {bandwidth:g} kbps"] = lambda w, c=codec: c.decode(c.encode(w))
    mel = MelSettings()
    ways[f"mel {mel.n_mels}"] = lambda w: mel_to_sound(mel_spectrogram(_whole(w, mel), mel), mel)
    print(f"{'kind':<9}{'way':<20}" + "".join(f"{m:>26}" for m in METRICS) + f"{'x real':>8}")
    for kind in sorted(p for p in options.folder.iterdir() if p.is_dir()):
        sounds = [_whole(read_sound(f, RATE), mel) for f in sorted(kind.glob("*.flac"))]
        for way, through in ways.items():
            rows, speed = scored(sounds, through)
            cells = "".join(
                f"{r['value']:>9.2f} [{r['low']:.2f}, {r['high']:.2f}]".rjust(26)
                for r in rows.values()
            )
            print(f"{kind.name:<9}{way:<20}{cells}{speed:>8.1f}", flush=True)


def _whole(waveform: np.ndarray, mel: MelSettings) -> np.ndarray:
    """Cut to whole frames of both paths."""
    n = len(waveform) // np.lcm(mel.hop_length, 320) * np.lcm(mel.hop_length, 320)
    return waveform[:n]


if __name__ == "__main__":
    main()
