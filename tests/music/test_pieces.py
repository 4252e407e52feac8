"""Several scores of one film: where each piece lies, its features, clips and nulls."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from tiny_pipeline import ask, planned, random_piece

from giblet.alignment.dataset import FilmData
from giblet.commands.cli import main
from giblet.commands.doctor.scan_checks import _pieces
from giblet.commands.held_out_music import film_pieces
from giblet.config.config import parse_config
from giblet.errors import GibletError
from giblet.evaluation.held_out_score import HeldOutScore
from giblet.evaluation.piece_scores import piece_rows, piece_table
from giblet.evaluation.score_reconstruction import other_passages, score_columns_table
from giblet.io.arrays import load_arrays
from giblet.io.tables import load_table
from giblet.log import warnings_of
from giblet.music.midi import read_midi, write_midi
from giblet.music.ngrams import NgramModel
from giblet.music.notes import Notes
from giblet.music.pieces import Pieces, read_pieces
from giblet.music.score_features import Listening, note_features
from giblet.music.score_trs import score_on_trs
from giblet.music.stimulus_scores import (
    early_ends,
    excerpt,
    join_scores,
    pieces_on_trs,
    scores_apart,
)
from giblet.music.synth import synthesize
from giblet.report.score import piece_table as page_table

T_R, RATE = 1.5, 16000
BEGINS, DELAYS, SECONDS = (1.0, 34.73, 67.0), (0.0, 0.0, 0.2), 30
TABLE = "file\tonset\na.mid\t1.0\nb.mid\t34.73\nc.mid\t67.0\n"


def listen(notes):
    return Listening(notes, ngrams=NgramModel())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three pieces in one film of 99 s; the third one sounds 200 ms late."""
    folder = tmp_path_factory.mktemp("pieces")
    film = np.zeros(99 * RATE, np.float32)
    for k, name in enumerate("abc"):
        notes = random_piece(SECONDS, k)
        write_midi(notes, folder / f"{name}.mid")
        first, sound = round((BEGINS[k] + DELAYS[k]) * RATE), synthesize(notes, RATE)
        sound = sound[: len(film) - first]
        film[first : first + len(sound)] += sound
    soundfile.write(folder / "film.wav", film, RATE)
    (folder / "pieces.tsv").write_text(TABLE)
    return folder


def verb(folder, name, settings=(), **paths):
    words = [w for option, file in paths.items() for w in (f"--{option}", str(folder / file))]
    settings = {"t_r": T_R, "music": {"model": "none"}} | dict(settings)
    return main([name, *words, "--settings", json.dumps(settings)])


def read(folder, table="pieces.tsv", **settings):
    return verb(folder, "read_score", settings, film="film.wav", score=table, notes="score.nc")


def test_notes_lie_where_the_table_says(folder):
    pieces = read_pieces(folder / "pieces.tsv")
    notes, alone = join_scores(pieces), [read_midi(folder / f"{name}.mid") for name in "abc"]
    expected = np.sort(np.concatenate([p.onset + b for p, b in zip(alone, BEGINS, strict=True)]))
    np.testing.assert_allclose(notes.onset, expected)
    later = join_scores(read_pieces(folder / "pieces.tsv", offset=0.25))
    np.testing.assert_allclose(later.onset, expected + 0.25)
    (folder / "own.csv").write_text(
        "file,name,onset,duration,score_offset\nb.mid,late,40,5,-2\na.mid,first,,,0.5\n"
    )
    two = read_pieces(folder / "own.csv")
    assert two.names == ("first", "late")
    assert two.durations.tolist() == [40, 5]
    first, late = scores_apart(join_scores(two), two).values()
    np.testing.assert_allclose(first.onset, alone[0].onset + 0.5)
    begun = alone[1].onset[(alone[1].onset >= 2) & (alone[1].onset < 7)]
    np.testing.assert_allclose(late.onset[late.onset > 1e-6], begun[begun > 2] - 2)
    assert late.end <= 5 + 1e-9


def test_copies_of_a_score_under_other_names_are_one_piece(folder):
    """Else the same notes would train and be tested."""
    write_midi(read_midi(folder / "a.mid"), folder / "copy.mid")
    (folder / "copies.tsv").write_text(TABLE.replace("c.mid", "copy.mid"))
    assert read(folder, "copies.tsv") == 0
    paths = {"score": "score.nc", "trs": "trs.nc", "notes": "notes.tsv"}
    assert verb(folder, "score_features", **paths) == 0
    for name in ("score.nc", "trs.nc"):
        pieces = Pieces.of_arrays(load_arrays(folder / name))
        assert film_pieces(pieces, 66, T_R).music.tolist() == [0, 1, 0]
    config = parse_config({"film": str(folder / "film.wav"), "score": str(folder / "copies.tsv")})
    assert _pieces(config, 66).music.tolist() == [0, 1, 0]


def test_a_score_that_ends_before_its_sound_is_warned_of(folder):
    """Half of piece a is not in its file; the other pieces end as they should."""
    pieces = read_pieces(folder / "pieces.tsv")
    assert early_ends(join_scores(pieces), 99.0, pieces) == []
    write_midi(excerpt(read_midi(folder / "a.mid"), 0, 14), folder / "half.mid")
    (folder / "half.tsv").write_text(TABLE.replace("a.mid", "half.mid"))
    assert read(folder, "half.tsv") == 0
    (line,) = (w for w in warnings_of(load_arrays(folder / "score.nc").attrs) if "end before" in w)
    assert line.startswith("score: those of 1 piece end before the sound: half (14 of 34 s);")
    assert read(folder, "half.mid") == 0
    (line,) = (w for w in warnings_of(load_arrays(folder / "score.nc").attrs) if "last note" in w)
    assert line.startswith("score: its last note ends at 14.0 s, the sound at 99.0 s; has it all")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file\tonset\na.mid\t0\ngone.mid\t30\n", "row 2: "),
        ("onset\n3\n", "every piece needs a score, in a column named file"),
        ("file\tonsets\na.mid\t0\n", "unknown column onsets, did you mean onset"),
        ("file\tonset\na.mid\tsoon\n", "row 1: onset is soon, not seconds"),
        ("file\tonset\na.mid\t-1\n", "row 1: onset is -1, not seconds"),
        ("file\tonset\na.mid\t0\na.mid\t40\n", "two pieces are named a"),
        ("file\na.mid\nb.mid\n", "two pieces at once: a and b"),
        ("file\tonset\tduration\na.mid\t0\t20\nb.mid\t19\t5\n", "two pieces at once: a and b"),
    ],
)
def test_mistakes_in_the_table_are_one_line(folder, capsys, table, message):
    (folder / "wrong.tsv").write_text(table)
    capsys.readouterr()
    assert read(folder, "wrong.tsv") == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert message in line.replace("; did you mean", ", did you mean")
    assert "wrong.tsv" in line
    with pytest.raises(GibletError):
        read_pieces(folder / "wrong.tsv")


def test_each_piece_is_heard_alone_in_its_own_trs(folder):
    """Features are the sum of those of each piece alone, whose states end with the next piece."""
    pieces = read_pieces(folder / "pieces.tsv")
    apart, n_trs = scores_apart(join_scores(pieces), pieces), 66
    arrays, table = pieces_on_trs(apart, pieces, T_R, n_trs, listen)
    means = table[[*note_features(listen(apart[0]))]].mean().to_dict()
    parts = [
        score_on_trs(listen(apart[k]), T_R, n_trs, BEGINS[k], means, end - BEGINS[k])
        for k, end in enumerate([*BEGINS[1:], np.inf])
    ]
    names = parts[0]["score_value"]
    together = sum(part["score_values"].sel(score_value=names) for part in parts)
    values = arrays["score_values"].sel(score_value=names)
    shared = 23  # b begins 0.2 s after it
    both = [np.delete(one, shared, 0) for one in (values, together)]
    np.testing.assert_allclose(*both, atol=1e-5)
    rate = values.sel(score_value="onset_rate").values
    onsets = np.concatenate([apart[k].onset + BEGINS[k] for k in range(3)])
    per_tr = np.bincount((onsets // T_R).astype(int), minlength=n_trs)
    np.testing.assert_allclose(rate, per_tr / T_R, rtol=1e-6)
    assert rate[shared] > 0
    counts = {name: len(apart[k]) for k, name in enumerate("abc")}
    assert table["piece"].value_counts().to_dict() == counts
    assert not (np.diff(table["onset"][table["piece"] == "b"]) < 0).any()


def test_states_end_when_the_next_piece_begins():
    notes = Notes(np.zeros(1), np.full(1, 4.0), np.array([60]), np.array([80]))
    options = (T_R, 2, 0.0, None)
    polyphony = score_on_trs(Listening(notes), *options, until=2.0)["score_values"]
    assert polyphony.sel(score_value="polyphony").values.tolist() == pytest.approx(
        [1, 1 / 3], abs=0.04
    )


def test_the_verbs_read_several_scores(folder, capsys):
    assert read(folder) == 0
    saved = load_arrays(folder / "score.nc")
    assert saved["piece"].values.tolist() == [*"abc"]
    assert saved.attrs["score_offset"] == 0
    assert saved.attrs["score_p"] < 0.05
    (line,) = [one for one in warnings_of(saved.attrs) if "another time" in one]
    assert float(line.split(": c ")[1].split(" ms")[0]) == pytest.approx(200, abs=10)
    assert "add it to score_offset in their rows" in line
    assert "tempo" not in str(warnings_of(saved.attrs))
    features = {"score": "score.nc", "trs": "trs.nc", "notes": "notes.tsv"}
    assert verb(folder, "score_features", **features) == 0
    assert set(load_table(folder / "notes.tsv")["piece"]) == {*"abc"}
    assert load_arrays(folder / "trs.nc").sizes["tr"] == 66
    (folder / "better.tsv").write_text(
        "file\tonset\tscore_offset\na.mid\t1\t\nb.mid\t34.73\t\nc.mid\t67\t0.2\n"
    )
    assert read(folder, "better.tsv") == 0
    assert not warnings_of(load_arrays(folder / "score.nc").attrs)


def test_a_score_of_another_piece_among_several_is_named(folder):
    write_midi(random_piece(SECONDS, 9), folder / "other.mid")
    (folder / "mixed.tsv").write_text(TABLE.replace("b.mid", "other.mid"))
    assert read(folder, "mixed.tsv") == 0
    (line,) = [
        one for one in warnings_of(load_arrays(folder / "score.nc").attrs) if "chance" in one
    ]
    assert "1 piece fit their sound no better than by chance: other" in line


def held_out(pieces, n_trs=60, test=range(36, 60)):
    part = np.full(n_trs, "train")
    part[list(test)] = "test"
    part[34:36] = "gap"
    data = FilmData({"x": torch.zeros(n_trs, 1)}, None, part, np.repeat("run-1", n_trs))
    notes = Notes.joined([random_piece(90, 3)])
    return HeldOutScore(notes, np.zeros(1), RATE, data, np.arange(n_trs), T_R, 4.5, pieces)


def pieces_at(*begins, scores):
    begins = np.array(begins, float)
    names = tuple(f"piece {k}" for k in range(len(begins)))
    until = np.append(begins[1:], np.inf) - begins
    return Pieces(names, begins, until, tuple(scores), np.zeros(len(begins)))


def test_no_clip_reaches_from_one_piece_into_another():
    """The test part is TRs 36 to 59; the third piece begins in TR 46."""
    held = held_out(pieces_at(0, 30, 69.5, scores="abc"))
    assert [one.tolist() for one in held.stretches] == [[*range(10)], [*range(10, 24)]]
    assert len(held.clips(Notes.joined([]))) == 3 + 4
    assert len(held_out(None).clips(Notes.joined([]))) == 8
    np.testing.assert_array_equal(held.passage("test").onset, held_out(None).passage("test").onset)


def test_clips_are_scored_piece_by_piece():
    """Seven clips, three of the second piece and four of the third; means are of each alone."""
    held = held_out(pieces_at(0, 30, 69.5, scores="abc"))
    assert held.clip_pieces == ["piece 1"] * 3 + ["piece 2"] * 4
    scores = np.random.default_rng(0).random((2, 7))
    moments = {("brain", "note_f1"): scores, ("brain", "onset_density_r"): scores}
    rows = piece_rows(moments, held.clip_pieces, seed=0)
    assert [(row["piece"], row["n"]) for row in rows] == [("piece 1", 3), ("piece 2", 4)]
    values = [row["value"] for row in rows]
    np.testing.assert_allclose(values, [scores[:, :3].mean(), scores[:, 3:].mean()])
    assert all(row["low"] < row["value"] < row["high"] for row in rows)
    assert piece_rows(moments, held_out(None).clip_pieces[:7], seed=0) == []
    table = score_columns_table("mel", [*rows, {"column": "score", "metric": "note_f1"}])
    assert table["column"].tolist() == ["score"]
    shown = page_table(piece_table("mel", rows).replace("brain", "score_brain"), simulated=True)
    assert shown.rows[0][0] == "piece 1: From BOLD (simulated)"
    assert shown.rows[0][1].startswith(f"{values[0]:.2f} [")
    assert [len(row) for row in shown.rows] == [len(shown.header)] * 3
    many = [row | {"piece": f"piece {n}"} for n in range(1000) for row in rows[:1]]
    shown = page_table(piece_table("mel", many).replace("brain", "score_brain"), simulated=True)
    assert [row[0].split(":")[0] for row in shown.rows[:-1]] == [f"piece {n}" for n in range(20)]
    assert shown.caption.endswith("The first 20; 980 more are in reconstruct_score/*/by_piece.tsv")


def test_the_null_is_of_other_pieces():
    """Pieces a and b train, c is held out in part: TRs 0 to 25 alone are of others."""
    held = held_out(pieces_at(0, 18, 39, scores="abc"))
    others = np.concatenate(held.other_stretches())
    assert others.tolist() == [*range(26)]
    again = held_out(pieces_at(0, 18, 39, scores="aca"))  # another excerpt of a
    assert np.concatenate(again.other_stretches()).tolist() == [*range(12, 26)]
    same = replace(pieces_at(0, 18, 39, scores="abc"), music=np.array([0, 1, 0]))
    again = held_out(same)  # another file with the notes of a
    assert np.concatenate(again.other_stretches()).tolist() == [*range(12, 26)]
    alone = held_out(pieces_at(0, scores="a"))
    assert np.concatenate(alone.other_stretches()).tolist() == [*range(34)]
    silent = replace(held, piece=held.piece.between(27, 90).moved(27))  # nothing in piece a
    assert np.concatenate(silent.other_stretches()).tolist() == [*range(12, 26)]
    source = held.passage_of(held.other_stretches())
    for passage in other_passages(held):
        assert set(passage.pitch.tolist()) <= set(source.pitch.tolist())
        assert passage.end <= 24 * T_R + 1e-9
    first = other_passages(held)[0]
    np.testing.assert_allclose(first.onset, held.piece.between(0, 36).onset)


def test_the_workflow_plans_a_table_of_scores(folder):
    settings = {"film": "film.wav", "score": "pieces.tsv", "music": {"model": "none"}}
    jobs = planned(folder, "score_features", **settings)
    assert jobs["read_score"] == 1
    (folder / "gone.tsv").write_text("file\tonset\nnowhere.mid\t0\n")
    done = ask(folder, "score_features", "--dry-run", **settings | {"score": "gone.tsv"})
    assert done.returncode
    assert "config: score: gone.tsv: row 1: " in done.stdout
