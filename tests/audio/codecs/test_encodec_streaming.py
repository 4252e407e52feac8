"""Block by block equals all at once. Oracle: transformers' own forward on the whole sound."""

import copy

import pytest
import torch
from torch.nn import functional
from transformers.models.encodec.modeling_encodec import EncodecLSTM

from giblet.audio.codecs.encodec_streaming import convolver, stream

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


@pytest.mark.parametrize(
    ("n_out", "n_in", "n_taps", "stride", "dilation"),
    [(5, 1, 7, 1, 1), (3, 9, 1, 1, 1), (4, 16, 7, 2, 1), (8, 12, 10, 5, 1), (6, 10, 3, 1, 4)],
)
def test_a_convolution_is_torchs_own(n_out, n_in, n_taps, stride, dilation):
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in [(61, n_in), (n_out, n_in, n_taps), (n_out,)]
    )
    for offset in (bias, None):
        expected = functional.conv1d(x.T[None], weight, offset, stride, dilation=dilation)
        ours = convolver(weight, offset, stride, dilation)(x)
        torch.testing.assert_close(ours, expected[0].T, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("n_out", "n_in", "n_taps", "stride"),
    [(128, 64, 8, 4), (256, 128, 10, 5), (512, 256, 16, 8), (128, 512, 7, 1)],
)
def test_a_convolution_is_rounded_no_worse_than_torchs_own(n_out, n_in, n_taps, stride):
    """EnCodec's four longest sums; relative error of single precision."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(75 * stride + n_taps, n_in, generator=generator)
    weight = torch.randn(n_out, n_in, n_taps, generator=generator)
    exact = functional.conv1d(x.T[None].double(), weight.double(), stride=stride)[0].T
    torchs = functional.conv1d(x.T[None], weight, stride=stride)[0].T
    ours = convolver(weight, None, stride)(x)
    assert (ours - exact).norm() <= 1.2 * (torchs - exact).norm()
    assert (ours - exact).norm() <= 2.5e-7 * exact.norm()


@torch.no_grad()
def test_convolutions_in_single_precision_are_as_exact_as_transformers_own(model, noise):
    """Before the LSTM, which with random weights may multiply any error."""
    sound = noise(4 * 24000)
    n = next(i for i, layer in enumerate(model.encoder.layers) if isinstance(layer, EncodecLSTM))
    single = copy.deepcopy(model).float().encoder.layers[:n]
    exact, theirs = sound, sound.float()
    for layer, twin in zip(model.encoder.layers[:n], single, strict=True):
        exact, theirs = layer(exact), twin(theirs)
    ours = torch.cat(list(stream(single, torch.split(sound[0].T.float(), 75 * HOP)))).T
    assert 0 < (ours - exact).norm() <= 1.2 * (theirs - exact).norm()


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
