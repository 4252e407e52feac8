"""Scores of many stimuli: each is heard alone, on the film that they make together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from music.pieces import broken_chords
from tiny_pipeline import random_piece

from giblet.audio.stimuli import join_stimuli
from giblet.brain.stimulus_clock import StimulusClock
from giblet.commands.score import read_score, score_features
from giblet.config.config import parse_config
from giblet.errors import GibletError
from giblet.io.arrays import load_arrays
from giblet.io.tables import load_table, save_table
from giblet.log import warnings_of
from giblet.music import stimulus_scores
from giblet.music.midi import write_midi
from giblet.music.ngrams import NgramModel
from giblet.music.notes import Notes
from giblet.music.pieces import Pieces
from giblet.music.score_features import Listening, note_features
from giblet.music.score_trs import score_on_trs
from giblet.music.stimulus_scores import (
    excerpt,
    join_scores,
    pieces_on_trs,
    same_music,
    scores_apart,
)
from giblet.music.synth import SAMPLE_RATE, synthesize

T_R = 1.5


def listen(notes):
    return Listening(notes, ngrams=NgramModel())


@pytest.fixture
def clock(tmp_path):
    """Two pieces, a sound without one, the first piece again, and seconds 4 to 12 of it."""
    for name, seed in (("one", 1), ("two", 2)):
        write_midi(broken_chords(seed), tmp_path / f"{name}.mid")
    scores = [
        str(tmp_path / "one.mid"),
        str(tmp_path / "two.mid"),
        "",
        *[str(tmp_path / "one.mid")] * 2,
    ]
    names, durations = ["one", "two", "noise", "again", "part"], [16.0, 16.0, 5.0, 16.0, 8.0]
    starts = [0, 0, 0, 0, 4.0]
    return StimulusClock.lay_out(names, durations, T_R, names, starts, scores=scores)


def test_notes_are_at_the_times_of_the_film_of_all(clock):
    notes, one = join_scores(Pieces.of_clock(clock)), excerpt(broken_chords(1), 0.0, 16.0)
    apart = scores_apart(notes, Pieces.of_clock(clock))
    assert list(apart) == [0, 1, 3, 4]
    for k in (0, 3):
        np.testing.assert_allclose(apart[k].onset, one.onset, atol=2e-3)
        np.testing.assert_array_equal(apart[k].pitch, one.pitch)
        np.testing.assert_allclose(apart[k].beats.seconds, one.beats.seconds, atol=2e-3)
    part = excerpt(broken_chords(1), 4.0, 8.0)
    np.testing.assert_allclose(apart[4].onset, part.onset, atol=2e-3)
    assert len(notes) == sum(map(len, apart.values()))
    assert notes.warnings[-1] == "score: 1 of 5 stimuli have none"
    late = scores_apart(join_scores(Pieces.of_clock(clock, 0.5)), Pieces.of_clock(clock))
    np.testing.assert_allclose(late[0].onset[:5], one.onset[:5] + 0.5, atol=2e-3)


def test_each_score_has_its_own_offset_beside_that_of_all(clock):
    late = replace(clock, score_offsets=(0.25, 0.0, 0.0, -4.0, 0.25))
    pieces, first = Pieces.of_clock(late, 0.5), broken_chords(1).onset
    apart = scores_apart(join_scores(pieces), pieces)
    np.testing.assert_allclose(apart[0].onset[:5], first[:5] + 0.75, atol=2e-3)
    np.testing.assert_allclose(apart[1].onset[:5], broken_chords(2).onset[:5] + 0.5, atol=2e-3)
    begun = first[first + 0.5 - 4.0 >= 0]  # the file begins in the middle of its score
    np.testing.assert_allclose(
        apart[3].onset[apart[3].onset > 0][:5], begun[begun > 3.5][:5] - 3.5, atol=2e-3
    )
    np.testing.assert_allclose(
        apart[4].onset[apart[4].onset > 0][:5], first[first > 3.25][:5] - 3.25, atol=2e-3
    )


def test_no_piece_is_expected_or_remembered_in_another(clock):
    """Features are those of each piece alone; notes' values minus the mean of all notes."""
    apart = scores_apart(join_scores(Pieces.of_clock(clock)), Pieces.of_clock(clock))
    arrays, table = pieces_on_trs(apart, Pieces.of_clock(clock), T_R, clock.n_film_trs, listen)
    means = table[[*note_features(listen(apart[0]))]].mean().to_dict()
    for k, first in enumerate(clock.first_trs):
        own = arrays.isel(tr=slice(first, first + int(clock.n_trs[k])))
        if k not in apart:
            assert not own["score"].any()
            assert not own["score_values"].any()
            continue
        alone = score_on_trs(listen(apart[k]), T_R, int(clock.n_trs[k]), means=means)
        np.testing.assert_array_equal(own["score"], alone["score"])
        np.testing.assert_allclose(own["score_values"], alone["score_values"], atol=1e-5)
    assert table["stimulus"].value_counts().to_dict()["one"] == len(apart[0])
    own = arrays.isel(tr=slice(0, 10)).drop_vars("tr")
    again = arrays.isel(tr=slice(clock.first_trs[3], clock.first_trs[3] + 10)).drop_vars("tr")
    assert own.equals(again)


def test_pieces_of_one_score_or_of_the_same_notes_are_the_same_music(clock, tmp_path):
    pieces = Pieces.of_clock(clock)
    apart = scores_apart(join_scores(pieces), pieces)
    assert same_music(apart, pieces).tolist() == [0, 1, 2, 0, 0]
    write_midi(broken_chords(2).moved(0.7), tmp_path / "late.mid")  # another recording of two
    own = (str(tmp_path / "late.mid"), *pieces.scores[1:3], "", "")
    pieces = replace(pieces, scores=own, durations=pieces.durations + 1)
    apart = scores_apart(join_scores(pieces), pieces)
    assert same_music(apart, pieces).tolist() == [0, 0, 2, 3, 4]  # without a score: each its own
    for change in ({"onset": apart[1].onset * 1.02}, {"pitch": apart[1].pitch + 1}):
        assert same_music(apart | {1: replace(apart[1], **change)}, pieces)[1] == 1
    few = {
        k: Notes(*(column[:7] for column in (n.onset, n.duration, n.pitch, n.velocity)))
        for k, n in apart.items()
    }
    assert same_music(few, pieces).tolist() == [0, 1, 2, 3, 4]


def test_a_piece_without_beats_has_no_metre(clock):
    apart = scores_apart(join_scores(Pieces.of_clock(clock)), Pieces.of_clock(clock))
    one = apart[1]
    apart[1] = Notes(one.onset, one.duration, one.pitch, one.velocity)
    arrays, _ = pieces_on_trs(apart, Pieces.of_clock(clock), T_R, clock.n_film_trs, listen)
    metre = arrays.sel(score_value=arrays["score_space"] == "metre")["score_values"]
    first, second = clock.first_trs[:2]
    assert metre[first : first + 10].any()
    assert not metre[second : second + 10].any()


def test_scores_that_are_not_there_or_of_other_seconds_are_one_line(clock):
    with pytest.raises(GibletError, match="no stimulus has a score"):
        join_scores(Pieces.of_clock(StimulusClock.lay_out(["a"], [5.0], T_R)))
    with pytest.raises(GibletError, match="no note of any score lies within its stimulus"):
        join_scores(Pieces.of_clock(clock, 100.0))


def test_notes_after_the_end_of_a_stimulus_are_counted(clock):
    pieces = Pieces.of_clock(clock)
    assert not any("after the end" in line for line in join_scores(pieces).warnings)
    short = replace(pieces, durations=pieces.durations / 2)
    (line,) = (line for line in join_scores(short).warnings if "after the end" in line)
    score = join_scores(replace(pieces, durations=np.full(5, 99.0)))
    late = (score.onset >= pieces.begins[1] + 8) & (score.onset < pieces.begins[1] + 99)
    n_late = late[score.onset < pieces.begins[2]].sum()
    assert f"1 stimulus, and are left out: two ({n_late}" in line


def test_the_verbs_read_each_stimulus_score(tmp_path):
    """The sound is 180 ms late; the third piece has the score of another."""
    (tmp_path / "sounds").mkdir()
    for n in range(3):
        notes = random_piece(30, n)
        other = random_piece(30, 9) if n == 2 else notes
        write_midi(other, tmp_path / "sounds" / f"piece {n}.mid")
        sound = np.concatenate([np.zeros(round(0.18 * SAMPLE_RATE), np.float32), synthesize(notes)])
        soundfile.write(
            tmp_path / "sounds" / f"piece {n}.wav", sound[: 30 * SAMPLE_RATE], SAMPLE_RATE
        )
    config = parse_config(
        {"stimuli": str(tmp_path / "sounds"), "score": "auto", "music": {"model": "none"}}
    )
    sound, table = tmp_path / "all.wav", tmp_path / "all.tsv"
    save_table(join_stimuli(config.stimuli, sound, T_R).table(), table)
    read_score(sound, table, tmp_path / "score.nc", config)
    facts = load_arrays(tmp_path / "score.nc").attrs
    assert facts["score_lag_ms"] == pytest.approx(180, abs=15)
    assert "score: those of 1 stimulus fit their sound no better than by chance: piece 2" in str(
        facts["warnings"]
    )
    score_features(tmp_path / "score.nc", tmp_path / "trs.nc", tmp_path / "notes.tsv", config)
    trs, clock = load_arrays(tmp_path / "trs.nc"), StimulusClock.read(table, T_R)
    assert trs.sizes["tr"] == clock.n_film_trs
    assert trs["score"].values[clock.stimulus_of_trs() == 1].any()
    assert trs["stimulus_music"].values.tolist() == [0, 1, 2]
    assert set(load_table(tmp_path / "notes.tsv")["stimulus"]) == {"piece 0", "piece 1", "piece 2"}
    assert Path(clock.scores[0]).name == "piece 0.mid"


def test_scores_of_other_short_stimuli_are_named(tmp_path):
    """Twelve sounds of 8 s; two have each other's scores, one has that of no sound."""
    rng, whose = np.random.default_rng(0), {2: 7, 7: 2, 4: 12}
    onsets = [np.cumsum(rng.uniform(0.15, 0.9, 30)) for _ in range(13)]
    pieces = [
        Notes(one, np.full(30, 0.2), rng.integers(50, 80, 30), np.full(30, 80)) for one in onsets
    ]
    pieces = [excerpt(piece, 0.0, 7.5) for piece in pieces]
    for n in range(12):
        write_midi(pieces[whose.get(n, n)], tmp_path / f"{n:02}.mid")
        sound = np.pad(synthesize(pieces[n]), (round(0.18 * SAMPLE_RATE), 8 * SAMPLE_RATE))
        soundfile.write(tmp_path / f"{n:02}.wav", sound[: 8 * SAMPLE_RATE], SAMPLE_RATE)
    config = parse_config({"stimuli": str(tmp_path), "score": "auto"})
    sound, table = tmp_path / "made" / "all.wav", tmp_path / "made" / "all.tsv"
    sound.parent.mkdir()
    save_table(join_stimuli(config.stimuli, sound, T_R).table(), table)
    read_score(sound, table, tmp_path / "score.nc", config)
    saved = load_arrays(tmp_path / "score.nc")
    (line,) = [one for one in warnings_of(saved.attrs) if "other scores fit as well" in one]
    assert line.startswith("score: those of 3 stimuli fit")
    for named in ("02 (that of 07 fits)", "07", "04"):
        assert named in line
    assert "04 (" not in line
    assert np.flatnonzero(saved["stimulus_score_wrong"] > 0.95).tolist() == [2, 4, 7]
    assert saved["stimulus_score_r"].values[[0, 1, 3]].min() > 0.5


def test_the_lag_of_one_stimulus_is_named_and_its_row_corrects_it(tmp_path):
    """The sound of the second piece is 400 ms late."""
    for n, delay in enumerate((0.0, 0.4)):
        notes = random_piece(30, n)
        write_midi(notes, tmp_path / f"piece {n}.mid")
        sound = np.pad(synthesize(notes), (round(delay * SAMPLE_RATE), 0))
        soundfile.write(tmp_path / f"piece {n}.wav", sound[: 30 * SAMPLE_RATE], SAMPLE_RATE)
    warnings = {}
    for offset in (0.0, 0.4):
        table = tmp_path / "stimuli.csv"
        table.write_text(f"file,score_offset\npiece 0.wav,\npiece 1.wav,{offset}\n")
        config = parse_config({"stimuli": str(table), "score": "auto"})
        sound, clock = tmp_path / "all.wav", tmp_path / "all.tsv"
        save_table(join_stimuli(table, sound, T_R).table(), clock)
        read_score(sound, clock, tmp_path / "score.nc", config)
        warnings[offset] = str(load_arrays(tmp_path / "score.nc").attrs["warnings"])
    assert "add it to score_offset in their rows of the table" in warnings[0.0]
    assert "by another time than the rest: piece" in warnings[0.0]
    assert "score" not in warnings[0.4]


def test_a_thousand_scores_that_do_not_fit_are_a_few_lines(clock):
    """Of none of the names after the third is there a line of its own."""
    n, path = 1000, clock.scores[0]
    names = [f"clip {k}" for k in range(n)]
    offsets = [0.0, *[500.0] * (n - 1)]
    many = StimulusClock.lay_out(
        names, [5.0] * n, T_R, names, scores=[path] * n, score_offsets=offsets
    )
    lines = join_scores(Pieces.of_clock(many)).warnings
    assert len(lines) < 5
    (line,) = (line for line in lines if "no note lies within" in line)
    assert line == (
        "score: no note lies within 999 stimuli: clip 1 (one.mid), clip 2 (one.mid), "
        "clip 3 (one.mid) and 996 more"
    )


def test_no_piece_is_searched_among_the_notes_of_all(monkeypatch):
    """Oracle: each excerpt of all notes. A hundred pieces look at a few of their neighbours."""
    n, all_notes = 100, random_piece(100 * 8)
    pieces = Pieces.of_clock(
        StimulusClock.lay_out([str(k) for k in range(n)], [5.0] * n, T_R, scores=["a.mid"] * n)
    )
    ends = list(zip(pieces.begins.tolist(), pieces.durations.tolist(), strict=True))
    expected = [excerpt(all_notes, *one) for one in ends]
    looked = []

    def counted(notes, *ends):
        looked.append(len(notes))
        return excerpt(notes, *ends)

    monkeypatch.setattr(stimulus_scores, "excerpt", counted)
    apart = scores_apart(all_notes, pieces)
    assert sum(looked) < 2 * len(all_notes)
    for k, one in enumerate(expected):
        if not len(one):
            assert k not in apart
            continue
        np.testing.assert_array_equal(apart[k].onset, one.onset)
        np.testing.assert_array_equal(apart[k].duration, one.duration)
        np.testing.assert_array_equal(apart[k].pitch, one.pitch)
        np.testing.assert_array_equal(apart[k].beats.seconds, one.beats.seconds)
