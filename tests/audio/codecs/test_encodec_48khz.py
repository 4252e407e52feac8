"""EnCodec 48 kHz: chunks with levels, as a mono codec. Oracle: transformers on the whole sound.

Sizes are those of facebook/encodec_48khz but for the width.
"""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from transformers import EncodecModel

from giblet.audio.codecs.codec import load_codec
from giblet.audio.codecs.encodec_chunks import EncodecChunks
from giblet.commands.codec import compress, decompress

RATE, CHUNK, STRIDE = 48000, 48000, 47520
OFFICIAL = {
    "target_bandwidths": [3.0, 6.0, 12.0, 24.0],
    "sampling_rate": RATE,
    "audio_channels": 2,
    "use_causal_conv": False,
    "norm_type": "time_group_norm",
    "normalize": True,
    "chunk_length_s": 1.0,
    "overlap": 0.01,
}


@pytest.fixture(scope="module")
def model(random_encodec):
    return random_encodec(**OFFICIAL)


@pytest.fixture(scope="module")
def codec(model):
    return EncodecChunks(model, "random", "0", bandwidth_kbps=6.0)


@pytest.fixture(scope="module")
def noise(wandering_noise):
    return wandering_noise(int(3.3 * RATE), seed=7).astype(np.float32)


@pytest.fixture(scope="module")
def codes(codec, noise):
    return codec.encode(noise)


@torch.no_grad()
def whole(model, waveform):
    """transformers' codes (4, n_frames) and scales (n_chunks,) of sound filled to whole chunks.

    After them it makes one more chunk, of the last one's end alone, which is none of the sound.
    """
    n_chunks = -(-len(waveform) // STRIDE)
    padded = np.pad(waveform, (0, (n_chunks - 1) * STRIDE + CHUNK - len(waveform)))
    sound = torch.from_numpy(padded).double().expand(1, 2, -1)
    encoded = model.encode(sound, bandwidth=6.0)
    assert len(encoded.audio_codes) == n_chunks + 1
    codes = encoded.audio_codes[:n_chunks, 0]  # (n_chunks, 4, 150)
    return torch.cat(list(codes), dim=1).numpy(), torch.cat(encoded.audio_scales)[:n_chunks, 0]


@pytest.mark.parametrize("n_samples", [1, STRIDE, STRIDE + 1, CHUNK + 1, 158400])
def test_codes_are_exactly_those_of_transformers(codec, model, noise, n_samples):
    sound = noise[:n_samples]
    expected, scales = whole(model, sound)
    codes = codec.encode(sound)
    assert codes.dtype == np.int32
    np.testing.assert_array_equal(codes[1:], expected)
    levels = codec.latents(codes)[::150, -1]  # the same in all frames of a chunk
    np.testing.assert_allclose(20 * levels, 20 * scales.log10(), atol=0.0901)  # dB
    assert (codes[0].reshape(-1, 150) == codes[0, ::150, None]).all()
    if n_samples > 2 * STRIDE:
        assert np.unique(codes[1]).size > 50
        assert np.unique(codes[0]).size == 4


@torch.no_grad()
@pytest.mark.parametrize("n_frames", [1, 150, 152, 400, 600])
def test_decoded_sound_is_that_of_transformers_with_these_levels(codec, model, codes, n_frames):
    codes = codes[:, :n_frames]
    chunks = torch.from_numpy(np.pad(codes[1:], ((0, 0), (0, -n_frames % 150)))).long()
    scales = [torch.tensor([[10.0**x]]).double() for x in codec.latents(codes)[::150, -1]]
    stacked = torch.stack(chunks.split(150, dim=1))[:, None]
    expected = model.decode(stacked, scales, last_frame_pad_length=-n_frames % 150).audio_values
    sound = codec.decode(codes)
    assert sound.shape == (round(n_frames * 316.8),)
    mono = expected[0].mean(0)[: len(sound)]
    np.testing.assert_allclose(sound, mono, rtol=1e-5, atol=1e-6 * float(mono.abs().max()))
    blocks = list(codec.decode_blocks(codes))
    assert len(blocks) == -(-n_frames // 150)
    by_gradient = codec.sound(torch.from_numpy(codec.latents(codes)).double()[None])[0]
    np.testing.assert_allclose(by_gradient, sound, atol=1e-5 * float(mono.abs().max()))


def test_without_fading_a_seam_would_be_heard(codec, codes):
    alone = [codec.decode(codes[:, begin : begin + 150]) for begin in (0, 150)]
    joined, apart = codec.decode(codes[:, :300]), np.concatenate(alone)
    far = np.abs(joined - apart) > 1e-3 * np.abs(joined).max()
    assert not far[:STRIDE].any()
    assert far[STRIDE : STRIDE + 480].mean() > 0.5
    assert not far[STRIDE + 480 :].any()
    one_more = codec.decode(codes[:, :151])  # fewer samples than fade
    assert one_more.shape == (round(151 * 316.8),)
    np.testing.assert_array_equal(one_more[:STRIDE], joined[:STRIDE])


def test_sound_may_come_in_blocks_of_any_length(codec, codes, noise):
    blocks = np.split(noise, [1, 1000, 50000, 50001])
    np.testing.assert_array_equal(codec.encode(iter(blocks)), codes)


def test_latents_are_sums_of_codewords_also_of_fewer_codebooks(codec, codes):
    books = codec.codebooks()
    assert books.shape == (5, 1024, codec.codebook_dim) == (5, 1024, 129)
    for n in (1, 3, 5):
        summed = sum(book[row] for book, row in zip(books, codes[:n], strict=False))
        np.testing.assert_allclose(codec.latents(codes[:n]), summed, atol=1e-5)
    low = replace(codec, bandwidth_kbps=3.0).encode(np.zeros(10, np.float32))
    np.testing.assert_array_equal(low, codec.encode(np.zeros(10, np.float32))[:3])


def test_silence_is_silent(codec):
    assert np.abs(codec.decode(codec.encode(np.zeros(RATE, np.float32)))).max() < 1e-6


def test_a_saved_model_is_loaded_and_says_that_it_folds(model, noise, codes, tmp_path, caplog):
    EncodecModel.float(model).save_pretrained(tmp_path)
    model.double()
    codec = load_codec(str(tmp_path), 6.0)
    assert isinstance(codec, EncodecChunks)
    assert "both channels get the mono sound, and their mean comes back" in caplog.text
    assert codec.sample_rate == RATE
    assert codec.frame_rate == pytest.approx(150 / 0.99)
    assert (codec.n_codebooks, codec.bandwidth_kbps) == (5, 6.0)
    assert (codec.encode(noise) == codes).mean() > 0.95  # single precision


def test_it_compresses_to_a_file_and_back(model, noise, tmp_path):
    EncodecModel.float(model).save_pretrained(tmp_path / "codec")
    model.double()
    soundfile.write(tmp_path / "a.wav", noise, RATE, subtype="FLOAT")
    compress(tmp_path / "a.wav", tmp_path / "a.codes", codec=str(tmp_path / "codec"), kbps=3.0)
    n_bytes = 4 * 150 * 3 * 10 / 8  # chunks, frames, rows, bits
    assert n_bytes <= (tmp_path / "a.codes").stat().st_size <= n_bytes + 200
    decompress(tmp_path / "a.codes", tmp_path / "b.wav")
    assert soundfile.info(tmp_path / "b.wav").frames == len(noise)
