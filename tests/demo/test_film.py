"""The bundled film is what its annotations say, and its script makes the same one again."""

import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from demo_film import speech
from demo_film.music import INSTRUMENTS
from demo_film.pictures import FPS, HEIGHT, PICTURES, WIDTH
from demo_film.script import Line, read_scenes
from demo_film.soundtrack import EFFECTS, SAMPLE_RATE, SCENE_DURATION, soundtrack
from make_demo_film import NARRATION, SEED, film_frames

from giblet.demo import annotations_path, film_path
from giblet.errors import GibletError
from giblet.io.tables import load_table
from giblet.timing import count_samples

SCRIPT = Path(__file__).parents[2] / "workflow" / "scripts" / "make_demo_film.py"
DURATION = 540.0  # seconds
needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="espeak-ng, which speaks the narration, is missing"
)


@pytest.fixture(scope="module")
def scenes():
    return read_scenes(NARRATION.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def annotations():
    return load_table(annotations_path())


@pytest.fixture(scope="module")
def sound():
    with av.open(str(film_path())) as film:
        pieces = [frame.to_ndarray()[0] for frame in film.decode(audio=0)]
    return np.concatenate(pieces)


def level_db(sound, onset, end):
    piece = sound[count_samples(onset, SAMPLE_RATE) : count_samples(end, SAMPLE_RATE)]
    return 10 * np.log10(np.mean(piece**2) + 1e-12)


def spoken(scenes, kind):
    return {line.text for s in scenes for p in s.parts if p.kind == kind for line in p.lines}


def test_film_is_small_and_lasts_540_s(sound):
    assert film_path().stat().st_size <= 6_000_000
    assert len(sound) / SAMPLE_RATE == pytest.approx(DURATION, abs=0.1)
    with av.open(str(film_path())) as film:
        stream = film.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (WIDTH, HEIGHT, FPS)
        last = [packet.pts for packet in film.demux(stream) if packet.pts is not None]
        assert len(last) == DURATION * FPS
        assert float(max(last) * stream.time_base) == pytest.approx(DURATION, abs=0.1)


def test_sound_is_neither_clipped_nor_faint(sound):
    assert np.abs(sound).max() <= 0.95
    for start in range(0, 540, 90):
        assert -23 < level_db(sound, start, start + 90) < -19


def test_annotations_lie_inside_the_film_and_one_after_another(annotations):
    assert list(annotations.columns) == ["onset", "duration", "text"]
    ends = annotations.onset + annotations.duration
    assert annotations.onset.min() >= 0
    assert ends.max() <= DURATION
    assert (annotations.onset.to_numpy()[1:] >= ends.to_numpy()[:-1]).all()
    assert 0.55 <= annotations.duration.sum() / DURATION <= 0.60


def test_no_sentence_straddles_two_scenes(annotations):
    first = annotations.onset // SCENE_DURATION
    last = (annotations.onset + annotations.duration - 0.001) // SCENE_DURATION
    assert (first == last).all()


def test_annotations_are_the_narration(annotations, scenes):
    text = [line.text for scene in scenes for part in scene.parts for line in part.lines]
    assert annotations.text.tolist() == text


def test_sentences_are_where_the_sound_is(annotations, scenes, sound):
    """Between sentences of speech alone it is quiet; the edges are right to a few hundredths."""
    alone = annotations.text.isin(spoken(scenes, "speech"))
    n_checked = 0
    for i in np.flatnonzero(alone.to_numpy()[:-1] & alone.to_numpy()[1:]):
        onset, duration = annotations.onset[i], annotations.duration[i]
        end, following = onset + duration, annotations.onset[i + 1]
        if following - end > 1:  # another part lies between them
            continue
        speech_db = level_db(sound, onset, end)
        assert speech_db > level_db(sound, end + 0.02, following - 0.02) + 25
        assert speech_db == pytest.approx(-20, abs=1)
        n_checked += 1
    assert n_checked >= 20


def test_every_90_s_have_every_kind_of_sound(scenes):
    """90 s hold at least one whole scene, wherever they begin."""
    for scene in scenes:
        kinds = {part.kind for part in scene.parts}
        assert kinds == {"speech", "speech+music", "music", "effects"}


def test_narration_names_things_that_exist(scenes):
    for scene in scenes:
        assert scene.picture in PICTURES
        assert {scene.melody, scene.chords} <= set(INSTRUMENTS)
        for part in scene.parts:
            assert set(part.effects) <= set(EFFECTS)
            assert {line.voice for line in part.lines} <= set(speech.VOICES)


@pytest.mark.parametrize("name", EFFECTS)
def test_effects_fill_their_time(name):
    effect = EFFECTS[name](2.0, SAMPLE_RATE, np.random.default_rng(0))
    assert effect.shape == (2 * SAMPLE_RATE,)
    assert np.isfinite(effect).all()
    assert effect.std() > 0


@needs_espeak
def test_soundtrack_is_made_again_and_matches_the_film(scenes, annotations, sound):
    made, sentences = soundtrack(scenes[:1], SEED)
    again, _ = soundtrack(scenes[:1], SEED)
    np.testing.assert_array_equal(made, again)
    assert [s.text for s in sentences] == annotations.text[: len(sentences)].tolist()
    if np.allclose([s.onset for s in sentences], annotations.onset[: len(sentences)]):
        shipped = sound[: len(made)]  # the same espeak-ng: the same sound, AAC's loss apart
        assert np.corrcoef(made, shipped)[0, 1] > 0.98


def test_pictures_are_made_again_and_match_the_film(scenes):
    made = [frame for frame, _ in zip(film_frames(scenes, SEED), range(24), strict=False)]
    again = [frame for frame, _ in zip(film_frames(scenes, SEED), range(24), strict=False)]
    np.testing.assert_array_equal(made, again)
    with av.open(str(film_path())) as film:
        shipped = next(film.decode(video=0)).to_ndarray(format="rgb24")
    assert np.abs(shipped.astype(float) - made[0]).mean() < 10


def test_missing_espeak_is_one_clear_line(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(GibletError, match="espeak-ng is not installed"):
        speech.speak(Line("nora", "Hello."), SAMPLE_RATE)


def test_missing_espeak_leaves_nothing_behind(tmp_path):
    command = [sys.executable, SCRIPT, str(tmp_path)]
    result = subprocess.run(command, env={"PATH": ""}, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("giblet: espeak-ng is not installed")
    assert len(result.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_line_outside_the_notation_is_named():
    with pytest.raises(GibletError, match="line 2"):
        read_scenes("== Rain | rain | C major | 90 | flute | harp\n-- silence 3")
