"""The clock of a config's scans: whether they and the film fit together."""

from giblet.config.config import Config


def clock_warnings(runs: list, config: Config, film_seconds: float | None) -> list[str]:
    """Warnings of how the volumes of ``runs`` (`giblet.brain.runs.BoldRun`) match the film's TRs.

    ``film_seconds`` is the film's length, None where it is not known. Raises GibletError as
    `giblet.alignment.sync.match_scans`, which the run itself calls.
    """
    from giblet.alignment.sync import check_runs, move_runs
    from giblet.timing import trs_for, whole_trs

    runs = move_runs(runs, config.scan.lag_seconds)
    scanned = max(float(run.film_time.max()) for run in runs) + config.t_r
    n_trs = whole_trs(film_seconds, config.t_r) if film_seconds else trs_for(scanned, config.t_r)
    return check_runs(runs, config.t_r, max(1, min(n_trs, config.max_trs or n_trs)))
