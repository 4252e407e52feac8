"""Maps show which parcel answers to what; noise shows nothing."""

import numpy as np
import pytest
import xarray as xr
from sklearn.metrics import roc_auc_score

from giblet.brain_quality import brain_quality, summary_table
from giblet.checks import GibletError
from giblet.encoding import isc

T_R = 2.0


def scans_of(bold, n_runs=1):
    """(n_subjects, n_trs, n_parcels) as the loaders give it."""
    n_subjects, n_trs, n_parcels = bold.shape
    names = [f"p{n}" for n in range(n_parcels)]
    runs = [f"run-{1 + n_runs * tr // n_trs}" for tr in range(n_trs)]
    return xr.Dataset(
        {"bold": (("volume", "parcel"), bold.reshape(-1, n_parcels).astype(np.float32))},
        coords={
            "parcel": names,
            "subject": ("volume", np.repeat([f"sub-{s}" for s in range(n_subjects)], n_trs)),
            "run": ("volume", runs * n_subjects),
            "film_time": ("volume", np.tile((np.arange(n_trs) + 0.5) * T_R, n_subjects)),
            "in_film": ("volume", np.ones(n_subjects * n_trs, dtype=bool)),
        },
        attrs={"t_r": T_R, "warnings": [], "source": "SIMULATED"},
    )


def of_volumes(features, n_subjects):
    return xr.Dataset({"regressors": (("volume", "feature"), np.tile(features, (n_subjects, 1)))})


@pytest.fixture(scope="module")
def smooth():
    """Maker of noise as smooth as BOLD, (n_trs, n): ``smooth(n, seed)``."""

    def make(n, seed, n_trs=400):
        rng = np.random.default_rng(seed)
        kernel = np.hanning(7)[:, None]
        white = rng.standard_normal((n_trs + 6, n))
        return np.stack([np.convolve(w, kernel[:, 0], "valid") for w in white.T], axis=1)

    return make


def test_planted_maps_come_back(smooth):
    """Half the parcels answer to sound, a quarter to words, the others to nothing."""
    sound, words = smooth(3, 0), smooth(4, 1)
    rng = np.random.default_rng(2)
    shared = np.concatenate(
        [sound @ rng.normal(size=(3, 20)), words @ rng.normal(size=(4, 10)), np.zeros((400, 10))], 1
    )
    bold = np.stack([shared / 2 + smooth(40, 10 + s) for s in range(4)])
    modalities = {"audio": of_volumes(sound, 4), "text": of_volumes(words, 4)}
    found = brain_quality(scans_of(bold), modalities, T_R, n_permutations=60, n_iter=4)
    answers = {"audio": np.arange(40) < 20, "text": (np.arange(40) >= 20) & (np.arange(40) < 30)}
    for name, truth in answers.items():
        assert roc_auc_score(truth, found[f"r_{name}"].mean("subject")) > 0.95
    either = answers["audio"] | answers["text"]
    assert roc_auc_score(either, found["r_all"].mean("subject")) > 0.95
    assert roc_auc_score(either, found["isc"].mean("subject")) > 0.95
    assert (found["isc_q"] < 0.05).values[either].mean() > 0.9
    assert (found["isc_q"] < 0.05).values[~either].mean() < 0.3
    assert (found["ceiling_upper"] >= found["ceiling_lower"]).all()
    assert found["parcel"].values[0] == "p0"
    table = summary_table(found).set_index(["metric", "subject"])
    assert table.loc[("isc", "sub-1"), "mean"] == pytest.approx(float(found["isc"][1].mean()))
    assert table.loc[("explainable_variance", "all"), "n"] == 40


def test_how_many_words_are_a_band_of_their_own(smooth):
    rate, words = smooth(1, 40)[:, 0], smooth(9, 41)
    bold = np.stack([rate[:, None] + smooth(4, 42 + s) for s in range(2)])
    text = of_volumes(words, 2).assign(n_words=("volume", np.tile(rate, 2)))
    found = brain_quality(scans_of(bold), {"text": text}, T_R, n_permutations=2, n_iter=4)
    assert float(found["r_n_words"].mean()) > 0.5
    assert abs(float(found["r_text"].mean())) < 0.2
    assert float(found["r_all"].mean()) > 0.5


def test_noise_scores_nothing(smooth):
    bold = np.stack([smooth(60, 20 + s, 1200) for s in range(2)])
    found = brain_quality(
        scans_of(bold, n_runs=3), {"audio": of_volumes(smooth(5, 3, 1200), 2)}, T_R, 20
    )
    assert "r_all" not in found  # one modality alone
    assert abs(float(found["r_audio"].mean())) < 0.02
    assert abs(float(found["isc"].mean())) < 0.02
    assert (found["isc_q"] < 0.05).mean() < 0.1


def test_one_subject_has_nobody_to_agree_with(smooth):
    found = brain_quality(scans_of(smooth(3, 5)[None]), {}, T_R)
    assert not found.data_vars


def test_too_short_a_scan_is_said(smooth):
    bold, features = smooth(3, 6, 30)[None], smooth(2, 7, 30)
    with pytest.raises(GibletError, match="too few TRs to hold some out: 30 TRs in 5 folds"):
        brain_quality(scans_of(bold), {"audio": of_volumes(features, 1)}, T_R)


def test_agreement_is_that_of_isc(smooth):
    bold = np.stack([smooth(3, 30) + smooth(3, 31 + s) for s in range(3)])
    found = brain_quality(scans_of(bold), {}, T_R, n_permutations=5)
    np.testing.assert_allclose(found["isc"], isc(bold), atol=1e-5)
