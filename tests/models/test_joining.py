"""Where modalities meet, and how far a variational bottleneck strays. Oracle: torch's own."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from giblet.models.joining import FlatJoin, SlotJoin, Spread

WIDTHS = {"audio": 24, "video": 10, "text": 6}


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        yield


@pytest.fixture
def parts():
    return {name: torch.randn(5, width) for name, width in WIDTHS.items()}


def test_pictures_and_words_begin_by_adding_nothing(parts):
    join = SlotJoin(WIDTHS, n_slots=3, slot_dim=8)
    alone = join({"audio": parts["audio"]})
    assert torch.equal(join(parts), alone)
    with torch.enable_grad():
        join(parts)[:, :12].square().sum().backward()
    for name in ("video", "text"):
        assert join.adds[name].weight.grad.any()  # but they can learn to
        join.adds[name].weight.normal_()
        without = {m: x for m, x in parts.items() if m != name}
        assert (join(parts) - join(without)).abs().max() > 0.1


def test_without_sound_the_bottleneck_is_made_of_what_there_is():
    join = SlotJoin({"blurred": 10}, n_slots=3, slot_dim=8)
    one, other = join({"blurred": torch.randn(2, 10)})
    assert (one - other).abs().max() > 0.1


def test_a_tr_is_normalised_as_a_whole(parts):
    """Its loudness goes, what is louder within it stays; features are scaled alike in all slots."""
    join = SlotJoin(WIDTHS, n_slots=3, slot_dim=8)
    slots = join(parts).view(5, 3, 8)
    torch.testing.assert_close(slots.mean((1, 2)), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(slots.var((1, 2), correction=0), torch.ones(5), atol=1e-3, rtol=0)
    torch.testing.assert_close(join({"audio": 7 * parts["audio"]}), join(parts), atol=1e-3, rtol=0)
    parts["audio"][:, 8:] *= 7
    assert (join(parts).view(5, 3, 8)[:, 0].std(-1) < 0.5 * slots[:, 0].std(-1)).all()
    join.norm["weight"][2], join.norm["bias"][5] = 10.0, 3.0
    factors, shifts = torch.ones(8), torch.zeros(8)
    factors[2], shifts[5] = 10.0, 3.0
    parts["audio"][:, 8:] /= 7
    torch.testing.assert_close(join(parts).view(5, 3, 8), slots * factors + shifts)


def test_in_one_vector_what_is_missing_is_zero(parts):
    join = FlatJoin(WIDTHS, 16)
    zeros = parts | {"video": torch.zeros(5, 10)}
    del parts["video"]
    assert torch.equal(join(parts), join(zeros))


@pytest.fixture
def spread():
    spread = Spread(8)
    spread.log_variance.weight.normal_(std=0.5)
    return spread


def test_the_divergence_is_torchs(spread):
    bottleneck = torch.randn(5, 24)
    _drawn, nats = spread(bottleneck)
    log_variance = spread.log_variance(bottleneck.view(5, 3, 8)).flatten(1)
    own = Normal(bottleneck, (log_variance / 2).exp())
    torch.testing.assert_close(nats, kl_divergence(own, Normal(0.0, 1.0)))


def test_draws_lie_around_the_bottleneck_as_wide_as_stated(spread):
    bottleneck = torch.randn(1, 24)
    drawn, nats = spread(bottleneck.expand(20_000, 24))
    variance = spread.log_variance(bottleneck.view(3, 8)).exp().flatten()
    torch.testing.assert_close(drawn.var(dim=0), variance, rtol=0.05, atol=0)
    deviations = (drawn.mean(dim=0) - bottleneck[0]) / (variance / len(drawn)).sqrt()
    assert deviations.abs().max() < 5  # standard errors
    assert torch.equal(nats[0], nats[-1])  # no draw in it


def test_it_begins_nearly_sure():
    drawn, _nats = Spread(8)(bottleneck := torch.randn(1000, 24))
    assert (drawn - bottleneck).std() == pytest.approx(torch.tensor(-2.5).exp().item(), rel=0.05)
