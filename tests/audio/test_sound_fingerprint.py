"""Copies of a sound are found: exact, re-encoded, shifted, quieter. Others are not."""

import io

import av
import numpy as np
import pytest

from giblet.audio.files import read_sound
from giblet.audio.sound_fingerprint import Fingerprint, common_seconds, in_film
from giblet.demo import film_path

RATE = 24000


@pytest.fixture(scope="module")
def sound():
    return read_sound(film_path(), RATE)[: 120 * RATE]


@pytest.fixture(scope="module")
def film(sound):
    return Fingerprint.of(sound[: 60 * RATE], RATE)


def encoded(sound, codec, container, bit_rate=32000):
    """A sound (n_samples,) through a lossy codec, and back."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as file:
        stream = file.add_stream(codec, rate=RATE, layout="mono")
        stream.bit_rate = bit_rate
        samples = (32767 * sound.clip(-1, 1)).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = RATE
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=RATE)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(piece))
        file.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer) as file:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        frames = [r for f in file.decode(audio=0) for r in resampler.resample(f)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def test_a_shifted_and_quieter_excerpt_is_found(sound, film):
    excerpt = 0.3 * sound[int(7.357 * RATE) : int(19 * RATE)]
    assert common_seconds(Fingerprint.of(excerpt, RATE), film) >= 10


@pytest.mark.parametrize(("codec", "container"), [("libmp3lame", "mp3"), ("aac", "adts")])
def test_a_shifted_and_re_encoded_excerpt_is_found(sound, film, codec, container):
    excerpt = encoded(sound[int(21.123 * RATE) : int(33 * RATE)], codec, container)
    assert not np.allclose(excerpt[: RATE * 5], sound[int(21.123 * RATE) :][: RATE * 5], atol=1e-2)
    assert common_seconds(Fingerprint.of(excerpt, RATE), film) >= 10


def test_other_rates_and_an_excerpt_within_other_sound_are_found(sound, film):
    other = sound[70 * RATE : 80 * RATE]
    mixed = np.concatenate([other, sound[30 * RATE : 40 * RATE], other])
    assert 5 <= common_seconds(Fingerprint.of(mixed[::2], RATE / 2), film) <= 20


def test_other_sound_is_not_found(sound, film):
    other = Fingerprint.of(sound[60 * RATE :], RATE)
    silence = Fingerprint.of(np.zeros(20 * RATE), RATE)
    assert len(other) > 1000
    assert len(silence) == 0
    named = [("other", other), ("silence", silence)]
    assert in_film(named, film) == []
    assert in_film([*named, ("film", film)], film) == [("film", pytest.approx(60, abs=0.5))]


def test_the_landmarks_of_a_film_are_sorted_once_for_all_sounds(monkeypatch, rng):
    film, *sounds = (Fingerprint.of(rng.standard_normal(RATE * 6), RATE) for _ in range(5))
    sorts = []
    sort = np.argsort
    monkeypatch.setattr(np, "argsort", lambda *a, **k: sorts.append(len(a[0])) or sort(*a, **k))
    assert in_film([(str(n), one) for n, one in enumerate([*sounds, film])], film) == [("4", 6.0)]
    assert sorts == [len(film)]
