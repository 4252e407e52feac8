"""KL schedules: shapes by hand, and the controller on a simulated plant and on a real VAE."""

from math import exp, log

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from giblet.music.kl_schedules import KlScheduleSettings, build_schedule, free_bits


def schedule_of(**settings):
    return build_schedule(KlScheduleSettings(**settings))


def betas(schedule, n):
    found = []
    for _ in range(n):
        found.append(schedule.beta)
        schedule.update(1.0)
    return found


def test_linear():
    schedule = schedule_of(kind="linear", beta=0.5, wait_steps=2, ramp_steps=4)
    assert betas(schedule, 8) == [0, 0, 0, 0.125, 0.25, 0.375, 0.5, 0.5]


def test_cosine_is_slow_at_both_ends():
    schedule = schedule_of(kind="cosine", beta=2.0, ramp_steps=4)
    expected = [0, 1 - 0.5**0.5, 1, 1 + 0.5**0.5, 2, 2]
    assert betas(schedule, 6) == pytest.approx(expected)


def test_cyclical():
    schedule = schedule_of(kind="cyclical", wait_steps=1, cycle_steps=4, ramp_share=0.5)
    assert betas(schedule, 10) == [0, 0, 0.5, 1, 1, 0, 0.5, 1, 1, 0]


class Plant:
    """SIMULATED: KL falls as beta rises, and follows it with a delay, as a network does."""

    def __init__(self, kl, lag=100, seed=0):
        self.kl, self.lag, self.rng = kl, lag, np.random.default_rng(seed)

    def step(self, beta):
        settled = 20 * beta**-0.7
        self.kl *= exp((log(settled) - log(self.kl)) / self.lag)
        return self.kl * exp(0.1 * self.rng.standard_normal())


def settle(schedule, plant, n=4000):
    series = []
    for _ in range(n):
        kl = plant.step(schedule.beta)
        schedule.update(kl)
        series.append(plant.kl)
    return np.array(series)


@pytest.mark.parametrize("lag", [1, 100, 300])
@pytest.mark.parametrize(("beta", "kl"), [(1e-3, 2000.0), (50.0, 0.01)])
def test_the_target_is_reached_from_above_and_from_below(beta, kl, lag):
    schedule = schedule_of(kind="target", beta=beta, target=10.0)
    series = settle(schedule, Plant(kl, lag))
    assert abs(series[-1000:] / 10 - 1).max() < 0.05


def test_beta_rises_where_kl_is_too_high_and_falls_where_it_is_too_low():
    for kl, sign in ((30.0, 1), (3.0, -1), (0.0, -1)):
        schedule = schedule_of(kind="target", beta=1.0, target=10.0)
        steps = np.diff(np.log(betas_at(schedule, kl, 20)))
        assert (np.sign(steps) == sign).all()


def betas_at(schedule, kl, n):
    found = [schedule.beta]
    for _ in range(n):
        schedule.update(kl)
        found.append(schedule.beta)
    return found


def test_a_collapsed_posterior_does_not_hold_beta_at_its_end():
    """KL 0 for long: beta falls to its least, not to 0, and rises as soon as KL is too high."""
    schedule = schedule_of(kind="target", target=10.0, beta_range=(1e-3, 10.0))
    assert betas_at(schedule, 0.0, 3000)[-1] == pytest.approx(1e-3)
    assert betas_at(schedule, 100.0, 1000)[-1] > 1


def test_a_kl_that_is_not_finite_changes_nothing():
    schedule = schedule_of(kind="target", beta=0.3, target=10.0)
    for kl in (float("nan"), float("inf")):
        schedule.update(kl)
    assert schedule.beta == pytest.approx(0.3)


@pytest.mark.parametrize("kind", ["linear", "cosine", "cyclical", "target"])
def test_a_resumed_schedule_goes_on_to_the_bit(kind):
    settings = {"kind": kind, "ramp_steps": 50, "cycle_steps": 30, "target": 10.0}
    kls = 10 * np.exp(np.random.default_rng(0).standard_normal(80))
    whole, first, second = (schedule_of(**settings) for _ in range(3))
    for kl in kls:
        whole.update(kl)
    for kl in kls[:37]:
        first.update(kl)
    second.load_state_dict(first.state_dict())
    for kl in kls[37:]:
        second.update(kl)
    assert second.beta == whole.beta


class TinyVae(nn.Module):
    """Eight numbers that depend on two, through two latent numbers."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(8, 4)
        self.decoder = nn.Linear(2, 8)

    def forward(self, x, generator):
        mean, log_variance = self.encoder(x).chunk(2, -1)
        noise = torch.randn(mean.shape, generator=generator)
        z = mean + (log_variance / 2).exp() * noise
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1).mean()
        error = (self.decoder(z) - x).square().sum(-1).mean() / (2 * 0.1**2)
        return error, kl


@pytest.mark.parametrize("beta", [1e-2, 90.0])
def test_a_real_vae_settles_at_its_target(beta):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 2, generator=generator) @ torch.randn(2, 8, generator=generator)
    schedule = schedule_of(kind="target", beta=beta, target=3.0, gain=0.05)
    vae = TinyVae()
    optimizer = torch.optim.Adam(vae.parameters(), lr=2e-2, fused=True)
    kls = []
    for _ in range(600):
        error, kl = vae(x, generator)
        optimizer.zero_grad()
        (error + schedule.beta * kl).backward()
        optimizer.step()
        schedule.update(kl.item())
        kls.append(kl.item())
    assert abs(kls[0] / 3 - 1) > 0.3
    assert np.mean(kls[-150:]) == pytest.approx(3, rel=0.05)
    assert np.abs(np.array(kls[-150:]) / 3 - 1).max() < 0.2


def test_free_bits_have_no_gradient_and_the_rest_has_all():
    kl = torch.tensor([0.2, 3.0], requires_grad=True)
    cost = free_bits(kl, 0.5)
    assert cost.tolist() == [0.5, 3.0]
    cost.sum().backward()
    assert kl.grad.tolist() == [0, 1]


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "adaptive"},
        {"kind": "target", "beta": 0.0},
        {"kind": "target", "beta": 200.0},
        {"kind": "linear", "ramp": 3},
    ],
)
def test_wrong_settings_are_refused(settings):
    with pytest.raises(ValidationError):
        KlScheduleSettings(**settings)
