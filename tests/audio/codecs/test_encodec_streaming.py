"""Block by block equals all at once. Oracle: transformers' own forward on the whole sound."""

import pytest
import torch

from giblet.audio.codecs.encodec_streaming import stream

HOP = 320  # samples per code frame
NETWORKS = {
    "official": {},
    "bundled": {
        "upsampling_ratios": [5, 4, 4, 4],
        "num_lstm_layers": 1,
        "use_conv_shortcut": False,
    },
    "dilated": {"num_residual_layers": 2},
    "looking_ahead": {"use_causal_conv": False, "num_residual_layers": 2},  # as at 32 kHz
    "trimmed": {"trim_right_ratio": 0.3, "upsampling_ratios": [5, 4, 4, 4]},
}


@pytest.fixture(scope="module", params=NETWORKS)
def model(request, random_encodec):
    return random_encodec(target_bandwidths=[1.5, 3.0, 6.0], **NETWORKS[request.param])


@pytest.fixture(scope="module")
def noise(wandering_noise):
    def make(n_samples):
        return torch.from_numpy(wandering_noise(n_samples, seed=3))[None, None]

    return make


@torch.no_grad()
def whole_codes(model, sound):
    """(8, n_frames) codes by transformers."""
    return model.encode(sound, bandwidth=6.0).audio_codes[0, 0]


@torch.no_grad()
def streamed_codes(model, sound, frames_per_block):
    blocks = torch.split(sound[0].T, frames_per_block * HOP)
    latents = torch.cat(list(stream(model.encoder.layers, blocks)))  # (n_frames, codebook_dim)
    return model.quantizer.encode(latents.T[None], 6.0)[:, 0]


@pytest.fixture(scope="module")
def long_sound(model, noise):
    """21 s of sound and its codes by transformers."""
    sound = noise(21 * 24000 + 123)
    return sound, whole_codes(model, sound)


@pytest.mark.parametrize("seconds", [0.4, 2.0, 7.3, 20.0])
def test_codes_are_exactly_those_of_the_whole_sound(model, long_sound, seconds):
    sound, expected = long_sound
    assert expected[0].unique().numel() > 150  # else every sound would agree with every other
    streamed = streamed_codes(model, sound, round(seconds * 75))
    torch.testing.assert_close(streamed, expected, rtol=0, atol=0)


def test_cutting_without_state_would_be_seen(model, long_sound):
    sound, expected = long_sound
    cut = torch.cat([whole_codes(model, b) for b in torch.split(sound, 24000, dim=-1)], dim=-1)
    agreement = (cut == expected).double().mean(dim=1)  # per codebook
    assert (agreement < 0.9).all()


@pytest.mark.parametrize("extra", [-1, 0, 1, 159, 319])
@pytest.mark.parametrize("n_frames", [1, 30, 31])
def test_the_end_is_padded_as_transformers_does(model, noise, n_frames, extra):
    sound = noise(n_frames * HOP + extra)
    expected = whole_codes(model, sound)
    assert expected.shape[1] == n_frames + (extra > 0)
    torch.testing.assert_close(streamed_codes(model, sound, 30), expected, rtol=0, atol=0)


@torch.no_grad()
@pytest.mark.parametrize("n_frames", [1, 31, 32, 33, 300])
def test_decoded_sound_equals_that_of_all_codes_at_once(model, noise, n_frames):
    codes = whole_codes(model, noise(n_frames * HOP))
    expected = model.decode(codes[None, None], [None]).audio_values
    latents = model.quantizer.decode(codes[:, None])[0].T
    blocks = stream(model.decoder.layers, torch.split(latents, 30))
    torch.testing.assert_close(torch.cat(list(blocks)), expected[0].T, rtol=0, atol=1e-12)


def test_nothing_goes_in_and_nothing_comes_out(model):
    assert list(stream(model.encoder.layers, [])) == []


def test_blocks_come_out_as_they_go_in(model, noise):
    """Memory does not grow: a block is answered when the one after it is known, not later."""
    taken = []

    def blocks():
        for block in torch.split(noise(10 * 30 * HOP)[0].T, 30 * HOP):
            taken.append(block)
            yield block

    if not model.config.use_causal_conv:
        pytest.skip("looks ahead: a little less first, more at the end")
    with torch.no_grad():
        for n_out, latents in enumerate(stream(model.encoder.layers, blocks()), start=1):
            assert latents.shape == (30, model.config.hidden_size)
            assert len(taken) <= n_out + 1
    assert n_out == 10
