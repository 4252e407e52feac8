"""Regressors: amounts, blurred, each run from silence. Oracles: identities and convolve_hrf."""

import dataclasses
from copy import deepcopy

import numpy as np
import pytest
import torch
import xarray as xr
from nilearn.glm.first_level import compute_regressor

from giblet.alignment.hrf import convolve_hrf, fir_lags
from giblet.alignment.regressors import film_regressors, regress
from giblet.audio.framing import group_trs
from giblet.audio.processor import AudioProcessor
from giblet.brain.events import film_times
from giblet.errors import GibletError
from giblet.film.modalities import MODALITIES, modality_of
from giblet.film.video import block_colours

T_R = 1.5  # s


def make_scans(runs):
    """Clocks of ``runs``: (subject, run, film times (s)) each."""
    return xr.Dataset(
        coords={
            "subject": ("volume", np.concatenate([[s] * len(t) for s, _, t in runs])),
            "run": ("volume", np.concatenate([[r] * len(t) for _, r, t in runs])),
            "film_time": ("volume", (film_time := np.concatenate([t for _, _, t in runs]))),
            "in_film": ("volume", film_time >= 0),
        }
    )


def times(first_tr, n_trs, offset=0.75):
    return (first_tr + np.arange(n_trs)) * T_R + offset


def test_blocks_of_one_colour_keep_it(rng):
    colours = rng.integers(0, 256, (3, 2, 4, 5, 3), dtype=np.uint8)
    pictures = colours.repeat(10, axis=2).repeat(10, axis=3)
    pictures = np.pad(pictures, [(0, 0), (0, 0), (0, 7), (0, 3), (0, 0)])  # edges fill no block
    blocks = block_colours(pictures)
    np.testing.assert_allclose(blocks, colours.reshape(6, -1) / 255, rtol=1e-5)
    assert blocks.dtype == np.float32


@pytest.mark.parametrize("lags", [[], [2.0, 4.0]])
def test_columns_of_a_score_say_their_space_lag_by_lag(rng, lags):
    values = rng.standard_normal((30, 3)).astype(np.float32)
    columns = {
        "score_value": list("xyz"),
        "score_space": ["a", "b", "a"],
        "score_causal": [1, 1, 0],
    }
    score = xr.Dataset(
        {
            "score": (("tr", "score_step", "score_row"), np.zeros((30, 2, 4), np.uint8)),
            "score_values": (("tr", "score_value"), values),
        },
        coords={name: ("score_value", of) for name, of in columns.items()},
    )
    score = score.assign_coords(stimulus_music=("stimulus", [0, 1, 0]))
    scans = make_scans([("sub-01", "1", times(0, 30))])
    model = "fir" if lags else "spm"
    found = film_regressors(score, scans, T_R, model, lags=lags)
    assert found["stimulus_music"].values.tolist() == [0, 1, 0]
    n_lags = max(1, len(lags))
    assert found["value"].values.tolist() == list("xyz") * n_lags
    assert found["space"].values.tolist() == list("aba") * n_lags
    assert found["causal"].values.tolist() == [1, 1, 0] * n_lags
    for column in range(3 * n_lags):
        lag = lags[column // 3 : column // 3 + 1]
        alone = regress(values[:, [column % 3]], 1 / T_R, scans, T_R, model, lag)
        np.testing.assert_allclose(found["regressors"][:, [column]], alone, atol=1e-6)


def test_pictures_and_words_have_the_rate_of_their_frames(rng):
    pictures = rng.integers(0, 256, (4, 3, 20, 20, 3), dtype=np.uint8)
    film = xr.Dataset({"video": (("tr", "picture", "height", "width", "rgb"), pictures)})
    values, rate_hz = modality_of(film).regressors(film, T_R, None)
    assert (values.shape, rate_hz) == ((12, 12), 2.0)
    words = rng.standard_normal((4, 7)).astype(np.float32)
    values, rate_hz = MODALITIES["text"].regressors(
        xr.Dataset({"text": (("tr", "feature"), words)}), T_R, None
    )
    np.testing.assert_array_equal(values, words)
    assert rate_hz == pytest.approx(1 / T_R)


def test_features_of_pictures_come_before_their_colours(rng):
    features = rng.standard_normal((4, 3, 5)).astype(np.float32)  # 3 moments a TR, 1 picture
    pictures = rng.integers(0, 256, (4, 1, 20, 20, 3), dtype=np.uint8)
    film = xr.Dataset(
        {
            "video": (("tr", "picture", "height", "width", "rgb"), pictures),
            "features": (("tr", "moment", "picture_feature"), features),
        }
    )
    values, rate_hz = modality_of(film).regressors(film, T_R, None)
    np.testing.assert_array_equal(values, np.concatenate(features))
    assert rate_hz == 2.0


@pytest.fixture(scope="module", params=["tr_synchronous", "native"])
def processor(request):
    return AudioProcessor(t_r=T_R, framing=request.param)


def grouped_codes(processor, n_trs, rng):
    n_frames = processor.clock.edges(n_trs)[-1]
    codes = rng.integers(0, 1024, (8, n_frames), dtype=np.int32)
    dims = ("tr", "row", "frame")
    return codes, xr.Dataset({"audio": (dims, group_trs(codes, processor.clock, n_trs))})


def test_sound_is_the_codecs_latents_and_their_size_at_the_frame_rate(processor, rng):
    codes, film = grouped_codes(processor, 5, rng)
    values, rate_hz = modality_of(film).regressors(film, T_R, processor)
    codebooks = processor.codec.codebooks()
    dequantised = sum(book[labels] for book, labels in zip(codebooks, codes, strict=True))
    expected = np.concatenate([dequantised, np.abs(dequantised)], axis=1)
    np.testing.assert_allclose(values, expected, atol=1e-4)
    assert len(values) == int(5 * T_R * rate_hz)  # nothing of the sound is missing


def test_renumbering_the_codebooks_leaves_the_regressors_alone(processor, rng):
    codes, film = grouped_codes(processor, 60, rng)
    scans = make_scans([("sub-01", "run-1", times(0, 60))])

    def regressors(film, processor):
        return regress(*modality_of(film).regressors(film, T_R, processor), scans, T_R, "spm")

    other = deepcopy(processor)
    other.coder.codec = dataclasses.replace(processor.codec, model=deepcopy(processor.codec.model))
    renumbered = np.empty_like(codes)
    for q, book in enumerate(other.codec.model.codebooks.detach()):
        new_name = rng.permutation(1024)
        renumbered[q] = new_name[codes[q]]
        book[torch.from_numpy(new_name)] = book.clone()
    grouped = group_trs(renumbered, processor.clock, 60)
    renumbered_film = film.assign(audio=(film["audio"].dims, grouped))
    one = regressors(film, processor)
    np.testing.assert_allclose(regressors(renumbered_film, other), one, atol=1e-5)
    half_done = regressors(renumbered_film, processor)  # codes renumbered, codewords not
    one, half_done = (r[22:] - r[22:].mean(axis=0) for r in (one, half_done))  # past the first 32 s
    assert abs(np.corrcoef(one.ravel(), half_done.ravel())[0, 1]) < 0.5


def test_silence_is_nothing_in_mels_regressors():
    """As it is before a run: else each run would begin with a response to a loud nothing."""
    processor = AudioProcessor(use_encodec=False)
    n_frames = processor.clock.frames_per_tr
    silence = np.full((20, processor.mel.n_mels, n_frames), -100.0, dtype=np.float32)
    film = xr.Dataset({"audio": (("tr", "row", "frame"), silence)})
    scans = make_scans([("a", "1", times(0, 20))])
    assert not film_regressors(film, scans, T_R, "spm", processor)["regressors"].values.any()


def test_words_are_counted_beside_what_they_say(rng):
    text = rng.standard_normal((40, 6)).astype(np.float32)
    film = xr.Dataset({"text": (("tr", "feature"), text), "n_words": ("tr", text[:, 0] + 3)})
    scans = make_scans([("sub-01", "run-1", times(0, 30))])
    found = film_regressors(film, scans, T_R, "spm")
    expected = convolve_hrf(film["n_words"].values[:, None], 1 / T_R, times(0, 30), "spm")
    np.testing.assert_allclose(found["n_words"], expected, atol=1e-6)
    np.testing.assert_array_equal(found["regressors"], regress(text, 1 / T_R, scans, T_R, "spm"))
    assert not film_regressors(xr.Dataset(), scans, T_R, "spm").data_vars


def test_a_part_of_the_film_is_refused(rng):
    """As files of aligned TRs hold: read from the film's beginning it would be at wrong times."""
    film = xr.Dataset({"text": (("tr", "dim"), rng.standard_normal((20, 2)))})
    film = film.assign_coords(tr=np.arange(20))
    scans = make_scans([("s", "1", times(0, 20))])
    assert film_regressors(film, scans, T_R, "spm")["regressors"].values.any()
    for part in (film.isel(tr=slice(3, None)), film.isel(tr=[0, 1, 2, 5, 6])):
        with pytest.raises(GibletError, match="every TR"):
            film_regressors(part, scans, T_R, "spm")


def test_fir_is_nilearns_of_every_feature_at_every_lag(rng):
    """Words as events of a TR; what nilearn calls delay d ends d - 1 TRs before the volume."""
    text = rng.standard_normal((40, 3)).astype(np.float32)
    film = xr.Dataset({"text": (("tr", "feature"), text), "n_words": ("tr", text[:, 0] + 3)})
    clock, lags = times(0, 40, offset=0.0), fir_lags("fir", None, T_R)
    found = film_regressors(film, make_scans([("s", "1", clock)]), T_R, "fir", lags=lags)
    delays = [round(lag / T_R) + 1 for lag in lags]
    assert delays == [3, 4, 5, 6]
    for name, columns in (("regressors", text.T), ("n_words", text.T[:1] + 3)):
        events = [np.array([clock, np.full(40, T_R), column]) for column in columns]
        oracles = [compute_regressor(e, "fir", clock, fir_delays=delays)[0] for e in events]
        expected = np.stack(oracles, axis=2).reshape(40, -1)  # lag by lag
        np.testing.assert_allclose(found[name], expected, atol=1e-5)
    assert found.attrs["fir_lags_seconds"] == list(lags)


def test_each_subject_is_read_on_its_own_clock(rng):
    values = rng.standard_normal((300, 4))  # 30 s
    clocks = [("sub-01", "run-1", times(0, 20)), ("sub-02", "run-1", times(0, 18, offset=0.2))]
    regressors = regress(values, 10.0, make_scans(clocks), T_R, "glover")
    expected = [convolve_hrf(values, 10.0, t, "glover") for _, _, t in clocks]
    np.testing.assert_array_equal(regressors, np.concatenate(expected))


def test_each_run_starts_from_silence(rng):
    values = rng.standard_normal((900, 4))
    runs = [("sub-01", "run-1", times(0, 30)), ("sub-01", "run-2", times(28, 30))]
    scans = make_scans(runs)
    regressors = regress(values, 10.0, scans, T_R, "spm")
    altered = values.copy()
    altered[:420] += 1.0  # what run 1 saw before run 2 began at 42 s
    moved = regress(altered, 10.0, scans, T_R, "spm")
    np.testing.assert_array_equal(moved[30:], regressors[30:])
    assert np.abs(moved[5:30] - regressors[5:30]).min() > 1e-3
    alone = convolve_hrf(values[420:], 10.0, times(0, 30))
    np.testing.assert_allclose(regressors[30:], alone, atol=1e-6)


def test_volumes_that_were_dropped_saw_the_film(rng):
    """A run of 20 TRs from 42 s on; without its first eight volumes the others stay what they were.

    Oracle: what they were, and for scans that do not say when the film began, silence before.
    """
    values = rng.standard_normal((900, 4))
    scans = make_scans([("sub-01", "run-2", times(28, 20))])
    scans = scans.assign_coords(film_start=("volume", np.full(20, 42.3)))
    whole = regress(values, 10.0, scans, T_R, "spm")
    left = scans.isel(volume=slice(8, None))
    np.testing.assert_allclose(regress(values, 10.0, left, T_R, "spm"), whole[8:], atol=1e-6)
    silent = regress(values, 10.0, left.drop_vars("film_start"), T_R, "spm")
    expected = convolve_hrf(values[540:], 10.0, times(0, 12))
    np.testing.assert_allclose(silent, expected, atol=1e-6)
    assert np.abs(silent - whole[8:]).max() > 0.1


def test_a_film_that_began_before_its_file_is_not_wound_back(rng):
    scans = make_scans([("sub-01", "run-1", times(0, 20))])
    early = scans.assign_coords(film_start=("volume", np.full(20, -12.0)))
    values = rng.standard_normal((300, 2))
    found = regress(values, 10.0, early, T_R, "spm")
    np.testing.assert_array_equal(found, regress(values, 10.0, scans, T_R, "spm"))


def test_runs_are_told_apart_whatever_their_names(rng):
    values = rng.standard_normal((900, 2))
    runs = [("sub-1", "1-run", times(0, 20)), ("sub-11", "-run", times(28, 20))]
    found = regress(values, 10.0, make_scans(runs), T_R, "spm")
    alone = [regress(values, 10.0, make_scans([run]), T_R, "spm") for run in runs]
    np.testing.assert_array_equal(found, np.concatenate(alone))


def test_volumes_before_the_film_show_no_response(rng):
    values = rng.standard_normal((300, 2))
    regressors = regress(values, 10.0, make_scans([("s", "1", times(-4, 20))]), T_R, "spm")
    assert not regressors[:4].any()
    expected = convolve_hrf(values, 10.0, times(0, 16))
    np.testing.assert_allclose(regressors[4:], expected, atol=1e-6)


@pytest.mark.parametrize("model", ["spm", "fir", "none"])
def test_after_a_leap_in_a_run_the_response_to_what_was_shown_before_remains(model, rng):
    """Against the film as it was seen, in the scanner's time: 30 s, a pause of 12 s, 30 s more."""
    values, lags = rng.normal(size=(3000, 3)), (0.0, 3.0) if model == "fir" else ()
    seen = np.concatenate([values[:300], np.zeros((120, 3)), values[1500:1800]])
    scan_time = 0.75 + T_R * np.arange(48)
    first = scan_time < 42
    film_time = np.where(first, scan_time, scan_time - 42 + 150)
    scans = xr.Dataset(
        coords={
            "film_time": ("volume", film_time),
            "in_film": ("volume", (scan_time < 30) | ~first),
            "film_start": ("volume", np.where(first, 0.0, 150.0)),
            "subject": ("volume", np.repeat("sub-01", 48)),
            "run": ("volume", np.repeat("run-1", 48)),
        },
    )
    expected = convolve_hrf(seen, 10.0, scan_time, model, lags=lags, width=T_R)
    found = regress(values, 10.0, scans, T_R, model, lags)
    shown = scans["in_film"].values
    np.testing.assert_allclose(found[shown], expected[shown], atol=1e-5)


def shown(*events, n=110):
    """Scans of one run every 2 s; ``events``: onset, duration and second of the film of each."""
    clock = film_times(2.0 * np.arange(n) + 1, *np.array(events, float).T)
    names = ("film_time", "in_film", "film_start")
    coords = {name: ("volume", values) for name, values in zip(names, clock, strict=True)}
    return xr.Dataset(
        coords=coords | {"subject": ("volume", ["s"] * n), "run": ("volume", ["r"] * n)}
    )


@pytest.mark.parametrize("second", [(76, 100, 60), (68, 100, 60), (66, 100, 300)])
def test_scrubbed_volumes_heard_the_film(rng, second):
    """At the end of a showing, at its beginning and within it."""
    values, scans = rng.normal(size=(4000, 1)), shown((6, 60, 0), second)
    on = scans["in_film"].values
    first = scans["film_start"].values == 0
    ours, later = np.flatnonzero(on & first), np.flatnonzero(on & ~first)
    scrubbed = np.zeros(110, dtype=bool)
    scrubbed[[*ours[-5:], *later[:3], later[9]]] = True
    less = scans.assign_coords(in_film=("volume", on & ~scrubbed), scrubbed=("volume", scrubbed))
    expected, found = (regress(values, 10.0, each, 2.0, "spm") for each in (scans, less))
    np.testing.assert_array_equal(found[on], expected[on])


def test_a_blank_through_which_the_film_ran_was_not_seen(rng):
    values, scans = rng.normal(size=(3000, 1)), shown((10, 100, 0), (120, 90, 110))
    seen = values.copy()
    seen[1000:1100] = 0
    found = regress(values, 10.0, scans, 2.0, "spm")
    on = scans["in_film"].values
    expected = regress(seen, 10.0, shown((10, 200, 0)), 2.0, "spm")
    np.testing.assert_allclose(found[on], expected[on], atol=1e-6)


def test_events_that_were_logged_with_jitter_are_one_film(rng):
    """Rows 20 ms apart, cut within a TR: as if the film had run on, but for these 20 ms."""
    values = rng.normal(size=(600, 3))
    film_time = times(0, 40) + np.where(np.arange(40) >= 14, 0.02, 0.0)
    scans = make_scans([("sub-01", "run-1", film_time)])
    start = np.where(np.arange(40) >= 14, 20.32, 0.0)  # TR 13 begins at 19.5 s
    cut = regress(values, 10.0, scans.assign_coords(film_start=("volume", start)), T_R, "spm")
    whole = convolve_hrf(values, 10.0, film_time)
    np.testing.assert_allclose(cut, whole, atol=0.02)
