"""Nulls by products of spectra are those that go back to time and are correlated there."""

import numpy as np
import pytest

from giblet.stats.intersubject import agreement, isc, isc_nulls
from giblet.stats.permutation import among_nulls, phase_randomised


def by_time(bold, runs, n_permutations, seed):
    """The definition: phases randomised within each run, then leave-one-out ISC."""
    rng, nulls = np.random.default_rng(seed), []
    for _ in range(n_permutations):
        other = np.empty_like(bold)
        for run in np.unique(runs):
            other[:, runs == run] = phase_randomised(bold[:, runs == run], rng)
        nulls.append(np.nanmean(isc(other), axis=0))
    return np.array(nulls)


@pytest.mark.parametrize("lengths", [(40, 50), (41, 50), (91,), (33, 27, 31)])
@pytest.mark.parametrize("n_subjects", [2, 5])
@pytest.mark.parametrize("many", [40, 3], ids=["pairs", "sums"])
def test_nulls_are_those_of_randomised_series(rng, monkeypatch, lengths, n_subjects, many):
    monkeypatch.setattr("giblet.stats.intersubject._MANY", many)
    runs = np.repeat([str(n) for n in range(len(lengths))], lengths)
    bold = rng.standard_normal((n_subjects, len(runs), 6)) + rng.standard_normal((len(runs), 6))
    found = isc_nulls(bold, runs, 7, seed=3)
    np.testing.assert_allclose(found, by_time(bold, runs, 7, seed=3), atol=2e-6)


@pytest.mark.parametrize("many", [40, 3], ids=["pairs", "sums"])
def test_who_is_constant_is_left_out_of_the_nulls_too(rng, monkeypatch, many):
    monkeypatch.setattr("giblet.stats.intersubject._MANY", many)
    bold = rng.standard_normal((4, 60, 3))
    bold[0, :, 0] = 2.0
    bold[1:, :, 1] = 0.0  # one alone varies: nobody to agree with
    runs = np.repeat(["a", "b"], 30)
    found = isc_nulls(bold, runs, 5, seed=0)
    np.testing.assert_allclose(found[:, [0, 2]], by_time(bold, runs, 5, 0)[:, [0, 2]], atol=2e-6)
    assert np.isnan(found[:, 1]).all()


def test_the_p_of_agreement_is_that_of_the_mean_isc(rng):
    """The highest of four subjects would be above the nulls of the mean far too often."""
    bold, runs = rng.standard_normal((4, 60, 30)), np.repeat(["a", "b"], 30)
    maps = agreement(bold, runs, n_permutations=19, seed=5)
    own = isc(bold)
    nulls = isc_nulls(bold, runs, 19, seed=5)
    np.testing.assert_allclose(maps["isc"], own, atol=1e-6)
    np.testing.assert_array_equal(maps["isc_p"], among_nulls(own.mean(axis=0), nulls).p)
    assert np.mean(maps["isc_p"] <= 0.05) < 0.2
