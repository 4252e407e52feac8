"""The ffmpeg commands that messages name lead to a file that is read right, without a warning.

The same filters and demuxer options are run by FFmpeg's libraries within PyAV.
"""

import re

import numpy as np
import pytest
import soundfile
from real_inputs.sound_files import RATE, clicks_and_tone, film, is_sound, recording, wave
from real_inputs.test_sound import leaping
from real_inputs.test_video import STEADY, stamped
from real_inputs.video_files import Track, grey_film, is_film, seen

from giblet.audio.files import read_sound
from giblet.errors import GibletError

av = pytest.importorskip("av")

SOUND = clicks_and_tone(RATE)


def filtered(path, filters, out):
    """``path`` as ``ffmpeg -i PATH -af FILTERS OUT`` makes it, sound alone, as 32-bit floats."""
    with av.open(str(path)) as file, av.open(str(out), "w") as new:
        graph = av.filter.Graph()
        last = graph.add_abuffer(template=file.streams.audio[0])
        source = last
        for name, _, arguments in (text.partition("=") for text in filters.split(",")):
            step = graph.add(name, arguments)
            last.link_to(step)
            last = step
        sink = graph.add("abuffersink")
        last.link_to(sink)
        graph.configure()
        stream = None
        for frame in [*file.decode(audio=0), None]:
            source.push(frame)
            for made in pulled(graph):
                if stream is None:
                    rate, layout = made.sample_rate, made.layout.name
                    stream = new.add_stream("pcm_f32le", rate=rate, layout=layout)
                    resampler = av.AudioResampler("flt", layout, rate)
                for piece in resampler.resample(made):
                    new.mux(stream.encode(piece))
        new.mux(stream.encode(None))
    return out


def pulled(graph):
    while True:
        try:
            yield graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def advice_of(path, caplog):
    """The filters, or the option, of the command in the message about a file."""
    try:
        read_sound(path, RATE)
        text = caplog.text
    except GibletError as error:
        text = str(error)
    caplog.clear()
    return re.search(r"-af '?([^' ]+)'? ?(?:NEW|new)", text)[1]


def written(path, channels):
    soundfile.write(path, np.stack(channels, 1), RATE, subtype="FLOAT")
    return path


@pytest.mark.parametrize(
    "make",
    [
        lambda top: written(top / "cancel.wav", [SOUND, -SOUND]),
        lambda top: written(top / "offset.wav", [SOUND + 0.3]),
        lambda top: film(top / "leap.mkv", "aac", stamp=leaping(26 * 3600.0, 100)),
    ],
)
def test_what_a_message_advises_mends_the_file(tmp_path, caplog, make):
    path = make(tmp_path)
    mended = filtered(path, advice_of(path, caplog), tmp_path / "new.mkv")
    is_sound()(read_sound(mended, RATE))
    assert not caplog.records


def test_a_length_that_is_ignored(tmp_path, caplog):
    path = wave(tmp_path / "a.wav", says=2 * RATE)
    read_sound(path, RATE)
    assert "ffmpeg -ignore_length 1 -i a.wav new.flac" in caplog.text
    with av.open(str(path), options={"ignore_length": "1"}) as file:
        whole = np.concatenate([frame.to_ndarray() for frame in file.decode(audio=0)], axis=1)
    is_sound()(whole[0].astype(np.float32) / 32768)


def test_parts_of_two_rates_are_joined_by_the_filter(tmp_path):
    parts = [recording(tmp_path / f"{rate}.ogg", rate, "VORBIS") for rate in (48000, 44100)]
    graph, files = av.filter.Graph(), [av.open(str(part)) for part in parts]
    join, sink = graph.add("concat", "n=2:v=0:a=1"), graph.add("abuffersink")
    sources = [graph.add_abuffer(template=file.streams.audio[0]) for file in files]
    for place, source in enumerate(sources):
        source.link_to(join, 0, place)
    join.link_to(sink)
    graph.configure()
    frames = []
    for source, file in zip(sources, files, strict=True):
        with file:
            for frame in [*file.decode(audio=0), None]:
                source.push(frame)
                frames += pulled(graph)
    assert {frame.sample_rate for frame in frames} == {48000}
    assert sum(frame.samples for frame in frames) / 48000 == pytest.approx(8, abs=0.02)


def test_samples_without_a_header(tmp_path):
    """By ``ffmpeg -f alaw -ar 8000 -ac 1 -i a.al new.flac``."""
    path = film(tmp_path / "1.wav", "pcm_alaw", 8000, "mono")
    content = path.read_bytes()
    path = tmp_path / "a.al"
    path.write_bytes(content[content.index(b"data") + 8 :])
    with pytest.raises(GibletError, match=r"gsm .*-f alaw -ar RATE -ac CHANNELS -i a\.al new"):
        read_sound(path, RATE)
    new = remuxed(path, tmp_path / "new.flac", "flac", format="alaw", sample_rate="8000")
    is_sound(clicks=1e-3)(read_sound(new, RATE))


def remuxed(path, out, codec=None, tracks=None, format=None, **options):
    """``path`` as ``ffmpeg -i PATH -map ... -c copy OUT`` makes it, or its sound in ``codec``.

    ``tracks``: of the file, all by default.
    """
    with av.open(str(path), format=format, options=options) as file, av.open(str(out), "w") as new:
        streams = file.streams if tracks is None else [file.streams[k] for k in tracks]
        if codec:
            audio = file.streams.audio[0]
            stream = new.add_stream(codec, rate=audio.rate, layout=audio.layout.name)
            for frame in file.decode(audio=0):
                new.mux(stream.encode(frame))
            new.mux(stream.encode(None))
            return out
        copies = {each.index: new.add_stream_from_template(each) for each in streams}
        for packet in file.demux(*streams):
            if packet.dts is not None:
                packet.stream = copies[packet.stream_index]
                new.mux(packet)
    return out


def test_another_video_track(tmp_path, caplog):
    backwards = Track(greys=range(99, -1, -1))
    path = grey_film(tmp_path / "a.mp4", Track(), backwards)
    is_film()(seen(path))
    assert "ffmpeg -i a.mp4 -map 0:v:1 -map 0:a -c copy new.mp4" in caplog.text
    caplog.clear()
    new = remuxed(path, tmp_path / "new.mp4", tracks=[1, 2])
    numbers = list(range(99, -1, -1))
    is_film(numbers, [0.04 * k for k in range(100)])(seen(new))
    is_sound()(read_sound(new, RATE))
    assert not caplog.records


def stamped_again(path, out, stamp, rate=25):
    """Video alone, with the timestamp (frames) that ``stamp(pts, first, k)`` gives each frame."""
    with av.open(str(path)) as file, av.open(str(out), "w") as new:
        source = file.streams.video[0]
        size = {"width": source.width, "height": source.height}
        stream = new.add_stream("ffv1", rate=rate, pix_fmt="bgr0", **size)
        first = None
        for k, frame in enumerate(file.decode(video=0)):
            time = None if frame.pts is None else frame.pts * frame.time_base
            first = time if first is None else first
            frame.time_base = 1 / stream.codec_context.framerate
            frame.pts = stamp(time, first, k)
            new.mux(stream.encode(frame))
        new.mux(stream.encode(None))
    return out


def test_pictures_without_timestamps(tmp_path):
    """By ``ffmpeg -r 25 -i a.h264 new.mp4``: stamps count the frames."""
    path = grey_film(tmp_path / "a.h264", sound=None, format="h264")
    with pytest.raises(GibletError, match="ffmpeg -r RATE -i"):
        seen(path)
    is_film()(seen(stamped_again(path, tmp_path / "new.mkv", lambda time, first, k: k)))


def test_pictures_of_the_time_of_day(tmp_path):
    """By ``-vf setpts=PTS-STARTPTS``."""
    path = grey_film(tmp_path / "a.mkv", stamped(STEADY), stamp=lambda time, k: time + 1.7e9)
    with pytest.raises(GibletError, match="-vf setpts=PTS-STARTPTS -af asetpts=PTS-STARTPTS"):
        seen(path)
    new = stamped_again(
        path, tmp_path / "new.mkv", lambda time, first, k: round(25 * (time - first))
    )
    is_film()(seen(new))
