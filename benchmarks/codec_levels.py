"""How loud a codec decodes tones and noise, and what a constant offset costs.

    python benchmarks/codec_levels.py [CODEC ...]

One table in Markdown, dB out over in. Goals: tones within 3 dB, noise within 1 dB.
"""

import argparse

import numpy as np

from giblet.audio.codecs.codec import load_codec

FREQUENCIES = (100, 200, 440, 1000, 2000, 3000, 4000, 5000, 6500, 8000)  # Hz
AMPLITUDE, OFFSET, SECONDS = 0.1, 0.3, 4.0


def power_at(sound: np.ndarray, frequency: float, sample_rate: int) -> float:
    """Power of ``sound`` (n_samples,) at one frequency, under a Hann window."""
    window = np.hanning(len(sound))
    wave = np.exp(-2j * np.pi * frequency * np.arange(len(sound)) / sample_rate)
    return float(np.abs(np.sum(sound * window * wave)) ** 2)


def rows(codec) -> dict[str, float]:
    """What was measured, and its dB (the offset: the mean of the decoded sound)."""
    rate = codec.sample_rate
    times = np.arange(round(SECONDS * rate)) / rate
    inner = slice(round(0.5 * rate), round((SECONDS - 0.5) * rate))

    def decoded(sound: np.ndarray) -> np.ndarray:
        return codec.decode(codec.encode(sound.astype(np.float32)))[: len(sound)]

    measured = {}
    for shift, name in ((0.0, "tone"), (OFFSET, f"tone with an offset of {OFFSET:g}")):
        for frequency in FREQUENCIES:
            sound = AMPLITUDE * np.sin(2 * np.pi * frequency * times) + shift
            out, original = decoded(sound)[inner], sound[inner]
            gain = power_at(out, frequency, rate) / power_at(original, frequency, rate)
            measured[f"{name}, {frequency} Hz"] = 10 * np.log10(gain)
            if shift and frequency == 1000:
                measured["offset of that (mean)"] = float(out.mean())
    rng = np.random.default_rng(0)
    for rms in (0.03, 0.1):
        sound = rms * rng.standard_normal(len(times))
        out = decoded(sound)[inner]
        measured[f"white noise, RMS {rms:g}"] = 10 * np.log10(
            np.mean(out**2) / np.mean(sound[inner] ** 2)
        )
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("codecs", nargs="*", default=["bundled"])
    names = parser.parse_args().codecs
    measured = [rows(load_codec(name, codebooks=8)) for name in names]
    print("| | " + " | ".join(names) + " |\n" + "|---" * (len(names) + 1) + "|")
    for what in measured[0]:
        print(f"| {what} | " + " | ".join(f"{m[what]:.2f}" for m in measured) + " |")


if __name__ == "__main__":
    main()
