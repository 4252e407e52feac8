"""Standard MIDI files as bytes: chunks, tracks and the events that notes and time depend on.

By "Standard MIDI Files 1.0" (MIDI Manufacturers Association, RP-001). Memory and time depend on
the bytes that are there, never on the lengths that a header claims.
"""

from dataclasses import dataclass, field

from giblet.errors import GibletError

NOTE_OFF, NOTE_ON, CONTROL = 0x80, 0x90, 0xB0  # kinds of events; the channel is in the low 4 bits
PEDAL = 64  # number of the sustain pedal among the controls
_ONE_DATA_BYTE = (0xC0, 0xD0)
_TEXT, _END_OF_TRACK, _TEMPO, _SIGNATURE = 0x01, 0x2F, 0x51, 0x58  # kinds of meta events
_SHORTEST_NOTE = 6  # a denominator of 64, as a power of 2
_MOST_TICKS = (1 << 28) - 1  # that a number of 4 bytes holds


@dataclass
class MidiFile:
    """The events of a file that notes and time depend on.

    ``events`` are (tick, track, status, first, second data byte) of notes and of the sustain
    pedal, track after track; ``tempos`` (tick, microseconds per quarter); ``signatures`` (tick,
    numerator, denominator).
    """

    ticks_per_quarter: int = 0
    seconds_per_tick: float | None = None  # in files whose clock is SMPTE's; tempos mean nothing
    events: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    tempos: list[tuple[int, int]] = field(default_factory=list)
    signatures: list[tuple[int, int, int]] = field(default_factory=list)
    track_ends: list[int] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def parse_midi(data: bytes) -> MidiFile:
    """Events of a file's bytes, also of one in a RIFF (RMID).

    A track that is cut short is read up to its last whole event, with a warning. Chunks of kinds
    unknown are skipped.

    Raises GibletError for what is no MIDI file, has no tracks, or holds independent pieces
    (type 2), and for bytes that are no events.
    """
    data = _unwrapped(data)
    if data[:4] != b"MThd":
        raise GibletError("not a MIDI file: it does not begin with MThd")
    length = int.from_bytes(data[4:8], "big")
    if len(data) < 14 or length < 6:
        raise GibletError("the MIDI file is cut short in its header")
    kind, n_tracks, division = (int.from_bytes(data[i : i + 2], "big") for i in (8, 10, 12))
    if kind == 2:
        raise GibletError(
            "a MIDI file of type 2 holds independent pieces: save each in a file of type 0 or 1"
        )
    if kind > 2:
        raise GibletError(f"a MIDI file of type {kind}; 0 and 1 can be read")
    file = MidiFile()
    _set_clock(file, division)
    at = 8 + length
    while at + 8 <= len(data):
        name, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "big")
        body = data[at + 8 : at + 8 + length]
        if name == b"MTrk":
            number = len(file.track_ends) + 1
            if len(body) < length:
                file.warnings.append(f"track {number} is cut short: read up to the file's end")
            _read_track(file, body, number, at + 8)
        at += 8 + length
    if not file.track_ends:
        raise GibletError("the MIDI file has no tracks")
    if len(file.track_ends) != n_tracks:
        file.warnings.append(
            f"the header names {n_tracks} tracks, {len(file.track_ends)} are there"
        )
    return file


def _unwrapped(data: bytes) -> bytes:
    """The MIDI file in a RIFF; other bytes as they are."""
    if data[:4] != b"RIFF" or data[8:12] != b"RMID":
        return data
    at = 12
    while at + 8 <= len(data):
        name, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name == b"data":
            return data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    raise GibletError("a RIFF file (RMID) without a chunk of data: it holds no MIDI")


def _set_clock(file: MidiFile, division: int) -> None:
    if division < 0x8000:
        if not division:
            raise GibletError("the MIDI header has 0 ticks per quarter: no time can be derived")
        file.ticks_per_quarter = division
        return
    frames, ticks = -(division >> 8) & 0xFF, division & 0xFF
    if frames not in (24, 25, 29, 30) or not ticks:
        raise GibletError(f"the MIDI header has {frames} SMPTE frames/s of {ticks} ticks")
    # 29 stands for 29.97 = 30000 / 1001
    file.seconds_per_tick = 1001 / (30000 * ticks) if frames == 29 else 1 / (frames * ticks)


def _read_track(file: MidiFile, track: bytes, number: int, offset: int) -> None:
    """Append a track's events to ``file``; ``offset`` is where it stands, for messages."""
    tick = end = at = status = 0
    keep = file.events.append
    try:
        while at < len(track):
            delta, at = _read_number(track, at, offset)
            tick += delta
            byte = track[at]
            if byte & 0x80:
                at += 1
            else:
                byte = status
            kind = byte & 0xF0
            if kind == 0xF0:
                at, ended = _read_other(file, track, at, offset, byte, tick)
                end = tick
                if ended:
                    break
                continue
            if not kind:
                raise GibletError(f"damaged MIDI: data without an event at byte {offset + at}")
            status, first, second = byte, track[at], 0
            at += 1
            if kind not in _ONE_DATA_BYTE:
                second = track[at]
                at += 1
            if (first | second) & 0x80:
                raise GibletError(f"damaged MIDI: a data byte over 127 before byte {offset + at}")
            if kind in (NOTE_ON, NOTE_OFF) or (kind == CONTROL and first == PEDAL):
                keep((tick, number, byte, first, second))
            end = tick
    except IndexError:
        file.warnings.append(f"track {number} ends in the middle of an event, which is left out")
    file.track_ends.append(end)


def _read_other(
    file: MidiFile, track: bytes, at: int, offset: int, status: int, tick: int
) -> tuple[int, bool]:
    """Read a meta or system event at ``at``; where the next is, and whether the track ends."""
    meta = None
    if status == 0xFF:
        meta = track[at]
        at += 1
    elif status not in (0xF0, 0xF7):
        raise GibletError(
            f"damaged MIDI: no event begins with {status:#x} (byte {offset + at - 1})"
        )
    length, at = _read_number(track, at, offset)
    if at + length > len(track):
        raise IndexError
    body = track[at : at + length]
    if meta == _TEMPO:
        tempo = int.from_bytes(body[:3], "big") if length >= 3 else 0
        if tempo:
            file.tempos.append((tick, tempo))
        else:
            file.warnings.append("a tempo of 0 is ignored")
    elif meta == _SIGNATURE:
        if length >= 2 and body[0] and body[1] <= _SHORTEST_NOTE:
            file.signatures.append((tick, body[0], 1 << body[1]))
        else:
            file.warnings.append("a time signature that makes no sense is ignored")
    return at + length, meta == _END_OF_TRACK


def _read_number(track: bytes, at: int, offset: int) -> tuple[int, int]:
    """A number of 1 to 4 bytes at ``at``, 7 bits each, and the place after it."""
    byte = track[at]
    if not byte & 0x80:
        return byte, at + 1
    value = byte & 0x7F
    for place in range(at + 1, at + 4):
        byte = track[place]
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            return value, place + 1
    raise GibletError(f"damaged MIDI: a number of more than 4 bytes at byte {offset + at}")


def format_midi(
    ticks_per_quarter: int,
    events: list[tuple[int, bytes]],
) -> bytes:
    """Bytes of a file of type 0 with one track of ``events``, (tick, bytes), ascending in tick."""
    track, now = bytearray(), 0
    for tick, event in [*events, (events[-1][0] if events else 0, meta_event(_END_OF_TRACK, b""))]:
        while tick - now > _MOST_TICKS:
            track += _number(_MOST_TICKS) + meta_event(_TEXT, b"")
            now += _MOST_TICKS
        track += _number(tick - now) + event
        now = tick
    header = b"".join(n.to_bytes(2, "big") for n in (0, 1, ticks_per_quarter))
    return _chunk(b"MThd", header) + _chunk(b"MTrk", bytes(track))


def meta_event(kind: int, body: bytes) -> bytes:
    """Bytes of a meta event."""
    return bytes([0xFF, kind]) + _number(len(body)) + body


def tempo_event(microseconds: int) -> bytes:
    """Bytes of a tempo, in microseconds per quarter (1 to 2^24 - 1)."""
    return meta_event(_TEMPO, microseconds.to_bytes(3, "big"))


def signature_event(numerator: int, denominator: int) -> bytes:
    """Bytes of a time signature; the denominator is a power of 2."""
    clocks, thirty_seconds = 24, 8  # per click of a metronome, per quarter: the usual values
    body = [numerator, denominator.bit_length() - 1, clocks, thirty_seconds]
    return meta_event(_SIGNATURE, bytes(body))


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + len(body).to_bytes(4, "big") + body


def _number(value: int) -> bytes:
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(0x80 | value & 0x7F)
    return bytes(reversed(out))
