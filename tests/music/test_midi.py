import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from midi_bytes import beat, midi, number, off, on, pedal, signature, tempo

from giblet.errors import GibletError
from giblet.music.midi import bytes_from_notes, notes_from_bytes, read_midi, write_midi
from giblet.music.notes import Beats, Notes
from giblet.music.tokens import detokenize, tokenize


def rows_of(notes):
    columns = (notes.onset.round(9), notes.duration.round(9), notes.pitch, notes.velocity)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def ends_of(*events, **settings):
    """Onset and end in quarters of 120 a minute (480 ticks) of each note."""
    notes = notes_from_bytes(midi(*events), **settings)
    return [(2 * on, 2 * on + 2 * length, pitch) for on, length, pitch, _ in rows_of(notes)]


# Pedal: one quarter is 480 ticks


def test_the_pedal_holds_a_note_until_it_is_lifted():
    events = [(0, on(60)), (240, pedal(64)), (240, off(60)), (480, pedal(63)), (480, on(62))]
    assert ends_of([*events, (480, off(62))]) == [(0, 2, 60), (3, 4, 62)]
    assert ends_of([*events, (480, off(62))], pedal=False) == [(0, 1, 60), (3, 4, 62)]


def test_a_pitch_that_is_struck_again_ends_its_held_note():
    events = [(0, pedal(127)), *beat(60), *beat(62), *beat(60), (480, pedal(0))]
    assert ends_of(events) == [(0, 2, 60), (1, 4, 62), (2, 4, 60)]


def test_a_pedal_pressed_after_the_note_holds_nothing():
    assert ends_of([*beat(60), (0, pedal(127)), (960, pedal(0))]) == [(0, 1, 60)]


def test_a_pedal_that_is_never_lifted_holds_up_to_the_files_end():
    assert ends_of([(0, pedal(127)), *beat(60), *beat(62)], [(1920, pedal(0, 3))]) == [
        (0, 4, 60),
        (1, 4, 62),
    ]


def test_a_pedal_pressed_twice_is_lifted_once():
    events = [(0, pedal(127)), *beat(60), (0, pedal(100)), (480, pedal(0)), *beat(62)]
    assert ends_of(events) == [(0, 2, 60), (2, 3, 62)]


def test_a_pedal_is_of_its_channel_in_all_tracks():
    one_hand, other_hand = [(0, pedal(127)), (1920, pedal(0))], beat(60)
    another_instrument = [(0, on(70, 80, 5)), (480, off(70, 5))]
    assert ends_of(one_hand, other_hand, another_instrument) == [(0, 4, 60), (0, 1, 70)]


def test_overlapping_pitches_of_two_tracks_end_each_by_its_own_track():
    assert ends_of(beat(60, 0, 960), beat(60, 240, 240)) == [(0, 2, 60), (0.5, 1, 60)]


def test_a_hanging_note_ends_with_its_own_track():
    assert ends_of([(0, on(60)), *beat(62)], beat(64, 0, 4800)) == [
        (0, 1, 60),
        (0, 1, 62),
        (0, 10, 64),
    ]


# Beats


def beats_of(*events, division=480):
    beats = notes_from_bytes(midi(*events, division=division)).beats
    return beats.seconds.round(9).tolist(), beats.in_bar.tolist(), beats.per_bar.tolist()


def test_bars_have_four_beats_until_a_signature_says_otherwise():
    seconds, in_bar, per_bar = beats_of([(0, tempo(500000)), *beat(60, 0, 480 * 5)])
    assert seconds == [0, 0.5, 1, 1.5, 2, 2.5]
    assert in_bar == [0, 1, 2, 3, 0, 1]
    assert per_bar == [4] * 6


def test_beats_follow_tempos_and_signatures_of_any_track():
    melody = beat(60, 0, 480 * 6)
    clock = [
        (0, signature(2, 2)),
        (480, tempo(10**6)),
        (480, signature(3, 2)),
        (480, tempo(250000)),
    ]
    seconds, in_bar, per_bar = beats_of(melody, clock)
    assert seconds == [0, 0.5, 1.5, 2.5, 2.75, 3, 3.25]
    assert in_bar == [0, 1, 0, 1, 2, 0, 1]
    assert per_bar == [2, 2, 3, 3, 3, 3, 3]


def test_a_tempo_that_changes_within_a_beat_moves_the_next_one():
    seconds, _, _ = beats_of(beat(60, 0, 960), [(240, tempo(10**6))])
    assert seconds == [0, 0.75, 1.75]


@pytest.mark.parametrize(
    ("numerator", "power", "length", "per_bar"),
    [
        (6, 3, 1.5, 2),
        (9, 3, 1.5, 3),
        (12, 4, 0.75, 4),
        (6, 2, 3, 2),
        (3, 3, 0.5, 3),
        (5, 3, 0.5, 5),
    ],
)
def test_a_beat_is_three_notes_in_compound_metres_alone(numerator, power, length, per_bar):
    """The rule of pretty_midi's qpm_to_bpm."""
    seconds, _, found = beats_of([(0, signature(numerator, power)), *beat(60, 0, 480 * 12)])
    assert set(found) == {per_bar}
    np.testing.assert_allclose(np.diff(seconds), length / 2)


def test_of_two_signatures_at_once_the_first_tracks_counts():
    events = beat(60, 0, 480)
    _, _, per_bar = beats_of([(0, signature(3, 2)), *events], [(0, signature(5, 2)), *events])
    assert set(per_bar) == {3}


def test_a_signature_in_the_middle_of_a_beat_cuts_it():
    events = [(0, signature(4, 2)), *beat(60, 0, 720), (0, signature(3, 2)), *beat(60, 0, 960)]
    assert beats_of(events) == ([0, 0.5, 0.75, 1.25, 1.75], [0, 1, 0, 1, 2], [4, 4, 3, 3, 3])


def test_beats_span_all_notes():
    for events in ([(9, on(60)), (0, off(60))], beat(60, 0, 481), beat(60, 0, 480)):
        notes = notes_from_bytes(midi([(0, tempo(500000)), *events]))
        assert notes.beats.seconds[0] <= notes.onset[0]
        assert notes.beats.seconds[-1] >= notes.end
    silent = notes_from_bytes(midi([(0, tempo(500000)), (0, on(60)), (0, off(60))]))
    assert silent.beats.seconds.tolist() == [0, 0.5]


def test_nobody_knows_the_beats_without_tempo_and_signature():
    notes = notes_from_bytes(midi(beat()))
    assert notes.beats is None
    assert notes.warnings == ("no beats: neither a tempo map nor a time signature gives them",)
    assert notes_from_bytes(midi([(0, signature(3, 2)), *beat()])).beats is not None


def test_notes_at_beats_have_phase_0():
    clock = [(0, tempo(333333)), (480, tempo(454545)), (480, tempo(1111111))]
    notes = notes_from_bytes(midi([e for _ in range(9) for e in beat()], clock))
    assert notes.beats.phases(notes.onset)[:, 0].tolist() == [0] * 9
    np.testing.assert_allclose(notes.beats.phases(notes.onset)[:, 1], np.arange(9) % 4 / 4)


# Writing


def check_same(back, notes, tolerance=1e-9, beats=True):
    np.testing.assert_array_equal(back.pitch, notes.pitch)
    np.testing.assert_array_equal(back.velocity, notes.velocity)
    np.testing.assert_allclose(back.onset, notes.onset, rtol=0, atol=tolerance)
    np.testing.assert_allclose(back.duration, notes.duration, rtol=0, atol=2 * tolerance)
    if not beats:
        return
    assert (back.beats is None) == (notes.beats is None)
    if notes.beats is not None:
        n = min(len(back.beats.seconds), len(notes.beats.seconds))
        assert n >= len(notes.beats.seconds) - 1
        assert back.beats.in_bar[:n].tolist() == notes.beats.in_bar[:n].tolist()
        assert back.beats.per_bar[:n].tolist() == notes.beats.per_bar[:n].tolist()
        np.testing.assert_allclose(
            back.beats.seconds[:n], notes.beats.seconds[:n], rtol=0, atol=tolerance + 1e-6
        )


# a wait, an event; ticks that divide those that are written, so that nothing is rounded
waits = st.sampled_from([0, 0, 1, 2, 7, 240, 480, 100_000])
pitches = st.sampled_from([59, 60, 61])
note_events = st.one_of(
    st.builds(on, pitches, st.integers(0, 127), st.sampled_from([0, 1, 9])),
    st.builds(off, pitches, st.sampled_from([0, 1, 9])),
    st.builds(pedal, st.sampled_from([0, 127]), st.sampled_from([0, 1])),
    st.just(b"\xf0\x02\x01\xf7"),
    st.builds(lambda text: b"\xff\x01" + number(len(text)) + text, st.binary(max_size=200)),
)
clock_events = st.one_of(
    st.builds(tempo, st.integers(1000, 2_700_000)),
    st.builds(signature, st.integers(1, 13), st.integers(1, 4)),
)
tracks = st.lists(st.tuples(waits, note_events), max_size=25)
clocks = st.lists(st.tuples(st.sampled_from([0, 480, 960, 480 * 12]), clock_events), max_size=5)
files = st.builds(
    lambda start, tracks, clock: midi([(0, on(start)), *tracks[0]], *tracks[1:], clock),
    pitches,
    st.lists(tracks, min_size=1, max_size=3),
    clocks,
)


@settings(max_examples=100, deadline=None)
@given(files, st.booleans())
def test_bytes_to_notes_to_bytes_and_back(data, with_pedal):
    notes = notes_from_bytes(data, with_pedal)
    written = bytes_from_notes(notes)
    back = notes_from_bytes(written)
    # a tempo within a beat is written as that beat's mean, to a microsecond; a note lasts a tick
    check_same(back, notes, tolerance=2e-3)
    remarks = [line for line in back.warnings if "no beats" not in line]
    assert not remarks
    check_same(notes_from_bytes(bytes_from_notes(back)), back, tolerance=2e-3)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 9000), st.floats(0, 40), st.integers(0, 127), st.integers(1, 127)),
        min_size=1,
        max_size=30,
    )
)
def test_notes_to_bytes_and_back_without_beats(rows):
    onset, duration, pitch, velocity = np.array(rows).T
    notes = Notes.from_unsorted(onset, duration, pitch.astype(int), velocity.astype(int))
    written = bytes_from_notes(notes)
    back = notes_from_bytes(written)
    assert len(back) == len(notes)
    order = np.lexsort((notes.velocity, notes.pitch, np.rint(notes.onset * 30720)))
    again = np.lexsort((back.velocity, back.pitch, back.onset))
    half = 0.5 / 30720 + 1e-9
    np.testing.assert_allclose(back.onset[again], notes.onset[order], rtol=0, atol=half)
    assert bytes_from_notes(back) == written


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 773), max_size=50))
def test_tokens_survive_a_file(tokens):
    tokens = tokenize(detokenize(np.array(tokens, int)))
    if len(tokens):
        back = notes_from_bytes(bytes_from_notes(detokenize(tokens)))
        np.testing.assert_array_equal(tokenize(back), tokens)


def test_a_file_is_written_with_its_beats_as_they_were():
    """Upbeat, compound and simple metres, a bar cut short by one of the same metre."""
    clock = [(0, signature(1, 2)), (480, signature(6, 3)), (1440, tempo(400000))]
    clock += [(1440, signature(4, 2)), (960, signature(4, 2)), (3840, signature(3, 2))]
    notes = notes_from_bytes(midi([e for _ in range(30) for e in beat(60, 7, 473)], clock))
    assert notes.beats.per_bar.tolist()[:16] == [1, 2, 2, 2, 2] + [4] * 10 + [3]
    assert notes.beats.in_bar.tolist()[:16] == [0, 0, 1, 0, 1, *[0, 1], *[0, 1, 2, 3] * 2, 0]
    back = notes_from_bytes(bytes_from_notes(notes))
    check_same(back, notes, tolerance=0.5 * 0.5 / 15360)  # half a tick


def test_a_held_pitch_that_is_struck_by_another_voice_keeps_both_ends():
    columns = ([0.0, 0.5], [2.0, 0.5], [60, 60], [80, 81])
    notes = Notes(*(np.array(column) for column in columns))
    assert rows_of(notes_from_bytes(bytes_from_notes(notes))) == rows_of(notes)


def test_beats_that_begin_late_are_led_to_by_one(tmp_path):
    beats = Beats(np.array([0.4, 1.0, 1.5]), np.array([0, 1, 0]), np.array([2, 2, 2]))
    notes = Notes(np.array([0.2]), np.array([1.2]), np.array([60]), np.array([80]), beats)
    write_midi(notes, tmp_path / "a.mid")
    back = read_midi(tmp_path / "a.mid")
    np.testing.assert_allclose(back.onset, [0.2], atol=1e-4)
    np.testing.assert_allclose(back.beats.seconds[:4], [0, 0.4, 1.0, 1.5], atol=1e-6)
    assert back.beats.per_bar[:4].tolist() == [1, 2, 2, 2]
    assert back.beats.in_bar[:4].tolist() == [0, 0, 1, 0]


def test_beats_before_the_file_are_left_out():
    beats = Beats(np.array([-0.25, 0.25, 0.75]), np.array([2, 0, 1]), np.array([3, 3, 3]))
    columns = (np.array(column) for column in ([0.0], [0.25], [60], [80]))
    back = notes_from_bytes(bytes_from_notes(Notes(*columns, beats)))
    np.testing.assert_allclose(back.beats.seconds[:2], [0, 0.25], atol=1e-6)
    early = Beats(np.array([-2.0, -1.0, 1.0]), np.array([0, 0, 0]), np.array([1, 1, 1]))
    columns = (np.array(column) for column in ([0.0], [0.25], [60], [80]))
    assert notes_from_bytes(bytes_from_notes(Notes(*columns, early))).beats is None


@pytest.mark.parametrize(
    ("onset", "beats", "message"),
    [
        (-1.0, None, "begins at -1 s"),
        (0.0, Beats(np.array([0.0, 20]), np.array([0, 0]), np.array([1, 1])), "a beat of 20 s"),
        (0.0, Beats(np.array([0.0, 1]), np.array([0, 1]), np.array([300, 300])), "300 beats"),
    ],
)
def test_what_midi_cannot_express_is_refused_and_nothing_is_written(
    onset, beats, message, tmp_path
):
    notes = Notes(np.array([onset]), np.array([1.0]), np.array([60]), np.array([80]), beats)
    with pytest.raises(GibletError, match=message):
        write_midi(notes, tmp_path / "a.mid")
    assert not list(tmp_path.iterdir())


def test_tempos_rounded_to_microseconds_do_not_add_up():
    seconds = np.arange(5000) / 3
    beats = Beats(seconds, np.arange(5000) % 4, np.full(5000, 4))
    notes = Notes(seconds, np.full(5000, 0.1), np.full(5000, 60), np.full(5000, 80), beats)
    back = notes_from_bytes(bytes_from_notes(notes))
    assert np.abs(back.onset - seconds).max() < 2e-6
