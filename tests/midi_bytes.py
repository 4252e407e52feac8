"""Small MIDI files as bytes, written independently of giblet, odd ones too."""

import struct

END = b"\xff\x2f\x00"


def number(value):
    """A number as MIDI writes it: 7 bits a byte, of which all but the last have the highest bit."""
    groups = [value >> shift & 0x7F for shift in (21, 14, 7, 0)]
    while len(groups) > 1 and not groups[0]:
        groups.pop(0)
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


def chunk(name, body, length=None):
    return name + struct.pack(">I", len(body) if length is None else length) + body


def header(kind=0, tracks=1, division=480):
    return chunk(b"MThd", struct.pack(">HHH", kind, tracks, division))


def track(*events):
    """Of (ticks since the event before, bytes)."""
    return chunk(b"MTrk", b"".join(number(wait) + event for wait, event in [*events, (0, END)]))


def on(pitch, velocity=80, channel=0):
    return bytes([0x90 + channel, pitch, velocity])


def off(pitch, channel=0):
    return bytes([0x80 + channel, pitch, 0])


def pedal(value, channel=0):
    return bytes([0xB0 + channel, 64, value])


def tempo(microseconds):
    return b"\xff\x51\x03" + microseconds.to_bytes(3, "big")


def signature(numerator, power):
    return bytes([0xFF, 0x58, 4, numerator, power, 24, 8])


def midi(*tracks, division=480, kind=None):
    """A file of the tracks' events."""
    kind = (len(tracks) > 1) if kind is None else kind
    return header(kind, len(tracks), division) + b"".join(track(*events) for events in tracks)


def beat(pitch=60, wait=0, length=480):
    return [(wait, on(pitch)), (length, off(pitch))]


GOOD = midi(beat())
TRACK = GOOD[14:]

# name -> bytes, and what they give: rows of (onset, duration, pitch, velocity), or a part of the
# one line that refuses them; and a part of the warning
ODD = {
    "empty": (b"", "not a MIDI file", None),
    "text": (b"do re mi fa so la ti do" * 9, "not a MIDI file", None),
    "cut header": (GOOD[:12], "cut short in its header", None),
    "short header": (b"MThd\0\0\0\x02\0\0" + GOOD[10:], "cut short in its header", None),
    "cut track": (GOOD[:-9], [(0, 0, 60, 80)], "track 1 is cut short"),
    "cut note": (GOOD[:-11], "no notes", None),
    "length too long": (
        header() + chunk(b"MTrk", TRACK[8:], 77777),
        [(0, 0.5, 60, 80)],
        "cut short",
    ),
    "length of 4 GB": (header() + chunk(b"MTrk", TRACK[8:], 2**32 - 1), [(0, 0.5, 60, 80)], "cut"),
    "no tracks": (header(1, 0), "no tracks", None),
    "65535 tracks named": (
        header(1, 65535) + TRACK,
        [(0, 0.5, 60, 80)],
        "header names 65535 tracks",
    ),
    "no notes": (midi([(0, tempo(500000))]), "no notes", None),
    "division 0": (midi(beat(), division=0), "0 ticks per quarter", None),
    "SMPTE 25 x 40": (midi(beat(length=2000), division=0xE728), [(0, 2, 60, 80)], "no beats"),
    "SMPTE 29.97 x 80": (
        midi(beat(length=4800), division=0xE350),
        [(0, 2.002, 60, 80)],
        "no beats",
    ),
    "SMPTE 30 x 10": (midi(beat(length=300), division=0xE20A), [(0, 1, 60, 80)], "no beats"),
    "SMPTE 24 x 0": (midi(beat(), division=0xE800), "24 SMPTE frames/s of 0 ticks", None),
    "SMPTE 23": (midi(beat(), division=0xE904), "23 SMPTE frames/s of 4 ticks", None),
    "type 2": (midi(beat(), beat(64), kind=2), "save each in a file of type 0 or 1", None),
    "type 3": (midi(beat(), kind=3), "type 3", None),
    "running status": (
        midi([(0, on(60)), (0, bytes([64, 90])), (480, bytes([60, 0])), (0, bytes([64, 0]))]),
        [(0, 0.5, 60, 80), (0, 0.5, 64, 90)],
        None,
    ),
    "running status after a text": (
        midi([(0, on(60)), (0, b"\xff\x01\x02hi"), (480, bytes([60, 0]))]),
        [(0, 0.5, 60, 80)],
        None,
    ),
    "data without a status": (
        midi([(0, bytes([60, 80]))]),
        "data without an event at byte 23",
        None,
    ),
    "overlapping pitch": (
        midi([(0, on(60, 50)), (240, on(60, 70)), (240, off(60)), (480, off(60))]),
        [(0, 0.5, 60, 50), (0.25, 0.75, 60, 70)],
        None,
    ),
    "note without an end": (
        midi([(0, on(60)), *beat(62, 480)]),
        [(0, 1, 60, 80), (0.5, 0.5, 62, 80)],
        "1 notes never end",
    ),
    "end without a note": (midi([(0, off(60)), *beat(62)]), [(0, 0.5, 62, 80)], "1 ends of notes"),
    "zero length": (midi([*beat(60, 0, 0), *beat(62)]), [(0, 0, 60, 80), (0, 0.5, 62, 80)], None),
    "pedal": (midi([(0, pedal(127)), *beat(60, 0, 240), (720, pedal(0))]), [(0, 1, 60, 80)], None),
    "drums alone": (midi([(0, on(36, 80, 9)), (9, off(36, 9))]), "no notes but 1 of drums", None),
    "drums too": (
        midi([(0, on(36, 80, 9)), (0, on(60)), (9, off(36, 9)), (471, off(60))]),
        [(0, 0.5, 60, 80)],
        "1 drum notes",
    ),
    "tempo in track 2": (midi(beat(length=960), [(480, tempo(10**6))]), [(0, 1.5, 60, 80)], None),
    "two tempos at once": (
        midi([(0, tempo(250000))], [(0, tempo(10**6)), *beat()]),
        [(0, 1, 60, 80)],
        None,
    ),
    "tempo 0": (midi([(0, tempo(0)), *beat()]), [(0, 0.5, 60, 80)], "a tempo of 0 is ignored"),
    "short tempo": (midi([(0, b"\xff\x51\x01\x01"), *beat()]), [(0, 0.5, 60, 80)], "tempo"),
    "bar of 0 beats": (midi([(0, signature(0, 2)), *beat()]), [(0, 0.5, 60, 80)], "time signature"),
    "beat of 1/2^200": (
        midi([(0, signature(4, 200)), *beat()]),
        [(0, 0.5, 60, 80)],
        "makes no sense",
    ),
    "data byte over 127": (midi([(0, bytes([0x90, 60, 200]))]), "data byte over 127", None),
    "system event": (midi([(0, b"\xf4"), *beat()]), "no event begins with 0xf4 (byte 23)", None),
    "system exclusive": (midi([(0, b"\xf0\x02\x01\xf7"), *beat()]), [(0, 0.5, 60, 80)], None),
    "program and bend": (
        midi([(0, b"\xc0\x05"), (0, b"\xe0\x00\x40"), (0, b"\xd0\x05"), *beat()]),
        [(0, 0.5, 60, 80)],
        None,
    ),
    "text past the track": (midi([*beat(), (0, b"\xff\x01\x7f")]), [(0, 0.5, 60, 80)], "middle of"),
    "RMID": (
        b"RIFF" + struct.pack("<I", 0) + b"RMIDxxxx\3\0\0\0abc\0data\xff\0\0\0" + GOOD,
        [(0, 0.5, 60, 80)],
        None,
    ),
    "RMID without data": (b"RIFF\4\0\0\0RMID", "without a chunk of data", None),
    "delta of 2^28 - 1": (midi(beat(60, 2**28 - 1)), "a note ends after 77.67 h", None),
    "delta of 5 bytes": (
        header() + chunk(b"MTrk", b"\xff\xff\xff\xff\x7f" + on(60)),
        "more than 4 bytes",
        None,
    ),
    "unknown chunk": (header() + chunk(b"XFIH", b"abcd") + TRACK, [(0, 0.5, 60, 80)], None),
    "longer header": (
        b"MThd\0\0\0\x08" + GOOD[8:14] + b"\0\0" + TRACK,
        [(0, 0.5, 60, 80)],
        None,
    ),
    "rubbish at the end": (GOOD + b"\0" * 20, [(0, 0.5, 60, 80)], None),
    "events after the end": (
        header() + chunk(b"MTrk", TRACK[8:] + b"\0" + on(90)),
        [(0, 0.5, 60, 80)],
        None,
    ),
}
