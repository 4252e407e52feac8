"""The verb ``brain_quality`` on simulated brains: when they heard, and which voxels did.

They hear the bundled film, and are written as a table of runs whose onsets lie.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sklearn.metrics import roc_auc_score

from giblet.alignment.regressors import regress
from giblet.audio.files import read_sound
from giblet.audio.framing import group_trs, ungroup_trs
from giblet.audio.mel import MelSettings, mel_spectrogram
from giblet.brain.runs import MOTION
from giblet.commands.scans import brain_quality, load_bold
from giblet.config.config import parse_config
from giblet.demo import annotations_path, film_path
from giblet.demo.brains import make_brain, run_clocks, simulate_scans
from giblet.demo.stimulus import sound_features, word_features
from giblet.evaluation.quality import brain_quality as quality_of
from giblet.film.text import NO_WORDS
from giblet.io.arrays import load_arrays, save_arrays
from giblet.io.tables import load_table, save_table
from giblet.log import warnings_of
from giblet.stats.permutation import phase_randomised
from giblet.timing import TrClock

T_R, DURATION = 1.5, 540.0  # s
MEL = MelSettings(sample_rate=12000, n_mels=32)  # quick
CLOCK = TrClock(T_R, MEL.frame_rate, "native")


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """A folder with ``mel.nc`` and, of three subjects in two runs, BOLD and motion."""
    folder = tmp_path_factory.mktemp("scanned")
    waveform = read_sound(film_path(), MEL.sample_rate)
    grouped = group_trs(mel_spectrogram(waveform, MEL), CLOCK, 360)
    attrs = {"t_r": T_R, "frame_rate": CLOCK.frame_rate, "framing": CLOCK.framing}
    attrs["encoding_mode"] = "mel"
    mel = xr.Dataset({"audio": (("tr", "row", "frame"), grouped)}, attrs=attrs)
    save_arrays(mel, folder / "mel.nc")
    sound = sound_features(waveform, MEL.sample_rate)
    words = word_features(pd.read_csv(annotations_path(), sep="\t"), DURATION)
    whole = make_brain(8, noise=1.1)
    few = np.flatnonzero(whole.membership[0] | (np.arange(len(whole.strength)) % 12 == 0))
    brain = replace(whole, membership=whole.membership[:, few], strength=whole.strength[few])
    clocks = run_clocks(DURATION, T_R, n_runs=2, lead_in=6.0, lead_out=9.0)
    scans = simulate_scans((sound, words, words), 10.0, T_R, clocks, brain, 3, seed=0)
    for subject, run, bold, motion in scans:
        np.save(folder / f"{subject}-{run}.npy", bold.astype(np.float32))
        save_table(pd.DataFrame(motion, columns=list(MOTION)), folder / f"{subject}-{run}.tsv")
    np.save(folder / "hears.npy", brain.membership[0])
    return folder


def load(folder, planted=0.0, **scan):
    """``bold.nc`` where the table says that the film began ``planted`` s too early; the config."""
    rows = [
        (f"{s}", f"{r}", f"{s}-{r}.npy", f"{s}-{r}.tsv", 6.0 - planted, 270.0 * r)
        for s in range(3)
        for r in range(2)
    ]
    names = ["subject", "run", "file", "confounds", "film_onset", "stim_onset"]
    clock = {"t_r": T_R, "start_time": T_R / 2, "duration": 270.0}
    save_table(pd.DataFrame(rows, columns=names).assign(**clock), folder / "runs.tsv")
    config = parse_config({"scan": scan, "quality": {"n_permutations": 1}})
    load_bold(folder / "runs.tsv", folder / "bold.nc", config)
    return config


def found_in(folder, planted, **scan):
    """What the verbs find."""
    config = load(folder, planted, **scan)
    quality, scores = folder / "quality.nc", folder / "quality.tsv"
    brain_quality(folder / "bold.nc", quality, scores, config, sound=folder / "mel.nc")
    return load_arrays(quality), load_table(scores).set_index("metric")["mean"]


@pytest.mark.slow
def test_a_planted_lag_is_found_told_and_gone_once_it_is_applied(scanned):
    found, table = found_in(scanned, 3.3)
    assert float(found["lag"]) == pytest.approx(3.3, abs=T_R / 10)
    assert found["lag_low"] <= 3.3 <= found["lag_high"]
    assert found["lag_reliable"] == 1
    assert found["lag_p"] <= 0.01
    assert table["lag"] == pytest.approx(float(found["lag"]), abs=1e-5)
    assert f"the scan seems to be {float(found['lag']):.2f} s late" in found.attrs["warnings"]
    mended, _ = found_in(scanned, 3.3, lag_seconds=float(found["lag"]))
    assert abs(float(mended["lag"])) < T_R / 10
    assert warnings_of(mended.attrs) == [NO_WORDS]
    assert mended.attrs["lag_applied"] == pytest.approx(float(found["lag"]))
    assert mended.attrs["n_trs"] == 360  # what was taken before and after the film is there now


@pytest.fixture(scope="module")
def loaded(scanned):
    """BOLD on the film's clock, and the regressors of the mel path."""
    load(scanned)
    scans, mel = load_arrays(scanned / "bold.nc"), load_arrays(scanned / "mel.nc")
    levels = ungroup_trs(mel["audio"].values, CLOCK).T
    blurred = regress(levels, CLOCK.film_frame_rate(), scans, T_R, "spm")
    return scans, {"mel": xr.Dataset({"regressors": (("volume", "feature"), blurred)})}


def test_the_voxels_that_hear_come_back(scanned, loaded):
    hears = np.load(scanned / "hears.npy")
    found = quality_of(*loaded, T_R, n_permutations=1)
    assert roc_auc_score(hears, found["r_mel"].mean("subject")) > 0.95
    significant = (found["r_mel_q"] < 0.05).values
    assert significant[hears].mean() > 0.5
    assert significant[~hears].mean() < 0.1
    assert found["tsnr"].shape == (3, len(hears))
    assert (found["framewise_displacement"] > 0).all()


def test_scans_that_are_noise_show_nothing(loaded):
    """The same power at every frequency, at other moments."""
    scans, film = loaded
    noise = scans["bold"].copy()
    rng = np.random.default_rng(0)
    for run in np.split(np.arange(len(noise)), 6):
        noise[run] = phase_randomised(noise[run].values, rng)
    found = quality_of(scans.assign(bold=noise), film, T_R, n_permutations=1)
    assert abs(float(found["r_mel"].mean())) < 0.02
    assert (found["r_mel_q"] < 0.05).mean() < 0.05
