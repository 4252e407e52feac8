"""What doctor says of scans before the run is what the run will say, from the same code."""

import nibabel
import numpy as np
import pandas as pd
import pytest
import soundfile
from tiny_pipeline import random_piece

from giblet.commands.doctor.data_sizes import measure
from giblet.config.config import parse_config
from giblet.music.midi import write_midi

T_R, N_TRS = 1.0, 60


@pytest.fixture
def say(tmp_path):
    """Warnings and problems of two subjects' scans of 70 volumes and 6 parcels, a film of 60 s."""
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "film.wav", rng.normal(0, 0.1, N_TRS * 8000), 8000)
    for name in ("a", "b"):
        table = pd.DataFrame(rng.normal(100, 1, (N_TRS + 10, 6)), columns=list("ABCDEF"))
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    runs = pd.DataFrame({"subject": ["01", "02"], "file": ["a.csv", "b.csv"]})
    runs.assign(t_r=T_R, film_onset=0.0).to_csv(tmp_path / "runs.tsv", sep="\t", index=False)

    def measured(**settings):
        files = {"film": str(tmp_path / "film.wav"), "bold": str(tmp_path / "runs.tsv")}
        splits = {"splits": {"gap_seconds": 1.0}}
        config = parse_config(files | {"dataset": "x", "t_r": T_R} | splits | settings)
        _sizes, lines, problems = measure(config)
        return "\n".join(lines), problems

    return measured


def test_scans_that_go_on_after_the_film(say):
    lines, problems = say()
    assert "note: 10 TRs were scanned after the film's end, and left out" in lines
    assert not problems
    assert "after the film's end" not in say(max_trs=50)[0]


def test_a_sound_model_that_hears_beyond_the_gap(say):
    own = {"name": "some/model", "step_seconds": 2.0, "context_seconds": 5.0}
    line = "WARNING: sound_model: features hold sound from up to 7 s away"
    assert line in say(sound_model=own, splits={"gap_seconds": 6.0})[0]
    own["context_seconds"] = 4.0
    assert "sound_model: features" not in say(sound_model=own, splits={"gap_seconds": 6.0})[0]


def ast_folder(folder):
    from transformers import ASTConfig, ASTFeatureExtractor

    ASTConfig(hidden_size=8, num_hidden_layers=1).save_pretrained(folder)
    ASTFeatureExtractor().save_pretrained(folder)


def clap_folder(folder):
    from transformers import ClapConfig, ClapFeatureExtractor

    ClapConfig().save_pretrained(folder)
    ClapFeatureExtractor(max_length_s=8).save_pretrained(folder)


def wave_folder(folder):
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor

    Wav2Vec2Config().save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)


def bert_folder(folder):
    """Of a type that giblet has no entry for."""
    from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2BertConfig

    Wav2Vec2BertConfig().save_pretrained(folder)
    SeamlessM4TFeatureExtractor().save_pretrained(folder)


@pytest.mark.parametrize(
    ("make", "reach"),
    [(ast_folder, "5.62"), (clap_folder, "4.5"), (wave_folder, "15"), (bert_folder, "15")],
    ids=["AST", "CLAP", "wav2vec 2.0", "Wav2Vec2-BERT"],
)
def test_the_reach_is_that_of_the_model(say, tmp_path, make, reach):
    """AST and CLAP take windows of one length: 1 s, and half of the rest before and after it."""
    make(tmp_path / "model")
    own = {"sound_model": {"name": str(tmp_path / "model")}}
    far = say(**own, splits={"gap_seconds": float(reach) - 0.1})[0]
    assert f"WARNING: sound_model: features hold sound from up to {reach} s away" in far
    assert "features hold sound" not in say(**own, splits={"gap_seconds": float(reach) + 0.1})[0]


def test_a_text_model_as_sound_model_is_a_problem(say, tmp_path):
    from transformers import BertConfig

    BertConfig().save_pretrained(tmp_path / "model")
    own = {"name": str(tmp_path / "model")}
    for sound_model in (own, own | {"step_seconds": 2.0, "context_seconds": 5.0}):
        (problem,) = say(sound_model=sound_model)[1]
        assert "not an audio model (bert: " in problem
        assert "Choose a model of transformers that takes sound" in problem


def test_the_reach_of_a_model_that_is_not_here_is_not_guessed(say):
    own = {"sound_model": {"name": "some/model"}}
    assert "features hold sound" not in say(**own, splits={"gap_seconds": 2.0})[0]


def test_voxels_that_are_left_out(say):
    lines, problems = say(max_voxels=4)
    assert "voxels: 4 of 6 are used, those of highest ISC in training TRs (max_voxels)" in lines
    assert not problems
    assert "max_voxels" not in say(max_voxels=6)[0]


def test_a_region_that_is_not_there(say):
    assert not say(decoding={"region": "B"}, lesion={"regions": "parcels"})[1]
    (problem,) = say(decoding={"region": "G"}, lesion={"regions": "parcels"})[1]
    assert problem == "decoding.region: no region G; known: A, B, C, D, E, F"
    (problem,) = say(decoding={"region": "B"})[1]
    assert problem == 'decoding.region needs a label image, or "parcels", as lesion.regions'


def test_regions_of_an_image_need_places(say, tmp_path):
    nibabel.Nifti1Image(np.ones((2, 2, 2), np.int16), np.eye(4)).to_filename(tmp_path / "a.nii")
    (problem,) = say(decoding={"region": "1"}, lesion={"regions": str(tmp_path / "a.nii")})[1]
    assert "these data have no coordinates in the brain; use parcels instead" in problem


def test_many_stimuli_are_checked_with_their_events(say, tmp_path):
    folder, events = tmp_path / "sounds", []
    folder.mkdir()
    for n in range(5):
        sound = np.random.default_rng(n).normal(0, 0.1, 12 * 8000)
        soundfile.write(folder / f"s{n}.wav", sound, 8000)
        events.append((12 * n, 12, f"s{n}.wav"))
    columns = ["onset", "duration", "stim_file"]
    pd.DataFrame(events, columns=columns).to_csv(tmp_path / "e.tsv", sep="\t", index=False)
    runs = pd.DataFrame({"subject": ["01", "02"], "file": ["a.csv", "b.csv"], "events": "e.tsv"})
    runs.assign(t_r=T_R).to_csv(tmp_path / "runs.tsv", sep="\t", index=False)
    settings = {"film": "demo", "stimuli": str(folder)}
    lines, problems = say(**settings)
    assert not problems
    assert "5 of 12 to 12 s" in lines
    assert "8 of 10 presentations begin within 12 s of the one before" in lines
    assert "begin within" not in say(**settings, events={"carry_over": True})[0]
    assert "after the film's end" not in lines
    (problem,) = say(**settings, splits={"test_stimuli": ["s9"]})[1]
    assert problem == "splits.test_stimuli: no stimulus s9"
    assert "stimuli need scans as bold" in say(**settings, bold="none")[1][0]
    assert "have the score of" not in lines
    for n in range(5):
        write_midi(random_piece(12, n % 4), folder / f"s{n}.mid")
    parts = {"test_stimuli": ["s4"], "validation_stimuli": ["s3"], "gap_seconds": 0}
    lines, problems = say(**settings, score="auto", splits=parts)
    assert not problems
    assert "1 test stimuli have the score of stimuli that train: s4 (of s0)" in lines
    assert "have the score of" not in say(**settings, score="none")[0]
    splits = {"folds": 5, "gap_seconds": 0}
    assert not say(**settings, score="none", splits=splits)[1]
    (problem,) = say(**settings, score="auto", splits=splits)[1]
    assert problem.endswith("share no seconds and no score: of 5 there are 4")
    (folder / "s4.wav").unlink()
    assert "row 5: no stimulus 's4.wav'" in say(**settings)[1][0]


@pytest.mark.parametrize(("n_orders", "has_ridge"), [(1, True), (6, False)])
def test_ridge_of_stimuli_is_that_of_their_own_folds(say, tmp_path, n_orders, has_ridge):
    """One run of everyone, in one order or in six: where orders differ, no stimulus lies apart."""
    folder, n_stimuli, step = tmp_path / "sounds", 20, 15
    folder.mkdir()
    for n in range(n_stimuli):
        noise = np.random.default_rng(n).normal(0, 0.1, 8000 * 12)
        soundfile.write(folder / f"s{n}.wav", noise, 8000)
    rng, rows = np.random.default_rng(0), []
    for s in range(6):
        order = np.random.default_rng(s % n_orders).permutation(n_stimuli)
        events = pd.DataFrame({"onset": step * np.arange(n_stimuli), "duration": 12})
        events["stim_file"] = [f"s{k}.wav" for k in order]
        events.to_csv(tmp_path / f"e{s}.tsv", sep="\t", index=False)
        table = pd.DataFrame(rng.normal(100, 1, (step * n_stimuli, 4)), columns=list("ABCD"))
        table.to_csv(tmp_path / f"run{s}.csv", index=False)
        rows.append((f"{s:02d}", f"run{s}.csv", f"e{s}.tsv", T_R))
    columns = ["subject", "file", "events", "t_r"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "runs.tsv", sep="\t", index=False)
    splits = {"test": 0.3, "validation": 0.1, "gap_seconds": 0}
    settings = {"film": "demo", "stimuli": str(folder), "splits": splits}
    lines, problems = say(**settings, events={"carry_over": True})
    assert not problems
    needs = {line[4:35].strip(): line[35:].split() for line in lines.splitlines()}
    assert ("MISSING:" not in needs["ridge from the film"]) == has_ridge
    assert ("ridge was left out" in lines) != has_ridge
    assert needs["ridge from the film"][:2] == ["by", "part"]
    assert " ".join(needs["10-way identification of clips"]).endswith(
        "WILL BE MISSING: there are 6 clips of 8 s in the test part"  # one in each whole stimulus
    )
    (problem,) = say(**settings | {"splits": {"test_stimuli": ["s*"]}})[1]
    assert "too few TRs of stimuli" in problem
    for n in range(n_stimuli):  # recordings of one score: none can be held out
        write_midi(random_piece(12, 0), folder / f"s{n}.mid")
    lines, _ = say(**settings, score="auto")
    needs = {line[4:35].strip(): line[35:].split() for line in lines.splitlines()}
    assert "MISSING:" in needs["ridge from the film"]
    assert "share no seconds and no score: of 20 there is 1" in lines


@pytest.mark.parametrize("bold", ["none", "simulated"])
def test_pieces_are_checked_without_real_scans(say, tmp_path, bold):
    rows = ["file\tonset"]
    for n in range(4):
        write_midi(random_piece(14, n), tmp_path / f"p{n}.mid")
        rows.append(f"p{n}.mid\t{15 * n}")
    (tmp_path / "pieces.tsv").write_text("\n".join(rows) + "\n")
    settings = {"bold": bold, "score": str(tmp_path / "pieces.tsv")}
    lines, problems = say(**settings)
    assert not problems
    assert "score: of 4 pieces" in lines
    assert "both train and are tested" not in lines
    gap = {"gap_seconds": 1.0}
    (problem,) = say(**settings, splits=gap | {"test_pieces": ["p9"]})[1]
    assert problem.startswith("splits.test_pieces: no piece p9")
    cut = gap | {"pieces": "cut", "test": 0.1, "validation": 0.05}
    assert "both train and are tested: p3" in say(**settings, splits=cut)[0]
    (problem,) = say(**settings, splits=gap | {"pieces": "whole", "folds": 5})[1]
    assert "parts of whole ones need 5" in problem
    (tmp_path / "pieces.tsv").write_text("file\tonset\np0.mid\t0\np1.mid\t30\n")
    (problem,) = say(**settings, splits=gap | {"pieces": "whole"})[1]
    assert "2 pieces that share no seconds of a score" in problem
