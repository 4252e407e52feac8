"""``benchmarks/demo_numbers.py``: the demo's tables in the manual, with their commit."""

import importlib.util
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from giblet.io.tables import save_table

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("numbers", ROOT / "benchmarks/demo_numbers.py")
numbers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(numbers)


def results(folder, commit):
    """Results of one metric, with a difference that is the lowest of its flips."""
    row = {"path": "encodec", "metric": "stoi", "low": 0.2, "high": 0.3, "n": 14}
    scores = [row | {"column": "brain", "value": 0.2437}, row | {"column": "codec", "value": 0.842}]
    scores += [one | {"metric": "pesq_wb"} for one in scores]
    save_table(pd.DataFrame(scores), folder / "scores.tsv")
    paired = row | {"baseline": "brain_shuffled", "difference": -0.01, "p": 1 / 4097}
    save_table(pd.DataFrame([paired | {"n_flips": 4096}]), folder / "differences/encodec.tsv")
    record = {"git_commit": commit, "finished": "2026-01-02T03:04:05Z"}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def test_the_tables_have_values_intervals_p_and_the_commit(tmp_path):
    text = numbers.section(results(tmp_path, 40 * "a"))
    assert f"commit `{10 * 'a'}`, run on 2026-01-02" in text
    assert "| STOI | 0.842 [0.200, 0.300] |  | 0.244 [0.200, 0.300] |  |  |" in text
    assert "| PESQ (wide band) | 0.84 [0.20, 0.30] |  |  |  |  |" in text
    assert "| shuffled | STOI | −0.010 [0.200, 0.300] | ≤ 0.0002 | 14 |" in text


def test_results_without_a_commit_need_one(tmp_path):
    folder = results(tmp_path, "none: not run from a checkout")
    with pytest.raises(SystemExit, match="give --commit"):
        numbers.section(folder)
    assert "commit `1234567890`" in numbers.section(folder, "1234567890ab")


def test_only_what_stands_between_the_comments_is_replaced():
    text = f"a\n{numbers.BEGIN}\nold\n{numbers.END}\nb"
    new = f"{numbers.BEGIN}\nnew\n{numbers.END}"
    assert numbers.replaced(text, new) == f"a\n{new}\nb"
    with pytest.raises(SystemExit, match="needs the lines"):
        numbers.replaced("a", new)


def test_the_manual_has_the_tables_of_a_commit():
    part = (ROOT / "notes/results.md").read_text().partition(numbers.BEGIN)[2]
    part = part.partition(numbers.END)[0]
    assert re.search(r"commit `[0-9a-f]{7,10}`", part)
    assert part.count("\n| ") > len(numbers.METRICS)
