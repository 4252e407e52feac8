"""Noise levels of toy tasks are found, and weigh their losses."""

import pytest
import torch

from giblet.errors import GibletError
from giblet.loss_weighting.uncertainty import UncertaintyWeights


def fit(weights, loss, parameters=(), steps=700):
    optimizer = torch.optim.Adam([*weights.parameters(), *parameters], lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        weights(loss()).backward()
        optimizer.step()


def test_two_regressions_weigh_by_their_noise():
    """Standard deviations 1 and 10: weights 1 : .01 when the regressions are learned, too."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4000, generator=generator)
    noise = torch.randn(2, 4000, generator=generator)
    targets = {"clean": 2 * x + noise[0], "noisy": -3 * x + 10 * noise[1]}
    slopes = torch.zeros(2, requires_grad=True)
    weights = UncertaintyWeights(dict.fromkeys(targets, "gaussian"))

    def losses():
        pairs = zip(targets.items(), slopes, strict=True)
        return {name: (y - slope * x).square().mean() for (name, y), slope in pairs}

    fit(weights, losses, [slopes])
    learned = weights.weights()
    assert learned["noisy"] / learned["clean"] == pytest.approx(0.01, rel=0.1)
    assert learned["clean"] == pytest.approx(1 / 2, rel=0.1)  # 1 / (2 * variance)
    assert slopes.detach().tolist() == pytest.approx([2, -3], rel=0.2)


@pytest.mark.parametrize(("likelihood", "variance"), [("gaussian", 3.0), ("categorical", 6.0)])
def test_the_variance_at_the_minimum(likelihood, variance):
    weights = UncertaintyWeights({"loss": likelihood})
    fit(weights, lambda: {"loss": torch.tensor(3.0)})
    assert weights.log_variances.exp().item() == pytest.approx(variance, rel=1e-3)


def test_a_loss_of_a_step_may_be_missing_and_order_does_not_matter():
    weights = UncertaintyWeights({"a": "gaussian", "b": "categorical"})
    with torch.no_grad():
        weights.log_variances.copy_(torch.tensor([0.5, -0.3]))
    a, b = torch.tensor(2.0), torch.tensor(5.0)
    both = weights({"b": b, "a": a})
    torch.testing.assert_close(both, weights({"a": a}) + weights({"b": b}))
    weights({"a": a}).backward()
    assert weights.log_variances.grad[1] == 0


def test_an_unknown_loss_is_an_error():
    with pytest.raises(GibletError, match="'nots' has no likelihood"):
        UncertaintyWeights({"notes": "gaussian"})({"nots": torch.tensor(1.0)})
