"""DAC in overlapping windows equals DAC on the whole sound. Oracle: transformers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import DacConfig, DacModel

from giblet.audio.codecs.codec import load_codec
from giblet.audio.codecs.dac import Dac
from giblet.errors import GibletError

HOP = 320
GEOMETRY = {  # of descript/dac_24khz, but narrower
    "downsampling_ratios": [2, 4, 5, 8],
    "sampling_rate": 24000,
    "n_codebooks": 32,
    "encoder_hidden_size": 4,
    "decoder_hidden_size": 64,
}


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DacModel(DacConfig(**GEOMETRY)).double().eval()


@pytest.fixture(scope="module")
def codec(model):
    return Dac(model, "random", "0", bandwidth_kbps=6.0, block_seconds=0.5)


@pytest.fixture(scope="module")
def noise(wandering_noise):
    return wandering_noise(3 * 24000 + 77, seed=5).astype(np.float32)


@torch.no_grad()
def whole_codes(model, waveform, n_codebooks):
    padded = np.pad(waveform, (0, -len(waveform) % HOP))
    sound = torch.from_numpy(padded)[None, None].double()
    return model.encode(sound, n_codebooks).audio_codes[0].numpy()


@pytest.mark.parametrize("seconds", [0.02, 0.4, 1.0, 20.0])
def test_codes_are_exactly_those_of_the_whole_sound(codec, model, noise, seconds):
    codes = replace(codec, block_seconds=seconds).encode(noise)
    assert codes.dtype == np.int32
    assert np.unique(codes[0]).size > 30  # else every sound would agree with every other
    np.testing.assert_array_equal(codes, whole_codes(model, noise, 8))


def test_windows_that_do_not_overlap_would_be_seen(codec, model, noise):
    cut = [codec.encode(piece) for piece in np.split(noise, [24000, 48000])]
    assert (np.concatenate(cut, axis=1) != whole_codes(model, noise, 8)).mean() > 0.02


@pytest.mark.parametrize("n_samples", [1, 320, 321, 24000, 24001])
def test_the_last_frame_is_padded_with_silence(codec, model, noise, n_samples):
    codes = codec.encode(noise[:n_samples])
    assert codes.shape == (8, -(-n_samples // HOP))
    np.testing.assert_array_equal(codes, whole_codes(model, noise[:n_samples], 8))


@torch.no_grad()
@pytest.mark.parametrize("n_frames", [1, 37, 38, 200])
def test_decoded_sound_equals_that_of_all_codes_at_once(codec, model, noise, n_frames):
    codes = codec.encode(noise)[:, :n_frames]
    whole = model.decode(audio_codes=torch.from_numpy(codes)[None].long()).audio_values[0].numpy()
    sound = codec.decode(codes)
    assert sound.dtype == np.float32
    assert sound.shape == (n_frames * HOP,)
    np.testing.assert_allclose(sound[: len(whole)], whole, rtol=0, atol=1e-7)
    assert not sound[len(whole) :].any()  # strides of 5 lose a few samples at the very end
    assert len(sound) - len(whole) < 10


@pytest.mark.parametrize(("bandwidth", "n"), [(1.5, 2), (3.0, 4), (6.0, 8), (12.0, 16), (24.0, 32)])
def test_bandwidth_sets_the_codebooks(codec, noise, bandwidth, n):
    codes = replace(codec, bandwidth_kbps=bandwidth).encode(noise[:24000])
    assert len(codes) == n
    np.testing.assert_array_equal(
        codes, replace(codec, bandwidth_kbps=24.0).encode(noise[:24000])[:n]
    )


def test_latents_are_the_sum_of_the_codewords(codec, model, rng):
    """Up to the biases of DAC's projections, which the codewords hold."""
    codes = rng.integers(0, 1024, (8, 50))
    books = codec.codebooks()  # (8, 1024, 64)
    assert books.shape == (8, 1024, codec.codebook_dim)
    expected = sum(book[row] for book, row in zip(books, codes, strict=True))
    np.testing.assert_allclose(codec.latents(codes), expected, atol=1e-5)


@pytest.mark.parametrize("bandwidth", [0.5, 1.0, 24.75])
def test_a_bandwidth_that_it_lacks_is_refused(codec, bandwidth):
    with pytest.raises(GibletError, match=r"it offers multiples of 0\.75 up to 24"):
        replace(codec, bandwidth_kbps=bandwidth)


def test_a_saved_model_is_loaded_by_its_type(tmp_path, model, noise):
    DacModel.float(model).save_pretrained(tmp_path)
    model.double()
    codec = load_codec(str(tmp_path), 3.0)
    assert isinstance(codec, Dac)
    assert (codec.sample_rate, codec.frame_rate, codec.n_codebooks) == (24000, 75.0, 4)
    sound = codec.decode(codec.encode(noise))
    assert np.isfinite(sound).all()


@pytest.mark.parametrize(
    ("sample_rate", "strides", "n", "kbps"),
    [(44100, [2, 4, 8, 8], 7, 6.03), (16000, [2, 4, 5, 8], 12, 6.0)],
)
def test_other_rates_take_the_bandwidth_nearest_to_the_default(
    tmp_path, sample_rate, strides, n, kbps
):
    """44.1 kHz offers no 6 kbps: its codebooks are 861 bit/s each."""
    sizes = GEOMETRY | {"sampling_rate": sample_rate, "downsampling_ratios": strides}
    DacModel(DacConfig(**sizes | {"n_codebooks": 12})).save_pretrained(tmp_path)
    codec = load_codec(str(tmp_path))
    assert (codec.sample_rate, codec.n_codebooks) == (sample_rate, n)
    assert codec.bandwidth_kbps == pytest.approx(kbps, abs=0.01)


def test_what_is_no_stream_of_codes_is_refused(codec):
    for codes, error in [
        (np.zeros((8, 10), dtype=np.float32), TypeError),
        (np.full((8, 10), -1), ValueError),
        (np.zeros((33, 10), dtype=int), ValueError),
    ]:
        with pytest.raises(error):
            codec.decode(codes)
