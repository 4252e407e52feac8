"""Mimi block by block equals it on the whole sound. Oracle: transformers' calls on all of it."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from transformers import MimiModel

from giblet.audio.codecs.codec import load_codec
from giblet.audio.codecs.mimi import Mimi
from giblet.commands.codec import compress, decompress
from giblet.errors import GibletError

RATE, HOP, KBPS = 24000, 1920, 12.5 * 6 / 1000  # of one codebook of 64


@pytest.fixture(scope="module")
def model(random_mimi):
    return random_mimi()


@pytest.fixture(scope="module")
def codec(model):
    return Mimi(model, "random", "0", bandwidth_kbps=6 * KBPS, block_seconds=1.28)


@pytest.fixture(scope="module")
def noise(noise_of):
    return noise_of(12 * RATE + 77)  # six windows of the attention


@pytest.fixture(scope="module")
def expected(model, noise):
    return whole_codes(model, noise)


@torch.no_grad()
def whole_codes(model, waveform):
    return model.encode(torch.from_numpy(waveform)[None, None].double()).audio_codes[0].numpy()


@pytest.mark.parametrize("seconds", [1.28, 4.0, 20.0])
def test_codes_are_exactly_those_of_the_whole_sound(codec, expected, noise, seconds):
    codes = replace(codec, block_seconds=seconds).encode(noise)
    assert codes.dtype == np.int32
    assert codes.shape == (6, 151)
    assert min(np.unique(row).size for row in codes) > 15
    np.testing.assert_array_equal(codes, expected)


def test_cutting_would_be_seen(codec, expected, noise):
    cut = [codec.encode(piece) for piece in np.split(noise, [6 * RATE])]
    agreement = (np.concatenate(cut, axis=1) == expected)[:, 75:90].mean()
    assert agreement < 0.95


def test_what_the_attention_hears_is_its_window(model, expected, noise):
    """Before transformers 5.3 it was all that came before."""
    unbounded = copy.deepcopy(model)
    unbounded.encoder.encoder_transformer.config.sliding_window = 10**6
    codes = whole_codes(unbounded, noise)
    np.testing.assert_array_equal(codes[:, :25], expected[:, :25])
    assert (codes != expected)[:, 25:].any()


@pytest.mark.parametrize("n_samples", [1, HOP - 1, HOP, HOP + 1, 16 * HOP, 16 * HOP + 1, 40 * HOP])
def test_the_end_is_padded_as_transformers_does(codec, model, noise, n_samples):
    sound = noise[:n_samples]
    codes = codec.encode(sound)
    assert codes.shape[1] == -(-n_samples // HOP)
    np.testing.assert_array_equal(codes, whole_codes(model, sound))


@torch.no_grad()
@pytest.mark.parametrize("n_frames", [1, 16, 17, 100])
def test_decoded_sound_equals_that_of_all_codes_at_once(codec, model, expected, n_frames):
    codes = expected[:, :n_frames]
    whole = model.decode(torch.from_numpy(codes.copy())[None]).audio_values[0, 0]
    sound = codec.decode(codes)
    assert sound.shape == (n_frames * HOP,)
    np.testing.assert_allclose(sound, whole, rtol=1e-6, atol=1e-6 * float(whole.abs().max()))


def test_prefixes_and_latents(codec, expected, noise):
    books = codec.codebooks()
    assert books.shape == (6, 64, codec.codebook_dim) == (6, 64, 16)
    for n in (1, 2, 6):  # the semantic one alone, and with acoustic ones
        low = replace(codec, bandwidth_kbps=n * KBPS)
        np.testing.assert_array_equal(low.encode(noise[:RATE]), codec.encode(noise[:RATE])[:n])
        summed = sum(book[row] for book, row in zip(low.codebooks(), expected[:n], strict=True))
        latents = codec.latents(expected[:n])
        np.testing.assert_allclose(latents, summed, atol=1e-5 * np.abs(summed).max())
        heard = codec.sound(torch.from_numpy(latents[:50]).double()[None])[0].detach()
        sound = codec.decode(expected[:n, :50])
        np.testing.assert_allclose(heard, sound, atol=1e-4 * np.abs(sound).max())


def test_a_saved_model_is_loaded(model, noise, expected, tmp_path, caplog):
    MimiModel.float(model).save_pretrained(tmp_path)
    model.double()
    keys = load_file(tmp_path / "model.safetensors")
    assert "encoder_transformer.layers.0.mlp.fc1.weight" in keys  # flat, as in kyutai/mimi
    codec = load_codec(str(tmp_path))
    assert isinstance(codec, Mimi)
    assert "6 kbps is not offered (0.075, 0.15, 0.225, 0.3, 0.375, 0.45)" in caplog.text
    assert (codec.sample_rate, codec.frame_rate, codec.hop_length) == (RATE, 12.5, HOP)
    assert codec.n_codebooks == 6
    assert load_codec(str(tmp_path), codebooks=2).n_codebooks == 2
    assert (codec.encode(noise) == expected).mean() > 0.97  # single precision
    with pytest.raises(GibletError, match=r"no 1 kbps; it offers multiples of 0\.075 up to 0\.45"):
        replace(codec, bandwidth_kbps=1.0)


def test_it_compresses_to_a_file_and_back(model, noise, tmp_path):
    MimiModel.float(model).save_pretrained(tmp_path / "mimi")
    model.double()
    soundfile.write(tmp_path / "a.wav", noise, RATE, subtype="FLOAT")
    compress(tmp_path / "a.wav", tmp_path / "a.codes", codec=str(tmp_path / "mimi"), codebooks=2)
    n_bytes = 151 * 2 * 6 / 8  # of 6 bits each
    assert n_bytes <= (tmp_path / "a.codes").stat().st_size <= n_bytes + 200
    decompress(tmp_path / "a.codes", tmp_path / "b.wav")
    assert soundfile.info(tmp_path / "b.wav").frames == len(noise)


def test_what_cannot_be_streamed_is_refused(random_mimi):
    with pytest.raises(GibletError, match="not causal"):
        Mimi(random_mimi(use_causal_conv=False), "random", "0", KBPS, 1.0)
