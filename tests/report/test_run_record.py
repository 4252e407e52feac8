"""What is written down of a run is what its files say."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr
from small_results import write_results

import giblet
from giblet.config.config import parse_config
from giblet.io.arrays import save_arrays
from giblet.io.tables import load_json, save_table
from giblet.report.results import warnings_only_in
from giblet.report.run_record import brains_of, write_record

CONFIG = parse_config({"dataset": "d"})
_NO_DATA = shutil.ignore_patterns("__pycache__", "bundled", "*.mp4")


@pytest.fixture
def folders(tmp_path):
    results, logs = tmp_path / "results", tmp_path / "logs"
    for rule, seconds, peak in [("train_mel", 61.25, 755.0), ("load_bold", 2.0, "-")]:
        row = {"s": [seconds], "max_rss": [peak], "cpu_time": [2 * seconds]}
        save_table(pd.DataFrame(row), results / "times" / f"{rule}.tsv")
    (results / "times" / "killed.tsv").write_text("s\tmax_rss\tcpu_time\n")
    logs.mkdir()
    prose, structured = "too few TRs", 'giblet.stats "too few TRs"'  # an older giblet's, and ours
    for rule, message in (("train_mel", prose), ("train_encodec", structured)):
        said = f"a table\n2026-01-02T03:04:05Z WARNING {message}\n" * 2
        (logs / f"{rule}.log").write_text(said)
    (logs / "load_bold.log").write_text('2026-01-02T03:04:05Z INFO giblet "load_bold begins"\n')
    return results, logs


def test_times_memory_and_warnings_of_each_rule(folders):
    results, logs = folders
    write_record(results, logs, CONFIG, "failed", "snakemake --cores 2 report")
    found = load_json(results / "run.json")
    assert found["rules"] == {
        "load_bold": {"seconds": 2.0, "cpu_seconds": 4.0, "peak_megabytes": None},
        "train_mel": {"seconds": 61.25, "cpu_seconds": 122.5, "peak_megabytes": 755.0},
    }
    sums = ("seconds", "cpu_seconds", "peak_megabytes")
    assert [found[name] for name in sums] == [63.25, 126.5, 755.0]
    assert found["warnings"] == {"too few TRs": ["train_encodec", "train_mel"]}
    assert (found["outcome"], found["config"]) == ("failed", CONFIG.model_dump(mode="json"))
    assert found["command"] == "snakemake --cores 2 report"
    assert list(found) == sorted(found)


@pytest.mark.parametrize(
    ("config", "source", "expected"),
    [
        ({"bold": "none"}, None, "none"),
        ({"bold": "simulated"}, None, "simulated"),
        ({"bold": "simulated", "scan": {"null": True}}, None, "noise"),
        ({"bold": "a/bids"}, None, None),
        ({"bold": "a/bids"}, "bids, giblet SIMULATED brains", "simulated"),
        ({"bold": "a/bids"}, "fmriprep, fMRIPrep", "measured"),
    ],
)
def test_a_program_can_read_whether_brains_are_simulated(tmp_path, config, source, expected):
    if source is not None:
        write_results(tmp_path)
        scans = xr.load_dataset(tmp_path / "bold.nc").assign_attrs(source=source)
        save_arrays(scans, tmp_path / "bold.nc")
    assert brains_of(tmp_path, parse_config({"dataset": "d"} | config)) == expected


def test_nothing_is_written_of_nothing_and_a_bad_place_is_one_line(folders, tmp_path, capsys):
    results, logs = folders
    write_record(tmp_path / "other", logs, CONFIG, "done")
    assert not (tmp_path / "other").exists()
    (results / "run.json").mkdir()
    write_record(results, logs, CONFIG, "done")
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("run.json could not be written: ")


def test_the_page_hears_of_warnings_that_no_file_holds(folders):
    said = ["train_encodec, train_mel: too few TRs"]
    assert warnings_only_in(folders[1], ["other"]) == said
    assert warnings_only_in(folders[1], ["too  few\nTRs"]) == []


def test_the_commit_is_that_of_the_checkout(tmp_path):
    """A copy of giblet in a repository of its own, asked in a process of its own."""
    checkout = tmp_path / "checkout"
    shutil.copytree(Path(giblet.__file__).parent, checkout / "giblet", ignore=_NO_DATA)

    def git(*arguments):
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
        asked = ["git", "-C", str(checkout), *who, *arguments]
        return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    git("add", "giblet/report/run_record.py")
    git("commit", "-qm", "one")
    asked = "from giblet.report.run_record import git_commit; print(git_commit())"
    environment = os.environ | {"PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}

    def commit():
        run = [sys.executable, "-c", asked]
        where = {"cwd": tmp_path, "env": environment}
        return subprocess.run(run, check=True, capture_output=True, text=True, **where).stdout

    assert commit().strip() == f"{git('rev-parse', 'HEAD')}, with changes since"
    git("add", "giblet")
    git("commit", "-qm", "all")
    assert commit().strip() == git("rev-parse", "HEAD")
