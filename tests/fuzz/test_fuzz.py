"""Damaged files of every kind: one clear line and nothing written, or a whole result.

Here every third case of some groups; ``GIBLET_FUZZ=all pytest -m '' tests/fuzz`` runs all groups
whole (some minutes).
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import fuzz_corpus
import pytest

EVERYTHING = os.environ.get("GIBLET_FUZZ") == "all"
GROUPS = [group.name for group in fuzz_corpus.groups()]
QUICK = ["films", "scans", "bids", "words"]
EVERY = 1 if EVERYTHING else 3


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What came of each case; every one had 10 s and 2 GB in a process of its own."""
    folder = tmp_path_factory.mktemp("fuzz")
    words = [str(folder / "work"), str(folder / "outcomes.json"), str(EVERY)]
    worker = Path(__file__).with_name("fuzz_worker.py")
    groups = GROUPS if EVERYTHING else QUICK
    subprocess.run([sys.executable, worker, *words, *groups], check=True, capture_output=True)
    return json.loads((folder / "outcomes.json").read_text())


def problem(outcome):
    """What is wrong with an outcome, or nothing."""
    lines = [line for line in outcome["said"].splitlines() if not line.startswith("WARNING: ")]
    if outcome["ended"] == 0:
        return ""  # the worker has read what was written
    if outcome["ended"] != 1:
        return f"ended with {outcome['ended']}: {lines[-1:]}"
    if outcome["left"]:
        return f"left {outcome['left']}"
    mistakes = [line for line in lines if line.startswith("giblet ")]
    told = len(mistakes) == 1 and lines[-1] == mistakes[0] and "Traceback" not in outcome["said"]
    return "" if told else f"said {lines}"


@pytest.mark.slow
def test_bad_input_is_one_clear_line_and_leaves_nothing(outcomes):
    bad = {f"{o['group']}, {o['case']}": problem(o) for o in outcomes}
    bad = {case: said for case, said in bad.items() if said}
    assert not bad, json.dumps(bad, indent=1, ensure_ascii=False)


@pytest.mark.slow
def test_the_corpus_is_large_and_mostly_refused(outcomes):
    ended = Counter(outcome["ended"] for outcome in outcomes)
    assert len(outcomes) >= 300
    assert ended[1] > len(outcomes) / 2
    assert ended[0] > 10


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ended": 98, "said": "Traceback\nKeyError: 'x'\n"}, "ended with 98"),
        ({"ended": -14}, "ended with -14"),
        ({"left": [".x.nc.12"]}, "left"),
        ({"said": "giblet a: b\nmore\n"}, "said"),
        ({"said": ""}, "said"),
        ({}, ""),
    ],
)
def test_what_is_no_clear_line_is_found(changed, said):
    outcome = {"ended": 1, "said": "WARNING: cut\ngiblet a: b\n", "left": []} | changed
    assert problem(outcome).startswith(said)
    assert bool(problem(outcome)) == bool(said)
