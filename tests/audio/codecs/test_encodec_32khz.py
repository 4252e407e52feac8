"""EnCodec 32 kHz (MusicGen's) in blocks equals it on the whole sound. Oracle: transformers.

Its convolutions look ahead; sizes are those of facebook/encodec_32khz but for the width and the
size of the codebooks.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import EncodecModel

from giblet.audio.codecs.codec import load_codec
from giblet.audio.codecs.encodec import Encodec

HOP, RATE = 640, 32000
OFFICIAL = {
    "upsampling_ratios": [8, 5, 4, 4],
    "target_bandwidths": [1.6],
    "sampling_rate": RATE,
    "codebook_size": 256,
    "use_causal_conv": False,
    "use_conv_shortcut": False,
}


@pytest.fixture(scope="module")
def model(random_encodec):
    return random_encodec(**OFFICIAL)


@pytest.fixture(scope="module")
def codec(model):
    return Encodec(model, "random", "0", bandwidth_kbps=1.6)


@pytest.fixture(scope="module")
def noise(wandering_noise):
    return wandering_noise(6 * RATE + 77, seed=6).astype(np.float32)


@pytest.fixture(scope="module")
def expected(model, noise):
    return whole_codes(model, noise)


@torch.no_grad()
def whole_codes(model, waveform):
    sound = torch.from_numpy(waveform)[None, None].double()
    return model.encode(sound, bandwidth=1.6).audio_codes[0, 0].numpy()


@pytest.mark.parametrize("seconds", [0.32, 1.0, 2.3, 20.0])
def test_codes_are_exactly_those_of_the_whole_sound(codec, expected, noise, seconds):
    codes = replace(codec, block_seconds=seconds).encode(noise)
    assert codes.shape == (4, 301)
    assert np.unique(codes[0]).size > 20  # else every sound would agree with every other
    np.testing.assert_array_equal(codes, expected)


def test_cutting_would_be_seen(codec, expected, noise):
    cut = [codec.encode(piece) for piece in np.split(noise, [2 * RATE, 4 * RATE])]
    assert (np.concatenate(cut, axis=1) == expected).mean() < 0.9


@pytest.mark.parametrize("n_frames", [1, 16, 17, 33])
@pytest.mark.parametrize("extra", [-639, -1, 0, 1, 320])
def test_the_end_is_padded_as_transformers_does(codec, model, noise, n_frames, extra):
    sound = noise[: n_frames * HOP + extra]
    codes = replace(codec, block_seconds=0.32).encode(sound)
    np.testing.assert_array_equal(codes, whole_codes(model, sound))


@torch.no_grad()
@pytest.mark.parametrize("n_frames", [1, 15, 16, 17, 200])
def test_decoded_sound_equals_that_of_all_codes_at_once(codec, model, expected, n_frames):
    codes = torch.from_numpy(expected[:, :n_frames].copy())
    whole = model.decode(codes[None, None], [None]).audio_values[0, 0]
    sound = replace(codec, block_seconds=0.32).decode(codes.numpy())
    assert sound.shape == (n_frames * HOP,)
    np.testing.assert_allclose(sound, whole, rtol=0, atol=1e-7)


def test_latents_are_sums_of_codewords_that_the_decoder_reads(codec, model, expected):
    books = codec.codebooks()
    assert books.shape == (4, 256, 128)
    for n in (1, 4):  # fewer codebooks are a prefix
        summed = sum(book[row] for book, row in zip(books, expected[:n], strict=False))
        np.testing.assert_allclose(codec.latents(expected[:n]), summed, atol=1e-5)
        sound = codec.sound(torch.from_numpy(codec.latents(expected[:n, :50])).double()[None])
        np.testing.assert_allclose(sound[0].detach(), codec.decode(expected[:n, :50]), atol=1e-5)


def test_a_saved_model_is_loaded_and_takes_its_only_bandwidth(model, noise, expected, tmp_path):
    EncodecModel.float(model).save_pretrained(tmp_path)
    model.double()
    codec = load_codec(str(tmp_path))
    assert isinstance(codec, Encodec)
    assert (codec.sample_rate, codec.frame_rate, codec.n_codebooks) == (RATE, 50.0, 4)
    assert (codec.encode(noise) == expected).mean() > 0.97  # single precision
