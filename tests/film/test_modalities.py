"""A modality is one entry: a fourth one is aligned, blurred, learned, saved and decoded."""

import numpy as np
import pytest
import torch
import xarray as xr
from factories import slot_model
from torch import nn

from giblet.alignment.aligned import align, film_data, film_shapes
from giblet.alignment.hrf import convolve_hrf
from giblet.alignment.regressors import film_regressors
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.inference import bottlenecks
from giblet.autoencoder.training import fit
from giblet.config.sections import SplitConfig, TrainingConfig
from giblet.film.modalities import MODALITIES, Modality
from giblet.timing import frames_rate_hz

T_R, N_TRS = 2.0, 60
BRIEF = TrainingConfig(max_epochs=6, window_trs=12, learning_rate=1e-2, frames_per_step=4)


class PulseEncoder(nn.Module):
    def __init__(self, n_channels, width):
        super().__init__()
        self.layer = nn.Linear(n_channels, width)

    def forward(self, pulse):
        return self.layer(pulse)


class PulseDecoder(nn.Module):
    def __init__(self, bottleneck_dim, n_channels):
        super().__init__()
        self.layer = nn.Linear(bottleneck_dim, n_channels)

    @torch.no_grad()
    def start_at(self, mean):
        self.layer.bias.copy_(mean)

    def forward(self, bottleneck):
        return self.layer(bottleneck)


PULSE = Modality(
    name="pulse",
    label="pulse",
    dims=("channel",),
    regressors=lambda film, t_r, _: (film["pulse"].values, frames_rate_hz(1, t_r)),
    encoder=lambda shape, width: PulseEncoder(*shape, width),
    decoder=lambda bottleneck_dim, shape: PulseDecoder(bottleneck_dim, *shape),
    scale=10.0,
    width=4,
    slot_width=2,
    weight=1.0,
)


@pytest.fixture
def film(monkeypatch, rng):
    """Array sets of codes, text and the new modality, by TR; sound and pulse go together."""
    monkeypatch.setitem(MODALITIES, PULSE.name, PULSE)
    state = rng.integers(0, 4, N_TRS)
    codes = (4 * state[:, None, None] + rng.integers(0, 2, (N_TRS, 2, 8))).astype(np.int32)
    attrs = {"encoding_mode": "encodec", "codebook_size": 16, "t_r": T_R}
    audio = xr.Dataset({"audio": (("tr", "row", "frame"), codes)}, attrs=attrs)
    words = rng.standard_normal((N_TRS, 6)).astype(np.float32)
    text = xr.Dataset({"text": (("tr", "feature"), words)}, attrs={"warnings": "[]"})
    pulse = 10.0 * np.stack([state, -state, state**2], axis=1).astype(np.float32)
    return [audio, text, xr.Dataset({"pulse": (("tr", "channel"), pulse)})]


@pytest.fixture
def aligned(film):
    return align(film, None, [], T_R, SplitConfig())


def test_it_is_aligned_like_the_others(aligned, film):
    np.testing.assert_array_equal(aligned["pulse"], film[2]["pulse"])
    data, shapes = film_data(aligned), film_shapes(aligned, "spm", codebook_dim=4)
    assert list(data.film) == ["audio", "text", "pulse"]
    assert shapes.of("pulse") == (3,)
    assert shapes.of("video") is None


def test_its_regressors_are_blurred(film):
    times = np.arange(N_TRS) * T_R + 0.5
    scans = xr.Dataset(
        coords={
            "subject": ("volume", np.repeat("sub-01", N_TRS)),
            "run": ("volume", np.repeat("1", N_TRS)),
            "film_time": ("volume", times),
            "in_film": ("volume", np.ones(N_TRS, dtype=bool)),
        }
    )
    blurred = film_regressors(film[2], scans, T_R, "spm")["regressors"]
    expected = convolve_hrf(film[2]["pulse"].values, 1 / T_R, times, "spm", width=T_R)
    np.testing.assert_allclose(blurred, expected, rtol=1e-6)


@pytest.fixture
def trained(aligned, tmp_path):
    data, shapes = film_data(aligned), film_shapes(aligned, "spm", codebook_dim=4)
    books = torch.randn(2, 16, 4, generator=torch.Generator().manual_seed(0))
    return fit(data, shapes, slot_model(), BRIEF, 0, tmp_path, codebooks=books), data


def test_it_is_learned_saved_and_decoded(trained, tmp_path):
    trained, data = trained
    losses = trained.history["validation/pulse"]
    assert trained.baselines["pulse"] == pytest.approx(
        float((data.film["pulse"][data.where("train")] / 10).var(dim=0, unbiased=False).mean()),
        rel=1e-5,
    )
    assert losses.iloc[-1] < 0.9 * losses.iloc[0]
    trained.autoencoder.save_pretrained(tmp_path / "model")
    again = Autoencoder.from_pretrained(tmp_path / "model")
    codes = bottlenecks(again, data)
    np.testing.assert_array_equal(codes, bottlenecks(trained.autoencoder, data))
    decoded = again.decoders["pulse"](torch.from_numpy(codes)) * PULSE.scale
    error = (decoded - data.film["pulse"]).square().mean()
    assert error < 0.9 * data.film["pulse"].var(dim=0).mean()


def test_the_other_bands_keep_their_place(trained):
    """Its features of a slot come after the others': bundled sound models still fit."""
    trained, _data = trained
    bands = trained.autoencoder.join.bands
    assert bands == {"audio": 6, "video": 1, "text": 1, "pulse": 2}


def test_the_bundled_sound_model_still_fits(film):
    from giblet.alignment.shapes import Shapes
    from giblet.autoencoder.warm_start import BUNDLED, take_audio
    from giblet.config.sections import ModelConfig

    trained = Autoencoder.from_pretrained(BUNDLED / "mel")
    sizes = {**trained.shapes.to_dict(), "others": (("pulse", (3,)),)}
    model = Autoencoder(Shapes.from_dict(sizes), ModelConfig())
    take_audio(model, trained)
    audio = torch.full((2, *trained.shapes.of("audio")), -40.0)
    with torch.no_grad():
        pulse = torch.ones(2, 3)
        decoded = model.eval().decode_audio(model.encode({"audio": audio, "pulse": pulse}))
        expected = trained.decode_audio(trained.encode({"audio": audio}))
    torch.testing.assert_close(decoded, expected)
