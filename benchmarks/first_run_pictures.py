"""Pictures of ``notes/first_run.md``: what a student sees, from the demo's SIMULATED study.

    python benchmarks/first_run_pictures.py results/demo

It writes ``notes/first_run_doctor.webp``, what ``giblet doctor`` prints about the
simulated study; ``notes/first_run_alignment.webp``, the page's figure of film and BOLD; and
``notes/first_run_late.webp``, the same with an onset that is ``LATE`` seconds wrong.
"""

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from giblet.alignment.lag import lag_arrays, scan_lag, sound_levels
from giblet.alignment.sync import match_scans
from giblet.demo import film_path
from giblet.io.arrays import load_arrays
from giblet.report.lag_figure import lag_figure
from giblet.report.pictures import Picture

NOTES = Path(__file__).parents[1] / "notes"
LATE = 6.0  # s: a fixation cross before the film that the events table does not have
N_VOXELS = 1000  # of highest ISC
MOST_BYTES = 60_000
INIT = ("init", "study", "--film", "film.mp4", "--output", "scans.yaml")
DOCTOR = ("doctor", "--config", "scans.yaml")


def terminal_text(results: Path) -> str:
    """What doctor prints about the simulated study of ``results``: all but the installation."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(results / "simulated", Path(folder) / "study")
        shutil.copy(film_path(), Path(folder) / "film.mp4")
        for command in (INIT, DOCTOR):
            done = subprocess.run(
                [sys.executable, "-m", "giblet", *command],
                cwd=folder,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            if done.returncode:
                raise SystemExit(f"giblet {command[0]}: {done.stdout}")
    _installation, begin, rest = done.stdout.partition("scans.yaml (dataset")
    if not begin or folder in rest:
        raise SystemExit(f"giblet doctor: unexpected output\n{done.stdout}")
    return f"# a SIMULATED study\n$ giblet {' '.join(DOCTOR)}\n…\n{begin}{rest.rstrip()}"


def terminal_figure(text: str) -> Figure:
    """``text`` as in a terminal."""
    lines = text.splitlines()
    width, height = max(map(len, lines)), len(lines)
    figure = Figure(figsize=(0.072 * width + 0.3, 0.16 * height + 0.3), facecolor="#1e2227")
    font = {"family": "monospace", "size": 8.5, "color": "#e6e6e6", "linespacing": 1.25}
    figure.text(0.15 / figure.get_figwidth(), 0.5, text, va="center", parse_math=False, **font)
    return figure


def page_figure(picture: Picture, title: str) -> Figure:
    """``picture`` of the page, on white, with a title that says SIMULATED."""
    figure = Figure(figsize=picture.size, layout="constrained", facecolor="white")
    axes = figure.subplots()
    picture.draw(axes)
    figure.suptitle(title, fontsize=10, x=0.02, ha="left")
    return figure


def shifted_lag(results: Path, seconds: float) -> xr.Dataset:
    """Lag of the demo's scans where every volume is taken to be ``seconds`` later in the film."""
    mel = load_arrays(results / "trs/mel.nc")
    scans = load_arrays(results / "bold.nc")
    quality = load_arrays(results / "brain_quality.nc")
    match = match_scans(scans, mel.attrs["t_r"], mel.sizes["tr"])
    best = np.argsort(-quality["isc"].mean("subject").values)[:N_VOXELS]
    bold = scans["bold"].values[:, best][match.volumes].mean(axis=0)
    for run in np.unique(match.runs):
        here = match.runs == run
        bold[here] = (bold[here] - bold[here].mean(axis=0)) / bold[here].std(axis=0)
    film_time = scans["film_time"].values[match.volumes].mean(axis=0) + seconds
    lag, reason = scan_lag(sound_levels(mel), bold, film_time, match.runs)
    return lag_arrays(lag, reason, mel.attrs["t_r"])


def save(figure: Figure, name: str) -> None:
    """As WebP in the notes, without loss."""
    from PIL import Image

    drawn, file = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=130)
    image = Image.open(drawn).convert("RGB").quantize(64).convert("RGB")
    image.save(file, "WEBP", lossless=True, quality=100, method=6)
    size = len(file.getvalue())
    if size > MOST_BYTES:
        raise SystemExit(f"{name} has {size} bytes, more than {MOST_BYTES}")
    (NOTES / name).write_bytes(file.getvalue())
    print(name, size, "bytes", *image.size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="results of the demo")
    results = parser.parse_args().folder
    save(terminal_figure(terminal_text(results)), "first_run_doctor.webp")
    for name, seconds, onsets in (
        ("alignment", 0.0, "correct"),
        ("late", LATE, f"{LATE:g} s wrong"),
    ):
        picture = lag_figure(shifted_lag(results, seconds), simulated=True)
        figure = page_figure(picture, f"SIMULATED study, onsets {onsets}")
        save(figure, f"first_run_{name}.webp")


if __name__ == "__main__":
    main()
