"""The score as a modality: its networks, and a model that learns it beside sound and saves it."""

import numpy as np
import pytest
import torch
import xarray as xr
from factories import slot_model

from giblet.alignment.aligned import align, film_data, film_shapes
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.inference import bottlenecks
from giblet.autoencoder.training import fit
from giblet.config.sections import SplitConfig, TrainingConfig
from giblet.film.networks import ScoreDecoder, ScoreEncoder
from giblet.music.notes import Notes
from giblet.music.score_features import Listening
from giblet.music.score_trs import score_on_trs

T_R, N_TRS = 2.0, 60
BRIEF = TrainingConfig(max_epochs=6, window_trs=12, learning_rate=1e-2, frames_per_step=4)


def test_networks_keep_the_shape_of_the_roll():
    roll = torch.zeros(3, 16, 10, dtype=torch.uint8)
    roll[1, 2, 3] = 1
    code = ScoreEncoder(16, 10, out_dim=7)(roll)
    assert code.shape == (3, 7)
    torch.testing.assert_close(code[0], code[2])
    assert not torch.allclose(code[0], code[1], atol=1e-3)
    decoder = ScoreDecoder(7, 16, 10, dim=5)
    assert decoder(code).shape == roll.shape


def test_the_decoder_begins_with_the_mean_of_each_row():
    decoder, mean = ScoreDecoder(7, 4, 3), torch.tensor([0.25, 0.5, 0.0])
    decoder.start_at(mean)
    begun = decoder(torch.randn(50, 7, generator=torch.Generator().manual_seed(0))).mean(0)
    assert begun.shape == (4, 3)
    torch.testing.assert_close(begun, mean.expand(4, 3), atol=0.01, rtol=0)


@pytest.fixture
def aligned(rng):
    """Codes and score go together: one of four chords in each TR."""
    state = rng.integers(0, 4, N_TRS)
    codes = (4 * state[:, None, None] + rng.integers(0, 2, (N_TRS, 2, 8))).astype(np.int32)
    attrs = {"encoding_mode": "encodec", "codebook_size": 16, "t_r": T_R}
    audio = xr.Dataset({"audio": (("tr", "row", "frame"), codes)}, attrs=attrs)
    onset, pitch = np.arange(N_TRS) * T_R, 50 + 5 * state
    notes = Notes(onset, np.full(N_TRS, 1.5), pitch, np.full(N_TRS, 80))
    words = rng.standard_normal((N_TRS, 6)).astype(np.float32)
    text = xr.Dataset({"text": (("tr", "feature"), words)}, attrs={"warnings": "[]"})
    score = score_on_trs(Listening(notes), T_R, N_TRS)
    return align([audio, text, score], None, [], T_R, SplitConfig())


@pytest.mark.slow
def test_a_model_learns_the_score_and_decodes_it_from_the_bottleneck(aligned, tmp_path):
    data, shapes = film_data(aligned), film_shapes(aligned, "spm", codebook_dim=4)
    assert list(data.film) == ["audio", "text", "score"]
    assert shapes.of("score") == (16, 256)
    books = torch.randn(2, 16, 4, generator=torch.Generator().manual_seed(0))
    trained = fit(data, shapes, slot_model(), BRIEF, 0, tmp_path, codebooks=books)
    losses = trained.history["validation/score"]
    assert losses.iloc[-1] < 0.9 * losses.iloc[0]
    trained.autoencoder.save_pretrained(tmp_path / "model")
    again = Autoencoder.from_pretrained(tmp_path / "model")
    roll = again.decoders["score"](torch.from_numpy(bottlenecks(again, data))).detach().numpy()
    true = aligned["score"].values.astype(bool)
    assert roll[true].mean() > 5 * roll[~true].mean()
