"""Mel at a bitrate. Oracle: real bytes, and half a step."""

import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from giblet.audio import AudioProcessor
from giblet.audio.mel import mel_spectrogram, mel_to_sound
from giblet.audio.metrics.distances import envelopes, lag_ms, stoi
from giblet.audio.quantized_mel import (
    QuantizerSettings,
    dequantize_mel,
    matched_settings,
    pack_levels,
    quantize_mel,
    unpack_levels,
)

KBPS = [1.5, 3.0, 6.0, 12.0, 24.0]


@pytest.mark.parametrize("sample_rate", [16000, 24000, 48000])
@pytest.mark.parametrize("kbps", [*KBPS, 2.2, 9.7])
def test_what_is_stored_of_real_sound_fits_the_budget(clear_speech, kbps, sample_rate):
    mel, quantizer = matched_settings(kbps, sample_rate)
    sound = librosa.resample(clear_speech, orig_sr=24000, target_sr=sample_rate)
    levels = quantize_mel(mel_spectrogram(sound, mel), quantizer)
    n_bits = 8 * len(pack_levels(levels, quantizer.n_bits))
    assert 0.9 * kbps * 1000 * 6 < n_bits <= kbps * 1000 * 6 + 7  # 6 s; the last byte is whole
    np.testing.assert_array_equal(
        unpack_levels(pack_levels(levels, quantizer.n_bits), quantizer.n_bits, levels.shape), levels
    )


@given(
    st.integers(1, 8).flatmap(
        lambda n_bits: st.tuples(
            st.just(n_bits),
            arrays(np.uint8, array_shapes(), elements=st.integers(0, 2**n_bits - 1)),
        )
    )
)
def test_packing_loses_nothing_and_wastes_less_than_a_byte(case):
    n_bits, levels = case
    packed = pack_levels(levels, n_bits)
    assert 0 <= 8 * len(packed) - n_bits * levels.size < 8
    np.testing.assert_array_equal(unpack_levels(packed, n_bits, levels.shape), levels)


@settings(max_examples=50)
@given(
    arrays(np.float32, array_shapes(), elements=st.floats(-120, 80, width=32)), st.integers(1, 8)
)
def test_within_the_range_the_error_is_at_most_half_a_step(mel, n_bits):
    quantizer = QuantizerSettings(n_bits, -60.0, 40.0)
    levels = quantize_mel(mel, quantizer)
    assert levels.dtype == np.uint8
    assert levels.max() < 2**n_bits
    back = dequantize_mel(levels, quantizer)
    assert back.dtype == np.float32
    assert back.shape == mel.shape
    np.testing.assert_allclose(
        back, np.clip(mel, -60, 40), rtol=0, atol=100 / (2**n_bits - 1) / 2 + 1e-4
    )


def test_levels_are_fixed_points():
    quantizer = QuantizerSettings(5)
    levels = np.arange(32, dtype=np.uint8)
    values = dequantize_mel(levels, quantizer)
    assert (values[0], values[-1]) == (quantizer.low_db, quantizer.high_db)
    np.testing.assert_array_equal(quantize_mel(values, quantizer), levels)


def test_finer_levels_sound_more_like_the_mel_they_came_from(clear_speech):
    mel, _ = matched_settings(24.0)
    exact = mel_spectrogram(clear_speech[:72000], mel)

    def heard(decibels):
        sound = mel_to_sound(decibels, mel)
        return stoi(clear_speech[: len(sound)], sound, 24000, False)

    coarse, fine = (
        heard(dequantize_mel(quantize_mel(exact, q), q))
        for q in (QuantizerSettings(1), QuantizerSettings(8, -100.0, 50.0))
    )
    assert abs(heard(exact) - fine) < 0.02
    assert coarse < fine - 0.1


@pytest.mark.parametrize("t_r", [1.49, 2.0])
def test_matched_mel_stays_in_its_tr(clear_speech, tmp_path, t_r):
    soundfile.write(tmp_path / "speech.wav", clear_speech, 24000, subtype="FLOAT")
    mel, quantizer = matched_settings(6.0)
    audio = AudioProcessor(use_encodec=False, mel=mel, t_r=t_r)
    features, metadata = audio.audio_to_features(tmp_path / "speech.wav")
    levels = quantize_mel(features, quantizer)
    seconds = metadata["end_time"].iloc[-1]
    assert 8 * len(pack_levels(levels, quantizer.n_bits)) <= 6000 * seconds + 7
    sound = audio.features_to_audio(dequantize_mel(levels, quantizer), attrs=audio.facts())
    assert len(sound) == round(seconds * 24000)
    pair = [
        librosa.resample(s, orig_sr=24000, target_sr=16000)
        for s in (clear_speech[: len(sound)], sound)
    ]
    assert abs(lag_ms(*map(envelopes, pair))) <= 5


@pytest.mark.parametrize(
    ("mel", "error", "message"),
    [
        (np.zeros((8, 5), dtype=np.int32), TypeError, "labels"),
        (np.full((8, 5), np.nan), ValueError, "NaN"),
        (np.full((8, 5), np.inf), ValueError, "infinite"),
        (np.zeros((8, 0)), ValueError, "no values"),
    ],
)
def test_what_is_no_mel_is_not_quantised(mel, error, message):
    with pytest.raises(error, match=message):
        quantize_mel(mel, QuantizerSettings())


@pytest.mark.parametrize(
    ("levels", "error", "message"),
    [
        (np.zeros((8, 5), dtype=np.int32), TypeError, "EnCodec codes go to the codec"),
        (np.zeros((8, 5)), TypeError, "quantize_mel"),
        (np.full((8, 5), 8, dtype=np.uint8), ValueError, r"\[0, 7\], got up to 8"),
        (np.full((8, 5), 256, dtype=np.uint16), ValueError, "got up to 256"),
    ],
)
def test_what_are_no_levels_is_refused(levels, error, message):
    for use in (lambda x: dequantize_mel(x, QuantizerSettings(3)), lambda x: pack_levels(x, 3)):
        with pytest.raises(error, match=message):
            use(levels)


def test_bytes_of_another_length_are_refused():
    with pytest.raises(ValueError, match="take 15 bytes, not 14"):
        unpack_levels(b"\0" * 14, 3, (8, 5))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "n_bits"),
        ((9,), "n_bits"),
        ((3, 40.0, -30.0), "low_db must be below"),
        ((3, np.nan, 40.0), "low_db must be below"),
    ],
)
def test_a_quantiser_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        QuantizerSettings(*arguments)


@pytest.mark.parametrize("kbps", [0.0, -6.0, np.nan, np.inf, 0.1, 500.0])
def test_a_bitrate_that_cannot_be_matched_is_refused(kbps):
    with pytest.raises(ValueError, match=r"kbps must be .* to "):
        matched_settings(kbps)
