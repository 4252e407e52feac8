"""Models take arrays of NumPy as they take tensors; other things are named in one line."""

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

import giblet
from giblet.alignment.shapes import Shapes
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.config.sections import ModelConfig

FOLDER = Path(giblet.__file__).parent / "autoencoder" / "bundled"


@pytest.fixture(scope="module")
def model():
    return giblet.load(FOLDER / "encodec")


@pytest.fixture
def codes():
    return np.random.default_rng(0).integers(0, 1024, (3, 8, 112)).astype(np.int32)


def test_arrays_are_encoded_as_tensors_are(model, codes):
    expected = model.encode({"audio": torch.from_numpy(codes)})
    assert isinstance(expected, torch.Tensor)
    for film in (codes, {"audio": codes}, codes.astype(np.int64), xr.DataArray(codes)):
        bottleneck = model.encode(film)
        assert isinstance(bottleneck, np.ndarray)
        np.testing.assert_array_equal(bottleneck, expected.numpy())
    torch.testing.assert_close(model.encode(torch.from_numpy(codes)), expected)
    again = model.decode_audio(bottleneck)
    assert isinstance(again, np.ndarray)
    np.testing.assert_array_equal(again, model.decode_audio(expected).numpy())
    np.testing.assert_array_equal(again, model.decode_audio(bottleneck.astype(float)))


def test_mel_is_encoded_too():
    mel = np.full((2, 128, 140), -30.0)
    bottleneck = giblet.load(FOLDER / "mel").encode(mel)
    assert bottleneck.dtype == np.float32
    assert len(bottleneck) == 2


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda codes: codes[0], ValueError, r"audio must be \(n_trs, 8, 112\) int32 codes, not"),
        (lambda codes: codes * 1.0, ValueError, r"int32 codes, not \(3, 8, 112\) float64"),
        (lambda codes: codes + 1024, ValueError, "codes must be 0 to 1023"),
        (lambda codes: codes.tolist(), TypeError, r"encode takes an array of audio .* not list"),
        (lambda codes: {"sound": codes}, TypeError, "there is sound instead"),
        (lambda codes: {"sound": torch.from_numpy(codes)}, TypeError, "there is sound instead"),
        (lambda _codes: {}, TypeError, "there is nothing instead"),
        (lambda codes: {"audio": codes.tolist()}, TypeError, "audio must be an array, not list"),
        (lambda codes: codes - 2, ValueError, "codes must be 0 to 1023"),
    ],
)
def test_what_cannot_be_encoded(model, codes, change, error, said):
    with pytest.raises(error, match=said):
        model.encode(change(codes))


def film_model():
    """Untrained: of mel, pictures and words."""
    shapes = Shapes(False, 4, 14, video=(1, 16, 24), n_text=6)
    config = ModelConfig(
        bottleneck_dim=2 * 128, slot_frames=7, audio_dim=16, video_dim=8, text_dim=8
    )
    return Autoencoder(shapes, config).eval().requires_grad_(False)


def whole_film():
    rng = np.random.default_rng(1)
    return {
        "audio": rng.normal(-30, 5, (5, 4, 14)),
        "video": rng.integers(0, 256, (5, 1, 16, 24, 3)).astype(np.uint8),
        "text": rng.standard_normal((5, 6)),
    }


def test_pictures_and_words_are_encoded_as_tensors_are():
    film, model = whole_film(), film_model()
    kept = {"video": torch.uint8, "audio": torch.float32, "text": torch.float32}
    expected = model.encode({n: torch.tensor(v, dtype=kept[n]) for n, v in film.items()}).numpy()
    np.testing.assert_array_equal(model.encode(film), expected)
    arrays = {name: xr.DataArray(values) for name, values in film.items()}
    np.testing.assert_array_equal(model.encode(arrays), expected)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "video",
            lambda v: v / 255,
            r"video must be \(n_trs, 1, 16, 24, 3\) uint8, not .* float64",
        ),
        ("video", lambda v: v[..., 0], "video must be"),
        ("text", lambda v: v * np.nan, "text has 30 NaN or infinite values"),
        ("text", lambda v: v[:1], "of the same TRs, not of audio 5, video 5, text 1"),
        ("audio", lambda v: v + np.inf, "audio has 280 NaN or infinite values"),
    ],
)
def test_films_that_cannot_be_encoded(name, change, message):
    film = whole_film()
    with pytest.raises(ValueError, match=message):
        film_model().encode(film | {name: change(film[name])})


def test_a_misspelt_modality_is_not_left_out():
    film = whole_film()
    film["vidoe"] = film.pop("video")
    with pytest.raises(TypeError, match="no modality vidoe; did you mean video"):
        film_model().encode(film)


def test_frames_that_are_not_there(model, codes):
    """Native framing marks them by -1 in codes, and NaN in mel."""
    codes[:, :, -1] = -1
    expected = model.encode(torch.from_numpy(codes)).numpy()
    np.testing.assert_array_equal(model.encode(codes), expected)
    film = whole_film()
    film["audio"][:, :, -1] = np.nan
    assert np.isfinite(film_model().encode(film)).all()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_no_sound_is_made_of_nan(model, wrong):
    bottleneck = np.zeros((3, 2048))
    bottleneck[1, 7] = wrong
    with pytest.raises(ValueError, match="NaN or infinite values in 1 of 3 TRs"):
        model.decode_audio(bottleneck)


@pytest.mark.parametrize(
    ("bottleneck", "error"), [(np.zeros((2, 9)), ValueError), ([[0.0]], TypeError)]
)
def test_what_cannot_be_decoded(model, bottleneck, error):
    with pytest.raises(error, match=r"\(n_trs, 2048\) float32"):
        model.decode_audio(bottleneck)


def test_reprs_are_one_line(model):
    assert "\n" not in repr(model)
    assert repr(model).startswith("Autoencoder(encodec 8×112 a TR; audio")
    assert repr(giblet.AudioProcessor(use_encodec=False)) == (
        "AudioProcessor(mel: 128 × 140 in a TR of 1.5 s; 24000 Hz)"
    )


def test_a_codec_is_read_without_a_bar(capsys):
    """What a user has set holds again afterwards."""
    from transformers.utils import logging

    logging.enable_progress_bar()
    giblet.AudioProcessor(bandwidth_kbps=1.5)
    assert logging.is_progress_bar_enabled()
    assert "Loading" not in capsys.readouterr().err
