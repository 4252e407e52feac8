"""Time left of a run of Snakemake's, from what its log tells."""

import logging
import re
from pathlib import Path

import pytest
from snakemake.logging import LogEvent

from giblet.commands.doctor import time_left
from giblet.commands.doctor.time_left import TimeLeft, rule_seconds
from giblet.config.config import Config, parse_config

RULES = Path(__file__).parents[3] / "workflow" / "rules"
SECONDS = {"train": 300.0, "reconstruct": 100.0}


@pytest.fixture
def run(monkeypatch, caplog):
    """A function that tells of an event at a moment (s), and gives what was said after it."""
    now = [0.0]
    monkeypatch.setattr(time_left.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time_left, "rule_seconds", lambda _config: SECONDS)
    caplog.set_level(logging.INFO)
    handler = TimeLeft(Config(), logging.getLogger("run"))

    def tell(moment, event, **facts):
        now[0] = moment
        caplog.clear()
        handler.emit(logging.makeLogRecord({"event": event, **facts}))
        return [record.getMessage() for record in caplog.records]

    return tell


def test_a_run_at_a_third_of_the_pace_takes_three_times_as_long(run):
    run(0, LogEvent.RUN_INFO, stats={"train": 2, "reconstruct": 1, "lesion": 1, "total": 4})
    run(0, LogEvent.JOB_INFO, jobid=1, rule_name="train")
    run(900, LogEvent.JOB_FINISHED, job_id=1)
    (said,) = run(900, LogEvent.PROGRESS, done=1, total=4)  # 400 of 700 s are estimated to be left
    assert said == "about 19 min left, lesion not counted"  # near 20: 30 s at the doctor's pace
    run(900, LogEvent.JOB_INFO, jobid=2, rule_name="train")
    (said,) = run(1350, LogEvent.PROGRESS, done=1, total=4)
    assert (
        said == "about 4 min left, lesion not counted"
    )  # a job that runs counts as far as its estimate goes
    run(1800, LogEvent.JOB_FINISHED, job_id=2)
    run(1800, LogEvent.JOB_INFO, jobid=3, rule_name="reconstruct")
    run(2100, LogEvent.JOB_FINISHED, job_id=3)
    assert run(2100, LogEvent.PROGRESS, done=3, total=4) == []  # of lesion there is no telling


def test_every_estimate_is_of_a_rule_that_there_is():
    rules = {
        name
        for file in RULES.glob("*.smk")
        for name in re.findall(r"^\s*rule (\w+)", file.read_text(), re.M)
    }
    assert set(rule_seconds(Config())) < rules


def test_of_a_film_that_is_missing_nothing_is_estimated(tmp_path):
    assert rule_seconds(parse_config({"film": str(tmp_path / "none.mp4"), "bold": "none"})) == {}
