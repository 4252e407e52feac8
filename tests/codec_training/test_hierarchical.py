"""Levels that match, a ratio asked for and measured, and a decoder that knows only codes."""

import numpy as np
import pytest
import soundfile
import torch

from giblet.codec_training.hierarchical import HierarchicalSettings
from giblet.codec_training.registry import build_network, load_network, parse_architecture
from giblet.errors import GibletError

MUSIC = {"n_fft": 1024, "hop_length": 512, "codebook_size": 8, "n_codebooks": 2}


@pytest.fixture(scope="module")
def network(make_started):
    return make_started("hierarchical", music=MUSIC)


@pytest.fixture(scope="module")
def codes(network, voice):
    with torch.no_grad():
        return network.quantize(network.encode(voice))[1]


def decoded(network, codes, n_samples=12000):
    with torch.no_grad():
        return network.decode(network.dequantize(codes), n_samples)


def test_each_level_has_its_rate(make_network):
    network = make_network("hierarchical", compression=[8, 16, 32])
    sound = torch.sin(torch.arange(2400.0) / 9)[None, None]
    assert [level.shape[1] for level in network.encode(sound)] == [300, 150, 75]


@pytest.mark.parametrize("compression", [[8, 16, 32], [3, 15, 30], [5, 20, 60]])
@pytest.mark.parametrize("n_samples", [1, 601, 1200])
def test_levels_match_whatever_the_length(make_network, compression, n_samples):
    network = make_network("hierarchical", compression=compression, num_filters=2)
    sound = torch.sin(torch.arange(n_samples * 1.0) / 9)[None, None]
    assert network(sound).shape == sound.shape


def test_levels_left_out_in_training_cost_nothing_and_can_be_decoded(make_started, voice):
    fixed = {"learn_by": "gradient", "dead_below": 0.0, "dropout": 0.0}  # no step moves codewords
    network = make_started("hierarchical", level_dropout=1.0, quantizer=fixed).train()
    seen = set()
    for seed in range(8):
        torch.manual_seed(seed)
        with torch.no_grad():
            quantized, codes, _ = network.quantize(network.encode(voice))
        n_left_out = sum(bool((level == -1).all()) for level in codes)
        seen.add(n_left_out)
        n_bits = sum(4 * level.numel() for level in codes[n_left_out:])  # 16 codewords
        assert network.count_bits(codes) == n_bits
        for mine, again in zip(quantized, network.dequantize(codes), strict=True):
            torch.testing.assert_close(mine, again)
    assert seen == {1, 2}  # never the coarsest
    complete = network.eval().quantize(network.encode(voice))[1]
    assert all((level >= 0).all() for level in complete)


def test_levels_of_different_sounds_are_refused(network, codes):
    codes = [codes[0][:, :-4], *codes[1:]]
    with pytest.raises(ValueError, match="level 0: 380 latents, not 384"):
        decoded(network, codes)


def test_sound_comes_from_the_integers_alone(network, codes, voice, tmp_path):
    """Written to a file, read by another network with the same weights: the same sound."""
    np.savez(tmp_path / "codes.npz", *[level.numpy().astype(np.int16) for level in codes])
    network.save(tmp_path)
    with np.load(tmp_path / "codes.npz") as stored:
        integers = [torch.from_numpy(stored[name].astype(np.int64)) for name in stored.files]
    with torch.no_grad():
        expected = network(voice)
    again = decoded(load_network(tmp_path), integers)
    torch.testing.assert_close(again, expected, atol=1e-6, rtol=0)  # weight norm is plain there


def test_another_sound_with_the_same_codes_sounds_the_same(network, codes, voice):
    """A change too small for any code is not heard, though the latents, and music, know it."""
    other = voice * 1.00001
    with torch.no_grad():
        latents = network.encode(other)
        quantized, same, _ = network.quantize(latents)
        assert not any(map(torch.equal, latents, network.encode(voice)))
        assert all(map(torch.equal, same, codes))
        assert torch.equal(network.decode(quantized, 12000), decoded(network, codes))


def test_every_level_and_the_music_are_heard_and_counted(network, codes):
    whole, n_bits = decoded(network, codes), network.count_bits(codes)
    for i, bits in enumerate([4, 4, 4, 3]):
        without = [torch.full_like(c, -1) if j == i else c for j, c in enumerate(codes)]
        assert not torch.allclose(decoded(network, without), whole, atol=1e-4)
        assert n_bits - network.count_bits(without) == bits * codes[i].numel()
    assert [c.shape[1:] for c in codes] == [(384, 1), (192, 1), (96, 1), (24, 2)]


@pytest.mark.parametrize("architecture", ["snake", "hierarchical"])
def test_no_latents_are_louder_than_full_scale(make_started, voice, architecture):
    network = make_started(architecture)
    with torch.no_grad():
        latents = network.encode(voice)
        loud = [1e4 * x for x in latents] if isinstance(latents, list) else 1e4 * latents
        peak = network.decode(loud, 12000).abs().max().item()
    assert 0.9 < peak <= 1.0


def test_music_is_heard_at_its_own_time(network, voice):
    """Another last frame changes the last samples, another first frame the first."""
    with torch.no_grad():
        latents = network.encode(voice)
        whole = network.decode(latents, 12000)
        n_frames = latents[-1].shape[1]
        for frame in (0, n_frames // 2, n_frames - 1):
            music = latents[-1].clone()
            music[:, frame] += 100.0
            change = (network.decode([*latents[:-1], music], 12000) - whole)[0, 0].abs()
            heard = change > 0.1 * change.max()
            at = torch.arange(12000)[heard]
            begin = frame * MUSIC["hop_length"]
            assert begin - 1000 < at.min() <= at.max() < begin + MUSIC["hop_length"] + 1000


def test_a_ratio_of_450_is_measured_on_a_real_sound(voice_file):
    sound = torch.from_numpy(soundfile.read(voice_file, stop=120000, dtype="float32")[0])[
        None, None
    ]
    small = {"num_filters": 2, "max_filters": 16, "latent_dim": 8, "codebook_size": 64}
    for music in (None, MUSIC):
        settings = HierarchicalSettings(**small, music=music).with_ratio(450)
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            network = build_network(settings).eval()
            network.start_codebooks(network.encode(sound.expand(2, 1, -1)))
            _, codes, _ = network.quantize(network.encode(sound))
            assert network(sound).shape == sound.shape
        ratio = network.compression_ratio(codes, 120000)
        assert settings.compression_ratio >= 450
        assert 430 < ratio <= settings.compression_ratio  # the last frames are padded
        assert network.bits_per_second(codes, 120000) == pytest.approx(24000 * 16 / ratio)


def test_ratios_are_reached_from_above_and_not_from_far():
    for music in (None, {}):
        settings = HierarchicalSettings(music=music)
        for ratio in (10, 50, 100, 450, 1000):
            assert ratio <= settings.with_ratio(ratio).compression_ratio < 1.5 * ratio
        assert settings.with_ratio(450).music == settings.music
    with pytest.raises(ValueError, match="no strides reach a compression of 1000000:1"):
        HierarchicalSettings().with_ratio(1_000_000)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"compression": [8, 12, 24]}, "12 must be a multiple of 8, the level before it"),
        ({"compression": [7, 14, 28]}, "a stride of 7 is no product of 2, 3, 4 and 5"),
        ({"compression": [8, 16]}, "compression.2: field required"),
        ({"music": {"hop_length": 700}}, "700 must be a multiple of 512, a quarter of n_fft"),
        (
            {"music": {}, "compression": [64, 512, 4096]},
            "2048 must be at least that of the coarsest",
        ),
    ],
)
def test_what_cannot_be_built_is_refused(wrong, message):
    with pytest.raises(GibletError, match=message):
        parse_architecture({"architecture": "hierarchical", **wrong}, "test")
