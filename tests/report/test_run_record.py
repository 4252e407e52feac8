"""What is written down of a run is what its files say."""

import pandas as pd
import pytest

from giblet.config.config import parse_config
from giblet.io.tables import load_json, save_table
from giblet.report.results import warnings_only_in
from giblet.report.run_record import write_record

CONFIG = parse_config({"dataset": "d"})


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
    write_record(results, logs, CONFIG, "failed")
    found = load_json(results / "run.json")
    assert found["rules"] == {
        "load_bold": {"seconds": 2.0, "cpu_seconds": 4.0, "peak_megabytes": None},
        "train_mel": {"seconds": 61.25, "cpu_seconds": 122.5, "peak_megabytes": 755.0},
    }
    sums = ("seconds", "cpu_seconds", "peak_megabytes")
    assert [found[name] for name in sums] == [63.25, 126.5, 755.0]
    assert found["warnings"] == {"too few TRs": ["train_encodec", "train_mel"]}
    assert (found["outcome"], found["config"]) == ("failed", CONFIG.model_dump(mode="json"))
    assert list(found) == sorted(found)


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
