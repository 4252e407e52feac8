"""One step of codec training follows its recipe: weights, clipping, schedule, discriminator."""

import math
from types import SimpleNamespace

import pytest
import torch

from giblet.codec_training.recipe import CodecSettings
from giblet.codec_training.trainer import CodecTraining

NETWORK = {
    "architecture": "mdct",
    "width": 16,
    "codebook_dim": 8,
    "n_codebooks": 2,
    "codebook_size": 8,
    "quantizer": {"dead_below": 0.1, "dropout": 0.0},
}
SCHEDULE = {
    "steps": 8,
    "steps_without_codebooks": 4,
    "warmup_steps": 2,
    "learning_rate": 1e-3,
    "gradient_clip": 1e9,
    "bfloat16": False,
}
DISCRIMINATOR = {"kind": "period", "parameters": {"periods": [2], "width": 2}}


class OneStep(CodecTraining):
    """The training module outside of a Lightning trainer, at a step of one's choice.

    ``gradients`` and ``rate`` are those that the codec's optimizer saw last.
    """

    def __init__(self, **changes):
        schedule = SCHEDULE | changes.pop("schedule", {})
        network = NETWORK | changes.pop("network", {})
        super().__init__(CodecSettings(network=network, schedule=schedule, **changes))
        self.step, self.logged = 0, {}
        codec, *others = self.configure_optimizers()
        codec.register_step_pre_hook(self._record)
        self._own_optimizers = [codec, *(SimpleNamespace(optimizer=o) for o in others)]

    def _record(self, optimizer, args, kwargs):
        self.gradients = [p.grad.clone() for p in self._learned()]
        self.rate = optimizer.param_groups[0]["lr"]

    def _learned(self):
        return [p for p in self.network.parameters() if p.grad is not None]

    @property
    def global_step(self):
        return self.step

    def optimizers(self):
        return self._own_optimizers

    def manual_backward(self, loss):
        loss.backward()

    def clip_gradients(self, optimizer, value, algorithm):
        assert algorithm == "norm"
        torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], value)

    def log_dict(self, values, **options):
        self.logged |= values

    def log(self, name, value):
        self.logged[name] = value


@pytest.fixture(autouse=True)
def own_seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture
def sound():
    return 0.1 * torch.randn(2, 1, 3200)


@pytest.fixture
def module(sound):
    """Maker of a module whose network and codebooks are started."""

    def make(**changes):
        made = OneStep(**changes)
        made.network.start(sound)
        with torch.no_grad():
            made.network.start_codebooks(made.network.encode(sound))
        return made

    return make


def gradients_of(module, sound, weights, commitment_weight):
    """By hand: of the weighted sum of the losses and of the commitment. The network stays."""
    state = {k: v.clone() for k, v in module.network.state_dict().items()}
    estimate, _codes, commitment = module.through(sound, module.network)
    losses = {
        name: loss(estimate[:, 0], sound[:, 0]) for name, loss in module.losses.losses.items()
    }
    if module.judge:
        losses |= module.judge.codec_losses(estimate[:, 0], sound[:, 0])
    total = sum(weights[name] * losses[name] for name in weights)
    (total + commitment_weight * commitment).backward()
    gradients = [p.grad.clone() for p in module._learned()]
    module.network.load_state_dict(state)  # codebooks had moved on
    return gradients


def assert_same(found, expected):
    assert len(found) == len(expected) > 10
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("weights", [{"waveform": 3.0, "stft": 0.5}, {"waveform": 0.1, "stft": 7}])
@pytest.mark.parametrize("commitment_weight", [0.5, 40.0])
def test_the_gradient_is_that_of_the_weighted_losses(module, sound, weights, commitment_weight):
    made = module(losses=weights, commitment_weight=commitment_weight)
    expected = gradients_of(made, sound, weights, commitment_weight)
    made.training_step(sound, 0)
    assert made.logged["train/commitment"] > 0
    assert_same(made.gradients, expected)


def test_the_discriminators_losses_have_their_weights(module, sound):
    settings = DISCRIMINATOR | {"weight": 5.0, "feature_weight": 0.3}
    made = module(losses={"waveform": 1.0}, discriminator=settings)
    weights = {"waveform": 1.0, "adversarial": 5.0, "features": 0.3}
    expected = gradients_of(made, sound, weights, 1.0)
    made.training_step(sound, 0)
    assert_same(made.gradients, expected)


FIXED = {"quantizer": {"learn_by": "none", "dropout": 0.0, "dead_below": 50.0}}


def test_with_fixed_codebooks_all_else_is_trained(module, sound):
    """Codes keep what they stand for: in the codec that is saved, and in the averaged one."""
    made = module(network=FIXED, schedule={"average_decay": 0.5})
    model = made.network.export()
    books = model.codebooks.clone()
    others = {k: v.clone() for k, v in model.state_dict().items() if v.ndim and k != "codebooks"}
    for made.step in range(4, 7):
        made.training_step(sound, 0)
    assert torch.equal(made.network.export().codebooks, books)
    assert torch.equal(made.finished().export().codebooks, books)
    after = made.network.model.state_dict()
    assert not [k for k, v in others.items() if torch.equal(v, after[k])]


def test_fixed_codebooks_are_searched_as_those_that_learn(module, sound):
    """vector-quantize-pytorch is the oracle: codes, commitment and gradients."""
    learning, fixed = (module(network=network).network for network in ({}, FIXED))
    fixed.load_state_dict(learning.state_dict())
    given, results = 3 * torch.randn(2, 10, 8), []
    for network in (fixed, learning):
        latents = given.clone().requires_grad_()
        quantized, codes, commitment = network.train().quantize(latents)
        (quantized.square().sum() + 5 * commitment).backward()
        results.append((quantized, codes, commitment, latents.grad))
    assert results[0][1].unique().numel() > 3
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_fixed_codebooks_are_dropped_from_the_last(module, sound):
    settings = FIXED["quantizer"] | {"dropout": 1.0}
    network = module(network={"n_codebooks": 4, "quantizer": settings}).network.train()
    latents = network.encode(sound)
    n_used = set()
    for _ in range(30):
        quantized, codes, _ = network.quantize(latents)
        kept = (codes >= 0).all(dim=1)[0]
        assert not (codes[..., ~kept] >= 0).any()
        torch.testing.assert_close(quantized, network.dequantize(codes))
        n_used.add(int(kept.sum()))
    assert n_used == {1, 2, 3, 4}


@pytest.mark.parametrize("balance", ["weights", "gradients"])
def test_commitment_reaches_the_encoder(module, sound, balance):
    """Of two steps that differ in nothing but its weight."""
    found = []
    for weight in (1e-9, 50.0):
        torch.manual_seed(0)
        made = module(losses={"waveform": 1.0}, balance=balance, commitment_weight=weight)
        made.training_step(sound, 0)
        found.append(torch.cat([g.flatten() for g in made.gradients]))
    assert not torch.allclose(*found, rtol=0.01)


@pytest.mark.parametrize("limit", [1e-3, 1e-1])
def test_gradients_are_clipped_to_their_norm(module, sound, limit):
    made = module(losses={"waveform": 100.0}, schedule={"gradient_clip": limit})
    made.training_step(sound, 0)
    norm = math.sqrt(sum(g.square().sum().item() for g in made.gradients))
    assert norm == pytest.approx(limit, rel=1e-3)


@pytest.mark.parametrize(
    ("decay", "shares"),
    [
        # half while warming up; then 0.1 + 0.9 * (1 + cos(pi * step / 8)) / 2
        ("cosine", {0: 0.5, 2: 0.868198, 4: 0.55, 8: 0.1}),
        ("exponential", {0: 0.5, 2: 0.562341, 4: 0.316228, 8: 0.1}),  # 0.1 ** (step / 8)
    ],
)
def test_the_learning_rate_warms_up_and_falls(module, sound, decay, shares):
    made = module(losses={"waveform": 1.0}, schedule={"decay": decay, "final_share": 0.1})
    for step, share in shares.items():
        made.step = step
        made.training_step(sound, 0)
        assert made.rate == pytest.approx(share * 1e-3, rel=1e-5)


def weights_of(part):
    return torch.cat([p.detach().flatten() for p in part.parameters()]).clone()


def test_the_discriminator_learns_from_its_first_step_on_and_every_so_often(module, sound):
    settings = DISCRIMINATOR | {"from_step": 3, "every": 2}
    made = module(losses={"waveform": 1.0}, discriminator=settings)
    learned, is_adversarial = [], []
    for step in range(7):
        made.step, made.logged, before = step, {}, weights_of(made.judge)
        made.training_step(sound, 0)
        is_adversarial.append("train/adversarial" in made.logged)
        learned.append(not torch.equal(weights_of(made.judge), before))
    assert is_adversarial == [False] * 3 + [True] * 4
    assert learned == [False, False, False, False, True, False, True]


def test_averaged_weights_follow_the_network(module, sound):
    made = module(losses={"waveform": 1.0}, schedule={"average_decay": 0.5})
    start = weights_of(made.network)
    made.training_step(sound, 0)  # the first average is a copy
    first = weights_of(made.network)
    made.training_step(sound, 0)
    second = weights_of(made.network)
    assert not torch.equal(start, first)
    expected = (first + second) / 2
    torch.testing.assert_close(weights_of(made.average.module), expected, rtol=1e-4, atol=1e-7)
    assert made.finished() is made.average.module
