"""Silence where a brain follows the music, and the notes go; silence elsewhere, and they stay.

BOLD of two simulated people follows one level of the score in one of three regions.
"""

import json

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from evaluation.test_score_reconstruction import DECODING, N_TRS, T_R, Codebook, held_out
from factories import flat_model
from scipy.signal import lfilter

from giblet.alignment.aligned import align, film_shapes
from giblet.alignment.hrf import tr_kernel
from giblet.audio.files import write_sound
from giblet.audio.processor import AudioProcessor
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.commands.cli import main
from giblet.config.config import parse_config
from giblet.config.regions import LesionConfig
from giblet.config.sections import SplitConfig
from giblet.errors import GibletError
from giblet.evaluation.lesions import decode_lesions, score_change_rows
from giblet.evaluation.score_lesions import ScoreLesions
from giblet.io.arrays import save_arrays
from giblet.io.checksums import fingerprint
from giblet.io.tables import load_table
from giblet.music.midi import write_midi
from giblet.music.score_trs import piano_roll
from giblet.music.synth import synthesize

N_EACH = 30
HEARS = np.arange(3 * N_EACH) < N_EACH
REGIONS = {"hears": HEARS, "sees": np.arange(3 * N_EACH) >= 2 * N_EACH}


@pytest.fixture(scope="module")
def made():
    """The code, held-out music, and rows of lesions."""
    rng = np.random.default_rng(0)
    code = Codebook(held_out(), rng)
    drive = code.code["quick"] @ rng.standard_normal((4, N_EACH))
    answer = lfilter(tr_kernel(T_R, 0.75), 1, drive, axis=0)
    bold = rng.standard_normal((2, N_TRS, 3 * N_EACH))
    bold[..., HEARS] = 0.1 * bold[..., HEARS] + answer / answer.std()
    code.held = held_out(bold)
    score = ScoreLesions(code.held, code)
    together = np.concatenate([*code.code.values()], axis=1)
    plan, decoded = decode_lesions(
        together, code.held.data, REGIONS, T_R, DECODING, LesionConfig(), seed=0
    )
    levels = [[{"quick": one[:, :4], "slow": one[:, 4:]} for one in each] for each in decoded]
    return score, pd.DataFrame(score_change_rows(plan, levels, score, seed=0))


def row(table, region, mode, metric, level=None):
    same = table[(table[["region", "mode", "metric"]] == [region, mode, metric]).all(axis=1)]
    same = same[same["level"].isna() if level is None else same["level"] == level]
    return same.iloc[0]


def test_single_subjects_lie_around_their_mean(made):
    _, table = made
    assert (table["lowest"] <= table["change"] + 1e-9).all()
    assert (table["change"] <= table["highest"] + 1e-9).all()
    assert (table["lowest"] < table["highest"]).any()


def test_notes_are_lost_with_the_region_that_follows_them(made):
    _, table = made
    for metric in ("note_f1", "pitch_class_r", "onset_density_r", "key_agreement"):
        lost = row(table, "hears", "silenced", metric)
        assert lost["value"] < 0.5 * lost["intact"], metric
        for region, mode in [("sees", "silenced"), ("hears", "alone"), ("hears", "random")]:
            assert abs(row(table, region, mode, metric)["change"]) < 0.1, (metric, region, mode)
        others = row(table, "sees", "alone", metric)
        assert others["value"] < 0.5 * others["intact"], metric
    assert row(table, "hears", "silenced", "note_f1")["high"] < 0


def test_only_the_level_that_bold_follows_can_be_lost(made):
    _, table = made
    quick = row(table, "hears", "silenced", "latent_identification_10way", "quick")
    assert quick["intact"] > 0.3
    assert quick["high"] < -0.15
    assert quick["value"] < 0.25
    slow = row(table, "hears", "silenced", "latent_r", "slow")
    assert abs(slow["intact"]) < 0.35
    assert row(table, "hears", "silenced", "latent_r", "quick")["change"] < -0.4


def test_intervals_of_a_level_draw_what_its_values_share(made):
    score, _ = made
    assert score.n_together("quick") == 1  # 1.5 s, clips of 3 s
    assert score.n_together("slow") == 5  # 15 s
    whole = type(score.code)(score.held, np.random.default_rng(1))
    whole.seconds = {"quick": T_R, "slow": np.inf}
    n_clips = len(score.held.data.where("test")) // 2
    assert ScoreLesions(score.held, whole).n_together("slow") == n_clips


def test_notes_that_would_have_to_be_drawn_are_left_out(made):
    score, _ = made
    drawn = Codebook(score.held, np.random.default_rng(1))
    drawn.is_read_out = False
    assert ScoreLesions(score.held, drawn).notes([{}], seed=0) == {}


def test_too_few_clips_are_one_line(made):
    score, _ = made
    with pytest.raises(GibletError, match=r"2 clips of 40\.5 s"):
        ScoreLesions(held_out(clip_seconds=40.0), score.code)


# ---- files in, files out -------------------------------------------------------------------------

SECONDS, SHORT = 60, 40  # s, TRs
SETTINGS = {
    "music": {"model": "none"},
    "lesion": {"n_draws": 1, "sound": False},
    "decoding": {"clip_seconds": 1.5, "voxel_share": 1.0, "n_permutations": 9},
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A rendered piece, its score as read, noise as BOLD, and a model that learned nothing."""
    from tiny_pipeline import random_piece

    folder, rng = tmp_path_factory.mktemp("lesion"), np.random.default_rng(0)
    piece, processor = (
        random_piece(SECONDS),
        AudioProcessor.from_config(parse_config(SETTINGS), "encodec"),
    )
    rate = processor.sample_rate
    write_midi(piece, folder / "film.mid")
    sound = np.pad(synthesize(piece, rate), (0, SECONDS * rate))[: SECONDS * rate]
    write_sound(folder / "film.wav", sound, rate)
    assert verb(folder, "read_score", film="film.wav", score="film.mid", notes="score.nc") == 0
    facts = processor.facts() | {"input": fingerprint(folder / "film.wav"), "film": "film.wav"}
    audio = processor.audio_to_features(folder / "film.wav")[0]
    film = xr.Dataset({"audio": (("tr", "row", "frame"), audio)}, attrs=facts)
    roll = piano_roll(piece, T_R, SHORT)
    score = xr.Dataset({"score": (("tr", "score_step", "score_row"), roll)})
    clock = {"subject": "sub-01", "run": "run-1", "in_film": True}
    scans = xr.Dataset(
        {"bold": (("volume", "parcel"), rng.standard_normal((SHORT, 6)).astype(np.float32))},
        coords={name: ("volume", np.repeat(value, SHORT)) for name, value in clock.items()}
        | {"film_time": ("volume", np.arange(SHORT) * T_R + 0.75)}
        | {"parcel": ["left"] * 3 + ["right"] * 3},
        attrs={"t_r": T_R, "warnings": [], "source": "SIMULATED"},
    )
    blurred = xr.Dataset({"regressors": (("volume", "feature"), rng.standard_normal((SHORT, 2)))})
    splits = SplitConfig(test=0.4, gap_seconds=1.5)
    aligned = align([film, score], scans, [blurred], T_R, splits)
    save_arrays(aligned, folder / "aligned.nc")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shapes = film_shapes(aligned, "spm", processor.codec.codebook_dim)
        Autoencoder(shapes, flat_model()).save_pretrained(folder / "model")
    return folder


def verb(folder, name, *words, **paths):
    options = [w for option, file in paths.items() for w in (f"--{option}", str(folder / file))]
    return main([name, *options, *words, "--settings", json.dumps(SETTINGS)])


@pytest.mark.slow
def test_the_intact_brain_has_the_scores_of_reconstruct_score(files):
    shared = {"film": "film.wav", "aligned": "aligned.nc", "score": "score.nc", "model": "model"}
    assert verb(files, "reconstruct_score", **shared, music="music", scores="music.tsv") == 0
    assert verb(files, "lesion", **shared, audio="audio", scores="lesion.tsv") == 0
    lesions, scores = load_table(files / "lesion.tsv"), load_table(files / "music.tsv")
    brain = scores[scores["column"] == "score_brain"].fillna({"level": ""})
    lesions = lesions.fillna({"level": ""})
    for metric, level in [("note_f1", ""), ("pitch_class_r", ""), ("latent_r", "bottleneck")]:
        same = [
            table[(table["metric"] == metric) & (table["level"] == level)]
            for table in (brain, lesions)
        ]
        assert len(same[1]) == 6  # two parcels, three modes
        np.testing.assert_allclose(same[1]["intact"], same[0]["value"].item(), atol=1e-6)
    assert {"code_accuracy", "bottleneck_r"} <= set(lesions.query("level == ''")["metric"])


@pytest.mark.slow
def test_a_score_that_cannot_be_scored_leaves_the_other_scores(files, capsys):
    shared = {"film": "film.wav", "aligned": "aligned.nc", "score": "score.nc", "model": "model"}
    few = SETTINGS | {"decoding": {"clip_seconds": 8.0, "voxel_share": 1.0}}
    paths = shared | {"audio": "audio", "scores": "few.tsv"}
    options = [w for option, file in paths.items() for w in (f"--{option}", str(files / file))]
    assert main(["lesion", *options, "--settings", json.dumps(few)]) == 0
    assert "no lesions of the score: the test part has 2 clips of 9 s" in capsys.readouterr().err
    assert "level" not in load_table(files / "few.tsv")
