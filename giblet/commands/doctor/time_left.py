"""Time left of a Snakemake run, estimated again after each of its steps."""

import logging
import time
from collections import Counter

from snakemake.logging import LogEvent

from giblet.commands.doctor.estimates import clock, main_job_needs, report_needs
from giblet.config.config import Config

_TRUST = 30.0  # s of estimates done, by which the pace so far weighs as much as the estimates


def seconds_left(planned: float, done: float, elapsed: float) -> float:
    """Time left, s, when of ``planned`` estimated seconds so many are ``done`` after ``elapsed``.

    The pace is that of the run so far, and at first that of the estimates, one after the other.

    >>> seconds_left(600, 0, 0), seconds_left(600, 300, 330)
    (600.0, 327.3)
    """
    pace = (elapsed + _TRUST) / (done + _TRUST)
    return round((planned - done) * pace, 1)


class TimeLeft(logging.Handler):
    """Listens to Snakemake's log, and adds to it how much time is left.

    Steps that the doctor has no estimate of (``lesion``, for instance) are named as not counted;
    nothing is logged where the film and scans of the config cannot be measured.
    """

    def __init__(self, config: Config, log: logging.Logger, extra: dict | None = None):
        super().__init__()
        self._config, self._log, self._extra = config, log, extra
        self._seconds: dict[str, float] = {}
        self._planned, self._done = Counter(), Counter()
        self._begin, self._running = time.monotonic(), {}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep count of what Snakemake plans, begins and finishes; log after its progress."""
        match getattr(record, "event", None):
            case LogEvent.RUN_INFO:
                self._plan(record.stats)
            case LogEvent.JOB_INFO:
                self._running[record.jobid] = record.rule_name, time.monotonic()
            case LogEvent.JOB_FINISHED:
                rule, _since = self._running.pop(record.job_id, (None, None))
                self._done[rule] += 1
            case LogEvent.PROGRESS if left := self._left():
                self._log.info(left, extra=self._extra)

    def _plan(self, stats: dict[str, int]) -> None:
        self._planned = Counter({rule: n for rule, n in stats.items() if rule != "total"})
        self._seconds, self._begin = rule_seconds(self._config), time.monotonic()

    def _left(self) -> str | None:
        rest = self._planned - self._done
        estimated = {rule: n for rule, n in rest.items() if rule in self._seconds}
        if not estimated:
            return None
        now = time.monotonic()
        begun = self._running.values()
        done = sum(min(self._seconds.get(rule, 0.0), now - since) for rule, since in begun)
        left = seconds_left(
            self._sum(self._planned), done + self._sum(self._done), now - self._begin
        )
        unknown = ", ".join(sorted(set(rest) - set(estimated)))
        return f"about {clock(left)} left" + (f", {unknown} not counted" if unknown else "")

    def _sum(self, jobs: Counter) -> float:
        """Estimated s of so many jobs of each rule."""
        return sum(self._seconds.get(rule, 0.0) * n for rule, n in jobs.items())


def rule_seconds(config: Config) -> dict[str, float]:
    """Rule → s of one job, the mean over its wildcards; empty if nothing can be measured."""
    from giblet.commands.doctor.data_sizes import measure

    try:
        sizes, _found, _problems = measure(config)
    except OSError:  # the rule that reads it says why
        return {}
    if sizes is None:
        return {}
    seconds = {"reconstruct_audio": [1.0]}  # joins tables
    for need in [*main_job_needs(sizes, config), *report_needs(sizes, config)]:
        seconds.setdefault(need.rule, []).append(need.seconds)
    return {rule: sum(times) / len(times) for rule, times in seconds.items()}
