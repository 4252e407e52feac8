"""AudioProcessor: a film's sound to features per TR and back, by codec and by mel."""

import subprocess
import sys
from dataclasses import dataclass

import librosa
import numpy as np
import pytest
import soundfile
import torch

from giblet.audio import AudioProcessor
from giblet.audio.codecs.codec import load_codec
from giblet.audio.files import read_sound
from giblet.audio.mel import MelSettings, average_trs, mel_to_sound
from giblet.audio.metrics.distances import envelopes, lag_ms, stoi
from giblet.config.config import Config
from giblet.demo import film_path
from giblet.errors import GibletError
from giblet.timing import TrClock

COLUMNS = ["tr_index", "start_time", "end_time", "n_frames", "encoding_mode"]


@pytest.fixture(scope="module")
def speech_file(tmp_path_factory, clear_speech):
    """5 s of one voice in a wav file: 3 TRs of 1.5 s and a rest."""
    path = tmp_path_factory.mktemp("sounds") / "speech.wav"
    soundfile.write(path, clear_speech[: 5 * 24000], 24000, subtype="FLOAT")
    return path


@pytest.fixture(scope="module")
def codes(speech_file):
    return AudioProcessor(t_r=1.5).audio_to_features(speech_file)[0]


@pytest.fixture(scope="module")
def mel(speech_file):
    return AudioProcessor(use_encodec=False, t_r=1.5).audio_to_features(speech_file)[0]


@dataclass(frozen=True)
class SampleCodec:
    """A codec that loses nothing: codebook ``j`` holds sample ``j`` of each frame, in 16 bits."""

    name: str = "samples"
    revision: str = "0"
    sample_rate: int = 1200
    frame_rate: float = 75.0
    hop_length: int = 16
    n_codebooks: int = 16
    codebook_size: int = 2**16
    codebook_dim: int = 1

    def encode(self, waveform):
        waveform = np.concatenate(list(waveform))  # blocks
        padded = np.pad(waveform, (0, -len(waveform) % self.hop_length))
        return np.rint(padded.reshape(-1, self.hop_length).T * 32767 + 32768).astype(np.int32)

    def decode(self, codes):
        return ((codes.T.ravel() - 32768) / 32767).astype(np.float32)


def clicks(duration, rate, times):
    """Raised-cosine clicks of 8 ms about ``times`` s, (n_samples,) float32."""
    sound = np.zeros(round(duration * rate), dtype=np.float32)
    for time in times:
        near = np.arange(int((time - 0.004) * rate) + 1, int((time + 0.004) * rate) + 1)
        sound[near] = 0.25 * (1 + np.cos(np.pi * (near / rate - time) / 0.004))
    return sound


def click_time(sound, rate, near):
    """Centre of gravity (s) of the click within 0.1 s of ``near`` s."""
    samples = np.arange(round((near - 0.1) * rate), min(round((near + 0.1) * rate), len(sound)))
    power = sound[samples] ** 2
    return (samples * power).sum() / power.sum() / rate


def test_audio_to_features(codes, speech_file):
    metadata = AudioProcessor(t_r=1.5).audio_to_features(speech_file)[1]
    assert codes.shape == (3, 8, 112)
    assert codes.dtype == np.int32
    assert codes.min() >= 0
    assert codes.max() <= 1023
    assert list(metadata) == COLUMNS
    assert metadata["tr_index"].tolist() == [0, 1, 2]
    assert metadata["start_time"].tolist() == [0.0, 1.5, 3.0]
    assert metadata["end_time"].tolist() == [1.5, 3.0, 4.5]
    assert metadata["n_frames"].tolist() == [112, 112, 112]
    assert set(metadata["encoding_mode"]) == {"encodec"}


def test_exact_codes_of_a_codec_without_a_model_are_refused(speech_file):
    processor = AudioProcessor(codec=SampleCodec(), exact_codes=True)
    with pytest.raises(GibletError, match="codec samples: exact_codes is for models"):
        processor.audio_to_features(speech_file)


@pytest.mark.parametrize("exact_codes", [False, True])
def test_exact_codes_come_from_the_config(exact_codes):
    processor = AudioProcessor.from_config(Config(exact_codes=exact_codes), "encodec")
    assert processor.coder.exact_codes is exact_codes


def test_audio_to_features_of_a_film():
    features, metadata = AudioProcessor(t_r=1.5).audio_to_features(film_path(), max_trs=2)
    assert features.shape == (2, 8, 112)
    assert len(metadata) == 2


def test_codes_equal_transformers_on_the_same_resampled_sound(
    random_encodec, speech_file, tmp_path
):
    random_encodec(started=True, num_filters=8).float().save_pretrained(tmp_path)
    processor = AudioProcessor(codec=str(tmp_path), t_r=1.5)
    codes, _ = processor.audio_to_features(speech_file)
    waveform = read_sound(speech_file, 24000 * 112 / 112.5)[: 3 * 112 * 320]
    with torch.no_grad():
        sound = torch.from_numpy(waveform)[None, None]
        model = processor.codec.model
        expected = model.encode(sound, bandwidth=6.0).audio_codes[0, 0].numpy()
    assert expected.shape == (8, 336)
    assert (np.concatenate(codes, axis=-1) == expected).mean() > 0.995


def test_native_framing_gives_the_codes_that_anyone_else_has(speech_file, clear_speech):
    native = AudioProcessor(t_r=1.5, framing="native")
    features, metadata = native.audio_to_features(speech_file)
    assert features.shape == (3, 8, 113)
    assert metadata["n_frames"].tolist() == [112, 113, 112]
    assert (features[[0, 2], :, -1] == -1).all()
    assert (features[1] >= 0).all()
    expected = load_codec().encode(clear_speech[: 3 * 36000])[:, :337]
    joined = np.concatenate([tr[:, :n] for tr, n in zip(features, [112, 113, 112], strict=True)], 1)
    assert (joined == expected).mean() > 0.98  # a near tie changes what a beam search keeps


@pytest.mark.parametrize("framing", ["tr_synchronous", "native"])
@pytest.mark.parametrize("t_r", [0.72, 1.49, 1.5, 2.0])
def test_features_to_audio(speech_file, clear_speech, tmp_path, framing, t_r):
    processor = AudioProcessor(t_r=t_r, framing=framing)
    features, _ = processor.audio_to_features(speech_file)
    sound = processor.features_to_audio(features, tmp_path / "out.wav")
    assert sound.dtype == np.float32
    assert len(sound) == round(len(features) * t_r * 24000)
    written, rate = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert rate == processor.sample_rate == 24000
    np.testing.assert_allclose(written, np.clip(sound, -1, 1), atol=1 / 32767)
    assert stoi(clear_speech[: len(sound)], sound, 24000, False) > 0.6


def test_mel_path_is_as_it_was(mel, speech_file):
    """Backward compatibility: the mel spectrogram that librosa gives of the resampled sound."""
    rate = 24000 * 140 / 140.625  # 93.75 frames/s: 140 whole ones in a TR
    waveform = read_sound(speech_file, rate)  # sound goes on after the last whole TR
    power = librosa.feature.melspectrogram(
        y=waveform, sr=24000, n_fft=1024, hop_length=256, n_mels=128
    )
    expected = 10 * np.log10(np.maximum(power, 1e-10))[:, : 3 * 140]
    assert mel.shape == (3, 128, 140)
    assert mel.dtype == np.float32
    np.testing.assert_allclose(np.concatenate(mel, axis=-1), expected, atol=1e-3)


def test_mel_path_back_to_sound(mel, speech_file, clear_speech):
    processor = AudioProcessor(use_encodec=False, t_r=1.5)
    metadata = processor.audio_to_features(speech_file)[1]
    assert list(metadata) == COLUMNS
    assert set(metadata["encoding_mode"]) == {"mel"}
    assert set(metadata["n_frames"]) == {140}
    sound = processor.features_to_audio(mel)
    assert sound.shape == (3 * 36000,)
    assert sound.dtype == np.float32
    assert stoi(clear_speech[: len(sound)], sound, 24000, False) > 0.85


def test_reconstructions_are_on_time(codes, mel, clear_speech):
    for features, use_encodec in ((codes, True), (mel, False)):
        sound = AudioProcessor(use_encodec, t_r=1.5).features_to_audio(features)
        pair = (clear_speech[: len(sound)], sound)
        pair_16k = [librosa.resample(s, orig_sr=24000, target_sr=16000) for s in pair]
        assert abs(lag_ms(*map(envelopes, pair_16k))) <= 2.0


@pytest.mark.parametrize("framing", ["tr_synchronous", "native"])
def test_nothing_drifts_over_920_trs(tmp_path, rng, framing):
    """Clicks through a codec that loses nothing stay in place, and in their TR's frame."""
    n_trs, t_r, rate = 920, 1.5, SampleCodec.sample_rate
    times = np.sort(rng.choice(np.arange(1, n_trs), 40, replace=False)) * t_r
    times = np.append(times + rng.uniform(0.05, t_r - 0.05, 40), n_trs * t_r - 0.05)
    soundfile.write(tmp_path / "clicks.flac", clicks(n_trs * t_r, rate, times), rate)
    audio = AudioProcessor(codec=SampleCodec(), t_r=t_r, framing=framing)
    features, metadata = audio.audio_to_features(tmp_path / "clicks.flac")
    assert len(features) == n_trs

    loudness = np.abs(features - 32768).max(axis=1) * (features[:, 0] >= 0)  # (n_trs, frames)
    starts, ends = (metadata[c].to_numpy() for c in ("start_time", "end_time"))
    tr = np.searchsorted(ends, times, side="right")
    frame = loudness[tr].argmax(axis=1)
    frame_times = starts[tr] + (frame + 0.5) / metadata["n_frames"].to_numpy()[tr] * t_r
    assert np.abs(frame_times - times).max() < 0.75 / 75 + (framing == "native") / 75

    sound = audio.features_to_audio(features)
    assert len(sound) == round(n_trs * t_r * rate)
    heard = np.array([click_time(sound, rate, near=time) for time in times])
    assert np.abs(heard - times).max() < 0.001


@pytest.mark.parametrize("t_r", [0.72, 0.8, 1.0, 1.49, 1.5, 2.0, 2.5])
def test_mel_frames_do_not_drift_over_400_trs(tmp_path, rng, t_r):
    """Clicks: the loudest frame of the right TR is the one centred nearest to the click."""
    n_trs, rate, settings = 400, 2400, MelSettings(2400, n_mels=16, n_fft=64, hop_length=32)
    times = np.append(np.arange(5, n_trs - 5, 40), n_trs - 1) * t_r
    times = times + rng.uniform(0.05, t_r - 0.05, len(times))
    soundfile.write(tmp_path / "clicks.flac", clicks(n_trs * t_r, rate, times), rate)
    audio = AudioProcessor(use_encodec=False, mel=settings, t_r=t_r)
    features, metadata = audio.audio_to_features(tmp_path / "clicks.flac")
    n_frames = int(t_r * 75 + 1e-6)
    assert features.shape == (n_trs, 16, n_frames)
    assert set(metadata["n_frames"]) == {n_frames}
    tr = (times // t_r).astype(int)
    frame = features[tr].max(axis=1).argmax(axis=1)
    assert np.abs(tr * t_r + frame * t_r / n_frames - times).max() < 0.75 * t_r / n_frames


def test_mel_2d_is_held_for_the_whole_tr(mel, speech_file):
    processor = AudioProcessor(use_encodec=False, t_r=1.5, mel=MelSettings(n_iter=2))
    average = average_trs(mel)
    sound = processor.features_to_audio(average)
    assert sound.shape == (3 * 36000,)
    held = np.stack([average[tr] for tr in (0, 1, 2) for _ in range(140)], axis=1)
    expected = librosa.resample(
        mel_to_sound(held, processor.mel), orig_sr=24000 * 140 / 140.625, target_sr=24000
    )
    np.testing.assert_allclose(sound[:100000], expected[:100000], atol=1e-3)
    with pytest.raises(ValueError, match="128 bands"):
        processor.features_to_audio(average[:, :80])


@pytest.mark.parametrize(
    ("t_r", "message"),
    [
        (0.0, "positive"),
        (-1.5, "positive"),
        (np.nan, "positive"),
        (1500.0, "milliseconds"),
        (0.01, "shorter than one frame"),
        ("1.5", "positive number of seconds, got '1.5'"),
        (None, "positive"),
        (True, "positive"),
    ],
)
@pytest.mark.parametrize("use_encodec", [True, False])
def test_a_t_r_that_cannot_be_is_refused(use_encodec, t_r, message):
    with pytest.raises(ValueError, match=message):
        AudioProcessor(use_encodec, t_r=t_r)


def test_false_as_a_word_does_not_choose_codes():
    with pytest.raises(TypeError, match="use_encodec must be True or False, got 'false'"):
        AudioProcessor(use_encodec="false")


def test_no_trs_are_refused(speech_file):
    with pytest.raises(ValueError, match="max_trs must be at least 1, got 0"):
        AudioProcessor(False).audio_to_features(speech_file, max_trs=0)


def test_importing_the_way_in_loads_no_heavy_library():
    code = "import sys; from giblet.audio import AudioProcessor; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert "giblet.audio.processor" in loaded.split()
    heavy = {"torch", "transformers", "librosa", "scipy", "av", "soxr", "pandas", "xarray", "yaml"}
    assert not heavy & set(loaded.split())


def test_whole_trs_and_no_more(speech_file):
    audio = AudioProcessor(use_encodec=False, t_r=2.0)
    assert audio.extract(speech_file)[1] == 2
    assert len(audio.audio_to_features(speech_file, max_trs=1)[0]) == 1
    assert len(audio.audio_to_features(speech_file, max_trs=99)[0]) == 2


def test_a_sound_shorter_than_one_tr_is_refused(speech_file):
    with pytest.raises(GibletError, match=r"5.00 s of sound is shorter than one TR \(6.0 s\)"):
        AudioProcessor(use_encodec=False, t_r=6.0).audio_to_features(speech_file)


def test_mel_given_to_the_codec_is_refused_and_says_why(mel):
    with pytest.raises(TypeError, match=r"a code is a label.*use_encodec=False"):
        AudioProcessor(t_r=1.5).features_to_audio(mel)


def test_codes_given_to_mel_are_refused_and_say_why(codes):
    with pytest.raises(TypeError, match="code indices are labels"):
        AudioProcessor(use_encodec=False, t_r=1.5).features_to_audio(codes)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros((8, 112), dtype=np.int32), "n_trs, rows, frames_per_tr"),
        (np.zeros((0, 8, 112), dtype=np.int32), "n_trs, rows, frames_per_tr"),
        (np.zeros((2, 4, 112), dtype=np.int32), "8"),
        (np.zeros((2, 8, 113), dtype=np.int32), "113 frames per TR.*has 112"),
        (np.full((2, 8, 112), 1024, dtype=np.int32), "1023"),
        (np.full((2, 8, 112), -1, dtype=np.int32), "no frame"),
    ],
)
def test_codes_of_another_shape_or_range_are_refused(features, message):
    with pytest.raises(ValueError, match=message):
        AudioProcessor(t_r=1.5).features_to_audio(features)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros((2, 80, 140)), "128 bands"),
        (np.zeros((2, 128, 141)), "141 frames per TR.*has 140"),
        (np.full((2, 128, 140), np.nan), "NaN"),
    ],
)
def test_mel_of_another_shape_or_with_nan_is_refused(features, message):
    with pytest.raises(ValueError, match=message):
        AudioProcessor(use_encodec=False, t_r=1.5).features_to_audio(features)


def test_features_framed_before_decode_as_they_were_framed(speech_file):
    """giblet 0.1 took whole frames, 111 of 111.75, and did not write how many."""
    old, new = (AudioProcessor(t_r=1.49, bandwidth_kbps=0.75) for _ in range(2))
    old.clock = TrClock(1.49, 75.0, n_frames=111)
    features, _ = old.audio_to_features(speech_file, max_trs=2)
    facts = {k: v for k, v in old.facts().items() if k not in ("frames_per_tr", "bend")}
    assert (features.shape[2], new.clock.frames_per_tr) == (111, 112)
    heard = new.features_to_audio(features, attrs=facts)
    np.testing.assert_array_equal(heard, old.features_to_audio(features))
    with pytest.raises(ValueError, match="features have 111 frames per TR"):
        new.features_to_audio(features)


def test_how_far_sound_is_bent_is_a_fact():
    facts = AudioProcessor(t_r=1.49).facts()
    assert (facts["framing"], facts["frames_per_tr"]) == ("tr_synchronous", 112)
    assert facts["bend"] == pytest.approx(111.75 / 112 - 1)
    assert AudioProcessor(t_r=1.5, framing="native").facts()["bend"] == 0


def test_facts_tell_features_of_one_processor_from_anothers():
    encodec = AudioProcessor(t_r=1.5, bandwidth_kbps=3.0).facts()
    assert encodec["codec"] == "bundled"
    assert encodec["codec_revision"] == load_codec().revision
    assert (encodec["bandwidth_kbps"], encodec["units"], encodec["t_r"]) == (3.0, "label", 1.5)
    mel = AudioProcessor(use_encodec=False, t_r=1.5).facts()
    assert (mel["encoding_mode"], mel["codec"], mel["units"]) == ("mel", "none", "dB")


def test_latents_are_amounts_one_row_a_frame(codes, mel):
    latents = AudioProcessor(t_r=1.5).latents(codes[0])
    assert latents.shape == (112, 128)
    assert latents.dtype == np.float32
    rows = AudioProcessor(use_encodec=False, mel=MelSettings(), t_r=1.5).latents(mel[0])
    np.testing.assert_array_equal(rows, mel[0].T)


def test_mel_is_in_db_with_bands_in_its_second_axis(caplog):
    mel = AudioProcessor(use_encodec=False)
    values = np.random.default_rng(0).uniform(-60, 20, (2, 128, 140)).astype(np.float32)
    for other in (values[0], values.reshape(2, -1)):  # one TR; a row per TR, as ridge takes it
        with pytest.raises(
            ValueError, match=r"128 bands in their second axis, got \((128, 140|2, 17920)\)"
        ):
            mel.features_to_audio(other)
    with pytest.raises(ValueError, match="masked"):
        mel.features_to_audio(np.ma.array(values, mask=values > 10))
    mel.check_features(values)
    assert not caplog.text
    mel.check_features(10 ** (values / 10))
    assert "if they are powers, 10 * log10 makes dB" in caplog.text
