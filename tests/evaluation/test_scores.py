"""Every score beside its null, none of them made up. Oracles: loops, scikit-learn, chance."""

import numpy as np
import pytest
import torch
from factories import flat_model, small_shapes
from sklearn.metrics import log_loss

from giblet.alignment.dataset import FilmData
from giblet.alignment.voxels import reliable_voxels
from giblet.audio.mel import MelSettings
from giblet.audio.metrics.identify import identification
from giblet.audio.metrics.scores import score_sound
from giblet.audio.processor import AudioProcessor
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.evaluation.scores import (
    bold_rows,
    code_rows,
    rate_rows,
    score_row,
    score_table,
    sound_rows,
)

RATE = 24000


def test_identification_is_a_count_of_wins(rng):
    truth = rng.standard_normal((12, 30))
    estimate = truth + 2 * rng.standard_normal((12, 30))
    expected = []
    for i in range(12):
        own = np.corrcoef(estimate[i], truth[i])[0, 1]
        others = [np.corrcoef(estimate[i], truth[j])[0, 1] for j in range(12) if j != i]
        expected.append(np.mean([own > other for other in others]))
    np.testing.assert_allclose(identification(estimate, truth), expected)


def test_chance_is_one_half(rng):
    n = 200
    scores = identification(rng.standard_normal((n, 50)), rng.standard_normal((n, 50)))
    assert abs(scores.mean() - 0.5) < 4 * np.sqrt(1 / 12 / n)
    one_for_all = np.tile(rng.standard_normal(50), (n, 1))  # the same estimate for every TR
    assert identification(one_for_all, rng.standard_normal((n, 50))).mean() == pytest.approx(0.5)


def test_identification_of_truth_is_perfect_and_of_its_opposite_is_nil(rng):
    truth = rng.standard_normal((20, 40))
    assert (identification(3 * truth + 7, truth) == 1).all()
    assert (identification(-truth, truth) == 0).all()


@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")
def test_an_estimate_without_a_shape_is_not_given_a_score(rng):
    truth = rng.standard_normal((5, 10))
    estimate = truth.copy()
    estimate[2] = 0.0  # correlates with nothing
    assert np.flatnonzero(np.isnan(identification(estimate, truth))).tolist() == [2]
    row = score_row("brain", "identification_2way", identification(estimate, truth), seed=0)
    assert (row["n"], row["n_failed"], row["value"]) == (4, 1, 1.0)


def test_a_row_is_a_mean_its_interval_and_how_many(rng):
    scores = rng.standard_normal(400) + 3
    row = score_row("stimulus", "stoi", scores, seed=0)
    assert row["value"] == pytest.approx(scores.mean())
    half = 1.96 * scores.std() / 20  # of the normal interval
    assert row["low"] == pytest.approx(scores.mean() - half, abs=0.2 * half)
    assert row["high"] == pytest.approx(scores.mean() + half, abs=0.2 * half)
    assert (row["column"], row["metric"], row["n"], row["n_failed"]) == ("stimulus", "stoi", 400, 0)


@pytest.mark.parametrize(
    ("settings", "values", "kbit"),
    [
        ({"t_r": 2.0}, 8 * 75, 6.0),
        ({"t_r": 1.5}, 8 * 112 / 1.5, 8 * 112 / 1.5 / 100),
        ({"use_encodec": False, "t_r": 2.0, "mel": MelSettings(n_mels=80)}, 7500, 240.0),
    ],
    ids=["codes", "tr_synchronous", "mel"],
)
def test_values_and_kilobits_stand_beside_every_score(settings, values, kbit):
    rows = {row["metric"]: row["value"] for row in rate_rows(AudioProcessor(**settings))}
    assert rows["values_per_s"] == pytest.approx(values, rel=0.01)
    assert rows["kbit_per_s"] == pytest.approx(kbit, rel=0.01)


def test_sounds_of_several_subjects_are_averaged_by_segment(rng):
    time = np.arange(6 * RATE) / RATE
    original = np.sin(2 * np.pi * 220 * time) * (1 + np.sin(2 * np.pi * 3 * time))
    original = (0.1 * original).astype(np.float32)
    noisy = [
        (original + k * rng.standard_normal(len(time))).astype(np.float32) for k in (0.01, 0.1)
    ]
    rows = {row["metric"]: row for row in sound_rows(original, {"brain": noisy}, RATE, seed=0)}
    alone = [score_sound(original, estimate, RATE).set_index("metric") for estimate in noisy]
    for metric in ("stoi", "si_sdr_db", "log_mel_db"):
        expected = np.mean([table.loc[metric, "value"] for table in alone])
        assert rows[metric]["value"] == pytest.approx(expected)
        assert rows[metric]["n"] == 1  # segments, not segments times subjects
    assert {"pesq_wb", "stoi", "si_sdr_db", "log_mel_db", "sync_error_ms"} <= set(rows)
    assert rows["si_sdr_db"]["value"] > 5


@pytest.fixture
def codes(rng):
    """Codes of 30 TRs, some codes more frequent than others, every other TR one frame short."""
    codes = rng.choice(16, p=np.arange(16) / 120, size=(30, 2, 9)).astype(np.int32)
    codes[1::2, :, -1] = -1
    return codes


@pytest.fixture
def model():
    shapes = small_shapes(frames_per_tr=9, video=None, n_text=None, n_voxels=0, subjects=())
    sizes = flat_model(audio_dim=8, bottleneck_dim=12)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Autoencoder(shapes, sizes).eval()


def rows_of_codes(model, codes, rng):
    part = np.repeat(["train", "test"], [20, 10])
    data = FilmData({"audio": torch.from_numpy(codes)}, None, part, np.repeat("none", 30))
    bottleneck = rng.standard_normal((10, 12)).astype(np.float32)
    rows = code_rows(model, bottleneck, data, seed=0)
    with torch.inference_mode():
        logits = model.decoders["audio"].logits(torch.from_numpy(bottleneck)).numpy()
    return {(row["column"], row["metric"]): row for row in rows}, logits


def test_code_scores_are_scikit_learns(model, codes, rng):
    rows, logits = rows_of_codes(model, codes, rng)
    test, known = codes[20:], codes[20:] >= 0
    right, nats = [], []
    for tr in range(10):
        labels, scores = test[tr][known[tr]], logits[tr][known[tr]].astype(float)
        chances = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
        nats.append(log_loss(labels, chances, labels=range(16)))
        right.append(np.mean(scores.argmax(-1) == labels))
    assert rows["stimulus", "cross_entropy_nats"]["value"] == pytest.approx(np.mean(nats), rel=1e-4)
    assert rows["stimulus", "code_accuracy"]["value"] == pytest.approx(np.mean(right), rel=1e-4)
    assert rows["stimulus", "code_accuracy"]["n"] == 10


def test_code_frequencies_are_counted_on_training_trs(model, codes, rng):
    rows, _ = rows_of_codes(model, codes, rng)
    train, test = codes[:20], codes[20:]
    right, nats = [], []
    for tr in range(10):
        hits, cost = [], []
        for q in range(2):
            counts = np.bincount(train[:, q][train[:, q] >= 0], minlength=16)
            labels = test[tr, q][test[tr, q] >= 0]
            hits.append(labels == counts.argmax())
            cost.append(-np.log((counts + 1) / (counts.sum() + 16))[labels].mean())
        right.append(np.mean(np.concatenate(hits)))
        nats.append(np.mean(cost))
    assert rows["unigram", "code_accuracy"]["value"] == pytest.approx(np.mean(right))
    assert rows["unigram", "cross_entropy_nats"]["value"] == pytest.approx(np.mean(nats))


def test_slots_without_a_frame_are_no_code_to_guess(model, codes, rng):
    """-1 would be the most common "code" here, and never right."""
    codes = rng.permuted(np.tile(np.arange(16, dtype=np.int32), (30, 2, 1)), axis=-1)[..., :9]
    codes[:20, :, 4:] = -1
    rows, _ = rows_of_codes(model, codes, rng)
    assert rows["unigram", "code_accuracy"]["value"] > 0


def test_bold_scores_are_means_by_subject(rng):
    r = rng.uniform(-1, 1, (3, 8))
    r[0, 2] = np.nan  # a voxel without signal counts for nothing
    rows = {row["metric"]: row for row in bold_rows("encoding", r, np.arange(3), 0)}
    assert rows["bold_r"]["value"] == pytest.approx(np.nanmean(r, axis=1).mean())
    assert rows["bold_r"]["n"] == 3
    assert rows["bold_r_reliable"]["value"] == pytest.approx(np.nanmean(r[:, :3], axis=1).mean())


def test_reliable_voxels_are_those_in_which_subjects_agree(rng):
    shared, bold = rng.standard_normal((80, 100)), rng.standard_normal((4, 80, 100))
    bold[:, :, [7, 42, 55, 81, 99]] += 2 * shared[:, [7, 42, 55, 81, 99]]
    bold[:, :, 3] = 0.0  # constant
    assert sorted(reliable_voxels(bold)) == [7, 42, 55, 81, 99]
    assert len(reliable_voxels(bold[:1])) == 100  # one subject agrees with nobody


def test_the_table_is_long():
    rows = [score_row("codec", "stoi", np.array([0.5, 0.7]), 0), *rate_rows(AudioProcessor())]
    table = score_table("encodec", rows)
    expected = ["path", "column", "metric", "value", "low", "high", "n", "n_failed"]
    assert table.columns.tolist() == expected
    assert table["path"].unique().tolist() == ["encodec"]
    assert table["low"].isna().tolist() == [False, True, True]  # one value has no interval
