"""Scaling of functions: processor seconds, and the factor for four times the size.

    python benchmarks/growth.py [part of a name ...]
    python benchmarks/growth.py --trs 960 1920 3840 7680 [part of a name ...]

SIMULATED noise of BASE; a factor of 4 is linear. A fixed cost lowers it.
"""

import argparse
import time
import warnings

import numpy as np
import pandas as pd
import xarray as xr

from giblet.alignment.lag import RATE_HZ, scan_lag
from giblet.alignment.regressors import regress
from giblet.alignment.sync import match_scans
from giblet.audio.metrics.identify import identification, identification_p
from giblet.autoencoder.bold_readout import reduce_rank
from giblet.evaluation.decoding import decode_subject
from giblet.film.text import count_words, embed_words
from giblet.stats.encoding_maps import ClockGroup, held_out_folds, linear_maps
from giblet.stats.intersubject import agreement, isc_nulls
from giblet.stats.permutation import shifted_correlation
from giblet.stats.ridge import banded_weights

BASE = {"trs": 480, "voxels": 400, "subjects": 4}
T_R = 1.5
rng = np.random.default_rng(0)


def noise(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def runs(trs):
    return np.repeat(["run-1", "run-2"], trs // 2)


def times(trs):
    return np.arange(trs) * T_R + T_R / 2


def scans(trs, subjects):
    along = {
        "subject": np.repeat([f"sub-{n:03d}" for n in range(subjects)], trs),
        "run": np.tile(runs(trs), subjects),
        "film_time": np.tile(times(trs), subjects),
        "in_film": np.ones(trs * subjects, dtype=bool),
    }
    return xr.Dataset(coords={k: ("volume", v) for k, v in along.items()}, attrs={"t_r": T_R})


def maps(*widths):
    def make(trs, voxels, subjects):
        bands = {str(n): noise(trs, width) for n, width in enumerate(widths)}
        audience, folds = ClockGroup(list(range(subjects)), bands), held_out_folds(runs(trs), 21)
        bold = noise(subjects, trs, voxels)
        return lambda: linear_maps(bold, [audience], folds, n_shifts=200, n_iter=3)

    return make


def decode(n_read):
    def make(trs, voxels, subjects):
        bold, code = noise(trs, n_read), noise(trs, 512)
        train, test = np.arange(trs * 7 // 10), np.arange(trs * 8 // 10, trs)
        parts = runs(trs), code, train, test, range(2, 7)
        return lambda: [decode_subject(bold, *parts) for _ in range(subjects)]

    return make


def read_out(trs, voxels, subjects):
    bands, bold = [noise(trs, width) for width in (64, 16, 16)], noise(subjects, trs, voxels)

    def fit():
        weights = [banded_weights(bands, own, n_iter=3)[0] for own in bold]
        reduce_rank(np.concatenate(weights, axis=-1), np.hstack(bands), 64)

    return fit


def agree(trs, voxels, subjects):
    bold = noise(subjects, trs, voxels)
    return lambda: agreement(bold, runs(trs), 100, 0)


def nulls(trs, voxels, subjects):
    bold = noise(subjects, trs, voxels)
    return lambda: isc_nulls(bold, runs(trs), 100, 0)


def lag(trs, voxels, subjects):
    bold, sound = noise(trs, voxels * subjects), noise(round((trs + 20) * RATE_HZ * 1.5), 4)
    return lambda: scan_lag(sound, bold, times(trs), runs(trs))


def shifts(trs, voxels, subjects):
    pair = noise(2, subjects, trs, voxels)
    return lambda: shifted_correlation(*pair)


def identify(trs, voxels, subjects):
    pair = noise(2, trs // 5, 512)
    return lambda: [identification(*pair) for _ in range(subjects)]


def identify_p(trs, voxels, subjects):
    guesses, truth = noise(subjects, trs // 20, 200), noise(trs // 20, 200)
    return lambda: identification_p(guesses, truth, 10, 1000, 0)


def match(trs, voxels, subjects):
    volumes = scans(trs, subjects)
    return lambda: match_scans(volumes, T_R, trs)


def blur(trs, voxels, subjects):
    film, volumes = noise(trs * 15, 128), scans(trs, subjects)
    return lambda: regress(film, 10.0, volumes, T_R, "spm")


def words(trs, voxels, subjects):
    duration = trs * 1.5
    onsets = np.linspace(0, duration - 1, trs * 4)
    said = pd.DataFrame({"onset": onsets, "duration": 0.3})
    said["text"] = [f"word{n % 500}" for n in range(len(said))]
    return lambda: (embed_words(said, T_R, trs, duration), count_words(said, T_R, trs))


FUNCTIONS = {
    "linear_maps, 100 columns": maps(60, 40),
    "linear_maps, 689 columns": maps(256, 432, 1),
    "agreement": agree,
    "isc_nulls": nulls,
    "scan_lag": lag,
    "decode_subject, 250 voxels": decode(250),
    "decode_subject, 40 voxels": decode(40),
    "read-out, 96 columns": read_out,
    "match_scans": match,
    "regress": blur,
    "shifts and p": shifts,
    "identification": identify,
    "identification_p": identify_p,
    "words": words,
}


def seconds(make, **size) -> float:
    """Processor seconds, the shorter of two tries."""
    function, found = make(*(BASE | size).values()), []
    for _ in range(2):
        start = time.process_time()
        function()
        found.append(time.process_time() - start)
    return min(found)


def main() -> None:
    """Print one row per function."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=[""])
    parser.add_argument("--trs", type=int, nargs="+", help="seconds with these, nothing else")
    options = parser.parse_args()
    heads = [f"{n} TRs" for n in options.trs or ()] or ["seconds", *(f"4 x {k}" for k in BASE)]
    print(" " * 28 + "".join(f"{head:>13}" for head in heads))
    for name, make in FUNCTIONS.items():
        if not any(part in name for part in options.names):
            continue
        if options.trs:
            row = [seconds(make, trs=n) for n in options.trs]
        else:
            row = [seconds(make)]
            row += [seconds(make, **{what: 4 * size}) / row[0] for what, size in BASE.items()]
        print(f"{name:<28}" + "".join(f"{value:>13.2f}" for value in row), flush=True)


if __name__ == "__main__":
    main()
