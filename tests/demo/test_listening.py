"""Simulated listeners: each region follows what its name says; every file says simulated."""

import json

import numpy as np
import pytest

from giblet.audio.files import write_sound
from giblet.brain.bold import load_bids
from giblet.brain.regions import find_regions
from giblet.commands.scans import simulate_bold
from giblet.config.config import parse_config
from giblet.demo import known_songs_path, music_path
from giblet.demo.bids_writer import simulate_listeners
from giblet.demo.brains import LISTENERS, blur, run_clocks
from giblet.demo.listening import (
    form_features,
    listening_features,
    surprisal_features,
    tonality_features,
)
from giblet.errors import GibletError
from giblet.io.arrays import load_arrays
from giblet.io.tables import load_json, load_table
from giblet.music.midi import read_midi, write_midi
from giblet.music.ngrams import NgramModel
from giblet.music.notes import Notes
from giblet.music.synth import SAMPLE_RATE, synthesize

REGIONS = ["auditory", "surprisal", "tonal", "form"]


def melody(pitches, seconds=0.5):
    n = len(pitches)
    onset = np.arange(n) * seconds
    return Notes(onset, np.full(n, seconds), np.array(pitches), np.full(n, 80))


def test_surprisal_is_of_pitches_by_songs_that_the_pipeline_never_reads():
    notes = read_midi(music_path())
    values = surprisal_features(notes, 5480)
    surprisal = NgramModel([read_midi(known_songs_path())], memory="long").surprisal(notes).pitch
    assert values.shape == (5480, 1)
    assert values.sum() == pytest.approx(0, abs=1e-6)
    begun = np.bincount((notes.onset * 10).astype(int), minlength=5480)
    assert not values[begun == 0].any()
    assert abs(np.corrcoef(values[:, 0], begun)[0, 1]) < 0.3  # it does not count notes
    (alone,) = np.flatnonzero(begun == 1)[[100]]
    note = (notes.onset * 10).astype(int) == alone
    assert values[alone, 0] == pytest.approx((surprisal - surprisal.mean())[note][0])


def test_a_wrong_note_is_a_surprise():
    """The seventh note of a scale, two octaves away."""
    scale = [60, 62, 64, 65, 67, 69, 71, 72] * 3
    wrong = scale.copy()
    wrong[14] += 24
    at = np.arange(24) * 5
    expected, heard = (surprisal_features(melody(p), 125)[at, 0] for p in (scale, wrong))
    assert heard.argmax() == 14
    assert heard[14] - heard.mean() > expected[14] - expected.mean() + 1


def test_tonality_moves_with_the_key_and_is_clear_in_one():
    c_major, f_sharp = [60, 64, 67, 72], [66, 70, 73, 78]
    features = tonality_features(melody(c_major * 10 + f_sharp * 10), 400)
    assert features.shape == (400, 7)
    fifths = features[:, :2]
    before, after = fifths[100:190].mean(0), fifths[300:390].mean(0)
    assert before @ after < 0  # opposite in the circle of fifths
    rng = np.random.default_rng(0)
    without_key = tonality_features(melody(rng.permutation(np.tile(np.arange(60, 72), 7))), 400)
    assert features[150:190, 6].min() > without_key[150:390, 6].max()


def test_form_marks_the_middle_of_a_piece_of_two_parts():
    features = form_features(melody([60, 64, 67, 72] * 30 + [66, 70, 73, 78] * 30), 1200)
    assert features[:, 0].argmax() == pytest.approx(840, abs=2)  # 24 s after the border at 60 s
    assert features[480:600].max() < 0.01


def test_the_bundled_music_is_not_among_the_known_songs():
    notes = read_midi(music_path())
    assert 8 * 60 < notes.end < 9.2 * 60
    assert notes.beats is not None
    known = read_midi(known_songs_path())
    intervals = {tuple(np.diff(known.pitch)[i : i + 24]) for i in range(len(known) - 24)}
    shared = [tuple(np.diff(notes.pitch)[i : i + 24]) in intervals for i in range(len(notes) - 24)]
    assert not any(shared)


def correlations(prediction, bold):
    """r of every voxel with its best linear mix of the columns of ``prediction``."""
    design = np.column_stack([np.ones(len(prediction)), prediction])
    fitted = design @ np.linalg.lstsq(design, bold, rcond=None)[0]
    return fitted.std(axis=0) / bold.std(axis=0)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("brains") / "bids", np.random.default_rng(1)
    features = [rng.standard_normal((4000, n)) for n in (3, 1, 4, 1)]
    simulate_listeners(folder, *features, t_r=1.5, n_subjects=1, resolution_mm=16, noise=0.5)
    return folder, features


@pytest.mark.parametrize("region", [1, 2, 3])
def test_each_region_follows_its_own_features(simulated, region):
    """As they are: only sound is adapted to."""
    folder, features = simulated
    arrays, truth = load_bids(folder), load_arrays(folder / "truth.nc")
    clocks = run_clocks(400, 1.5, 3, 6.0, 9.0)
    answer = np.concatenate([blur(features[region], 10.0, clock, 1.5) for clock in clocks])
    r = correlations(answer, arrays["bold"].to_numpy())
    own = truth["membership"].to_numpy()[region]
    assert np.median(r[own]) > 0.6
    assert np.median(r[~own]) < 0.25


def test_every_file_says_simulated(simulated):
    import nibabel

    folder, _ = simulated
    assert load_arrays(folder / "truth.nc")["region"].to_numpy().tolist() == REGIONS
    assert [*find_regions(load_bids(folder), folder)] == REGIONS == [*LISTENERS.regions]
    description = load_json(folder / "dataset_description.json")
    assert description["Name"] == "SIMULATED brains listening to music"
    sidecars = [*folder.rglob("*_bold.json")]
    assert sidecars
    assert all("SIMULATED" in json.dumps(load_json(file)) for file in sidecars)
    for image in folder.rglob("*_bold.nii.gz"):
        assert nibabel.load(image).header["descrip"].item() == b"SIMULATED by giblet"
    for events in folder.rglob("*_events.tsv"):
        assert load_table(events)["trial_type"].tolist() == ["music"]


@pytest.fixture
def sound(tmp_path):
    """Forty seconds of a scale, and its score."""
    notes = melody([60, 62, 64, 65, 67, 69, 71, 72, 79, 61] * 8)
    write_midi(notes, tmp_path / "piece.mid")
    write_sound(tmp_path / "piece.wav", synthesize(notes), SAMPLE_RATE)
    return tmp_path / "piece.wav"


def test_brains_of_sound_with_a_score_listen(sound, tmp_path):
    config = parse_config({"film": str(sound), "dataset": "x", "bold": "simulated"})
    simulate_bold(sound, tmp_path / "brains", config, score=sound.with_suffix(".mid"))
    assert load_arrays(tmp_path / "brains/truth.nc")["region"].to_numpy().tolist() == REGIONS


def test_the_score_may_begin_later_in_the_film(sound):
    score = sound.with_suffix(".mid")
    at_once, later = listening_features(sound, score), listening_features(sound, score, offset=2.0)
    np.testing.assert_array_equal(at_once[0], later[0])
    for features, moved in zip(at_once[1:], later[1:], strict=True):
        np.testing.assert_allclose(moved[20:], features[:-20], atol=1e-9)


def test_music_without_form_is_one_line(tmp_path):
    write_midi(melody([60, 64, 67]), tmp_path / "short.mid")
    write_sound(tmp_path / "short.wav", synthesize(melody([60, 64, 67])), SAMPLE_RATE)
    with pytest.raises(GibletError, match="its form never changes, and SIMULATED"):
        listening_features(tmp_path / "short.wav", tmp_path / "short.mid")


def test_the_music_demo_is_simulated_by_default():
    assert parse_config({"film": "demo_music"}).bold_source == "simulated"
    assert not parse_config({"film": "demo_music"}).has_annotations
