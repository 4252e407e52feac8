"""Sound in and out of files: any film or recording, as mono samples on the film's clock.

The film's clock starts where its container starts. Sound that begins later is preceded by
silence, so sample ``k`` is the sound at ``k / sample_rate`` seconds of film. It is there to 1 ms
(Matroska and MP4 round to that) where timestamps agree with the samples; where they drift or
jitter, to about 5 ms. `giblet.audio.placement` says which timestamps are believed.

An encoder's delay is left out where the file states its length: MP4 and MOV with an edit list,
Matroska and WebM by muxers of 2023 or later (FFmpeg 6), Ogg, and MP3 with a Xing header. Elsewhere
the sound comes late by it, and nothing in the file tells. Measured with FFmpeg's encoders at
48 kHz, in ms:

==================================================  ==============================
AAC: raw, TS, FLV, old MKV, MP4 without edit list   21.3 (1,024 samples)
AAC by Apple's encoders, where nothing states it    44 (2,112 samples; as others report)
MP3: without a Xing header, in AVI, FLV or old MKV  23 (1,105 samples)
MP2                                                 10.0
AC-3, E-AC-3 (outside Matroska)                     5.3 (256 samples)
DTS                                                 10.7
Opus in MPEG-TS                                     6.5
Speex                                               14.9 (16 kHz)
RealAudio 14.4, Nellymoser                          20, 16 (8 kHz)
G.722                                               1.4 (16 kHz)
WMA                                                 32 at 16, 64 at 32, 46 at 44.1, 43 at 48 kHz
==================================================  ==============================

AC-3 and E-AC-3 are decoded with the dynamic range control that their encoder asked for, as FFmpeg
does by default (``drc_scale`` 1): passages marked with −12 dB are 12 dB quieter.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from giblet.audio.blocks import resampled
from giblet.audio.downmix import downmix_weights, mono
from giblet.audio.levels import Levels
from giblet.audio.placement import Piece, place
from giblet.errors import GibletError
from giblet.film.container import (
    OutOfTime,
    decoded_frames,
    film_start,
    header_duration,
    is_raw,
    open_film,
)
from giblet.film.cut_short import has_second_file, missing_bytes
from giblet.film.tracks import choice_message, choose_tracks, sound_tracks
from giblet.film.wave_header import wave_data
from giblet.io.atomic import replacing
from giblet.io.validation import check_waveform
from giblet.timing import count_samples, samples_duration

if TYPE_CHECKING:
    import av

logger = logging.getLogger(__name__)

_CUT_SHORT = 1.0  # s: the header promises so much more sound than there is
_LOUDEST = 1e9  # times full scale; 16-bit samples that are stored as floats have 3e4
_SLOWEST = 100  # Hz
_LARGEST = 2**31  # bytes of sound held at once: 6 hours at 24 kHz
_WRITTEN = 2**20  # samples that are written at once
_GAP = 0.005  # s: smaller steps of the timestamps are jitter
_PACK = 0.03  # s: FFmpeg stamps a pack of a DVD's PCM as the next packet that begins in it
_PAUSING = {"opus", "libopus", "speex", "libspeex"}  # codecs that may leave out silence
_SAMPLES = {  # sample format → type, zero, full scale
    "u8": ("u1", 128, 2**7),
    "s16": ("i2", 0, 2**15),
    "s32": ("i4", 0, 2**31),
    "flt": ("f4", 0, 1),
    "dbl": ("f8", 0, 1),
}


def has_sound(path: str | Path) -> bool:
    """True if a film has a sound track that can be decoded. GibletError if it is no film."""
    with open_film(path) as film:
        return any(track.codec for track in sound_tracks(film))


def sound_duration(path: str | Path, track: int | str | None = None) -> float:
    """Film time (s) at which the sound ends, measured by decoding it, not by what headers say.

    ``track``, and what is raised: as `sound_blocks`.
    """
    n_samples: Counter[int] = Counter()  # of each rate
    for piece, rate in _mono_pieces(path, track):
        n_samples[rate] += len(piece)
    return _seconds(n_samples)


def _seconds(n_samples: dict[int, int]) -> float:
    return float(sum(Fraction(n, rate) for rate, n in n_samples.items()))


def read_sound(path: str | Path, sample_rate: float, track: int | str | None = None) -> np.ndarray:
    """Sound of a film or recording, (n_samples,) float32 mono at ``sample_rate`` Hz.

    ``track``: as `sound_blocks` takes it. Raises GibletError as `sound_blocks` does, and where the
    sound is larger than 2 GiB: 6 hours at 24 kHz. `sound_blocks` has no such limit.
    """
    samples = bytearray()  # grows in place: the whole sound is never held twice
    for block in sound_blocks(path, sample_rate, track=track):
        samples += block.tobytes()
        if len(samples) > _LARGEST:
            raise GibletError(
                f"{path}: too long to be held at once, more than "
                f"{samples_duration(len(samples) // 4, sample_rate) / 3600:.2g} hours at "
                f"{sample_rate:g} Hz. Cut it into runs, or read it with sound_blocks."
            )
    return np.frombuffer(samples, dtype=np.float32)


def sound_blocks(
    path: str | Path,
    sample_rate: float,
    block_seconds: float = 10.0,
    track: int | str | None = None,
) -> Iterator[np.ndarray]:
    """Consecutive blocks (n_samples,) float32 mono of about ``block_seconds`` s.

    Of two channels the mean, of more the mix of `giblet.audio.downmix`. The resampler (soxr, HQ)
    runs on across blocks, so their concatenation has no seams and
    ``round(duration * sample_rate)`` samples.

    Parameters
    ----------
    path : any file that FFmpeg reads.
    sample_rate : Hz, need not be whole.
    track : of several sound tracks, its number (from 1) or language; None: by the rule of
        `giblet.film.tracks`, with a warning that lists them.

    Raises
    ------
    GibletError
        No such file, not a media file, no such sound track, no sound in it, NaN, timestamps that
        jump by more than six hours. Logged as warnings: gaps, overlaps, timestamps that start
        again, a file cut short, more or less sound than the header says, and what
        `giblet.audio.levels` finds.
    """
    yield from resampled(_mono_pieces(path, track), sample_rate, block_seconds)


def _mono_pieces(
    path: str | Path, track: int | str | None = None
) -> Iterator[tuple[np.ndarray, int]]:
    """Pieces (n_samples,) of mono sound from film time 0 on, each with its own rate in Hz."""
    levels = Levels(path)
    with open_film(path) as film:
        chosen, tracks = choose_tracks(film, track, path), sound_tracks(film)
        if len(tracks) > 1:
            level = logging.WARNING if track is None else logging.INFO
            logger.log(level, "%s: %s", path, choice_message(chosen, tracks))
        if n_missing := missing_bytes(path):
            message = "%s: the file is cut short: %s bytes of it are missing. Copy it again"
            logger.warning(message, path, f"{n_missing:,}")
        if has_second_file(path):
            message = (
                "%s: a second file follows in it, and is not read. Join files by FFmpeg (concat)"
            )
            logger.warning(message, path)
        if len(chosen) == 1:
            pieces = _track_pieces(film, chosen[0].number, path, levels)
        else:
            pieces = _mixed([_opened_track_pieces(path, t.number) for t in chosen], levels)
        try:
            yield from pieces
        except (GeneratorExit, OutOfTime):  # the beginning is all that is wanted
            levels.warn()
            raise
    levels.warn()


def _opened_track_pieces(path: str | Path, number: int) -> Iterator[tuple[np.ndarray, int]]:
    with open_film(path) as film:
        yield from _track_pieces(film, number, path, None)


def _track_pieces(
    film, number: int, path: str | Path, levels: Levels | None
) -> Iterator[tuple[np.ndarray, int]]:
    """The same of the sound track ``number``, whose ``levels`` are measured."""
    stream = film.streams.audio[number - 1]
    n_samples: Counter[int] = Counter()  # of each rate
    pieces = _decoded_pieces(film, stream, path, levels)
    codec = stream.codec_context.name
    coarse = film.format.name == "mpeg" and codec.startswith("pcm")
    jitter = _PACK if coarse else _GAP
    for samples, rate in place(pieces, str(path), codec in _PAUSING, jitter):
        n_samples[rate] += len(samples)
        yield samples, rate
    if not n_samples:
        raise GibletError(f"{path}: no sound in its sound track (zero length, or damaged)")
    _warn_of_length(film, stream, _seconds(n_samples), path)


def _decoded_pieces(film, stream, path: str | Path, levels: Levels | None) -> Iterator[Piece]:
    """Pieces of mono sound as they are decoded."""
    stamp, zero = None, float(film_start(film))
    first_rate, made_up = 0, is_raw(film)
    weights: dict[int, tuple[float, ...]] = {}  # number of channels → weight of each
    # FFmpeg's FLAC parser waits for nine packets, and stamps the first by the tenth
    stamps_lag = film.format.name in ("asf", "wtv") and stream.codec_context.name == "flac"
    for frame in decoded_frames(film, stream, path):
        rate, pts = frame.sample_rate, frame.pts
        if rate < _SLOWEST:
            raise GibletError(f"{path}: {rate} samples a second are no sound; is it damaged?")
        if not first_rate:
            first_rate = rate
            zero += _misstamped(film, stream, frame)
        # FFmpeg's Opus decoder stamps its last few samples as the piece before them
        begin = None if pts is None or pts == stamp else frame.time - zero
        if stamp is not None and (stamps_lag or (made_up and rate != first_rate)):
            begin = None  # FFmpeg counts on at the rate of the stream's beginning
        stamp = pts
        mixed = _mono(frame, weights, levels)
        # The energy is the faster bound; NaN is below neither
        if not (mixed @ mixed < _LOUDEST or np.abs(mixed).max(initial=0.0) < _LOUDEST):
            raise GibletError(
                f"{path}: NaN or infinite samples, or far beyond full scale"
                + ("" if begin is None else f", at {begin:.2f} s")
            )
        yield Piece(mixed, rate, begin)


def _misstamped(film, stream, frame) -> float:
    """Seconds by which FFmpeg stamps a whole Ogg Vorbis file late, by its first frame.

    In short files the first packet counts as half a block (a power of two), though it gives no
    samples.
    """
    n_late = count_samples(frame.time or 0, frame.sample_rate)
    vorbis = film.format.name == "ogg" and stream.codec_context.name == "vorbis"
    is_block = 32 <= n_late <= 4096 and n_late & (n_late - 1) == 0
    return samples_duration(n_late, frame.sample_rate) if vorbis and is_block else 0.0


def _mixed(
    tracks: Sequence[Iterator[tuple[np.ndarray, int]]], levels: Levels
) -> Iterator[tuple[np.ndarray, int]]:
    """Mean of tracks that each hold one channel, all at one rate; silence where one has ended."""
    weights, rate = (1 / len(tracks),) * len(tracks), 0
    held = [np.zeros(0, dtype=np.float32)] * len(tracks)
    running = set(range(len(tracks)))
    while running or any(map(len, held)):
        for k in sorted(running):
            while not len(held[k]):
                piece, rate = next(tracks[k], (None, rate))
                if piece is None:
                    running.remove(k)
                    break
                held[k] = piece
        n = min((len(piece) for piece in held if len(piece)), default=0)
        channels = np.stack([np.pad(piece[:n], (0, n - len(piece[:n]))) for piece in held])
        held = [piece[n:] for piece in held]
        if n:
            mixed = mono(channels, weights)
            levels.add(channels, mixed, weights, rate)
            yield mixed, rate


def _mono(
    frame: "av.AudioFrame", weights: dict[int, tuple[float, ...]], levels: Levels | None
) -> np.ndarray:
    """Mono of a frame's channels, (n_samples,) float32, full scale 1."""
    channels = _channels(frame)
    if len(channels) not in weights:
        weights[len(channels)] = downmix_weights(frame.layout.name)
    mixed = mono(channels, weights[len(channels)])
    if levels is not None:
        levels.add(channels, mixed, weights[len(channels)], frame.sample_rate)
    return mixed


def _channels(frame: "av.AudioFrame") -> np.ndarray:
    """Samples (n_channels, n_samples) float32 of a frame, full scale 1."""
    import av

    if frame.format.packed.name not in _SAMPLES:  # 64-bit integers
        (frame,) = av.AudioResampler(format="fltp").resample(frame)
    kind, zero, scale = _SAMPLES[frame.format.packed.name]
    n_channels = frame.layout.nb_channels
    if n_channels == 1:  # to_ndarray would copy it twice
        samples = np.frombuffer(frame.planes[0], kind)[None, : frame.samples]
    else:
        samples = frame.to_ndarray()  # (n_channels, n_samples), or (1, n_samples * n_channels)
        if not frame.format.is_planar:
            samples = samples.reshape(-1, n_channels).T
    floats = samples.astype(np.float32)
    if zero:
        floats -= np.float32(zero)
    if scale != 1:
        floats *= np.float32(1 / scale)  # exact: scales are powers of two
    return floats


def _warn_of_length(film, stream, end: float, path: str | Path) -> None:
    """Log where the file holds less sound than its header says, or more."""
    wave = wave_data(path)
    if wave and not wave.wrapped and wave.unread_seconds > _CUT_SHORT:
        logger.warning(
            "%s: its header gives %.2f s of sound, but %.2f s more seem to follow, which are not "
            "read. If they are sound: ffmpeg -ignore_length 1 -i %s new.flac",
            *(path, end, wave.unread_seconds, Path(path).name),
        )
    seconds = wave.promised_seconds if wave else header_duration(film, stream, path)
    if seconds is not None and seconds - end > _CUT_SHORT and not (wave and wave.wrapped):
        logger.warning(
            "%s: sound ends at %.2f s, its header says %.2f s. Is the file cut short?",
            *(path, end, seconds),
        )


def write_sound(path: str | Path, waveform: np.ndarray, sample_rate: int) -> None:
    """Write ``waveform`` (n_samples,) in [-1, 1] as 16-bit ``.wav`` or ``.flac``.

    What exceeds [-1, 1] is clipped, and logged as a warning.

    Raises
    ------
    GibletError
        Another ending.
    TypeError, ValueError
        ``waveform`` is not a finite float array of one dimension, ``sample_rate`` not whole.
    """
    import soundfile

    if Path(path).suffix.lower() not in (".wav", ".flac"):
        raise GibletError(f"{path}: sound is written as .wav or .flac; change the name's ending")
    if sample_rate != int(sample_rate):
        raise ValueError(f"a sound file's sample_rate must be whole, got {sample_rate} Hz")
    waveform = check_waveform(waveform)
    if waveform.dtype not in (np.float32, np.float64):  # all that libsndfile takes
        waveform = waveform.astype(np.float32 if waveform.itemsize < 4 else np.float64)
    blocks = [waveform[at : at + _WRITTEN] for at in range(0, len(waveform), _WRITTEN)]
    n_clipped = sum(int((np.abs(block) > 1).sum()) for block in blocks)
    if n_clipped:
        peak = max(waveform.max(), -waveform.min())
        logger.warning("%s: %d samples clipped, peak %.2f", Path(path).name, n_clipped, peak)
    with (
        replacing(path) as temporary,
        soundfile.SoundFile(temporary, "w", int(sample_rate), 1, "PCM_16") as file,
    ):
        for block in blocks:
            file.write(np.clip(block, -1, 1))
