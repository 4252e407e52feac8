"""Sound in and out of files: any film or recording, as mono samples on the film's clock.

The film's clock starts where its container starts. Sound that begins later is preceded by
silence, so sample ``k`` is always the sound at ``k / sample_rate`` seconds of film, within the 1 ms
to which Matroska and MP4 round. An encoder's run-in is left out where the container states its
length (MP4, MOV, Matroska, Ogg, MP3 files); raw streams, AVI, ASF, FLV and MPEG-TS do not; there
the sound comes late by it: 5 ms (AC-3) to 23 ms (MP3, AAC).
"""

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from giblet.errors import GibletError
from giblet.film.container import decoded_frames, film_start, open_film
from giblet.io.atomic import replacing
from giblet.io.validation import check_waveform
from giblet.timing import count_samples, samples_duration

if TYPE_CHECKING:
    import av

logger = logging.getLogger(__name__)

_GAP = 0.005  # s: timestamps in milliseconds (Matroska) jitter less than this
_CUT_SHORT = 1.0  # s: the header promises so much more sound than there is
_LOUDEST = 1e9  # times full scale; 16-bit samples that are stored as floats have 3e4
_SLOWEST = 100  # Hz
_LARGEST = 2**31  # bytes of sound held at once: 6 hours at 24 kHz
_ZERO_AND_FULL_SCALE = {
    "u8": (128, 2**7),
    "s16": (0, 2**15),
    "s32": (0, 2**31),
    "flt": (0, 1),
    "dbl": (0, 1),
}


def has_sound(path: str | Path) -> bool:
    """True if a film has a sound track. GibletError if it is no film."""
    with open_film(path) as film:
        return bool(film.streams.audio)


def sound_duration(path: str | Path) -> float:
    """Film time (s) at which the sound ends, measured by decoding it, not by what headers say.

    Raises GibletError as `sound_blocks` does.
    """
    return float(sum(Fraction(len(piece), rate) for piece, rate in _mono_pieces(path)))


def read_sound(path: str | Path, sample_rate: float) -> np.ndarray:
    """Sound of a film or recording, (n_samples,) float32 mono at ``sample_rate`` Hz.

    Raises GibletError as `sound_blocks` does, and where the sound is larger than 2 GiB: 6 hours at
    24 kHz. `sound_blocks` has no such limit.
    """
    samples = bytearray()  # grows in place: the whole sound is never held twice
    for block in sound_blocks(path, sample_rate):
        samples += block.tobytes()
        if len(samples) > _LARGEST:
            raise GibletError(
                f"{path}: too long to be held at once, more than "
                f"{samples_duration(len(samples) // 4, sample_rate) / 3600:.2g} hours at "
                f"{sample_rate:g} Hz. Cut it into runs, or read it with sound_blocks."
            )
    return np.frombuffer(samples, dtype=np.float32)


def sound_blocks(
    path: str | Path, sample_rate: float, block_seconds: float = 10.0
) -> Iterator[np.ndarray]:
    """Consecutive blocks (n_samples,) float32 mono of about ``block_seconds`` s.

    Channels, also those of 5.1, are averaged with equal weights. The resampler (soxr, HQ) runs
    on across blocks, so their concatenation has no seams and
    ``round(duration * sample_rate)`` samples.

    Parameters
    ----------
    path : any file that FFmpeg reads; of several sound tracks, the one marked as default.
    sample_rate : Hz, need not be whole.

    Raises
    ------
    GibletError
        No such file, not a media file, no sound track, no sound in it, NaN, timestamps that
        run backwards. Sound that stops before its header says, is logged as a warning.
    """
    import soxr

    resampler: soxr.ResampleStream = None
    held: list[np.ndarray] = []
    n_held = 0
    for piece, rate in _mono_pieces(path):
        if resampler is None:
            resampler = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32")
        held.append(piece)
        n_held += len(piece)
        if n_held >= count_samples(block_seconds, rate):
            yield resampler.resample_chunk(np.concatenate(held))
            held, n_held = [], 0
    silence = np.zeros(0, dtype=np.float32)
    yield resampler.resample_chunk(np.concatenate([*held, silence]), last=True)


def _mono_pieces(path: str | Path) -> Iterator[tuple[np.ndarray, int]]:
    """Pieces (n_samples,) of mono sound from film time 0 on, each with its own rate in Hz."""
    with open_film(path) as film:
        stream = film.streams.best("audio")
        if stream is None:
            raise GibletError(f"{path}: has no sound track")
        written, rate, stamp, zero = 0, 0, None, float(film_start(film))
        for frame in decoded_frames(film, stream, path):
            rate = rate or frame.sample_rate
            if rate < _SLOWEST:
                raise GibletError(f"{path}: {rate} samples a second are no sound; is it damaged?")
            if frame.sample_rate != rate:
                raise GibletError(f"{path}: its sample rate changes from {rate} Hz within the file")
            # FFmpeg's Opus decoder stamps its last few samples as the piece before them
            begin = None if frame.pts in (None, stamp) else frame.time - zero
            stamp = frame.pts
            piece = _placed(_mono(frame), begin, written, rate, path)
            written += len(piece)
            yield piece, rate
        if not written:
            raise GibletError(f"{path}: no sound in its sound track (zero length)")
        _warn_if_cut_short(film, stream, written / rate, path)


def _mono(frame: "av.AudioFrame") -> np.ndarray:
    """Mean of a frame's channels, (n_samples,) float32, full scale 1."""
    import av

    if frame.format.packed.name not in _ZERO_AND_FULL_SCALE:  # 64-bit integers
        (frame,) = av.AudioResampler(format="fltp").resample(frame)
    samples = frame.to_ndarray()  # (n_channels, n_samples), or (1, n_samples * n_channels)
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    zero, scale = _ZERO_AND_FULL_SCALE[frame.format.packed.name]
    floats = samples.astype(np.float32)
    if scale != 1:
        floats = (floats - np.float32(zero)) / np.float32(scale)
    return floats[0] if len(floats) == 1 else floats.sum(axis=0) / np.float32(len(floats))


def _placed(mono: np.ndarray, begin: float | None, written: int, rate: int, path) -> np.ndarray:
    """``mono`` with silence before it, or less of it, so that it starts at ``begin`` s of film."""
    if not (np.abs(mono) < _LOUDEST).all():
        raise GibletError(
            f"{path}: NaN or infinite samples, or far beyond full scale, after "
            f"{written / rate:.2f} s of sound"
        )
    gap = 0 if begin is None else count_samples(begin, rate) - written
    if abs(gap) <= count_samples(_GAP, rate) and written:
        return mono
    if gap < -len(mono):
        raise GibletError(
            f"{path}: the sound's timestamps run back from {written / rate:.2f} s to "
            f"{begin:.2f} s. Copy the film into a new container (ffmpeg -c copy) first."
        )
    if gap > 0 and written:
        logger.warning("%s: %.3f s without sound at %.2f s", path, gap / rate, written / rate)
    return np.concatenate([np.zeros(max(gap, 0), dtype=np.float32), mono[max(-gap, 0) :]])


def _warn_if_cut_short(film, stream, end: float, path: str | Path) -> None:
    if stream.duration is None:
        return
    promised = ((stream.start_time or 0) + stream.duration) * stream.time_base - film_start(film)
    if promised - end > _CUT_SHORT:
        logger.warning(
            "%s: sound ends at %.2f s, its header says %.2f s. Is the file cut short?",
            *(path, end, promised),
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
    n_clipped = int((np.abs(waveform) > 1).sum())
    if n_clipped:
        peak = np.abs(waveform).max()
        logger.warning("%s: %d samples clipped, peak %.2f", Path(path).name, n_clipped, peak)
    with replacing(path) as temporary:
        soundfile.write(temporary, np.clip(waveform, -1, 1), int(sample_rate), subtype="PCM_16")
