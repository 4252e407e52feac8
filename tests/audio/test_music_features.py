"""Harmony, rhythm and timbre of sounds whose note, beat and brightness are known."""

import librosa
import pytest
import torch

from giblet.audio.music_features import N_CHROMA, MusicFeatures

RATE = 24000


@pytest.fixture(scope="module")
def music():
    return MusicFeatures(RATE, n_fft=2048, hop_length=2048)


@pytest.fixture(scope="module")
def voice(clear_speech):
    return torch.from_numpy(clear_speech[48000:60000])[None, None]


def tone(hz, seconds=1.0):
    return (
        0.3 * torch.sin(2 * torch.pi * hz * torch.arange(round(seconds * RATE)) / RATE)[None, None]
    )


@pytest.mark.parametrize("midi", [60, 64, 69])
def test_harmony_names_the_note(music, midi):
    chroma = music(tone(librosa.midi_to_hz(midi)))[0, 3, :N_CHROMA]
    assert chroma.argmax() == midi % 12  # librosa's classes begin at C
    assert chroma.max() > 0.5


def test_harmony_is_librosas(music, voice):
    ours = music(voice)[0, :, :N_CHROMA]  # means over four spectra
    theirs = librosa.feature.chroma_stft(
        y=voice[0, 0].numpy(),
        sr=RATE,
        n_fft=2048,
        hop_length=512,
        norm=1,
        tuning=0,
        pad_mode="reflect",
    )
    steps = torch.from_numpy(theirs)[:, 1:21].unflatten(1, (5, 4)).mean(dim=-1)
    torch.testing.assert_close(ours[1:5], steps.T[1:5], atol=0.01, rtol=0)


def test_rhythm_finds_the_beat(music):
    sound = torch.zeros(1, 1, RATE)
    sound[..., 10752:11000] = 0.5  # in frame 5, after a quarter of it
    rises = music(sound)[0, :, -music.n_steps :]
    frame, step = divmod(int(rises.argmax()), music.n_steps)
    assert abs(frame * 2048 + (step + 1) * 512 - 10752) <= 1024  # within half a window


def test_timbre_hears_brightness(music):
    dark, bright = (music(tone(hz))[0, 3, N_CHROMA:-4] for hz in (300, 6000))
    assert bright[0].item() == pytest.approx(0.5, abs=0.02)  # centroid: share of 12 kHz
    assert dark[0].item() == pytest.approx(0.025, abs=0.02)
    assert bright[1] > dark[1] + 0.4  # roll-off


@pytest.mark.parametrize("n_samples", [1, 2048, 2049, 24000])
def test_there_are_frames_for_all_of_the_sound(music, n_samples):
    found = music(torch.cat([tone(440)[..., :n_samples]] * 2))
    assert found.shape == (2, -(-n_samples // 2048), music.n_features)
    assert found.isfinite().all()


def test_features_are_standardised_by_the_start(voice):
    music = MusicFeatures(RATE, n_fft=1024, hop_length=256)
    music.start(voice)
    found = music(voice)[0]
    assert found.mean(dim=0).abs().max() < 1e-4
    spread = found.std(dim=0)
    assert ((spread - 1).abs() < 1e-3).float().mean() > 0.8  # but for what never changes
    assert music(torch.zeros(1, 1, 5000)).isfinite().all()


def test_frames_of_broken_steps_are_refused():
    with pytest.raises(ValueError, match="hop_length 700 must be a multiple of 512"):
        MusicFeatures(RATE, n_fft=2048, hop_length=700)
