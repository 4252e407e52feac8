"""Alice (27 people, words alone): encoding from small word bands, hashed words and noise bands.

    python benchmarks/alice.py ALICE [--draws 5] [--columns 1024]

ALICE is the folder with the authors' ``alice_data_shared`` and ``alice_stim_shared`` (see
notes/alice.md). Rows: ISC and ceilings, then r of ridge in held-out blocks, means over people, by
region and over the regions. Noise bands are drawn with seeds 0, 1, …: convolved with the HRF as
word bands are, or white.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import xarray as xr

from giblet.alignment.dataset import zscore_bold
from giblet.alignment.own_runs import clock_groups
from giblet.alignment.regressors import film_regressors, regress
from giblet.alignment.showings import volume_trs
from giblet.alignment.sync import match_scans
from giblet.alignment.voxels import read_columns
from giblet.commands.film import embed_text
from giblet.commands.scans import load_bold
from giblet.config.config import Config, parse_config
from giblet.evaluation.encoding_folds import ridge_folds
from giblet.evaluation.quality import brain_quality
from giblet.film.annotations import read_annotations
from giblet.film.modalities import SPACE_SETS
from giblet.film.word_spaces import single_words, word_spaces
from giblet.io.arrays import load_arrays, open_arrays
from giblet.io.schema import SCANS
from giblet.stats.encoding_maps import centred_by_run, linear_maps
from giblet.timing import frames_rate_hz

T_R, HRF = 2.0, Config().hrf_model
REGIONS = ["LATL", "RATL", "LPTL", "LIPL", "LPreM", "LIFG"]  # the authors' README names them


def runs_table(data: Path, folder: Path) -> Path:
    """The table of runs of notes/alice.md."""
    rows = []
    for file in sorted((data / "6mm").glob("*.txt")):
        subject = file.name.split("-")[0]
        series = pd.read_csv(file, sep=r"\s+", names=REGIONS)
        series.to_csv(folder / f"{subject}.tsv", sep="\t", index=False)
        (motion,) = data.glob(f"{subject}-rp*")
        rows.append((subject, f"{subject}.tsv", motion.resolve(), T_R, 10, 0.0))
    columns = ["subject", "file", "confounds", "t_r", "n_dropped", "film_onset"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "runs.tsv", sep="\t", index=False)
    return folder / "runs.tsv"


def word_bands(words: Path, text: xr.Dataset, scans: xr.Dataset) -> dict[str, np.ndarray]:
    """Bands (n_volumes, n_features): number of words, their form, hashed words."""
    blurred = film_regressors(text, scans, T_R, HRF)
    rows, n_trs = single_words(read_annotations(words)), text.sizes["tr"]
    spaces, warnings = word_spaces(rows, T_R, n_trs, form=True)
    print(*warnings, sep="\n")
    form = film_regressors(SPACE_SETS["word_model"].arrays(spaces, n_trs), scans, T_R, HRF)
    names = {"number of words": blurred["n_words"], "form": form["regressors"]}
    return {k: v.values for k, v in (names | {"hashed words": blurred["regressors"]}).items()}


def noise_band(scans: xr.Dataset, n_trs: int, width: int, seed: int, white: bool) -> np.ndarray:
    """(n_volumes, width), the same for all people; by TR where it is white."""
    noise = np.random.default_rng(seed).standard_normal((n_trs, width))
    if not white:
        return regress(noise, frames_rate_hz(1, T_R), scans, T_R, HRF)
    trs = np.clip((scans["film_time"].values // T_R).astype(int), 0, n_trs - 1)
    return noise[trs].astype(np.float32)


class Encoding:
    """r of banded ridge in held-out blocks of the scans' TRs."""

    def __init__(self, scans: xr.Dataset, n_trs: int):
        self.scans, self.match = scans, match_scans(scans, T_R, n_trs)
        every = np.ones(len(self.match.trs), dtype=bool)
        bold = read_columns(scans, self.match, np.arange(scans["bold"].shape[1]), every)
        self.bold = zscore_bold(bold, self.match.runs, every)[0]
        self.folds, _warnings = ridge_folds(self.match, scans, T_R)

    def r(self, bands: dict[str, np.ndarray]) -> np.ndarray:
        """By region, means over people, of all bands together."""
        groups = clock_groups(bands, self.match, self.scans["film_time"].values)
        groups = centred_by_run(groups, self.match.runs)
        maps = linear_maps(self.bold, groups, self.folds, n_shifts=10)
        (name,) = ["all"] if len(bands) > 1 else bands
        return maps[f"r_{name}"].mean("subject").values


def show(label: str, by_region: np.ndarray, spread: str = "") -> None:
    cells = " ".join(f"{value:6.3f}" for value in [*by_region, by_region.mean()])
    print(f"{label:48} {cells} {spread}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("alice", type=Path)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--columns", type=int, default=1024)
    options = parser.parse_args()
    (words,) = (options.alice / "alice_stim_shared").glob("*.TextGrid")
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        runs = runs_table(options.alice / "alice_data_shared", folder)
        settings = {"dataset": "alice", "film": "none", "annotations": str(words)}
        config = parse_config(settings | {"bold": str(runs), "t_r": T_R})
        load_bold(runs, folder / "bold.nc", config)
        embed_text(words, folder / "text.nc", config, bold=folder / "bold.nc")
        text = load_arrays(folder / "text.nc", "text", "tr")
        with open_arrays(folder / "bold.nc", *SCANS) as scans:
            print(f"{'':48} {' '.join(f'{name:>6}' for name in [*REGIONS, 'mean'])}")
            quality = brain_quality(scans, {}, T_R, n_permutations=20)
            for name in ("isc", "ceiling_upper", "explainable_variance"):
                if name in quality:
                    values = quality[name]
                    people = [dim for dim in values.dims if dim == "subject"]
                    show(name, values.mean(people).values)
            print_encoding(scans, words, text, options)


def print_encoding(scans: xr.Dataset, words: Path, text: xr.Dataset, options) -> None:
    n_trs = int(volume_trs(scans, T_R).max()) + 1
    bands, encoding = word_bands(words, text, scans), Encoding(scans, n_trs)
    count = {"number of words": bands["number of words"]}
    for names in (
        ["number of words"],
        ["form"],
        ["number of words", "form"],
        ["hashed words"],
        ["hashed words", "number of words"],  # the order of brain_quality, which matters
        ["number of words", "hashed words"],
    ):
        show(" and ".join(names), encoding.r({name: bands[name] for name in names}))
    for kind in ("blurred", "white"):
        rows = []
        for seed in range(options.draws):
            noise = noise_band(scans, n_trs, options.columns, seed, kind == "white")
            rows.append(encoding.r(count | {"noise": noise}))
        if rows:
            means = np.mean(rows, axis=1)
            label = f"number of words and {options.columns:,} columns of {kind} noise"
            show(label, np.mean(rows, axis=0), f"({means.min():.3f} to {means.max():.3f})")


if __name__ == "__main__":
    main()
