"""X-Codec: exact where sound fits into a block, in windows where not. Oracle: transformers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import XcodecModel

from giblet.audio.codecs.codec import load_codec
from giblet.audio.codecs.xcodec import Xcodec

RATE, HOP, KBPS = 16000, 320, 0.3


@pytest.fixture(scope="module")
def model(random_xcodec):
    return random_xcodec


@pytest.fixture(scope="module")
def codec(model):
    return Xcodec(model, "random", "0", bandwidth_kbps=4 * KBPS)


@pytest.fixture(scope="module")
def noise(noise_of):
    return noise_of(4 * RATE + 77)


@torch.no_grad()
def whole_codes(model, waveform):
    padded = np.pad(waveform, (0, -len(waveform) % HOP))
    return model.encode(torch.from_numpy(padded)[None, None].double()).audio_codes[0].numpy()


@pytest.mark.parametrize("n_samples", [1, HOP, HOP + 1, RATE, 4 * RATE + 77])
def test_sound_of_one_block_is_coded_exactly(codec, model, noise, n_samples):
    codes = codec.encode(noise[:n_samples])
    assert codes.shape == (4, -(-n_samples // HOP))
    np.testing.assert_array_equal(codes, whole_codes(model, noise[:n_samples]))
    if n_samples > RATE:
        assert min(np.unique(row).size for row in codes) > 15


def test_longer_sound_is_coded_window_by_window(codec, model, noise):
    short = replace(codec, block_seconds=1.0, context_seconds=0.5)
    codes = short.encode(noise)
    n_around = short.reach[0]  # 25 frames, or all that DAC hears
    second = whole_codes(model, noise[(50 - n_around) * HOP : (100 + n_around) * HOP])
    np.testing.assert_array_equal(codes[:, 50:100], second[:, n_around:-n_around])
    blocks = np.split(noise, [1, 1000, 50000])
    np.testing.assert_array_equal(short.encode(iter(blocks)), codes)
    assert (codes != whole_codes(model, noise)).any()  # HuBERT hears all of it


@torch.no_grad()
@pytest.mark.parametrize("n_frames", [1, 37, 38, 200])
def test_the_decoder_is_exact_in_blocks(codec, model, noise, n_frames):
    codes = codec.encode(noise)[:, :n_frames]
    whole = model.decode(torch.from_numpy(codes.copy()).long()[None]).audio_values[0, 0]
    sound = replace(codec, block_seconds=0.5).decode(codes)
    assert sound.shape == whole.shape == (n_frames * HOP,)
    np.testing.assert_allclose(sound, whole, rtol=0, atol=1e-6 * float(whole.abs().max()))


def test_prefixes_and_latents(codec, noise):
    codes = codec.encode(noise[:RATE])
    assert codec.codebooks().shape == (4, 64, codec.codebook_dim) == (4, 64, 16)
    for n in (1, 3):
        low = replace(codec, bandwidth_kbps=n * KBPS)
        np.testing.assert_array_equal(low.encode(noise[:RATE]), codes[:n])
        summed = sum(book[row] for book, row in zip(low.codebooks(), codes[:n], strict=True))
        latents = codec.latents(codes[:n])
        np.testing.assert_allclose(latents, summed, atol=1e-5 * np.abs(summed).max())
        heard = codec.sound(torch.from_numpy(latents).double()[None])[0].detach()
        sound = codec.decode(codes[:n])
        np.testing.assert_allclose(heard, sound, atol=1e-4 * np.abs(sound).max())


def test_a_saved_model_is_loaded(model, noise, codec, tmp_path):
    XcodecModel.float(model).save_pretrained(tmp_path)
    model.double()
    loaded = load_codec(str(tmp_path), codebooks=3)
    assert isinstance(loaded, Xcodec)
    assert (loaded.sample_rate, loaded.frame_rate, loaded.n_codebooks) == (RATE, 50.0, 3)
    assert (loaded.encode(noise) == codec.encode(noise)[:3]).mean() > 0.97  # single precision
