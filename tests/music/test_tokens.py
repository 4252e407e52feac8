import ast
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from giblet.errors import GibletError
from giblet.music import tokens as module
from giblet.music.notes import Notes
from giblet.music.tokens import VOCABULARY, detokenize, token_seconds, tokenize

ON, OFF, SHIFT, VELOCITY = 0, 128, 255, 768  # pitch, pitch, steps, bin are added
PP, P, MP, MF, F, FF = range(6)


def notes_of(*rows):
    """Notes from (onset s, duration s, pitch, velocity)."""
    onset, duration, pitch, velocity = np.array(rows, float).reshape(-1, 4).T
    return Notes.from_unsorted(onset, duration, pitch.astype(int), velocity.astype(int))


def rows_of(notes):
    columns = (notes.onset, notes.duration, notes.pitch, notes.velocity)
    return [tuple(row) for row in zip(*(column.tolist() for column in columns), strict=True)]


rows = st.tuples(
    st.floats(0, 30),
    st.floats(0, 20),
    st.integers(55, 61) | st.integers(0, 127),
    st.integers(1, 127),
)
some_notes = st.lists(rows, max_size=40).map(lambda rows: notes_of(*rows))


def test_the_layout_is_that_of_774_tokens():
    v = VOCABULARY
    kinds = [v.note_on, v.note_off, v.time_shift, v.velocity]
    assert [(k.start, k.stop) for k in kinds] == [(0, 128), (128, 256), (256, 768), (768, 774)]
    assert (v.size, v.pad, v.bos, v.eos, v.n_ids) == (774, 774, 775, 776, 777)
    assert (v.note_on_token(0), v.note_off_token(127), v.velocity_token(5)) == (0, 255, 773)
    assert (v.time_shift_token(1), v.time_shift_token(512)) == (256, 767)
    assert v.step_seconds == 0.015625


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_questions_about_tokens_are_vectorised(kind):
    v, ids = VOCABULARY, kind(list(range(777)))
    masks = [v.is_note_on(ids), v.is_note_off(ids), v.is_time_shift(ids), v.is_velocity(ids)]
    assert [int(mask.sum()) for mask in masks] == [128, 128, 512, 6]
    assert int(sum(mask.sum() for mask in masks)) == v.size
    assert v.steps(ids).tolist() == [0] * 256 + list(range(1, 513)) + [0] * 9
    assert v.pitch(ids).tolist() == [*range(128), *range(128), *[-1] * 521]
    assert v.velocity_bin(ids).tolist() == [-1] * 768 + list(range(6)) + [-1] * 3
    assert type(v.steps(ids)) is type(ids)


def test_nobody_can_move_a_border():
    with pytest.raises(AttributeError):
        VOCABULARY.size = 784


def test_a_small_piece_in_canonical_form():
    piece = notes_of((10, 1, 60, 80), (10, 0.5, 64, 80), (10.5, 0.5, 67, 33), (11, 0, 60, 40))
    assert tokenize(piece).tolist() == [
        *(VELOCITY + MF, ON + 60, ON + 64),
        *(SHIFT + 32, OFF + 64, VELOCITY + PP, ON + 67),
        *(SHIFT + 32, OFF + 60, OFF + 67, ON + 60),
        *(SHIFT + 1, OFF + 60),
    ]
    assert tokenize(piece).dtype == np.int32


def test_long_rests_are_several_shifts_and_nothing_more():
    def shifts(gap):
        tokens = tokenize(notes_of((0, 1 / 64, 60, 80), (1 / 64 + gap, 1, 60, 80)))
        return tokens[4:-3].tolist()

    assert shifts(8) == [SHIFT + 512]
    assert shifts(8 + 1 / 64) == [SHIFT + 512, SHIFT + 1]
    assert shifts(16) == [SHIFT + 512] * 2
    assert shifts(20) == [SHIFT + 512] * 2 + [SHIFT + 256]


def test_the_second_onset_of_a_pitch_cuts_the_first_note():
    cut = detokenize(tokenize(notes_of((0, 3, 60, 80), (1, 4, 60, 112), (1.5, 0.5, 60, 112))))
    assert rows_of(cut) == [(0, 1, 60, 80), (1, 0.5, 60, 112), (1.5, 0.5, 60, 112)]


def test_unisons_are_merged_to_the_longest_and_loudest():
    merged = detokenize(tokenize(notes_of((0, 3, 60, 33), (0.001, 1, 60, 112), (0.001, 1, 61, 64))))
    assert rows_of(merged) == [(0, 3, 60, 112), (0, 1, 61, 64)]


def test_velocities_go_to_the_nearest_dynamic():
    dynamics = np.array(VOCABULARY.velocities)[::-1]  # the louder of two that are as near
    nearest = np.abs(np.arange(1, 128)[:, None] - dynamics).argmin(1)
    piece = notes_of(*((i, 1, 60, velocity) for i, velocity in enumerate(range(1, 128))))
    played = detokenize(tokenize(piece)).velocity
    np.testing.assert_array_equal(played, dynamics[nearest])


def test_times_do_not_drift_over_an_hour(rng):
    onset = 1234.56789 + np.sort(rng.uniform(0, 3600, 20000))
    pitch = np.arange(20000) % 128  # no pitch sounds twice at a time
    duration = rng.uniform(0.02, 0.2, 20000)
    piece = Notes(onset, duration, pitch, np.full(20000, 80))
    back = detokenize(tokenize(piece))
    order = np.lexsort((pitch, np.floor((onset - onset[0]) * 64 + 0.5)))
    half = 1 / 128 + 1e-9
    assert np.abs(back.onset - (onset - onset[0])[order]).max() <= half
    ends = (onset + duration - onset[0])[order]
    assert np.abs(back.onset + back.duration - ends).max() <= half
    np.testing.assert_array_equal(back.pitch, pitch[order])


@settings(max_examples=100, deadline=None)
@given(some_notes)
def test_encoding_what_was_decoded_gives_the_same_tokens(notes):
    tokens = tokenize(notes)
    back = detokenize(tokens)
    assert back.warnings == ()
    np.testing.assert_array_equal(tokenize(back), tokens)


def slow_tokens(notes):
    """The canonical form, one note and one moment after another."""
    v, events = VOCABULARY, {}
    start, sounding = (notes.onset[0] if len(notes) else 0), {}
    for onset, duration, pitch, velocity in rows_of(notes):
        begin = int(np.floor((onset - start) * 64 + 0.5))
        end = max(int(np.floor((onset - start + duration) * 64 + 0.5)), begin + 1)
        note = [begin, end, pitch, sum(velocity >= edge for edge in v.velocity_edges)]
        last = sounding.get(pitch)
        if last and last[0] == begin:
            last[1], last[3] = max(last[1], end), max(last[3], note[3])
            continue
        if last:
            last[1] = min(last[1], begin)
        sounding[pitch] = note
        events.setdefault("notes", []).append(note)
    notes = events.get("notes", [])
    moments = sorted({time for begin, end, *_ in notes for time in (begin, end)})
    out, now, loudness = [], 0, None
    for moment in moments:
        while now < moment:
            out.append(SHIFT + min(moment - now, 512))
            now += min(moment - now, 512)
        out += sorted(OFF + pitch for _, end, pitch, _ in notes if end == moment)
        for pitch, bin_ in sorted((p, b) for begin, _, p, b in notes if begin == moment):
            out += [VELOCITY + bin_] * (bin_ != loudness) + [ON + pitch]
            loudness = bin_
    return out


@settings(max_examples=100, deadline=None)
@given(some_notes)
def test_tokens_are_those_of_a_plain_loop(notes):
    assert tokenize(notes).tolist() == slow_tokens(notes)


def slow_seconds(tokens):
    now, out = 0, []
    for token in tokens:
        out.append(now / 64)
        now += token - SHIFT if 256 <= token < 768 else 0
    return out


any_tokens = st.lists(
    st.integers(-3, 800) | st.sampled_from([60, 61, 188, 189, 256, 767, 768, 774, 775]), max_size=60
)


@settings(max_examples=150, deadline=None)
@given(any_tokens)
def test_seconds_of_tokens_are_those_of_a_plain_loop(tokens):
    assert token_seconds(np.array(tokens, int)).tolist() == slow_seconds(tokens)


@settings(max_examples=150, deadline=None)
@given(any_tokens)
def test_any_tokens_are_notes_whose_tokens_are_stable(tokens):
    notes = detokenize(np.array(tokens, int))
    assert len(notes) == 0 or notes.onset[0] == 0
    assert (notes.duration > 0).all()
    again = detokenize(tokenize(notes))
    assert rows_of(again) == rows_of(notes)  # so nothing overlaps in a pitch


@pytest.mark.parametrize(
    ("tokens", "expected", "warning"),
    [
        ([771, 60, SHIFT + 64], [(0, 1, 60, 80)], "1 notes never end"),
        ([771, 60], [(0, 1 / 64, 60, 80)], "1 notes never end"),
        ([771, 60, 319, 188, 188], [(0, 1, 60, 80)], "1 NOTE_OFFs of pitches that do not sound"),
        ([60, 319, 188, 773], [(0, 1, 60, 80)], "1 notes before the first VELOCITY: played mf"),
        ([771, 60, 773, 60, 319, 188], [(0, 1, 60, 112)], "1 notes begin again"),
        ([771, 60, 188, 319], [(0, 1 / 64, 60, 80)], None),
        ([771, 60, 319, 60, 319, 188], [(0, 1, 60, 80), (1, 1, 60, 80)], None),
        ([775, 771, 60, 319, 188, 776, 774, 774], [(0, 1, 60, 80)], None),
        ([771, 60, 319, 188, 776, 61, 774], [(0, 1, 60, 80)], "1 tokens after EOS left out"),
        ([771, 60, 777, -1, 319, 188], [(0, 1, 60, 80)], "2 ids outside the vocabulary"),
        ([319, 771, 60, 319, 188], [(0, 1, 60, 80)], "a rest of 1 s before the first note"),
        ([319], [], None),
        ([], [], None),
    ],
)
def test_ill_formed_tokens(tokens, expected, warning):
    notes = detokenize(np.array(tokens, int))
    assert rows_of(notes) == expected
    assert len(notes.warnings) == (warning is not None)
    assert warning is None or notes.warnings[0].startswith(warning)


@pytest.mark.parametrize("tokens", [np.zeros((1, 3), int), np.array([60.0])])
def test_what_is_no_sequence_of_ids_is_refused(tokens):
    with pytest.raises(GibletError, match=r"tokens: (the shape )?must be"):
        detokenize(tokens)


def test_a_million_tokens_take_about_a_second(rng):
    """Three times the goal's time, for a loaded computer; benchmarks/music_tokens.py measures."""
    n = 400_000
    onset = np.sort(rng.uniform(0, 36000, n))
    piece = Notes.from_unsorted(
        onset, rng.uniform(0.1, 1, n), rng.integers(30, 90, n), rng.integers(1, 128, n)
    )
    start = time.process_time()
    tokens = tokenize(piece)
    middle = time.process_time()
    detokenize(tokens)
    end = time.process_time()
    assert len(tokens) > 1e6
    assert max(middle - start, end - middle) < 3 * len(tokens) / 1e6


# No other module of giblet.music knows the borders.

BORDERS = {128, 256, 768}


def border_uses(tree):
    """Comparisons, slices, sums and ranges with a border as a literal; sizes stay free."""
    found = []
    for node in ast.walk(tree):
        parts = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(
            node.op, ast.Add | ast.Sub | ast.Mod | ast.FloorDiv
        ):
            parts = [node.value] if isinstance(node, ast.AugAssign) else [node.left, node.right]
        elif isinstance(node, ast.Slice):
            parts = [node.lower, node.upper]
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            parts = node.args if name in {"slice", "range", "arange", "clip", "clamp"} else []
        values = {part.value for part in parts if isinstance(part, ast.Constant)}
        found += [ast.unparse(node)] * bool(BORDERS & values)
    return found


def test_only_tokens_knows_the_borders():
    files = sorted(Path(module.__file__).parent.rglob("*.py"))
    trees = {file.name: ast.parse(file.read_text()) for file in files if file.name != "tokens.py"}
    assert len(trees) >= 2
    assert not {name: uses for name, tree in trees.items() if (uses := border_uses(tree))}
    assert border_uses(ast.parse(Path(module.__file__).read_text()))


@pytest.mark.parametrize(
    "line",
    [
        "tokens < 128",
        "256 <= x",
        "x[..., :768]",
        "x[256:]",
        "t - 128",
        "x % 128",
        "x += 256",
        "range(128, n)",
    ],
)
def test_a_border_is_seen(line):
    assert border_uses(ast.parse(line))


@pytest.mark.parametrize("line", ["f(window=256)", "width: int = 128", "n * 256", "x < 127"])
def test_a_size_is_left_alone(line):
    assert not border_uses(ast.parse(line))
