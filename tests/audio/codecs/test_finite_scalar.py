"""X-Codec 2 and NeuCodec: exact where sound fits into a block. Oracle: transformers' own calls."""

from dataclasses import replace

import numpy as np
import pytest
import soxr
import torch
from transformers import SeamlessM4TFeatureExtractor

from giblet.audio.codecs.codec import load_codec
from giblet.audio.codecs.finite_scalar import FiniteScalarCodec, NeuCodec, join_digits
from giblet.audio.codecs.registry import codec_type
from giblet.errors import GibletError

CODECS = {"xcodec2": (FiniteScalarCodec, 16000), "neucodec": (NeuCodec, 24000)}
KBPS = 0.8


@pytest.fixture(scope="module", params=CODECS)
def model(request, random_finite_scalar):
    return random_finite_scalar(request.param)


@pytest.fixture(scope="module")
def codec(model):
    kind, _rate = CODECS[model.config.model_type]
    return kind(model, "random", "0", bandwidth_kbps=KBPS)


@pytest.fixture(scope="module")
def noise(noise_of, codec):
    return noise_of(4 * codec.sample_rate + 77)


def official_input(model, waveform):
    """Of the sound padded to whole frames: what the official feature extractors make of it."""
    hop = model.config.hop_length
    padded = np.pad(waveform, (0, -len(waveform) % hop))
    if model.config.model_type == "neucodec":
        padded = soxr.resample(padded, 24000, 16000)
    heard = np.pad(padded, (0, 320))  # one zero more, then to whole frames
    framed = heard if model.config.model_type == "neucodec" else np.pad(heard, 160)
    extract = SeamlessM4TFeatureExtractor(padding_value=1.0)
    features = extract(framed, sampling_rate=16000, return_tensors="pt")["input_features"]
    return torch.from_numpy(heard)[None, None].double(), features.double()


@torch.no_grad()
def whole_codes(model, waveform):
    n_frames = -(-len(waveform) // model.config.hop_length)
    return model.encode(*official_input(model, waveform)).audio_codes[0, 0, :n_frames].numpy()


@pytest.mark.parametrize("n_samples", [1, 480, 961, 24000, 64077])
def test_sound_of_one_block_is_coded_exactly(codec, model, noise, n_samples):
    digits = codec.encode(noise[:n_samples])
    assert digits.shape == (8, -(-n_samples // codec.hop_length))
    np.testing.assert_array_equal(join_digits(digits), whole_codes(model, noise[:n_samples]))
    if n_samples > 64000:
        assert all(np.unique(row).size >= 3 for row in digits)
        assert np.unique(join_digits(digits)).size > 50


def test_features_are_those_of_the_official_extractor(model, noise):
    """With torchaudio, which only the official extractor needs."""
    pytest.importorskip("torchaudio")
    from transformers import NeuCodecFeatureExtractor, Xcodec2FeatureExtractor

    is_neucodec = model.config.model_type == "neucodec"
    official = NeuCodecFeatureExtractor() if is_neucodec else Xcodec2FeatureExtractor()
    sound = noise[: 150 * model.config.hop_length]
    heard = soxr.resample(sound, 24000, 16000) if is_neucodec else sound
    found = official(audio=heard, sampling_rate=16000, return_tensors="pt")
    ours, features = official_input(model, sound)
    torch.testing.assert_close(ours.float(), found["input_values"].float())
    torch.testing.assert_close(features.float(), found["input_features"], rtol=0, atol=2e-3)


def test_longer_sound_is_coded_window_by_window(codec, model, noise):
    short = replace(codec, block_seconds=1.0, context_seconds=0.5)
    digits = short.encode(noise)
    hop = codec.hop_length
    second = whole_codes(model, noise[25 * hop : 125 * hop])
    np.testing.assert_array_equal(join_digits(digits)[50:100], second[25:75])
    blocks = np.split(noise, [1, 1000, 50000])
    np.testing.assert_array_equal(short.encode(iter(blocks)), digits)
    assert (join_digits(digits) != whole_codes(model, noise)).any()  # the whole is heard


@torch.no_grad()
@pytest.mark.parametrize("n_frames", [1, 37, 200])
def test_codes_of_one_block_are_decoded_exactly(codec, model, noise, n_frames):
    digits = codec.encode(noise)[:, :n_frames]
    codes = torch.from_numpy(join_digits(digits))[None, None]
    whole = model.decode(codes).audio_values[0, 0]
    sound = codec.decode(digits)
    assert sound.shape == whole.shape == (n_frames * codec.hop_length,)
    np.testing.assert_allclose(sound, whole, rtol=0, atol=1e-6 * float(whole.abs().max()))
    latents = model.quantizer.from_codes(codes.transpose(1, 2))[0]
    np.testing.assert_allclose(codec.latents(digits), latents, atol=1e-6 * latents.abs().max())


@torch.no_grad()
def test_longer_codes_are_decoded_window_by_window(codec, model, noise):
    short = replace(codec, block_seconds=1.0, context_seconds=0.5)
    digits, hop = codec.encode(noise), codec.hop_length
    codes = torch.from_numpy(join_digits(digits))[None, None, 25:125]
    second = model.decode(codes).audio_values[0, 0, 25 * hop : 75 * hop]
    sound = short.decode(digits)[50 * hop : 100 * hop]
    np.testing.assert_allclose(sound, second, rtol=0, atol=1e-6 * float(second.abs().max()))


def test_prefixes_and_latents(codec, noise):
    digits = codec.encode(noise[: codec.sample_rate])
    assert codec.codebooks().shape == (8, 4, codec.codebook_dim) == (8, 4, 80)
    for n in (1, 3, 8):
        low = replace(codec, bandwidth_kbps=n * KBPS / 8)
        np.testing.assert_array_equal(low.encode(noise[: codec.sample_rate]), digits[:n])
        summed = sum(book[row] for book, row in zip(low.codebooks(), digits[:n], strict=True))
        latents = codec.latents(digits[:n])
        np.testing.assert_allclose(latents, summed, atol=1e-5 * np.abs(summed).max())
        heard = codec.sound(torch.from_numpy(latents).double()[None])[0].detach()
        sound = codec.decode(digits[:n])
        np.testing.assert_allclose(heard, sound, atol=1e-4 * np.abs(sound).max())


def test_a_saved_model_is_loaded(model, noise, codec, tmp_path):
    type(model).float(model).save_pretrained(tmp_path)
    model.double()
    loaded = load_codec(str(tmp_path), codebooks=8)
    kind, rate = CODECS[model.config.model_type]
    assert type(loaded) is kind
    assert (loaded.sample_rate, loaded.frame_rate, loaded.n_codebooks) == (rate, 50.0, 8)
    assert (loaded.encode(noise) == codec.encode(noise)).mean() > 0.97  # single precision


def test_digits_of_different_sizes_are_refused(random_finite_scalar):
    model = random_finite_scalar("xcodec2", quantization_levels=(8, 8, 8, 5))
    with pytest.raises(GibletError, match=r"digits of different sizes, \[8, 8, 8, 5\]"):
        FiniteScalarCodec(model, "fsq", "0", bandwidth_kbps=0.6)


def test_an_old_transformers_is_named(monkeypatch):
    monkeypatch.delitem(codec_type.__globals__["CODEC_TYPES"], "xcodec2")
    with pytest.raises(GibletError, match="xcodec2 model needs a newer transformers than"):
        codec_type("xcodec2", "some")
