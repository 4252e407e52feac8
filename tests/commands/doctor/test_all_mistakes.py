"""The doctor lists every mistake that it can see in one call, and names what it could not check."""

import re
import shutil

import numpy as np
import pytest
import soundfile
import yaml

from giblet.brain.bids import read_runs
from giblet.brain.run_table import read_run_table
from giblet.commands.cli import main
from giblet.demo.bids_writer import simulate_bids
from giblet.errors import GibletError, Mistakes

RIGHT = {"film": "film.wav", "annotations": "none", "bold": "scans", "dataset": "x", "t_r": 1.25}
LATIN = "1\n00:00:01,000 --> 00:00:02,000\nÖffne die Tür\n".encode("latin-1")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three SIMULATED subjects, a film, and subtitles that are not UTF-8."""
    folder = tmp_path_factory.mktemp("study")
    features = [np.random.default_rng(0).standard_normal((600, n)) for n in (3, 4, 5)]
    options = {"n_subjects": 3, "n_runs": 1, "resolution_mm": 16, "stim_file": "film.wav"}
    simulate_bids(folder / "scans", *features, t_r=1.25, **options)
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 60 * 1000)
    soundfile.write(folder / "film.wav", noise, 1000)
    (folder / "words.srt").write_bytes(LATIN)
    return folder


@pytest.fixture
def study(made, tmp_path, monkeypatch):
    """A copy as the current folder."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ask(capsys, **changes):
    """Exit code; lines about what would stop a run, and about what was not checked."""
    with open("config.yaml", "w") as file:
        yaml.safe_dump(RIGHT | changes, file)
    code = main(["doctor", "--config", "config.yaml"])
    lines = capsys.readouterr().out.splitlines()
    stops = [line for line in lines if line.startswith("WOULD STOP: ")]
    return code, stops, [line for line in lines if line.startswith("not checked: ")]


def confounds_of(study, subject):
    return next(study.glob(f"scans/{subject}/func/*confounds_timeseries.tsv"))


def test_four_mistakes_are_four_lines(study, capsys):
    confounds_of(study, "sub-02").unlink()
    changes = {"film": "fillm.wav", "annotations": "words.srt"}
    code, stops, unchecked = ask(capsys, **changes, scan={"exclude_subjects": ["sub-031"]})
    assert code == 1
    wanted = [
        "fillm.wav: no such file; did you mean film.wav",
        "no sub-031; did you mean sub-0[13]",
        "sub-02_task-film_run-1_desc-confounds_timeseries.tsv: no such file",
        "words.srt: line 3 is not UTF-8",
    ]
    assert len(stops) == len(wanted)
    for line, pattern in zip(stops, wanted, strict=True):
        assert re.search(pattern, line)
    assert [line.rpartition(": needs ")[2] for line in unchecked] == ["scans", "film"]


def test_each_run_is_looked_at_and_the_same_mistake_is_one_line(study, capsys):
    for events in study.glob("scans/sub-0[12]/func/*_events.tsv"):
        events.unlink()
    _code, stops, _ = ask(capsys, scan={"confounds": ["trans_x", "hello"]})
    assert len(stops) == 2
    assert "no confound column hello (and in 2 more)" in stops[0]
    assert "sub-01_task-film_run-1_events.tsv: no such file" in stops[1]
    assert stops[1].endswith("(and in 1 more)")


@pytest.mark.parametrize(("n", "rest"), [(30, "20 more mistakes"), (11, "1 more mistake")])
def test_many_mistakes_do_not_flood(study, capsys, n, rest):
    names = [f"nobody{k}" for k in range(n)]
    code, stops, _ = ask(capsys, scan={"exclude_subjects": names})
    assert (code, len(stops)) == (1, 11)
    assert stops[-1] == f"WOULD STOP: {rest} in the scans"


def test_what_a_misspelt_key_has_nothing_to_do_with_is_checked(study, capsys):
    changes = {"bandwith_kbps": 6, "seed": "one", "annotations": "words.srt"}
    code, stops, unchecked = ask(capsys, **changes)
    assert code == 1
    assert any("config: unknown key bandwith_kbps" in line for line in stops)
    assert any("config: seed = 'one'" in line for line in stops)
    assert any("words.srt: line 3" in line for line in stops)
    assert unchecked == ["not checked: parts and estimates: needs bandwidth_kbps, seed"]


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"film": "none", "flim": "film.wav"}, "film"),
        ({"bold": "none", "bld": "scans"}, "bold"),
        ({"t_r": 1250}, "t_r"),
        ({"scan": {"spce": "x"}}, "scan"),
    ],
)
def test_no_mistake_is_made_up_where_a_key_is_wrong(study, capsys, changes, missing):
    """The default in its place would be another study: scans of another TR, no film."""
    _code, stops, unchecked = ask(capsys, **changes)
    assert len(stops) == 1
    assert any(line.endswith(f": needs {missing}") for line in unchecked)


def test_nothing_is_left_out_of_what_is_right(study, capsys):
    code, stops, unchecked = ask(capsys, splits={"gap_seconds": 3})
    assert (code, stops, unchecked) == (0, [], [])


def test_a_run_names_the_first_mistake_and_how_many_more(study):
    for subject in ("sub-01", "sub-03"):
        confounds_of(study, subject).unlink()
    with pytest.raises(Mistakes, match=r"sub-01_\S+: no such file.*and 1 more mistake") as caught:
        read_runs(study / "scans", None, ["trans_x"])
    assert len(caught.value.lines) == 2
    confounds_of(study, "sub-02").unlink()
    with pytest.raises(GibletError) as caught:
        read_runs(study / "scans", None, ["trans_x"], exclude=["sub-01", "sub-03"])
    assert not isinstance(caught.value, Mistakes)


def test_every_row_of_a_table_of_runs_is_looked_at(study):
    rows = "subject\tfile\tt_r\tfilm_onset\n1\tgone.tsv\t2\t0\n2\tgone_too.tsv\t2\t0\n"
    (study / "runs.tsv").write_text(rows)
    with pytest.raises(Mistakes) as caught:
        read_run_table(study / "runs.tsv", exclude=["3"])
    assert [re.search(r"no sub-3|gone\w*", line)[0] for line in caught.value.lines] == [
        "no sub-3",
        "gone",
        "gone_too",
    ]
