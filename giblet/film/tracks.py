"""Sound tracks of a film: their description, and the choice of the one to read.

The rule where none is asked for: of the tracks that FFmpeg can decode, the first one marked as
default, else the first; a commentary or a track for the hard of hearing or the visually impaired
only where no other is equal to it. In a broadcast file (QuickTime, MXF, GXF) whose tracks are all
mono, those like it in codec, sample rate, length and language are channels of one sound, and are
read together.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from giblet.errors import GibletError
from giblet.film.container import open_film

_SPECIAL = ("comment", "hearing_impaired", "visual_impaired", "karaoke", "descriptions")
_SPECIAL_TITLE = re.compile(r"comment|descri(be|pt)", re.IGNORECASE)
_BROADCAST = {"mxf", "mxf_opatom", "gxf"}
_SAME_LENGTH = 0.1  # s


@dataclass(frozen=True)
class SoundTrack:
    """One sound track. ``number``: among the file's sound tracks, from 1; ``seconds``: by header.

    ``codec`` is empty where FFmpeg has no decoder for it, or finds neither channels nor a rate.
    """

    number: int
    codec: str = ""
    layout: str = ""
    n_channels: int = 0
    sample_rate: int = 0
    language: str = ""
    title: str = ""
    seconds: float | None = None
    is_default: bool = False
    is_special: bool = False

    def __str__(self) -> str:
        """
        >>> str(SoundTrack(2, "aac", "stereo", 2, 48000, "eng"))
        '2 (aac, stereo, eng)'
        >>> str(SoundTrack(3))
        '3 (FFmpeg cannot decode it)'
        """
        codec = self.codec or "FFmpeg cannot decode it"
        facts = (codec, self.layout, self.language, self.title)
        return f"{self.number} ({', '.join(filter(None, facts))})"


def sound_tracks(film) -> list[SoundTrack]:
    """All sound tracks of an open film, also those that FFmpeg cannot decode."""
    return [_described(number, stream) for number, stream in enumerate(film.streams.audio, 1)]


def _described(number: int, stream) -> SoundTrack:
    from av.stream import Disposition

    title = stream.metadata.get("title", "")
    handler = stream.metadata.get("handler_name", "")  # of MP4: a name, or the writing program's
    title = title or (handler if _SPECIAL_TITLE.search(handler) else "")
    language = stream.language or ""
    context = stream.codec_context  # None without a decoder
    seconds = None if stream.duration is None else float(stream.duration * stream.time_base)
    flags = {flag.name for flag in Disposition if flag & stream.disposition}
    track = SoundTrack(
        number,
        language="" if language == "und" else language,
        title=title,
        seconds=seconds,
        is_default="default" in flags,
        is_special=bool(flags & {*_SPECIAL} or _SPECIAL_TITLE.search(title)),
    )
    if context is None or not context.layout.nb_channels or not context.sample_rate:
        return track
    layout = context.layout
    facts = {
        "codec": context.codec.canonical_name,
        "layout": {"1 channels": "mono", "2 channels": "stereo"}.get(layout.name, layout.name),
        "n_channels": layout.nb_channels,
        "sample_rate": context.sample_rate,
    }
    return SoundTrack(**{**vars(track), **facts})


def choose_tracks(film, wanted: int | str | None, path: str | Path) -> list[SoundTrack]:
    """The track of an open film to read; several are the channels of one sound.

    Parameters
    ----------
    wanted : number of a track, from 1; several as "1+2", for channels in a track each; a language
        as the file names it; None: the module's rule.
    path : of the film, for messages.

    Raises
    ------
    GibletError
        No sound track, none that FFmpeg can decode, or none as wanted.
    """
    tracks = sound_tracks(film)
    if not tracks:
        raise GibletError(f"{path}: has no sound track")
    numbers = _numbers(wanted)
    if wanted is None:
        candidates = tracks
    elif numbers:
        candidates = [track for track in tracks if track.number in numbers]
    else:
        candidates = [t for t in tracks if t.language.lower() == str(wanted).strip().lower()]
    if not candidates or len(candidates) < len(numbers):
        raise GibletError(
            f"{path}: has no sound track {wanted} (audio_track); there is {_listed(tracks)}"
        )
    decodable = [track for track in candidates if track.codec]
    if not decodable or len(decodable) < len(numbers):
        which = "no sound track" if candidates == tracks else f"not sound track {wanted}"
        raise GibletError(
            f"{path}: FFmpeg can decode {which}; there is {_listed(tracks)}. Convert the sound to "
            "FLAC or AAC with the program that made it"
        )
    if len({track.sample_rate for track in decodable}) > 1 and numbers:
        raise GibletError(
            f"{path}: sound tracks {wanted} differ in sample rate; choose one of them"
        )
    if numbers:
        return decodable
    first = min(decodable, key=_order)
    return _channels(first, decodable) if _is_broadcast(film, tracks) else [first]


def _numbers(wanted: int | str | None) -> set[int]:
    """
    >>> _numbers(2), _numbers("1+2"), _numbers("deu")
    ({2}, {1, 2}, set())
    """
    text = str(wanted).replace(" ", "")
    return set(map(int, text.split("+"))) if re.fullmatch(r"\d+(\+\d+)*", text) else set()


def _order(track: SoundTrack) -> tuple[bool, bool, int]:
    return not track.is_default, track.is_special, track.number


def _is_broadcast(film, tracks: Sequence[SoundTrack]) -> bool:
    """Whether a file keeps each channel in a track."""
    name, brand = film.format.name, film.metadata.get("major_brand", "qt").strip()
    broadcast = name in _BROADCAST or (name.startswith("mov") and brand == "qt")
    return broadcast and all(track.n_channels == 1 for track in tracks if track.codec)


def _channels(first: SoundTrack, tracks: Sequence[SoundTrack]) -> list[SoundTrack]:
    """The tracks that are like the first one, which is among them."""

    def kind(track: SoundTrack) -> tuple:
        return track.codec, track.sample_rate, track.language, track.is_special

    def seconds(track: SoundTrack) -> float:
        return track.seconds or 0.0

    alike = [track for track in tracks if kind(track) == kind(first)]
    return [t for t in alike if abs(seconds(t) - seconds(first)) <= _SAME_LENGTH]


def _listed(tracks: Sequence[SoundTrack]) -> str:
    return ", ".join(map(str, tracks))


def track_text(chosen: Sequence[SoundTrack], tracks: Sequence[SoundTrack]) -> str:
    """Which of a film's tracks is read, in codec and language.

    >>> one, two = SoundTrack(1, "aac", "stereo"), SoundTrack(2, "ac3", "5.1(side)", language="de")
    >>> track_text([one], [one]), track_text([two], [one, two])
    ('aac, stereo', '2 of 2 (ac3, 5.1(side), de)')
    >>> track_text([one, two], [one, two])
    'mean of 1, 2 of 2 (aac, stereo)'
    """
    first = str(chosen[0]).partition(" ")[2]
    if len(tracks) == 1:
        return first[1:-1]
    if len(chosen) > 1:
        numbers = f"mean of {', '.join(str(track.number) for track in chosen)}"
    else:
        numbers = str(chosen[0].number)
    return f"{numbers} of {len(tracks)} {first}"


def chosen_track(path: str | Path, wanted: int | str | None = None) -> str:
    """`track_text` of a film's file. Raises GibletError as `choose_tracks` does."""
    with open_film(path) as film:
        return track_text(choose_tracks(film, wanted, path), sound_tracks(film))


def choice_message(chosen: Sequence[SoundTrack], tracks: Sequence[SoundTrack]) -> str:
    """One line on the choice among several tracks.

    >>> one, two = SoundTrack(1, "aac", "mono"), SoundTrack(2, "aac", "mono")
    >>> choice_message([one], [one, two])
    'reads sound track 1 of 2: 1 (aac, mono), 2 (aac, mono). Set audio_track to read another'
    """
    if len(chosen) > 1:
        which = f"the mean of {len(chosen)} sound tracks as channels of one sound"
    else:
        which = f"sound track {chosen[0].number} of {len(tracks)}"
    return f"reads {which}: {_listed(tracks)}. Set audio_track to read another"
