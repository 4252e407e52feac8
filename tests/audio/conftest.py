"""Sounds, and codecs with random weights for what must hold whatever the weights."""

import numpy as np
import pytest
import soundfile
import torch

from giblet.codec_training.encodec import start_near_identity


def _keep_memory(part) -> None:
    """Raise the LSTM's forget bias: what it heard seconds ago then still matters."""
    for layer in part.layers:
        for name, bias in getattr(layer, "lstm", torch.nn.Identity()).named_parameters():
            if name.startswith("bias_ih"):
                n = len(bias) // 4
                bias[n : 2 * n] += 3.0


MIX = torch.tensor([0.8, 0.2], dtype=torch.float64)


@torch.no_grad()
def _fill_codebooks(model, sound: torch.Tensor, generator: torch.Generator) -> None:
    """Codewords from the residuals that each codebook meets in ``sound``: mixtures of two.

    A codeword that was a residual itself would leave nothing of it: the next codebook's codewords
    would be zeros, many times over.
    """
    residual = model.encoder(sound)  # (1, codebook_dim, n_frames)
    for layer in model.quantizer.layers:
        picked = torch.randperm(residual.shape[-1], generator=generator)
        pairs = picked[: 2 * model.config.codebook_size].view(2, -1)
        layer.codebook.embed.copy_((residual[0, :, pairs].movedim(1, 2) @ MIX).T)
        residual = residual - layer.decode(layer.encode(residual))


def _noise(n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Noise whose level wanders over 40 dB, (n_samples,) float64."""
    knots = rng.uniform(-40, 0, n_samples // 2400 + 2)
    level_db = np.interp(np.arange(n_samples) / 2400, np.arange(len(knots)), knots)
    return 0.3 * rng.standard_normal(n_samples) * 10 ** (level_db / 20)


@pytest.fixture(scope="session")
def clear_speech(voice_file):
    """6 s of one clear voice, (144000,) float32 at 24 kHz."""
    return soundfile.read(voice_file, start=24000, stop=7 * 24000, dtype="float32")[0]


@pytest.fixture(scope="session")
def wandering_noise():
    """Maker of noise (n_samples,) float64 whose level wanders: ``wandering_noise(n, seed)``."""
    return lambda n_samples, seed=0: _noise(n_samples, np.random.default_rng(seed))


@pytest.fixture(scope="session")
def random_encodec():
    """Maker of a float64 ``EncodecModel`` with random weights, filled codebooks, long memory.

    Keywords override fields of ``EncodecConfig``; the network is narrow unless they say otherwise.
    With ``started`` sound keeps its level on the way, as in a trained one; otherwise it fades.
    """
    from transformers import EncodecConfig, EncodecModel

    def make(started=False, **overrides):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = EncodecModel(EncodecConfig(**{"num_filters": 2, **overrides})).eval()
            n_samples = 2 * model.config.codebook_size * model.config.hop_length
            sound = torch.from_numpy(_noise(n_samples, np.random.default_rng(1)))
            sound = sound.expand(1, model.config.audio_channels, -1)
            if started:
                start_near_identity(model, sound[..., :48000].float(), "random")
        model.double()
        with torch.no_grad():
            for part in (model.encoder, model.decoder):
                _keep_memory(part)
        if model.config.normalize:
            sound = sound / sound.std()
        _fill_codebooks(model, sound, torch.Generator().manual_seed(2))
        return model

    return make
