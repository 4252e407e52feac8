"""Losses hear what they are named after, and nothing satisfies them but the sound itself."""

import librosa
import numpy as np
import pytest
import soundfile
import torch

from giblet.audio import spectral_features as features
from giblet.audio.spectral_features import Spectra
from giblet.codec_training.losses import LOSSES, WeightedLosses
from giblet.errors import GibletError

RATE = 24000
N_FFT, HOP = 2048, 512
FLOOR = 1e-2

every_loss = pytest.mark.parametrize("name", LOSSES)


@pytest.fixture(scope="module")
def speech(voice_file):
    """0.5 s of one clear voice, (12000,) float32."""
    return soundfile.read(voice_file, start=3 * RATE, stop=int(3.5 * RATE), dtype="float32")[0]


@pytest.fixture(scope="module")
def sound(speech):
    """The voice, (1, 12000)."""
    return torch.from_numpy(speech)[None]


@pytest.fixture(scope="module")
def losses():
    return {name: loss(RATE) for name, loss in LOSSES.items()}


@pytest.fixture(scope="module")
def reference(speech):
    """librosa's STFT with the same edges, (n_bins, n_frames)."""
    return librosa.stft(speech, n_fft=N_FFT, hop_length=HOP, pad_mode="reflect")


def periodic(frequency_hz, harmonics):
    """Half a second of harmonics with these amplitudes, (1, 12000)."""
    phase = 2 * np.pi * frequency_hz * np.arange(RATE // 2) / RATE
    wave = sum(a * np.sin((k + 1) * phase) for k, a in enumerate(harmonics))
    return torch.from_numpy(0.1 * wave).float()[None]


# Identities.


@every_loss
def test_equal_sounds_cost_nothing(losses, sound, name):
    assert losses[name](sound, sound) == 0


@every_loss
def test_polarity_is_heard_where_phase_counts(losses, sound, name):
    twice = {"waveform": 2.0, "phase": 2.0, "companded": 4.0}  # |x - (-x)| / |x|, or squares
    expected = twice.get(name, 0.0)
    assert losses[name](-sound, sound).item() == pytest.approx(expected, abs=1e-3)


@every_loss
def test_silence_costs_about_one(losses, sound, name):
    cost = losses[name](torch.zeros_like(sound), sound).item()
    if name in ("stft", "log_mel"):  # powers of ten above the floor
        assert 0.5 < cost < 2
    else:
        assert cost == pytest.approx(1.0, abs=1e-3)


def test_half_the_level_costs_half(losses, sound):
    cost = {name: loss(0.5 * sound, sound).item() for name, loss in losses.items()}
    assert cost["waveform"] == pytest.approx(0.5, abs=1e-4)
    assert cost["phase"] == pytest.approx(0.5, abs=1e-4)
    assert cost["companded"] == pytest.approx((1 - 0.5**0.5) ** 2, rel=0.01)
    assert 0.5 * np.log10(2) < cost["log_mel"] <= np.log10(2) + 1e-6  # less where below the floor
    assert 0.3 < cost["stft"] <= (0.5 + np.log10(2)) / 2 + 1e-6
    assert cost["mfcc"] > 0.05
    for name in ("harmonic", "rhythm", "timbre"):  # patterns, whatever their level
        assert cost[name] < 0.25 * losses[name](torch.zeros_like(sound), sound)


def root_mean_square(sound):
    return sound.square().mean().sqrt()


@every_loss
def test_a_constant_of_the_right_loudness_satisfies_no_loss(losses, sound, name):
    """A network that only gives an offset satisfies a loss of loudness, and was once shipped."""
    offset = torch.full_like(sound, root_mean_square(sound).item())
    assert abs(root_mean_square(offset) - root_mean_square(sound)) < 1e-6
    assert min(losses[name](c * offset, sound) for c in (0.1, 0.5, 1.0, 2.0)) > 0.5


@every_loss
@pytest.mark.parametrize("estimate_is", ["sound", "silence", "clipped", "offset", "other"])
@pytest.mark.parametrize("target_is", ["sound", "silence", "clipped"])
def test_gradients_are_finite(losses, sound, name, estimate_is, target_is):
    sounds = {
        "sound": sound,
        "silence": torch.zeros_like(sound),
        "clipped": (30 * sound).clamp(-1, 1),
        "offset": torch.full_like(sound, 0.1),
        "other": 0.5 * sound.flip(-1),
    }
    estimate = sounds[estimate_is].clone().requires_grad_()
    losses[name](estimate, sounds[target_is]).backward()
    assert estimate.grad.isfinite().all()
    if estimate_is == "other" and target_is == "sound":
        assert estimate.grad.abs().max() > 0


def test_harmonic_hears_pitch_and_timbre_hears_overtones(losses):
    """A semitone up, and the same pitch with an octave more above it."""
    voice, semitone = periodic(220, [1, 0.5, 0, 0.1]), periodic(233.08, [1, 0.5, 0, 0.1])
    brighter = periodic(220, [1, 0.5, 0, 0.5, 0, 0, 0, 0.5])
    cost = {k: [losses[k](x, voice) for x in (semitone, brighter)] for k in ("harmonic", "timbre")}
    assert cost["harmonic"][0] > 2 * cost["harmonic"][1]
    assert cost["timbre"][1] > 4 * cost["timbre"][0]


def test_companded_pulls_a_tone_out_of_silence(losses):
    """What scales a decoder's coefficients scales its sound by the square: where the sound is
    nearly silent, other losses pull at that scale much less than at half the level."""
    tone = periodic(5000, [1.0])

    def pull(name, level):
        scale = torch.tensor(level**0.5).requires_grad_()  # of companded coefficients
        losses[name](scale.square() * tone, tone).backward()
        return -scale.grad.item()

    assert pull("phase", 1e-4) < 0.02 * pull("phase", 0.5)
    assert pull("companded", 1e-4) > pull("companded", 0.5) > 0.1


def test_rhythm_hears_when_beats_come(losses):
    def beats(*starts):
        wave = torch.zeros(1, RATE)
        for start in starts:
            wave[:, start : start + 1000] += periodic(440, [1, 1, 1])[:, :1000]
        return wave

    even, louder = beats(4000, 10000, 16000, 22000), 1.5 * beats(4000, 10000, 16000, 22000)
    assert losses["rhythm"](beats(4000, 8000, 17000, 21000), even) > 0.5
    assert losses["rhythm"](louder, even) < 0.2


# Against librosa.


def test_spectra_are_librosas(sound, reference):
    np.testing.assert_allclose(Spectra(sound).stft(N_FFT)[0], reference, atol=1e-4)


def test_mfcc_is_librosas(losses, sound, reference):
    """In bels above the floor; librosa has decibels."""
    mel = librosa.feature.melspectrogram(S=np.abs(reference) ** 2, sr=RATE, norm=None)
    decibels = librosa.power_to_db(mel, ref=FLOOR**2, amin=FLOOR**2, top_db=None)
    expected = librosa.feature.mfcc(S=decibels, n_mfcc=20) / 10
    np.testing.assert_allclose(losses["mfcc"].describe(Spectra(sound))[0][0], expected, atol=2e-4)


def test_chroma_is_librosas(sound, reference):
    """Where frames are above the floor, a share of their own sum."""
    expected = librosa.feature.chroma_stft(S=np.abs(reference) ** 2, sr=RATE, norm=1, tuning=0)
    bank = features.chroma_bank(RATE, N_FFT)
    found = features.chroma(Spectra(sound).power(N_FFT), bank, floor=1e-6)
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


def test_onset_envelope_is_librosas(sound, reference):
    """librosa shifts it by 3 frames: one of lag, two for the window's middle."""
    mel = librosa.feature.melspectrogram(S=np.abs(reference) ** 2, sr=RATE, norm=None)
    decibels = librosa.power_to_db(mel, amin=FLOOR**2, top_db=None)
    expected = librosa.onset.onset_strength(S=decibels, sr=RATE)
    log_mel = torch.from_numpy(decibels / 10)[None]
    found = 10 * features.onset_envelope(log_mel)[0]
    np.testing.assert_allclose(found[: len(expected) - 3], expected[3:], atol=1e-4)


def test_autocorrelation_is_librosas(losses, sound):
    envelope, found = losses["rhythm"].describe(Spectra(sound))
    expected = librosa.autocorrelate(envelope[0].numpy())
    np.testing.assert_allclose(found[0], expected / expected[0], atol=1e-5)


def test_periodicity_is_that_of_the_windowed_frame(sound, speech):
    lags = features.pitch_lags(RATE, lowest_hz=80, highest_hz=600)
    found = features.periodicity(Spectra(sound).power(N_FFT), lags, floor=1e-6)[0]
    window = np.hanning(N_FFT + 1)[:-1]
    taper = librosa.autocorrelate(window)
    for frame in (5, 12):  # well inside
        part = speech[frame * HOP - N_FFT // 2 : frame * HOP + N_FFT // 2]
        plain = librosa.autocorrelate(part * window)
        expected = (plain / plain[0])[lags] / (taper / taper[0])[lags]
        np.testing.assert_allclose(found[:, frame], expected, atol=0.01)  # ours wraps around


def test_a_periodic_sound_repeats_after_its_period():
    lags = features.pitch_lags(RATE, lowest_hz=80, highest_hz=600)
    power = Spectra(periodic(100, [1] * 20)).power(N_FFT)
    found = features.periodicity(power, lags, FLOOR)[0, :, 10]
    assert lags.start + int(found.argmax()) == RATE // 100
    assert found.max().item() == pytest.approx(1.0, abs=0.01)


def test_centroid_is_librosas(sound, reference):
    expected = librosa.feature.spectral_centroid(S=np.abs(reference), sr=RATE)[0]
    found = features.centroid(Spectra(sound).magnitude(N_FFT), floor=1e-6)[0] * RATE / 2
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_soft_roll_off_is_near_librosas(sound, reference):
    expected = librosa.feature.spectral_rolloff(S=np.abs(reference), sr=RATE)[0]
    magnitude = Spectra(sound).magnitude(N_FFT)
    hard = features.roll_off(magnitude, floor=1e-6, softness=1e-6)[0] * RATE / 2
    np.testing.assert_allclose(hard, expected, atol=RATE / N_FFT)  # one bin
    soft = features.roll_off(magnitude, floor=1e-6)[0] * RATE / 2
    assert np.median(np.abs(soft - expected)) < 100


def test_contrast_is_librosas(sound, reference):
    expected = librosa.feature.spectral_contrast(S=np.maximum(np.abs(reference), FLOOR), sr=RATE)
    bands = features.octave_bands(RATE, N_FFT)
    found = 10 * features.contrast(Spectra(sound).magnitude(N_FFT), bands, FLOOR)[0]
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_multi_resolution_stft_is_its_formula(losses, speech):
    """Yamamoto et al. 2020, equations 5 and 6, on librosa's spectra."""
    terms = []
    for n_fft in (128, 512, 2048):
        spectra = [
            np.abs(librosa.stft(w, n_fft=n_fft, hop_length=n_fft // 4, pad_mode="reflect"))
            for w in (0.5 * speech[::-1], speech)
        ]
        terms.append(np.linalg.norm(spectra[1] - spectra[0]) / np.linalg.norm(spectra[1]))
        logs = [np.log10(np.maximum(s, FLOOR)) for s in spectra]
        terms.append(np.abs(logs[0] - logs[1]).mean())
    sound = torch.from_numpy(speech)[None]
    assert losses["stft"](0.5 * sound.flip(-1), sound).item() == pytest.approx(
        np.mean(terms), rel=1e-4
    )


def test_log_mel_is_its_formula(losses, speech):
    """Mean absolute difference of log10 mel magnitudes, by librosa."""
    terms = []
    for n_fft, n_mels in ((128, 20), (512, 64), (2048, 128)):
        logs = [
            np.log10(
                librosa.feature.melspectrogram(
                    y=w, sr=RATE, n_fft=n_fft, hop_length=n_fft // 4, pad_mode="reflect",
                    power=1, n_mels=n_mels, norm=None,
                ).clip(FLOOR)
            )
            for w in (0.5 * speech[::-1], speech)
        ]  # fmt: skip
        terms.append(np.abs(logs[0] - logs[1]).mean())
    sound = torch.from_numpy(speech)[None]
    assert losses["log_mel"](0.5 * sound.flip(-1), sound).item() == pytest.approx(
        np.mean(terms), rel=1e-4
    )


@every_loss
def test_losses_go_where_the_sound_is(name):
    """The meta device has no memory, and refuses to meet tensors that stayed on the CPU."""
    sounds = [Spectra(torch.zeros(2, 12000, device="meta", requires_grad=True)) for _ in range(2)]
    assert LOSSES[name](RATE).to("meta").compare(*sounds).device.type == "meta"


# Every feature counts, and as much as the others.


def parts_of(name, sound):
    """The features that a loss is documented to compare."""
    power, magnitude = Spectra(sound).power(N_FFT), Spectra(sound).magnitude(N_FFT)
    if name == "harmonic":
        lags = features.pitch_lags(RATE, lowest_hz=80, highest_hz=600)
        classes = features.chroma(power, features.chroma_bank(RATE, N_FFT), FLOOR)
        return [classes, features.periodicity(power, lags, FLOOR)]
    if name == "rhythm":
        log_mel = features.log_above(features.mel_bank(RATE, N_FFT, 128) @ power, FLOOR**2)
        onsets = features.onset_envelope(log_mel)
        return [onsets, features.autocorrelation(onsets, FLOOR)]
    shape = [f(magnitude, FLOOR) for f in (features.centroid, features.roll_off)]
    bands = features.octave_bands(RATE, N_FFT)
    return [*shape, features.contrast(magnitude, bands, FLOOR)]


@pytest.mark.parametrize("name", ["harmonic", "rhythm", "timbre"])
def test_a_loss_is_the_mean_distance_of_all_its_features(losses, sound, name):
    estimate = 0.5 * sound.flip(-1)
    pairs = zip(parts_of(name, estimate), parts_of(name, sound), strict=True)
    distances = [(e - t).abs().mean() / t.abs().mean().clamp(min=FLOOR) for e, t in pairs]
    assert min(distances) > 0.01
    assert losses[name](estimate, sound).item() == pytest.approx(np.mean(distances), rel=1e-4)


# Several at once.


def test_weighted_losses_are_the_losses_and_their_sum(losses, sound):
    weights = dict(zip(LOSSES, range(1, len(LOSSES) + 1), strict=True))
    values, total = WeightedLosses(weights, RATE)(0.5 * sound, sound)
    assert values == {name: loss(0.5 * sound, sound) for name, loss in losses.items()}
    assert total.item() == pytest.approx(sum(weights[n] * v.item() for n, v in values.items()))


def test_spectra_are_computed_once(sound, monkeypatch):
    sizes = []
    stft = torch.stft

    def counted(waveform, n_fft, *args, **kwargs):
        sizes.append(n_fft)
        return stft(waveform, n_fft, *args, **kwargs)

    monkeypatch.setattr(torch, "stft", counted)
    WeightedLosses(dict.fromkeys(LOSSES, 1.0), RATE)(sound, sound)
    assert sorted(sizes) == [128, 128, 512, 512, 2048, 2048]


def test_losses_are_single_precision_under_autocast(sound):
    weighted = WeightedLosses({"mfcc": 1.0, "harmonic": 1.0}, RATE)
    with torch.autocast("cpu", torch.bfloat16):
        _, total = weighted(0.5 * sound.bfloat16().float(), sound)
    assert total == weighted(0.5 * sound.bfloat16().float(), sound)[1]


def test_parameters_of_a_loss_may_be_given(sound):
    weighted = WeightedLosses({"phase": {"weight": 2.0, "n_ffts": [256]}, "stft": 0.0}, RATE)
    values, total = weighted(0.5 * sound, sound)
    assert set(values) == {"phase"}
    assert total == 2 * LOSSES["phase"](RATE, n_ffts=(256,))(0.5 * sound, sound)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"log_mell": 1.0}, r"losses: there is no 'log_mell'; did you mean log_mel\?"),
        (
            {"mfcc": {"weight": 1.0, "n_mfc": 13}},
            r"losses.mfcc: there is no parameter 'n_mfc'; did you mean n_mfcc\?",
        ),
        ({"mfcc": {"weight": 1.0, "sample_rate": 8000}}, r"no parameter 'sample_rate'"),
        ({"mfcc": {"n_mfcc": 13}}, r"losses.mfcc: its weight must be a number from 0 on, got None"),
        ({"phase": -1.0}, r"losses.phase: its weight must be a number from 0 on, got -1.0"),
        ({"phase": float("nan")}, r"got nan"),
        ({"phase": True}, r"got True"),
        ({"phase": 0.0}, r"none has a weight above 0"),
        ({"log_mel": {"weight": 1.0, "n_mels": [20]}}, r"3 n_ffts need as many n_mels, not 1"),
    ],
)
def test_a_wrong_config_is_one_clear_line(weights, message):
    with pytest.raises(GibletError, match=message):
        WeightedLosses(weights, RATE)


def test_sounds_must_be_alike_and_long_enough(losses, sound):
    with pytest.raises(ValueError, match=r"estimate \(1, 9000\) and target \(1, 12000\) differ"):
        losses["waveform"](sound[:, :9000], sound)
    with pytest.raises(ValueError, match=r"must be \(batch, n_samples\)"):
        losses["waveform"](sound[0], sound[0])
    with pytest.raises(GibletError, match=r"1000 samples are too short for spectra of 2048"):
        losses["mfcc"](sound[:, :1000], sound[:, :1000])


def test_too_small_spectra_for_octaves():
    with pytest.raises(GibletError, match=r"spectra of 64 have no bin in one of 6 octaves"):
        LOSSES["timbre"](RATE, n_fft=64)
