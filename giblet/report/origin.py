"""Where a report comes from: the code's commit, times of rules, a text for a methods section."""

import subprocess
from collections.abc import Mapping
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
        | {new: pd.to_numeric(table[old].iloc[0], "coerce") for old, new in columns.items()}
        for rule, table in tables.items()
        if len(table)  # none where the job was killed
    ]
    return pd.DataFrame(rows, columns=["rule", *columns.values()])


def methods_text(facts: Mapping) -> str:
    """A paragraph to paste in a methods section, with what ``facts`` know."""
    if facts["film"] is None:
        return _methods_of_scans(facts)
    parts = facts.get("parts", {})
    n_trs = ", ".join(f"{n} {name}" for name, n in parts.items())
    sentences = [
        f"The sound of the film {facts['film']} was reconstructed with {_giblet(facts)}.",
        f"Sound was coded by the {facts['codec']} codec (revision "
        f"{facts.get('codec_revision', '–')}) at {facts['bandwidth_kbps']:g} kbit/s and, for "
        "comparison, as mel spectrograms that Griffin-Lim turned back into sound.",
        f"An autoencoder of {_joined(facts.get('modalities', ['sound']))} was trained on TRs of "
        f"{facts['t_r']:g} s "
        f"({n_trs or '–'}; seed {facts.get('seed', '–')}), and scored on test TRs alone.",
        _scans(facts),
        "Scores are means over segments of up to 8 s, with 95 % percentile bootstrap intervals and "
        "sign-flip tests of paired differences between paths where there are several.",
    ]
    return " ".join(sentences)


def _giblet(facts: Mapping) -> str:
    version = facts.get("versions", {}).get("giblet", "")
    return f"giblet {version} (commit {facts.get('git_commit', '–')})"


def _methods_of_scans(facts: Mapping) -> str:
    """Of scans without a film."""
    names = facts.get("modalities", [])
    ridge = f"; ridge regression from {_joined(names)} on held-out TRs" if names else ""
    sentences = [
        f"Scans of {len(facts.get('subjects', []))} subjects (TR {facts['t_r']:g} s, "
        f"{facts.get('n_trs', '–')} TRs that all have) were described with {_giblet(facts)}: "
        "leave-one-out inter-subject correlation with phase-randomised nulls, and its noise "
        f"ceiling{ridge}.",
        "No film was given: no sound was coded or decoded.",
    ]
    return " ".join(sentences)


def _joined(names: list[str]) -> str:
    """
    >>> _joined(["sound"]), _joined(["sound", "pictures", "words"])
    ('sound', 'sound, pictures and words')
    """
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _scans(facts: Mapping) -> str:
    if not facts["has_bold"]:
        return "No scans were used."
    n = len(facts.get("subjects", []))
    if facts["simulated"]:
        return f"BOLD of {n} subjects was SIMULATED from the film, not measured."
    return f"BOLD of {n} subjects was read out by ridge regression beside shuffled-BOLD nulls."
