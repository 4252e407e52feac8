"""A loss's weight is its share of the gradient, whatever it is measured in."""

import pytest
import torch

from giblet.errors import GibletError
from giblet.loss_weighting.balancer import Balancer

WEIGHTS = {"near": 3.0, "far": 1.0}


@pytest.fixture
def output():
    """What a model gave, (batch 2, n_samples 3); ``.weight`` is the model's only parameter."""
    weight = torch.tensor(2.0, requires_grad=True)
    batch = torch.tensor([[1.0, -2.0, 0.5], [0.2, 0.3, -0.1]])
    found = weight * batch
    found.weight = weight
    return found


def two_losses(output):
    return {"near": output.square().mean(), "far": (output - 5).abs().sum()}


def norm(gradient):
    return gradient.norm(dim=1).mean()


def gradient_of(loss, output):
    return torch.autograd.grad(loss, output, retain_graph=True)[0]


def test_the_unit_of_a_loss_changes_nothing(output):
    losses = two_losses(output)
    plain, shares = Balancer(WEIGHTS).gradient(losses, output)
    scaled, scaled_shares = Balancer(WEIGHTS).gradient(
        {"near": 1e6 * losses["near"], "far": losses["far"]}, output
    )
    torch.testing.assert_close(scaled, plain)
    torch.testing.assert_close(scaled_shares, shares)


def test_shares_are_the_weights(output):
    losses = two_losses(output)
    balanced, shares = Balancer(WEIGHTS, total_norm=8.0).gradient(losses, output)
    assert {k: v.item() for k, v in shares.items()} == pytest.approx({"near": 0.75, "far": 0.25})
    directions = {
        k: g / norm(g) for k, g in ((k, gradient_of(v, output)) for k, v in losses.items())
    }
    torch.testing.assert_close(balanced, 6 * directions["near"] + 2 * directions["far"])


def test_equal_norms_leave_plain_weighting(output):
    there, back = torch.ones(2, 3), torch.tensor([[1.0, -1.0, 1.0], [-1.0, 1.0, 1.0]])
    losses = {"near": (output * there).sum(), "far": (output * back).sum()}
    total_norm = 4 * 3**0.5  # sum of the weights times the norm of each
    balanced, _ = Balancer(WEIGHTS, total_norm=total_norm).gradient(losses, output)
    plain = gradient_of(3 * losses["near"] + losses["far"], output)
    torch.testing.assert_close(balanced, plain)


def test_norms_are_averaged_over_steps(output):
    """Bias-corrected: after norms of 1 and 3 the mean is (0.5 * 1 + 3) / (0.5 + 1)."""
    balancer = Balancer({"near": 1.0}, decay=0.5)
    direction = torch.full((2, 3), 3**-0.5)
    for size, mean in ((1.0, 1.0), (3.0, 3.5 / 1.5)):
        balanced, _ = balancer.gradient({"near": (size * output * direction).sum()}, output)
        torch.testing.assert_close(balanced, size * direction / mean)


def test_a_kept_loss_keeps_its_gradient_and_the_others_their_shares(output):
    losses = two_losses(output)
    near, far = (gradient_of(value, output) for value in losses.values())
    balancer = Balancer(WEIGHTS, kept="near")
    balanced, shares = balancer.gradient(losses, output)
    assert shares["far"].item() == pytest.approx(0.25)
    torch.testing.assert_close(balanced, near + far * norm(near) / norm(far) / 3)
    alone, _ = balancer.gradient({"near": losses["near"]}, output)
    torch.testing.assert_close(alone, near)
    with pytest.raises(GibletError, match="'nats' keeps its gradient: give it a weight above 0"):
        Balancer(WEIGHTS, kept="nats")


@pytest.mark.parametrize("n_steps", [1, 50])
def test_a_loss_without_gradient_does_no_harm(output, n_steps):
    """Nor does it come back with a bang, after steps in which it had none."""
    balancer = Balancer(WEIGHTS)
    losses = two_losses(output)
    for silent in (output.new_zeros(()), (0 * output).sum()):
        for _ in range(n_steps):
            balanced, shares = balancer.gradient({**losses, "far": silent}, output)
        assert shares["near"] == 1
        assert shares["far"] == 0
        near = gradient_of(losses["near"], output)
        torch.testing.assert_close(balanced, near / norm(near))
    balanced, shares = balancer.gradient(losses, output)
    assert norm(balanced) < 1.001
    assert shares["far"].item() == pytest.approx(0.25, rel=1e-5)


def test_no_gradient_at_all_is_zero_not_nan(output):
    balanced, shares = Balancer(WEIGHTS).gradient({"far": output.new_zeros(())}, output)
    assert (balanced == 0).all()
    assert shares["far"] == 0


def test_what_is_not_finite_is_passed_on_and_forgotten(output):
    balancer = Balancer(WEIGHTS)
    losses = two_losses(output)
    expected, _ = balancer.gradient(losses, output)
    broken, _ = balancer.gradient({**losses, "far": losses["far"] * float("nan")}, output)
    assert broken.isnan().any()
    torch.testing.assert_close(balancer.gradient(losses, output)[0], expected)


def test_backward_reaches_the_model(output):
    losses = two_losses(output)
    balanced, shares = Balancer(WEIGHTS).gradient(losses, output)
    (expected,) = torch.autograd.grad(output, output.weight, balanced, retain_graph=True)
    assert Balancer(WEIGHTS).backward(losses, output) == shares
    torch.testing.assert_close(output.weight.grad, expected)


def test_what_does_not_come_by_the_output_is_added_as_it_is(output):
    losses = two_losses(output)
    balanced, _ = Balancer(WEIGHTS).gradient(losses, output)
    (expected,) = torch.autograd.grad(output, output.weight, balanced, retain_graph=True)
    Balancer(WEIGHTS).backward(losses, output, unbalanced=7 * output.weight)
    torch.testing.assert_close(output.weight.grad, expected + 7)


def test_a_resumed_balancer_goes_on_as_it_would_have(output):
    losses = two_losses(output)
    first = Balancer(WEIGHTS)
    first.gradient({k: 10 * v for k, v in losses.items()}, output)
    resumed = Balancer(WEIGHTS)
    resumed.load_state_dict(first.state_dict())
    assert torch.equal(resumed.gradient(losses, output)[0], first.gradient(losses, output)[0])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"near": 1.0, "farr": 1.0}, r"'far' has no weight; did you mean farr\?"),
        ({"near": -1.0}, r"losses.near: its weight must be a number from 0 on, got -1.0"),
        ({"near": 0.0}, r"none has a weight above 0"),
    ],
)
def test_wrong_weights_are_one_clear_line(output, weights, message):
    with pytest.raises(GibletError, match=message):
        Balancer(weights).gradient(two_losses(output), output)
