"""The transformer: causality, caches, checkpointing, losses in chunks, sizes."""

import subprocess
import sys

import pytest
import torch
from torch.nn import functional

from giblet.errors import GibletError
from giblet.music.attention import AttentionSettings
from giblet.music.tokens import VOCABULARY
from giblet.music.transformer import (
    Transformer,
    TransformerSettings,
    chunked_nats,
    shift_right,
)

ATTENTIONS = {
    "full": AttentionSettings(kind="full"),
    "window": AttentionSettings(kind="window", window=8),
    "multi_scale": AttentionSettings(kind="multi_scale", window=4, dilations=(1, 3)),
    "hierarchical": AttentionSettings(kind="hierarchical", window=8, block=4, n_summaries=3),
}
KINDS = pytest.mark.parametrize("kind", ATTENTIONS)
SMALL = {"width": 32, "n_heads": 2, "n_layers": 2, "dropout": 0.0}


def make(kind="window", dtype=torch.float64, **changes):
    torch.manual_seed(0)
    model = Transformer(TransformerSettings(**SMALL | changes, attention=ATTENTIONS[kind]))
    for parameter in model.parameters():  # as large as after learning: everything is heard
        torch.nn.init.normal_(parameter, std=0.3)
    return model.to(dtype)


def piece(n, batch=2, dtype=torch.float64, seed=0):
    """Tokens, seconds and phases of random music."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(VOCABULARY.size, (batch, n), generator=generator)
    steps = VOCABULARY.steps(tokens)
    seconds = ((steps.cumsum(1) - steps) * VOCABULARY.step_seconds).to(dtype)
    return tokens, seconds, torch.stack((seconds * 2 % 1, seconds / 2 % 1), dim=-1)


@KINDS
def test_changing_a_token_leaves_the_past_bit_equal(kind):
    model = make(kind, torch.float32).eval()
    tokens, seconds, phases = piece(70, dtype=torch.float32)
    with torch.no_grad():
        before = model.logits(model(tokens, seconds, phases))
        for j in (0, 1, 7, 8, 40, 69):
            others = tokens.clone()
            others[:, j] = (others[:, j] + 1) % VOCABULARY.size
            after = model.logits(model(others, seconds, phases))
            assert torch.equal(before[:, :j], after[:, :j])
            assert not torch.equal(before[:, j], after[:, j])


@KINDS
def test_a_token_is_not_known_before_it_is_predicted(kind):
    model = make(kind).eval()
    tokens, seconds, phases = piece(40)
    with torch.no_grad():
        before = model.nats(tokens, seconds, phases)
        others = tokens.clone()
        others[:, 20] = (others[:, 20] + 1) % VOCABULARY.size
        after = model.nats(others, seconds, phases)
    assert torch.equal(before[:, :20], after[:, :20])
    assert (before[:, 20] != after[:, 20]).all()


@KINDS
@pytest.mark.parametrize("sizes", [[1] * 50, [50], [7, 1, 1, 30, 11]])
def test_chunks_through_caches_equal_the_whole(kind, sizes):
    model = make(kind).eval()
    inputs = (*piece(50), torch.randn(2, 50, 32).double())
    caches = model.new_caches()
    with torch.no_grad():
        whole = model(*inputs)
        parts = zip(*(x.split(sizes, 1) for x in inputs), strict=True)
        chunks = [model(*part, caches) for part in parts]
    torch.testing.assert_close(torch.cat(chunks, 1), whole, rtol=0, atol=1e-10)
    assert caches.n_seen == 50


def test_caches_with_gradients_are_refused():
    model = make()
    with pytest.raises(GibletError, match="caches hold no gradients"):
        model(*piece(5), caches=model.new_caches())


def gradients(model, inputs):
    model.zero_grad()
    latent = torch.full((2, 1, 32), 0.1).double().requires_grad_()
    torch.manual_seed(5)  # of dropout
    model.nats(*inputs, latent.expand(-1, inputs[0].shape[1], -1)).mean().backward()
    return [latent.grad, *(parameter.grad.clone() for parameter in model.parameters())]


@KINDS
def test_checkpointing_gives_the_same_gradients(kind, monkeypatch):
    monkeypatch.setattr("giblet.music.transformer._CHUNK", 16)
    plain, again = make(kind), make(kind, checkpointing=True)
    inputs = piece(50)
    for got, wanted in zip(gradients(again, inputs), gradients(plain, inputs), strict=True):
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)


def test_checkpointing_repeats_dropout():
    """The second pass of the forward draws the same random numbers."""
    plain, again = make(dropout=0.3), make(dropout=0.3, checkpointing=True)
    inputs = piece(20)
    for got, wanted in zip(gradients(again, inputs), gradients(plain, inputs), strict=True):
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)


@KINDS
@pytest.mark.parametrize("checkpointing", [False, True])
def test_bfloat16_is_near(kind, checkpointing):
    model = make(kind, torch.float32, checkpointing=checkpointing)
    inputs = piece(50, dtype=torch.float32)
    exact = model.nats(*inputs).mean()
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.nats(*inputs).mean()
    rough.backward()
    assert rough.dtype == torch.float32
    assert rough != exact
    torch.testing.assert_close(rough, exact, rtol=0.05, atol=0)
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("chunk", [1, 7, 46, 1000])
def test_nats_in_chunks_are_cross_entropy(chunk):
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(2, 23, 8, generator=generator).double().requires_grad_()
    weight = torch.randn(777, 8, generator=generator).double().requires_grad_()
    targets = torch.randint(777, (2, 23), generator=generator)
    upstream = torch.randn(2, 23, generator=generator).double()
    possible = torch.rand(2, 23, 777, generator=generator) < 0.3
    possible.scatter_(2, targets[..., None], True)
    ours = chunked_nats(hidden, targets, weight, possible, chunk)
    logits = (hidden @ weight.T).masked_fill(~possible, -torch.inf)
    theirs = functional.cross_entropy(logits.mT, targets, reduction="none")
    torch.testing.assert_close(ours, theirs)
    for got, wanted in zip(
        *(torch.autograd.grad((y * upstream).sum(), (hidden, weight)) for y in (ours, theirs)),
        strict=True,
    ):
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)


def test_the_latent_reaches_every_layer():
    """Without any one layer the latent still moves the result; each layer adds it anew."""
    model, inputs = make(), piece(6, batch=1)
    heard = []
    for layer in model.layers:
        layer.attention.register_forward_pre_hook(lambda _, args: heard.append(args[0]))
    with torch.no_grad():
        for module in model.layers:
            for parameter in (module.attention.from_heads.weight, module.feed.narrow.weight):
                parameter.zero_()  # layers add nothing: the stream is embedding + k × latent
        latent = torch.randn(1, 6, 32).double()
        model(*inputs, latent)
        x = model.embedding(inputs[0]) + model.positions(*inputs[1:])
        for k, (layer, got) in enumerate(zip(model.layers, heard, strict=True), start=1):
            torch.testing.assert_close(got, layer.attention_norm(x + k * latent))


def test_inputs_begin_with_bos():
    tokens = torch.tensor([[5, 6, 7]])
    assert shift_right(tokens).tolist() == [[VOCABULARY.bos, 5, 6]]


@pytest.mark.parametrize(
    ("settings", "millions"),
    [
        ({}, 3.4),
        ({"width": 512, "n_heads": 8, "n_layers": 8}, 26),
        ({"width": 768, "n_heads": 12, "n_layers": 14}, 100),
    ],
)
def test_sizes(settings, millions):
    with torch.device("meta"):
        model = Transformer(TransformerSettings(**settings))
    n_parameters = sum(p.numel() for p in model.parameters())
    assert n_parameters / 1e6 == pytest.approx(millions, rel=0.03)


def test_it_learns_a_pattern():
    """A hundred steps on one phrase: the phrase costs next to nothing."""
    torch.manual_seed(0)
    model = Transformer(TransformerSettings(**SMALL | {"width": 64}))
    tokens = torch.tensor([[60, 319, 188, 64, 319, 192, 67, 319, 195, 72, 319, 200] * 3])
    steps = VOCABULARY.steps(tokens)
    seconds = (steps.cumsum(1) - steps) * VOCABULARY.step_seconds
    phases = torch.stack((seconds % 1, seconds / 4 % 1), dim=-1)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(100):
        loss = model.nats(tokens, seconds, phases).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.05


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_a_long_piece_trains_in_little_memory():
    """A step on 9,433 tokens in its own process: the peak above what stood after the imports."""
    code = """
import psutil, torch
from giblet.music.transformer import Transformer, TransformerSettings
before = psutil.Process().memory_info().rss
model = Transformer(TransformerSettings(checkpointing=True))
optimiser = torch.optim.AdamW(model.parameters())
tokens, seconds = torch.arange(9433)[None] % 774, torch.arange(9433.0)[None] / 64
model.nats(tokens, seconds, torch.zeros(1, 9433, 2)).mean().backward()
optimiser.step()
peak = open("/proc/self/status").read().split("VmHWM:")[1].split()[0]  # of this program alone
print((int(peak) * 1024 - before) / 1e6)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(out.stdout.splitlines()[-1]) < 700
