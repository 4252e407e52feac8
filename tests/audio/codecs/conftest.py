"""Narrow random models of further codecs, with codebooks filled from residuals."""

from functools import cache

import numpy as np
import pytest
import torch
from transformers import MimiConfig, MimiModel, XcodecConfig, XcodecModel

MIMI = {  # kyutai/mimi but for the width and the length of the window
    "hidden_size": 16,
    "num_filters": 2,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 32,
    "sliding_window": 50,
    "upsample_groups": 16,
    "codebook_size": 64,
    "codebook_dim": 8,
    "vector_quantization_hidden_dimension": 8,
    "num_quantizers": 6,
    "layer_scale_initial_scale": 1.0,
    "initializer_range": 0.3,  # so that the attention is heard
}
XCODEC = {  # hf-audio/xcodec-hubert-librispeech but for the width and the size of the codebooks
    "target_bandwidths": [0.3, 0.6, 1.2],
    "codebook_size": 64,
    "acoustic_model_config": {
        "model_type": "dac",
        "encoder_hidden_size": 4,
        "downsampling_ratios": [8, 5, 4, 2],
        "decoder_hidden_size": 32,
        "upsampling_ratios": [8, 5, 4, 2],
        "hidden_size": 16,
    },
    "semantic_model_config": {
        "model_type": "hubert",
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "conv_dim": [8] * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 2,
    },
}

FINITE_SCALAR = {  # HKUSTAudio/xcodec2-hf and neuphonic/neucodec but for the width
    "hidden_size": 64,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "encoder_hidden_size": 2,
    "quantization_dim": 80,
    "initializer_range": 0.1,  # so that the attention is heard
    "semantic_model_config": {
        "model_type": "wav2vec2-bert",
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    },
}


def _words(residual: torch.Tensor, n_words: int, generator: torch.Generator) -> torch.Tensor:
    """Mixtures of two of the residuals (n_frames, dim): a word that is one would leave nothing."""
    picked = torch.randint(len(residual), (2, n_words), generator=generator)
    return 0.8 * residual[picked[0]] + 0.2 * residual[picked[1]]


@pytest.fixture(scope="session")
def random_mimi(wandering_noise):
    """Maker of a float64 ``MimiModel``; keywords override fields of its config."""

    @torch.no_grad()
    def make(**overrides):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = MimiModel(MimiConfig(**MIMI | overrides)).double().eval()
        generator = torch.Generator().manual_seed(1)
        sound = torch.from_numpy(wandering_noise(8 * 24000, seed=8))[None, None]
        latents = model.encoder(sound).latents
        quantizer = model.quantizer
        for part in (
            quantizer.semantic_residual_vector_quantizer,
            quantizer.acoustic_residual_vector_quantizer,
        ):
            residual = part.input_proj(latents)
            for layer in part.layers:
                words = _words(residual[0].T, model.config.codebook_size, generator)
                layer.codebook.embed_sum.copy_(words)
                layer.codebook._embed = None
                residual = residual - layer.decode(layer.encode(residual))
        return model

    return make


@pytest.fixture(scope="session")
def random_xcodec(wandering_noise):
    """A float64 ``XcodecModel``."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        model = XcodecModel(XcodecConfig(**XCODEC)).double().eval()
        model.fc2.bias.copy_(torch.linspace(-1, 1, len(model.fc2.bias)))
        sound = torch.from_numpy(wandering_noise(4 * 16000, seed=9))[None, None]
        heard = []
        model.quantizer.encode = lambda x, bandwidth: heard.append(x) or torch.zeros(1, 1, 1)
        model.encode(sound)
        del model.quantizer.encode
        generator, residual = torch.Generator().manual_seed(1), heard[0]
        for layer in model.quantizer.quantizers:
            layer.codebook.embed.copy_(_words(residual[0].T, 64, generator))
            residual = residual - layer.decode(layer.encode(residual))
    return model


@pytest.fixture(scope="session")
def random_finite_scalar(wandering_noise):
    """Maker of a float64 ``Xcodec2Model`` or ``NeuCodecModel`` by ``model_type``; all levels used.

    Keywords override fields of its config.
    """

    @cache
    def make(model_type, **overrides):
        transformers = pytest.importorskip("transformers.models." + model_type)
        name = {"xcodec2": "Xcodec2", "neucodec": "NeuCodec"}[model_type]
        config = getattr(transformers, f"{name}Config")(**FINITE_SCALAR | overrides)
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            model = getattr(transformers, f"{name}Model")(config).double().eval()
            sound = torch.from_numpy(wandering_noise(320 * 100, seed=9))[None, None]
            features = torch.from_numpy(wandering_noise(100 * 160, seed=8)).view(1, 100, 160)
            heard, project = [], model.quantizer.project_in
            hook = project.register_forward_hook(lambda *call: heard.append(call[2][0]))
            model.encode(sound, features * 10)
            hook.remove()
            spread, middle = heard[0].std(dim=0), heard[0].mean(dim=0)
            project.weight.div_(spread[:, None])
            project.bias.copy_(project.bias - middle).div_(spread)
        return model

    return make


@pytest.fixture(scope="session")
def noise_of(wandering_noise):
    """Maker of float32 noise: ``noise_of(n_samples)``."""
    return lambda n_samples: wandering_noise(n_samples, seed=10).astype(np.float32)
