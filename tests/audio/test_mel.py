"""The older path. Oracle: librosa, called directly."""

import librosa
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from giblet.audio.griffin_lim import griffin_lim
from giblet.audio.mel import (
    FLOOR_DB,
    MelSettings,
    average_trs,
    mel_spectrogram,
    mel_to_sound,
    repeat_in_trs,
)
from giblet.audio.metrics.distances import envelopes, lag_ms, stoi


@pytest.fixture(scope="module")
def mel(clear_speech):
    return mel_spectrogram(clear_speech[:72000], MelSettings())


@pytest.mark.parametrize("settings", [MelSettings(), MelSettings(16000, 80, 512, 160)])
def test_mel_is_librosas(clear_speech, settings):
    """Of sound that is longer than the blocks in which it is computed."""
    clear_speech = np.tile(clear_speech, 4)[:-77]
    power = librosa.feature.melspectrogram(
        y=clear_speech,
        sr=settings.sample_rate,
        n_fft=settings.n_fft,
        hop_length=settings.hop_length,
        n_mels=settings.n_mels,
    )
    expected = 10 * np.log10(np.maximum(power, 1e-10))
    mel = mel_spectrogram(clear_speech, settings)
    n_frames = len(clear_speech) // settings.hop_length
    assert mel.dtype == np.float32
    assert mel.shape == (settings.n_mels, n_frames)
    np.testing.assert_allclose(mel, expected[:, :n_frames], atol=1e-3)


def test_mel_of_pieces_is_that_of_the_whole(clear_speech):
    pieces = np.split(clear_speech, [1, 1000, 100000])
    whole = mel_spectrogram(clear_speech, MelSettings())
    np.testing.assert_array_equal(mel_spectrogram(iter(pieces), MelSettings()), whole)


def test_silence_is_the_floor_and_loud_sound_is_not_cut_from_above(clear_speech):
    settings = MelSettings()
    silence = mel_spectrogram(np.zeros(24000, dtype=np.float32), settings)
    assert silence.shape == (128, 93)
    np.testing.assert_allclose(silence, -100.0, atol=1e-4)
    half = np.concatenate([clear_speech[:24000], np.zeros(24000, dtype=np.float32)])
    mel = mel_spectrogram(half, settings)
    assert mel.min() == pytest.approx(-100.0)  # whatever the peak: 80 dB below it is not a floor
    assert mel.max() > 0.0


def test_louder_by_6_db_is_6_db_more(clear_speech):
    quiet, loud = (mel_spectrogram(g * clear_speech, MelSettings()) for g in (0.25, 0.5))
    heard = quiet > -90
    np.testing.assert_allclose((loud - quiet)[heard], 20 * np.log10(2), atol=1e-3)


def test_griffin_lim_keeps_speech(clear_speech, mel):
    sound = mel_to_sound(mel, MelSettings())
    assert sound.dtype == np.float32
    assert sound.shape == (mel.shape[1] * 256,)
    reference = clear_speech[: len(sound)]
    assert stoi(reference, sound, 24000, False) > 0.85
    level_db = 20 * np.log10(sound.std() / reference.std())
    assert abs(level_db) < 1.0
    pair_16k = [librosa.resample(s, orig_sr=24000, target_sr=16000) for s in (reference, sound)]
    assert abs(lag_ms(*map(envelopes, pair_16k))) <= 1.0


def test_griffin_lim_is_librosas_with_momentum(mel):
    settings = MelSettings(n_iter=4)
    filters = librosa.filters.mel(sr=24000, n_fft=1024, n_mels=128)
    power = np.linalg.lstsq(filters, 10 ** (mel[:, :50].astype(float) / 10), rcond=None)[0]
    magnitude = np.sqrt(np.clip(power, 0, None))

    def expected(momentum):
        return librosa.griffinlim(
            np.concatenate([magnitude, magnitude[:, -1:]], axis=1),
            n_iter=4,
            hop_length=256,
            momentum=momentum,
            length=50 * 256,
            random_state=3,
        )

    sound = mel_to_sound(mel[:, :50], settings, seed=3)
    np.testing.assert_allclose(sound, expected(0.99), atol=1e-4)
    assert np.abs(sound - expected(0.0)).max() > 1e-2


@pytest.mark.parametrize("block", [5, 256])  # frames: 12 are in three blocks, and in one
@pytest.mark.parametrize(("n_fft", "hop"), [(1024, 300), (700, 256), (512, 200)])
def test_griffin_lim_is_librosas_for_any_hop(n_fft, hop, block, monkeypatch):
    monkeypatch.setattr("giblet.audio.griffin_lim._BLOCK", block)
    magnitude = np.random.default_rng(0).random((1 + n_fft // 2, 12))
    magnitude[:, 4:7] = 0.0  # silence
    options = {"hop_length": hop, "n_fft": n_fft, "n_iter": 3, "momentum": 0.9}
    expected = librosa.griffinlim(magnitude, length=11 * hop, random_state=5, **options)
    sound = griffin_lim(magnitude, seed=5, **options)
    assert sound.dtype == np.float32
    np.testing.assert_allclose(sound, expected, atol=1e-4 * np.abs(expected).max())


def test_the_average_of_a_tr_is_its_mean_and_comes_back_in_every_frame(mel):
    mel_3d = mel[:, :280].reshape(128, 2, 140).swapaxes(0, 1)
    mel_2d = average_trs(mel_3d)
    assert mel_2d.shape == (2, 128)
    assert mel_2d.dtype == np.float32
    np.testing.assert_allclose(mel_2d[1], mel[:, 140:280].sum(axis=1) / 140, rtol=1e-4)
    held = repeat_in_trs(mel_2d, 140)
    assert held.shape == (2, 128, 140)
    np.testing.assert_array_equal(held[0, :, 139], mel_2d[0])
    np.testing.assert_allclose(average_trs(held), mel_2d, rtol=1e-5)


@pytest.mark.parametrize(
    ("mel", "error", "message"),
    [
        (np.zeros((2, 128)), ValueError, "n_trs, n_mels, frames_per_tr"),
        (np.zeros((0, 128, 140)), ValueError, "n_trs, n_mels, frames_per_tr"),
        (np.zeros((2, 8, 112), dtype=np.int32), TypeError, "labels"),
        (np.full((2, 128, 140), np.inf), ValueError, "infinite"),
    ],
)
def test_what_has_no_average_is_refused(mel, error, message):
    with pytest.raises(error, match=message):
        average_trs(mel)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("n_mels", 0, "n_mels must be at least 1, got 0"),
        ("sample_rate", -24000, "sample_rate must be at least 1"),
        ("n_fft", float("nan"), "n_fft must be at least 1"),
        ("hop_length", 2048, "hop_length 2048 is longer than the window, n_fft 1024"),
    ],
)
def test_settings_that_cannot_be_are_refused(field, value, message):
    with pytest.raises(ValueError, match=message):
        MelSettings(**{field: value})


def test_the_same_seed_gives_the_same_sound(mel):
    settings = MelSettings(n_iter=2)
    first, second, other = (mel_to_sound(mel[:, :50], settings, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 1e-4


def test_silence_stays_silent():
    sound = mel_to_sound(np.full((128, 50), FLOOR_DB, dtype=np.float32), MelSettings(n_iter=4))
    assert np.abs(sound).max() < 1e-3


@pytest.mark.parametrize(
    ("mel", "error", "message"),
    [
        (np.zeros((128, 50), dtype=np.int32), TypeError, "code indices are labels"),
        (np.zeros((80, 50)), ValueError, "128 bands"),
        (np.full((128, 50), np.nan), ValueError, "NaN"),
    ],
)
def test_what_is_no_mel_is_refused(mel, error, message):
    with pytest.raises(error, match=message):
        mel_to_sound(mel, MelSettings())


def test_what_is_no_sound_is_refused():
    with pytest.raises(TypeError, match="int16"):
        mel_spectrogram(np.zeros(24000, dtype=np.int16), MelSettings())


@pytest.mark.parametrize("make", [torch.from_numpy, xr.DataArray, pd.Series])
def test_arrays_of_other_libraries_are_one_sound(rng, make):
    sound = rng.standard_normal(3000)
    expected = mel_spectrogram(sound, MelSettings())
    np.testing.assert_array_equal(mel_spectrogram(make(sound), MelSettings()), expected)


@pytest.mark.parametrize("make", [np.array, torch.from_numpy, xr.DataArray, pd.DataFrame])
def test_channels_are_not_joined_as_if_one_followed_the_other(rng, make):
    with pytest.raises(ValueError, match="average its channels first"):
        mel_spectrogram(make(rng.standard_normal((2, 3000))), MelSettings())
