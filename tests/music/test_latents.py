"""Latents by time: what each level depends on, what the decoder hears, and word dropout."""

import pytest
import torch
from pydantic import ValidationError

from giblet.music.latents import HierarchicalLatents, LatentSettings, word_dropout
from giblet.music.posteriors import iw_elbo
from giblet.music.tokens import VOCABULARY

WIDTH = 12
SMALL = {
    "fine": {"seconds": 1.5, "width": 2, "free_nats": 0.0},
    "local": {"seconds": 6.0, "width": 3, "free_nats": 0.0},
    "global": {"seconds": 48.0, "width": 4, "free_nats": 0.0},
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def latents_of(**changes):
    torch.manual_seed(0)
    return HierarchicalLatents(WIDTH, LatentSettings.model_validate(SMALL | changes))


def piece(n=200, last=100.0, seed=0):
    g = generator(seed)
    seconds = (last * torch.rand(1, n, generator=g)).sort(-1).values
    return torch.randn(1, n, WIDTH, generator=g), seconds


def test_levels_have_their_segments_and_widths():
    embeddings, seconds = piece()
    posteriors = latents_of().encode(embeddings, seconds)
    assert {n: tuple(p.z.shape) for n, p in posteriors.items()} == {
        "global": (1, 3, 4),
        "local": (1, 17, 3),
        "fine": (1, 67, 2),
    }


def test_without_a_generator_z_is_the_mean_and_with_one_it_is_drawn():
    latents, (embeddings, seconds) = latents_of(), piece()
    quiet = latents.encode(embeddings, seconds)
    first, again, other = (
        latents.encode(embeddings, seconds, generator=generator(seed)) for seed in (0, 0, 1)
    )
    for name, posterior in quiet.items():
        assert torch.equal(posterior.z, posterior.mean)
        assert torch.equal(first[name].z, again[name].z)
        assert not torch.equal(first[name].z, other[name].z)


def test_the_posterior_is_top_down():
    """Other draws of global z move local and fine posteriors, never the global one."""
    latents, (embeddings, seconds) = latents_of(), piece()
    a, b = (latents.encode(embeddings, seconds, generator=generator(s)) for s in (0, 1))
    assert torch.equal(a["global"].mean, b["global"].mean)
    assert not torch.equal(a["local"].mean, b["local"].mean)
    for name, coarser in (("fine", "local"), ("fine", "global"), ("local", "global")):
        posteriors = latents.encode(embeddings, seconds, generator=generator())
        z = posteriors[coarser].z
        gradient = torch.autograd.grad(posteriors[name].mean[0, 5].sum(), z)[0][0]
        parent = {"fine": 5 * 1.5, "local": 5 * 6.0}[name] / {"local": 6.0, "global": 48.0}[coarser]
        assert (gradient.abs().sum(-1) > 0).nonzero().flatten().tolist() == [int(parent)]


def test_before_training_z_says_more_than_its_noise_and_is_no_louder_than_tokens():
    latents, (embeddings, seconds) = latents_of(), piece(2000)
    posteriors = latents.encode(0.02 * embeddings, seconds)
    for posterior in posteriors.values():
        assert -5 < posterior.log_variance.mean() < -3
    assert latents.expand({n: p.z for n, p in posteriors.items()}, seconds).std() < 0.2


def test_the_scale_of_the_embeddings_does_not_count():
    latents, (embeddings, seconds) = latents_of(), piece()
    one, other = (latents.encode(k * embeddings, seconds)["fine"].mean for k in (1.0, 0.1))
    torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-2)


def test_nothing_passes_the_bottleneck():
    """With z held, the encoder's input does not matter; with z free, it does."""
    latents, (embeddings, seconds) = latents_of(), piece()
    embeddings.requires_grad_()
    posteriors = latents.encode(embeddings, seconds)
    z = {name: p.z for name, p in posteriors.items()}
    signal = latents.expand(z, seconds)
    (through,) = torch.autograd.grad(signal.square().sum(), embeddings, retain_graph=True)
    assert (through != 0).any()
    held = latents.expand({name: value.detach() for name, value in z.items()}, seconds)
    gradients = torch.autograd.grad(
        held.square().sum(), [embeddings, *latents.encoder.parameters()], allow_unused=True
    )
    assert all(gradient is None for gradient in gradients)


def test_the_decoder_hears_the_segments_that_contain_its_time():
    latents = latents_of()
    z = {name: value.requires_grad_() for name, value in latents.sample_prior(1, 99.0).items()}
    seconds = torch.tensor([[0.0, 7.6, 60.0]])
    signal = latents.expand(z, seconds)
    expected = {"fine": [0, 5, 40], "local": [0, 1, 10], "global": [0, 0, 1]}
    for position in range(3):
        gradients = torch.autograd.grad(
            signal[0, position].sum(), list(z.values()), retain_graph=True
        )
        for name, gradient in zip(z, gradients, strict=True):
            heard = (gradient[0].abs().sum(-1) > 0).nonzero().flatten().tolist()
            assert heard == [expected[name][position]]


def test_chunks_of_the_signal_equal_the_whole():
    latents, (_, seconds) = latents_of(), piece()
    z = latents.sample_prior(1, 100.0, generator())
    whole = latents.expand(z, seconds)
    chunks = torch.cat([latents.expand(z, part) for part in seconds.split(33, 1)], 1)
    torch.testing.assert_close(whole, chunks)


def test_a_time_after_the_last_segment_hears_the_last():
    latents = latents_of()
    z = latents.sample_prior(1, 1.0, generator())
    same_phase = latents.expand(z, torch.tensor([[0.5, 48.5]]))
    torch.testing.assert_close(same_phase[0, 0], same_phase[0, 1])


def test_one_global_segment_for_the_whole_piece():
    latents = latents_of(**{"global": SMALL["global"] | {"seconds": None}})
    embeddings, seconds = piece(last=500.0)
    posteriors = latents.encode(embeddings, seconds)
    assert posteriors["global"].z.shape == (1, 1, 4)
    signal = latents.expand({n: p.z for n, p in posteriors.items()}, seconds)
    assert signal.shape == (1, 200, WIDTH)


def test_a_piece_in_a_padded_batch_has_the_same_posteriors():
    latents = latents_of()
    (short, early), (long, late) = piece(50, last=20.0), piece(80, seed=1)
    mask = torch.ones(2, 80, dtype=torch.bool)
    mask[0, 50:] = False
    pad = torch.nn.functional.pad
    batch = latents.encode(
        torch.cat([pad(short, (0, 0, 0, 30)), long]), torch.cat([pad(early, (0, 30)), late]), mask
    )
    alone = latents.encode(short, early)
    for name, kl in latents.kl(alone).items():
        in_batch = latents.kl(batch)[name][:1]
        torch.testing.assert_close(in_batch[:, : kl.shape[1]], kl)
        assert (in_batch[:, kl.shape[1] :] == 0).all()


@pytest.mark.parametrize("kind", ["gaussian", "mixture", "flow"])
def test_log_weights_are_minus_kl_in_the_mean(kind):
    priors = {n: level | {"prior": {"kind": kind}} for n, level in SMALL.items()}
    latents, (embeddings, seconds) = latents_of(**priors), piece(40, last=20.0)
    seconds = seconds + 15.0 * (seconds > 10)  # empty segments in the middle
    many = [x.expand(300, *x.shape[1:]) for x in (embeddings, seconds)]
    with torch.no_grad():
        posteriors = latents.encode(*many, generator=generator())
        weights = latents.log_weights(posteriors, torch.zeros(300))
        kl = sum(level.sum(-1) for level in latents.kl(posteriors).values())
    error = (weights + kl).std() / 300**0.5
    assert abs((weights + kl).mean()) < 4 * error + 1e-4
    assert iw_elbo(weights[:, None]) > weights.mean()


def test_samples_of_the_prior_have_the_pieces_segments():
    z = latents_of().sample_prior(2, 50.0, generator())
    assert {n: tuple(v.shape) for n, v in z.items()} == {
        "fine": (2, 34, 2),
        "local": (2, 9, 3),
        "global": (2, 2, 4),
    }


def test_half_precision_keeps_the_posteriors_in_single():
    latents, (embeddings, seconds) = latents_of(), piece(40, last=20.0)
    with torch.autocast("cpu", torch.bfloat16):
        posteriors = latents.encode(embeddings, seconds, generator=generator())
        signal = latents.expand({n: p.z for n, p in posteriors.items()}, seconds)
    assert posteriors["fine"].mean.dtype == torch.float32
    exact = latents.encode(embeddings, seconds)
    torch.testing.assert_close(
        posteriors["global"].mean, exact["global"].mean, atol=0.05, rtol=0.05
    )
    assert signal.isfinite().all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"local": {"seconds": 4.0, "width": 3, "free_nats": 0}},
        {"global": {"seconds": 3.0, "width": 3, "free_nats": 0}},
        {"fine": {"seconds": None, "width": 3, "free_nats": 0}},
        {"middle": {"seconds": 6.0, "width": 3, "free_nats": 0}},
    ],
)
def test_levels_that_do_not_nest_are_refused(wrong):
    with pytest.raises(ValidationError):
        LatentSettings.model_validate(SMALL | wrong)


def test_settings_survive_a_round_trip():
    settings = LatentSettings.model_validate(SMALL)
    for by_alias in (True, False):
        assert LatentSettings.model_validate(settings.model_dump(by_alias=by_alias)) == settings


def test_word_dropout():
    tokens = torch.randint(0, VOCABULARY.size, (4, 5000), generator=generator())
    tokens[:, 0], tokens[:, -1] = VOCABULARY.bos, VOCABULARY.eos
    dropped = word_dropout(tokens, 0.3, generator())
    hidden = dropped != tokens
    assert hidden.float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert (dropped[hidden] == VOCABULARY.pad).all()
    assert not hidden[:, [0, -1]].any()
    assert torch.equal(dropped, word_dropout(tokens, 0.3, generator()))
    assert torch.equal(tokens, word_dropout(tokens, 0.0, generator()))
