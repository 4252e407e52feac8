"""Pictures of a sound over time, as wide as a player: spectrogram and outline."""

import base64
import io

import numpy as np

from giblet.timing import count_samples

DYNAMIC_RANGE_DB = 80.0
N_COLUMNS = 480  # at most, of a picture
N_OUTLINE = 240
N_MELS = 96
TICKS_KHZ = (1, 4)


def spectrogram_levels(waveform: np.ndarray, sample_rate: float) -> np.ndarray:
    """Power (dB) of ``waveform`` (n_samples,) in mel bands, shape (96, n_frames).

    Windows of 40 ms every 20 ms, bands up to half of ``sample_rate`` Hz.
    """
    import librosa

    power = librosa.feature.melspectrogram(
        y=waveform,
        sr=sample_rate,
        n_fft=count_samples(0.04, sample_rate),
        hop_length=count_samples(0.02, sample_rate),
        n_mels=N_MELS,
    )
    return librosa.power_to_db(power, top_db=None)


def spectrogram_png(levels: np.ndarray, loudest: float) -> str:
    """Levels (n_mels, n_frames) dB as PNG data URI, low bands below, a pixel a band.

    ``loudest`` dB is the lightest colour; black is ``DYNAMIC_RANGE_DB`` below. More frames than
    ``N_COLUMNS`` are joined by their maximum.
    """
    from matplotlib import colormaps
    from PIL import Image

    starts = np.linspace(0, levels.shape[1], min(N_COLUMNS, levels.shape[1]) + 1).astype(int)[:-1]
    joined = np.maximum.reduceat(levels, starts, axis=1)
    shade = np.clip(1 + (joined - loudest) / DYNAMIC_RANGE_DB, 0, 1)
    picture = Image.fromarray(np.rint(255 * shade[::-1]).astype(np.uint8), mode="P")
    palette = colormaps["magma"](np.arange(256), bytes=True)[:, :3]
    picture.putpalette(palette.tobytes())
    target = io.BytesIO()
    picture.save(target, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(target.getvalue()).decode("ascii")


def band_ticks(nyquist: float) -> list[tuple[str, float]]:
    """Frequencies to mark in a spectrogram up to ``nyquist`` Hz: name, and height in percent."""
    import librosa

    centres = librosa.mel_frequencies(N_MELS + 2, fmax=nyquist)[1:-1]
    heights = np.interp(1000 * np.array(TICKS_KHZ), centres, np.linspace(0, 100, N_MELS))
    return [(f"{khz} kHz", round(float(h), 1)) for khz, h in zip(TICKS_KHZ, heights, strict=True)]


def outline(waveform: np.ndarray, loudest: float) -> str:
    """The lowest and highest samples of stretches of a sound, as an SVG path.

    From 0 to ``N_OUTLINE`` across, and from -100 to 100 for ``loudest``; more is clipped.
    """
    edges = np.linspace(0, len(waveform), N_OUTLINE + 1).astype(int)[:-1]
    scale = -100 / max(loudest, 1e-9)
    ends = [f.reduceat(waveform, edges) * scale for f in (np.maximum, np.minimum)]
    top, bottom = (np.clip(np.rint(end), -100, 100).astype(int) for end in ends)
    there = [f"{k} {y}" for k, y in enumerate(top)]
    back = [f"{k} {y + 1}" for k, y in reversed(list(enumerate(bottom)))]
    return "M" + "L".join(there + back) + "Z"
