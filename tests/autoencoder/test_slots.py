"""The bottleneck in time: whole slots for any TR, and each hears its own surroundings."""

import pytest
import torch

from giblet.autoencoder.bottleneck import SlotDecoder, SlotEncoder, count_slots

SLOT, DIM, FEATURES, WIDTH = 7, 8, 6, 12


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def trained(module):
    """As after training: no weight or bias is 0, no block near the identity."""
    with torch.no_grad():
        for values in module.parameters():
            values.add_(0.3 * torch.randn_like(values))
    return module.eval()


@pytest.fixture
def encoder():
    return trained(SlotEncoder(FEATURES, SLOT, DIM, WIDTH, 16))


@pytest.mark.parametrize(("n_frames", "n_slots"), [(112, 16), (113, 17), (150, 22), (3, 1)])
def test_frames_to_slots_and_back(encoder, n_frames, n_slots):
    assert count_slots(n_frames, SLOT) == n_slots
    slots = encoder(torch.randn(2, n_frames, FEATURES), torch.ones(2, n_frames, dtype=bool))
    assert slots.shape == (2, n_slots * DIM)
    frames = SlotDecoder(n_frames, SLOT, DIM, WIDTH, 16)(slots)
    assert frames.shape == (2, WIDTH, n_frames)


@torch.no_grad()
def test_absent_frames_have_no_say(encoder):
    """Whatever lies there, and as if the TR had ended before them."""
    frames, present = torch.randn(2, 112, FEATURES), torch.ones(2, 112, dtype=bool)
    present[:, 109:] = False
    slots = encoder(frames, present)
    frames[:, 109:] = 100.0
    assert torch.equal(encoder(frames, present), slots)
    torch.testing.assert_close(encoder(frames[:, :109], present[:, :109]), slots)
    present[:] = True
    assert (encoder(frames, present) - slots).abs().max() > 1e-3


def test_a_slot_hears_six_frames_and_four_slots_around(encoder):
    """Two blocks over 7 frames reach 6, two over 5 slots reach 4: nothing beyond, all within."""
    frames = torch.randn(1, 154, FEATURES, requires_grad=True)
    slots = encoder(frames, torch.ones(1, 154, dtype=bool)).view(22, DIM)
    slots[10].sum().backward()
    heard = frames.grad[0].abs().sum(-1) > 0
    assert heard.nonzero().flatten().tolist() == list(range(6 * SLOT - 6, 15 * SLOT + 6))


def test_a_frame_is_made_of_nine_frames_and_four_slots_around():
    """Three blocks over 7 frames reach 9: frame 70 (slot 10) from frame 61 (8) to 79 (11)."""
    decoder = trained(SlotDecoder(154, SLOT, DIM, WIDTH, 16))
    slots = torch.randn(1, 22 * DIM, requires_grad=True)
    decoder(slots)[0, :, 70].sum().backward()
    used = slots.grad.view(22, DIM).abs().sum(-1) > 0
    assert used.nonzero().flatten().tolist() == list(range(8 - 4, 11 + 4 + 1))


@torch.no_grad()
def test_time_is_alike_everywhere(encoder):
    """A sound one slot later is the same slots one later, away from the ends."""
    frames, present = torch.randn(1, 210, FEATURES), torch.ones(1, 203, dtype=bool)
    one = encoder(frames[:, :203], present).view(29, DIM)
    later = encoder(frames[:, SLOT:], present).view(29, DIM)
    torch.testing.assert_close(later[6:22], one[7:23], rtol=1e-4, atol=1e-4)
