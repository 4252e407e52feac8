"""SIMULATED people with topographies of their own: decoded together, by others, and when new.

    python benchmarks/people.py together results/demo
    python benchmarks/people.py new FOLDER

The first: the demo's film and bottleneck, 1 to 16 people. The second: a long film of the sounds in
a folder, whose mel levels by TR stand for the bottleneck. Nobody was scanned.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from nilearn.signal import clean
from scipy.signal import lfilter

from giblet.alignment.aligned import film_data
from giblet.alignment.dataset import FilmData, split_film, zscore_bold
from giblet.alignment.hrf import tr_kernel
from giblet.alignment.voxels import voxels_to_read
from giblet.audio.files import read_sound
from giblet.audio.metrics.identify import sound_features as levels
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.inference import bottlenecks
from giblet.config.config import Config
from giblet.config.sections import DecodingConfig, ScanConfig, SplitConfig
from giblet.demo import annotations_path, film_path
from giblet.demo.brains import SOUND, VIEWERS, Kind, make_brain, run_clocks, simulate_scans
from giblet.demo.stimulus import sound_features, stimulus_features
from giblet.evaluation.calibration import EVERYONE, Codes, calibration_rows
from giblet.evaluation.decoding import decode_subject, lags_in_trs
from giblet.evaluation.group_decoding import decode_from_others, decode_group
from giblet.evaluation.held_out import HeldOut
from giblet.io.arrays import load_arrays
from giblet.stats.common_space import ALIGNMENTS
from giblet.timing import trs_for

T_R, RATE_HZ, LEAD_IN, SAMPLE_RATE = 1.5, 10.0, 6.0, 24000
PIECE_TRS = 40  # of sound that is turned into features at once
HEARERS = Kind("hearing sounds", "sounds", {SOUND: VIEWERS.regions[SOUND]}, VIEWERS.adapting)
DECODING = DecodingConfig()


def simulated(features, kind, n_trs: int, n_people: int, topography: float) -> np.ndarray:
    """BOLD in film TRs, cleaned as `load_bold` does: (n_people, n_trs, n_voxels) float32."""
    clocks = run_clocks(n_trs * T_R, T_R, 1, LEAD_IN, 9.0)
    brain, first = make_brain(8, 1.1, kind), trs_for(LEAD_IN, T_R)
    scans = simulate_scans(features, RATE_HZ, T_R, clocks, brain, n_people, 0, topography)
    people = []
    for _subject, _run, bold, motion in scans:
        options = {"high_pass": 0.01, "t_r": T_R, "standardize": None}
        cleaned = clean(bold, confounds=motion, **options)
        people.append(cleaned[first : first + n_trs].astype(np.float32))
    return np.stack(people)


def together(results: Path, topography: float, most: int, methods) -> pd.DataFrame:
    """Identification with 1, 2, 4 … people: of their mean, and of a person by the others."""
    data = film_data(load_arrays(results / "aligned" / "encodec.nc"))
    code = bottlenecks(Autoencoder.from_pretrained(results / "model" / "encodec"), data)
    train, test, lags = data.where("train"), data.where("test"), lags_in_trs(T_R, DECODING)
    film = stimulus_features(film_path(), annotations_path(), Config().words)
    people = simulated(film, VIEWERS, len(code), most, topography)
    people, _has_signal = zscore_bold(people, np.zeros(len(code)), data.part == "train")
    held_out = HeldOut(code, data, np.zeros(0), 1.0, trs_for(DECODING.clip_seconds, T_R))

    def clips(decoded: np.ndarray) -> float:
        return held_out.bottleneck_scores(decoded)["identification_10way"].mean()

    parts, rows = (data.run, code, train, test, lags), []
    for n in [2**k for k in range(most.bit_length())]:
        bold = people[:n]
        bold = bold[..., voxels_to_read(people[: max(n, 2)][:, train], DECODING)]
        alone = np.mean([clips(decode_subject(one, *parts)["brain"]) for one in bold[:4]])
        row = {"people": n, "single": alone}
        for method in methods if n > 1 else ():
            scan = ScanConfig(alignment=method)
            row[f"{method}: together"] = clips(decode_group(bold, *parts, scan)["brain"])
            others = [(np.delete(bold, k, axis=0), bold[k]) for k in range(min(n, 4))]
            by_others = [clips(decode_from_others(*pair, *parts, scan)) for pair in others]
            row[f"{method}: by others"] = np.mean(by_others)
        rows.append(row)
        print(pd.DataFrame(rows).T.round(3).to_string(), flush=True)
    return pd.DataFrame(rows).set_index("people").T


def long_film(folder: Path, minutes: float) -> tuple[np.ndarray, np.ndarray]:
    """Sounds of a folder in turn: features at ``RATE_HZ``, and mel levels by TR."""
    n_trs = trs_for(60 * minutes, T_R)
    size = round(PIECE_TRS * T_R * SAMPLE_RATE)
    files = sorted(folder.rglob("*.flac"), key=lambda file: (file.name[-7:], file.name))
    heard, by_tr, rest = [], [], np.zeros(0, np.float32)
    for file in files:
        rest = np.concatenate([rest, read_sound(file, SAMPLE_RATE)])
        while len(rest) >= size and len(by_tr) * PIECE_TRS < n_trs:
            heard.append(sound_features(rest[:size], SAMPLE_RATE))
            by_tr.append(levels(rest[:size], SAMPLE_RATE, PIECE_TRS))
            rest = rest[size:]
        if len(by_tr) * PIECE_TRS >= n_trs:
            break
    return np.concatenate(heard), np.concatenate(by_tr)


def new(folder: Path, topography: float, minutes: float, n_people: int, methods):
    """The calibration curve, means over people, for each alignment."""
    heard, code = long_film(folder, minutes)
    n_trs, run = len(code), np.zeros(len(code))
    print(f"{n_trs * T_R / 60:.1f} minutes of sound", flush=True)
    part = split_film(n_trs, T_R, SplitConfig(test=0.12, validation=0.02), True, run)
    people = simulated((heard,), HEARERS, n_trs, n_people, topography)
    people, _has_signal = zscore_bold(people, run, part == "train")
    names = tuple(f"sub-{k + 1:02d}" for k in range(n_people))
    data = FilmData({}, torch.from_numpy(people), part, np.repeat("1", n_trs), names)
    code = code - code[part == "train"].mean(axis=0)
    codes = Codes(code, lfilter(tr_kernel(T_R, T_R / 2, "spm"), 1, code, axis=0))
    tables = []
    for method in methods:
        start = time.process_time()
        scan, amounts = ScanConfig(alignment=method), (2, 5, 10, 20, 40)
        rows = calibration_rows(codes, data, T_R, DECODING, scan, amounts, seed=0)
        table = pd.DataFrame(rows).assign(alignment=method)
        table = table[table["subject"] == EVERYONE].drop(columns="subject")
        tables.append(table)
        print(method, f"{time.process_time() - start:.0f} processor seconds", flush=True)
        print(table.round(3).to_string(index=False), flush=True)
    return pd.concat(tables)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["together", "new"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--topography", type=float, default=0.8)
    parser.add_argument("--people", type=int)
    parser.add_argument("--minutes", type=float, default=50)
    parser.add_argument("--alignments", nargs="+", choices=ALIGNMENTS, default=ALIGNMENTS)
    given = parser.parse_args()
    if given.what == "together":
        together(given.folder, given.topography, given.people or 16, given.alignments)
    else:
        new(given.folder, given.topography, given.minutes, given.people or 4, given.alignments)
