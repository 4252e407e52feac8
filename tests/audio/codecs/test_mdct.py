"""giblet's own codec: its transform is an MDCT, its windows equal the whole. Oracle: scipy."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.fft
import torch
from vector_quantize_pytorch import ResidualVQ

from giblet.audio.codecs.codec import load_codec
from giblet.audio.codecs.mdct import (
    Mdct,
    MdctConfig,
    MdctModel,
    compand,
    expand,
    inverse_mdct,
    mdct,
    without_offset,
)
from giblet.errors import GibletError

HOP = 320
SIZES = {"width": 48, "codebook_dim": 16, "codebook_size": 64, "n_codebooks": 6}


@pytest.fixture(scope="module", params=[0, 3])
def model(request):
    """In double precision, with codewords among its own latents, so that codes vary.

    Of sound as it is, and less its mean over 3 frames to either side.
    """
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        model = MdctModel(MdctConfig(**SIZES, offset_frames=request.param)).double().eval()
        latents = model.encode(0.1 * torch.randn(1, 64 * HOP, dtype=torch.float64))[0]
        for book in range(6):
            model.codebooks[book] = latents * 0.5**book
        return model


@pytest.fixture(scope="module")
def codec(model):
    return Mdct(model, "random", "0", bandwidth_kbps=6 * 6 * 75 / 1000, block_seconds=0.5)


@pytest.fixture(scope="module")
def noise(wandering_noise):
    return wandering_noise(3 * 24000 + 77, seed=5).astype(np.float32)


@torch.no_grad()
def whole_codes(model, waveform, n_codebooks=6):
    padded = torch.from_numpy(np.pad(waveform, (0, -len(waveform) % HOP))).double()
    return model.quantize(model.encode(padded[None])[0], n_codebooks).numpy()


def test_the_transform_is_a_windowed_mdct():
    frame = np.random.default_rng(0).normal(size=2 * HOP)  # noise: the identity holds for any
    sound = torch.from_numpy(np.concatenate([np.zeros(HOP // 2), frame, np.zeros(HOP // 2)]))
    found = mdct(sound[None], HOP)[0, 1]
    # an MDCT is a DCT-IV of the folded, windowed frame (scipy's own, orthonormal)
    a, b, c, d = np.split(frame * np.sin(np.pi / (2 * HOP) * (np.arange(2 * HOP) + 0.5)), 4)
    expected = scipy.fft.dct(np.concatenate([-c[::-1] - d, a - b[::-1]]), type=4, norm="ortho")
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("n_frames", [1, 2, 75])
def test_as_many_frames_as_hops_give_all_of_the_sound_back(n_frames, wandering_noise):
    sound = torch.from_numpy(wandering_noise(n_frames * HOP, seed=1))[None].double()
    coefficients = mdct(sound, HOP)
    assert coefficients.shape == (1, n_frames, HOP)
    torch.testing.assert_close(inverse_mdct(coefficients), sound, rtol=0, atol=1e-11)


def test_companding_halves_the_range_of_levels_and_is_undone():
    tones = torch.ones(1, 40, HOP, dtype=torch.float64)
    loud, soft = compand(tones * 10.0, 0.5), compand(tones * 0.1, 0.5)
    torch.testing.assert_close(loud / soft, tones * 10.0, rtol=1e-4, atol=0)  # 100:1 before
    torch.testing.assert_close(expand(loud, 0.5), tones * 10.0, rtol=1e-4, atol=0)


def test_an_offset_changes_no_code(codec, noise):
    """A recording with .3 of direct current."""
    noise = noise[: 200 * HOP]
    codes = [codec.encode(noise + np.float32(offset)) for offset in (0.3, -0.2)]
    same = (codes[0] == codes[1]).mean()
    if codec.model.config.offset_frames:
        assert same > 0.999  # single precision: near ties alone may differ
    else:
        assert same < 0.9


def mean_around(sound, n_frames):
    """By definition: of as many samples before and after each as there are."""
    n, total = sound.shape[-1], n_frames * HOP
    ends = [(max(0, t + 1 - total), t + 1 + total) for t in range(n)]
    return torch.stack([sound[first:end].mean() for first, end in ends])


def test_without_offset_is_less_the_mean_of_the_mean_around():
    sound = torch.randn(8 * HOP, dtype=torch.float64) + 1
    found = without_offset(sound[None], HOP, 2)[0]
    torch.testing.assert_close(found, sound - mean_around(mean_around(sound, 2), 2))
    assert without_offset(sound[None], HOP, 0)[0] is not found
    torch.testing.assert_close(without_offset(sound[None], HOP, 0)[0], sound, rtol=0, atol=0)


def test_a_sound_without_offset_stays_bit_for_bit():
    """So its codes are those of before; half of an offset between goes."""
    sound = torch.randn(1, 60 * HOP, dtype=torch.float64)
    sound = 0.1 * (sound - sound.mean())
    assert torch.equal(without_offset(sound, HOP, 8), sound)
    for offset, left in ((0.004, 0.004), (0.006, 0.003), (0.008, 0.0), (-0.3, 0.0)):
        constant = torch.full((1, 60 * HOP), offset, dtype=torch.float64)
        expected = torch.full_like(constant, left)
        torch.testing.assert_close(without_offset(constant, HOP, 8), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("frequency", [20, 27.5, 50, 100, 440])
def test_without_offset_the_lowest_tones_stay(frequency):
    times = torch.arange(150 * HOP, dtype=torch.float64) / 24000
    tone = torch.sin(2 * np.pi * frequency * times)[None]
    inner = slice(20 * HOP, 130 * HOP)  # whole periods
    kept = without_offset(tone + 0.3, HOP, 8)[:, inner]
    assert abs(10 * (kept.square().mean() / tone[:, inner].square().mean()).log10()) < 0.1


@pytest.mark.parametrize("seconds", [0.02, 0.4, 1.0, 20.0])
def test_codes_are_exactly_those_of_the_whole_sound(codec, model, noise, seconds):
    codes = replace(codec, block_seconds=seconds).encode(noise)
    assert codes.dtype == np.int32
    assert np.unique(codes).size > 30  # else every sound would agree with every other
    np.testing.assert_array_equal(codes, whole_codes(model, noise))


def test_windows_that_do_not_overlap_would_be_seen(codec, model, noise):
    cut = [codec.encode(piece) for piece in np.split(noise, [24000, 48000])]
    assert (np.concatenate(cut, axis=1) != whole_codes(model, noise)).mean() > 0.02


def test_a_beam_as_wide_as_a_codebook_finds_the_best_of_all_pairs(model):
    """Oracle: every sum of two codewords."""
    pair = MdctModel(MdctConfig(**SIZES | {"n_codebooks": 2, "beam_size": 64})).double()
    with torch.no_grad():
        pair.codebooks.copy_(model.codebooks[:2])
        latents = 1.2 * model.codebooks[2, :20]
        sums = (pair.codebooks[0][:, None] + pair.codebooks[1]).flatten(0, 1)
        expected = torch.cdist(latents, sums).argmin(1)
        found = pair.quantize(latents, 2)
    assert torch.equal(64 * found[0] + found[1], expected)


def test_a_beam_leaves_less_than_the_nearest_codeword_at_each_step(codec, model, noise):
    """Oracle: vector-quantize-pytorch, greedy, and with a beam (its sums weigh early steps too)."""
    padded = torch.from_numpy(np.pad(noise, (0, -len(noise) % HOP))).double()
    with torch.no_grad():
        latents = model.encode(padded[None])[0]
        left = model.dequantize(torch.from_numpy(codec.encode(noise).astype(np.int64))) - latents
    theirs = {}
    for beam in (None, 8):
        vq = ResidualVQ(dim=16, num_quantizers=6, codebook_size=64, beam_size=beam).double().eval()
        for layer, book in zip(vq.layers, model.codebooks, strict=True):
            layer._codebook.embed.data.copy_(book[None])
        with torch.no_grad():
            theirs[beam] = (vq(latents[None])[0][0] - latents).square().mean()
    assert left.square().mean() < theirs[8] < theirs[None]


@pytest.mark.parametrize("part", [0, 1])
def test_reach_is_what_a_frame_hears_and_no_more(model, part):
    step = [model.encode, lambda z: model.decode(z)][part]
    shape = [(1, 101 * HOP), (1, 101, 16)][part]
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x.requires_grad_()
    y = step(x).reshape(101, -1)
    y[50].sum().backward()
    heard = x.grad.reshape(101, -1).abs().sum(1).nonzero().flatten()
    n_beside = int((heard - 50).abs().max())
    assert model.reach[part] - 1 <= n_beside <= model.reach[part]


@torch.no_grad()
@pytest.mark.parametrize("n_frames", [1, 37, 38, 200])
def test_decoded_sound_equals_that_of_all_codes_at_once(codec, model, noise, n_frames):
    codes = codec.encode(noise)[:, :n_frames]
    whole = model.decode(model.dequantize(torch.from_numpy(codes).long())[None])[0]
    sound = codec.decode(codes)
    assert sound.dtype == np.float32
    assert sound.shape == (n_frames * HOP,)
    np.testing.assert_allclose(sound, whole, rtol=0, atol=1e-7)


@pytest.mark.parametrize("n_samples", [1, 320, 321, 24001])
def test_the_last_frame_is_padded_with_silence(codec, model, noise, n_samples):
    codes = codec.encode(noise[:n_samples])
    assert codes.shape == (6, -(-n_samples // HOP))
    np.testing.assert_array_equal(codes, whole_codes(model, noise[:n_samples]))


def test_prefixes_and_latents(codec, noise):
    codes = codec.encode(noise[:24000])
    low = replace(codec, bandwidth_kbps=2 * 6 * 75 / 1000)
    np.testing.assert_array_equal(low.encode(noise[:24000]), codes[:2])
    books = codec.codebooks()
    assert books.shape == (6, 64, 16)
    summed = sum(book[code] for book, code in zip(books, codes, strict=True))
    np.testing.assert_allclose(codec.latents(codes), summed, rtol=0, atol=1e-6)


def test_a_saved_model_is_loaded_like_any_other(model, codec, noise, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = load_codec(str(tmp_path), codec.bandwidth_kbps)
    assert isinstance(loaded, Mdct)
    same = (loaded.encode(noise) == codec.encode(noise)).mean()
    assert same > 0.999  # single precision: near ties alone may differ
    with pytest.raises(GibletError, match=r"no 5 kbps; it offers multiples of 0\.45"):
        replace(loaded, bandwidth_kbps=5.0)
