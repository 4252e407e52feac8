"""The picture that a viewer sees. Oracles: numpy's turns, PyAV's timestamps, counting by hand."""

from fractions import Fraction

import av
import numpy as np
import pytest

from giblet.film.video import extract_frames, pictures_duration, shown_pictures

TURNS = av.video.stream.VideoStream
can_turn = pytest.mark.skipif(
    not hasattr(TURNS, "set_display_rotation"), reason="this PyAV writes no display matrix"
)

PICTURE = np.zeros((48, 64, 3), dtype=np.uint8)
PICTURE[:24, :, 0] = 255  # red above
PICTURE[24:, 32:, 2] = 255  # blue below right


def write(path, pictures, codec="ffv1", pix_fmt="bgr0", stamps=None, **stream):
    """Film of ``pictures`` at ``stamps`` (ms) or ten a second; ``stream`` holds its properties."""
    with av.open(str(path), "w") as film:
        height, width = pictures[0].shape[:2]
        turn = stream.pop("turn", None)
        video = film.add_stream(codec, rate=1000, width=width, height=height, pix_fmt=pix_fmt)
        for name, value in stream.items():
            setattr(video.codec_context, name, value)
        if turn:
            video.set_display_rotation(*turn)
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture)
            frame.pts = 100 * i if stamps is None else stamps[i]
            film.mux(video.encode(frame))
        film.mux(video.encode(None))
    return path


@can_turn
@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_turned_or_mirrored_picture_is_upright(tmp_path, degrees, flips):
    film = write(tmp_path / "film.mkv", [PICTURE] * 12, turn=(degrees, *flips))
    expected = np.rot90(PICTURE, degrees // 90)  # against the clock, as PyAV counts
    expected = np.flip(expected, [axis for axis in (0, 1) if flips[1 - axis]])
    (shown, *_) = shown_pictures(film)
    assert shown.size == expected.shape[:2]
    np.testing.assert_allclose(shown.scaled(*shown.size).astype(int), expected, atol=1)
    frames, _ = extract_frames(film, t_r=1.0, height=9, width=16)
    straight = write(tmp_path / "straight.mkv", [np.ascontiguousarray(expected)] * 12)
    as_if, _ = extract_frames(straight, t_r=1.0, height=9, width=16)
    np.testing.assert_allclose(frames.astype(int), as_if, atol=3)


@pytest.mark.parametrize(
    ("aspect", "size"), [("16/11", (48, 93)), ("1", (48, 64)), ("3/4", (64, 64))]
)
def test_pixels_that_are_not_square(tmp_path, aspect, size):
    film = write(
        tmp_path / "film.mp4",
        [PICTURE] * 4,
        "libx264",
        "yuv420p",
        sample_aspect_ratio=Fraction(aspect),
    )
    shown = next(shown_pictures(film))
    assert shown.size == size
    down, across = np.argwhere(shown.scaled(*size)[..., 2] > 127).min(axis=0) / size
    assert (down, across) == pytest.approx((0.5, 0.5), abs=0.02)
    frames, _ = extract_frames(film, t_r=0.3, height=48, width=64)  # fills the frame all the same
    corners = np.ix_([0, -1], [0, -1])
    np.testing.assert_allclose(frames[0, 0][corners].astype(int), PICTURE[corners], atol=4)


@can_turn
def test_a_turned_picture_of_wide_pixels(tmp_path):
    wide = {"sample_aspect_ratio": 2, "turn": (90,)}
    film = write(tmp_path / "film.mp4", [PICTURE] * 3, "mpeg4", "yuv420p", **wide)
    assert next(shown_pictures(film)).size == (128, 48)


def test_odd_sizes(tmp_path):
    odd = np.pad(PICTURE, [(0, 1), (0, 3), (0, 0)], mode="edge")  # 49 x 67
    film = write(tmp_path / "film.mkv", [odd] * 3, pix_fmt="yuv420p")
    shown = next(shown_pictures(film))
    assert shown.size == (49, 67)
    rows = shown.scaled(7, 1)[:, 0]  # of 7 rows of the film each
    expected = odd.reshape(7, 7, 67, 3).mean(axis=(1, 2))
    np.testing.assert_allclose(rows, expected, atol=6)


def test_both_fields_of_an_interlaced_picture_count(tmp_path):
    fields = np.zeros((48, 64, 3), dtype=np.uint8)
    fields[::2], fields[1::2] = 200, 40
    options = {"flags": "+ildct+ilme", "bf": "0", "qmin": "1", "qmax": "1"}
    film = write(tmp_path / "film.mkv", [fields] * 12, "mpeg4", "yuv420p", options=options)
    with av.open(str(film)) as opened:
        assert next(opened.decode(video=0)).interlaced_frame
    frames, _ = extract_frames(film, t_r=1.0, height=12, width=16)
    np.testing.assert_allclose(frames.astype(int), 120, atol=4)


@pytest.mark.parametrize("ending", ["mkv", "mp4", "ts"])
def test_pictures_out_of_order_late_and_at_any_rate(tmp_path, rng, ending):
    """B-frames are stored out of order, MPEG-TS starts at 1.4 s, gaps are of any length."""
    stamps = np.concatenate([[0], np.cumsum(rng.integers(30, 200, 39))])
    greys = [np.full((48, 64, 3), 6 * i, dtype=np.uint8) for i in range(40)]
    options = {"bf": "3", "b_strategy": "0", "crf": "1"}
    film = write(
        tmp_path / f"film.{ending}", greys, "libx264", "yuv420p", stamps + 5000, options=options
    )
    with av.open(str(film)) as opened:
        packets = [p for p in opened.demux(video=0) if p.pts is not None]
        assert any(p.dts != p.pts for p in packets)
        stored = sorted(float(p.pts * p.time_base) for p in packets)
    found = list(shown_pictures(film))
    begins = np.array([shown.begin for shown in found])
    np.testing.assert_allclose(begins, np.array(stored) - stored[0], atol=1e-6)
    np.testing.assert_allclose(np.diff(begins), np.diff(stamps) / 1000, atol=2e-3)
    assert [shown.end for shown in found[:-1]] == begins[1:].tolist()
    for number, shown in enumerate(found):
        assert shown.scaled(4, 4).mean() == pytest.approx(6 * number, abs=2)
    assert pictures_duration(film) == pytest.approx(found[-1].end)


def test_a_single_picture_has_a_length(tmp_path):
    film = write(tmp_path / "film.mkv", [PICTURE])
    (shown,) = shown_pictures(film)
    assert shown.end > shown.begin == 0
