"""The DAC recipe, and its way out: transformers and our runner code as the network does."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized
from transformers import DacModel
from transformers.models.dac.modeling_dac import Snake1d

from giblet.audio.codecs.codec import load_codec
from giblet.codec_training.registry import parse_architecture
from giblet.errors import GibletError

KBPS = 4 * 4 * 75 / 1000  # codebooks, bits, frames per second


@pytest.fixture(scope="module")
def network(make_started):
    return make_started("snake")


@pytest.fixture(scope="module")
def saved(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("snake")
    network.save(folder)
    return folder


def test_activations_are_periodic(network):
    """x + sin²(αx) / α moves on by π / α where x does; and it is no straight line."""
    kinds = {
        type(m) for m in network.modules() if type(m).__module__ == "torch.nn.modules.activation"
    }
    assert kinds == {nn.Tanh}
    snakes = [m for m in network.modules() if isinstance(m, Snake1d)]
    assert len(snakes) == 2 * (4 * 7 + 1)  # encoder and decoder, blocks of seven
    x = torch.linspace(-4, 4, 50).expand(1, snakes[0].alpha.shape[1], 50)
    for alpha in (0.5, 3.0):
        snakes[0].alpha.data.fill_(alpha)
        y, later = snakes[0](x), snakes[0](x + torch.pi / alpha)
        torch.testing.assert_close(later, y + torch.pi / alpha, atol=1e-4, rtol=0)
        assert (y - x).max() > 0.9 / alpha
    snakes[0].alpha.data.fill_(1.0)


def test_output_is_bounded(network):
    latents = 1e4 * torch.sin(torch.arange(64 * 30.0)).view(1, 30, 64)
    with torch.no_grad():
        sound = network.decode(latents, 9600)
    assert 0.9 < sound.abs().max() <= 1.0


def test_every_weight_has_its_norm(network):
    layers = [
        m for m in network.modules() if isinstance(m, nn.Conv1d | nn.ConvTranspose1d | nn.Linear)
    ]
    assert len(layers) == 2 * (4 * 7 + 2) + 2 * 4
    assert all(is_parametrized(layer, "weight") for layer in layers)


def test_transformers_codes_as_the_network(network, saved, voice):
    model, report = DacModel.from_pretrained(saved, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    whole = nn.functional.pad(voice, (0, -12000 % 320))
    with torch.no_grad():
        _, codes, _ = network.quantize(network.encode(voice))
        theirs = model.eval().encode(whole).audio_codes
        sound = model.decode(audio_codes=theirs).audio_values
        ours = network(voice)[:, 0]
    assert torch.equal(codes.transpose(1, 2), theirs)
    n_samples = min(sound.shape[-1], 12000)
    torch.testing.assert_close(ours[:, :n_samples], sound[:, :n_samples], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("n_codebooks", [1, 2, 4])
def test_our_runner_codes_as_the_network(n_codebooks, network, saved, voice):
    codec = load_codec(str(saved), n_codebooks * KBPS / 4)
    with torch.no_grad():
        quantized, codes, _ = network.quantize(network.encode(voice), n_codebooks)
        sound = network.decode(quantized, 12000)[0, 0]
    theirs = codec.encode(voice[0, 0].numpy())
    np.testing.assert_array_equal(theirs, codes[0].T)
    np.testing.assert_allclose(codec.decode(theirs)[:12000], sound, atol=1e-5)


def test_export_leaves_the_network_as_it_was(network, voice):
    with torch.no_grad():
        before = network(voice)
        exported = network.export()
        assert torch.equal(network(voice), before)
    assert not any("parametrizations" in name for name in exported.state_dict())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"quantizer": {"learn_by": "gradient"}}, "looked up by direction learn by ema"),
        ({"decoder_hidden_size": 40}, "40 must be a multiple of 16"),
    ],
)
def test_what_cannot_be_built_is_refused(wrong, message):
    with pytest.raises(GibletError, match=message):
        parse_architecture({"architecture": "snake", **wrong}, "test")
