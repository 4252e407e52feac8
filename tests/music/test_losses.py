"""Nats, weights by kind of token, and a table of components that are finite and move."""

import numpy as np
import pytest
import torch

from giblet.music.adversarial import AdversarialSettings, MusicAdversary
from giblet.music.constraints import Grid
from giblet.music.discriminators import ScaleSettings
from giblet.music.losses import (
    COMPONENTS,
    ConstraintWeights,
    TokenWeights,
    constraints,
    diagnostics,
    mean_nats,
    token_nats,
    token_weights,
    total_loss,
    weighted_nats,
)
from giblet.music.tokens import VOCABULARY as V, token_seconds

SMALL = AdversarialSettings(
    scales={
        "local": ScaleSettings(n_tokens=8, width=8, n_halvings=1),
        "phrase": ScaleSettings(n_tokens=16, width=8, n_halvings=1),
        "global": ScaleSettings(n_tokens=32, width=8, n_halvings=2),
    }
)


def some_batch(seed, n=32):
    """Logits, targets, seconds and grid of random but note-like tokens."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(4, size=(4, n), p=[0.4, 0.3, 0.25, 0.05])
    pitch, steps = rng.integers(50, 70, (4, n)), rng.integers(1, 60, (4, n))
    choices = (
        V.note_on_token(pitch),
        V.note_off_token(pitch),
        V.time_shift_token(steps),
        V.velocity_token(steps % V.n_velocities),
    )
    tokens = np.choose(kinds, choices)
    seconds = torch.from_numpy(np.stack([token_seconds(row) for row in tokens]))
    grid = Grid(seconds / 0.125 % 1, torch.full_like(seconds, 0.125))
    logits = torch.from_numpy(rng.standard_normal((4, n, V.n_ids)) * 2).float()
    targets = torch.from_numpy(tokens)
    logits.scatter_add_(-1, targets[..., None], torch.full((4, n, 1), 5.0))
    return logits, targets, seconds, grid


def model_losses(logits, targets, seconds, grid):
    """Nats, plain and weighted, and the constraints."""
    nats = token_nats(logits, targets)
    losses = {
        "nats": mean_nats(nats, targets),
        "nats_weighted": weighted_nats(nats, targets, TokenWeights()),
    }
    return losses | constraints(logits.softmax(-1), targets, seconds, grid)


def test_nats_are_those_of_the_softmax_and_none_for_pad():
    logits, targets, *_ = some_batch(0)
    targets[:, 20:] = V.pad
    nats = token_nats(logits, targets)
    p = logits.double().softmax(-1).numpy()
    expected = -np.log(np.take_along_axis(p, targets.numpy()[..., None], -1)[..., 0])
    np.testing.assert_allclose(nats[:, :20], expected[:, :20], rtol=1e-5)
    assert not nats[:, 20:].any()
    assert mean_nats(nats, targets).item() == pytest.approx(expected[:, :20].mean(), rel=1e-5)


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_weights_by_kind(make):
    ids = make([0, 127, 128, 255, 256, 767, 768, 773, V.pad, V.bos, V.eos])
    found = token_weights(ids, TokenWeights(notes=3, timing=2, velocity=1.5))
    assert found.tolist() == [3, 3, 3, 3, 2, 2, 1.5, 1.5, 0, 1, 1]


def test_weighted_nats_are_a_weighted_mean():
    targets = torch.tensor([[60, 300, 770, V.pad]])
    nats = torch.tensor([[1.0, 2.0, 4.0, 0.0]])
    expected = (3 * 1 + 2 * 2 + 1.5 * 4) / 6.5
    assert weighted_nats(nats, targets, TokenWeights()).item() == pytest.approx(expected)
    even = TokenWeights(notes=2, timing=2, velocity=2)
    assert weighted_nats(nats, targets, even).item() == pytest.approx(7 / 3)


def test_every_loss_with_a_weight_reaches_the_logits():
    logits, targets, seconds, grid = some_batch(0)
    weights = {"nats_weighted": 1.0, **ConstraintWeights().model_dump()}
    losses = model_losses(logits.requires_grad_(), targets, seconds, grid)
    assert losses.keys() - weights.keys() == {"nats"}
    for name in weights:
        (gradient,) = torch.autograd.grad(losses[name], logits, retain_graph=True)
        assert gradient.abs().max() > 0, name
    total = sum(weights[name] * losses[name] for name in weights)
    torch.testing.assert_close(total_loss(losses, weights), total)


def test_pad_changes_nothing():
    logits, targets, seconds, grid = some_batch(0)
    others = some_batch(1)
    longer = [torch.cat([logits, others[0]], dim=1), torch.cat([seconds, others[2]], dim=1)]
    padded = torch.nn.functional.pad(targets, (0, 32), value=V.pad)
    pad = [torch.nn.functional.pad(x, (0, 32)) for x in (grid.phase, grid.seconds)]
    before = model_losses(logits, targets, seconds, grid)
    after = model_losses(longer[0], padded, longer[1], Grid(*pad))
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, msg=name)
    before, after = diagnostics(logits, targets), diagnostics(longer[0], padded)
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, msg=name)


def test_nats_are_those_of_the_kind_and_those_within_it():
    """The chain rule, by someone else's route: the rest is a cross-entropy inside each kind."""
    logits, targets, *_ = some_batch(0)
    found = diagnostics(logits, targets)
    within = []
    for part in (V.note_on, V.note_off, V.time_shift, V.velocity):
        own = (targets >= part.start) & (targets < part.stop)
        inside = torch.nn.functional.cross_entropy(
            logits[own][:, part], targets[own] - part.start, reduction="sum"
        )
        within.append(inside)
    total = token_nats(logits, targets).mean()
    torch.testing.assert_close(found["nats_kind"], total - sum(within) / targets.numel())


def test_a_perfect_prediction_has_no_nats_no_entropy_and_no_divergence():
    _, targets, *_ = some_batch(0)
    logits = 100 * torch.nn.functional.one_hot(targets, V.n_ids).float()
    found = diagnostics(logits, targets)
    for name, value in found.items():
        assert value == pytest.approx(1.0 if "accuracy" in name else 0.0, abs=1e-5), name


def test_accuracy_of_a_kind_is_among_its_own_tokens():
    """A VELOCITY that is the likeliest of its kind counts, also where a NOTE_ON is likelier."""
    targets = torch.tensor([[60, V.velocity_token(2), V.velocity_token(3), 61]])
    logits = torch.zeros(1, 4, V.n_ids)
    logits[..., 60] = 9
    logits[..., V.velocity_token(2)] = 1
    found = diagnostics(logits, targets)
    assert found["accuracy"] == 0.25
    assert found["accuracy_velocity"] == 0.5
    assert found["accuracy_note_on"] == 0.5


def all_components(seed, adversary):
    logits, targets, seconds, grid = some_batch(seed)
    logits[..., V.velocity_token(seed)] += 9  # which not all VELOCITYs are
    values = model_losses(logits, targets, seconds, grid)
    values |= diagnostics(logits, targets)
    real, fake = adversary.draw(logits, targets, torch.Generator().manual_seed(seed))
    values |= adversary.generator_losses(real, fake, step=10**6)
    return values | adversary.discriminator_losses(real, fake, step=10**6)[1]


def test_at_least_thirty_components_each_finite_and_different_on_another_batch():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        adversary = MusicAdversary(SMALL)
    values = [
        {name: float(value.detach()) for name, value in all_components(seed, adversary).items()}
        for seed in (1, 3)
    ]
    assert values[0].keys() == values[1].keys() <= COMPONENTS.keys()
    assert len(values[0]) >= 30
    for name in values[0]:
        assert np.isfinite([values[0][name], values[1][name]]).all(), name
        assert values[0][name] != values[1][name], name


def test_the_table_is_complete():
    for name, component in COMPONENTS.items():
        assert component.label, name
        assert component.unit, name
    assert len({(c.label, c.unit) for c in COMPONENTS.values()}) == len(COMPONENTS)
