"""Priors: densities against torch.distributions, grids and automatic differentiation."""

import pytest
import torch
from torch import distributions as d

from giblet.music.priors import PriorSettings, build_prior

KINDS = ("gaussian", "mixture", "flow")


def prior_of(kind, width, seed=0):
    """A prior with weights far from where they begin: it is no standard Gaussian."""
    torch.manual_seed(seed)
    prior = build_prior(width, PriorSettings(kind=kind, n_components=5)).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in prior.parameters():
            p += (0.06 if kind == "flow" else 0.3) * torch.randn(p.shape, generator=generator)
    return prior


@pytest.mark.parametrize("kind", KINDS)
def test_a_density_integrates_to_1(kind):
    axis = torch.linspace(-12, 12, 241, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        mass = prior_of(kind, 2).log_prob(grid).exp().sum() * (axis[1] - axis[0]) ** 2
    assert mass == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_follow_the_density(kind):
    """Moments of samples equal the moments of the density on a grid."""
    prior = prior_of(kind, 2)
    axis = torch.linspace(-12, 12, 241, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        mass = prior.log_prob(grid).exp()[:, None] * (axis[1] - axis[0]) ** 2
    z = prior.sample(20_000, torch.Generator().manual_seed(0))
    for power in (1, 2):
        expected = (grid**power * mass).sum(0)
        torch.testing.assert_close(z.pow(power).mean(0), expected, atol=0.06, rtol=0.03)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_depend_on_the_generator_alone(kind):
    prior = prior_of(kind, 3)
    first, again, other = (
        prior.sample(4, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == (4, 3)


def test_the_gaussian_is_torchs_and_has_nothing_to_learn():
    z = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    prior = build_prior(5, PriorSettings())
    torch.testing.assert_close(prior.log_prob(z), d.Normal(0.0, 1.0).log_prob(z).sum(-1))
    assert not list(prior.parameters())


def test_the_mixture_is_torchs():
    prior = prior_of("mixture", 4)
    reference = d.MixtureSameFamily(
        d.Categorical(logits=prior.logits),
        d.Independent(d.Normal(prior.means, prior.log_scales.exp()), 1),
    )
    z = torch.randn(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(prior.log_prob(z), reference.log_prob(z))


@pytest.mark.parametrize("width", [1, 2, 7, 32])
def test_the_flows_inverse_is_exact(width):
    prior = prior_of("flow", width).float()
    z = 2 * torch.randn(500, width, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        noise, _ = prior.to_noise(z)
        assert (prior.from_noise(noise) - z).abs().max() < 1e-5
    assert (noise - z).abs().mean() > 0.1


def test_the_flows_determinant_is_the_jacobians():
    prior = prior_of("flow", 3)
    z = torch.randn(3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    jacobian = torch.autograd.functional.jacobian(lambda x: prior.to_noise(x)[0], z)
    torch.testing.assert_close(prior.to_noise(z)[1], torch.linalg.slogdet(jacobian).logabsdet)


@pytest.mark.parametrize("kind", ["mixture", "flow"])
def test_a_prior_learns_two_clusters(kind):
    """Nats per vector fall below those of the best single Gaussian."""
    generator = torch.Generator().manual_seed(0)
    z = 0.3 * torch.randn(400, 2, generator=generator)
    z[:200] += 2.0
    z[200:] -= 2.0
    torch.manual_seed(0)
    prior = build_prior(2, PriorSettings(kind=kind, n_components=4, n_layers=4, hidden=16))
    optimizer = torch.optim.Adam(prior.parameters(), lr=2e-2)
    for _ in range(80):
        optimizer.zero_grad()
        loss = -prior.log_prob(z).mean()
        loss.backward()
        optimizer.step()
    gaussian = -d.MultivariateNormal(z.mean(0), z.T.cov()).log_prob(z).mean()
    assert loss < gaussian - 0.5
    if kind == "flow":
        assert (prior.from_noise(prior.to_noise(z)[0]) - z).abs().max() < 1e-5
