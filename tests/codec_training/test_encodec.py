"""What holds for the networks of every architecture, and EnCodec's way out and back."""

import numpy as np
import pytest
import torch
from transformers import EncodecModel

from giblet.audio.codecs.codec import load_codec
from giblet.codec_training.network import join_latents
from giblet.codec_training.registry import NETWORKS, load_network, parse_architecture
from giblet.errors import GibletError

HOP = {"encodec": 320, "snake": 320, "hierarchical": 128, "mdct": 320}

every_architecture = pytest.mark.parametrize("architecture", NETWORKS)


def as_list(tensors):
    return tensors if isinstance(tensors, list) else [tensors]


def snr_db(sound, estimate):
    return 10 * torch.log10(sound.square().sum() / (sound - estimate).square().sum()).item()


def correlation(network, sound):
    """Of sound with what encoder and decoder make of it, nothing quantized."""
    with torch.no_grad():
        estimate = network.decode(network.encode(sound), sound.shape[-1])
    return torch.corrcoef(torch.stack([sound.flatten(), estimate.flatten()]))[0, 1].item()


@every_architecture
@pytest.mark.parametrize("n_samples", [700, 6400, 11999])
def test_sound_of_any_length_keeps_it(architecture, n_samples, make_started, voice):
    network = make_started(architecture)
    sound = torch.cat([voice, -voice])[..., :n_samples]
    with torch.no_grad():
        latents = network.encode(sound)
        quantized, codes, _ = network.quantize(latents)
        estimate = network.decode(quantized, n_samples)
    assert estimate.shape == sound.shape == network(sound).shape
    n_frames = -(-n_samples // HOP[architecture])
    assert [z.shape for z in as_list(latents)] == [z.shape for z in as_list(quantized)]
    assert as_list(latents)[-1].shape[:2] == (2, n_frames)
    assert as_list(codes)[-1].shape[:2] == (2, n_frames)


@every_architecture
def test_nothing_is_quantized_before_the_codebooks_start(architecture, make_network, voice):
    network = make_network(architecture)
    latents = network.encode(voice)
    quantized, codes, loss = network.quantize(latents)
    assert quantized is latents
    assert codes is None
    assert loss == 0
    assert not network.codebooks_started
    network.start_codebooks(join_latents([network.encode(voice), network.encode(-voice)]))
    assert network.codebooks_started
    resumed = make_network(architecture, seed=1)
    resumed.load_state_dict(network.state_dict())
    assert resumed.codebooks_started


@every_architecture
def test_the_start_keeps_the_waveform_before_any_training(architecture, make_network, voice):
    quiet = 0.01 * voice  # a tanh compresses what is loud
    for seed in (0, 1):
        network = make_network(architecture, seed)
        assert abs(correlation(network, quiet)) < 0.1
        network.start(quiet)
        kept = correlation(network, quiet)
        assert kept > 0.6
        level = network.decode(network.encode(quiet), quiet.shape[-1]).std() / quiet.std()
        if architecture == "mdct":  # bins that are not kept are not made up for
            assert 0.9 < level < 1.0
            continue
        assert level.item() == pytest.approx(1.0, rel=0.02)
        random = make_network(architecture, seed, start_basis="random")
        random.start(quiet)
        assert 0.1 < correlation(random, quiet) < kept


@every_architecture
def test_gradients_reach_the_encoder_through_the_codes(architecture, make_started, voice):
    network = make_started(architecture).train()
    quantized, _, commitment = network.quantize(network.encode(voice))
    (network.decode(quantized, voice.shape[-1]) - voice).abs().mean().backward()
    names = [n for n, p in network.named_parameters() if p.grad is not None and p.grad.any()]
    first = {
        "encodec": "model.encoder.layers.0",
        "snake": "encoder.conv1",
        "hierarchical": "model.first",
        "mdct": "model.encoder.enter",
    }
    assert any(name.startswith(first[architecture]) for name in names)
    assert commitment > 0
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


@every_architecture
def test_every_prefix_decodes(architecture, make_started, voice):
    network = make_started(
        architecture, **{"hierarchical": {"n_codebooks": 3}}.get(architecture, {})
    )
    with torch.no_grad():
        latents = network.encode(voice)
        _, codes, _ = network.quantize(latents)
        sounds = []
        for n in range(1, as_list(codes)[0].shape[-1] + 1):
            quantized, fewer, _ = network.quantize(latents, n_codebooks=n)
            assert all(level.shape[-1] == n for level in as_list(fewer))
            sounds.append(network.decode(quantized, voice.shape[-1]))
    assert snr_db(sounds[-1], sounds[-2]) > snr_db(sounds[-1], sounds[0])
    assert network.count_bits(codes) == len(sounds) * network.count_bits(
        [c[..., :1] for c in codes] if isinstance(codes, list) else codes[..., :1]
    )


@every_architecture
def test_bits_per_second_are_those_of_the_integers(architecture, make_started, voice):
    network = make_started(architecture)
    with torch.no_grad():
        _, codes, _ = network.quantize(network.encode(torch.cat([voice, -voice])))
    written = "".join(f"{c:04b}" for level in as_list(codes) for c in level.flatten().tolist())
    assert network.bits_per_second(codes, 12000) == pytest.approx(len(written) / 1.0)  # 2 * 0.5 s
    assert network.compression_ratio(codes, 12000) == pytest.approx(2 * 12000 * 16 / len(written))


@every_architecture
def test_a_saved_network_comes_back(architecture, make_started, voice, tmp_path):
    network = make_started(architecture)
    network.save(tmp_path)
    loaded = load_network(tmp_path)
    assert loaded.settings == network.settings
    assert loaded.codebooks_started
    with torch.no_grad():
        (_, codes, _), (_, again, _) = (n.quantize(n.encode(voice)) for n in (network, loaded))
        assert all(map(torch.equal, as_list(codes), as_list(again)))
        torch.testing.assert_close(loaded(voice), network(voice), atol=1e-5, rtol=1e-4)
    loaded.train()
    loaded(voice).sum().backward()


@every_architecture
def test_half_precision_halves_the_file(architecture, make_started, tmp_path):
    network = make_started(architecture)
    for name in ("single", "half"):
        (tmp_path / name).mkdir()
        network.save(tmp_path / name, half=name == "half")
    single, half = (
        (tmp_path / name / "model.safetensors").stat().st_size for name in ("single", "half")
    )
    assert half < 0.7 * single
    assert all(p.dtype == torch.float32 for p in network.parameters())
    assert all(p.dtype == torch.float32 for p in load_network(tmp_path / "half").parameters())


@every_architecture
def test_nothing_is_saved_before_the_codebooks_start(architecture, make_network, tmp_path):
    with pytest.raises(GibletError, match="codebooks were never started"):
        make_network(architecture).save(tmp_path)


@every_architecture
@pytest.mark.slow
def test_a_short_fit_comes_nearer_to_one_clip(architecture, make_network, voice):
    network = make_network(architecture)
    network.start(voice)
    optimizer = torch.optim.AdamW(network.parameters(), 5e-4, betas=(0.8, 0.99), weight_decay=0)
    scores = []
    for step in range(30):
        optimizer.param_groups[0]["lr"] = 5e-4 * min(1, (step + 1) / 10)
        estimate = network(voice)
        scores.append(snr_db(voice, estimate.detach()))
        optimizer.zero_grad()
        (estimate - voice).square().mean().sqrt().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    assert np.mean(scores[-5:]) > scores[0] + 4


def test_an_exported_encodec_codes_as_the_network(make_started, voice, tmp_path):
    network = make_started("encodec", codebook_size=4, target_bandwidths=[0.3, 0.6])
    network.save(tmp_path)
    model = EncodecModel.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        _, codes, _ = network.quantize(network.encode(voice))
        theirs = model.encode(voice, bandwidth=0.6).audio_codes[0, 0]
        sound = network(voice)[0, 0]
    assert len(theirs) == network.quantizer.n_codebooks == 4  # of 2 bits, 75 times a second
    assert torch.equal(codes[0].T, theirs)
    runner = load_codec(str(tmp_path), 0.6)
    np.testing.assert_array_equal(runner.encode(voice[0, 0].numpy()), theirs)
    np.testing.assert_allclose(runner.decode(theirs.numpy())[:12000], sound, atol=1e-5)


def test_settings_are_chosen_by_architecture_and_strict():
    assert parse_architecture({"architecture": "snake"}, "x").codebook_dim == 8
    with pytest.raises(GibletError, match=r"recipe.yaml: snake.num_filters: extra inputs"):
        parse_architecture({"architecture": "snake", "num_filters": 8}, "recipe.yaml")
    with pytest.raises(GibletError, match=r"recipe.yaml: encodec.quantizer.decey: extra inputs"):
        parse_architecture({"architecture": "encodec", "quantizer": {"decey": 1}}, "recipe.yaml")
    with pytest.raises(GibletError, match=r"recipe.yaml: architecture: .*'wavenet'"):
        parse_architecture({"architecture": "wavenet"}, "recipe.yaml")
    with pytest.raises(GibletError, match="1000 is no power of two"):
        parse_architecture({"architecture": "hierarchical", "codebook_size": 1000}, "recipe.yaml")


def test_a_folder_without_a_network_is_an_error(tmp_path):
    with pytest.raises(GibletError, match=r"no network.json in it"):
        load_network(tmp_path)
