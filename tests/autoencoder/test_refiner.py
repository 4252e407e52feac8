"""The refiner. Oracles: identities of the flow, a planted relation."""

import numpy as np
import pytest

from giblet.autoencoder.refiner import refine, train_refiner

N_TRS, N_SLOTS, DIM = 60, 3, 4


@pytest.fixture(scope="module")
def planted():
    """Slots that follow one slow component, and a little of their own."""
    rng = np.random.default_rng(0)
    slow = rng.standard_normal((N_TRS, 1))
    pattern = rng.standard_normal((1, N_SLOTS, DIM))
    slots = slow[:, :, None] * pattern + 0.1 * rng.standard_normal((N_TRS, N_SLOTS, DIM))
    return slow, slots + 2, pattern


@pytest.fixture(scope="module")
def model(planted):
    slow, slots, _pattern = planted
    return train_refiner(slots[:40], slow[:40], [slow[:40]], [np.arange(40)], 0, n_steps=300)


def test_strength_0_is_the_retrieved_clip_and_at_1_nothing_of_it_is_left(planted, model):
    slow, slots, _pattern = planted
    one, other = slots[:10].reshape(10, -1), slots[20:30].reshape(10, -1)
    np.testing.assert_array_equal(refine(model, one, slow[:10], 0, 0), one.astype(np.float32))
    free = [refine(model, start, slow[:10], 1, 0) for start in (one, other)]
    np.testing.assert_allclose(*free, atol=1e-5)
    half = [refine(model, start, slow[:10], 0.5, 0) for start in (one, other)]
    assert np.abs(half[0] - half[1]).max() > 1e-3


def test_free_slots_follow_the_condition_in_trs_that_were_not_trained_on(planted, model):
    slow, slots, pattern = planted
    held_out = np.arange(45, 60)
    free = refine(model, slots[:15].reshape(15, -1), slow[held_out], 1, 0, certain=True)
    truth = (slow[held_out][:, :, None] * pattern).reshape(15, -1)
    assert np.corrcoef(free.ravel() - 2, truth.ravel())[0, 1] > 0.8


def test_the_seed_decides(planted):
    slow, slots, _pattern = planted
    options = (slots, slow, [slow], [np.arange(N_TRS)])
    made = [
        refine(train_refiner(*options, seed, n_steps=3), slots.reshape(N_TRS, -1), slow, 1, 0)
        for seed in (0, 0, 1)
    ]
    np.testing.assert_allclose(made[0], made[1], atol=1e-5)
    assert np.abs(made[0] - made[2]).max() > 1e-3
