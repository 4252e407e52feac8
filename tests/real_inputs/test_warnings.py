"""Every warning of a reader of sound, video or words is in the rule's log, and so in the report."""

import ast
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from real_inputs.sound_files import RATE, clicks_and_tone, film, joined, wave
from real_inputs.test_sound import jittering, leaping
from real_inputs.video_files import Track, cut, grey_film

import giblet.audio
import giblet.film
from giblet.audio.files import write_sound
from giblet.commands.cli import main
from giblet.io.arrays import load_arrays
from giblet.log import KEEPS_LOG, log_to_stderr, warnings_of
from giblet.report.results import warnings_only_in

pytest.importorskip("av")

STEADY = [40 * k for k in range(100)]
LOGGING = ("warning", "_warn")  # calls whose first text is the warning's
LEVELS = ("_cancellation", "_silence", "_excess", "_offset")  # functions that return warnings


def written(path, channels):
    soundfile.write(path, np.stack(channels, 1), RATE, subtype="FLOAT")
    return path


def broken_packets(path):
    """Matroska with rubbish in some packets of sound and video."""
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for at in rng.integers(2000, len(content) - 2000, 60):
        content[at : at + 20] = bytes(20)
    path.write_bytes(content)
    return path


SOUND = clicks_and_tone(RATE)
FILMS = [  # one fault or more each
    lambda top: wave(top / "more.wav", says=2 * RATE),
    lambda top: wave(top / "less.wav", says=2 * RATE * 60),
    lambda top: cut(grey_film(top / "cut.mkv"), 0.7),
    lambda top: written(top / "cancel.wav", [SOUND, -SOUND]),
    lambda top: written(top / "silent.wav", [0 * SOUND]),
    lambda top: written(top / "loud.wav", [32768 * SOUND]),
    lambda top: written(top / "offset.wav", [SOUND + 0.3]),
    lambda top: film(top / "gaps.mkv", "aac", stamp=lambda time, k: 1.05 * time),
    lambda top: film(top / "overlaps.mkv", "aac", stamp=lambda time, k: 0.97 * time),
    lambda top: film(top / "fast.mkv", "aac", stamp=lambda time, k: 3 * time),
    lambda top: film(top / "leap.mkv", "aac", stamp=leaping(0.5, 60)),
    lambda top: film(top / "last.mkv", "aac", stamp=leaping(3600.0, 188)),
    lambda top: joined(top / "sound.ts", *2 * [film(top / "1.ts", "mp2")]),
    lambda top: joined(top / "twice.mp4", *2 * [film(top / "3.mp4", "aac")]),
    lambda top: joined(top / "film.ts", *2 * [film(top / "2.ts", "mp2", video="mpeg2video")]),
    lambda top: broken_packets(grey_film(top / "broken.mkv")),
    lambda top: grey_film(top / "two.mp4", Track(), Track()),
    lambda top: grey_film(
        top / "stamps.mkv",
        Track("ffv1", stamps=STEADY, pix_fmt="bgr0"),
        stamp=lambda time, k: time + 1.0 * (k == 50),
    ),
]
PAST = {  # warnings that no file gives here → why
    "reading of the": "an error of FFmpeg in the middle of a file; the test below makes one",
    "is stereo: both channels": "of a sound model; test_model_features runs one",
    "mel features have no value below": "of arrays in Python; audio/test_processor has some",
}


def templates():
    """Literal texts of all warnings of the packages, in the code."""
    files = [path for top in (giblet.audio, giblet.film) for path in python_files(top)]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in LOGGING:
                yield from texts(node)
            if isinstance(node, ast.FunctionDef) and node.name in LEVELS:
                for inner in ast.walk(node):
                    if isinstance(inner, ast.Return):
                        yield from texts(inner)


def python_files(package):
    return sorted(Path(package.__path__[0]).glob("*.py"))


def texts(node):
    """The longest piece of literal text in each text of an expression."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            piece = max(re.split(r"%[-.\d]*[sdfg]", inner.value), key=len)
            if len(piece.split()) > 2:
                yield piece.strip(" :(,")


@pytest.fixture
def run_verbs(tmp_path, monkeypatch, capsys):
    """Runs verbs on a file as rules do, and returns the lines that the report adds from logs."""

    def run(*commands):
        logs = tmp_path / "logs"
        logs.mkdir(exist_ok=True)
        monkeypatch.setenv(KEEPS_LOG, "1")
        for command in commands:
            capsys.readouterr()
            main(command) if isinstance(command, list) else command()
            number = len(list(logs.iterdir()))
            (logs / f"rule{number}.log").write_text(capsys.readouterr().err)
        return warnings_only_in(logs, [])

    return run


def verbs_of(path, out):
    settings = ["--settings", json.dumps({"t_r": 1.0})]
    yield ["extract_mel", "--film", str(path), "--mel", f"{out}.mel.nc", *settings]
    yield ["extract_video", "--film", str(path), "--video", f"{out}.video.nc", *settings]


def clip(path):
    with log_to_stderr():
        write_sound(path, np.full(100, 1.5, np.float32), 8000)


def test_every_warning_of_sound_and_video_reaches_the_report(tmp_path, run_verbs, monkeypatch):
    films = [make(tmp_path) for make in FILMS]
    commands = [command for path in films for command in verbs_of(path, path)]
    lines = run_verbs(*commands, lambda: clip(tmp_path / "clip.wav"))
    expected = set(templates())
    assert len(expected) >= 18
    unseen = {text for text in expected if not any(text in line for line in lines)}
    assert {text for text in unseen if not any(text.startswith(past) for past in PAST)} == set()
    assert len(unseen) == len(PAST)


def test_an_error_of_the_decoder_reaches_the_report(tmp_path, run_verbs, monkeypatch):
    path = film(tmp_path / "a.mkv", "aac")
    from giblet.film import container

    def stopping(film, stream, path, packets=container.stream_packets):
        for k, packet in enumerate(packets(film, stream, path)):
            if k == 100:
                raise OSError(5, "Input/output error")
            yield packet

    monkeypatch.setattr(container, "stream_packets", stopping)
    lines = run_verbs(next(verbs_of(path, path)))
    assert any("reading of the audio stopped: Input/output error" in line for line in lines)


def test_every_warning_of_words_reaches_the_report(tmp_path, run_verbs):
    words = tmp_path / "words.tsv"
    rows = ["0\t1\tso it is", "1\t2\t[noise]", "n/a\tn/a\tlost", "4\t3\twrong", "2\t3\tas it was"]
    words.write_text("\n".join(["start\tend\ttext", *rows, "1\t2.5\tno no"]))
    path = film(tmp_path / "a.wav", "pcm_s16le")
    settings = {"t_r": 1.0, "words": {"leave_out_bad_rows": True, "leave_out_untimed": True}}
    files = ["--film", str(path), "--annotations", str(words), "--text", str(tmp_path / "text.nc")]
    lines = run_verbs(["embed_text", *files, "--settings", json.dumps(settings)])
    stored = warnings_of(load_arrays(tmp_path / "text.nc").attrs)
    assert len(stored) >= 5
    for warning in stored:
        assert any(" ".join(warning.split()) in line for line in lines)


def test_jitter_that_is_ignored_is_not_reported(tmp_path, run_verbs):
    path = film(tmp_path / "a.mkv", "aac", begin=0.05, video="mpeg4", stamp=jittering(4))
    assert run_verbs(next(verbs_of(path, path))) == []
