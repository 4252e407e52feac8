"""The order of training: every window, an order of the epoch's own."""

import numpy as np
import pytest
import torch

from giblet.alignment.dataset import FilmData
from giblet.alignment.loaders import EpochOrder, loaders, step_seed
from giblet.config.sections import TrainingConfig


def order(epoch, n_windows=20, at_least=8, seed=0):
    sampler = EpochOrder(n_windows, at_least, seed)
    sampler.set_epoch(epoch)
    found = list(sampler)
    assert len(found) == len(sampler)
    return found


@pytest.mark.parametrize(("n_windows", "at_least"), [(20, 8), (8, 8), (1, 1)])
def test_every_window_comes_once_an_epoch(n_windows, at_least):
    assert sorted(order(0, n_windows, at_least)) == list(range(n_windows))


@pytest.mark.parametrize(("n_windows", "at_least"), [(3, 8), (1, 5), (4, 8)])
def test_windows_of_a_short_film_come_several_times_about_as_often(n_windows, at_least):
    counts = np.bincount(order(0, n_windows, at_least), minlength=n_windows)
    assert counts.sum() == at_least
    assert counts.max() - counts.min() <= 1


def test_the_order_is_the_epochs_and_the_seeds_own():
    orders = [order(epoch, seed=seed) for epoch in range(4) for seed in range(3)]
    assert len({tuple(found) for found in orders}) == 12
    state = torch.random.get_rng_state()
    assert order(3) == order(3) != order(2)
    assert torch.equal(torch.random.get_rng_state(), state)  # it draws from no one else's numbers


def test_no_two_steps_share_their_random_numbers():
    seeds = {step_seed(seed, count) for seed in range(20) for count in range(2000)}
    assert len(seeds) == 40_000
    assert min(seeds) >= 0
    assert max(seeds) < 2**63  # what torch takes


def test_loaders_show_training_windows_in_turn_and_validation_ones_in_film_time():
    part = np.repeat(["train", "gap", "validation"], [30, 2, 12])
    data = FilmData({"audio": torch.arange(44)}, None, part, np.full(44, "none"))
    train, validation = loaders(data, TrainingConfig(window_trs=6, min_steps=4), seed=0)
    train.sampler.set_epoch(1)
    first = [int(window["film"]["audio"][0]) for window in train]
    assert sorted(first) == list(range(0, 25, 3)) != first
    assert [window["film"]["audio"].tolist() for window in validation] == [
        list(range(start, start + 6)) for start in (32, 35, 38)
    ]
