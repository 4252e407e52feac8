"""The block of codec and bottleneck. Oracle: scipy's correlation, in double precision."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d
from scipy.special import erf

from giblet.audio.codecs.convnext import ConvNeXtBlock

WIDTH, N_FRAMES, N_TAPS = 6, 11, 5


@pytest.fixture
def block():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ConvNeXtBlock(WIDTH, N_TAPS, expansion=2)


@pytest.fixture
def frames(rng):
    return rng.standard_normal((2, N_FRAMES, WIDTH)).astype(np.float32)


def expected(block: ConvNeXtBlock, frames: np.ndarray) -> np.ndarray:
    weights = {k: v.detach().double().numpy() for k, v in block.state_dict().items()}
    columns = [
        correlate1d(frames[..., i].astype(float), taps, axis=1, mode="constant")
        for i, taps in enumerate(weights["over_frames"].T)
    ]
    y = np.stack(columns, axis=-1)
    y = y / np.sqrt((y**2).mean(-1, keepdims=True) + 1e-2) * weights["scale"]
    y = y @ weights["up.weight"].T + weights["up.bias"]
    y = y * (1 + erf(y / np.sqrt(2))) / 2
    return frames + y @ weights["down.weight"].T + weights["down.bias"]


def test_a_block_is_its_formula(block, frames):
    with torch.no_grad():
        block.scale.add_(torch.linspace(-0.5, 0.5, WIDTH))
        actual = block(torch.from_numpy(frames)).numpy()
    np.testing.assert_allclose(actual, expected(block, frames), rtol=1e-5, atol=1e-5)


def test_gradients_are_those_of_the_formula(block):
    double = block.double()
    x = torch.randn(2, 7, WIDTH, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(double, x)


def test_neighbouring_frames_are_read_in_single_precision(block, frames):
    """Also in mixed precision, which rounds only the products of all features."""
    x = torch.from_numpy(frames)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert block._over_frames(x).dtype == torch.float32
        assert block(x).dtype == torch.float32
