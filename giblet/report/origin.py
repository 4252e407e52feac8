"""Where a report comes from: the code's commit, and times of rules."""

import subprocess
from pathlib import Path

import pandas as pd

from giblet.store import load_table


def git_commit(package: Path) -> str:
    """The commit of the checkout that holds ``package``, or that there is none.

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
    """Of Snakemake's benchmark files: ``rule seconds cpu_seconds megabytes``, by name.

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
