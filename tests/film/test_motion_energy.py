"""Motion energy. Oracles: pymoten on the same pictures at once, and gratings that drift."""

import sys

import av
import numpy as np
import pytest

from giblet.commands.film import extract_video
from giblet.config.config import parse_config
from giblet.errors import GibletError
from giblet.film.modalities import MODALITIES
from giblet.film.motion_energy import filter_bank, filtered, mean_luminances, motion_energy
from giblet.film.video import shown_pictures
from giblet.io.arrays import load_arrays

pytest.importorskip("moten")

RATE = 16.0  # Hz
T_R = 1.0  # s: two moments of 8 samples


def write(path, pictures, rate=16):
    """Film of ``pictures`` (n, height, width, 3), ``rate`` a second, nothing lost."""
    with av.open(str(path), "w") as film:
        height, width = pictures[0].shape[:2]
        video = film.add_stream("ffv1", rate=rate, width=width, height=height, pix_fmt="bgr0")
        for picture in pictures:
            film.mux(video.encode(av.VideoFrame.from_ndarray(picture)))
        film.mux(video.encode(None))
    return path


def grating(n, direction, hz=2.0, cycles=4.0, size=(18, 32)):
    """Pictures of a grating that drifts ``direction`` degrees, against the clock from the right."""
    down, across = np.indices(size) / size[0]
    angle = np.deg2rad(direction)
    place = cycles * (across * np.cos(angle) - down * np.sin(angle))
    phase = 2 * np.pi * (place - hz * np.arange(n)[:, None, None] / RATE)
    grey = np.round(127 + 100 * np.sin(phase)).astype(np.uint8)
    return grey[..., None].repeat(3, axis=-1)


def luminance(pictures):
    from moten.io import rgb2lab

    return np.stack([rgb2lab(picture / 255.0)[..., 0] for picture in pictures])


def test_the_same_as_pymoten_on_all_pictures_at_once(tmp_path, rng):
    from moten import get_default_pyramid

    pictures = np.concatenate([grating(16, 0), grating(16, 135), grating(16, 90, hz=4.0)])
    pictures[..., 2] //= 2  # colours have their luminance
    found = motion_energy(write(tmp_path / "film.avi", pictures), T_R, 3, RATE, height=18)
    pyramid = get_default_pyramid(vhsize=(18, 32), fps=16)
    expected = pyramid.project_stimulus(luminance(pictures), output_nonlinearity=np.log1p)
    expected = expected.reshape(3, 2, 8, -1).mean(axis=2)  # (n_trs, n_moments, n_filters)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("block", [7, 16, 1000])
def test_blocks_have_no_seams(rng, block):
    bank = filter_bank((9, 16), RATE)
    pictures = rng.uniform(0, 100, (40, 9, 16)).astype(np.float32)
    expected = bank.project_stimulus_batched(pictures, output_nonlinearity=np.log1p)
    found = list(filtered(iter(pictures), 40, bank, block))
    assert max(map(len, found)) <= block
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-4)


@pytest.mark.parametrize("direction", [0, 90, 225])
def test_what_drifts_one_way_excites_the_filters_of_that_way(tmp_path, direction):
    film = write(tmp_path / "film.avi", grating(48, direction))
    energy = motion_energy(film, T_R, 3, RATE, height=18)[1].mean(axis=0)
    filters = filter_bank((18, 32), RATE).parameters
    answers_to = (filters.direction + 180) % 360  # against pymoten's label
    tuned = (filters.spatial_freq == 4) & (filters.temporal_freq == 2)
    mean = {way: energy[tuned & (answers_to == way)].mean() for way in range(0, 360, 45)}
    assert max(mean, key=mean.get) == direction
    assert mean[direction] > mean[(direction + 180) % 360] + 1  # e times as much, in its log


def test_filters_keep_their_hz_at_a_rate_that_is_not_whole():
    bank = filter_bank((18, 32), rate_hz=14.667)
    filters = bank.parameters
    in_real_time = filters.temporal_freq * 14.667 / filters.stimulus_fps
    assert np.unique(in_real_time.round(6)).tolist() == [0.0, 2.0, 4.0]


def test_each_picture_weighs_by_its_time_on_screen(tmp_path):
    greys = np.arange(0, 240, 20, dtype=np.uint8)  # 24 a second: 0.5 s
    film = write(tmp_path / "film.avi", np.full((12, 8, 8, 3), greys[:, None, None, None]), 24)
    edges = np.arange(11) / 16  # to 0.625 s
    found = np.stack(list(mean_luminances(shown_pictures(film), edges, (8, 8))))
    assert np.ptp(found, axis=(1, 2)).max() < 1e-4
    light = luminance(np.full((12, 1, 1, 3), greys[:, None, None, None]))[:, 0, 0]
    fine = np.append(light.repeat(2), np.zeros(6)).reshape(10, 3).mean(axis=1)  # 48 a second
    np.testing.assert_allclose(found[:, 0, 0], fine, atol=1e-3)  # black after the end


def test_black_is_nothing(tmp_path):
    film = write(tmp_path / "film.avi", np.zeros((32, 9, 16, 3), dtype=np.uint8))
    assert not motion_energy(film, T_R, 2, RATE, height=9).any()


def test_the_width_is_that_of_the_screen(tmp_path):
    film = write(tmp_path / "film.avi", np.zeros((32, 40, 30, 3), dtype=np.uint8))
    found = motion_energy(film, T_R, 2, RATE, height=12)
    assert found.shape == (2, 2, filter_bank((12, 9), RATE).nfilters)


def test_the_verb_writes_it_beside_the_pictures(tmp_path):
    film = write(tmp_path / "film.avi", grating(48, 0))
    made = {"features": "motion_energy", "motion_rate_hz": RATE, "height": 18}
    extract_video(film, tmp_path / "video.nc", parse_config({"t_r": T_R, "video": made}))
    arrays = load_arrays(tmp_path / "video.nc")
    assert arrays["video"].sizes["picture"] == 1
    np.testing.assert_array_equal(arrays["features"], motion_energy(film, T_R, 3, RATE, 18))
    values, rate_hz = MODALITIES["video"].regressors(arrays, T_R, None)
    assert (len(values), rate_hz) == (6, 2.0)


def test_without_pymoten_there_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "moten", None)
    film = write(tmp_path / "film.avi", np.zeros((32, 8, 8, 3), dtype=np.uint8))
    with pytest.raises(GibletError, match="needs pymoten") as caught:
        motion_energy(film, T_R, 2)
    assert "\n" not in str(caught.value)
