"""A codec's geometry. Oracles: transformers' EncodecModel quantizer, NumPy, SciPy."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from transformers import EncodecConfig
from transformers.models.encodec.modeling_encodec import EncodecResidualVectorQuantizer

from giblet.autoencoder.code_heads import Codebooks
from giblet.autoencoder.losses import code_cross_entropy


@pytest.fixture
def words(rng):
    """(4, 32, 6): each codebook half as wide as the one before."""
    sizes = 0.5 ** np.arange(4)[:, None, None]
    return torch.from_numpy((rng.standard_normal((4, 32, 6)) * sizes).astype(np.float32))


@pytest.fixture
def codebooks(words):
    codebooks = Codebooks(*words.shape)
    codebooks.take(words)
    return codebooks.requires_grad_(False)


@pytest.fixture
def codes(rng):
    return torch.from_numpy(rng.integers(0, 32, (5, 4, 9), dtype=np.int32))


@pytest.fixture
def latents(rng):
    return torch.from_numpy(rng.standard_normal((5, 9, 6)).astype(np.float32))


def squared_distances(left, book):
    """(batch, n_frames, codebook_size) of what is left (batch, n_frames, dim), in NumPy."""
    return ((left[:, :, None] - book) ** 2).sum(-1)


def test_the_nearest_codes_are_a_greedy_residual_search(codebooks, words, latents):
    left, expected = latents.double().numpy(), []
    for book in words.double().numpy():
        expected.append(squared_distances(left, book).argmin(-1))
        left = left - book[expected[-1]]
    found = codebooks.nearest(latents)
    assert (found.shape, found.dtype) == ((5, 4, 9), torch.int64)
    np.testing.assert_array_equal(found, np.stack(expected, axis=1))


@torch.no_grad()
def test_codes_and_latents_are_encodecs(words, codes, latents):
    config = EncodecConfig(codebook_size=32, codebook_dim=6, hidden_size=6, target_bandwidths=[1.5])
    quantizer = EncodecResidualVectorQuantizer(config)  # 4 codebooks of 5 bits at 75 Hz
    for layer, book in zip(quantizer.layers, words, strict=True):
        layer.codebook.embed.copy_(book)
    codebooks = Codebooks(*words.shape)
    codebooks.take(words)
    theirs = quantizer.encode(latents.transpose(1, 2), 1.5).transpose(0, 1)
    assert torch.equal(codebooks.nearest(latents), theirs)
    sums = quantizer.decode(codes.transpose(0, 1)).transpose(1, 2)
    torch.testing.assert_close(codebooks.latents(codes), sums)


def test_logits_are_distances_to_the_true_residual(codebooks, words, codes, latents):
    """At first as likely as under a Gaussian of the codebook's own spread."""
    found, left = codebooks.logits(latents, codes).numpy(), latents.numpy()
    for q, book in enumerate(words.numpy()):
        squared = squared_distances(left, book)
        np.testing.assert_array_equal(found[:, q].argmax(-1), squared.argmin(-1))
        likely = log_softmax(-squared / book.var(axis=0, ddof=1).sum(), axis=-1)
        np.testing.assert_allclose(log_softmax(found[:, q], axis=-1), likely, atol=1e-4)
        left = left - book[codes[:, q]]


def test_without_true_codes_the_nearest_ones_count_as_true(codebooks, latents):
    nearest = codebooks.nearest(latents)
    assert torch.equal(codebooks.logits(latents), codebooks.logits(latents, nearest))
    assert torch.equal(codebooks.logits(latents).argmax(-1), nearest)


def test_true_latents_tell_more_than_the_mean_latent(codebooks, codes):
    true = codebooks.latents(codes)
    mean = true.mean(dim=(0, 1)).expand_as(true)
    of_true, of_mean = (code_cross_entropy(codebooks.logits(x, codes), codes) for x in (true, mean))
    assert of_true < 0.8 * of_mean
    assert torch.equal(codebooks.logits(true, codes)[:, -1].argmax(-1), codes[:, -1].long())


def test_a_frame_without_codes_is_zero_and_the_others_are_what_they_were(codebooks, codes):
    before, codes[2, :, 5:] = codebooks.latents(codes), -1
    after = codebooks.latents(codes)
    assert not after[2, 5:].any()
    assert torch.equal(after[2, :5], before[2, :5])
    assert torch.equal(after[[0, 1, 3, 4]], before[[0, 1, 3, 4]])


def test_mixed_precision_does_not_change_codes(codebooks, latents):
    """Far from 0 what codewords differ by is lost in a product of eight bits."""
    far = Codebooks(*codebooks.words.shape)
    far.take(codebooks.words + 3.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = far.nearest(latents + 12.0)
    assert torch.equal(found, far.nearest(latents + 12.0))
