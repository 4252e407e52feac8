"""What features are told to be, and whose they are. Oracle: what AudioProcessor really stores."""

import numpy as np
import pytest
import xarray as xr

from giblet.audio import AudioProcessor
from giblet.audio.formats import check_stored, detect_format, unpack
from giblet.audio.mel import average_trs
from giblet.errors import GibletError
from giblet.io.arrays import load_arrays, save_arrays

MEL = {"encoding_mode": "mel"}
CODES = {"encoding_mode": "encodec"}


@pytest.fixture(scope="module")
def encodec():
    return AudioProcessor(t_r=1.5)


@pytest.fixture(scope="module")
def mel():
    return AudioProcessor(use_encodec=False, t_r=1.5)


@pytest.fixture(scope="module")
def speech_file(tmp_path_factory, clear_speech):
    import soundfile

    path = tmp_path_factory.mktemp("sounds") / "speech.wav"
    soundfile.write(path, clear_speech[: 2 * 36000], 24000, subtype="FLOAT")
    return path


@pytest.fixture(scope="module")
def codes(encodec, speech_file):
    return encodec.audio_to_features(speech_file)[0]


@pytest.fixture(scope="module")
def decibels(mel, speech_file):
    return mel.audio_to_features(speech_file)[0]


def stored(features, attrs, path):
    """``features`` as a verb stores them: written to a file, and read again."""
    save_arrays(xr.Dataset({"audio": (("tr", "row", "frame"), features)}, attrs=attrs), path)
    return load_arrays(path)


def test_real_features_are_told_apart_with_and_without_facts(encodec, mel, codes, decibels):
    average = average_trs(decibels)
    for features, facts, name in [
        (codes, encodec.facts(), "encodec"),
        (decibels, mel.facts(), "mel_3d"),
        (average, mel.facts(), "mel_2d"),
    ]:
        assert detect_format(features) == name
        assert detect_format(features, facts) == name
        assert detect_format(features, {"units": facts["units"]}) == name
        assert detect_format(features.tolist() if name == "encodec" else features) == name


@pytest.mark.parametrize(
    ("features", "attrs", "name"),
    [
        (np.zeros((2, 112, 128)), MEL, "mel_3d"),
        (np.zeros((2, 2048)), MEL, "mel_2d"),
        (np.zeros((2, 2048)), {"encoding_mode": "mel_2d"}, "mel_2d"),
        (np.zeros((2, 8, 112), dtype=np.uint16), CODES, "encodec"),
    ],
)
def test_facts_settle_what_shape_leaves_open(features, attrs, name):
    assert detect_format(features, attrs) == name
    with pytest.raises((TypeError, ValueError)):
        detect_format(features + np.asarray(0.5, features.dtype))


@pytest.mark.parametrize(
    ("features", "error", "message"),
    [
        (np.full((2, 112, 128), 0.5), ValueError, "may be codec latents"),
        (np.full((2, 75, 1024), 0.5), ValueError, "may be codec latents"),
        (np.full((2, 19, 512), 0.5), ValueError, "may be codec latents"),  # Mimi's
        (np.full((20, 1024), 0.5), ValueError, "embeddings, a bottleneck, BOLD or a mel stream"),
        (np.full((128, 9375), 0.5), ValueError, "mel stream"),
        (np.full((2, 8, 112), 7.0), TypeError, "whole numbers may be codes"),
        (np.zeros((2, 8, 112), dtype=np.uint8), TypeError, "codes or quantised mel"),
        (np.zeros((2, 8, 112), dtype=bool), TypeError, "got bool"),
        (np.zeros((2, 8, 112), dtype=complex), TypeError, "got complex128"),
        (np.array([["a"]]), TypeError, "got <U1"),
        (np.zeros((8, 9000), dtype=np.int32), ValueError, r"frames_per_tr\), got \(8, 9000\)"),
        (np.zeros((1, 2, 8, 112), dtype=np.int32), ValueError, "frames_per_tr"),
        (np.full((2, 90, 160, 3), 0.5), ValueError, "or the TRs' average"),
        (np.zeros(5) + 0.5, ValueError, "or the TRs' average"),
        (np.zeros((0, 128, 140)), ValueError, "frames_per_tr"),
        (np.full((2, 128, 140), np.nan), ValueError, "NaN"),
        (np.full((2, 128), -np.inf), ValueError, "infinite"),
        (np.full((2, 8, 112), -2, dtype=np.int32), ValueError, "codes must lie"),
    ],
)
def test_what_is_ambiguous_or_nothing_is_refused(features, error, message):
    with pytest.raises(error, match=message):
        detect_format(features)


@pytest.mark.parametrize(
    ("features", "attrs", "error", "message"),
    [
        (np.zeros((2, 8, 112)), CODES, TypeError, "a code is a label"),
        (np.zeros((2, 128, 140), dtype=np.int32), MEL, TypeError, "labels"),
        (np.zeros((2, 128, 140)), {"encoding_mode": "mel_2d"}, ValueError, "must have shape"),
        (np.zeros((2, 128, 140)), {"encoding_mode": "wavenet"}, ValueError, "'wavenet' is none of"),
    ],
)
def test_features_that_are_not_what_their_facts_say_are_refused(features, attrs, error, message):
    with pytest.raises(error, match=message):
        detect_format(features, attrs)


def test_stored_features_decode_as_the_array_does(encodec, codes, tmp_path):
    arrays = stored(codes, encodec.facts(), tmp_path / "codes.nc")
    expected = encodec.features_to_audio(codes)
    assert np.abs(expected).max() > 0.05
    for features in (arrays, arrays["audio"].assign_attrs(arrays.attrs)):
        np.testing.assert_array_equal(encodec.features_to_audio(features), expected)
    sound = encodec.features_to_audio(codes, attrs=encodec.facts())
    np.testing.assert_array_equal(sound, expected)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"t_r": 2.0}, r"t_r 2.0 \(this AudioProcessor: 1.5\): make an AudioProcessor like"),
        ({"framing": "native"}, r"framing native \(this AudioProcessor: tr_synchronous\)"),
        ({"codec_revision": "ffff"}, r"codec_revision ffff of bundled \(this AudioProcessor: "),
        ({"bandwidth_kbps": 12.0}, r"bandwidth_kbps 12.0 \(this AudioProcessor: 6.0\)"),
        ({"format_version": 2}, r"format_version 2 \(this AudioProcessor: 1\)"),
        ({"sample_rate": 48000, "t_r": 2.0}, r"sample_rate 48000 .*, t_r 2.0 "),
        ({"codebook_size": 2048}, "codebook_size 2048"),
    ],
)
def test_codes_of_something_else_are_refused_with_the_reason(
    encodec, codes, tmp_path, changed, message
):
    arrays = stored(codes, encodec.facts() | changed, tmp_path / "codes.nc")
    with pytest.raises(GibletError, match=message) as refused:
        encodec.features_to_audio(arrays, tmp_path / "sound.wav")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "sound.wav").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"n_fft": 2048}, r"n_fft 2048 \(this AudioProcessor: 1024\)"),
        ({"n_mels": 80}, "n_mels 80"),
        ({"frame_rate": 46.875}, "frame_rate 46.875"),
        ({"t_r": 2.0}, "t_r 2.0"),
    ],
)
def test_mel_of_other_settings_is_refused_with_the_reason(mel, decibels, changed, message):
    with pytest.raises(GibletError, match=message):
        mel.features_to_audio(decibels, attrs=mel.facts() | changed)


def test_the_other_path_is_named_alone(encodec, mel, decibels, codes):
    reason = r"stored with encoding_mode mel \(this AudioProcessor: encodec\): make"
    with pytest.raises(GibletError, match=reason):
        encodec.features_to_audio(decibels, attrs=mel.facts())
    reason = r"stored with encoding_mode encodec \(this AudioProcessor: mel\): make"
    with pytest.raises(GibletError, match=reason):
        mel.features_to_audio(codes, attrs=encodec.facts())


def test_another_codec_without_a_revision_is_refused(encodec, codes):
    with pytest.raises(GibletError, match=r"codec facebook/encodec_24khz \(this"):
        encodec.features_to_audio(codes, attrs={"codec": "facebook/encodec_24khz"})


def test_the_same_weights_under_another_name_are_the_same_codec(encodec):
    check_stored(encodec.facts() | {"codec": "a/folder"}, encodec.facts())


def test_a_narrower_bandwidth_of_the_same_codec_decodes_as_that_bandwidth(encodec, codes):
    narrow = AudioProcessor(t_r=1.5, bandwidth_kbps=3.0)
    sound = encodec.features_to_audio(codes[:, :4], attrs=narrow.facts())
    np.testing.assert_array_equal(sound, narrow.features_to_audio(codes[:, :4]))
    assert np.abs(sound - encodec.features_to_audio(codes)).max() > 0.01
    with pytest.raises(ValueError, match="8"):  # without facts they could be anyone's
        encodec.features_to_audio(codes[:, :4])
    with pytest.raises(GibletError, match=r"bandwidth_kbps 6.0 \(this AudioProcessor: 3.0\)"):
        narrow.features_to_audio(codes, attrs=encodec.facts())
    with pytest.raises(ValueError, match=r"\(2, 16, 112\)"):
        encodec.features_to_audio(np.repeat(codes, 2, axis=1), attrs=encodec.facts())


def test_an_array_set_without_sound_is_refused(encodec):
    with pytest.raises(ValueError, match="no audio, only video"):
        unpack(xr.Dataset({"video": ("tr", np.zeros(2))}))
