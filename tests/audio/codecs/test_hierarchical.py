"""Three levels in windows equal the whole sound. Oracle: the model on all of it at once."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from giblet.audio.codecs.codec import load_codec
from giblet.audio.codecs.hierarchical import Hierarchical, HierarchicalConfig, HierarchicalModel
from giblet.errors import GibletError

MUSIC = {"n_fft": 1024, "hop_length": 768, "n_codebooks": 2, "codebook_size": 8}
SIZES = {"compression": [64, 128, 384], "num_filters": 4, "max_filters": 16, "latent_dim": 6}


def random_model(seed=0, **sizes):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = HierarchicalModel(HierarchicalConfig(**SIZES, codewords_per_level=32, **sizes))
        with torch.no_grad():
            for books in model.codebooks:
                books.normal_(std=0.05)
    return model.double().eval()


@pytest.fixture(scope="module", params=[{}, {"codebooks_per_level": 2, "music": MUSIC}])
def codec(request, noise):
    model = random_model(**request.param)
    with torch.no_grad():  # codewords from real latents, so that many of them are in use
        latents = model.encode(torch.from_numpy(noise[:46080]).double()[None, None])
        for books, stream in zip(model.codebooks, latents, strict=True):
            n_words = books.shape[1]
            left = stream[0, :: max(1, stream.shape[1] // n_words)][:n_words]
            books.copy_(left * 0.7 ** torch.arange(len(books))[:, None, None])
    return Hierarchical(model, "random", "0", _highest(model), block_seconds=0.3)


def _highest(model):
    return max(Hierarchical.bandwidths(model).values())


@pytest.fixture(scope="module")
def noise(wandering_noise):
    return wandering_noise(2 * 24000 + 77, seed=5).astype(np.float32)


@torch.no_grad()
def whole(codec, waveform):
    model = codec.model
    padded = np.pad(waveform, (0, -len(waveform) % codec.hop_length))
    return model.quantize(model.encode(torch.from_numpy(padded).double()[None, None]))


def test_a_frame_holds_every_level(codec):
    config = codec.model.config
    assert codec.hop_length == (768 if config.music else 384)
    assert codec.n_codebooks == (2 * (12 + 6 + 2) + 2 if config.music else 6 + 3 + 1)
    assert codec.codebook_size == 32
    assert codec.bandwidth_kbps == pytest.approx(
        codec.n_codebooks * 5 * 24000 / codec.hop_length / 1000
    )


@pytest.mark.parametrize("seconds", [0.02, 0.5, 20.0])
def test_codes_are_exactly_those_of_the_whole_sound(codec, noise, seconds):
    codes = replace(codec, block_seconds=seconds).encode(noise)
    expected = whole(codec, noise)
    assert min(np.unique(codes[0]).size, np.unique(expected[0]).size) > 8
    np.testing.assert_array_equal(codes, codec.model.rows(expected))
    finest = expected[0][0].numpy()  # as they follow each other in time
    per_frame = codec.hop_length // 64
    begin = codec.n_codebooks - per_frame * len(expected[0]) - (2 if codec.model.music else 0)
    np.testing.assert_array_equal(codes[begin : begin + per_frame].T.ravel(), finest)


@torch.no_grad()
@pytest.mark.parametrize("n_frames", [1, 18, 60])
def test_decoded_sound_equals_that_of_all_codes_at_once(codec, noise, n_frames):
    codes = codec.encode(noise)[:, :n_frames]
    streams, model = whole(codec, noise), codec.model
    latents = []
    for books, stream, (_, _, n) in zip(
        model.codebooks, streams, model.config.streams, strict=True
    ):
        words = [book[row] for book, row in zip(books, stream[:, : n * n_frames], strict=True)]
        latents.append(sum(words)[None])
    expected = model.decode(latents)[0, 0].numpy()
    sound = codec.decode(codes)
    assert sound.dtype == np.float32
    np.testing.assert_allclose(sound, expected, rtol=0, atol=1e-7)


def test_latents_are_the_sum_of_the_codewords_and_decode_to_the_sound(codec, noise):
    codes, books = codec.encode(noise), codec.codebooks()
    assert books.shape == (codec.n_codebooks, 32, codec.codebook_dim)
    latents = codec.latents(codes)
    summed = sum(book[row] for book, row in zip(books, codes, strict=True))
    np.testing.assert_allclose(latents, summed, rtol=0, atol=1e-6)
    with torch.no_grad():
        sound = codec.sound(torch.from_numpy(latents).double()[None])[0].numpy()
    np.testing.assert_allclose(codec.decode(codes), sound, rtol=0, atol=1e-6)


def test_fewer_codebooks_are_a_prefix_and_the_coarsest_level(codec, noise):
    codes = codec.encode(noise)
    per_frame = codec.hop_length // 384 * codec.model.config.codebooks_per_level
    kbps = Hierarchical.bandwidths(codec.model)[per_frame]
    low = replace(codec, bandwidth_kbps=kbps)
    assert low.n_codebooks == per_frame
    np.testing.assert_array_equal(low.encode(noise), codes[:per_frame])
    finer = low.model.unframed(torch.from_numpy(low.latents(codes[:per_frame]))[None])[:2]
    assert not any(level.any() for level in finer)
    assert np.isfinite(low.decode(codes[:per_frame])).all()


@pytest.mark.parametrize("music", [None, MUSIC])
def test_a_saved_model_is_loaded_by_its_type(tmp_path, noise, music):
    model = random_model(music=music).float()
    model.save_pretrained(tmp_path)
    codec = load_codec(str(tmp_path), 1000.0)
    own = Hierarchical(model.requires_grad_(False), "own", "0", codec.bandwidth_kbps)
    assert (codec.sample_rate, codec.hop_length) == (24000, 768 if music else 384)
    np.testing.assert_array_equal(codec.encode(noise), own.encode(noise))


def test_a_bandwidth_that_it_lacks_is_refused(codec):
    with pytest.raises(GibletError, match="it offers multiples of"):
        replace(codec, bandwidth_kbps=0.01)
