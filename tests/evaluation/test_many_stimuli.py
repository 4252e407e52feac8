"""Scores of many stimuli. Oracles: identities, changed volumes, loops over stimuli and volumes."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from giblet.alignment.aligned import align, film_data
from giblet.alignment.regressors import regress
from giblet.brain.runs import Presented
from giblet.brain.stimulus_clock import StimulusClock
from giblet.config.regions import LesionConfig, SearchlightConfig
from giblet.config.sections import (
    DecodingConfig,
    ScanConfig,
    SplitConfig,
)
from giblet.evaluation import slow_part
from giblet.evaluation.bold_identification import identify_by_bold
from giblet.evaluation.brain_scores import decode_brains
from giblet.evaluation.calibration import Codes, calibration_rows
from giblet.evaluation.decoding import lagged, lags_in_trs
from giblet.evaluation.group_decoding import decode_together
from giblet.evaluation.lesions import decode_lesions
from giblet.evaluation.level_features import FilmLevel, levels_on_trs
from giblet.evaluation.level_scores import level_profile
from giblet.evaluation.moments import Scored
from giblet.evaluation.quality import brain_quality
from giblet.evaluation.searchlight import Places, searchlight
from giblet.evaluation.slow_decoding import lagged_brains, slow_conditions
from giblet.evaluation.slow_part import SlowDecoder
from giblet.io.arrays import load_arrays, save_arrays
from giblet.stats import common_space, ridge
from giblet.stats.cross_validation import purged_folds
from giblet.stats.ridge import banded_weights, folds_within, ridge_encoding

T_R, N_STIMULI, N_TRS, N_VOXELS = 1.5, 24, 12, 6
GAP = 6.0  # s
CLOCK = StimulusClock.lay_out(
    [f"s{k:02}" for k in range(N_STIMULI)], np.full(N_STIMULI, N_TRS * T_R), T_R
)
SPLITS = SplitConfig(test_stimuli=["s2*"], validation_stimuli=["s19"], gap_seconds=GAP)
DECODING = DecodingConfig(
    first_lag_seconds=1.5, last_lag_seconds=3, voxel_share=1, clip_seconds=4.5, n_permutations=20
)
FORWARDS = list(range(N_STIMULI))


def scanned(orders, gains=None, seed=0, **attrs):
    """Scans of SIMULATED brains in two runs a person, (aligned, scans, features by TR).

    ``orders``: stimuli of each person; ``gains``: of each run, (n_people, 2).
    """
    rng = np.random.default_rng(seed)
    level = rng.normal(size=(N_STIMULI, 2)).astype(np.float32)
    features = rng.normal(size=(CLOCK.n_film_trs, 2)).astype(np.float32) * 0.5
    of_tr = CLOCK.stimulus_of_trs()
    features[of_tr >= 0] += level[of_tr[of_tr >= 0]]  # most differs between stimuli
    features[of_tr < 0] = 0
    tables, events = [], []
    for s, order in enumerate(orders):
        halves = np.array_split(np.array(order), 2)
        for r, stimuli in enumerate(halves):
            onsets = np.arange(len(stimuli)) * N_TRS * T_R
            shown = pd.DataFrame({"onset": onsets, "stimulus": stimuli})
            shown["duration"] = CLOCK.durations[stimuli]
            shown["stim_onset"] = CLOCK.begins[stimuli]
            scan_time = np.arange(len(stimuli) * N_TRS) * T_R
            names = ("film_time", "in_film", "film_start")
            times = Presented(CLOCK, shown, scan_time).film_times()
            columns = dict(zip(names, times, strict=True)) | {"scan_time": scan_time}
            own = {"subject": f"sub-{s}", "run": f"run-{r}"}
            tables.append(pd.DataFrame(columns).assign(**own))
            events.append(shown.assign(**own))
    volumes, events = pd.concat(tables), pd.concat(events)
    coords = {name: ("volume", volumes[name].tolist()) for name in volumes}
    names = ("subject", "run", "onset", "duration", "stimulus")
    coords |= {f"event_{name}": ("event", events[name].tolist()) for name in names}
    scans = xr.Dataset(
        {"bold": (("volume", "parcel"), np.zeros((len(volumes), N_VOXELS), np.float32))},
        coords | CLOCK.coordinates(),
        {"t_r": T_R, "source": "SIMULATED", "carry_over": 1, **attrs},
    )
    regressors = regress(features, 1 / T_R, scans, T_R, "spm")
    signal = regressors @ rng.normal(size=(2, N_VOXELS))
    bold = signal + rng.normal(size=signal.shape) * signal.std()
    if gains is not None:
        run = scans["subject"].values.astype(str) + scans["run"].values.astype(str)
        for label, gain in zip(dict.fromkeys(run.tolist()), np.ravel(gains), strict=True):
            bold[run == label] = gain * (bold[run == label] + 100)
    scans["bold"] = (("volume", "parcel"), bold.astype(np.float32))
    film = xr.Dataset(
        {"audio": (("tr", "row", "frame"), features[:, :, None])},
        attrs={"t_r": T_R, "encoding_mode": "mel"},
    )
    blurred = xr.Dataset({"regressors": (("volume", "feature"), regressors.astype(np.float32))})
    blurred.attrs.update(n_trs=CLOCK.n_film_trs, hrf_model="spm", fir_lags_seconds=[])
    return align([film], scans, [blurred], T_R, SPLITS), scans, features


@pytest.fixture(scope="module")
def heard():
    return scanned([FORWARDS, FORWARDS])


def shuffled(seed):
    return np.random.default_rng(seed).permutation(N_STIMULI).tolist()


def code_of(data):
    return data.film["audio"].numpy()[..., 0]


def profile(aligned, scans, features, data):
    levels = [FilmLevel("sound", "one", features, 1 / T_R)]
    of_levels = levels_on_trs(levels, scans, aligned["tr"].values, T_R, "spm")
    ceiling = np.full((len(data.bold), N_VOXELS), np.nan)
    return level_profile(*of_levels, data, {}, ceiling, T_R, DECODING)


# ---- BOLD and regressors by one run --------------------------------------------------------------


def test_levels_are_centred_by_the_run_that_scaled_bold(heard):
    aligned, scans, features = heard
    data = film_data(aligned)
    assert data.scaled_by.tolist() == aligned["run"].values.tolist()
    assert len(set(data.run)) == len(set(aligned["stimulus"].values)) > 20
    by_run = replace(data, run=data.scan_run)  # of r alone: lags would reach too far
    one, other = (profile(aligned, scans, features, each)["r"].item() for each in (data, by_run))
    assert one == pytest.approx(other, abs=1e-6)
    assert one > 0.3  # .13 where each stimulus is centred alone


def test_calibration_scales_bold_by_the_run_that_scaled_it(heard):
    """Z-scored again by all training TRs it is what it was."""
    aligned, _scans, _features = heard
    data = film_data(aligned)
    codes = Codes(code_of(data), aligned["regressors"].values[0])
    rows = calibration_rows(codes, data, T_R, DECODING, ScanConfig(), [100], seed=0)
    full = next(row for row in rows if row["metric"] == "bold_r_reliable")
    train, test = data.where("train"), data.where("test")
    bold, folds = data.bold[0].numpy(), data.penalty_folds(train)
    predicted = ridge_encoding(codes.blurred, bold, train, test, folds)
    r = [np.corrcoef(p, b)[0, 1] for p, b in zip(predicted.T, bold[test].T, strict=True)]
    assert full["subject"] == "sub-0"
    assert full["alone"] == full["full"] == pytest.approx(np.mean(r), abs=1e-5)


def test_first_minutes_are_those_of_each_persons_scans():
    """The second person met the stimuli backwards: what came later there changes nothing."""
    aligned, _scans, _features = scanned([FORWARDS, FORWARDS[::-1]])
    data = film_data(aligned)
    codes, train = Codes(code_of(data), aligned["regressors"].values[0]), data.where("train")
    n_trs = 80
    kept = data.first_scanned(train, n_trs, 1)
    own = aligned["volumes"].values[1, 0, train]
    assert sorted(kept) == sorted(train[np.argsort(own)[:n_trs]].tolist())
    assert data.first_scanned(train, n_trs, 0).tolist() == train[:n_trs].tolist()
    changed = data.bold.clone()
    stimulus = aligned["stimulus"].values  # lags reach on to the end of the last one
    changed[1, train[~np.isin(stimulus[train], stimulus[kept])]] *= -3
    found = []
    for bold in (data.bold, changed):
        person = replace(data, bold=bold)
        rows = calibration_rows(codes, person, T_R, DECODING, ScanConfig(), [2], seed=0)
        found.append([r for r in rows if r["subject"] == "sub-1" and r["minutes"] == 2])
    assert len(found[0]) == 4
    for one, other in zip(*found, strict=True):
        assert one["value"] == pytest.approx(other["value"], abs=1e-5)
        assert one["alone"] == pytest.approx(other["alone"], abs=1e-5)
    assert found[0][0]["full"] != found[1][0]["full"]


# ---- penalties -----------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", [None, 0, 1])
def test_folds_keep_whole_stimuli_and_the_gap(subject):
    """Oracle: a loop over the volumes of everyone, or of one person."""
    order = [*FORWARDS[1:12], 0, *FORWARDS[12:]]
    aligned, scans, _features = scanned([FORWARDS, order])
    data = film_data(aligned)
    train, stimulus = data.where("train"), aligned["stimulus"].values
    folds = data.penalty_folds(train, subject)
    assert len(folds) == 5
    tested = np.concatenate([test for _train, test in folds])
    assert sorted(tested) == train.tolist()
    people = (0, 1) if subject is None else (subject,)
    run, gap_trs = scans["run"].values, round(GAP / T_R)
    for own, held in folds:
        assert not set(stimulus[own]) & set(stimulus[held])
        allowed = set(train) - set(held)
        for s in people:
            of_held = aligned["volumes"].values[s, 0, held]
            for tr in list(allowed):
                volume = aligned["volumes"].values[s, 0, tr]
                near = np.abs(of_held - volume) <= gap_trs
                if (near & (run[of_held] == run[volume])).any():
                    allowed.discard(tr)
        assert own.tolist() == sorted(allowed)


def test_a_file_of_aligned_arrays_gives_the_same_folds(heard, tmp_path):
    names = ("audio", "part", "run", "t_r")
    save_arrays(heard[0], tmp_path / "aligned.nc")
    data, again = film_data(heard[0]), film_data(load_arrays(tmp_path / "aligned.nc", *names))
    train = data.where("train")
    pairs = zip(data.penalty_folds(train), again.penalty_folds(train), strict=True)
    for one, other in pairs:
        np.testing.assert_array_equal(np.concatenate(one), np.concatenate(other))


def test_where_orders_leave_no_gap_a_warning_says_so(caplog):
    aligned, _scans, _features = scanned([FORWARDS, shuffled(1)])
    data = film_data(aligned.assign_attrs(stimulus_gap_trs=500))
    folds = data.penalty_folds(train := data.where("train"))
    assert "penalties are chosen by whole stimuli without a gap" in caplog.text
    assert all(len(own) + len(held) == len(train) for own, held in folds)


def test_a_film_has_no_folds_of_stimuli_and_a_single_stimulus_neither(heard):
    data = film_data(heard[0])
    one = np.flatnonzero(heard[0]["stimulus"].values == "s00")
    assert data.penalty_folds(one) is None
    assert replace(data, presented=None).penalty_folds(data.where("train")) is None


def calibrate(aligned, scans, features, data):
    codes = Codes(code_of(data), aligned["regressors"].values[0])
    calibration_rows(codes, data, T_R, DECODING, ScanConfig(), [2], seed=0)


def decode(aligned, scans, features, data):
    decode_brains(code_of(data), data, T_R, DECODING)
    decode_together(code_of(data), data, T_R, DECODING, ScanConfig())


@pytest.mark.parametrize("scored", [profile, calibrate, decode])
def test_no_penalty_is_chosen_within_a_stimulus(heard, monkeypatch, scored):
    """Rows of ridge that fit, and those that choose its penalty, are of other stimuli."""
    aligned, scans, features = heard
    data, seen = film_data(aligned), []
    solve, predictions = ridge.solve, ridge.predictions
    train, stimulus = data.where("train"), aligned["stimulus"].values
    of_rows = {len(trs): stimulus[trs] for trs in (train, data.first_scanned(train, 80, 0))}

    def look(y, folds):
        n_rows = max(n for n in of_rows if len(y) % n == 0)
        stimuli = np.repeat(of_rows[n_rows], len(y) // n_rows)  # of several people a TR has rows
        every = np.arange(len(stimuli))
        for own, held in folds:
            assert np.isin(own, held).sum() == 0
            assert not set(stimuli[held]) & set(stimuli[np.setdiff1d(every, held)])
        seen.append(len(folds))

    def spy_of_solve(bands, y, folds, *args, **options):
        look(y, folds)
        return solve(bands, y, folds, *args, **options)

    def spy_of_predictions(bands, y, new, folds, *args, **options):
        look(y, folds)
        return predictions(bands, y, new, folds, *args, **options)

    monkeypatch.setattr(ridge, "solve", spy_of_solve)
    monkeypatch.setattr(ridge, "predictions", spy_of_predictions)
    scored(aligned, scans, features, data)
    assert seen
    assert min(seen) > 1


def test_the_slow_part_is_decoded_across_stimuli(heard, monkeypatch):
    """Its penalties and its uncertainty; the only column of BOLD says which stimulus it is of."""
    data, fit, seen = film_data(heard[0]), slow_part.fit_ridge, []
    train = data.where("train")
    folds = folds_within(data.penalty_folds(train), train)

    def spy(x, y, folds):
        stimuli = x[:, 0]
        shared = [set(stimuli[own]) & set(stimuli[held]) for own, held in folds]
        seen.append(len(folds) > 1 and not any(shared))
        return fit(x, y, folds)

    monkeypatch.setattr(slow_part, "fit_ridge", spy)
    x = data.presented.stimulus[train][:, None].astype(float)
    SlowDecoder.fit(x, code_of(data)[train].astype(float), folds, folds)
    assert seen == [True] * 6


def test_the_anchored_prior_measures_its_uncertainty_across_stimuli(heard):
    """Oracle: `SlowDecoder` with the folds of stimuli, of BOLD that is lagged within them."""
    data = film_data(heard[0])
    train, code = data.where("train"), code_of(data)
    join = SimpleNamespace(slow=lambda latent: latent, slow_widths={"audio": code.shape[1]})
    conditions = slow_conditions(
        SimpleNamespace(join=join), code, data, T_R, DECODING, ScanConfig()
    )
    folds = folds_within(data.penalty_folds(train), train)
    x = lagged(data.bold[0].numpy(), data.run, lags_in_trs(T_R, DECODING))[train]
    expected = SlowDecoder.fit(x, conditions.true[train], folds, folds)
    found = conditions.decoders["brain"][0]
    np.testing.assert_allclose(found.held_out, expected.held_out, atol=1e-5)
    np.testing.assert_allclose(found.spread, expected.spread, atol=1e-5)
    by_blocks = SlowDecoder.fit(x, conditions.true[train], purged_folds(np.zeros(len(train)), 11))
    assert np.abs(by_blocks.spread - expected.spread).max() > 1e-3


BY_RIDGE = ScanConfig(alignment="ridge")


def a_lesion(decoder):
    config = LesionConfig(decoder=decoder)
    regions = {"one": np.arange(N_VOXELS) < 3, "other": np.arange(N_VOXELS) >= 3}
    return lambda code, data, _response: decode_lesions(
        code, data, regions, T_R, DECODING, config, 0, BY_RIDGE
    )


ALIGNED_BY = {
    "together": lambda code, data, _response: decode_together(code, data, T_R, DECODING, BY_RIDGE),
    "calibration": lambda code, data, response: calibration_rows(
        Codes(code, response), data, T_R, DECODING, BY_RIDGE, [2], seed=0
    ),
    "anchored prior": lambda _code, data, _response: lagged_brains(data, T_R, DECODING, BY_RIDGE),
    "clips by BOLD": lambda code, data, _response: identify_by_bold(
        Scored(), data.bold.numpy()[:, data.where("test")], data, T_R, DECODING, BY_RIDGE, 0
    ),
    "searchlight": lambda code, data, _response: searchlight(
        code,
        data,
        [Places("region", {"all": np.arange(N_VOXELS)}, {})],
        T_R,
        DECODING,
        SearchlightConfig(),
        BY_RIDGE,
        0,
    ),
    "lesions together": a_lesion("group"),
    "lesions by others": a_lesion("others"),
}


@pytest.mark.parametrize("scored", ALIGNED_BY)
def test_maps_of_people_choose_penalties_across_stimuli(heard, monkeypatch, scored):
    """Every map of ``scan.alignment: ridge``, in the template and of those who join it."""
    aligned, data = heard[0], film_data(heard[0])
    solve, seen = ridge.solve, []
    train, stimulus = data.where("train"), aligned["stimulus"].values
    first = data.first_scanned(train, 80, 0)

    def spy(columns, y, folds, *options, **more):
        of_rows = stimulus[train if len(y) == len(train) else first]
        shared = [set(of_rows[own]) & set(of_rows[held]) for own, held in folds]
        seen.append(len(folds) > 1 and not any(shared))
        return solve(columns, y, folds, *options, **more)

    def weights(*bands, **options):
        with monkeypatch.context() as within:
            within.setattr(ridge, "solve", spy)
            return banded_weights(*bands, **options)

    monkeypatch.setattr(common_space, "banded_weights", weights)
    ALIGNED_BY[scored](code_of(data), data, aligned["regressors"].values[0])
    assert len(seen) >= 4  # there and back, of two people
    assert all(seen)


# ---- runs of other gains -------------------------------------------------------------------------

GAINS = [[0.5, 1.0], [2.0, 1.0]]


def again(order, seed):
    """``order``, and then half of the stimuli a second time: those come in both runs."""
    return [*order, *np.random.default_rng(seed).permutation(order)[: N_STIMULI // 2].tolist()]


DESIGNS = {
    "one order": ([FORWARDS, FORWARDS], 0),
    "other orders": ([shuffled(1), shuffled(2)], 0),
    "first of repeats": ([again(shuffled(1), 3), again(shuffled(2), 4)], 0),
    "mean of repeats": ([again(shuffled(1), 3), again(shuffled(2), 4)], 1),
}


@pytest.mark.parametrize("design", DESIGNS)
def test_gains_of_runs_change_nothing(design):
    """Aligned BOLD, levels and maps of quality are those of runs of gain 1 and level 0."""
    orders, average = DESIGNS[design]
    found = []
    for gains in (None, GAINS):
        aligned, scans, features = scanned(orders, gains, average_repeats=average)
        data = film_data(aligned)
        r = profile(aligned, scans, features, data)["r"].item()
        blurred = xr.Dataset(
            {"regressors": (("volume", "feature"), regressors_of(scans, features))}
        )
        blurred.attrs.update(n_trs=CLOCK.n_film_trs, hrf_model="spm", fir_lags_seconds=[])
        options = {"n_permutations": 5, "n_shifts": 20, "n_iter": 2}
        quality = brain_quality(scans, {"audio": blurred}, T_R, **options)
        names = {"isc", "r_audio", "repeat_variance"} & set(quality.data_vars)
        maps = [quality[name].values.ravel() for name in sorted(names)]
        found.append([data.bold.numpy().ravel(), [r], *maps])
    assert len(found[0]) == len(found[1]) == (5 if "repeats" in design else 4)
    for one, other in zip(*found, strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, atol=2e-3)


def regressors_of(scans, features):
    return regress(features, 1 / T_R, scans, T_R, "spm").astype(np.float32)


def test_volumes_are_scaled_by_training_volumes_of_their_run_alone():
    """Oracle: a loop over people and runs."""
    orders, _average = DESIGNS["mean of repeats"]
    aligned, scans, _features = scanned(orders, GAINS, average_repeats=1)
    volumes, part = aligned["volumes"].values, aligned["part"].values
    raw, expected = scans["bold"].values.astype(float), np.zeros(scans["bold"].shape)
    for s, subject in enumerate(("sub-0", "sub-1")):
        for run in ("run-0", "run-1"):
            here = (scans["subject"].values == subject) & (scans["run"].values == run)
            train = volumes[s][:, part == "train"]
            own = np.intersect1d(np.flatnonzero(here), train[train >= 0])
            expected[here] = (raw[here] - raw[own].mean(axis=0)) / raw[own].std(axis=0)
    means = np.ma.masked_array(
        expected[volumes], np.broadcast_to(volumes[..., None] < 0, (*volumes.shape, N_VOXELS))
    )
    np.testing.assert_allclose(aligned["bold"].values, means.mean(axis=1), atol=1e-4)


def test_calibration_says_where_all_training_trs_give_the_scale():
    found = []
    for design in ("one order", "other orders"):
        data = film_data(scanned(*DESIGNS[design][:1])[0])
        codes = Codes(code_of(data), code_of(data))
        rows = calibration_rows(codes, data, T_R, DECODING, ScanConfig(), [4.2], seed=0)
        found.append({row["scale"] for row in rows if row["minutes"] == 4.2})
    assert found == [{"minutes"}, {"training"}]
