"""What the benchmarks make of measured times: timelines, ratios of two runs, exponents."""

import os
import sys
from math import nan
from pathlib import Path

import pytest

from giblet.errors import GibletError

HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


@pytest.fixture(scope="module")
def benchmarks():
    folder = str(Path(__file__).parents[1] / "benchmarks")
    sys.path.insert(0, folder)
    yield
    sys.path.remove(folder)


@pytest.fixture(scope="module")
def job_times(benchmarks):
    import job_times

    return job_times


def record(results, name, begin, seconds, busy):
    file = results / "times" / f"{name}.tsv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{HEAD}{seconds}\t0:00:01\t100.0\t1\t1\t1\t0\t0\t0\t{busy}\n")
    os.utime(file, (begin + seconds, begin + seconds))


def test_two_jobs_of_which_one_waits_for_the_other(job_times, tmp_path):
    record(tmp_path, "train", 1_000_040, 60, 90)
    record(tmp_path, "extract", 1_000_000, 40, 30)
    record(tmp_path, "short", 1_000_000, 10, "NA")
    jobs = job_times.read_jobs(tmp_path)
    assert [job.name for job in jobs][-1] == "train"
    assert job_times.busy_processors(jobs) == pytest.approx(130 / 100)
    assert job_times.alone_seconds(jobs) == pytest.approx(90)
    *rows, last = job_times.timeline(jobs)
    assert rows[-1].endswith(" " * 24 + "#" * 36)
    assert last.startswith("1.30 processors busy on average over 100 s; one job ran alone for 90 s")


def test_ratios_of_jobs_and_of_those_that_both_have(job_times, tmp_path):
    for run, factor in (("before", 1.0), ("after", 0.5)):
        record(tmp_path / run, "train", 1_000_000, 10, 100 * factor)
        record(tmp_path / run, "report", 1_000_010, 10, 20)
    record(tmp_path / "after", "new", 1_000_020, 10, 5)
    lines = job_times.ratios(*(job_times.read_jobs(tmp_path / run) for run in ("before", "after")))
    ratio = {line[:26].strip(): line.split()[-1] for line in lines[1:]}
    assert ratio == {"train": "0.50", "report": "1.00", "new": "nan", "all jobs of both": "0.58"}


def test_no_records_is_one_line(job_times, tmp_path):
    with pytest.raises(GibletError, match="no record of a job; run the workflow first"):
        job_times.read_jobs(tmp_path)


def test_the_figure_of_growth_has_the_exponents_of_what_grows(benchmarks, tmp_path):
    from scaling import Cost, growth_of
    from scaling_figure import draw

    base = {"trs": 320, "subjects": 4}
    costs = {"base": 40.0, ("trs", 0.5): 20.0, ("trs", 4): 160.0}
    costs |= {("subjects", 0.5): 10.0, ("subjects", 4): 640.0}
    found = {
        key: {"train": Cost(1, busy, 1), "whole job": Cost(1, 2 * busy, 1), "new": Cost(1, nan, 1)}
        for key, busy in costs.items()
    }
    measured = growth_of(found, base, ["trs", "subjects"])
    assert measured["trs"] == {
        n: {"train": busy, "whole job": 2 * busy} for n, busy in ((160, 20), (320, 40), (1280, 160))
    }
    draw(measured, 1.5, tmp_path / "growth.svg")
    drawn = (tmp_path / "growth.svg").read_text()
    assert "train: 1.00" in drawn
    assert "whole job: 2.00" in drawn
    assert "hours of film" in drawn
