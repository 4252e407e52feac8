"""Decoders: codes by cross-entropy, BOLD by a causal HRF. Oracles: SciPy, NumPy, counting."""

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from sklearn.metrics import mean_squared_error
from torch.nn import functional

from giblet.alignment.hrf import tr_kernel
from giblet.autoencoder.decoders import (
    AudioDecoder,
    BoldDecoder,
    FrameDecoder,
    MelDecoder,
    convolve_causally,
)
from giblet.autoencoder.losses import code_cross_entropy, masked_mse, unigram_nats
from giblet.film.networks import TextDecoder, VideoDecoder


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def test_the_audio_decoder_predicts_codes():
    decoder, bottleneck = AudioDecoder().eval(), torch.randn(3, 2048)
    with torch.inference_mode():
        codes, logits = decoder(bottleneck), decoder.logits(bottleneck)
    assert (codes.shape, codes.dtype) == ((3, 8, 112), torch.float32)
    assert torch.equal(codes, codes.round())
    assert 0 <= codes.min() <= codes.max() <= 1023
    assert logits.shape == (3, 8, 112, 1024)
    assert torch.equal(logits.argmax(-1), codes.long())


def test_training_beats_code_frequencies():
    """A few TRs are learned by heart: below what counting codes can reach, codes come out right."""
    codes = torch.randint(0, 32, (6, 4, 10))
    bottleneck = functional.layer_norm(torch.randn(6, 64), (64,))
    decoder = AudioDecoder(64, 4, 10, 32, dim=32)
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=5e-3)
    for _ in range(80):
        loss = code_cross_entropy(decoder.logits(bottleneck), codes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2 * unigram_nats(codes, codes, 32).item()
    assert (decoder(bottleneck) == codes).float().mean() > 0.95


def test_cross_entropy_is_the_mean_over_codes_that_are_there():
    logits, codes = torch.randn(2, 3, 5, 7), torch.randint(0, 7, (2, 3, 5), dtype=torch.int32)
    nats = -logits.log_softmax(-1).gather(-1, codes.long()[..., None])[..., 0]
    torch.testing.assert_close(code_cross_entropy(logits, codes), nats.mean())
    codes[..., -1] = -1
    torch.testing.assert_close(code_cross_entropy(logits, codes), nats[..., :-1].mean())
    altered = logits.clone()
    altered[..., -1, :] = 100 * torch.randn(7)  # what is said where there is no frame
    assert code_cross_entropy(altered, codes) == code_cross_entropy(logits, codes)
    uniform = code_cross_entropy(torch.zeros(1, 1, 5, 1024), torch.randint(0, 1024, (1, 1, 5)))
    assert uniform.item() == pytest.approx(np.log(1024))


def test_unigram_nats_are_counted():
    train = torch.tensor([[[0, 0, 0, 1, -1]], [[1, 1, 2, 0, -1]]])  # 0: 4, 1: 3, 2: 1, of 8
    probability = np.array([5, 4, 2, 1]) / 12  # add-one smoothing over 4 codes
    codes = torch.tensor([[[0, 3, -1]]])
    expected = -np.log(probability[[0, 3]]).mean()
    assert unigram_nats(codes, train, 4).item() == pytest.approx(expected)


def test_squared_error_leaves_out_what_is_not_known():
    target = torch.tensor([[1.0, torch.nan], [3.0, torch.inf]])
    estimate = torch.tensor([[2.0, 5.0], [3.0, 7.0]], requires_grad=True)
    loss = masked_mse(estimate, target)
    assert loss.item() == 0.5
    loss.backward()
    assert torch.equal(estimate.grad, torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    assert masked_mse(estimate, torch.full((2, 2), torch.nan)).item() == 0


def test_squared_error_of_what_is_all_known(rng):
    estimate, target = rng.standard_normal((2, 4, 3)).astype(np.float32)
    loss = masked_mse(torch.from_numpy(estimate), torch.from_numpy(target))
    assert loss.item() == pytest.approx(mean_squared_error(target, estimate), rel=1e-6)
    empty = torch.empty(0, 3)
    assert masked_mse(empty, empty).item() == 0


def test_the_mel_twin_gives_db():
    mel = MelDecoder(16, 20, FrameDecoder(64, 30, dim=16))(torch.randn(3, 64))
    assert (mel.shape, mel.dtype) == ((3, 20, 30), torch.float32)
    assert -100 < mel.mean() < 0  # where mel power lies before any training


@pytest.mark.parametrize("shape", [(1, 90, 160), (2, 48, 60)])
def test_the_video_decoder_gives_pictures(shape):
    pictures = VideoDecoder(64, *shape)(torch.randn(3, 64))
    assert pictures.shape == (3, *shape, 3)
    assert 0 <= pictures.min() <= pictures.max() <= 1


def test_the_text_decoder_gives_embeddings():
    assert TextDecoder(64, 48)(torch.randn(3, 64)).shape == (3, 48)


KERNEL = tr_kernel(1.5, 0.75)


@pytest.mark.parametrize("n_trs", [1, 10, 23, 60])  # shorter and longer than the kernel
def test_the_causal_convolution_is_scipys_filter(rng, n_trs):
    series = rng.standard_normal((2, n_trs, 5)).astype(np.float32)
    blurred = convolve_causally(torch.from_numpy(series), torch.from_numpy(KERNEL)).numpy()
    np.testing.assert_allclose(blurred, lfilter(KERNEL, 1, series, axis=1), atol=1e-5)
    cut = np.convolve(series[1, :, 2], KERNEL, mode="full")[:n_trs]
    np.testing.assert_allclose(blurred[1, :, 2], cut, atol=1e-5)


@pytest.fixture
def brains():
    return BoldDecoder(16, 6, ["sub-01", "sub-02", "sub-03"], KERNEL, rank=4).eval()


@torch.no_grad()
def test_bold_is_a_linear_readout_of_the_blurred_bottleneck(brains):
    bottleneck = torch.randn(1, 40, 16)
    predicted = brains(bottleneck)
    assert predicted.shape == (1, 3, 40, 6)
    blurred = lfilter(KERNEL, 1, bottleneck.numpy(), axis=1)
    for subject, readout in enumerate(brains.readouts):
        weights = (readout.weight @ brains.components.weight).numpy()
        expected = blurred[0] @ weights.T + readout.bias.numpy()
        np.testing.assert_allclose(predicted[0, subject], expected, atol=1e-5)


@torch.no_grad()
def test_the_brain_does_not_see_the_future(brains):
    bottleneck = torch.randn(1, 60, 16)
    altered = bottleneck.clone()
    altered[:, 30:] = 0
    one, other = brains(bottleneck), brains(altered)
    assert torch.equal(one[:, :, :30], other[:, :, :30])
    late = (one - other)[:, :, 30:].abs().mean(dim=(0, 1, 3))
    assert late[:2].max() < 0.2 * late[2:6].max()  # hardly anything within the first 2 s


@torch.no_grad()
def test_every_subject_has_a_prediction_of_its_own(brains):
    bottleneck = torch.randn(1, 40, 16)
    before = brains(bottleneck)[0]
    assert all((before[i] - before[j]).abs().max() > 0.01 for i, j in [(0, 1), (0, 2), (1, 2)])
    brains.readouts[1].weight.mul_(-2)  # one subject's readout is nobody else's
    after = brains(bottleneck)[0]
    assert torch.equal(after[[0, 2]], before[[0, 2]])
    assert not torch.equal(after[1], before[1])
