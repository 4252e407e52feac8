"""Players and spectrograms: the same seconds of film in all columns and feature types."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from giblet.io.validation import check_waveform
from giblet.report.strips import (
    gain_text,
    level_gains,
    own_shades,
    strip_image,
    strip_levels,
)
from giblet.report.systems import FEATURE_LABELS, SYSTEMS, system_label
from giblet.report.tables import in_order
from giblet.timing import count_samples, samples_duration

PLAYER_SECONDS = 60.0
MAIN = ("codec", "stimulus", "brain", "brain_group")
ONLY, BEGINNING = "only segment", "beginning"
OTHERS, OTHERS_OF_SOUND = "Nulls, retrieval and other features", "Other features"


@dataclass(frozen=True)
class Exhibit:
    """One sound: its name, data URIs of a player and of a spectrogram, an outline (SVG path), and
    the gain that brought it to the original's level, as text. ``own``, ``own_range``: its own
    colour scale, see `own_shades`. ``main``: it is no null, no retrieval and of the first feature
    type."""

    label: str
    sound: str
    picture: str
    outline: str
    gain: str
    own: str
    own_range: str
    main: bool


@dataclass(frozen=True)
class Moment:
    """Some seconds of held-out sound in all its forms, the original first.

    ``folded``: a heading of those that are not main.
    """

    name: str
    begin: float
    seconds: float
    exhibits: list[Exhibit]
    folded: str = OTHERS

    @property
    def shown(self) -> list[tuple[str, list[Exhibit]]]:
        """Exhibits that are seen at once, then the others, each with a heading."""
        main = [one for one in self.exhibits if one.main]
        others = [one for one in self.exhibits if not one.main]
        return [("", main)] + [(self.folded, others)] * bool(others)


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
    columns = {column for by_column in sounds.values() for column in by_column}
    if columns <= {"original", *MAIN}:
        shown = [replace(moment, folded=OTHERS_OF_SOUND) for moment in shown]
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
    columns = in_order([c for by_column in sounds.values() for c in by_column], SYSTEMS)
    first = next(iter(in_order(sounds, FEATURE_LABELS)), None)
    forms = [
        (
            system_label(column, simulated, one),
            sounds[one][column],
            one == first and column in MAIN,
        )
        for column in columns
        for one in in_order(sounds, FEATURE_LABELS)
        if column in sounds[one] and column != "original"
    ]
    originals = [by_column["original"] for by_column in sounds.values()]
    return [(system_label("original", simulated), wave, True) for wave in originals[:1]] + forms


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
            strip_image(level, loudest),
            outline(wave, highest),
            gain_text(gain / gains[0]),
            *own_shades(level, loudest),
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


N_COLUMNS = 480  # at most, of a picture
N_OUTLINE = 240
HOP_SECONDS = 0.02


def spectrogram_levels(waveform: np.ndarray, sample_rate: float) -> np.ndarray:
    """`strip_levels` of ``waveform`` (n_samples,), dB, (96, n_columns).

    More frames than ``N_COLUMNS`` are joined by their maximum.
    """
    levels = strip_levels(waveform, sample_rate, HOP_SECONDS)
    starts = np.linspace(0, levels.shape[1], min(N_COLUMNS, levels.shape[1]) + 1).astype(int)[:-1]
    return np.maximum.reduceat(levels, starts, axis=1)


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
