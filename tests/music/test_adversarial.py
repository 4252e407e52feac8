"""Gradients reach the model, R1 is what finite differences say, and strong discriminators wait."""

import pytest
import torch

from giblet.music.adversarial import (
    AdversarialSettings,
    MusicAdversary,
    area_under_curve,
    draw_straight_through,
    feature_matching,
    hinge_discriminator,
    hinge_generator,
    one_hot,
    r1_penalty,
    whole_windows,
)
from giblet.music.discriminators import DEFAULT_SCALES, ScaleSettings, TokenDiscriminator
from giblet.music.spectral_norm import largest_singular_value
from giblet.music.tokens import VOCABULARY as V

SMALL = {
    "local": ScaleSettings(n_tokens=8, width=8, n_halvings=1),
    "phrase": ScaleSettings(n_tokens=16, width=8, n_halvings=1, from_step=100),
    "global": ScaleSettings(n_tokens=32, width=8, n_halvings=2, from_step=200),
}
LATE = 1000
every_scale = pytest.mark.parametrize("scale", SMALL)


@pytest.fixture(autouse=True)
def own_seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture
def adversary():
    return MusicAdversary(AdversarialSettings(scales=SMALL))


def some_tokens(seed=0, batch=3, n=32):
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(40, 80, (batch, n), generator=generator)
    tokens[:, ::5] = V.velocity_token(tokens[:, ::5] % V.n_velocities)
    return tokens


def some_logits(seed=0, batch=3, n=32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, n, V.n_ids, generator=generator)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_drawn_tokens_are_one_hots_as_often_as_the_softmax_says():
    logits = torch.tensor([2.0, 0.0, 1.0, -1.0]).expand(1, 20000, 4)
    drawn = draw_straight_through(logits, 0.5, generator())
    torch.testing.assert_close(drawn, (drawn > 0.5).float(), atol=1e-6, rtol=0)
    torch.testing.assert_close(drawn.sum(-1), torch.ones(1, 20000))
    torch.testing.assert_close(drawn.mean(1)[0], logits[0, 0].softmax(-1), atol=0.015, rtol=0)


def test_the_gradient_of_a_draw_is_that_of_the_noisy_softmax():
    logits = some_logits(n=4).double().requires_grad_()
    weights = torch.rand(logits.shape, generator=generator(1))
    drawn = draw_straight_through(logits, 0.7, generator(2))
    (found,) = torch.autograd.grad((weights * drawn).sum(), logits)
    uniform = torch.rand(logits.shape, generator=generator(2))
    soft = ((logits - (-uniform.log()).log()) / 0.7).softmax(-1)
    (expected,) = torch.autograd.grad((weights * soft).sum(), logits)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)


def test_draws_are_the_generators_and_nobody_elses():
    logits = some_logits()
    state = torch.random.get_rng_state()
    first, again = (draw_straight_through(logits, 1.0, generator(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, draw_straight_through(logits, 1.0, generator(4)))
    assert torch.equal(state, torch.random.get_rng_state())


def test_windows_are_the_sequence_cut():
    x = torch.arange(2 * 10 * 3).view(2, 10, 3)
    windows = whole_windows(x, 4)
    assert torch.equal(windows, torch.stack([x[0, :4], x[0, 4:8], x[1, :4], x[1, 4:8]]))
    assert len(whole_windows(x, 11)) == 0


@every_scale
def test_the_gradient_reaches_the_logits_by_each_scale(adversary, scale):
    logits = some_logits().requires_grad_()
    with torch.no_grad():
        adversary.discriminators[scale].score.bias.fill_(-5)  # nobody is fooled yet
    real, fake = adversary.draw(logits, some_tokens(), generator())
    losses = adversary.generator_losses(real, fake, LATE)
    for name in (f"adversarial_{scale}", f"features_{scale}"):
        (gradient,) = torch.autograd.grad(losses[name], logits, retain_graph=True)
        assert (gradient.abs().amax(-1) > 0).float().mean() > 0.9, name  # nearly every position
    for name in [name for name in losses if name.startswith("music_")]:
        (gradient,) = torch.autograd.grad(losses[name], logits, retain_graph=True)
        assert gradient.abs().max() > 0, name


def test_the_model_learns_what_the_discriminators_reward(adversary):
    logits = some_logits().requires_grad_()
    tokens = some_tokens()
    with torch.no_grad():
        for discriminator in adversary.discriminators.values():
            discriminator.score.bias.fill_(-5)
    optimizer = torch.optim.Adam([logits], 0.1)
    series = []
    for step in range(10):
        real, fake = adversary.draw(logits, tokens, generator(step))
        losses = adversary.generator_losses(real, fake, LATE)
        total = sum(losses[name] for name in losses if name.startswith("adversarial"))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        series.append(total.item())
    assert sum(series[-5:]) < sum(series[:5])


def test_nobody_learns_from_the_others_loss(adversary):
    logits = some_logits().requires_grad_()
    real, fake = adversary.draw(logits, some_tokens(), generator())
    sum(adversary.generator_losses(real, fake, LATE).values()).backward()
    assert all(p.grad is None for p in adversary.parameters())
    assert all(p.requires_grad for p in adversary.parameters())
    logits.grad = None
    total, _ = adversary.discriminator_losses(real, fake, LATE)
    total.backward()
    assert logits.grad is None
    assert all(p.grad is not None for p in adversary.parameters())


def test_r1_equals_finite_differences_in_embedding_space():
    discriminator = TokenDiscriminator(ScaleSettings(n_tokens=8, width=4, n_halvings=2)).double()
    real = one_hot(some_tokens(batch=2, n=8)).double()
    embedded = discriminator.embed(real)
    scores, _ = discriminator.judge(embedded)
    found = r1_penalty(scores, embedded).item()
    squares = []
    for point in embedded.detach():
        moves = 1e-5 * torch.eye(point.numel(), dtype=point.dtype).view(-1, *point.shape)
        with torch.no_grad():
            up, down = (discriminator.judge(point + move)[0] for move in (moves, -moves))
        squares.append(((up - down) / 2e-5).square().sum().item())
    assert found > 0
    assert found == pytest.approx(sum(squares) / 2, rel=1e-3)


def test_r1_flattens_the_scores():
    discriminator = TokenDiscriminator(SMALL["local"])
    optimizer = torch.optim.Adam(discriminator.parameters(), 1e-2)
    real, series = one_hot(some_tokens(n=8)), []
    for _ in range(20):
        embedded = discriminator.embed(real)
        penalty = r1_penalty(discriminator.judge(embedded)[0], embedded)
        optimizer.zero_grad()
        penalty.backward()
        optimizer.step()
        series.append(penalty.item())
    assert series[-1] < series[0] / 2


def test_stages_begin_at_their_steps_and_with_enough_tokens(adversary):
    assert adversary.active(0, 32) == ["local"]
    assert adversary.active(99, 32) == ["local"]
    assert adversary.active(100, 32) == ["local", "phrase"]
    assert adversary.active(200, 32) == ["local", "phrase", "global"]
    assert adversary.active(200, 31) == ["local", "phrase"]
    real = one_hot(some_tokens())
    names = adversary.generator_losses(real, real, 100).keys()
    assert {n for n in names if n.startswith("adv")} == {"adversarial_local", "adversarial_phrase"}
    assert adversary.discriminator_losses(real[:, :7], real[:, :7], 500) == (None, {})


def test_every_loss_of_the_model_has_a_weight(adversary):
    real = one_hot(some_tokens())
    assert adversary.generator_losses(real, real, LATE).keys() == adversary.weights().keys()


def test_equal_music_has_no_distance_in_features(adversary):
    real, other = one_hot(some_tokens()), one_hot((some_tokens(1) + 5).clamp(max=V.eos))
    same = adversary.generator_losses(real, real, LATE)
    differs = adversary.generator_losses(real, other, LATE)
    for name in [n for n in same if n.startswith("features")]:
        assert same[name] == 0
        assert differs[name] > 0.01
    assert same["music_harmony"] == 0
    assert differs["music_melody"] > 0.01


def test_feature_matching_sees_the_mean_alone():
    real = torch.tensor([[[1.0, 3.0], [4.0, 4.0]]])
    assert feature_matching([real], [real.flip(-1)]) == 0
    assert feature_matching([real], [real + 1.5]).item() == pytest.approx(1.5 / 3)


def test_pad_is_no_work_of_the_model(adversary):
    tokens = some_tokens()
    tokens[:, 20:] = V.pad
    real, fake = adversary.draw(some_logits(), tokens, generator())
    assert torch.equal(real[:, 20:], fake[:, 20:])
    assert not torch.equal(real[:, :20], fake[:, :20])


def test_hinge_losses():
    good, bad = torch.tensor([2.0, 1.0]), torch.tensor([-1.0, -3.0])
    assert hinge_discriminator(good, bad) == 0
    assert hinge_discriminator(torch.zeros(2), torch.zeros(2)) == 2
    assert hinge_generator(good) == 0
    assert hinge_generator(torch.tensor([0.0, 4.0])) == 0.5


def test_area_under_curve_is_mann_and_whitneys_u_of_scipy(rng):
    from scipy.stats import mannwhitneyu

    real, fake = rng.integers(0, 9, 24), rng.integers(0, 8, 36)
    expected = mannwhitneyu(real, fake).statistic / (24 * 36)
    parts = [torch.from_numpy(scores).double() for scores in (real, fake)]
    assert area_under_curve(*parts).item() == pytest.approx(expected)


def test_a_discriminator_that_wins_learns_more_slowly():
    adversary = MusicAdversary(AdversarialSettings(scales=SMALL, auc_steps=2))
    optimizer = torch.optim.Adam(adversary.parameter_groups())
    for aucs, shares in (([0.5, 0.75, 0.3], [1, 1, 1]), ([0.8, 0.875, 1.0], [0.8, 0.5, 0.0])):
        adversary.aucs.copy_(torch.tensor(aucs))
        adversary.set_learning_rates(optimizer)
        rates = [group["lr"] / 5e-4 for group in optimizer.param_groups]
        assert rates == pytest.approx(shares, abs=1e-6)
    real, fake = one_hot(some_tokens()), one_hot(some_tokens(1))
    for _ in range(11):
        _, values = adversary.discriminator_losses(real, fake, LATE)
    assert adversary.aucs[1].item() == pytest.approx(values["auc_phrase"].item(), abs=1e-3)
    assert "aucs" in adversary.state_dict()  # a resumed run goes on with it


def test_every_weight_is_normalized_in_training(adversary):
    optimizer = torch.optim.Adam(adversary.parameter_groups())
    real = one_hot(some_tokens())
    for step in range(5):
        total, _ = adversary.discriminator_losses(real, one_hot(some_tokens(step)), LATE)
        optimizer.zero_grad()
        total.backward()
        for group in optimizer.param_groups:
            group["lr"] = 1.0  # hostile
        optimizer.step()
        assert 0.98 < largest_singular_value(adversary) <= 1.001
    parametrized = {
        n.split(".parametrizations")[0]
        for n, _ in adversary.named_parameters()
        if "parametrizations" in n
    }
    weights = {n.rpartition(".")[0] for n, p in adversary.named_parameters() if p.ndim > 1}
    assert {w.split(".parametrizations")[0] for w in weights} == parametrized


def test_scales_hear_as_many_tokens_as_they_are_to():
    assert [s.n_tokens for s in DEFAULT_SCALES.values()] == [32, 128, 256]


def test_in_half_precision_all_losses_and_gradients_are_finite(adversary):
    logits = some_logits().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        real, fake = adversary.draw(logits, some_tokens(), generator())
        losses = adversary.generator_losses(real, fake, LATE)
        total, values = adversary.discriminator_losses(real, fake, LATE)
    (sum(losses.values()) + total).backward()
    gradients = [logits.grad, *(p.grad for p in adversary.parameters())]
    assert all(x.isfinite().all() for x in (*losses.values(), *values.values(), *gradients))
