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
    """Results of a few columns, with a difference that is the lowest of its flips."""
    row = {"path": "encodec", "metric": "stoi", "low": 0.2, "high": 0.3, "n": 14, "n_failed": 0}
    values = dict.fromkeys(numbers.YARDSTICKS, 0.5) | {"brain": 0.2437, "codec": 0.842}
    scores = [row | {"column": column, "value": value} for column, value in values.items()]
    every = dict.fromkeys([*numbers.METRICS, *numbers.OF_SOUND])
    scores = [one | {"metric": metric} for one in scores for metric in every]
    scores = pd.DataFrame(scores + [one | {"path": "mel", "value": 0.6} for one in scores])
    failed = (scores["metric"] == "f0_error_cents") & (scores["column"] == "brain")
    scores.loc[failed, ["n", "n_failed"]] = 1, 13
    save_table(scores, folder / "scores.tsv")
    paired = row | {"baseline": "brain_shuffled", "difference": -0.01, "p": 1 / 4097}
    save_table(pd.DataFrame([paired | {"n_flips": 4096}]), folder / "differences/encodec.tsv")
    record = {"git_commit": commit, "finished": "2026-01-02T03:04:05Z"}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def test_the_tables_have_values_intervals_p_and_the_commit(tmp_path):
    text = numbers.parts(results(tmp_path, 40 * "a"))["notes/results.md"]
    assert f"commit `{10 * 'a'}`, run on 2026-01-02" in text
    cells = "0.842 [0.200, 0.300] | 0.500 [0.200, 0.300] | 0.244 [0.200, 0.300]"
    assert f"| STOI | {cells} |  |  |" in text
    assert "| PESQ (wide band) | 0.84 [0.20, 0.30] | 0.50 [0.20, 0.30] |  |  |  |" in text
    of_mel = text.partition("| mel | codec |")[2]
    assert "| STOI | 0.600 [0.200, 0.300] |" in of_mel
    assert "| Code accuracy |" not in of_mel
    assert "| shuffled | STOI | −0.010 [0.200, 0.300] | ≤ 0.0002 | 14 |" in text


def test_a_yardstick_says_how_many_segments_have_a_score(tmp_path):
    text = numbers.parts(results(tmp_path, 40 * "a"))["notes/evaluation.md"]
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    assert [row[0] for row in rows] == [f"| `{column}`" for column in numbers.YARDSTICKS]
    assert rows[-1][1:5] == ["0.24", "0.244", "0.2", "0 (n 1)"]


def test_the_picture_has_its_commit(tmp_path):
    text = numbers.parts(results(tmp_path, 40 * "a"))["README.md"]
    assert f"(notes/report.webp)\n\nThe page of commit `{10 * 'a'}`" in text


def test_results_without_a_commit_need_one(tmp_path):
    folder = results(tmp_path, "none: not run from a checkout")
    with pytest.raises(SystemExit, match="give --commit"):
        numbers.parts(folder)
    parts = numbers.parts(folder, "1234567890ab")
    assert all("commit `1234567890`" in part for part in parts.values())


def test_only_what_stands_between_the_comments_is_replaced():
    text = f"a\n{numbers.BEGIN}\nold\n{numbers.END}\nb"
    new = f"{numbers.BEGIN}\nnew\n{numbers.END}"
    assert numbers.replaced(text, new) == f"a\n{new}\nb"
    with pytest.raises(SystemExit, match="needs the lines"):
        numbers.replaced("a", new)


@pytest.mark.parametrize("page", ["notes/results.md", "notes/evaluation.md", "README.md"])
def test_the_manual_has_parts_of_one_commit(page):
    commits = []
    for one in ("notes/results.md", page):
        part = (ROOT / one).read_text().partition(numbers.BEGIN)[2].partition(numbers.END)[0]
        commits += re.findall(r"commit `([0-9a-f]{10})`", part)
    assert len(commits) == 2
    assert commits[0] == commits[1]
