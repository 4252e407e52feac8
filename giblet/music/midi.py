"""Notes of MIDI files, in seconds, and MIDI files of notes."""

from collections import Counter, defaultdict, deque
from itertools import chain
from operator import itemgetter
from pathlib import Path

import numpy as np

from giblet.errors import GibletError
from giblet.io.atomic import replacing
from giblet.music.midi_file import (
    CONTROL,
    NOTE_OFF,
    NOTE_ON,
    MidiFile,
    format_midi,
    parse_midi,
    signature_event,
    tempo_event,
)
from giblet.music.notes import LONGEST_PIECE, Beats, Notes
from giblet.music.tempo_map import beats_of, tempo_map

LARGEST_FILE = 4 << 20  # bytes; the longest scores have a few hundred thousand
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DRUMS = 9  # the channel that is called 10
_PEDAL_DOWN = 64  # and above
# ticks per quarter of what is written: those of most programs divide it, so their times are kept
_TICKS = 15360
_QUARTER_SECONDS = 0.5  # where no tempo is written
_LARGEST_NUMERATOR = 255
_LONGEST_QUARTER = ((1 << 24) - 1) / 1e6  # s, that a tempo can say


def read_midi(path: str | Path, pedal: bool = True) -> Notes:
    """Notes of a MIDI file (.mid, .midi, .rmi), of all its tracks together.

    Times come from the tempos of all tracks, or from SMPTE's clock. Notes of one pitch that
    overlap in a track and channel end first in, first out. Drums (channel 10) are left out. Notes
    that never end last up to their track's end. The warnings count what was left out or repaired.

    Parameters
    ----------
    path : of a file of type 0 or 1, also inside a RIFF (RMID), at most 4 MiB
    pedal : whether the sustain pedal of a channel lengthens its notes: up to the moment when it is
        lifted, the pitch is struck again, or the file ends

    Returns
    -------
    notes : with beats from the tempos and time signatures, or None where there are neither

    Raises
    ------
    GibletError
        If it is no MIDI file, damaged, of type 2, without notes, or longer than 24 hours.
    OSError
        As the operating system raises it.
    """
    with Path(path).open("rb") as file:
        data = file.read(LARGEST_FILE + 1)
    try:
        if len(data) > LARGEST_FILE:
            raise GibletError(f"more than {LARGEST_FILE >> 20} MiB: too large for a score")
        if data.lstrip(_BYTE_ORDER_MARK)[:5] == b"<?xml" or data[:2] == b"PK":
            raise GibletError("not a MIDI file, perhaps MusicXML: use read_musicxml")
        return notes_from_bytes(data, pedal)
    except GibletError as error:
        raise GibletError(f"{path}: {error}") from error


def notes_from_bytes(data: bytes, pedal: bool = True) -> Notes:
    """Notes of a MIDI file's bytes, as `read_midi` reads them."""
    file = parse_midi(data)
    warnings: Counter[str] = Counter()
    rows = _notes_in_ticks(file, pedal, warnings)
    if not rows:
        drums = warnings["drum notes (channel 10) left out"]
        raise GibletError(f"no notes{f' but {drums} of drums' if drums else ''}")
    table = np.array(rows, np.float64)  # begin, end, pitch, velocity
    clock = tempo_map(file)
    begin, end = clock.seconds(table[:, 0]), clock.seconds(table[:, 1])
    if (latest := end.max()) > LONGEST_PIECE:
        raise GibletError(
            f"a note ends after {latest / 3600:.4g} h, a piece has at most 24: is a time damaged?"
        )
    beats = beats_of(file, clock, max(row[1] for row in rows))
    counted = [f"{count} {remark}" for remark, count in warnings.items() if count]
    return Notes.from_unsorted(
        begin,
        end - begin,
        table[:, 2].astype(np.int64),
        table[:, 3].astype(np.int64),
        beats=beats,
        warnings=(*dict.fromkeys(file.warnings), *counted),
    )


def _notes_in_ticks(file: MidiFile, pedal: bool, warnings: Counter[str]) -> list[list[int]]:
    """[begin, end, pitch, velocity] of each note, times in ticks."""
    rows: list[list[int]] = []
    sounding: defaultdict[tuple[int, int, int], deque[list[int]]] = defaultdict(deque)
    # channel -> pitch -> notes whose keys are up, which the pedal alone lets sound
    held: defaultdict[int, defaultdict[int, list[list[int]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    down: set[int] = set()
    for tick, track, status, first, second in sorted(file.events, key=itemgetter(0)):
        channel, kind = status & 0x0F, status & 0xF0
        if kind == CONTROL:
            if second >= _PEDAL_DOWN and pedal:
                down.add(channel)
            else:
                down.discard(channel)
                for row in chain.from_iterable(held.pop(channel, {}).values()):
                    row[1] = tick
        elif kind == NOTE_ON and second:
            if channel == _DRUMS:
                warnings["drum notes (channel 10) left out"] += 1
                continue
            if channel in held:
                for row in held[channel].pop(first, []):
                    row[1] = tick
            row = [tick, -1, first, second]
            rows.append(row)
            sounding[track, channel, first].append(row)
        elif channel != _DRUMS:
            queue = sounding.get((track, channel, first))
            if not queue:
                warnings["ends of notes that did not sound left out"] += 1
            elif channel in down:
                held[channel][first].append(queue.popleft())
            else:
                queue.popleft()[1] = tick
    for (track, _, _), queue in sounding.items():
        for row in queue:
            row[1] = file.track_ends[track - 1]
            warnings["notes never end: ended with their track"] += 1
    for pitches in held.values():
        for row in chain.from_iterable(pitches.values()):
            row[1] = max(file.track_ends)
    return rows


def write_midi(notes: Notes, path: str | Path) -> None:
    """Write a MIDI file of type 0, as `bytes_from_notes` makes it.

    Raises GibletError for notes before 0 s and for beats that MIDI cannot express, and as
    `giblet.io.atomic.replacing` does.
    """
    try:
        data = bytes_from_notes(notes)
    except GibletError as error:
        raise GibletError(f"{path}: {error}") from error
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def bytes_from_notes(notes: Notes) -> bytes:
    """Bytes of a MIDI file with the notes, and the tempos and time signatures of their beats.

    With beats, each is a quarter (a dotted one where a bar has 6, 9, 12, ... of them), and bars
    keep their lengths; without, no tempo is written, so that readers take 120 quarters a minute.
    Times are rounded to a tick, 1/15360 of a quarter, each by itself. A note lasts at least one
    tick. Notes of one pitch that overlap so that the earlier one ends later stand on different
    channels, of which there are 15.

    >>> notes = Notes(np.array([0.0]), np.array([0.5]), np.array([60]), np.array([80]))
    >>> bytes_from_notes(notes)[22:].hex(" ", -4)
    '00903c50 f800803c 4000ff2f 00'
    """
    if len(notes) and notes.onset[0] < 0:
        raise GibletError(f"a note begins at {notes.onset[0]:g} s; MIDI begins at 0")
    edges, ticks, events = _beats_as_events(notes.beats)
    begin = _ticks_at(notes.onset, edges, ticks)
    end = np.maximum(_ticks_at(notes.onset + notes.duration, edges, ticks), begin + 1)
    last_ends: defaultdict[int, list[int]] = defaultdict(lambda: [0] * 15)  # of each pitch
    order = np.lexsort((notes.pitch, begin))
    columns = (begin, end, notes.pitch, notes.velocity)
    for on, off, pitch, velocity in zip(*(c[order].tolist() for c in columns), strict=True):
        voices = last_ends[pitch]
        voice = next((i for i, last in enumerate(voices) if last <= off), 0)
        voices[voice] = max(voices[voice], off)
        channel = voice + (voice >= _DRUMS)
        # at one tick: tempo, signature, ends, begins
        events.append((off, 2, bytes([NOTE_OFF | channel, pitch, 64])))
        events.append((on, 3, bytes([NOTE_ON | channel, pitch, velocity])))
    events.sort(key=itemgetter(0, 1))
    return format_midi(_TICKS, [(tick, event) for tick, _, event in events])


def _beats_as_events(
    beats: Beats | None,
) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int, bytes]]]:
    """Edges of beats in s and in ticks, and the events that give a reader the same edges."""
    if beats is None:
        return np.array([0, _QUARTER_SECONDS]), np.array([0.0, _TICKS]), []
    late = beats.seconds >= 0  # MIDI begins at 0
    seconds, in_bar, per_bar = beats.seconds[late], beats.in_bar[late], beats.per_bar[late]
    if len(seconds) < 2:
        return _beats_as_events(None)
    if seconds[0] > 0:  # a bar of one beat leads to the first
        seconds = np.concatenate([[0.0], seconds])
        in_bar, per_bar = np.concatenate([[0], in_bar]), np.concatenate([[1], per_bar])
    compound = (per_bar > 3) & (per_bar % 3 == 0)
    quarters = np.where(compound, 1.5, 1.0)
    longest = (np.diff(seconds) / quarters[:-1]).max()
    if longest > _LONGEST_QUARTER:
        raise GibletError(f"a beat of {longest:.4g} s; MIDI can express {_LONGEST_QUARTER:.4g} s")
    events: list[tuple[int, int, bytes]] = []
    ticks = np.concatenate([[0], np.cumsum(quarters[:-1] * _TICKS)])
    now, last_tempo = 0.0, None
    for i, target in enumerate(seconds[1:].tolist()):
        # to the next beat from where the tempos so far, rounded to microseconds, have led
        tempo = max(1, round((target - now) / quarters[i] * 1e6))
        now += tempo * quarters[i] / 1e6
        if tempo != last_tempo:
            events.append((int(ticks[i]), 0, tempo_event(tempo)))
            last_tempo = tempo
    bars = np.flatnonzero((in_bar == 0) | (np.arange(len(in_bar)) == 0))
    written = None
    for start, stop in zip(bars.tolist(), [*bars[1:].tolist(), None], strict=True):
        size = int(per_bar[start])
        signature = (3 * size, 8) if compound[start] else (size, 4)
        if signature != written:
            if signature[0] > _LARGEST_NUMERATOR:
                raise GibletError(f"a bar of {size} beats cannot be written as MIDI")
            events.append((int(ticks[start]), 1, signature_event(*signature)))
        # a bar that is cut short is ended by the next one's signature, even if it is the same
        written = signature if stop is None or stop - start == size else None
    return seconds, ticks, events


def _ticks_at(seconds: np.ndarray, edges: np.ndarray, ticks: np.ndarray) -> np.ndarray:
    """Ticks of moments, between edges evenly; after the last one as before it."""
    beat = np.clip(np.searchsorted(edges, seconds, side="right") - 1, 0, len(edges) - 2)
    pace = np.diff(ticks)[beat] / np.diff(edges)[beat]
    return np.rint(ticks[beat] + (seconds - edges[beat]) * pace).astype(np.int64)
