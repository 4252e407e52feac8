"""The read-out that ridge finds. Oracles: himalaya by stats.ridge, numpy's SVD, identities."""

import dataclasses

import numpy as np
import pytest
import torch
from factories import flat_model, scanned, slot_model, small_shapes

from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.bold_readout import fit_readout, reduce_rank
from giblet.autoencoder.inference import blurred_bottlenecks, bottlenecks, predict_bold
from giblet.stats.pearson import correlation
from giblet.stats.ridge import banded_weights

N_TRS, N_VOXELS = 90, 5
FLAT = flat_model(bottleneck_dim=24)
SLOTS = slot_model(slot_dim=6, slot_width=8, frame_width=8)
SHAPES = small_shapes()


@pytest.fixture
def make_data(rng):
    """A film of many scenes, and these scans of it (n_subjects, n_trs, n_voxels)."""
    film = {
        "audio": torch.from_numpy(rng.integers(0, 16, (N_TRS, 2, 8)).astype(np.int32)),
        "video": torch.from_numpy(rng.integers(0, 255, (N_TRS, 1, 16, 16, 3)).astype(np.uint8)),
        "text": torch.from_numpy(rng.standard_normal((N_TRS, 6)).astype(np.float32)),
    }

    def make(raw_bold):
        return scanned(film, raw_bold)

    return make


@pytest.fixture
def noise(rng):
    return rng.standard_normal((2, N_TRS, N_VOXELS))


def make_model(config, rank):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Autoencoder(SHAPES, config.model_copy(update={"readout_rank": rank})).eval()
        model.codebooks.take(torch.randn_like(model.codebooks.words))
    return model


def test_rank_enough_is_ridge_subject_by_subject(make_data, noise):
    model, data = make_model(FLAT, 2 * N_VOXELS), make_data(noise)
    fit_readout(model, data)
    code, train = bottlenecks(model, data), data.where("train")
    slow = blurred_bottlenecks(model, code, data.run)
    predicted = predict_bold(model, code, data.run)
    for bold, said in zip(data.bold.numpy(), predicted, strict=True):
        weights, offsets = banded_weights([slow[train]], bold[train])
        np.testing.assert_allclose(said, slow @ weights + offsets, atol=1e-4)


def test_fewer_components_tell_most_of_what_ridge_predicts(rng):
    x = rng.standard_normal((40, 12))
    weights = rng.standard_normal((12, 30)) @ np.diag(np.geomspace(1, 1e-3, 30))
    components, readouts = reduce_rank(weights, x, 5)
    centred = x - x.mean(axis=0)
    left, singular, right = np.linalg.svd(centred @ weights, full_matrices=False)
    best = (left[:, :5] * singular[:5]) @ right[:5]  # Eckart & Young
    np.testing.assert_allclose(centred @ components @ readouts, best, atol=1e-10)
    few = reduce_rank(np.outer(weights[:, 0], np.ones(30)), x, 5)
    assert not few[0][:, 1:].any()
    assert not few[1][1:].any()


def test_brains_that_follow_the_bottleneck_are_predicted_and_test_trs_play_no_part(
    make_data, noise, rng
):
    model, blank = make_model(SLOTS, 2 * N_VOXELS), make_data(noise)
    code = bottlenecks(model, blank)
    slow = blurred_bottlenecks(model, code, blank.run)
    answers = slow @ rng.standard_normal((slow.shape[1], N_VOXELS))
    data = make_data(answers / answers.std(axis=0) + 0.1 * noise)
    fit_readout(model, data)
    predicted, test = predict_bold(model, code, data.run), data.where("test")
    for bold, said in zip(data.bold.numpy(), predicted, strict=True):
        assert np.mean(correlation(said[test], bold[test])) > 0.8
    altered = data.bold.clone()
    altered[:, test] = 0
    fit_readout(model, dataclasses.replace(data, bold=altered))
    np.testing.assert_array_equal(predict_bold(model, code, data.run), predicted)


def decoded_latents(model, code):
    with torch.inference_mode():
        decoder = model.decoders["audio"]
        return decoder.head.latents(decoder.features(torch.from_numpy(code))).numpy()


def test_bold_is_read_from_the_levels_of_the_decoded_sound_too(make_data, noise):
    model, data = make_model(SLOTS, 2 * N_VOXELS), make_data(noise)
    code = bottlenecks(model, data)
    latents = decoded_latents(model, code)  # (n_trs, n_frames, codebook_dim)
    with torch.inference_mode():
        slow = model.slow(torch.from_numpy(code[None]))[0].numpy()
    dims = list(model.slow_widths.values())
    assert slow.shape == (N_TRS, sum(dims))
    levels, means = np.split(slow[:, sum(dims[:-2]) :], 2, axis=1)
    np.testing.assert_allclose(levels, np.abs(latents).mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(means, latents.mean(axis=1), atol=1e-6)
    assert list(flat_classifier().slow_widths) == ["all"]


def flat_classifier():
    return make_model(FLAT.model_copy(update={"code_head": "classifier"}), 2)


def test_levels_that_the_slots_hold_only_implicitly_are_predicted(make_data, noise, rng):
    model, blank = make_model(SLOTS, 2 * N_VOXELS), make_data(noise)
    code, train, test = bottlenecks(model, blank), blank.where("train"), blank.where("test")
    width = model.slow_widths["decoded_levels"]
    slow = blurred_bottlenecks(model, code, blank.run)
    levels = slow[:, -2 * width : -width]
    answers = (levels - levels[train].mean(axis=0)) @ rng.standard_normal((width, N_VOXELS))
    data = make_data(answers / answers[train].std(axis=0) + 0.05 * noise)
    fit_readout(model, data)
    predicted = predict_bold(model, code, data.run)
    for bold, said in zip(data.bold.numpy(), predicted, strict=True):
        weights, offsets = banded_weights([slow[train, : -2 * width]], bold[train])
        without = slow[:, : -2 * width] @ weights + offsets
        r = [np.mean(correlation(one[test], bold[test])) for one in (said, without)]
        assert r[0] > r[1] + 0.1


def test_a_model_of_before_predicts_as_it_did(make_data, noise):
    model, data = make_model(SLOTS, 4), make_data(noise)
    code = bottlenecks(model, data)
    predicted = predict_bold(model, code, data.run)  # before any fit nothing is read of them
    state = {k: v.clone() for k, v in model.state_dict().items() if not k.endswith("bold.decoded")}
    fit_readout(model, data)
    assert np.abs(predict_bold(model, code, data.run) - predicted).max() > 1e-3
    model.load_state_dict(state)
    np.testing.assert_allclose(predict_bold(model, code, data.run), predicted, atol=1e-6)
