"""KL divergences and likelihood bounds, where the true values are known in closed form."""

from math import log, pi

import pytest
import torch
from torch import distributions as d

from giblet.music.posteriors import Posterior, active_units, iw_elbo, kl_divergence
from giblet.music.priors import PriorSettings, build_prior


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def posterior_of(batch=2, n=3, width=4, seed=0):
    g = generator(seed)
    mean, log_variance = (torch.randn(batch, n, width, generator=g) for _ in range(2))
    occupied = torch.ones(batch, n, dtype=torch.bool)
    occupied[0, -1] = False
    return Posterior(mean, log_variance, mean, occupied).sampled(g)


def torchs(posterior):
    return d.Independent(d.Normal(posterior.mean, (posterior.log_variance / 2).exp()), 1)


def test_the_density_is_torchs():
    posterior = posterior_of()
    torch.testing.assert_close(posterior.log_prob(), torchs(posterior).log_prob(posterior.z))


def test_the_gaussians_kl_is_torchs_and_empty_segments_cost_nothing():
    posterior = posterior_of()
    standard = d.Independent(d.Normal(torch.zeros(4), torch.ones(4)), 1)
    expected = d.kl_divergence(torchs(posterior), standard.expand((2, 3)))
    kl = kl_divergence(posterior, build_prior(4, PriorSettings()))
    torch.testing.assert_close(kl, expected * posterior.occupied)
    assert kl[0, -1] == 0
    assert expected[0, -1] > 0


@pytest.mark.parametrize("kind", ["mixture", "flow"])
def test_monte_carlo_agrees_with_the_closed_form(kind):
    """Priors that are set to the standard Gaussian: sampled KL has the analytic mean."""
    prior = build_prior(4, PriorSettings(kind=kind, n_components=3))
    with torch.no_grad():
        for name, p in prior.named_parameters():
            if kind == "mixture" or name.endswith(("4.weight", "4.bias")):  # the last layers
                p.zero_()
    one = posterior_of(batch=1, n=6)
    many = Posterior(*(x.expand(4000, *x.shape[1:]) for x in vars(one).values()))
    with torch.no_grad():
        exact = kl_divergence(one, build_prior(4, PriorSettings()))[0]
        samples = kl_divergence(many.sampled(generator(1)), prior)
    errors = samples.std(0) / 4000**0.5
    assert ((samples.mean(0) - exact).abs() <= 4 * errors).all()
    assert (errors[:-1] < 0.2).all()
    assert errors[-1] == exact[-1] == 0  # the empty segment


def test_samples_have_the_posteriors_moments():
    mean, log_variance = torch.full((1, 20_000, 1), 2.0), torch.full((1, 20_000, 1), 1.0)
    posterior = Posterior(mean, log_variance, mean, torch.ones(1, 20_000, dtype=torch.bool))
    z = posterior.sampled(generator()).z
    assert z.mean().item() == pytest.approx(2, abs=0.05)
    assert z.var().log().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(posterior.sampled(None).z, mean)


def test_active_units():
    means = 0.2 * torch.randn(500, 3, generator=generator()) * torch.tensor([0.1, 1.0, 1.0])
    assert active_units(means + 5).tolist() == [False, True, True]


# A linear model: z ~ N(0, 1), x given z ~ N(a z, s²), so x ~ N(0, a² + s²).
A, S, X = 1.5, 0.7, 2.0
LOG_LIKELIHOOD = -0.5 * (log(2 * pi * (A**2 + S**2)) + X**2 / (A**2 + S**2))
TRUE_VARIANCE = 1 / (1 + A**2 / S**2)
TRUE_MEAN = TRUE_VARIANCE * A * X / S**2


def log_weights(mean, variance, k, n):
    q = d.Normal(torch.tensor(mean).double(), torch.tensor(variance).double().sqrt())
    z = q.mean + q.stddev * torch.randn(k, n, generator=generator(), dtype=torch.float64)
    likelihood = d.Normal(A * z, S).log_prob(torch.tensor(X))
    return likelihood + d.Normal(0.0, 1.0).log_prob(z) - q.log_prob(z)


def elbo(mean, variance):
    error = -0.5 * (log(2 * pi * S**2) + ((X - A * mean) ** 2 + A**2 * variance) / S**2)
    return error - 0.5 * (mean**2 + variance - 1 - log(variance))


def test_the_bound_rises_from_the_elbo_to_the_true_likelihood():
    mean, variance = TRUE_MEAN + 0.4, 2 * TRUE_VARIANCE
    bounds = [iw_elbo(log_weights(mean, variance, k, 4000)).mean().item() for k in (1, 5, 500)]
    assert bounds[0] == pytest.approx(elbo(mean, variance), abs=0.05)
    assert bounds[0] + 0.1 < bounds[1] < LOG_LIKELIHOOD - 0.01
    assert bounds[2] == pytest.approx(LOG_LIKELIHOOD, abs=0.01)


def test_the_true_posterior_needs_one_sample():
    bound = iw_elbo(log_weights(TRUE_MEAN, TRUE_VARIANCE, 1, 50))
    torch.testing.assert_close(bound, torch.full((50,), LOG_LIKELIHOOD, dtype=torch.float64))
