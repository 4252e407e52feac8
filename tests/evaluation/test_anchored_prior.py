"""The prior's curve: identities at strength 0, a planted brain, a brain that knows nothing."""

import numpy as np
import pandas as pd
import pytest
import torch
from factories import scanned, slot_model, small_shapes

from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.inference import bottlenecks
from giblet.config.prior import PriorConfig
from giblet.config.sections import DecodingConfig, ScanConfig
from giblet.evaluation.anchored_prior import CURVE, NOVELTY, SOUND, TRUE, curve, curve_table
from giblet.evaluation.bank import Bank
from giblet.evaluation.slow_decoding import audio_slow, slow_conditions
from giblet.report.anchored_prior import CHANCE_WORD, NO_WORD, points, word

T_R, N_TRS, N_VOXELS, RATE = 1.5, 300, 40, 8000
STRENGTHS = [0.0, 1.0]
DECODING = DecodingConfig(clip_seconds=4.5, n_permutations=200, voxel_share=1.0)


def to_sound(bottleneck, _trs):
    """Tones whose levels are the bottleneck's features: a sound that says all of it."""
    time = np.arange(int(T_R * RATE)) / RATE
    pitches = np.geomspace(150, 3500, bottleneck.shape[1])
    tones = np.sin(2 * np.pi * pitches[:, None] * time)
    return (np.exp(1.5 * bottleneck) @ tones / 100).ravel().astype(np.float32)


@pytest.fixture(scope="module")
def film():
    """A slot model, and random codes as the film: (autoencoder, film, bottlenecks)."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    codes = rng.integers(16, size=(N_TRS, 2, 8)).astype(np.int32)
    shapes = small_shapes(video=None, n_text=None, n_voxels=N_VOXELS)
    model = Autoencoder(shapes, slot_model(slot_video=1, slot_text=1))
    model.codebooks.take(torch.randn(2, 16, shapes.codebook_dim))
    data = scanned({"audio": torch.from_numpy(codes)}, None)
    return model, data.film, bottlenecks(model, data)


def made(film, bold, config=None, decoding=DECODING):
    model, features, code = film
    data = scanned(features, bold, tuple(f"sub-{n}" for n in range(len(bold))), n_first=N_TRS)
    conditions = slow_conditions(model, code, data, T_R, decoding, ScanConfig())
    train, test = data.where("train"), data.where("test")
    bank = Bank(
        "training", code[train], [np.arange(len(train))], np.repeat("film", len(train)), train
    )
    options = (RATE, T_R, decoding, config or PriorConfig(strengths=STRENGTHS), 0)
    sound = to_sound(code[test], test)
    result = curve(conditions, bank, model, code, data, np.arange(N_TRS), to_sound, sound, *options)
    return curve_table("encodec", bank.name, result.rows), result


def brains(film, rng, signal, n_people=2):
    """SIMULATED: voxels follow sound's slow part 4.5 s late."""
    slow = audio_slow(film[0], film[2])
    slow = (slow - slow.mean(axis=0)) / slow.std(axis=0)
    weights = rng.standard_normal((slow.shape[1], N_VOXELS))
    late = np.roll(slow, 3, axis=0) @ weights
    return signal * late + rng.standard_normal((n_people, N_TRS, N_VOXELS))


@pytest.fixture(scope="module")
def planted(film):
    return made(film, brains(film, np.random.default_rng(1), signal=2.0))


def value(table, column, strength, metric):
    rows = table[(table["column"] == column) & (table["metric"] == metric)]
    return float(rows.loc[rows["strength"] == strength, "value"].iloc[0])


def test_the_retrieved_clip_is_in_the_bank_and_free_sound_is_not(planted):
    table, result = planted
    assert list(table.columns) == CURVE
    for column in ("brain", "brain_group", TRUE):
        assert value(table, column, 0, NOVELTY) < 0.01  # windows of spectra reach over its ends
        assert value(table, column, 1, NOVELTY) > 0.05
    assert {row["source"] for row in result.retrieved} == {"film"}
    assert set(result.sounds) == {
        f"{c}_{s:g}" for c in ("brain", "brain_group", TRUE) for s in (0, 1)
    }


def test_a_brain_with_signal_is_identified_and_its_shuffled_one_is_not(planted):
    table, _result = planted
    for strength in STRENGTHS:
        assert value(table, "brain", strength, SOUND) > 0.3
        assert abs(value(table, "brain_shuffled", strength, SOUND) - 0.1) < 0.06
    assert word(table, "brain")[0] in ("retrieved", "reconstructed")


def test_a_brain_without_signal_is_not_told_from_chance_at_any_strength(film):
    table, _result = made(film, brains(film, np.random.default_rng(2), signal=0.0))
    own = table[(table["column"] == "brain") & (table["metric"] == SOUND)]
    assert (own["p"] > 0.01).all()
    assert (abs(own["value"] - 0.1) < 0.1).all()
    assert word(table, "brain")[0] == CHANCE_WORD
    slow = table[(table["column"] == "brain") & (table["metric"] == "identification_10way")]
    assert (slow["p"] > 0.01).all()


def test_one_subject_and_few_clips_leave_out_what_they_cannot_give_in_a_line(film, caplog):
    bold = brains(film, np.random.default_rng(1), signal=2.0, n_people=1)
    long = DecodingConfig(clip_seconds=15.0, voxel_share=1.0)
    table, _result = made(film, bold, PriorConfig(strengths=[0.0]), long)
    assert "one subject" in caplog.text
    assert "identification needs 10: faithfulness is left out" in caplog.text
    assert not table["column"].str.startswith("brain_group").any()
    assert set(table["metric"]) == {NOVELTY}
    assert word(table, "brain")[0] == NO_WORD
    assert points(table).empty


def test_test_trs_change_nothing_that_is_fitted(film):
    rng = np.random.default_rng(1)
    bold = brains(film, rng, signal=2.0)
    model, features, code = film
    fitted = []
    for scale in (1, 5):
        data = scanned(features, bold, n_first=N_TRS)
        data.bold[:, data.where("test")] *= scale
        fitted.append(slow_conditions(model, code, data, T_R, DECODING, ScanConfig()))
    one, other = fitted
    pd.testing.assert_series_equal(
        pd.Series(one.smoothing_scores), pd.Series(other.smoothing_scores)
    )
    np.testing.assert_array_equal(one.space.basis, other.space.basis)
