"""The largest singular value stays at 1 in every step, against an optimiser that wants more."""

import pytest
import torch
from torch import nn

from giblet.music.spectral_norm import gram_bound, largest_singular_value, spectral_norm


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (1, 7), (64, 777)])
def test_the_bound_is_above_the_largest_singular_value_and_close(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0)).double()
    ratio = float(gram_bound(matrix) / torch.linalg.matrix_norm(matrix, 2))
    assert 1 - 1e-12 <= ratio <= min(shape) ** (1 / 256)


def test_the_worst_case_is_that_of_equal_singular_values():
    assert float(gram_bound(torch.eye(64).double())) == pytest.approx(64 ** (1 / 256))


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_scale_of_the_weights_does_not_matter(scale):
    matrix = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(gram_bound(scale * matrix), scale * gram_bound(matrix))


def test_its_gradient_equals_finite_differences():
    matrix = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).double()
    assert torch.autograd.gradcheck(gram_bound, matrix.requires_grad_())


def hostile_steps(layer, n_steps):
    """Each step adds a large matrix of rank one in a new direction; largest σ seen on the way."""
    generator, largest = torch.Generator().manual_seed(1), 0.0
    weight = layer.parametrizations.weight.original
    for _ in range(n_steps):
        layer(torch.ones(2, weight.shape[1], 8)).sum().backward()
        rows = torch.randn(len(weight), 1, generator=generator)
        with torch.no_grad():
            weight += 3 * (rows * torch.randn(1, weight[0].numel(), generator=generator)).view_as(
                weight
            )
        largest = max(largest, largest_singular_value(layer))
    return largest


def test_no_hostile_step_exceeds_the_limit():
    layer = spectral_norm(nn.Conv1d(16, 24, 3))
    assert 0.97 < hostile_steps(layer, 200) <= 1.001


def test_one_power_step_exceeds_it():
    """The hostile optimiser is one: torch's own normalization, with one step, fails here."""
    layer = nn.utils.parametrizations.spectral_norm(nn.Conv1d(16, 24, 3))
    assert hostile_steps(layer, 200) > 1.05


def test_it_holds_in_half_precision_training():
    layer = spectral_norm(nn.Linear(16, 24))
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.ones(1, 16)).dtype == torch.bfloat16
        assert largest_singular_value(layer) <= 1.001


def test_what_is_saved_is_normalized():
    layer = spectral_norm(nn.Linear(16, 24))
    other = spectral_norm(nn.Linear(16, 24))
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other.weight, layer.weight)
    assert largest_singular_value(other) <= 1.001
