"""Segments of time: pooling against loops, padding, direction and linear cost."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from giblet.music.segments import Block, SegmentEncoder, gather_segments, pool_segments


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def encoder_of(width=8, ratios=(4, 8)):
    torch.manual_seed(0)
    return SegmentEncoder(width, 1.5, ratios, n_token_blocks=2, n_segment_blocks=2)


def piece(n, width=8, seed=0, last=50.0):
    g = generator(seed)
    seconds = (last * torch.rand(1, n, generator=g)).sort(-1).values
    return torch.randn(1, n, width, generator=g), seconds, torch.ones(1, n, dtype=torch.bool)


def test_pooling_equals_a_loop():
    g = generator()
    x = torch.randn(2, 30, 3, generator=g) - 5  # maxima below 0, too
    index = torch.randint(0, 5, (2, 30), generator=g)
    mask = torch.rand(2, 30, generator=g) < 0.7
    pooled = pool_segments(x, index, mask, 7)
    for b in range(2):
        for s in range(7):
            inside = x[b][(index[b] == s) & mask[b]]
            expected = torch.zeros(7)
            if len(inside):
                count = torch.tensor([1.0 + len(inside)]).log()
                expected = torch.cat([inside.mean(0), inside.max(0).values, count])
            torch.testing.assert_close(pooled[b, s], expected)


def test_gathering_equals_indexing():
    x = torch.randn(2, 4, 3, generator=generator())
    index = torch.tensor([[0, 0, 3], [1, 2, 2]])
    assert torch.equal(gather_segments(x, index)[1, 0], x[1, 1])
    assert torch.equal(gather_segments(x, index)[0, 2], x[0, 3])


def test_segments_follow_seconds_and_not_the_number_of_tokens():
    seconds = torch.tensor([0.0, 1.49, 1.5, 5.999, 6.0, 47.99, 48.0])
    indices = encoder_of().indices(seconds)
    assert indices["fine"].tolist() == [0, 0, 1, 3, 4, 31, 32]
    assert indices["local"].tolist() == [0, 0, 0, 0, 1, 7, 8]
    assert indices["global"].tolist() == [0, 0, 0, 0, 0, 0, 1]
    whole = encoder_of(ratios=(4, None))
    assert whole.indices(seconds)["global"].tolist() == [0] * 7
    assert whole.n_segments(1e4)["global"] == 1


def test_a_steps_grid_never_falls_on_the_wrong_side_of_a_border():
    steps = torch.arange(64 * 3600)
    fine = encoder_of().indices(steps.float() / 64)["fine"]
    assert torch.equal(fine, steps // 96)


def test_every_segment_knows_its_parents():
    parents = encoder_of().parents("fine", 40, torch.device("cpu"))
    middles = 1.5 * (torch.arange(40) + 0.5)
    for name, index in encoder_of().indices(middles).items():
        assert torch.equal(parents[name], index)


def test_padding_and_its_contents_change_nothing():
    encoder = encoder_of()
    x, seconds, mask = piece(40, last=20.0)
    longer, late, _ = piece(60, seed=1, last=60.0)
    padded = torch.cat([x, 1e3 * torch.ones(1, 20, 8)], 1)
    padded_seconds = torch.cat([seconds, torch.full((1, 20), 99.0)], 1)
    both = torch.ones(2, 60, dtype=torch.bool)
    both[0, 40:] = False
    states, occupied = encoder(torch.cat([padded, longer]), torch.cat([padded_seconds, late]), both)
    alone, occupied_alone = encoder(x, seconds, mask)
    for name, state in alone.items():
        n = state.shape[1]
        assert torch.equal(occupied[name][:1, :n], occupied_alone[name])
        assert not occupied[name][0, n:].any()
        there = occupied_alone[name][0]
        torch.testing.assert_close(states[name][:1, :n][:, there], state[:, there])
    assert states["fine"].shape[1] == 40  # 60 s; the padding's 99 s do not count


def test_empty_segments_are_not_occupied():
    x = torch.randn(1, 3, 8, generator=generator())
    seconds = torch.tensor([[0.0, 7.0, 7.1]])
    _, occupied = encoder_of()(x, seconds, torch.ones(1, 3, dtype=torch.bool))
    assert occupied["fine"].tolist() == [[True, False, False, False, True]]
    assert occupied["local"].tolist() == [[True, True]]


@pytest.mark.parametrize("name", ["fine", "local", "global"])
def test_states_see_tokens_before_and_after(name):
    """All tokens of the segments beside, more than convolutions over tokens reach."""
    x, seconds, mask = piece(500)
    x.requires_grad_()
    states, _ = encoder_of()(x, seconds, mask)
    middle = states[name].shape[1] // 2
    weights = torch.arange(8.0)
    (states[name][0, middle] * weights).sum().backward()
    seen = x.grad.abs().sum(-1)[0] > 0
    index = (seconds[0] / {"fine": 1.5, "local": 6.0, "global": 48.0}[name]).floor()
    for segment in range(max(middle - 2, 0), min(middle + 3, states[name].shape[1])):
        assert seen[index == segment].float().mean() > 0.9


def test_a_block_ignores_what_is_masked():
    torch.manual_seed(0)
    block = Block(4, dilation=1)
    x = torch.randn(1, 6, 4, generator=generator())
    mask = torch.tensor([1.0, 1, 1, 0, 1, 1])[None, :, None]
    other = x.clone()
    other[0, 3] += 10
    assert torch.equal(block(x, mask)[0, [0, 1, 2, 4, 5]], block(other, mask)[0, [0, 1, 2, 4, 5]])


def test_the_order_of_tokens_of_one_moment_counts():
    x, seconds, mask = piece(10)
    encoder = encoder_of()
    states, _ = encoder(x, 0 * seconds, mask)
    other, _ = encoder(x.flip(1), 0 * seconds, mask)
    assert (states["fine"] - other["fine"]).abs().max() > 1e-3


def test_the_cost_grows_linearly():
    encoder, flops = encoder_of(), []
    for n in (500, 4000):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            encoder(*piece(n, last=n / 10))
        flops.append(counter.get_total_flops())
    assert flops[1] < 8.5 * flops[0]
