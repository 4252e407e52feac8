import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from midi_bytes import GOOD, ODD, header, midi, number, on, signature, tempo, track

from giblet.errors import GibletError
from giblet.music.midi import notes_from_bytes, read_midi
from giblet.music.midi_file import format_midi, parse_midi
from giblet.music.tokens import tokenize


def rows_of(notes):
    columns = (notes.onset.round(9), notes.duration.round(9), notes.pitch, notes.velocity)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def read_or_refuse(data):
    """The notes, or the line that refuses them; anything else that is raised fails the test."""
    try:
        return notes_from_bytes(data)
    except GibletError as error:
        return str(error)


@pytest.mark.parametrize("name", ODD)
def test_odd_files_are_read_right_or_refused_in_one_line(name, tmp_path):
    data, expected, warning = ODD[name]
    path = tmp_path / "odd.mid"
    path.write_bytes(data)
    if isinstance(expected, str):
        with pytest.raises(GibletError) as refusal:
            read_midi(path)
        assert expected in str(refusal.value)
        assert str(refusal.value).startswith(str(path))
        assert "\n" not in str(refusal.value)
        return
    notes = read_midi(path)
    assert rows_of(notes) == expected
    said = [line for line in notes.warnings if not line.startswith("no beats")]
    assert (warning is None and not said) or any(warning in line for line in notes.warnings)


# Of the script that writes odd files beside the project: name -> rows without velocity, or None
SHARED_ODD = {
    "good": [(0, 0.5, 60)],
    "cut_track": [(0, 0, 60)],
    "track_len_too_long": [(0, 0.5, 60)],
    "smpte25_40": [(0, 1, 60)],
    "smpte2997_80": [(0, 1.001, 60)],
    "running_status": [(0, 0.5, 60), (0, 0.5, 64)],
    "overlap_same_pitch": [(0, 0.5, 60), (0.25, 0.75, 60)],
    "note_never_off": [(0, 1, 60), (0.5, 0.5, 62)],
    "off_without_on": [(0.5, 0.5, 62)],
    "zero_length": [(0, 0, 60), (0.5, 0.5, 62)],
    "pedal": [(0, 1, 60)],
    "tempo_in_track2": [(0, 1.5, 60)],
    "tempo0": [(0, 0.5, 60)],
    "riff_rmid": [(0, 0.5, 60)],
    "extra_chunk": [(0, 0.5, 60)],
}


def test_the_odd_files_of_the_shared_script(shared, tmp_path):
    import runpy
    import sys

    script = shared / "music" / "bad_midi.py"
    if not script.exists():
        pytest.skip("no music in GIBLET_SHARED")
    arguments, sys.argv = sys.argv, [str(script), str(tmp_path)]
    try:
        runpy.run_path(str(script))
    finally:
        sys.argv = arguments
    read, files = {}, sorted(tmp_path.glob("*.mid"))
    for path in files:
        notes = read_or_refuse(path.read_bytes())
        if isinstance(notes, str):
            assert len(notes.splitlines()) == 1
        else:
            read[path.stem] = [row[:3] for row in rows_of(notes)]
    assert len(files) == 25
    assert read == SHARED_ODD


def test_a_file_too_large_for_a_score_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("giblet.music.midi.LARGEST_FILE", 1 << 20)
    path = tmp_path / "a.mid"
    path.write_bytes(GOOD + bytes(1 << 20))
    with pytest.raises(GibletError, match=r"a\.mid: more than 1 MiB"):
        read_midi(path)


@pytest.mark.parametrize("start", [b"<?xml version", b"\xef\xbb\xbf<?xml version", b"PK\3\4"])
def test_musicxml_is_named_with_its_reader(start, tmp_path):
    path = tmp_path / "a.mid"
    path.write_bytes(start)
    with pytest.raises(GibletError, match=r"a\.mid: .* use read_musicxml"):
        read_midi(path)


def test_a_missing_file_is_the_operating_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_midi(tmp_path / "no.mid")


@pytest.mark.parametrize(
    "data",
    [
        header(1, 65535) + track((0, on(60))),
        header() + b"MTrk\xff\xff\xff\xff" + track((0, on(60)))[8:],
        # a million beats and more, of a file of a hundred bytes
        midi([(0, tempo(1)), (0, signature(255, 6)), (0, on(60)), (2**28 - 1, on(62))], division=1),
        midi([(0, tempo(1)), *[(2**28 - 1, on(p)) for p in range(9)]], division=1),
        midi([(0, signature(4, 2)), (0, on(60)), (2**27, on(62))], division=32767),
    ],
)
def test_a_small_file_takes_little_memory_whatever_it_claims(data):
    tracemalloc.start()
    try:
        notes = notes_from_bytes(data)
        tokenize(notes)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 50e6


def test_too_many_beats_are_left_out_with_a_warning():
    notes = notes_from_bytes(midi([(0, tempo(1)), (0, on(60)), (2**28 - 1, on(62))], division=1))
    assert notes.beats is None
    assert any("more than a million" in line for line in notes.warnings)


def damaged(data, rng, flips):
    """``data`` with some bytes changed, and now and then a piece cut out or doubled."""
    data = bytearray(data)
    for place in rng.integers(0, len(data), flips):
        data[place] = rng.integers(0, 256)
    start, stop = np.sort(rng.integers(0, len(data), 2))
    change = rng.integers(0, 6)
    if change == 0:
        del data[start : min(stop, start + 20)]
    elif change == 1:
        data[start:start] = data[start : min(stop, start + 20)]
    elif change == 2:
        del data[stop:]
    return bytes(data)


def check_damaged(data, rng, n):
    """Read ``n`` damaged copies; of how many notes came."""
    read = 0
    for _ in range(n):
        copy = damaged(data, rng, rng.integers(1, 4))
        notes = read_or_refuse(copy)
        if isinstance(notes, str):
            assert len(notes.splitlines()) == 1
            continue
        read += 1
        assert len(notes) <= len(copy)
        assert len(tokenize(notes)) <= 24 * 3600 / 8 + 4 * len(notes)
    return read


ODD_BYTES = [data for data, _, _ in ODD.values()]


def test_damaged_files_give_notes_or_one_line(rng):
    rich = midi([(0, tempo(400000)), (0, signature(6, 3))], [(10, on(60)), *[(99, on(61))] * 20])
    read = sum(check_damaged(data, rng, 10) for data in ODD_BYTES if data)
    read += check_damaged(rich, rng, 300)
    assert 100 < read < 700


@pytest.mark.slow
def test_real_files_damaged_give_notes_or_one_line(shared, rng):
    files = sorted((shared / "music" / "data").glob("*/*/*.mid"))
    assert len(files) > 800
    tracemalloc.start()
    try:
        for path in files[::20]:
            data = path.read_bytes()
            tracemalloc.reset_peak()
            check_damaged(data, rng, 10)
            check_damaged(data[:60], rng, 10)
            assert tracemalloc.get_traced_memory()[1] < 50e6 + 1000 * len(data)
    finally:
        tracemalloc.stop()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.sampled_from([b"", header(), header() + b"MTrk\0\0\0\x40"]))
def test_any_bytes_give_notes_or_one_line(data, before):
    notes = read_or_refuse(before + data)
    assert not isinstance(notes, str) or len(notes.splitlines()) == 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 2**29), max_size=6))
def test_ticks_are_written_and_read_whatever_their_distance(ticks):
    ticks = sorted(ticks)
    file = parse_midi(format_midi(480, [(tick, on(60)) for tick in ticks]))
    assert [event[0] for event in file.events] == ticks
    assert file.track_ends == [max(ticks, default=0)]
    assert not file.warnings


def test_numbers_are_as_the_standard_shows_them():
    """The examples of the standard's page about quantities of variable length."""
    examples = {0: "00", 0x40: "40", 0x7F: "7f", 0x80: "8100", 0x2000: "c000", 0x3FFF: "ff7f"}
    examples |= {0x4000: "818000", 0x1FFFFF: "ffff7f", 0x200000: "81808000", 0xFFFFFFF: "ffffff7f"}
    for value, expected in examples.items():
        assert number(value).hex() == expected
        data = format_midi(480, [(value, on(60))])
        assert data[22 : 22 + len(expected) // 2].hex() == expected
