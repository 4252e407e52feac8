"""A real voice, and networks of each architecture small enough to run in a moment."""

import pytest
import soundfile
import torch

from giblet.codec_training.registry import build_network, parse_architecture

TINY = {
    "encodec": {"num_filters": 4, "target_bandwidths": [0.6, 1.2]},  # 2 or 4 codebooks
    "snake": {"encoder_hidden_size": 4, "decoder_hidden_size": 64, "n_codebooks": 4},
    "hierarchical": {"num_filters": 4, "latent_dim": 16, "compression": [32, 64, 128]},
    "mdct": {"width": 64, "codebook_dim": 32, "n_codebooks": 4},
}
QUANTIZER = {"dead_below": 0.1, "dropout": 0.0}  # half a second has few vectors


@pytest.fixture(scope="session")
def voice(voice_file):
    """0.5 s of one clear voice as a batch of one, (1, 1, 12000) float32."""
    samples = soundfile.read(voice_file, start=72000, stop=84000, dtype="float32")[0]
    return torch.from_numpy(samples)[None, None]


@pytest.fixture(scope="session")
def make_network():
    """Maker of a tiny untrained network: ``make_network("snake", seed=0, **settings)``."""

    def make(architecture, seed=0, **settings):
        tiny = {"codebook_size": 16, "quantizer": QUANTIZER, **TINY[architecture]}
        parsed = parse_architecture({"architecture": architecture, **tiny, **settings}, "test")
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return build_network(parsed)

    return make


@pytest.fixture(scope="session")
def make_started(make_network, voice):
    """Maker of a tiny network in evaluation mode, weights and codebooks started on the voice."""

    def make(architecture, **settings):
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            network = make_network(architecture, **settings).eval()
            network.start(voice)
            network.start_codebooks(network.encode(voice))
        return network

    return make
