"""The reader of MIDI beside symusic, pretty_midi and mido, on odd files and real ones."""

import warnings
from collections import defaultdict
from io import BytesIO

import numpy as np
import pytest
from midi_bytes import ODD

from giblet.music.midi import notes_from_bytes

SYMUSIC, PRETTY_MIDI, MIDO = LIBRARIES = ("symusic", "pretty_midi", "mido")
ALL = frozenset(LIBRARIES)

# Odd files that giblet reads and others do not, or differently, by what is asked of giblet
KNOWN_DIFFERENCES = {
    "cut track": ALL,  # refused
    "length too long": ALL,  # refused
    "length of 4 GB": ALL,  # refused
    "text past the track": ALL,  # refused
    "65535 tracks named": {PRETTY_MIDI, MIDO},  # read without notes
    "SMPTE 25 x 40": ALL,  # refused, or negative times
    "SMPTE 29.97 x 80": ALL,
    "SMPTE 30 x 10": ALL,
    "overlapping pitch": {PRETTY_MIDI},  # the first end ends all
    "note without an end": ALL,  # left out
    "zero length": {PRETTY_MIDI},  # left out
    "tempo in track 2": {PRETTY_MIDI},  # not seen
    "two tempos at once": {PRETTY_MIDI},  # not seen
    "tempo 0": ALL,  # times of 0, or an error
    "short tempo": ALL,  # bytes after it read too, or an error
    "bar of 0 beats": {PRETTY_MIDI},  # refused
    "RMID": ALL,  # refused
    "unknown chunk": {PRETTY_MIDI, MIDO},  # refused
    "longer header": {SYMUSIC},  # refused
}


def sorted_rows(onset, duration, pitch, velocity):
    rows = np.stack([np.asarray(c, float) for c in (onset, duration, pitch, velocity)], axis=1)
    near = rows.round(4)
    return rows[np.lexsort((near[:, 3], near[:, 1], near[:, 2], near[:, 0]))]


def ours(data):
    notes = notes_from_bytes(data, pedal=False)
    return sorted_rows(notes.onset, notes.duration, notes.pitch, notes.velocity)


def by_symusic(data):
    symusic = pytest.importorskip("symusic")
    score = symusic.Score.from_midi(data, ttype="second")
    tracks = [track.notes.numpy() for track in score.tracks if not track.is_drum]
    names = ("time", "duration", "pitch", "velocity")
    return sorted_rows(*(np.concatenate([track[name] for track in tracks]) for name in names))


def read_with_pretty_midi(data):
    pretty_midi = pytest.importorskip("pretty_midi")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pretty_midi.PrettyMIDI(BytesIO(data))


def by_pretty_midi(data):
    instruments = read_with_pretty_midi(data).instruments
    rows = [
        (note.start, note.end - note.start, note.pitch, note.velocity)
        for instrument in instruments
        for note in instrument.notes
        if not instrument.is_drum
    ]
    return sorted_rows(*zip(*rows, strict=True))


def by_mido(data):
    """Messages in seconds as mido merges them; ends first in, first out, by track and channel."""
    mido = pytest.importorskip("mido")
    file = mido.MidiFile(file=BytesIO(data))
    tempos, messages = [], []
    for number, track in enumerate(file.tracks):
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "set_tempo":
                tempos.append((tick, message.tempo))
            elif message.type in ("note_on", "note_off") and message.channel != 9:
                messages.append((tick, number, message))
    tempos = sorted([(0, 500_000), *tempos], key=lambda tempo: tempo[0])

    def seconds(tick):
        total = 0.0
        for (start, tempo), (stop, _) in zip(tempos, [*tempos[1:], (tick, 0)], strict=True):
            if start < tick:
                total += mido.tick2second(min(stop, tick) - start, file.ticks_per_beat, tempo)
        return total

    sounding, rows = defaultdict(list), []
    for tick, number, message in messages:
        begun = sounding[number, message.channel, message.note]
        if message.type == "note_on" and message.velocity:
            begun.append((tick, message.velocity))
        elif begun:
            begin, velocity = begun.pop(0)
            rows.append((seconds(begin), seconds(tick) - seconds(begin), message.note, velocity))
    return sorted_rows(*zip(*rows, strict=True))


READERS = {SYMUSIC: by_symusic, PRETTY_MIDI: by_pretty_midi, MIDO: by_mido}
OFF_HALVES = 1e-8  # so that no time is rounded to another microsecond by another library
SINGLE_PRECISION = 1e-6  # of symusic's seconds, relative


def same_by(library, data):
    """Whether the library reads the same notes."""
    expected = ours(data)
    try:
        found = READERS[library](data)
    except Exception:  # theirs may be any
        return False
    tolerance = (SINGLE_PRECISION if library == SYMUSIC else 1e-12) * expected[:, :2].max() + 1e-9
    return (
        expected.shape == found.shape
        and np.array_equal(expected[:, 2:], found[:, 2:])
        and np.abs(expected[:, :2] - found[:, :2]).max() <= tolerance
    )


READ = [name for name, (_, expected, _) in ODD.items() if not isinstance(expected, str)]


@pytest.mark.parametrize("library", LIBRARIES)
def test_odd_files_are_read_as_by_others_but_for_the_table(library):
    pytest.importorskip(library)
    different = {name for name in READ if not same_by(library, ODD[name][0])}
    assert different == {name for name, those in KNOWN_DIFFERENCES.items() if library in those}


def alone(rows):
    """Rows with a length that neither overlap nor touch another of their pitch.

    pretty_midi leaves out notes without length, and its first end of a pitch ends all that sound.
    """
    rows = rows[np.lexsort((rows[:, 0], rows[:, 2]))]
    end = rows[:, 0] + rows[:, 1]
    apart = (np.diff(rows[:, 2]) > 0) | (rows[1:, 0] > end[:-1] + 1e-9)
    after, before = np.append(apart, True), np.append(True, apart)
    return rows[after & before & (rows[:, 1] > 1e-9)]


def check_real(path):
    """Read the same by all; of how many notes and beats."""
    data = path.read_bytes()
    for library in (SYMUSIC, MIDO):
        assert same_by(library, data), (path.name, library)
    rows, found = (
        {tuple(row) for row in (table + OFF_HALVES).round(6)}
        for table in (alone(ours(data)), by_pretty_midi(data))
    )
    assert len(rows - found) <= 0.01 * len(rows), path.name
    return len(rows), check_beats(path, data)


def check_beats(path, data):
    """Beats and bars as pretty_midi has them; 0 in a file with a metre that cuts a bar."""
    beats = notes_from_bytes(data).beats
    bars = np.flatnonzero(beats.in_bar == 0)
    if (np.diff(bars) != beats.per_bar[bars[:-1]]).any():
        return 0  # pretty_midi begins no bar there
    theirs = read_with_pretty_midi(data)
    for mine, other in (
        (beats.seconds, theirs.get_beats()),
        (beats.seconds[bars], theirs.get_downbeats()),
    ):
        n = min(len(mine), len(other))
        assert max(len(mine), len(other)) <= n + 2, path.name
        np.testing.assert_allclose(mine[:n], other[:n], rtol=0, atol=1e-9, err_msg=path.name)
    return len(beats.seconds)


def check_folder(shared, start, stride):
    for library in LIBRARIES:
        pytest.importorskip(library)
    files = sorted((shared / "music" / "data").glob("*/*/*.mid"))
    if not files:
        pytest.skip("no music in GIBLET_SHARED")
    counts = np.array([check_real(path) for path in files[start::stride]])
    assert (counts[:, 0] > 5).all()
    assert (counts[:, 1] > 0).mean() > 0.7
    return counts


def test_some_real_files_are_read_as_by_others(shared):
    check_folder(shared, 7, 90)


@pytest.mark.slow
def test_all_real_files_are_read_as_by_others(shared):
    counts = check_folder(shared, 0, 1)
    assert len(counts) > 800
