"""Spectrogram strips with a logarithmic frequency axis, and sounds at one level."""

import base64
import io
import re
from typing import TYPE_CHECKING

import numpy as np

from giblet.timing import count_samples, nyquist_hz

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

LOWEST_HZ = 80.0
N_BANDS = 96
WINDOW_SECONDS, HOP_SECONDS = 0.04, 0.01
RANGE_DB = 70.0
MARKS_HZ = (100, 300, 1000, 3000, 10000)
LARGEST_PEAK = 0.98  # of full scale
_EMBEDDED_PNG = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)")
WEBP_QUALITY = 80  # of 100, where pixels may change a little
SILENCE = 1e-6  # RMS, of full scale


def level_gains(waves: list[np.ndarray]) -> np.ndarray:
    """Gains (n_waves,) that bring every wave (n_samples,) to the RMS level of the first.

    All are lowered together where the largest peak would otherwise exceed full scale. A silent
    wave keeps the gain that all have in common.

    >>> level_gains([np.full(4, 0.5), np.full(4, 0.05), np.zeros(4)]).round(3).tolist()
    [1.0, 10.0, 1.0]
    """
    rms = np.array([np.sqrt(np.mean(np.square(wave, dtype=float))) for wave in waves])
    level = rms[0] if rms[0] > SILENCE else 1.0
    gains = np.where(rms > SILENCE, level / np.maximum(rms, SILENCE), 1.0)
    peaks = [gain * np.abs(wave).max(initial=0.0) for gain, wave in zip(gains, waves, strict=True)]
    return gains * min(1.0, LARGEST_PEAK / max(*peaks, SILENCE))


def gain_text(ratio: float) -> str:
    """A gain relative to that of the original; empty where it is near 1.

    >>> gain_text(10.0), gain_text(1.01)
    ('+20 dB', '')
    """
    decibels = round(20 * np.log10(ratio))
    return f"{decibels:+d} dB".replace("-", "−") if decibels else ""


def strip_levels(
    waveform: np.ndarray, sample_rate: float, hop_seconds: float = HOP_SECONDS
) -> np.ndarray:
    """Power density (dB) in log-spaced bands from 80 Hz to half of ``sample_rate``.

    ``waveform`` (n_samples,) → (96, n_frames): Hann windows of 40 ms every ``hop_seconds``, low
    bands first.
    A band's power is the integral of the spectrum between its edges over its width, so that bands
    narrower than a bin have values too.
    """
    import librosa

    n_window = count_samples(WINDOW_SECONDS, sample_rate)
    n_fft = 4 * int(2 ** np.ceil(np.log2(n_window)))
    options = {"n_fft": n_fft, "win_length": n_window}
    options |= {"hop_length": count_samples(hop_seconds, sample_rate)}
    power = np.abs(librosa.stft(waveform, **options)) ** 2
    bin_hz = librosa.fft_frequencies(sr=sample_rate, n_fft=n_fft)[1]
    below = np.vstack([np.zeros(power.shape[1]), np.cumsum(power, axis=0)])  # up to a bin's end
    edges = band_edges(sample_rate)
    places = np.clip(edges / bin_hz + 0.5, 0, len(below) - 1)
    whole = np.minimum(places.astype(int), len(below) - 2)
    part = (places - whole)[:, None]
    summed = (1 - part) * below[whole] + part * below[whole + 1]
    density = np.diff(summed, axis=0) / (np.diff(edges) / bin_hz)[:, None]
    return 10 * np.log10(np.maximum(density, 1e-12))


def band_edges(sample_rate: float) -> np.ndarray:
    """Edges of the bands in Hz, (97,)."""
    return np.geomspace(LOWEST_HZ, nyquist_hz(sample_rate), N_BANDS + 1)


def frequency_marks(sample_rate: float) -> list[tuple[str, float]]:
    """Frequencies to mark: kHz as text, and height in the strip in percent.

    >>> frequency_marks(24000)[2]
    ('1', 50.4)
    """
    highest = nyquist_hz(sample_rate)
    span = np.log(highest / LOWEST_HZ)
    heights = {hz: 100 * np.log(hz / LOWEST_HZ) / span for hz in MARKS_HZ if hz < highest}
    return [(f"{hz / 1000:g}", round(float(height), 1)) for hz, height in heights.items()]


def strip_image(levels: np.ndarray, loudest: float, range_db: float = RANGE_DB) -> str:
    """Levels (n_bands, n_frames) dB as an image (data URI), a pixel a band and frame.

    Low bands are below. ``loudest`` dB and more is the lightest colour, ``range_db`` less is black.
    """
    shade = np.clip(1 + (levels[::-1] - loudest) / range_db, 0, 1)
    return shades_uri(np.rint(255 * shade).astype(np.uint8))


def own_scale(levels: np.ndarray) -> tuple[float, float]:
    """Lowest and highest level (dB) of a strip's own colour scale: 2 and 99.8 % of its levels.

    At most ``RANGE_DB`` and at least 1 dB apart.

    >>> own_scale(np.linspace(-50, 0, 1001))
    (-49.0, -0.1)
    """
    low, high = (round(float(end), 1) for end in np.percentile(levels, [2, 99.8]))
    return max(low, high - RANGE_DB) if high - low >= 1 else high - 1, high


def own_shades(levels: np.ndarray, loudest: float) -> tuple[str, str]:
    """The ends of `own_scale` as shades of a `strip_image`, and in dB below ``loudest``.

    A strip that is darker than all of its image keeps the scale of the image.

    >>> own_shades(np.linspace(-50, 0, 1001), 20.0)
    ('4 182', '−69 to −20 dB')
    >>> own_shades(np.full((2, 2), -90.0), 0.0)
    ('0 255', 'below −70 dB')
    """
    low, high = (min(max(end - loudest, -RANGE_DB), 0.0) for end in own_scale(levels))
    if low == high:
        return "0 255", f"below −{RANGE_DB:g} dB"
    shades = (round(255 * (1 + end / RANGE_DB)) for end in (low, high))
    ends = " to ".join(f"{round(end)}".replace("-", "−") for end in (low, high))
    return " ".join(map(str, shades)), f"{ends} dB"


def colour_bar_image() -> str:
    """All colours from black to the lightest, left to right, as data URI of an image."""
    return shades_uri(np.arange(256, dtype=np.uint8)[None])


def shades_uri(shades: np.ndarray) -> str:
    """``shades`` (n_rows, n_columns) uint8 in the colours of magma, as data URI of an image."""
    from matplotlib import colormaps
    from PIL import Image

    return webp_uri(Image.fromarray(colormaps["magma"](shades, bytes=True)[..., :3]))


def webp_uri(picture: "PillowImage", lossless: bool = True) -> str:
    """``picture`` as WebP in a data URI: smaller than PNG, lossless with the same pixels."""
    target, quality = io.BytesIO(), 100 if lossless else WEBP_QUALITY
    picture.save(target, format="WEBP", lossless=lossless, quality=quality, exact=lossless)
    return "data:image/webp;base64," + base64.b64encode(target.getvalue()).decode("ascii")


def smaller_images(text: str, lossless: bool = True) -> str:
    """HTML or SVG whose PNG images in data URIs are WebP instead."""
    from PIL import Image

    def smaller(png: re.Match) -> str:
        return webp_uri(Image.open(io.BytesIO(base64.b64decode(png[1]))), lossless)

    return _EMBEDDED_PNG.sub(smaller, text)
