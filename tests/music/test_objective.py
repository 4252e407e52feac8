"""What a training step's loss is made of, and where its gradient comes from."""

from types import SimpleNamespace

import pytest
import torch
from music.pieces import broken_chords
from pydantic import ValidationError
from torch.utils.data import DataLoader

from giblet.errors import GibletError
from giblet.music.constraints import Grid, rhythm_off_grid
from giblet.music.data import RandomCrops
from giblet.music.latents import HierarchicalLatents, LatentSettings
from giblet.music.losses import KINDS, mean_nats, token_nats
from giblet.music.model import MusicTransformerVAEGAN
from giblet.music.objective import LossSettings, Objective
from giblet.music.recipe import DataSettings, parse_recipe
from giblet.music.tokens import VOCABULARY

LATENTS = {
    "fine": {"seconds": 1.5, "width": 3, "free_nats": 0.1},
    "local": {"seconds": 6.0, "width": 4, "free_nats": 0.1},
    "global": {"seconds": 48.0, "width": 5, "free_nats": 0.1},
    "n_token_blocks": 1,
    "n_segment_blocks": 1,
}
TINY = {"width": 16, "n_heads": 2, "n_layers": 1, "dropout": 0.0, "attention": {"window": 16}}
SCALES = {"local": {"n_tokens": 16, "width": 8, "n_halvings": 2}}
ALL = {"latents": LATENTS, "gan": {"scales": SCALES}}


@pytest.fixture(autouse=True)
def own_seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="module")
def batch():
    settings = DataSettings(crop_tokens=32, batch_size=2)
    pieces = [broken_chords(seed, n_bars=4, shuffled=False) for seed in range(6)]
    return next(iter(DataLoader(RandomCrops(pieces, settings, 0), 2)))


def step(batch, losses, model=None, diagnosed=False):
    """Objective, model, loss and values of a first step."""
    network = MusicTransformerVAEGAN({"transformer": TINY, **(model or {})}).train()
    objective = Objective(LossSettings.model_validate(losses), network.settings.gan, TINY["width"])
    drawing = torch.Generator().manual_seed(0)
    loss, values, _drawn = objective(network, batch, 0, drawing, diagnosed)
    return objective, network, loss, values


def gradients(network, loss):
    named = dict(network.named_parameters())
    found = torch.autograd.grad(loss, list(named.values()), retain_graph=True, allow_unused=True)
    return {n: g for n, g in zip(named, found, strict=True) if g is not None}


def test_kl_counts_in_the_loss(batch):
    """``loss - nats`` is beta times the KL beyond the free nats, where nothing else weighs."""
    objective, network, loss, values = step(batch, {"kl": {"kind": "target"}}, {"latents": LATENTS})
    beta = objective.settings.kl.beta
    n_tokens = (batch["targets"] != VOCABULARY.pad).sum()
    posteriors = network.posteriors(batch, torch.Generator().manual_seed(0))
    charged = sum(
        max(float(values[f"kl_{name}"]), 0.1) * float(p.occupied.sum() / n_tokens)
        for name, p in posteriors.items()
    )
    assert charged > 0
    assert float((loss - values["nats"]).detach()) == pytest.approx(beta * charged, rel=1e-4)


def test_the_cost_of_kl_is_per_token_and_never_below_the_free_nats():
    free = {"fine": 0.0, "local": 100.0, "global": 1.0}
    levels = {name: LATENTS[name] | {"free_nats": nats} for name, nats in free.items()}
    latents = HierarchicalLatents(16, LatentSettings.model_validate(LATENTS | levels))
    seconds = torch.linspace(0, 20, 40)[None]
    seconds = seconds + 15.0 * (seconds > 10)  # empty segments in the middle
    posteriors = latents.encode(torch.randn(1, 40, 16), seconds, generator=torch.Generator())
    objective, kl = Objective(LossSettings(), None), latents.kl(posteriors)
    cost, _values = objective._kl(SimpleNamespace(latents=latents), posteriors, 40)
    n_local = len({int(s // 6) for s in seconds[0]})
    assert n_local < posteriors["local"].occupied.shape[1]
    parts = kl["fine"].sum(), torch.tensor(100.0 * n_local), kl["global"].sum().clamp(min=1)
    assert cost.item() == pytest.approx(sum(part.item() for part in parts) / 40)
    alone = {"local": posteriors["local"]}
    own = SimpleNamespace(settings=latents.settings, kl=lambda _: {"local": kl["local"]})
    cost, _values = objective._kl(SimpleNamespace(latents=own), alone, 40)
    (gradient,) = torch.autograd.grad(cost, posteriors["local"].log_variance)
    assert (gradient == 0).all()


def test_a_weighted_sum_has_every_loss(batch):
    losses = {"token_weights": {}, "constraints": {"rhythm": 0.3}}
    objective, _, loss, values = step(batch, losses, ALL)
    expected = sum(weight * values[name] for name, weight in objective.weights.items())
    assert loss.item() == pytest.approx(float(expected), rel=1e-5)
    assert {"rhythm", "adversarial_local", "music_melody"} < objective.weights.keys()


def test_the_balancer_gives_each_loss_its_share_beside_the_nats(batch):
    """By its own definition, with gradients taken one loss at a time."""
    losses = {"constraints": {"rhythm": 0.5, "dissonance": 0.0, "key": 0.0, "voice_leap": 0.0}}
    torch.manual_seed(1)
    _, network, loss, values = step(batch, losses | {"balance": "gradients"})
    found = gradients(network, loss)
    assert float(values["share_rhythm"]) == pytest.approx(1 / 3)
    hidden = network(batch)
    logits = network.transformer.logits(hidden, batch["possible"])
    targets = batch["targets"]
    nats = token_nats(logits, targets).sum() / (targets != VOCABULARY.pad).sum()
    heard = logits.softmax(-1) * (targets != VOCABULARY.pad)[..., None]
    rhythm = rhythm_off_grid(heard, Grid(*batch["sixteenths"].unbind(-1)))
    norms = [
        torch.autograd.grad(x, logits, retain_graph=True)[0].flatten(1).norm(dim=1).mean()
        for x in (nats, rhythm)
    ]
    expected = gradients(network, nats + 0.5 * (norms[0] / norms[1]).detach() * rhythm)
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-6, rtol=1e-3, msg=name)
    assert loss.item() == pytest.approx(float(values["nats"] + 0.5 * values["rhythm"]), rel=1e-5)


def test_with_the_balancer_the_unit_of_adversarial_losses_changes_nothing(batch):
    found = []
    for unit in (1.0, 100.0):
        torch.manual_seed(1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "giblet.music.adversarial.hinge_generator", lambda fake, u=unit: -u * fake.mean()
            )
            _, network, loss, _ = step(batch, {"balance": "gradients"}, ALL)
        found.append(gradients(network, loss))
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], atol=1e-5, rtol=1e-3, msg=name)


def test_learned_weights_fall_for_kinds_with_many_nats(batch):
    """At their minimum they are the inverse of twice the nats, over 2: noisy kinds weigh little."""
    objective, _, _loss, values = step(batch, {"token_weights": "learned"})
    assert {f"weight_{name}" for name in KINDS} < values.keys()
    targets = torch.tensor([[60, 300, VOCABULARY.eos]])
    nats = torch.tensor([[4.0, 0.5, 1.0]])
    optimizer = torch.optim.Adam(objective.kind_weights.parameters(), 0.05)
    for _ in range(400):
        optimizer.zero_grad()
        objective.token_loss(nats, targets).backward()
        optimizer.step()
    weights = objective.kind_weights.weights()
    assert weights["note_on"] == pytest.approx(1 / 8, rel=0.02)
    assert weights["time_shift"] == pytest.approx(1, rel=0.02)
    assert weights["end"] == pytest.approx(1 / 2, rel=0.02)
    assert weights["velocity"] == 1  # was not there
    with pytest.raises(ValidationError, match="learned need balance: weights"):
        LossSettings(token_weights="learned", balance="gradients")


def test_crops_that_hear_no_latents_train_the_transformer_alone(batch):
    """All crops but those: latents have no gradient from the nats, and nats are the same."""
    latents = LATENTS | {"dropout": 1 - 1e-9}
    _objective, network, loss, values = step(
        batch, {"kl": {"wait_steps": 9}, "word_dropout": 0.5}, {"latents": latents}
    )
    named = gradients(network, loss)
    assert not any(g.any() for n, g in named.items() if n.startswith("latents."))
    with torch.no_grad():
        nats = network.target_nats(network(batch), batch)
    n_tokens = (batch["targets"] != VOCABULARY.pad).sum()
    torch.testing.assert_close(values["nats"], nats.sum() / n_tokens)


def test_latents_alone_name_the_tokens_of_their_segments(batch):
    """Nats of the bag's logits of z, weighed; they teach latents that the decoder does not hear."""
    losses = {"bag": 0.5, "kl": {"wait_steps": 9}}
    latents = LATENTS | {"dropout": 1 - 1e-9}
    objective, network, loss, values = step(batch, losses, {"latents": latents})
    with torch.no_grad():
        posteriors = network.posteriors(batch, torch.Generator().manual_seed(0))
        z = {name: posterior.z for name, posterior in posteriors.items()}
        since = (batch["seconds"] - batch["origin"]).clamp(min=0)
        mapped = network.latents.at_times(z, since)
    for name, each in mapped.items():
        nats = token_nats(objective.bag_logits(each), batch["targets"])
        torch.testing.assert_close(values[f"bag_{name}"], mean_nats(nats, batch["targets"]))
    bag = sum(values[f"bag_{name}"] for name in z) / 3
    torch.testing.assert_close(loss.detach(), values["nats"] + 0.5 * bag)
    named = gradients(network, loss)
    assert all(named[f"latents.heads.{name}.2.weight"].any() for name in z)


def test_first_steps_teach_latents_alone(batch):
    losses = {"bag": 0.5, "bag_steps": 1, "kl": {"wait_steps": 9}}
    objective, network, loss, values = step(batch, losses, {"latents": LATENTS})
    bag = sum(values[f"bag_{name}"] for name in ("fine", "local", "global")) / 3
    torch.testing.assert_close(loss.detach(), 0.5 * bag)
    assert all(name.startswith("latents.") for name in gradients(network, loss))
    _loss, later, _drawn = objective(network, batch, 1, torch.Generator())
    assert "nats" in later
    assert "nats" not in values


def test_a_bag_needs_latents():
    with pytest.raises(ValidationError, match="bag_steps need"):
        LossSettings(bag_steps=3)
    with pytest.raises(GibletError, match="is of latents"):
        parse_recipe({"losses": {"bag": 1.0}}, "recipe.yaml")
