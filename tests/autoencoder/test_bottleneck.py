"""Where modalities meet, and how far a variational bottleneck strays. Oracle: torch's own."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from giblet.autoencoder.bottleneck import FlatJoin, SlotJoin, Spread

WIDTHS = {"audio": 24, "video": 10, "text": 6}


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        yield


@pytest.fixture
def parts():
    return {name: torch.randn(5, width) for name, width in WIDTHS.items()}


BANDS = {"audio": 8, "video": 3, "text": 2}


def make_join():
    return SlotJoin(WIDTHS, n_slots=3, bands=BANDS)


def test_every_modality_has_its_own_band(parts):
    join = make_join()
    whole = join(parts).view(5, 3, 13)
    for name, columns in {"audio": slice(8), "video": slice(8, 11), "text": slice(11, 13)}.items():
        changed = join(parts | {name: torch.randn_like(parts[name])}).view(5, 3, 13)
        differs = (changed != whole).any(dim=(0, 1))
        assert differs[columns].all()
        assert differs.sum() == BANDS[name]
        missing = join({m: x for m, x in parts.items() if m != name}).view(5, 3, 13)
        hidden = join(parts | {name: torch.zeros_like(parts[name])}).view(5, 3, 13)
        assert torch.equal(missing, hidden)
        assert not missing[..., columns].any()


def test_no_modality_is_louder_than_another(parts):
    """In a TR each band has the deviation 1; in sound's, what is louder stays louder."""
    join = make_join()
    slots = join(parts | {"video": 0.1 * parts["video"]}).view(5, 3, 13)
    for band in slots.split(list(BANDS.values()), dim=-1):
        torch.testing.assert_close(band.mean((1, 2)), torch.zeros(5), atol=1e-5, rtol=0)
        torch.testing.assert_close(band.var((1, 2), correction=0), torch.ones(5), atol=0.02, rtol=0)
    parts["audio"][:, 8:] *= 7
    louder = join(parts).view(5, 3, 13)[..., :8]
    assert (louder[:, 0].std(-1) < 0.5 * slots[:, 0, :8].std(-1)).all()
    join.norm["weight"][2], join.norm["bias"][5] = 10.0, 3.0
    factors, shifts = torch.ones(8), torch.zeros(8)
    factors[2], shifts[5] = 10.0, 3.0
    torch.testing.assert_close(join(parts).view(5, 3, 13)[..., :8], louder * factors + shifts)


def test_without_sound_the_bottleneck_is_made_of_what_there_is():
    join = SlotJoin({"blurred": 10}, n_slots=3, bands={"blurred": 8})
    one, other = join({"blurred": torch.randn(2, 10)})
    assert (one - other).abs().max() > 0.1
    assert torch.equal(join.slow(one[None]).sort().values, one[None].sort().values)


def test_what_is_slow_is_sounds_mean_over_the_tr_and_all_else(parts):
    join = make_join()
    bottleneck = join(parts)
    slots, slow = bottleneck.view(5, 3, 13), join.slow(bottleneck)
    assert slow.shape == (5, sum(join.slow_widths.values())) == (5, 8 + 3 * 5)
    sound, video, text = slow.split(list(join.slow_widths.values()), dim=-1)
    assert torch.equal(sound, slots[..., :8].mean(dim=1))
    assert torch.equal(video.view(5, 3, 3), slots[..., 8:11])
    assert torch.equal(text.view(5, 3, 2), slots[..., 11:])
    flat = FlatJoin(WIDTHS, 16)
    assert torch.equal(flat.slow(bottleneck), bottleneck)


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
