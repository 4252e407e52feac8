"""Codes in single precision differ from those of double as little as transformers' own do."""

import numpy as np
import pytest
import torch
from transformers import EncodecConfig, EncodecModel

from giblet.audio.codecs.encodec import Encodec
from giblet.audio.codecs.encodec_streaming import stream
from giblet.audio.files import read_sound
from giblet.codec_training.encodec import start_near_identity

RATE, SECONDS, KBPS = 24000, 20, 6.0


@pytest.fixture(scope="module")
def film_speech(shared):
    """20 s of speech of a film, (n_samples,) without its quiet seconds: silence is one long tie."""
    files = sorted((shared / "audio" / "film").glob("speech*.flac"))
    sound = np.concatenate([read_sound(file, RATE) for file in files])
    seconds = sound[: len(sound) // RATE * RATE].reshape(-1, RATE)
    return seconds[seconds.std(axis=1) > 0.01][:SECONDS].ravel()


@torch.no_grad()
def official_model(sound, forget_bias):
    """The official configuration with random weights; codewords are residuals of ``sound``."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = EncodecModel(EncodecConfig()).eval()
        start_near_identity(model, sound[..., : 2 * RATE])  # otherwise all sound fades
    for name, bias in model.named_parameters():
        if "lstm.bias_ih" in name:
            n = len(bias) // 4
            bias[n : 2 * n] += forget_bias
    picks, residual = torch.Generator().manual_seed(1), model.encoder(sound)
    for layer in model.quantizer.layers[:8]:
        picked = torch.randint(residual.shape[-1], (2, 1024), generator=picks)
        words = 0.8 * residual[0, :, picked[0]] + 0.2 * residual[0, :, picked[1]]
        layer.codebook.embed.copy_(words.T)
        residual = residual - layer.decode(layer.encode(residual))
    return model


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("forget_bias", [0.0, 1.0])
def test_codes_differ_from_double_precision_no_more_than_transformers_own(film_speech, forget_bias):
    sound = torch.from_numpy(film_speech)[None, None]
    model = official_model(sound, forget_bias)
    codec = Encodec(model, "official", "0", KBPS)
    codes = {"giblet": codec.encode(film_speech)}
    codes["transformers"] = model.encode(sound, bandwidth=KBPS).audio_codes[0, 0].numpy()
    latents = {"giblet": torch.cat([*stream(model.encoder.layers, sound[0].T.split(RATE))])}
    latents["transformers"] = model.encoder(sound)[0].T
    exact = model.double().encoder(sound.double())
    exact_codes = model.quantizer.encode(exact, KBPS)[:, 0].numpy()
    assert np.unique(exact_codes[0]).size > 300
    error = {way: float((found - exact[0].T).norm()) for way, found in latents.items()}
    assert 0 < error["giblet"] <= 1.2 * error["transformers"]
    n = {way: (found != exact_codes).sum() for way, found in codes.items()}
    assert n["giblet"] <= 1.2 * n["transformers"] + 3 * (1 + n["transformers"]) ** 0.5  # by chance
