"""Jobs of a run from its ``times/`` records: a timeline, busy processors, ratios of two runs.

    python benchmarks/job_times.py results/demo [results/other]

One folder: its timeline; a copy needs the files' times (``cp -a``). Two: processor seconds of each
job in both, and their ratio.
"""

import argparse
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from giblet.errors import GibletError
from giblet.io.tables import load_table

WIDTH = 60  # characters of a timeline


@dataclass(frozen=True)
class Job:
    """One job: when it began and ended (s since 1970), its processor seconds, its peak MB."""

    name: str
    begin: float
    end: float
    busy: float
    peak_mb: float


def read_jobs(results: Path) -> list[Job]:
    """Jobs in the order in which they began.

    Snakemake writes a record as its job ends: the file's time is the job's end.

    Raises
    ------
    GibletError
        No records: nothing was run, or with another layout.
    """
    jobs = []
    for file in (results / "times").glob("*.tsv"):
        record, end = load_table(file).iloc[0], file.stat().st_mtime
        seconds = float(record["s"])
        busy = _number(record["cpu_time"], seconds)
        jobs.append(Job(file.stem, end - seconds, end, busy, _number(record["max_rss"], math.nan)))
    if not jobs:
        raise GibletError(f"{results / 'times'}: no record of a job; run the workflow first")
    return sorted(jobs, key=lambda job: job.begin)


def _number(text: object, otherwise: float) -> float:
    """Snakemake writes NA or - where a job was too short to be looked at."""
    try:
        number = float(str(text))
    except ValueError:
        return otherwise
    return number if math.isfinite(number) else otherwise


def busy_processors(jobs: list[Job]) -> float:
    """Processors that were busy on average, from the first job's begin to the last one's end.

    >>> busy_processors([Job("a", 0, 10, 10, 1), Job("b", 0, 5, 5, 1)])
    1.5
    """
    span = max(job.end for job in jobs) - min(job.begin for job in jobs)
    return sum(job.busy for job in jobs) / span


def alone_seconds(jobs: list[Job]) -> float:
    """Seconds in which a single job ran.

    >>> alone_seconds([Job("a", 0, 10, 10, 1), Job("b", 4, 6, 2, 1)])
    8.0
    """
    moments = sorted({moment for job in jobs for moment in (job.begin, job.end)})
    return float(
        sum(
            end - begin
            for begin, end in pairwise(moments)
            if sum(job.begin < end and job.end > begin for job in jobs) == 1
        )
    )


def timeline(jobs: list[Job]) -> list[str]:
    """A line per job: when it ran, its seconds and processor seconds; then busy processors."""
    first, last = min(job.begin for job in jobs), max(job.end for job in jobs)
    scale, lines = WIDTH / (last - first), []
    for job in jobs:
        start, stop = round((job.begin - first) * scale), round((job.end - first) * scale)
        bar = " " * start + "#" * max(1, stop - start)
        numbers = f"{job.end - job.begin:>8.1f}{job.busy:>8.1f}{job.peak_mb:>9.0f}"
        lines.append(f"{job.name:<26}{numbers}  {bar}")
    busy, alone = busy_processors(jobs), alone_seconds(jobs)
    return [
        f"{'job':<26}{'s':>8}{'busy s':>8}{'peak MB':>9}",
        *lines,
        f"{busy:.2f} processors busy on average over {last - first:.0f} s; one job ran alone for "
        f"{alone:.0f} s",
    ]


def ratios(before: list[Job], after: list[Job]) -> list[str]:
    """A line per job of either run: processor seconds before and after, and after / before."""
    old, new = ({job.name: job.busy for job in jobs} for jobs in (before, after))
    rows = [(name, old.get(name, math.nan), new.get(name, math.nan)) for name in old | new]
    rows.append(
        ("all jobs of both", *(sum(run[n] for n in old.keys() & new) for run in (old, new)))
    )
    lines = [f"{'job':<26}{'before':>9}{'after':>9}{'ratio':>8}"]
    for name, one, other in rows:
        ratio = other / one if one else math.nan
        lines.append(f"{name:<26}{one:>9.1f}{other:>9.1f}{ratio:>8.2f}")
    return lines


def main() -> None:
    """Print a timeline, or ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="+", help="one or two folders of results")
    folders = parser.parse_args().results
    runs = [read_jobs(folder) for folder in folders[:2]]
    print(*(timeline(*runs) if len(runs) == 1 else ratios(*runs)), sep="\n")


if __name__ == "__main__":
    main()
