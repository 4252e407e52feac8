"""Linear maps are the scores of the baselines, and their p mean what they say."""

import numpy as np
import pytest
from scipy.signal import lfilter

from giblet.stats.cross_validation import held_out_scores
from giblet.stats.encoding_maps import ClockGroup, group_by_clock, held_out_folds, linear_maps
from giblet.stats.permutation import false_discovery_rate
from giblet.stats.variance import variance_partition

GAP = 5  # TRs
RUNS = np.repeat(["a", "b"], 90)


@pytest.fixture
def film(rng):
    sound, words = rng.standard_normal((180, 3)), rng.standard_normal((180, 6))
    both = np.column_stack([sound[:, 0], words[:, 0], sound[:, 1] + words[:, 1], 0 * words[:, 0]])
    bold = both + rng.standard_normal((2, 180, 4))
    return {"sound": sound, "words": words}, bold.astype(np.float32)


def maps(bold, bands, runs=RUNS, **options):
    audience = ClockGroup(list(range(len(bold))), bands)
    options = {"n_shifts": 99, "n_iter": 3} | options
    return linear_maps(bold, [audience], held_out_folds(runs, GAP), **options)


@pytest.mark.parametrize("runs", [RUNS, np.zeros(180)], ids=["runs", "blocks"])
def test_r_and_r2_are_those_of_the_baselines(film, runs):
    bands, bold = film
    found = maps(bold, bands, runs)
    for subject in range(2):
        mixtures = {"r_sound": ["sound"], "r_words": ["words"], "r_all": ["sound", "words"]}
        for label, names in mixtures.items():
            chosen = [bands[name] for name in names]
            r, r2 = held_out_scores(chosen, bold[subject], runs, GAP, n_iter=3)
            # what follows nothing is predicted to vary by less than float32 rounds
            np.testing.assert_allclose(found[label][subject], r, atol=1e-2)
            np.testing.assert_allclose(found[label][subject, :3], r[:3], atol=1e-4)
        np.testing.assert_allclose(found["r2_all"][subject], r2, atol=1e-4)


def test_what_only_one_modality_tells_is_its_share_of_the_partition(film):
    bands, bold = film
    found = maps(bold[:1], bands)
    shares = variance_partition(bands, bold[0], RUNS, GAP, n_iter=3)
    for name in bands:
        np.testing.assert_allclose(found[f"unique_{name}"][0], shares[name], atol=1e-4)
    assert found["unique_sound"][0].argmax() == 0
    assert found["unique_words"][0].argmax() == 1


def test_kept_nulls_are_those_of_p(film):
    bands, bold = film
    found = maps(bold, bands, n_shift_maps=99)
    for label in ("r_sound", "r_words", "r_all"):
        reached = (found[f"{label}_nulls"] >= found[label].mean("subject")).sum("null")
        np.testing.assert_allclose(found[f"{label}_p"][:3], (1 + reached[:3]) / 100)
    few = maps(bold, bands, n_shift_maps=5)
    assert few["r_sound_nulls"].shape == (5, 4)
    np.testing.assert_allclose(few["r_sound_nulls"], found["r_sound_nulls"][:5])
    assert "unique_sound_nulls" not in found


def test_of_three_modalities_two_are_the_others(film):
    bands, bold = film
    bands = bands | {"pictures": np.roll(bands["sound"], 50, axis=0)}
    found = maps(bold[:1], bands)
    _r, others = held_out_scores([bands["words"], bands["pictures"]], bold[0], RUNS, GAP, n_iter=3)
    np.testing.assert_allclose(found["unique_sound"][0], found["r2_all"][0] - others, atol=1e-4)


def test_a_band_that_never_varies_in_training_adds_nothing(film):
    """A band of zeros, and one that varies in the second run alone."""
    bands, bold = film
    late = np.where(RUNS == "b", np.arange(180.0), 0.0)[:, None]
    found = maps(bold, bands | {"flat": np.zeros((180, 2)), "late": late})
    expected = maps(bold, bands | {"late": late})
    assert not found["unique_flat"].values.any()
    assert np.isnan(found["r_flat"]).all()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])
    folds, one = held_out_folds(RUNS, GAP), ClockGroup([0, 1], bands | {"late": late})
    (without,) = [fold for fold in folds if (RUNS[fold.train] == "a").all()]
    alone = linear_maps(bold, [one], [without], n_shifts=9, n_iter=3)
    assert not alone["unique_late"].values.any()


def test_subjects_with_clocks_of_their_own_are_fitted_alone(film):
    """Two who saw the film a volume later than the first, which has other regressors."""
    bands, bold = film
    bold = np.concatenate([bold, bold[:1]])
    volumes = np.arange(540).reshape(3, 180)
    film_time = np.concatenate([np.arange(180.0), *[np.arange(180.0) + 0.5] * 2])
    every = {k: np.concatenate([v, *[np.roll(v, 1, axis=0)] * 2]) for k, v in bands.items()}
    audiences = group_by_clock(every, volumes, film_time)
    assert [audience.subjects for audience in audiences] == [[0], [1, 2]]
    found = linear_maps(bold, audiences, held_out_folds(RUNS, GAP), n_shifts=9, n_iter=3)
    for subjects, rows in (([0], slice(180)), ([1, 2], slice(180, 360))):
        alone = maps(bold[subjects], {k: v[rows] for k, v in every.items()}, n_shifts=9)
        np.testing.assert_allclose(found["r_all"][subjects], alone["r_all"], atol=1e-4)


@pytest.mark.parametrize(
    ("phi", "runs", "most"),
    [(0.0, np.repeat([0, 1], 180), 0.07), (0.7, np.zeros(360), 0.07), (0.9, np.zeros(360), 0.09)],
)
def test_noise_has_p_values_as_often_below_005_as_they_say(rng, phi, runs, most):
    """White and smooth noise of two subjects and six films; two runs, and blocks of one. The gap is
    shorter than the noise of 0.9 is smooth (notes/evaluation.md)."""
    p, means = [], []
    for _film in range(6):
        noise = lfilter([1], [1, -phi], rng.standard_normal((3, 360, 200)), axis=1)
        found = maps(noise[:2].astype("f4"), {"film": noise[2, :, :20]}, runs, n_shifts=499)
        p.append(found["r_film_p"].values)
        means.append(float(found["r_film"].mean()))
        assert (false_discovery_rate(p[-1]) < 0.05).sum() <= 2
    assert abs(np.mean(means)) < 0.02
    assert 0.03 < (np.array(p) < 0.05).mean() < most


def test_what_follows_the_film_is_beyond_chance(film):
    bands, bold = film
    p = maps(bold, bands, n_shifts=999)
    assert (p["r_sound_p"][[0, 2]] < 0.01).all()
    assert (p["r_words_p"][[1, 2]] < 0.01).all()
    assert p["r_all_p"][3] > 0.05


def test_no_modality_gives_no_map(film):
    assert not linear_maps(film[1], group_by_clock({}, np.zeros((2, 1), int), np.zeros(1)), [])
