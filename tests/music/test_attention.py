"""Attention: dense masked attention as the oracle, causality by bit, chunks through caches."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from giblet.errors import GibletError
from giblet.music import attention_kinds, summaries
from giblet.music.attention import Attention, AttentionSettings
from giblet.music.cache import KeyValueCache

WIDTH, HEADS, BATCH = 32, 4, 2
SETTINGS = {
    "full": {"kind": "full"},
    "window": {"kind": "window", "window": 12},
    "multi_scale": {"kind": "multi_scale", "window": 6, "dilations": (1, 3, 4, 7)},
    "hierarchical": {"kind": "hierarchical", "window": 12, "block": 4, "n_summaries": 5},
}
LENGTHS = (1, 2, 3, 4, 5, 11, 12, 13, 23, 24, 25, 35, 36, 50, 83, 97)
KINDS = pytest.mark.parametrize("kind", SETTINGS)


def make(kind, dtype=torch.float64):
    torch.manual_seed(0)
    layer = Attention(WIDTH, HEADS, AttentionSettings(**SETTINGS[kind])).to(dtype)
    if kind == "hierarchical":
        torch.nn.init.normal_(layer.pool)
    return layer.eval()


def sounds_like_music(n, dtype=torch.float64, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(BATCH, n, WIDTH, generator=generator, dtype=dtype)


def visible(kind, n):
    """Dense masks (n_heads, n, n) of tokens, written from the definitions."""
    i, j = np.mgrid[:n, :n]
    settings = SETTINGS[kind]
    if kind == "full":
        heads = [j <= i] * HEADS
    elif kind == "multi_scale":
        heads = [
            (j <= i) & ((i - j) % d == 0) & ((i - j) // d < settings["window"])
            for d in settings["dilations"]
        ]
    else:
        heads = [(j <= i) & (i - j < settings["window"])] * HEADS
    return torch.from_numpy(np.stack(heads))


def turn(x, positions):
    """Rotary positions as multiplication of complex numbers."""
    pairs = torch.complex(*x.chunk(2, dim=-1))
    speeds = 10_000.0 ** -(torch.arange(x.shape[-1] // 2, dtype=torch.float64) * 2 / x.shape[-1])
    turned = pairs * torch.polar(torch.ones(()).double(), positions[:, None] * speeds)
    return torch.cat((turned.real, turned.imag), dim=-1)


def dense(layer, kind, x):
    """The same layer as one softmax over everything, a mask as large as the scores."""
    n = x.shape[1]
    queries, keys, values = (
        part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in layer.to_heads(x).chunk(3, -1)
    )
    positions = torch.arange(n).double()
    seen = visible(kind, n)
    all_keys, all_values = [turn(keys, positions)], [values]
    if kind == "hierarchical":
        size, window = SETTINGS[kind]["block"], SETTINGS[kind]["window"]
        masks = []
        for block in range(n // size):
            own = slice(block * size, (block + 1) * size)
            weights = torch.einsum("bhnd,hd->bhn", keys[:, :, own], layer.pool).softmax(-1)
            key = torch.einsum("bhn,bhnd->bhd", weights, keys[:, :, own])[:, :, None]
            all_keys.append(turn(key, torch.tensor([own.stop - 1.0])))
            all_values.append(torch.einsum("bhn,bhnd->bhd", weights, values[:, :, own])[:, :, None])
            begins_before = [size * block <= i - window for i in range(n)]
            later = [(i - window) // size - block for i in range(n)]
            masks.append(
                [
                    b and a < SETTINGS[kind]["n_summaries"]
                    for b, a in zip(begins_before, later, strict=True)
                ]
            )
        if masks:
            summaries = torch.tensor(masks).T.expand(HEADS, n, -1)
            seen = torch.cat((seen, summaries), dim=2)
    scores = turn(queries, positions) @ torch.cat(all_keys, 2).transpose(2, 3)
    scores = (scores / (WIDTH // HEADS) ** 0.5).masked_fill(~seen, -torch.inf)
    out = scores.softmax(-1) @ torch.cat(all_values, 2)
    return layer.from_heads(out.transpose(1, 2).flatten(2))


@pytest.mark.parametrize("window", [1, 2, 3, 7, 13])
@pytest.mark.parametrize("past", [0, 1, 40])
def test_windows_of_any_size_equal_dense_attention(window, past):
    generator = torch.Generator().manual_seed(0)
    for n in (1, 2, 8, 16, 33):
        queries, keys, values = (
            torch.randn(2, 3, m, 4, dtype=torch.float64, generator=generator)
            for m in (n, past + n, past + n)
        )
        distance = torch.arange(n)[:, None] + past - torch.arange(past + n)
        wanted = torch.nn.functional.scaled_dot_product_attention(
            queries, keys, values, attn_mask=(distance >= 0) & (distance < window)
        )
        ours = attention_kinds.window_attention(queries, keys, values, window)
        torch.testing.assert_close(ours, wanted, rtol=0, atol=1e-12)


@KINDS
def test_equals_dense_attention_and_its_gradients(kind):
    layer = make(kind)
    for n in LENGTHS:
        x = sounds_like_music(n).requires_grad_()
        ours, wanted = layer(x), dense(layer, kind, x)
        torch.testing.assert_close(ours, wanted, rtol=0, atol=1e-12)
        weights = torch.randn(ours.shape, generator=torch.Generator().manual_seed(n)).double()
        for parameters in ([x], [layer.to_heads.weight]):
            got, true = (
                torch.autograd.grad((y * weights).sum(), parameters, retain_graph=True)[0]
                for y in (ours, wanted)
            )
            torch.testing.assert_close(got, true, rtol=0, atol=1e-10)


@KINDS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_past_does_not_hear_the_future(kind, dtype):
    layer, n = make(kind, dtype), 97
    x = sounds_like_music(n, dtype)
    with torch.no_grad():
        before = layer(x)
        for changed in (0, 1, 11, 12, 40, 95, 96):
            other = x.clone()
            other[:, changed] += 3
            after = layer(other)
            assert torch.equal(before[:, :changed], after[:, :changed])
            assert not torch.equal(before[:, changed], after[:, changed])


@KINDS
def test_the_past_does_not_hear_the_future_through_a_cache(kind):
    layer, n = make(kind), 60
    x = sounds_like_music(n)
    other = x.clone()
    other[:, 33] += 3
    sizes = (7, 1, 1, 30, 1, 1, 19)
    before, after = (by_chunks(layer, y, sizes) for y in (x, other))
    assert torch.equal(before[:, :33], after[:, :33])
    assert not torch.equal(before[:, 33], after[:, 33])


def by_chunks(layer, x, sizes):
    cache = layer.new_cache()
    with torch.no_grad():
        return torch.cat([layer(part, cache) for part in x.split(sizes, dim=1)], dim=1)


@KINDS
def test_chunks_through_a_cache_equal_the_whole(kind, rng):
    layer, n = make(kind), 120
    x = sounds_like_music(n)
    with torch.no_grad():
        whole = layer(x)
    ways = [[1] * n, [n], [n - 1, 1], [1, n - 1], [13] * 9 + [3]]
    for _ in range(12):
        cuts = np.sort(rng.choice(np.arange(1, n), size=rng.integers(1, 30), replace=False))
        ways.append(np.diff([0, *cuts, n]).tolist())
    for sizes in ways:
        torch.testing.assert_close(by_chunks(layer, x, sizes), whole, rtol=0, atol=1e-10)


@KINDS
def test_positions_far_along_are_as_exact(kind):
    """Single precision, one by one, after more tokens than its mantissa resolves in radians."""
    layer = make(kind, torch.float32)
    x = sounds_like_music(40, torch.float32)
    with torch.no_grad():
        near = by_chunks(layer, x, [1] * 40)
        cache = layer.new_cache()
        cache.n_seen = 84 * 100_000
        far = torch.cat([layer(part, cache) for part in x.split(1, dim=1)], dim=1)
    if kind != "hierarchical":  # whose first blocks would be missing
        torch.testing.assert_close(near, far, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["window", "multi_scale", "hierarchical"])
def test_a_windowed_cache_is_bounded(kind):
    layer = make(kind)
    cache = layer.new_cache()
    sizes = []
    with torch.no_grad():
        for n in (300, 300, 1, 1, 1, 300, 700):
            layer(sounds_like_music(n), cache)
            held = [*cache.groups, *([cache.summaries] if kind == "hierarchical" else [])]
            sizes.append(sum(part._room.numel() for part in held))
    assert len(set(sizes)) == 1
    reach = layer.settings.reach
    assert sizes[0] <= 2 * 2 * BATCH * WIDTH * reach  # keys and values, twice the window


@KINDS
def test_reach_is_what_it_says(kind):
    layer = make(kind)
    reach, n = layer.settings.reach, 97
    x = sounds_like_music(n)
    other = x.clone()
    with torch.no_grad():
        if reach is None:
            other[:, 0] += 1
            assert not torch.equal(layer(x)[:, -1], layer(other)[:, -1])
        else:
            other[:, : n - reach] += 1
            assert torch.equal(layer(x)[:, -1], layer(other)[:, -1])
            other[:, n - reach] += 1
            if kind != "hierarchical":  # whose blocks need not begin there
                assert not torch.equal(layer(x)[:, -1], layer(other)[:, -1])


@KINDS
def test_training_after_inference_mode(kind):
    """Masks that are kept must not be inference tensors."""
    layer, x = make(kind), sounds_like_music(49)
    for masks in (attention_kinds._band, summaries._mask):
        masks.cache_clear()
    with torch.inference_mode():
        layer(x)
    layer(x).sum().backward()


def test_a_full_cache_keeps_everything(rng):
    cache = KeyValueCache(None)
    keys = torch.from_numpy(rng.normal(size=(1, 1, 50, 2)))
    for part in keys.split([3, 1, 1, 10, 1, 34], dim=2):
        held = cache.append(part, -part)
    assert torch.equal(held[0], keys)
    assert torch.equal(held[1], -keys)


def test_settings_that_do_not_fit():
    with pytest.raises(ValueError, match="multiple of block"):
        AttentionSettings(kind="hierarchical", window=100, block=64)
    with pytest.raises(GibletError, match="multiple of the number of dilations"):
        Attention(32, 2, AttentionSettings(kind="multi_scale", dilations=(1, 2, 4)))
    with pytest.raises(GibletError, match="even multiple"):
        Attention(30, 4, AttentionSettings())


class Counted(TorchDispatchMode):
    """Counts the numbers that operations make; on meta tensors nothing is computed."""

    def __init__(self):
        super().__init__()
        self.n_numbers = self.n_scores = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **kwargs or {})
        if "scaled_dot_product" in str(function) or "_softmax" in str(function):
            shape = args[0].shape
            keys = args[1].shape[-2] if "scaled_dot" in str(function) else shape[-1]
            self.n_scores += shape.numel() // shape[-1] * keys
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, torch.Tensor) and not function.is_view:
                self.n_numbers += tensor.numel()
        return out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "power"), [("window", 1), ("multi_scale", 1), ("hierarchical", 1), ("full", 2)]
)
def test_work_grows_with_n(kind, power):
    """From 2,048 to 32,768 tokens, forward and backward, by counting."""
    numbers, scores = [], []
    for n in (2048, 32768):
        with torch.device("meta"):
            layer = Attention(256, 4, AttentionSettings(kind=kind))
            x = torch.empty(1, n, 256, requires_grad=True)
        with Counted() as counted:
            layer(x).sum().backward()
        numbers.append(counted.n_numbers)
        scores.append(counted.n_scores)
    assert scores[0] >= 4 * 2048 * 256
    assert np.log2(scores[1] / scores[0]) / 4 == pytest.approx(power, abs=0.12)
    assert np.log2(numbers[1] / numbers[0]) / 4 < (1.15 if power == 1 else 3)
