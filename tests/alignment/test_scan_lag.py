"""A data set's lag is found by the verbs where it was planted, and is gone once it is applied.

Oracle: simulated brains that hear the bundled film, written as a table of runs whose onsets lie.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from giblet.alignment.scan_lag import RATE_HZ, lag_arrays, scan_lag, sound_levels
from giblet.audio.files import read_sound
from giblet.audio.framing import group_trs
from giblet.audio.mel import MelSettings, mel_spectrogram
from giblet.bids import MOTION
from giblet.config import parse_config
from giblet.demo import annotations_path, film_path
from giblet.demo.brains import make_brain, run_clocks, simulate_scans
from giblet.demo.stimulus import sound_features, word_features
from giblet.store import load_arrays, load_table, save_arrays, save_table
from giblet.timing import TrClock
from giblet.verbs.brain import brain_quality, load_bold

T_R, DURATION = 1.5, 540.0  # s
MEL = MelSettings(sample_rate=12000, n_mels=32)  # quick
CLOCK = TrClock(T_R, MEL.frame_rate, "native")


def mel_arrays(waveform, n_trs):
    """As the verb ``group_trs`` writes it; ``waveform`` at 12 kHz."""
    stream = mel_spectrogram(waveform, MEL)
    attrs = {"t_r": T_R, "frame_rate": CLOCK.frame_rate, "framing": "native"}
    grouped = group_trs(stream, CLOCK, n_trs)
    return xr.Dataset({"audio": (("tr", "row", "frame"), grouped)}, attrs=attrs)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """A folder with ``mel.nc`` and, of three subjects in two runs, BOLD and motion."""
    folder = tmp_path_factory.mktemp("scanned")
    waveform = read_sound(film_path(), MEL.sample_rate)
    save_arrays(mel_arrays(waveform, 360), folder / "mel.nc")
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
    return folder


def found_in(folder, planted, **scan):
    """What the verbs find where the table says that the film began ``planted`` s too early."""
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
    quality, scores = folder / "quality.nc", folder / "quality.tsv"
    brain_quality(folder / "bold.nc", quality, scores, config, sound=folder / "mel.nc")
    return load_arrays(quality), load_table(scores).set_index("metric")["mean"]


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
    assert mended.attrs["warnings"] == "[]"
    assert mended.attrs["lag_applied"] == pytest.approx(float(found["lag"]))
    assert mended.attrs["n_trs"] == 360  # what was taken before and after the film is there now


def test_levels_are_those_of_the_sound():
    """Noise of 0.4 s at 20 dB steps, and silence, which counts as 60 dB below the loudest."""
    rng = np.random.default_rng(0)
    gains = np.repeat([1.0, 0.1, 0.0, 0.01], [4800] * 4)
    noise = (np.tile(gains, 2) * rng.standard_normal(38400)).astype(np.float32)
    arrays = mel_arrays(noise[: CLOCK.edges(2)[-1] * 256], 2)
    found = sound_levels(arrays)
    rate = CLOCK.film_frame_rate()
    assert found.shape == (round(CLOCK.edges(2)[-1] / rate * RATE_HZ), 4)
    found = found.mean(axis=1)
    loud, soft, silent, faint = (found[k * 4 + 1 : k * 4 + 3].mean() for k in range(4))
    assert loud - soft == pytest.approx(20, abs=1.0)
    assert soft - faint == pytest.approx(20, abs=1.0)
    assert 50 < loud - silent < 60.5


def test_without_sound_or_with_too_little_there_is_a_reason():
    times = np.arange(50) * T_R
    lag, reason = scan_lag(None, np.ones((50, 1)), times, np.zeros(50))
    assert lag is None
    arrays = lag_arrays(lag, reason, T_R)
    assert np.isnan(arrays["lag"])
    assert arrays.attrs == {"warnings": [], "lag_note": "no sound to tell it by"}
    levels, bold = np.sin(np.arange(900.0)), np.sin(np.arange(50.0))[:, None]
    for heard, expected in ((levels, "50 volumes are too few"), (0 * levels, "never changes")):
        lag, reason = scan_lag(heard, bold, times, np.zeros(50))
        assert lag is None
        assert expected in reason
