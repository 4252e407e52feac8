"""Compare mel settings: sound to mel and back by Griffin-Lim, scored against the original.

    python benchmarks/mel_settings.py FOLDER [--seconds 60] [--kinds speech music effects]
    python benchmarks/mel_settings.py FOLDER --ways matched    # quantised, at codecs' bitrates
    python benchmarks/mel_settings.py FOLDER --ways search --kbps 6    # what else fits 6 kbps

FOLDER has one folder of sounds per kind; equal parts of every file are used.
"""

import argparse
import time
import warnings
from itertools import product
from pathlib import Path

import numpy as np

from giblet.audio.files import read_sound
from giblet.audio.mel import MelSettings, mel_spectrogram, mel_to_sound
from giblet.audio.metrics.scores import score_sound
from giblet.audio.quantized_mel import (
    QuantizerSettings,
    bands_within,
    dequantize_mel,
    matched_settings,
    pack_levels,
    quantize_mel,
)

RATE = 24000  # Hz
METRICS = {"pesq_wb": 2, "stoi": 3, "estoi": 3, "si_sdr_db": 1, "log_mel_db": 2}
WINDOWS = [(1024, 256), (2048, 256), (2048, 512)]  # n_fft, hop_length
Way = tuple[MelSettings, QuantizerSettings | None]


def uncompressed() -> list[Way]:
    """The grid of bands and windows, and 2,048 bands as the extreme."""
    grid = [(n, *window) for n in (80, 128, 256, 512) for window in WINDOWS]
    return [(MelSettings(RATE, *sizes), None) for sizes in [*grid, (2048, 4096, 512)]]


def searched(kbps: float, lows: list[float], highs: list[float]) -> list[Way]:
    """Every window and number of bits with as many bands as fit ``kbps``, 6 to 256."""
    ways = []
    for hop, overlap, bits in product((256, 384, 512, 768, 1024), (2, 4), (3, 4, 5)):
        n_mels = bands_within(kbps, bits, hop, RATE)
        settings = MelSettings(RATE, n_mels, overlap * hop, hop)
        if 6 <= n_mels <= 256:
            ways += [(settings, QuantizerSettings(bits, *r)) for r in product(lows, highs)]
    return ways


def sound_of(folder: Path, seconds: float) -> np.ndarray:
    """The first parts, equally long, of all sounds in a folder, end to end."""
    sounds = [read_sound(file, RATE) for file in sorted(folder.glob("*.flac"))]
    lengths = sorted(map(len, sounds))
    left, part = round(seconds * RATE), 0
    for i, length in enumerate(lengths):  # short sounds leave their share to the longer ones
        part = left / (len(lengths) - i)
        left -= min(length, part)
    whole = np.concatenate([sound[: int(part)] for sound in sounds])
    return whole[: len(whole) // 4096 * 4096]  # whole frames of every hop that divides 4096


def there_and_back(sound: np.ndarray, way: Way) -> tuple[np.ndarray, int, int]:
    """Decoded sound, number of values, number of bits stored."""
    settings, quantizer = way
    mel = mel_spectrogram(sound, settings)
    n_bits = 32 * mel.size
    if quantizer:
        levels = quantize_mel(mel, quantizer)
        n_bits = 8 * len(pack_levels(levels, quantizer.n_bits))
        mel = dequantize_mel(levels, quantizer)
    back = mel_to_sound(mel, settings)
    return np.pad(back, (0, len(sound) - len(back))), mel.size, n_bits


def row(kind: str, sound: np.ndarray, way: Way) -> str:
    """One line of the table (Markdown)."""
    settings, quantizer = way
    start = time.perf_counter()
    back, n_values, n_bits = there_and_back(sound, way)
    speed = len(sound) / RATE / (time.perf_counter() - start)
    scores = score_sound(sound, back, RATE).set_index("metric")
    levels = "32 bit"
    if quantizer:
        levels = f"{quantizer.n_bits} bit, {quantizer.low_db:g} to {quantizer.high_db:g} dB"
    cells = [kind, settings.n_mels, f"{settings.n_fft}/{settings.hop_length}", levels]
    cells += [f"{scores.value[m]:.{digits}f}" for m, digits in METRICS.items()]
    seconds = len(sound) / RATE
    cells += [f"{n_values / seconds:.0f}", f"{n_bits / seconds / 1000:.2f}", f"{speed:.1f}"]
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    """Print one row per kind and setting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--ways", choices=["uncompressed", "matched", "search"], nargs="+")
    parser.add_argument("--kinds", nargs="+", default=["speech", "music", "effects"])
    parser.add_argument("--seconds", type=float, default=60.0, help="of each kind")
    parser.add_argument("--kbps", type=float, nargs="+", default=[1.5, 3.0, 6.0, 12.0, 24.0])
    parser.add_argument("--low", type=float, nargs="+", default=[-30.0], help="dB, of a search")
    parser.add_argument("--high", type=float, nargs="+", default=[40.0], help="dB, of a search")
    options = parser.parse_args()
    makers = {
        "uncompressed": uncompressed,
        "matched": lambda: [matched_settings(k, RATE) for k in options.kbps],
        "search": lambda: [
            way for k in options.kbps for way in searched(k, options.low, options.high)
        ],
    }
    ways = [way for name in options.ways or ["uncompressed", "matched"] for way in makers[name]()]
    head = ["kind", "bands", "n_fft/hop", "levels", *METRICS, "values/s", "kbit/s", "× real time"]
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for kind in options.kinds:
        sound = sound_of(options.folder / kind, options.seconds)
        for way in ways:
            print(row(kind, sound, way), flush=True)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="Empty filters")
    main()
