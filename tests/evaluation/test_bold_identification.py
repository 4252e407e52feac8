"""Identification by predicted BOLD. Oracles: numpy's corrcoef, brains without any signal."""

import numpy as np
import pytest
import torch

from giblet.alignment.dataset import FilmData
from giblet.config.sections import DecodingConfig, ScanConfig
from giblet.evaluation.bold_identification import identify_by_bold
from giblet.evaluation.moments import Scored

N_TRAIN, N_CLIPS, CLIP_TRS, N_VOXELS, N_SUBJECTS = 40, 14, 2, 30, 3
DECODING = DecodingConfig(clip_seconds=3.0, voxel_share=1.0, n_permutations=200)
METRIC = "identification_bold_10way"


@pytest.fixture
def response(rng):
    """What all brains have in common, (n_trs, n_voxels)."""
    return rng.standard_normal((N_TRAIN + N_CLIPS * CLIP_TRS, N_VOXELS)).astype(np.float32)


@pytest.fixture
def noise(rng, response):
    return rng.standard_normal((N_SUBJECTS, *response.shape)).astype(np.float32)


def scan_of(bold):
    part = np.array(["train"] * N_TRAIN + ["test"] * (N_CLIPS * CLIP_TRS))
    film = {"audio": torch.zeros(len(part), 1, 1)}
    return FilmData(film, torch.from_numpy(bold), part, np.full(len(part), "1"))


def identified(bold, predicted, **scan):
    scored, data = Scored(), scan_of(bold)
    rows = identify_by_bold(scored, predicted, data, 1.5, DECODING, ScanConfig(**scan), 0)
    p = {row["column"]: row["value"] for row in rows if row["metric"] == f"{METRIC}_p"}
    return scored.moments, p


def by_numpy(measured, expected):
    """Share of the draws of nine others in which each clip's own prediction fits best."""
    clips = [x.reshape(N_CLIPS, -1) for x in (measured, expected)]
    r = np.corrcoef(*clips)[:N_CLIPS, N_CLIPS:]
    n_worse = (r < np.diag(r)[:, None]).sum(axis=1)
    others = np.arange(9)
    return [np.prod((n - others) / (N_CLIPS - 1 - others)) if n >= 9 else 0.0 for n in n_worse]


def test_clips_are_identified_by_their_own_predictions(response, noise):
    bold, predicted = response + noise, response + 0.5 * noise[::-1]
    predicted = predicted[:, N_TRAIN:]
    scores, p = identified(bold, predicted)
    measured = bold[:, N_TRAIN:]
    expected = [by_numpy(one, own) for one, own in zip(measured, predicted, strict=True)]
    np.testing.assert_allclose(scores["brain", METRIC], expected, atol=1e-9)
    together = by_numpy(measured.mean(axis=0), predicted.mean(axis=0))
    np.testing.assert_allclose(scores["brain_group", METRIC], [together], atol=1e-9)
    assert scores["brain", METRIC].mean() > 0.8
    assert scores["brain_shuffled", METRIC].mean() < 0.2
    assert p["brain"] < 0.01 < p["brain_shuffled"]


def test_brains_without_signal_are_at_chance(response, noise):
    predicted = np.repeat(response[None, N_TRAIN:], N_SUBJECTS, axis=0)
    scores, p = identified(noise, predicted)
    assert abs(scores["brain", METRIC].mean() - 0.1) < 0.15
    assert p["brain"] > 0.05


def test_people_are_compared_in_the_common_space(response, noise, rng):
    turns = [np.linalg.qr(rng.standard_normal((N_VOXELS, N_VOXELS)))[0] for _ in noise]
    clean = np.stack([response @ turn for turn in turns]).astype(np.float32)
    bold = clean + 0.5 * noise
    aligned, _p = identified(bold, clean[:, N_TRAIN:], alignment="procrustes")
    assert aligned["brain_group", METRIC].mean() > 0.9


def test_one_subject_has_no_group_and_few_clips_no_score(response, noise):
    scores, _p = identified((response + noise)[:1], response[None, N_TRAIN:])
    assert ("brain", METRIC) in scores
    assert ("brain_group", METRIC) not in scores
