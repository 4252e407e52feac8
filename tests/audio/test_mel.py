"""The older path. Oracle: librosa, called directly."""

import librosa
import numpy as np
import pytest

from giblet.audio.distances import envelope_lag_ms, stoi
from giblet.audio.mel import FLOOR_DB, MelSettings, mel_spectrogram, mel_to_sound


@pytest.fixture(scope="module")
def mel(clear_speech):
    return mel_spectrogram(clear_speech[:72000], MelSettings())


@pytest.mark.parametrize("settings", [MelSettings(), MelSettings(16000, 80, 512, 160)])
def test_mel_is_librosas(clear_speech, settings):
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
    assert abs(envelope_lag_ms(*pair_16k)) <= 1.0


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
