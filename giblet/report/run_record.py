"""The record of a run: versions, settings, times and warnings of a data set's results."""

import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from giblet.config.config import Config
from giblet.errors import GibletError
from giblet.io.arrays import open_arrays
from giblet.io.schema import SCANS
from giblet.io.tables import load_table, save_json
from giblet.log import messages

_PACKAGE = Path(__file__).parents[1]
PACKAGES = ("giblet", "torch", "transformers", "nilearn", "himalaya", "snakemake")


def write_record(
    results: Path, logs: Path, config: Config, outcome: str, command: str = ""
) -> None:
    """``run.json`` in ``results``, as `record` has it; nothing where no rule has made a result.

    Where it cannot be made, one line on standard error says so: the results are what counts.
    """
    try:
        if (results / "times").is_dir():
            found = record(results, logs, config, outcome, command)
            save_json(found, results / "run.json")
    except (OSError, GibletError) as error:
        print(f"run.json could not be written: {error}", file=sys.stderr)


def record(results: Path, logs: Path, config: Config, outcome: str, command: str = "") -> dict:
    """The content of ``run.json``.

    Keys, in order: ``brains`` (`brains_of`), ``command`` (as given), ``config``, ``cpu_seconds``
    and ``seconds`` (sums over rules), ``dataset``, ``finished`` (UTC), ``git_commit``, ``outcome``
    (as given), ``peak_megabytes`` (the largest of a rule), ``rules`` (name → ``cpu_seconds``,
    ``peak_megabytes``, ``seconds`` of when it last ran), ``versions``, ``warnings`` (text → names
    of rules). What was not measured is null.
    """
    facts = _times(results / "times") | {"warnings": warnings_by_rules(logs)}
    facts |= {"dataset": config.dataset, "outcome": outcome, "finished": _now()}
    facts |= {"brains": brains_of(results, config), "command": command}
    facts |= {"config": config.model_dump(mode="json"), "versions": versions()}
    return facts | {"git_commit": git_commit()}


def brains_of(results: Path, config: Config) -> str | None:
    """``none``, ``simulated``, ``noise`` (``scan.null``) or ``measured``; None where no scan has
    been read yet that would tell."""
    if config.bold_source == "none":
        return "none"
    if config.scan.null:
        return "noise"
    if config.bold_source == "simulated":
        return "simulated"
    if not (scans := results / "bold.nc").is_file():
        return None
    with open_arrays(scans, *SCANS) as arrays:
        return "simulated" if "SIMULATED" in arrays.attrs["source"] else "measured"


def versions() -> dict[str, str]:
    """Versions of giblet and of the libraries on which results depend."""
    return {name: version(name) for name in PACKAGES}


def warnings_by_rules(logs: Path) -> dict[str, list[str]]:
    """Warning → the rules that gave it when they last ran, by the logs in a folder."""
    rules: dict[str, list[str]] = {}
    for log in sorted(logs.glob("*.log")):
        for warning in messages(log.read_text("utf8", "replace"), "WARNING"):
            rules.setdefault(warning, []).append(log.stem)
    return rules


def mistakes_since(begin: float, logs: Path) -> list[str]:
    """Errors of rules whose logs were written after ``begin`` (s since 1970), each once.

    Two rules may fail for the same reason: ``giblet VERB: ...`` is then the one that failed first.
    """
    changed = sorted((log.stat().st_mtime, log) for log in logs.rglob("*.log"))
    texts = [log.read_text("utf8", "replace") for when, log in changed if when >= begin]
    errors: dict[str, str] = {}
    for line in (line for text in texts for line in messages(text, "ERROR")):
        errors.setdefault(line.partition(": ")[2], line)
    return list(errors.values())


def _times(folder: Path) -> dict:
    table = rule_times(folder).set_index("rule").rename(columns={"megabytes": "peak_megabytes"})
    table = table.astype(float).astype(object).where(table.notna(), None)
    measured = {name: [v for v in table[name] if v is not None] for name in table}
    sums = {name: round(sum(measured[name]), 2) for name in ("seconds", "cpu_seconds")}
    peak = max(measured["peak_megabytes"], default=None)
    return {"rules": table.to_dict("index"), "peak_megabytes": peak} | sums


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def git_commit(package: Path = _PACKAGE) -> str:
    """The commit of the checkout with giblet's folder ``package``, or a text that there is none.

    >>> git_commit(Path("/nowhere/giblet"))
    'none: not run from a checkout'
    """
    top = _git(package, "rev-parse", "--show-toplevel")
    if not top or Path(top).resolve() != package.parent.resolve():
        return "none: not run from a checkout"
    changed = _git(package, "status", "--porcelain", "--", str(package))
    return _git(package, "rev-parse", "HEAD") + (", with changes since" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    try:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def rule_times(folder: Path) -> pd.DataFrame:
    """Snakemake's benchmark files as a table, ``rule seconds cpu_seconds megabytes``, by name.

    A rule that is still running has no file of this run.
    """
    tables = {file.stem: load_table(file) for file in sorted(folder.glob("*.tsv"))}
    columns = {"s": "seconds", "cpu_time": "cpu_seconds", "max_rss": "megabytes"}
    rows = [
        {"rule": rule}
        | {
            new: pd.to_numeric(table[old].iloc[0], "coerce")
            for old, new in columns.items()
            if old in table
        }
        for rule, table in tables.items()
        if len(table)  # none where the job was killed
    ]
    return pd.DataFrame(rows, columns=["rule", *columns.values()])
