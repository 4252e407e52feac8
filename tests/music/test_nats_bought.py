"""Nats bought by z: by hand, and on a small VAE that is trained on pieces with known structure."""

from math import log

import pytest
import torch
from torch import nn

from giblet.music.kl_schedules import free_bits
from giblet.music.latents import HierarchicalLatents, LatentSettings
from giblet.music.nats_bought import fit_segments, nats_bought_by_latents


def test_each_level_is_replaced_alone():
    worth = {"fine": 1.0, "local": 2.0, "global": 4.0}
    own = {name: torch.ones(1, 3, 2) for name in worth}
    other = {name: torch.zeros(1, 2, 2) for name in worth}
    prior = {name: torch.full((1, 5, 2), 0.5) for name in worth}

    def nll(z):
        assert all(value.shape[1] == 3 for value in z.values())
        return torch.stack([10 - w * z[name].mean() for name, w in worth.items()]).sum()

    bought = nats_bought_by_latents(nll, own, other, prior)
    assert bought["own"] == {"all": pytest.approx(23)}
    assert bought["other"] == pytest.approx({"all": 7, "fine": 1, "local": 2, "global": 4})
    assert bought["prior"] == pytest.approx({"all": 3.5, "fine": 0.5, "local": 1, "global": 2})


def test_a_decoder_that_ignores_z_buys_nothing():
    z = {"fine": torch.ones(1, 3, 2)}
    bought = nats_bought_by_latents(lambda _: torch.tensor([2.0, 4.0]), z, z, z)
    assert bought == {"own": {"all": 3}, "other": {"all": 0, "fine": 0},
                      "prior": {"all": 0, "fine": 0}}  # fmt: skip


def test_segments_are_repeated_or_cut():
    z = torch.arange(3.0).reshape(1, 3, 1)
    assert fit_segments(z, 7).flatten().tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert fit_segments(z, 2).flatten().tolist() == [0, 1]


N_SYMBOLS = 6


def pieces(batch, generator):
    """SIMULATED: a symbol that each fine, each local and each global segment repeats.

    Tokens (batch, n) in three kinds of places, and their seconds. No token tells of the next one,
    so a decoder without memory can know the symbols by z alone.
    """
    seconds = (torch.arange(192) / 4.0).expand(batch, -1)
    tokens = torch.empty(batch, 192, dtype=torch.long)
    for place, length in enumerate((1.5, 6.0, 48.0)):
        index = (seconds / length).floor().long()
        symbols = torch.randint(
            0, N_SYMBOLS, (batch, int(index.max()) + 1), generator=generator
        ).gather(1, index)
        tokens = torch.where(torch.arange(192) % 3 == place, symbols + place * N_SYMBOLS, tokens)
    return tokens, seconds


class Decoder(nn.Module):
    """Says each token from the signal at its place, and from which of three places it is."""

    def __init__(self, width):
        super().__init__()
        self.place = nn.Embedding(3, width)
        nn.init.normal_(self.place.weight, std=0.02)
        self.norm = nn.RMSNorm(width)
        self.network = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, 3 * N_SYMBOLS))

    def forward(self, signal, tokens):
        place = torch.arange(tokens.shape[1]) % 3
        logits = self.network(self.norm(signal + self.place(place)))
        return nn.functional.cross_entropy(logits.mT, tokens, reduction="none")


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    settings = LatentSettings.model_validate(
        {
            "fine": {"seconds": 1.5, "width": 4, "free_nats": 0.0},
            "local": {"seconds": 6.0, "width": 4, "free_nats": 0.0},
            "global": {"seconds": 48.0, "width": 4, "free_nats": 0.0},
            "n_token_blocks": 1,
            "n_segment_blocks": 1,
        }
    )
    width = 24
    embed = nn.Embedding(3 * N_SYMBOLS, width)
    latents, decoder = HierarchicalLatents(width, settings), Decoder(width)
    parameters = [p for module in (embed, latents, decoder) for p in module.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=5e-3, fused=True)
    for _ in range(150):
        tokens, seconds = pieces(8, generator)
        posteriors = latents.encode(embed(tokens), seconds, generator=generator)
        nll = decoder(latents.expand({n: p.z for n, p in posteriors.items()}, seconds), tokens)
        kl = sum(free_bits(k.sum() / tokens.numel(), 0.0) for k in latents.kl(posteriors).values())
        optimizer.zero_grad()
        (nll.mean() + 0.1 * kl).backward()
        optimizer.step()
    return embed, latents, decoder


@pytest.mark.slow
def test_a_trained_vae_buys_nats_on_every_level(trained):
    """Each level holds what repeats at its time scale, and without z all cost ln 6 nats."""
    embed, latents, decoder = trained
    generator = torch.Generator().manual_seed(1)
    tokens, seconds = pieces(8, generator)
    with torch.no_grad():
        posteriors = latents.encode(embed(tokens), seconds, generator=generator)
    own = {name: p.z for name, p in posteriors.items()}
    other = {name: z.roll(1, 0) for name, z in own.items()}

    def nll(z):
        return decoder(latents.expand(z, seconds), tokens)

    bought = nats_bought_by_latents(nll, own, other, latents.sample_prior(8, 47.75, generator))
    chance = log(N_SYMBOLS)
    assert bought["own"]["all"] < chance - 1
    for kind in ("other", "prior"):
        assert bought[kind]["all"] > 1
        assert min(bought[kind].values()) > 0.3
