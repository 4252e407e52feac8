"""Codebooks in training. Oracles: scikit-learn's k-means, transformers' DAC, identities."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn.cluster import KMeans
from transformers import DacConfig
from transformers.models.dac.modeling_dac import DacVectorQuantize

from giblet.codec_training.quantizer import (
    FactorizedQuantizer,
    QuantizerSettings,
    ResidualQuantizer,
)

DIM = 6
SETTINGS = QuantizerSettings(dropout=0.0)


@pytest.fixture(autouse=True)
def _own_randomness():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="module")
def latents(voice):
    """Real ones: spectra of a voice in six bands, (1, n_frames, 6)."""
    spectra = torch.stft(voice[0], 256, 32, window=torch.hann_window(256), return_complex=True)
    bands = torch.stack([band.mean(dim=1) for band in spectra.abs().chunk(DIM, dim=1)], dim=-1)
    return (bands + 0.01).log()


def build(kind, settings=SETTINGS, n_codebooks=4, size=16):
    if kind == "factorized":
        return FactorizedQuantizer(DIM, n_codebooks, size, codebook_dim=3, settings=settings)
    return ResidualQuantizer(DIM, n_codebooks, size, settings)


both = pytest.mark.parametrize("kind", ["residual", "factorized"])


@both
def test_nothing_is_quantized_before_the_start(kind, latents):
    quantized, codes, loss = build(kind)(latents)
    assert quantized is latents
    assert codes is None
    assert loss == 0


@both
def test_each_codebook_brings_the_latents_nearer(kind, latents):
    quantizer = build(kind).eval()
    quantizer.start(latents)
    _, codes, _ = quantizer(latents)
    assert codes.shape == (1, latents.shape[1], 4)
    errors = [
        (quantizer.dequantize(codes[..., :n]) - latents).square().mean() for n in (1, 2, 3, 4)
    ]
    spread = (latents - latents.mean(dim=1)).square().mean()
    assert errors[0] < 0.5 * spread
    assert errors == sorted(errors, reverse=True)
    assert errors[3] < 0.5 * errors[0]


@both
def test_integers_give_back_what_was_quantized(kind, latents):
    quantizer = build(kind).eval()
    quantizer.start(latents)
    quantized, codes, _ = quantizer(latents)
    torch.testing.assert_close(quantizer.dequantize(codes), quantized)


def test_codewords_start_at_the_means_of_clusters(latents):
    """As good as scikit-learn's k-means, of which ours is one try more."""
    quantizer = build("residual", n_codebooks=1, size=8).eval()
    quantizer.start(latents)
    ours = (quantizer(latents)[0] - latents).square().sum().item()
    points = latents[0].numpy()
    tries = [KMeans(8, n_init=1, random_state=s).fit(points).inertia_ for s in range(10)]
    assert ours < 1.3 * np.median(tries)
    assert ours < 0.5 * np.square(points - points.mean(axis=0)).sum()


def test_the_commitment_loss_is_the_distance_to_the_codeword(latents):
    quantizer = build("residual", n_codebooks=1)
    quantizer.start(latents)
    moving = latents.clone().requires_grad_()
    quantized, _, loss = quantizer(moving)
    torch.testing.assert_close(loss, (moving - quantized).square().mean())
    loss.backward()
    torch.testing.assert_close(moving.grad, 2 * (moving - quantized).detach() / latents.numel())


def test_gradients_go_straight_through(latents):
    quantizer = build("residual")
    quantizer.start(latents)
    moving = latents.clone().requires_grad_()
    weight = torch.linspace(-1, 1, latents.numel()).view_as(latents)
    (quantizer(moving)[0] * weight).sum().backward()
    torch.testing.assert_close(moving.grad, weight)


def test_gradients_go_straight_through_both_projections(latents):
    quantizer = build("factorized", n_codebooks=1)
    quantizer.start(latents)
    moving = latents.clone().requires_grad_()
    quantizer(moving)[0].sum().backward()
    layer = quantizer.layers[0]
    expected = torch.ones(DIM) @ layer.out_proj.weight @ layer.in_proj.weight
    torch.testing.assert_close(moving.grad[0], expected.expand(latents.shape[1], DIM))


@both
@pytest.mark.parametrize(("dead_below", "enough"), [(1.0, True), (0.0, False)])
def test_dead_codewords_are_replaced(kind, dead_below, enough, latents):
    """Codebooks started on one moment must find the rest: without replacement they do not."""
    settings = QuantizerSettings(dropout=0.0, dead_below=dead_below, decay=0.5)
    quantizer = build(kind, settings, n_codebooks=1)
    quantizer.start(latents[:, :16] * 1e-3 + 50)
    for _ in range(12):
        quantizer(latents)
    used = quantizer.eval()(latents)[1].unique().numel()
    assert (used > 12) == enough
    assert (used < 6) != enough


def test_moving_averages_follow_the_latents(latents):
    quantizer = build("residual", QuantizerSettings(dropout=0.0, decay=0.5), n_codebooks=1)
    quantizer.start(latents)
    for _ in range(40):
        quantizer(latents + 1)
    _, codes, _ = quantizer.eval()(latents + 1)
    codebook = quantizer.vq.layers[0].codebook
    for code in codes.unique():
        mean = (latents + 1)[codes[..., 0] == code].mean(dim=0)
        torch.testing.assert_close(codebook[code], mean, atol=0.05, rtol=0)


@both
@pytest.mark.parametrize("beam_size", [1, 2])
def test_fixed_codebooks_stay_bit_for_bit(kind, beam_size, latents):
    """Neither averages nor replacement move them, and no gradient does."""
    settings = QuantizerSettings(learn_by="none", dead_below=50.0, decay=0.5, beam_size=beam_size)
    quantizer = build(kind, settings)
    quantizer.start(latents)
    layers = quantizer.vq.layers if kind == "residual" else [part.vq for part in quantizer.layers]
    before = [layer.codebook.clone() for layer in layers]
    for _ in range(3):
        quantizer(2 * latents + 1)
    assert all(torch.equal(a, b.codebook) for a, b in zip(before, layers, strict=True))
    if kind == "residual":
        assert not list(quantizer.parameters())


def test_a_codebook_loss_moves_codewords_where_they_learn_by_gradient(latents):
    averaged = build("residual", n_codebooks=1)
    assert not list(averaged.parameters())
    learned = build("residual", QuantizerSettings(learn_by="gradient", dropout=0.0), n_codebooks=1)
    learned.start(latents)
    _, codes, loss = learned(latents)
    loss.backward()
    (codebook,) = learned.parameters()  # (1, codebook_size, dim)
    used = codebook.grad[0].abs().sum(dim=-1) > 0
    assert set(used.nonzero().flatten().tolist()) == set(codes.unique().tolist())


@both
@pytest.mark.parametrize(("multiple", "possible"), [(1, {1, 2, 3, 4}), (2, {2, 4})])
def test_dropout_uses_every_prefix(kind, multiple, possible, latents):
    quantizer = build(kind, QuantizerSettings(dropout=1.0, dropout_multiple_of=multiple))
    quantizer.start(latents)
    n_used = set()
    for _ in range(40):
        _, codes, _ = quantizer(latents)
        assert codes.shape[-1] == 4
        kept = (codes >= 0).all(dim=1)[0]
        assert not (codes[..., ~kept] >= 0).any()
        n_used.add(int(kept.sum()))
    assert n_used == possible
    quantizer.eval()
    assert (quantizer(latents)[1] >= 0).all()


@both
def test_bits_are_those_of_the_integers_written_out(kind, latents):
    quantizer = build(kind, size=32).eval()
    quantizer.start(latents)
    codes = quantizer(latents)[1]
    written = "".join(f"{code:05b}" for code in codes.flatten().tolist())
    assert [
        int(written[i : i + 5], 2) for i in range(0, len(written), 5)
    ] == codes.flatten().tolist()
    assert quantizer.count_bits(codes) == len(written)
    codes[..., 1:] = -1
    assert quantizer.count_bits(codes) == len(written) // 4


def test_a_factorized_layer_is_dacs(latents):
    quantizer = build("factorized", n_codebooks=1)
    quantizer.start(latents)
    mine = quantizer.layers[0]
    dac = DacVectorQuantize(
        DacConfig(encoder_hidden_size=3, downsampling_ratios=[2], codebook_size=16, codebook_dim=3)
    )
    with torch.no_grad():
        for name in ("in_proj", "out_proj"):
            getattr(dac, name).weight.copy_(getattr(mine, name).weight[..., None])
            getattr(dac, name).bias.copy_(getattr(mine, name).bias)
        dac.codebook.weight.copy_(mine.vq.codebook)
    quantized, codes, loss = mine.eval()(latents)
    theirs = dac(latents.transpose(1, 2))
    torch.testing.assert_close(quantized, theirs[0].transpose(1, 2))
    torch.testing.assert_close(loss, theirs[1])
    assert torch.equal(codes, theirs[3])


def test_settings_are_strict():
    with pytest.raises(ValidationError, match="decey"):
        QuantizerSettings(decey=0.9)
    with pytest.raises(ValidationError, match="less than 1"):
        QuantizerSettings(decay=1.0)
