"""The lag between film and scan is found where it was planted, and nowhere in noise.

Oracle: the simulated brains (their own HRF, adaptation, noise, drift and motion), which hear the
bundled film; only its sound and words are used, so that the tests are quick.
"""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from nilearn.signal import clean
from scipy.stats import gamma

from giblet.alignment.lag import estimate_lag
from giblet.audio.files import read_sound
from giblet.demo import annotations_path, film_path
from giblet.demo.brains import make_brain, run_clocks, scan, simulate_scans
from giblet.demo.stimulus import RATE_HZ, sound_features, word_features
from giblet.errors import GibletError

T_R, DURATION = 1.5, 540.0  # s


@pytest.fixture(scope="module")
def bands():
    """Level in 16 bands of the bundled film, (5400, 16) in dB."""
    return sound_features(read_sound(film_path(), 16000), 16000)


@pytest.fixture(scope="module")
def envelope(bands):
    return bands.mean(axis=1)


def in_film(clock, bold, motion):
    """Cleaned BOLD of the volumes in the film, and their film times (s)."""
    cleaned = clean(bold, confounds=motion, high_pass=0.01, t_r=T_R, standardize=False)
    since = clock.scan_times - clock.lead_in
    shown = (since >= 0) & (since < clock.duration)
    return cleaned[shown], (since + clock.film_start)[shown]


@pytest.fixture(scope="module")
def scanned(bands):
    """BOLD (360, n_voxels) of three subjects side by side, film times (360,) and runs (360,)."""
    words = word_features(pd.read_csv(annotations_path(), sep="\t"), DURATION)
    whole = make_brain(8, noise=1.1)
    few = np.flatnonzero(whole.membership[0] | (np.arange(len(whole.strength)) % 12 == 0))
    brain = replace(whole, membership=whole.membership[:, few], strength=whole.strength[few])
    clocks = run_clocks(DURATION, T_R, n_runs=2, lead_in=6.0, lead_out=9.0)
    scans = simulate_scans((bands, words, words), RATE_HZ, T_R, clocks, brain, 3, seed=0)
    parts = [(subject, *in_film(clocks[run], b, m)) for subject, run, b, m in scans]
    bold = [np.concatenate([b for s, b, _ in parts if s == subject]) for subject in range(3)]
    film_time = np.concatenate([t for s, _, t in parts if s == 0])
    return np.concatenate(bold, axis=1), film_time, np.repeat([0, 1], len(film_time) // 2)


@pytest.mark.parametrize("lag", [-6.0, -1.3, 0.0, 2.7, 6.0])
def test_a_planted_lag_is_found_to_a_tenth_of_a_tr(scanned, envelope, lag):
    bold, film_time, run = scanned
    found = estimate_lag(envelope, RATE_HZ, bold, film_time + lag, run=run, n_bootstrap=100)
    assert found.reliable
    assert found.seconds == pytest.approx(lag, abs=T_R / 10)
    low, high = found.interval
    assert low <= lag <= high
    assert 0.05 < high - low < T_R
    np.testing.assert_array_equal(found.film_time, film_time + lag)
    assert np.corrcoef(found.sound, found.bold)[0, 1] > 0.5


def test_bands_and_one_run_cut_short_find_it_too(scanned, bands):
    bold, film_time, _ = scanned
    kept = np.delete(np.arange(40, 180), slice(50, 57))  # a film joined late, volumes dropped
    four = bands.reshape(-1, 4, 4).mean(axis=2)
    late = film_time[kept] + 2.0
    found = estimate_lag(four, RATE_HZ, bold[kept], late, n_bootstrap=50, n_null=20)
    assert found.seconds == pytest.approx(2.0, abs=0.5)  # a third of the data


def test_brains_that_adapt_seem_early_to_an_estimate_that_does_not(scanned, envelope):
    bold, film_time, run = scanned
    options = {"run": run, "n_bootstrap": 10, "adaptations": [None]}
    found = estimate_lag(envelope, RATE_HZ, bold, film_time, **options)
    assert -1.2 < found.seconds < -0.3


@pytest.mark.parametrize("lag", [0.0, 3.0])
def test_brains_that_do_not_adapt_are_not_late(bands, lag):
    """Level through a gamma response, written here: half a TR late if they had to adapt.

    TR 2 s: a lag above 1 s is a warning.
    """
    rng, steps = np.random.default_rng(0), np.arange(0, 32, 1 / RATE_HZ)
    response = gamma.pdf(steps, 6) - gamma.pdf(steps, 16) / 6
    four = bands.reshape(-1, 4, 4).mean(axis=2)
    level = (four - four.mean(axis=0)) / four.std(axis=0)
    answer = np.apply_along_axis(lambda band: np.convolve(band, response), 0, level)
    film_time = np.arange(1.0, DURATION, 2.0)
    bold = answer[np.round(film_time * RATE_HZ).astype(int)]
    bold = np.tile(bold / bold.std(axis=0), 10) + rng.normal(size=(len(film_time), 40))
    cleaned = clean(bold, high_pass=0.01, t_r=2.0, standardize=False)
    options = {"n_bootstrap": 100, "n_null": 99}
    found = estimate_lag(four, RATE_HZ, cleaned, film_time + lag, **options)
    assert found.reliable
    assert found.adaptation != 10.0
    assert found.seconds == pytest.approx(lag, abs=0.5)
    assert found.interval[0] <= lag <= found.interval[1]
    wrong = estimate_lag(four, RATE_HZ, cleaned, film_time + lag, adaptations=[10.0], **options)
    assert wrong.interval[0] > lag


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_found_in_noise(scanned, envelope, seed):
    _, film_time, run = scanned
    clocks = run_clocks(DURATION, T_R, n_runs=2, lead_in=6.0, lead_out=9.0)
    rng = np.random.default_rng(seed)
    silent = np.zeros((len(clocks[0].scan_times), 300))
    bold = np.concatenate([in_film(c, *scan(rng, silent, 1.1))[0] for c in clocks])
    found = estimate_lag(envelope, RATE_HZ, bold, film_time, run=run)
    assert not found.reliable
    assert found.p_value > 0.01
    assert found.interval == (-10.0, 10.0)


def test_brains_that_run_backwards_do_not_fit(scanned, envelope):
    """As smooth, and voxels as much alike, as in the right order."""
    bold, film_time, run = scanned
    found = estimate_lag(envelope, RATE_HZ, bold[::-1].copy(), film_time, run=run)
    assert not found.reliable


def test_a_lag_beyond_the_range_is_not_believed(scanned, envelope):
    bold, film_time, run = scanned
    found = estimate_lag(envelope, RATE_HZ, bold, film_time + 4.0, run=run, max_lag=2.0)
    assert not found.reliable
    assert found.interval == (-2.0, 2.0)


@pytest.fixture(scope="module")
def listeners(shared):
    """27 people and a chapter of *Alice* (362 volumes): mean of 6 regions each, words per second.

    The ten volumes before the first one here were dropped, and the sound has 20 s of silence there.
    """
    folder = shared / "fmri" / "alice"
    if not folder.is_dir():
        pytest.skip(f"no listeners in {folder}")
    bold = []
    for path in sorted(folder.glob("alice_data_shared/10mm/*.txt")):
        name = path.name.split("-")[0]
        if name != "s33":  # constant
            motion = np.loadtxt(next(folder.glob(f"alice_data_shared/{name}-rp*")))[-362:]
            bold.append(clean(np.loadtxt(path), confounds=motion, high_pass=0.01, t_r=2.0))
    (grid,) = folder.glob("alice_stim_shared/*.TextGrid")
    said = re.findall(r'xmin = ([\d.]+)\s+xmax = [\d.]+\s+text = "(?!sp"|")', grid.read_text())
    rate = np.bincount([int(float(onset) * RATE_HZ) for onset in said]) * RATE_HZ
    return np.mean(bold, axis=0), rate


@pytest.mark.parametrize("planted", [0.0, -4.0])
def test_real_listeners_hear_words_when_they_are_said(listeners, planted):
    bold, rate = listeners
    film_time = 20.0 + 2.0 * np.arange(len(bold)) + planted
    found = estimate_lag(rate, RATE_HZ, bold, film_time, voxel_share=1.0)
    assert found.reliable
    assert found.seconds == pytest.approx(planted, abs=1.0)  # brains differ in their HRF by as much
    assert found.interval[0] <= planted <= found.interval[1]


def test_a_fit_that_a_few_seconds_carry_has_a_wide_interval_and_is_not_believed(listeners):
    """When there is speech at all: little but pauses, which are few."""
    bold, rate = listeners
    speaking = (np.convolve(rate, np.ones(5), "same") > 0).astype(float)
    found = estimate_lag(speaking, RATE_HZ, bold, 20.0 + 2.0 * np.arange(362), voxel_share=1.0)
    assert found.p_value <= 0.01
    assert found.interval[1] - found.interval[0] > 10.0
    assert not found.reliable


def test_each_run_starts_from_silence(scanned, envelope):
    """The second run alone, whatever the film's first half was."""
    bold, film_time, run = scanned
    second = run == 1
    other = envelope.copy()
    before = slice(round(250 * RATE_HZ))  # of the run, even with 10 s of lag
    other[before] = other[before][::-1]
    one, two = (
        estimate_lag(e, RATE_HZ, bold[second], film_time[second], adaptations=[None], n_null=10)
        for e in (envelope, other)
    )
    assert one.seconds == pytest.approx(two.seconds, abs=1e-3)


def test_the_same_seed_gives_the_same_interval(scanned, envelope):
    bold, film_time, run = scanned
    one, two, other = (
        estimate_lag(envelope, RATE_HZ, bold, film_time, run=run, n_bootstrap=20, seed=seed)
        for seed in (0, 0, 1)
    )
    assert one.interval == two.interval != other.interval
    assert one.seconds == other.seconds


def test_what_does_not_fit_is_refused(scanned, envelope):
    bold, film_time, run = scanned
    with pytest.raises(GibletError, match="do not fit"):
        estimate_lag(envelope, RATE_HZ, bold[1:], film_time)
    with pytest.raises(GibletError, match=r"the sound lasts 300\.0 s"):
        estimate_lag(envelope[:3000], RATE_HZ, bold, film_time, run=run)
    with pytest.raises(GibletError, match="120 volumes are too few"):
        estimate_lag(envelope, RATE_HZ, bold[:120], film_time[:120])
    with pytest.raises(GibletError, match="the sound never changes"):
        estimate_lag(np.ones(5400), RATE_HZ, bold, film_time)
    with pytest.raises(GibletError, match="every voxel is constant"):
        estimate_lag(envelope, RATE_HZ, np.ones_like(bold), film_time)
    with pytest.raises(TypeError, match="must be float"):
        estimate_lag(envelope.astype(int), RATE_HZ, bold, film_time)
    with pytest.raises(ValueError, match="bold has 1 NaN"):
        estimate_lag(envelope, RATE_HZ, np.where(bold == bold[3, 3], np.nan, bold), film_time)
