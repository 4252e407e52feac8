"""Sound in and out of files: any film or recording, as mono samples on the film's clock.

The film's clock starts where its container starts. Sound that begins later is preceded by
silence, so sample ``k`` is always the sound at ``k / sample_rate`` seconds of film, within the 1 ms
to which Matroska and MP4 round. An encoder's run-in is left out where the container states its
length (MP4, MOV, Matroska, Ogg, MP3 files); raw streams, AVI, ASF, FLV and MPEG-TS do not; there
the sound comes late by it: 5 ms (AC-3) to 23 ms (MP3, AAC).
"""

import logging
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from giblet.audio.downmix import downmix_weights, mono
from giblet.audio.levels import Levels
from giblet.errors import GibletError
from giblet.film.container import decoded_frames, film_start, open_film
from giblet.film.tracks import choice_message, choose_tracks, sound_tracks
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
    """True if a film has a sound track that can be decoded. GibletError if it is no film."""
    with open_film(path) as film:
        return any(track.codec for track in sound_tracks(film))


def sound_duration(path: str | Path, track: int | str | None = None) -> float:
    """Film time (s) at which the sound ends, measured by decoding it, not by what headers say.

    ``track``, and what is raised: as `sound_blocks`.
    """
    return float(sum(Fraction(len(piece), rate) for piece, rate in _mono_pieces(path, track)))


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
        run backwards. Logged as warnings: sound that stops before its header says, is silent, or
        is faulty as `giblet.audio.levels` finds.
    """
    import soxr

    resampler: soxr.ResampleStream = None
    held: list[np.ndarray] = []
    n_held = 0
    for piece, rate in _mono_pieces(path, track):
        if resampler is None:
            resampler = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32")
        held.append(piece)
        n_held += len(piece)
        if n_held >= count_samples(block_seconds, rate):
            yield resampler.resample_chunk(np.concatenate(held))
            held, n_held = [], 0
    silence = np.zeros(0, dtype=np.float32)
    yield resampler.resample_chunk(np.concatenate([*held, silence]), last=True)


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
        if len(chosen) == 1:
            pieces = _track_pieces(film, chosen[0].number, path, levels)
        else:
            pieces = _mixed([_opened_track_pieces(path, t.number) for t in chosen], levels)
        try:
            yield from pieces
        except GeneratorExit:  # the first TRs are all that is wanted
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
    written, rate, stamp, zero = 0, 0, None, float(film_start(film))
    weights: dict[int, tuple[float, ...]] = {}  # number of channels → weight of each
    for frame in decoded_frames(film, stream, path):
        rate = rate or frame.sample_rate
        if rate < _SLOWEST:
            raise GibletError(f"{path}: {rate} samples a second are no sound; is it damaged?")
        if frame.sample_rate != rate:
            raise GibletError(f"{path}: its sample rate changes from {rate} Hz within the file")
        # FFmpeg's Opus decoder stamps its last few samples as the piece before them
        begin = None if frame.pts in (None, stamp) else frame.time - zero
        stamp = frame.pts
        piece = _placed(_mono(frame, weights, levels), begin, written, rate, path)
        written += len(piece)
        yield piece, rate
    if not written:
        raise GibletError(f"{path}: no sound in its sound track (zero length, or damaged)")
    _warn_if_cut_short(film, stream, written / rate, path)


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

    if frame.format.packed.name not in _ZERO_AND_FULL_SCALE:  # 64-bit integers
        (frame,) = av.AudioResampler(format="fltp").resample(frame)
    samples = frame.to_ndarray()  # (n_channels, n_samples), or (1, n_samples * n_channels)
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    zero, scale = _ZERO_AND_FULL_SCALE[frame.format.packed.name]
    floats = samples.astype(np.float32)
    return floats if scale == 1 else (floats - np.float32(zero)) / np.float32(scale)


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
