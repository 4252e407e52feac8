"""Sound effects for the bundled film, synthesised: ``EFFECTS[name](duration, sample_rate, rng)``.

Each returns (n_samples,) floats of any level; the soundtrack sets the level.
"""

import numpy as np
from scipy.signal import butter, sosfilt

from giblet.timing import count_samples, sample_times, samples_duration


def bandpass(low_hz: float, high_hz: float, sample_rate: int) -> np.ndarray:
    """Second-order sections of a Butterworth band-pass filter."""
    return butter(2, [low_hz, high_hz], "bandpass", fs=sample_rate, output="sos")


def _seconds(duration, sample_rate):
    return sample_times(duration, sample_rate)


def _noise(duration, low_hz, high_hz, sample_rate, rng):
    noise = rng.standard_normal(count_samples(duration, sample_rate))
    noise = sosfilt(bandpass(low_hz, high_hz, sample_rate), noise)
    return noise / noise.std()


def _swell(duration, period, sample_rate, rng):
    """A slow random rise and fall between 0 and 1, about one each ``period`` seconds."""
    points = np.arange(0, duration + 2 * period, period)
    t = _seconds(duration, sample_rate)
    return np.interp(t, points, rng.random(len(points)))


def _tone(duration, pitch_hz, sample_rate):
    """``pitch_hz``: a number, or one for every sample."""
    t = _seconds(duration, sample_rate)
    step = samples_duration(1, sample_rate)
    return np.sin(2 * np.pi * np.cumsum(np.broadcast_to(pitch_hz, t.shape)) * step)


def _burst(duration, decay, low_hz, high_hz, sample_rate, rng):
    t = _seconds(duration, sample_rate)
    return _noise(duration, low_hz, high_hz, sample_rate, rng) * np.exp(-t / decay)


def _sequence(duration, onsets, make, sample_rate):
    """Sounds from ``make()`` laid at ``onsets`` (s)."""
    sound = np.zeros(count_samples(duration, sample_rate))
    for onset in onsets:
        start = count_samples(onset, sample_rate)
        piece = make()[: max(len(sound) - start, 0)]
        sound[start : start + len(piece)] += piece
    return sound


def _at_random(duration, mean_gap, rng, first=0.1):
    gaps = rng.uniform(0.5 * mean_gap, 1.5 * mean_gap, int(2 * duration / mean_gap) + 1)
    onsets = first + np.cumsum(gaps) - gaps[0]
    return onsets[onsets < duration]


def rain(duration, sample_rate, rng):
    def drop():
        return rng.random() * _burst(0.02, 0.004, 2000, 7000, sample_rate, rng)

    hiss = _noise(duration, 800, 9000, sample_rate, rng)
    return 0.5 * hiss + _sequence(duration, _at_random(duration, 0.04, rng), drop, sample_rate)


def wind(duration, sample_rate, rng):
    low, high = (_swell(duration, 1.2, sample_rate, rng) for _ in range(2))
    rumble = _noise(duration, 120, 500, sample_rate, rng) * (0.2 + low)
    return rumble + _noise(duration, 500, 1100, sample_rate, rng) * 0.7 * high**2


def waves(duration, sample_rate, rng):
    t = _seconds(duration, sample_rate)
    phase = (t / 3.4 + rng.random()) % 1
    swell = np.where(phase < 0.3, phase / 0.3, (1 - (phase - 0.3) / 0.7) ** 2)
    deep = _noise(duration, 80, 900, sample_rate, rng)
    return swell * deep + 0.6 * swell**3 * _noise(duration, 1500, 8000, sample_rate, rng)


def stream(duration, sample_rate, rng):
    def bubble():
        start_hz = rng.uniform(500, 1600)
        t = _seconds(0.06, sample_rate)
        return rng.random() * _tone(0.06, start_hz * (1 + 5 * t), sample_rate) * np.exp(-t / 0.015)

    bubbles = _sequence(duration, _at_random(duration, 0.03, rng), bubble, sample_rate)
    return bubbles + 0.15 * _noise(duration, 400, 5000, sample_rate, rng)


def splash(duration, sample_rate, rng):
    return _burst(duration, 0.35, 300, 7000, sample_rate, rng)


def thunder(duration, sample_rate, rng):
    t = _seconds(duration, sample_rate)
    crack = _burst(duration, 0.25, 200, 3000, sample_rate, rng)
    roll = _noise(duration, 40, 200, sample_rate, rng) * _swell(duration, 0.3, sample_rate, rng)
    return crack + 2 * roll * np.exp(-t / 1.8)


def birds(duration, sample_rate, rng):
    def chirp():
        length = rng.uniform(0.08, 0.25)
        t = _seconds(length, sample_rate)
        trill_hz, base_hz = rng.uniform(8, 30), rng.uniform(2200, 4500)
        pitch_hz = base_hz * (1 + 0.15 * np.sin(2 * np.pi * trill_hz * t))
        return _tone(length, pitch_hz, sample_rate) * np.hanning(len(t))

    return _sequence(duration, _at_random(duration, 0.25, rng), chirp, sample_rate)


def gulls(duration, sample_rate, rng):
    def cry():
        length = rng.uniform(0.35, 0.6)
        t = _seconds(length, sample_rate)
        pitch_hz = rng.uniform(900, 1200) * (1 + 0.5 * np.sin(np.pi * t / length))
        call = _tone(length, pitch_hz, sample_rate) + 0.6 * _tone(length, 2 * pitch_hz, sample_rate)
        return call * np.hanning(len(t))

    return _sequence(duration, _at_random(duration, 0.8, rng), cry, sample_rate)


def owl(duration, sample_rate, rng):
    def hoot():
        return _tone(0.5, rng.uniform(380, 420), sample_rate) * np.hanning(
            count_samples(0.5, sample_rate)
        )

    return _sequence(duration, _at_random(duration, 1.2, rng, first=0.3), hoot, sample_rate)


def crickets(duration, sample_rate, rng):
    t = _seconds(duration, sample_rate)
    pulses = np.clip(np.sin(2 * np.pi * 28 * t), 0, 1) * (np.sin(2 * np.pi * 1.6 * t) > -0.3)
    return _tone(duration, 4300 + 100 * rng.random(), sample_rate) * pulses


def _taps(gaps, decay, low_hz, high_hz):
    """An effect of dull or bright knocks, the gaps between them (s) repeating."""

    def effect(duration, sample_rate, rng):
        onsets = 0.1 + np.cumsum(np.tile(gaps, int(duration / sum(gaps)) + 1)) - gaps[0]

        def tap():
            loudness = rng.uniform(0.7, 1)
            return loudness * _burst(0.3, decay, low_hz, high_hz, sample_rate, rng)

        return _sequence(duration, onsets[onsets < duration], tap, sample_rate)

    return effect


def bell(duration, sample_rate, rng):
    partials = [(0.5, 0.4, 2.0), (1, 1, 1.4), (1.2, 0.6, 1.0), (2, 0.5, 0.7), (2.7, 0.3, 0.4)]
    base_hz = rng.uniform(420, 620)

    def stroke():
        t = _seconds(3, sample_rate)
        return sum(a * np.sin(2 * np.pi * base_hz * r * t) * np.exp(-t / d) for r, a, d in partials)

    return _sequence(duration, np.arange(0.05, duration, 1.3), stroke, sample_rate)


def fire(duration, sample_rate, rng):
    def crackle():
        return rng.random() ** 2 * _burst(0.03, 0.006, 1000, 6000, sample_rate, rng)

    glow = 0.12 * _noise(duration, 80, 400, sample_rate, rng)
    return glow + _sequence(duration, _at_random(duration, 0.09, rng), crackle, sample_rate)


def kettle(duration, sample_rate, rng):
    t = _seconds(duration, sample_rate)
    pitch_hz = 1500 + 900 * np.minimum(t / 2, 1) + 15 * np.sin(2 * np.pi * 6 * t)
    whistle = _tone(duration, pitch_hz, sample_rate) * np.minimum(t / 2, 1)
    return 0.6 * whistle + 0.3 * _noise(duration, 1500, 6000, sample_rate, rng)


def motor(duration, sample_rate, rng):
    t = _seconds(duration, sample_rate)
    beat = np.exp(-((t * 9) % 1) / 0.25)
    return beat * (_noise(duration, 60, 900, sample_rate, rng) + np.sin(2 * np.pi * 72 * t))


def wheel(duration, sample_rate, rng):
    t = _seconds(duration, sample_rate)
    pour = _noise(duration, 300, 3000, sample_rate, rng) * (0.4 + np.sin(2 * np.pi * 0.8 * t) ** 2)
    creak_hz = 180 + 60 * np.sin(2 * np.pi * 0.8 * t)
    creak = np.sign(_tone(duration, creak_hz, sample_rate)) * (np.sin(2 * np.pi * 0.8 * t) > 0.6)
    return 0.6 * pour + 0.4 * sosfilt(bandpass(200, 1500, sample_rate), creak)


EFFECTS = {
    effect.__name__: effect
    for effect in [
        *(rain, wind, waves, stream, splash, thunder, birds, gulls, owl, crickets),
        *(bell, fire, kettle, motor, wheel),
    ]
} | {
    "clock": _taps([0.5], 0.01, 1500, 5000),
    "footsteps": _taps([0.55, 0.5], 0.05, 150, 1800),
    "knock": _taps([0.22, 0.22, 1.1], 0.04, 120, 900),
    "train": _taps([0.14, 0.42], 0.06, 100, 2500),
    "woodpecker": _taps([0.06] * 9 + [0.9], 0.012, 700, 2500),
}
