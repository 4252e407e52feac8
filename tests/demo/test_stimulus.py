"""Features say what happened, and when."""

import numpy as np
import pandas as pd
import pytest

from giblet.demo.stimulus import centres, picture_features, sound_features, word_features


@pytest.mark.parametrize("sample_rate", [16000, 22050, 24000])
def test_a_beep_is_loud_when_it_sounds(sample_rate):
    times = np.arange(10 * sample_rate) / sample_rate
    beep = np.where((times >= 4) & (times < 5), np.sin(2 * np.pi * 440 * times), 0)
    level = sound_features(beep.astype(np.float32), sample_rate).max(axis=1)
    assert level.shape == (100,)
    during = (centres(100, 10.0) > 4.0) & (centres(100, 10.0) < 5.0)
    assert level[during].min() > level[~during].max() - 20
    assert level[:38].max() == level[52:].max() == -60


def test_higher_sounds_fill_higher_bands():
    times = np.arange(24000) / 24000
    bands = [
        sound_features(np.sin(2 * np.pi * hz * times).astype(np.float32), 24000).mean(axis=0)
        for hz in (200, 1000, 6000)
    ]
    assert np.all(np.diff([band.argmax() for band in bands]) > 0)


def test_luminance_motion_and_colour_of_a_picture():
    frames = np.zeros((10, 8, 12, 3), dtype=np.uint8)
    frames[5:, :2, :2] = (255, 0, 0)  # the first block turns red at 5 s
    features = picture_features(frames, np.arange(10.0), duration=10.0)
    luminance, motion, red_green, blue_yellow = np.split(features, 4, axis=1)
    assert luminance[0, 0] == 0
    assert luminance[-1, 0] == pytest.approx(1 / 3)
    assert np.argmax(motion[:, 0]) in (49, 50)
    assert red_green[-1, 0] == pytest.approx(1)
    assert blue_yellow[-1, 0] == pytest.approx(-0.5)
    for feature in (luminance, motion, red_green, blue_yellow):
        assert not feature[:, 1:].any()


def test_words_come_when_they_are_said():
    table = pd.DataFrame(
        {"onset": [1.0, 3.0, 4.0], "duration": [1.0, 0.5, 1.0], "text": ["a b", "b", None]}
    )
    features = word_features(table, duration=5.0)
    rate, hashed = features[:, 0], features[:, 1:]
    assert np.flatnonzero(rate).tolist() == [12, 17, 32]
    assert rate.sum() / 10 == 3
    np.testing.assert_array_equal(hashed[17], hashed[32])  # the same word, the same column
    assert np.abs(hashed).sum() == rate.sum()


def test_times_that_do_not_rise_are_refused():
    frames = np.zeros((4, 8, 12, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match="4 rising seconds"):
        picture_features(frames, np.ones(4), duration=4.0)
