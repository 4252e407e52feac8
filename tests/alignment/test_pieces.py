"""Parts of a film that hold whole pieces of its music."""

import re

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given, settings, strategies as st

from giblet.alignment.aligned import align
from giblet.alignment.dataset import split_film
from giblet.alignment.pieces import FilmPieces, check_pieces, held_out_pieces
from giblet.config.config import parse_config
from giblet.config.sections import SplitConfig
from giblet.errors import GibletError
from giblet.music.pieces import Pieces

T_R = 1.5


def film_of(*lengths, music=None):
    """Pieces named a, b, … of so many TRs."""
    n = len(lengths)
    names = tuple("abcdefghijklmnop"[:n])
    music = np.arange(n) if music is None else np.array(music)
    return FilmPieces(names, np.repeat(np.arange(n), lengths), music)


def parts_of(film, fold=None, trs=None, has_bold=True, **splits):
    chosen = SplitConfig(**{"gap_seconds": 6} | splits)
    trs = np.arange(len(film.of_trs)) if trs is None else trs
    held_out = held_out_pieces(film, trs, chosen, fold)
    runs = np.zeros(len(trs)) if has_bold else None
    return split_film(len(trs), T_R, chosen, has_bold, runs, fold, held_out)


def in_part(pieces, part, name):
    return {pieces.names[k] for k in pieces.of_trs[part == name]}


@settings(deadline=None, max_examples=100)
@given(
    lengths=st.lists(st.integers(12, 60), min_size=3, max_size=9),
    test=st.floats(0.1, 0.5),
    validation=st.floats(0.05, 0.3),
    has_bold=st.booleans(),
)
def test_no_piece_is_in_two_parts_and_test_pieces_are_whole(lengths, test, validation, has_bold):
    pieces = film_of(*lengths)
    options = {"test": test, "validation": validation, "gap_seconds": 6 if has_bold else 0}
    try:
        part = parts_of(pieces, has_bold=has_bold, **options)
    except GibletError:
        assume(False)  # the gaps leave too little
    own = [in_part(pieces, part, name) for name in ("train", "validation", "test")]
    assert not own[0] & own[1] | own[0] & own[2] | own[1] & own[2]
    assert (
        (part == "test") == np.isin(pieces.of_trs, np.unique(pieces.of_trs[part == "test"]))
    ).all()
    tested, others = (
        np.flatnonzero(part == "test"),
        np.flatnonzero(np.isin(part, ["train", "validation"])),
    )
    assert np.abs(tested[:, None] - others).min() > (4 if has_bold else 1)


def test_the_last_pieces_by_share_are_held_out():
    part = parts_of(film_of(*[20] * 10), test=0.2, validation=0.1)
    assert (part[160:] == "test").all()
    assert set(part[140:160]) == {"validation", "gap"}
    assert set(part[:140]) == {"train", "gap"}


def test_of_fewer_than_three_pieces_the_films_seconds_are_held_out_and_it_warns():
    pieces = film_of(60, 60)
    part = parts_of(pieces)
    np.testing.assert_array_equal(part, split_film(120, T_R, SplitConfig(gap_seconds=6), True))
    (line,) = check_pieces(pieces, np.arange(120), part, SplitConfig())
    assert line.startswith("pieces that both train and are tested: b; splits.test_pieces")
    with pytest.raises(
        GibletError, match=r"2 pieces .* whole ones need 3\. Set splits.pieces: cut"
    ):
        parts_of(pieces, pieces="whole")
    with pytest.raises(GibletError, match="leave 1 pieces: two are needed"):
        parts_of(pieces, test_pieces=["a"])


def test_cut_and_named_runs_are_as_before():
    pieces, runs = film_of(40, 40, 40), np.repeat(["1", "2"], 60)
    cut = parts_of(pieces, pieces="cut")
    np.testing.assert_array_equal(cut, split_film(120, T_R, SplitConfig(gap_seconds=6), True))
    splits = SplitConfig(test_runs=["2"], gap_seconds=6)
    assert held_out_pieces(pieces, np.arange(120), splits) is None
    part = split_film(120, T_R, splits, True, runs)
    assert "tested: b;" in check_pieces(pieces, np.arange(120), part, splits)[0]
    with pytest.raises(
        GibletError, match=r"splits\.pieces is whole, but there are pieces that both"
    ):
        check_pieces(pieces, np.arange(120), part, SplitConfig(pieces="whole"))


def test_named_pieces_are_held_out_wherever_they_are():
    pieces = film_of(30, 30, 30, 30)
    part = parts_of(pieces, test_pieces=["b"], validation_pieces=["a*"])
    assert in_part(pieces, part, "test") == {"b"}
    assert in_part(pieces, part, "validation") == {"a"}
    assert in_part(pieces, part, "train") == {"c", "d"}
    some = np.r_[0:10, 35:60, 60:115]  # those that everyone was scanned in
    part = parts_of(pieces, trs=some, test_pieces=["b"])
    assert set(pieces.of_trs[some][part == "test"]) == {1}
    assert (part == "test").sum() == 25


@pytest.mark.parametrize(
    ("music", "splits", "message"),
    [
        (None, {"test_pieces": ["bb"]}, "splits.test_pieces: no piece bb"),
        (None, {"test_pieces": ["a"], "validation_pieces": ["a"]}, "piece a is to test and to val"),
        (None, {"test_pieces": ["*"]}, "splits.test_pieces leave 0 pieces"),
        (
            [0, 1, 0],
            {"test_pieces": ["c"]},
            "splits.test_pieces: c shares seconds of a score, or all notes, with a, which",
        ),
        (
            [0, 1, 0],
            {"test_pieces": ["b"], "validation_pieces": ["c"]},
            "splits.validation_pieces: c shares seconds of a score, or all notes, with a, which",
        ),
        ([0, 0, 0], {"pieces": "whole"}, "1 pieces that share no seconds of a score, and parts"),
    ],
)
def test_parts_that_cannot_be_are_one_line(music, splits, message):
    with pytest.raises(GibletError, match=message) as caught:
        parts_of(film_of(30, 30, 30, music=music), **splits)
    assert "\n" not in str(caught.value)


def test_a_piece_that_is_played_again_is_held_out_with_itself():
    pieces = film_of(30, 30, 30, 30, music=[0, 1, 2, 0])
    part = parts_of(pieces)
    assert in_part(pieces, part, "test") == {"c"}
    assert in_part(pieces, part, "train") == {"a", "d"}


def test_every_piece_is_tested_in_one_fold():
    pieces = film_of(*[20, 30, 25, 40, 20, 30])
    tested = [in_part(pieces, parts_of(pieces, fold, folds=3), "test") for fold in (1, 2, 3)]
    assert tested == [{"a", "b"}, {"c", "d"}, {"e", "f"}]
    with pytest.raises(GibletError, match=r"6 pieces .* need 7"):
        parts_of(pieces, 1, folds=7, pieces="whole")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"splits": {"test_pieces": ["a"]}}, "whole pieces need a table of pieces as score"),
        ({"splits": {"pieces": "whole"}, "score": "a.mid"}, "whole pieces need a table"),
        (
            {"splits": {"test_pieces": ["a"], "test_runs": ["1"]}, "score": "a.tsv"},
            "goes without splits.test_runs",
        ),
        (
            {"splits": {"validation_pieces": ["a"]}, "score": "a.tsv"},
            "goes with splits.test_pieces",
        ),
        ({"splits": {"validation_stimuli": ["a"]}}, "goes with splits.test_stimuli"),
    ],
)
def test_settings_that_do_not_go_together(settings, message):
    with pytest.raises(GibletError, match=re.escape(message)):
        parse_config(settings)
    parse_config({"splits": {"test_pieces": ["a"]}, "score": "pieces.tsv"})


def test_the_aligned_film_names_the_piece_of_each_tr():
    pieces = film_of(30, 30, 30)
    film = xr.Dataset(
        {"audio": (("tr", "row", "frame"), np.zeros((88, 1, 1), np.float32))},
        attrs={"t_r": T_R, "encoding_mode": "mel"},
    )
    aligned = align([film], None, [], T_R, SplitConfig(), pieces=pieces)
    assert aligned["piece"].values.tolist() == [*"a" * 30, *"b" * 30, *"c" * 28]
    assert (aligned["part"].values[60:] == "test").all()
    cut = SplitConfig(pieces="cut", test=0.1, validation=0.05)
    cut = align([film], None, [], T_R, cut, pieces=pieces)
    assert "pieces that both train and are tested: c" in str(cut.attrs["warnings"])
    assert "test_pieces" not in str(aligned.attrs["warnings"])


def test_pieces_of_one_score_share_seconds_where_their_excerpts_do():
    begins, infinite = np.arange(4) * 60.0, np.inf
    scores, starts = ("a", "a", "a", "b"), np.array([0.0, 30.0, 200.0, 0.0])
    pieces = Pieces(tuple("wxyz"), begins, np.array([20.0, 40, infinite, infinite]), scores, starts)
    assert pieces.same_music.tolist() == [0, 1, 2, 3]
    longer = Pieces(tuple("wxyz"), begins, np.array([40.0, 180, 60, 60]), scores, starts)
    assert longer.same_music.tolist() == [0, 0, 0, 3]
    third = Pieces(
        tuple("xyw"), begins[:3], np.array([10.0, 10, 60]), "aaa", np.array([0.0, 50, 5])
    )
    assert third.same_music.tolist() == [0, 0, 0]
