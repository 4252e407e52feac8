"""The faults that ``benchmarks/mutants.py`` puts into the code still fit the code."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def test_every_fault_names_one_place_and_tests_that_exist():
    groups = yaml.safe_load((ROOT / "benchmarks" / "mutants.yaml").read_text())
    entries = [entry for group in groups.values() for entry in group]
    stale = [
        (entry["file"], text)
        for entry in entries
        for text, _faulty in entry["faults"]
        if (ROOT / entry["file"]).read_text().count(text) != 1
    ]
    assert not stale, "rewrite these for the present code"
    assert all((ROOT / test).is_file() for entry in entries for test in entry["tests"])
    assert sum(len(entry["faults"]) for entry in entries) >= 119
