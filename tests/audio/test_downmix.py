"""The mono mix of channels by their places. Oracle: FFmpeg's own matrix, for floats."""

import numpy as np
import pytest

from giblet.audio.downmix import downmix_weights, mono

av = pytest.importorskip("av")


def ffmpeg_weights(layout):
    """What FFmpeg's ``-ac 1`` makes of 1 in each channel alone."""
    n_channels = av.AudioLayout(layout).nb_channels
    weights = []
    for channel in range(n_channels):
        samples = np.zeros((n_channels, 4800), dtype=np.float32)
        samples[channel] = 1
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        frame.sample_rate = 48000
        (mixed,) = av.AudioResampler(format="fltp", layout="mono").resample(frame)
        weights.append(mixed.to_ndarray()[0, 2400])
    return weights


@pytest.mark.parametrize(
    "layout", ["2.1", "3.0", "4.0", "quad", "5.0", "5.1", "5.1(side)", "6.1", "hexagonal"]
)
def test_as_ffmpeg_mixes(layout):
    np.testing.assert_allclose(downmix_weights(layout), ffmpeg_weights(layout), atol=1e-6)


def test_of_ambisonics_the_omnidirectional_channel():
    assert downmix_weights("ambisonic 1") == (1, 0, 0, 0)


@pytest.mark.parametrize("n_channels", [1, 2, 5])
def test_without_places_the_mean(rng, n_channels):
    channels = rng.standard_normal((n_channels, 100)).astype(np.float32)
    mixed = mono(channels, downmix_weights(f"{n_channels} channels"))
    np.testing.assert_array_equal(mixed, channels.sum(axis=0) / np.float32(n_channels))
    assert mixed.dtype == np.float32
