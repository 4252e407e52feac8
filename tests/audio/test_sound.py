"""A codec's decoder alone sounds as its codes do, and gradients find their way back through it."""

import numpy as np
import pytest
import torch
from transformers import DacConfig, DacModel

from giblet.audio.codecs.codec import load_codec
from giblet.audio.codecs.dac import Dac
from giblet.audio.codecs.encodec import Encodec


@pytest.fixture(scope="module", params=["mdct", "encodec", "dac"])
def codec(request, random_encodec):
    if request.param == "mdct":
        return load_codec()
    if request.param == "encodec":
        return Encodec(random_encodec().float(), "random", "0", bandwidth_kbps=6.0)
    sizes = {"encoder_hidden_size": 4, "decoder_hidden_size": 64, "n_codebooks": 8}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        geometry = {"downsampling_ratios": [2, 4, 5, 8], "sampling_rate": 24000}
        model = DacModel(DacConfig(**sizes, **geometry)).eval().requires_grad_(False)
    return Dac(model, "random", "0", bandwidth_kbps=6.0)


def test_latents_sound_as_their_codes_do(codec, rng):
    codes = rng.integers(0, codec.codebook_size, (8, 100), dtype=np.int32)
    one, other = codes[:, :40], codes[:, 60:]
    latents = torch.from_numpy(np.stack([codec.latents(one), codec.latents(other)]))
    latents.requires_grad_()
    sound = codec.sound(latents)
    heard = np.stack([codec.decode(one), codec.decode(other)])
    n_samples = sound.shape[1]  # DAC's convolutions leave a few samples out at the end
    assert 40 * codec.hop_length - n_samples < codec.hop_length
    differ = np.abs(heard[0] - heard[1]).max()  # random networks have much in common in all sounds
    np.testing.assert_allclose(sound.detach(), heard[:, :n_samples], rtol=0, atol=1e-3 * differ)
    sound[0, 10 * codec.hop_length : 20 * codec.hop_length].square().sum().backward()
    assert latents.grad[0, 10:20].abs().sum(-1).all()
    assert not latents.grad[1].any()  # each sound by itself


def test_latents_are_sums_of_codewords(codec, rng):
    codes = rng.integers(0, codec.codebook_size, (codec.n_codebooks, 30), dtype=np.int32)
    books = codec.codebooks()
    assert books.shape == (codec.n_codebooks, codec.codebook_size, codec.codebook_dim)
    sums = sum(book[code] for book, code in zip(books, codes, strict=True))
    np.testing.assert_allclose(codec.latents(codes), sums, atol=1e-5 * np.abs(sums).max())
