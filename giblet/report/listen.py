"""Players and spectrograms: the same seconds of film in all columns and feature types."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from giblet.io.validation import check_waveform
from giblet.report.strips import gain_text, level_gains, shades_uri
from giblet.report.tables import COLUMNS, FEATURE_LABELS, column_label, form_label, in_order
from giblet.timing import count_samples, samples_duration

PLAYER_SECONDS = 60.0
MAIN = ("codec", "stimulus", "brain", "brain_group")
ONLY, BEGINNING = "only segment", "beginning"


@dataclass(frozen=True)
class Exhibit:
    """One sound: its name, data URIs of a player and of a spectrogram, an outline (SVG path), and
    the gain that brought it to the original's level, as text. ``main``: it is no null, no retrieval
    and of the first feature type."""

    label: str
    sound: str
    picture: str
    outline: str
    gain: str
    main: bool


@dataclass(frozen=True)
class Moment:
    """Some seconds of held-out sound in all its forms, the original first."""

    name: str
    begin: float
    seconds: float
    exhibits: list[Exhibit]

    @property
    def shown(self) -> list[tuple[str, list[Exhibit]]]:
        """Exhibits that are seen at once, then the others, each with a heading."""
        main = [one for one in self.exhibits if one.main]
        others = [one for one in self.exhibits if not one.main]
        return [("", main)] + [("Nulls, retrieval and other features", others)] * bool(others)


def listening(
    sounds: Mapping[str, Mapping[str, np.ndarray]],
    sample_rate: float,
    chosen: Mapping[str, tuple[int, int]],
    simulated: bool,
) -> list[Moment]:
    """The ``chosen`` segments (name → first sample, end), then the first ``PLAYER_SECONDS``,
    unless that is one of them; beside segments without nulls, retrieval and other features, which
    would double the page's size.

    ``sounds``: feature type → column → (n_samples,), all equally long, at ``sample_rate`` Hz.
    """
    forms = _forms(sounds, simulated)
    if not forms:
        return []
    n_samples = len(forms[0][1])
    stretches: dict[tuple[int, int], list[str]] = {}
    for name, stretch in chosen.items():
        stretches.setdefault(stretch, []).append(name)
    named = {s: " and ".join(names) + " segment" for s, names in stretches.items()}
    if len(chosen) > 1 and len(named) == 1:
        named = dict.fromkeys(named, ONLY)
    beginning = 0, min(n_samples, count_samples(PLAYER_SECONDS, sample_rate))
    shown = [_moment(name, s, forms, sample_rate) for s, name in named.items()]
    if beginning not in named:
        kept = [form for form in forms if form[2]] if shown else forms
        shown.append(_moment(BEGINNING, beginning, kept, sample_rate))
    return shown


def moments_text(moments: list[Moment]) -> str:
    """A list of the ``moments`` in words; empty where there are none."""
    names, parts = [moment.name for moment in moments], []
    if ONLY in names:
        parts = [f"the only segment that has a STOI ({moments[0].seconds:.3g} s)"]
    elif any(name.endswith("segment") for name in names):
        which = "the median, the best and the worst segment"
        parts = [f"{which} by STOI of the sound through the model"]
    if names[-1:] == [BEGINNING]:
        alone = " without nulls" if len(moments) > 1 else ""
        parts.append(f"the first {moments[-1].seconds:.3g} s{alone}")
    return ", then ".join(parts)


def _forms(sounds: Mapping, simulated: bool) -> list[tuple[str, np.ndarray, bool]]:
    """Label and sound by column and feature type; the original, which is the same, once.

    Third: whether it is one of `MAIN` and of the first feature type.
    """
    columns = in_order([c for by_column in sounds.values() for c in by_column], COLUMNS)
    first = next(iter(in_order(sounds, FEATURE_LABELS)), None)
    forms = [
        (
            _exhibit_label(one, column, simulated),
            sounds[one][column],
            one == first and column in MAIN,
        )
        for column in columns
        for one in in_order(sounds, FEATURE_LABELS)
        if column in sounds[one] and column != "original"
    ]
    originals = [by_column["original"] for by_column in sounds.values()]
    return [("original", wave, True) for wave in originals[:1]] + forms


def _exhibit_label(feature_type: str, column: str, simulated: bool) -> str:
    """
    >>> _exhibit_label("mel", "brain", True), _exhibit_label("mel", "codec", True)
    ('mel: brain (simulated)', 'mel + Griffin-Lim')
    """
    name = form_label(feature_type, column)
    return name if column == "codec" else f"{name}: {column_label(column, simulated)}"


def _moment(
    name: str,
    stretch: tuple[int, int],
    forms: list[tuple[str, np.ndarray, bool]],
    sample_rate: float,
) -> Moment:
    begin, end = stretch
    gains = level_gains([wave[begin:end] for _, wave, _ in forms])
    heard = [(one[0], gain * one[1][begin:end]) for gain, one in zip(gains, forms, strict=True)]
    levels = [spectrogram_levels(wave, sample_rate) for _, wave in heard]
    loudest, highest = levels[0].max(), np.abs(heard[0][1]).max()
    exhibits = [
        Exhibit(
            label,
            player_uri(wave, sample_rate),
            spectrogram_image(level, loudest),
            outline(wave, highest),
            gain_text(gain / gains[0]),
            form[2],
        )
        for form, (label, wave), level, gain in zip(forms, heard, levels, gains, strict=True)
    ]
    start, seconds = (samples_duration(n, sample_rate) for n in (begin, end - begin))
    return Moment(name, start, seconds, exhibits)


PLAYER_RATE_HZ = 24000  # one of the rates that Opus takes
BIT_RATE = 48000  # bit/s


def player_uri(waveform: np.ndarray, sample_rate: float, max_seconds: float = 60.0) -> str:
    """The first ``max_seconds`` of ``waveform`` (n_samples,) as a ``data:audio/webm`` URI.

    Opus at 48 kbit/s, mono: near to transparent, a tenth of a wav file. Samples outside [-1, 1]
    are clipped. The same samples give the same bytes.

    Raises TypeError or ValueError where ``waveform`` is not finite floats of one dimension.
    """
    import soxr

    heard = check_waveform(waveform)[: count_samples(max_seconds, sample_rate)]
    heard = soxr.resample(heard.astype(np.float32), sample_rate, PLAYER_RATE_HZ)
    webm = _opus_in_webm(np.clip(heard, -1, 1))
    return "data:audio/webm;base64," + base64.b64encode(webm).decode("ascii")


def _opus_in_webm(samples: np.ndarray) -> bytes:
    """``samples`` (n_samples,) float32 at ``PLAYER_RATE_HZ``, with no random ids or dates."""
    import av

    target = io.BytesIO()
    with av.open(target, "w", format="webm", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=PLAYER_RATE_HZ, layout="mono")
        stream.bit_rate = BIT_RATE
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        whole = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        whole.sample_rate, whole.pts = PLAYER_RATE_HZ, 0
        encoder_format = stream.codec_context.format
        for frame in av.AudioResampler(encoder_format, "mono", PLAYER_RATE_HZ).resample(whole):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()


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


def spectrogram_image(levels: np.ndarray, loudest: float) -> str:
    """Levels (n_mels, n_frames) dB as data URI of an image, low bands below, a pixel a band.

    ``loudest`` dB is the lightest colour; black is ``DYNAMIC_RANGE_DB`` below. More frames than
    ``N_COLUMNS`` are joined by their maximum.
    """
    starts = np.linspace(0, levels.shape[1], min(N_COLUMNS, levels.shape[1]) + 1).astype(int)[:-1]
    joined = np.maximum.reduceat(levels, starts, axis=1)
    shade = np.clip(1 + (joined - loudest) / DYNAMIC_RANGE_DB, 0, 1)
    return shades_uri(np.rint(255 * shade[::-1]).astype(np.uint8))


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
