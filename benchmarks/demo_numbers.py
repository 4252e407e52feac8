"""Numbers and picture of the demo in the manual, from the results of one run.

    python benchmarks/demo_numbers.py results/demo [--commit COMMIT]

It writes tables into ``notes/results.md`` and ``notes/evaluation.md``, between two comments, with
the commit that made the results; ``notes/report.webp``, the first screen of the run's page, if
Chromium is installed; and the commit of that picture into ``README.md``. ``--commit`` names the
commit where ``run.json`` has none (results of an exported tree).
"""

import argparse
import base64
import io
import json
import sys
import tempfile
from pathlib import Path

import pandas as pd

from giblet.audio.metrics.table import metric_of
from giblet.io.tables import load_table
from giblet.report.compare import MEANINGLESS_FROM_BRAIN
from giblet.report.systems import question_of
from giblet.report.tables import number, p_text

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- demo_numbers.py: begin -->", "<!-- demo_numbers.py: end -->"
COLUMNS = {
    "codec": "codec",
    "stimulus": "stimulus",
    "brain": "brain",
    "brain_shuffled": "brain, shuffled",
    "nearest_clip": "nearest clip (retrieval)",
}
METRICS = ("pesq_wb", "stoi", "log_mel_db", "si_sdr_db", "code_accuracy", "cross_entropy_nats")
METRICS += ("identification_sound_10way", "identification_10way")
OF_MEL = ("pesq_wb", "stoi", "log_mel_db", "identification_sound_10way", "identification_10way")
OF_SOUND = ("pesq_wb", "stoi", "log_mel_db", "f0_error_cents", "hnr_error_db")
OF_SOUND += ("centroid_error_octaves",)
YARDSTICKS = ("codec", "original_noise_10db", "original_noise_0db", "original_elsewhere")
YARDSTICKS += ("stimulus", "brain")
COMPARED = ("log_mel_db", "stoi", "identification_sound_10way", "identification_10way")
BASELINES = {"brain_shuffled": "shuffled", "nearest_clip": "nearest clip"}
WIDTH, HEIGHT, MOST_BYTES = 1280, 920, 200_000
ALT = (
    "First screen of the demo's report: eight seconds as spectrograms, from the original to sound "
    "decoded from simulated BOLD, each with a play button and a score; a brain map"
)


def score_lines(scores: pd.DataFrame, path: str, metrics: tuple[str, ...]) -> list[str]:
    """Markdown of the scores of a feature type (``path column metric value low high n``)."""
    cells = scores[scores["path"] == path].set_index(["metric", "column"])
    label = {"encodec": "codes", "mel": "mel"}[path]
    lines = [f"| {label} | {' | '.join(COLUMNS.values())} |", "|---" * (1 + len(COLUMNS)) + "|"]
    for name in metrics:
        metric = metric_of(name)
        of_sound_only = name in MEANINGLESS_FROM_BRAIN
        values = {
            column: _value(cells.loc[name, column], metric.decimals)
            for column in COLUMNS
            if (name, column) in cells.index
            and not (of_sound_only and question_of(column) != "sound")
        }
        lines.append(f"| {metric.heading} | {' | '.join(values.get(c, '') for c in COLUMNS)} |")
    return lines


def yardstick_lines(scores: pd.DataFrame) -> list[str]:
    """Markdown of what metrics give to sounds in noise, wrong sounds and decoded ones: codes.

    A value with segments that failed has the number of those that did not.
    """
    cells = scores[scores["path"] == "encodec"].set_index(["metric", "column"])
    metrics = [metric_of(name) for name in OF_SOUND]
    lines = [f"| column | {' | '.join(metric.heading for metric in metrics)} |"]
    lines += ["|---" * (1 + len(metrics)) + "|"]
    for column in YARDSTICKS:
        texts = []
        for name, metric in zip(OF_SOUND, metrics, strict=True):
            row = cells.loc[name, column]
            few = f" (n {row['n']:.0f})" if row["n_failed"] and row["n"] else ""
            texts.append(number(float(row["value"]), metric.decimals) + few)
        lines.append(f"| `{column}` | {' | '.join(texts)} |")
    return lines


def difference_lines(differences: pd.DataFrame) -> list[str]:
    """Markdown of the paired differences of codes to the null and to retrieval."""
    lines = ["| brain − | metric | difference | p | n |", "|---|---|---|---|---|"]
    rows = differences[differences["path"] == "encodec"].set_index(["baseline", "metric"])
    for baseline, label in BASELINES.items():
        for name in COMPARED:
            if (baseline, name) in rows.index:
                row, metric = rows.loc[baseline, name], metric_of(name)
                difference = _value(row.rename({"difference": "value"}), metric.decimals)
                texts = (label, metric.heading, difference, p_text(row["p"], row["n_flips"]))
                lines.append(f"| {' | '.join(texts)} | {row['n']:.0f} |")
    return lines


def _value(row: pd.Series, decimals: int) -> str:
    """A value with its interval."""
    value, low, high = (number(float(row[key]), decimals) for key in ("value", "low", "high"))
    return value if low in (high, "–") else f"{value} [{low}, {high}]"


def made_by(folder: Path, commit: str = "") -> str:
    """Which commit made the results, and when."""
    run = json.loads((folder / "run.json").read_text())
    commit = commit or run["git_commit"]
    if commit.startswith("none"):
        raise SystemExit(f"{folder}/run.json names no commit: give --commit")
    return f"commit `{commit[:10]}`, run on {run['finished'][:10]}"


def parts(folder: Path, commit: str = "") -> dict[str, str]:
    """By page, the part between the comments, with them."""
    scores, made = load_table(folder / "scores.tsv"), made_by(folder, commit)
    head = f"Results of {made}; tables by `python benchmarks/demo_numbers.py`."
    pages = {
        "notes/results.md": [
            head,
            *["", *score_lines(scores, "encodec", METRICS)],
            *["", *difference_lines(load_table(folder / "differences/encodec.tsv"))],
            *["", *score_lines(scores, "mel", OF_MEL)],
        ],
        "notes/evaluation.md": [head, "", *yardstick_lines(scores)],
        "README.md": [f"![{ALT}](notes/report.webp)", "", f"The page of {made}."],
    }
    return {page: "\n".join([BEGIN, *lines, "", END]) for page, lines in pages.items()}


def replaced(text: str, part: str, page: str = "the page") -> str:
    """``text`` of ``page`` with ``part`` in place of what stands between the comments."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{page}: needs the lines {BEGIN} and {END}")
    return before + part + after


def first_screen(page: Path) -> bytes:
    """WebP of what one sees first on a screen of ``WIDTH`` × ``HEIGHT``."""
    from PIL import Image

    sys.path.insert(0, str(ROOT / "tests/report"))
    from chromium import PATH, Chromium

    if PATH is None:
        raise SystemExit("notes/report.webp needs Chromium, which is not installed")
    with tempfile.TemporaryDirectory() as profile:
        browser = Chromium(profile)
        size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        browser.ask("Emulation.setDeviceMetricsOverride", **size)
        browser.ask("Emulation.setScrollbarsHidden", hidden=True)
        browser.open(page.resolve().as_uri())
        screen = base64.b64decode(browser.ask("Page.captureScreenshot")["data"])
        browser.close()
    file = io.BytesIO()
    Image.open(io.BytesIO(screen)).convert("RGB").save(file, "WEBP", quality=85, method=6)
    return file.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="results of the demo, with report.html")
    parser.add_argument("--commit", default="", help="if run.json has none")
    arguments = parser.parse_args()
    for page, part in parts(arguments.folder, arguments.commit).items():
        (ROOT / page).write_text(replaced((ROOT / page).read_text(), part, page))
    picture = first_screen(arguments.folder / "report.html")
    assert len(picture) < MOST_BYTES, f"the picture has {len(picture)} bytes"
    (ROOT / "notes/report.webp").write_bytes(picture)


if __name__ == "__main__":
    main()
