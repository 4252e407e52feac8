"""The workflow on a small film: what it builds, what it reruns, and what it says to mistakes."""

import os
import re
import shutil
import time
import zipfile
from inspect import signature

import numpy as np
import pandas as pd
import pytest
import soundfile
from small_results import write_results
from tiny_pipeline import (
    FILM,
    ROOT,
    SAID,
    SIMULATED,
    ask,
    cut_annotations,
    film_with_score,
    planned,
    random_piece,
    snakemake,
)

import giblet
from giblet.commands.cli import verb_functions
from giblet.commands.doctor.costs import COSTS
from giblet.commands.option_help import outputs
from giblet.config.config import Config
from giblet.demo import annotations_path
from giblet.film.text import NO_WORDS
from giblet.io.arrays import load_arrays
from giblet.io.tables import load_json, load_table, save_table
from giblet.log import read_events

NO_SCAN = "no scan was given: there is no brain column"


@pytest.fixture(scope="module")
def film_alone(small_results, tmp_path_factory):
    """A copy that this file may change."""
    return shutil.copytree(small_results, tmp_path_factory.mktemp("copies") / "film alone")


@pytest.fixture(scope="module")
def with_brains(small_results_with_brains, tmp_path_factory):
    """A copy that this file may change."""
    return shutil.copytree(
        small_results_with_brains, tmp_path_factory.mktemp("copies") / "with brains"
    )


# ---- what is written down ------------------------------------------------------------------------


def rules():
    """Name → text of every rule."""
    found = {}
    for file in sorted((ROOT / "workflow" / "rules").glob("*.smk")):
        _, *parts = re.split(r"^ *rule (\w+):\n", file.read_text(), flags=re.M)
        found |= dict(zip(parts[::2], parts[1::2], strict=True))
    return found


RULES = rules()
JOBS = sorted(RULES.keys() - {"reconstruct_audio"})
VERBS = {rule: rule for rule in JOBS} | {
    "train_codec": "codec train",
    "render_music": "music render",
}


def test_the_rules_are_those_that_were_agreed():
    assert RULES.keys() == {
        *("extract_codes", "extract_mel", "group_trs", "extract_video", "embed_text"),
        *("sound_features", "picture_features", "word_features"),
        *("read_score", "score_features", "reconstruct_score"),
        *("simulate_bold", "load_bold", "convolve_hrf", "brain_quality", "sync_align"),
        *("train", "reconstruct", "reconstruct_audio", "report", "train_codec"),
        *("join_stimuli", "pretrain", "lesion", "codec_ladder", "leave_one_out", "calibration"),
        *("anchored_prior", "render_music", "decode_features", "fold_scores", "export"),
        *("searchlight",),
    }
    assert COSTS.keys() == set(JOBS)


def test_the_snakefile_only_includes():
    lines = (ROOT / "Snakefile").read_text().splitlines()
    assert all(line.startswith(('include: "workflow/rules/', "#")) for line in lines)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_says_what_it_does(rule):
    assert re.match(r' +"""[A-Z].+\."""\n', RULES[rule])


@pytest.mark.parametrize("rule", JOBS)
def test_every_rule_declares_what_it_takes(rule):
    text = RULES[rule]
    for directive in ("input", "output", "log", "benchmark", "conda", "resources", "params"):
        assert re.search(rf"^ +{directive}:\n", text, re.M), directive
    for asked in ("threads: cores", "mem_mb=memory", "runtime=runtime"):
        if (rule, asked) == ("train", "threads: cores"):  # fewer for the report's path
            assert 'threads: lambda w: cores("train", training_threads(w.path))' in text
            continue
        assert re.search(rf'^ +{asked}\("{rule}"\),?$', text, re.M), asked
    assert f'source=source_fingerprint("{VERBS[rule]}"),' in text
    for part in ("input", "output"):  # named
        block = re.search(rf"^( +){part}:\n((?:\1 +.*\n)+)", text, re.M)
        assert re.match(r" +\w+=", block[2])


@pytest.mark.parametrize("rule", JOBS)
def test_every_rule_calls_its_verb_with_options_that_it_has(rule):
    shell = RULES[rule].split("shell:")[1]
    assert f'"$GIBLET_PYTHON" -m giblet {VERBS[rule]} ' in shell
    assert "2>&1 | tee -i {log:q}" in shell
    parameters = signature(verb_functions()[VERBS[rule]]).parameters
    known = {"settings" if p.annotation is Config else p.name for p in parameters.values()}
    assert set(re.findall(r"--(\w+)", RULES[rule])) <= known | {"threads"}
    paths = re.findall(r"\{(?:input|output|log)[^}]*\}", shell)
    assert all(path.endswith(":q}") for path in paths), "quote paths"


@pytest.mark.parametrize("rule", JOBS)
def test_what_a_rule_makes_is_what_its_verb_is_known_to_write(rule):
    shell = re.sub(r"['\"]\n +\"", "", RULES[rule].split("shell:")[1])
    given = re.findall(r"--(\w+)[= ]\{(input|output)\.", shell)
    assert "output" in dict(map(reversed, given))
    written = outputs(verb_functions()[VERBS[rule]])
    for option, part in given:
        assert (option in written) == (part == "output"), option


SOUNDLESS = ("picture_features",)  # reads frames alone


@pytest.mark.parametrize(
    "rule", [rule for rule in JOBS if "film=FILM" in RULES[rule] and rule not in SOUNDLESS]
)
def test_every_rule_that_reads_the_film_reads_its_chosen_sound_track(rule):
    assert re.search(r'settings\([^)]*"audio_track"', RULES[rule])


def test_lint_passes(tmp_path):
    done = ask(tmp_path, "--lint")
    assert done.returncode == 0, done.stdout


# ---- a film alone --------------------------------------------------------------------------------


def test_sounds_of_held_out_trs(film_alone):
    audio = film_alone / "results" / "tiny" / "audio" / "encodec"
    names = {file.name for file in audio.glob("*.*") if not file.name.startswith(".")}
    tables = {"reconstruct.json", "segments.tsv"}
    assert names == {"original.wav", "codec.wav", "stimulus.wav"} | tables
    part = load_arrays(film_alone / "results" / "tiny" / "aligned" / "encodec.nc")["part"]
    for name in names - tables:
        sound = soundfile.info(audio / name)
        assert (sound.samplerate, sound.channels) == (24000, 1)
        assert sound.duration == pytest.approx(1.5 * (part == "test").sum().item())


def test_scores_have_the_promised_columns_and_no_brain(film_alone):
    scores = load_table(film_alone / "results" / "tiny" / "scores.tsv")
    assert list(scores) == ["path", "column", "metric", "value", "low", "high", "n", "n_failed"]
    assert set(scores["path"]) == {"encodec"}
    assert {"codec", "stimulus"} <= set(scores["column"])
    assert not any("brain" in column for column in scores["column"])
    log = (film_alone / "logs" / "tiny" / "reconstruct_encodec.log").read_text()
    begins, warned, done = read_events(log)
    assert len(log.splitlines()) == 3
    assert begins.message == "reconstruct begins"
    assert (warned.level, warned.message) == ("WARNING", NO_SCAN)
    assert re.fullmatch(r"reconstruct is done: [\d.]+ s, \d+ MB at most", done.message)
    for column in ("codec", "stimulus"):
        metrics = set(scores.loc[scores["column"] == column, "metric"])
        assert {"pesq_wb", "stoi", "si_sdr_db", "log_mel_db", "sync_error_ms"} <= metrics


def test_everything_is_in_results_and_logs(film_alone):
    assert {p.name for p in film_alone.iterdir()} == {
        *(".snakemake", "config.yaml", FILM, "logs", "results")
    }
    assert [p.name for p in (film_alone / "results").iterdir()] == ["tiny"]
    times = (film_alone / "results" / "tiny" / "times").iterdir()
    jobs = {p.stem for p in times}
    assert jobs == {p.stem for p in (film_alone / "logs" / "tiny").iterdir()}
    record = load_json(film_alone / "results" / "tiny" / "run.json")
    assert (record["outcome"], record["config"]["film"]) == ("done", FILM)
    assert record["rules"].keys() == jobs
    assert record["brains"] == "none"
    assert record["command"].startswith("snakemake ")
    seconds = load_table(film_alone / "results/tiny/times/train_encodec.tsv")["s"].item()
    assert record["rules"]["train_encodec"]["seconds"] == seconds
    assert all(rule["peak_megabytes"] > 0 for rule in record["rules"].values())
    assert record["warnings"] == {
        NO_SCAN: ["reconstruct_encodec"],
        NO_WORDS: ["sync_align_encodec"],
    }


def test_a_second_call_does_nothing(film_alone):
    done = ask(film_alone)
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout


def test_the_time_left_is_in_snakemakes_log(film_alone):
    (first, *_) = sorted((film_alone / ".snakemake" / "log").iterdir())
    told = re.findall(r"^(\d) of 7 steps .*\nabout .+ left$", first.read_text(), re.M)
    assert told == list("123456")  # after the last there is none


def test_the_plan_is_drawn_and_the_files_are_summed_up(film_alone):
    done = ask(film_alone, "--dag")
    graph = done.stdout[done.stdout.index("digraph") :]
    jobs = ["extract_codes", "extract_video", "group_trs", "sync_align", "train", "reconstruct"]
    drawn = [re.split(r"\\n", label)[0] for label in re.findall(r'label = "([^"]+)"', graph)]
    assert sorted(drawn) == sorted([*jobs, "reconstruct_audio"])
    summary = ask(film_alone, "--summary").stdout.splitlines()
    rows = {row[0]: row[2:] for row in (line.split("\t") for line in summary) if len(row) == 6}
    made = ["reconstruct", "logs/tiny/reconstruct_encodec.log", "ok", "no update"]
    assert rows["results/tiny/scores/encodec.tsv"] == made


@pytest.mark.parametrize(
    ("settings", "jobs"),
    [
        ({"training": {"max_epochs": 3, "window_trs": 8}}, {"train": 1, "reconstruct": 1}),
        ({"mel": {"n_mels": 40}, "task": "other", "text_model": "other"}, {}),
    ],
    ids=["training", "what the film alone does not use"],
)
def test_a_setting_reruns_what_depends_on_it(film_alone, settings, jobs):
    assert planned(film_alone, **settings) == jobs


def test_settings_on_the_command_line(film_alone):
    arguments = ["reconstruct_audio", "--config", "training={max_epochs: 3}", "bandwidth_kbps=3.0"]
    jobs = ["extract_codes", "group_trs", "sync_align", "train", "reconstruct"]
    assert planned(film_alone, *arguments) == dict.fromkeys(jobs, 1)


# ---- with simulated brains -----------------------------------------------------------------------


def test_brains_and_words_run_what_they_need_alone(film_alone, tmp_path):
    folder = shutil.copytree(film_alone, tmp_path / "copy")
    cut_annotations(folder / SAID)
    assert planned(folder, "report", **SIMULATED) == {
        "simulate_bold": 1,
        "load_bold": 1,
        "embed_text": 1,
        "extract_mel": 1,
        "group_trs": 1,
        "convolve_hrf": 4,
        "brain_quality": 1,
        "sync_align": 2,
        "train": 2,
        "reconstruct": 2,
        "report": 1,
    }


@pytest.mark.slow
def test_brains_add_their_columns_and_the_report(with_brains):
    results = with_brains / "results" / "tiny"
    scores = load_table(results / "scores.tsv")
    assert set(scores["path"]) == {"encodec", "mel"}
    for path in ("encodec", "mel"):
        columns = set(scores.loc[scores["path"] == path, "column"])
        assert {"codec", "stimulus", "brain", "brain_shuffled", "brain_mean"} <= columns
        sounds = {file.stem for file in (results / "audio" / path).glob("*.wav")}
        assert {"original", "codec", "stimulus", "brain", "brain_shuffled"} <= sounds
    page = (results / "report.html").read_text()
    assert "simulated" in page.lower()
    assert "<audio" in page
    assert "Inter-subject correlation (simulated)</figcaption>" in page
    assert "ridge was left out: too few TRs" in page
    axes = giblet.results(results).plot.ladder().axes
    shown = [label.get_text() for one in axes for label in one.get_xticklabels()]
    ticks = page.partition('<div class="axis quiet">')[2].partition('<span class="bar">')[0]
    times = re.findall(r">(\d+:\d\d)<", ticks)
    assert times
    assert [text for text in shown if text in times] == times  # the same segment
    names = r"http://(www\.w3|purl|creativecommons)\.org"  # of SVG's vocabularies
    assert "http://" not in re.sub(names, "", page)


@pytest.mark.slow
def test_snakemakes_own_report_holds_tables_and_the_page(with_brains):
    done = ask(with_brains, "report", "--report", "report.zip", **SIMULATED)
    assert done.returncode == 0, done.stdout
    results = with_brains / "results" / "tiny"
    shown = ["report.html", "brain_quality.tsv", "scores/encodec.tsv", "scores/mel.tsv"]
    shown += [f"model/{p}/{t}.tsv" for p in ("encodec", "mel") for t in ("history", "summary")]
    with zipfile.ZipFile(with_brains / "report.zip") as archive:
        held = [archive.read(name) for name in archive.namelist() if "/data/" in name]
        index = archive.read("report/report.html").decode()
    assert sorted(held) == sorted((results / name).read_bytes() for name in shown)
    for category in ("The page", "Sound", "Brain", "Training"):
        assert f'"{category}"' in index
    assert "ridge regression" in index  # a caption


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "jobs"),
    [
        ({}, {}),
        (
            {"mel": {"n_mels": 40, "n_iter": 2}},
            {
                **{"extract_mel": 1, "group_trs": 1, "convolve_hrf": 1, "sync_align": 1},
                **{"brain_quality": 1, "train": 1, "reconstruct": 1, "report": 1},
            },
        ),
        ({"decoding": {"last_lag_seconds": 6}}, {"reconstruct": 2, "report": 1}),
    ],
    ids=["none", "mel", "decoding"],
)
def test_a_setting_reruns_what_depends_on_it_and_no_other_path(with_brains, settings, jobs):
    assert planned(with_brains, "report", **SIMULATED, **settings) == jobs


# ---- mistakes ------------------------------------------------------------------------------------


def test_an_unknown_key_is_one_line(tmp_path):
    done = ask(tmp_path, bandwith_kbps=6)
    assert done.returncode == 1
    *notes, last = done.stdout.splitlines()
    assert last == "config: unknown key bandwith_kbps; did you mean bandwidth_kbps?"
    assert [line.split()[0] for line in notes] == ["Config"]  # which files were read


def test_a_score_adds_its_rules_and_is_a_modality_like_the_others(tmp_path):
    for name in (FILM, SAID, "piece.mid"):
        (tmp_path / name).touch()
    without = planned(tmp_path)
    assert without.keys().isdisjoint({"read_score", "score_features"})
    score = {"read_score": 1, "score_features": 1}
    assert planned(tmp_path, score="piece.mid") == without | score
    simulated = planned(tmp_path, "brain_quality", **SIMULATED)
    scored = planned(tmp_path, "brain_quality", score="piece.mid", **SIMULATED)
    more = score | {"convolve_hrf": simulated["convolve_hrf"] + 1}
    assert scored == simulated | more
    (tmp_path / FILM).with_suffix(".mid").touch()  # beside the film, of its name
    assert planned(tmp_path, score="auto") == without | score
    target = planned(tmp_path, "reconstruct_score", score="auto")
    assert target["reconstruct_score"] == target["read_score"] == target["train"] == 1
    for settings, given in (({"score": "auto"}, True), ({}, False)):
        done = ask(tmp_path, "--dry-run", "--printshellcmds", "lesion", **SIMULATED, **settings)
        assert ("--score=results/tiny/features/score.nc" in done.stdout) == given


def test_the_music_demo_renders_its_sound_from_its_score(tmp_path):
    music = {"film": "demo_music", "score": "auto", "annotations": "auto"}
    jobs = planned(tmp_path, "brain_quality", **music)
    once = {"render_music", "extract_mel", "read_score", "score_features", "simulate_bold"}
    assert all(jobs[rule] == 1 for rule in once)
    unscored = planned(tmp_path, "extract_mel", **music | {"score": "none"})
    assert unscored == {"render_music": 1, "extract_mel": 1}


def test_a_rendered_score_is_on_the_films_trs(tmp_path):
    film_with_score(tmp_path / "a piece.mkv")
    settings = {"film": "a piece.mkv", "score": "auto", "music": {"model": "none"}}
    wanted = "results/tiny/trs/score.nc"
    done = snakemake(tmp_path, wanted, **settings)
    assert done.returncode == 0, done.stdout
    score = load_arrays(tmp_path / wanted, "score", "tr")
    assert score.attrs["score_lag_ms"] == pytest.approx(180, abs=10)
    assert score.attrs["film"] == "a piece.mkv"
    assert score.sizes["tr"] == 26
    table = load_table(tmp_path / "results" / "tiny" / "score_notes.tsv")
    onsets = random_piece().onset
    np.testing.assert_allclose(table["onset"], onsets, atol=1e-4)
    rate = score["score_values"].sel(score_value="onset_rate")
    assert float(rate.sum()) * 1.5 == pytest.approx((onsets < 39).sum())
    events = read_events((tmp_path / "logs" / "tiny" / "read_score.log").read_text())
    (warned,) = (event.message for event in events if event.level == "WARNING")
    assert re.search(r"score_offset: 0\.1\d+ corrects it$", warned)
    assert planned(tmp_path, wanted, **settings) == {}
    both = {"read_score": 1, "score_features": 1}
    assert planned(tmp_path, wanted, **settings, score_offset=0.18) == both
    contexts = {"music": {"model": "none", "contexts": [4]}}
    assert planned(tmp_path, wanted, **settings | contexts) == {"score_features": 1}


def test_maps_of_nulls_count_in_the_memory_that_a_job_asks_for(tmp_path):
    (tmp_path / "bold.csv").write_text("a,b\n" + "1,2\n" * 9)
    (tmp_path / "runs.tsv").write_text("subject\tfile\tt_r\tfilm_onset\n01\tbold.csv\t1.5\t0\n")
    results = tmp_path / "results" / "mine"
    write_results(results)
    n_columns = load_arrays(results / "bold.nc")["bold"].shape[1]
    n_maps = round(3e9 / 4 / n_columns)  # 3 GB, with room for 2
    settings = {"film": "none", "annotations": "none", "bold": "runs.tsv", "dataset": "mine"}
    memory = {}
    for n in (0, n_maps):
        quality = {"n_shift_maps": n, "n_shifts": n_maps, "n_permutations": 1}
        done = ask(tmp_path, "--dry-run", "brain_quality", **settings, quality=quality)
        assert done.returncode == 0, done.stdout
        job = done.stdout.split("rule brain_quality:")[1]
        memory[n] = int(re.search(r"mem_mb=(\d+)", job)[1])
    assert memory[0] == COSTS["brain_quality"].memory(0)
    assert memory[n_maps] == memory[0] + 1000


def test_lesions_of_an_earlier_call_are_named(tmp_path):
    for name in (FILM, SAID):
        (tmp_path / name).touch()
    (tmp_path / "bold.csv").write_text("a,b\n" + "1,2\n" * 9)
    (tmp_path / "runs.tsv").write_text("subject\tfile\tt_r\tfilm_onset\n01\tbold.csv\t1.5\t0\n")
    lesions = tmp_path / "results" / "mine" / "lesion"
    for rule, makes_them in (("lesion", False), ("report", True)):
        if makes_them:
            lesions.mkdir(parents=True)
            (lesions / "encodec.tsv").touch()
        done = ask(
            tmp_path, "--dry-run", rule, **SIMULATED | {"bold": "runs.tsv", "dataset": "mine"}
        )
        assert done.returncode == 1
        assert 'config: lesion needs a label image, or "parcels"' in done.stdout
        assert ("lesion is of an earlier call" in done.stdout) == makes_them


def test_folds_are_planned_with_and_without_their_networks(tmp_path):
    for name in (FILM, SAID):
        (tmp_path / name).touch()

    def jobs(**splits):
        plan = planned(tmp_path, "fold_scores", **SIMULATED, splits={"gap_seconds": 6} | splits)
        names = ("align_fold", "train_fold", "reconstruct_fold", "decode_features", "train")
        return [plan.get(name, 0) for name in names]

    assert jobs(folds=3) == [3, 3, 3, 3, 0]
    assert jobs(folds=2, refit="readout") == [2, 0, 0, 2, 0]
    done = ask(tmp_path, "--dry-run", "fold_scores", **SIMULATED)
    assert done.returncode == 1
    assert "config: fold_scores needs splits.folds of 2 or more" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        ((), {"score": "pice.mid"}, "score: pice.mid: no such file or folder in "),
        (("score_features",), {}, "read_score needs a score: score is none"),
        (("reconstruct_score",), {}, "reconstruct_score needs a score: score is none"),
        (
            ("read_score",),
            {"score": "auto"},
            "read_score needs a score: score is auto, and none lies beside the film",
        ),
        (
            ("brain_quality",),
            {"score": "piece.mid", "film": "none"},
            "score: it needs a film, whose sound it is compared with",
        ),
    ],
)
def test_a_score_that_is_not_there_is_one_line(tmp_path, arguments, settings, said):
    (tmp_path / FILM).touch()
    done = ask(tmp_path, "--dry-run", *arguments, **settings)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith(f"config: {said}")


def test_a_codec_is_trained_from_folders_that_are_named(tmp_path):
    folders = {"sounds": str(tmp_path), "validation": str(tmp_path)}
    assert planned(tmp_path, "train_codec", codec_training=folders) == {"train_codec": 1}
    done = ask(tmp_path, "--dry-run", "train_codec", codec_training={"sounds": "here"})
    assert done.returncode == 1
    said = done.stdout.splitlines()[-1]
    assert said == "config: train_codec needs a folder as codec_training.validation"


def test_the_ladder_reads_layers_and_regions_where_there_are_any(tmp_path):
    demo = {"film": "demo", "model": {"start_from": "none"}, "sound_model": {"name": "some/model"}}
    done = ask(tmp_path, "--dry-run", "--printshellcmds", "codec_ladder", **demo)
    assert re.search("^codec_ladder +1$", done.stdout, re.M), done.stdout
    trs = " ".join(f"results/tiny/trs/{one}.nc" for one in ("video", "text", "sound_model"))
    assert f" --spaces {trs} --regions=results/tiny/simulated --" in done.stdout
    said = ask(tmp_path, "--dry-run", "codec_ladder", **demo | {"bold": "none"}).stdout
    assert said.splitlines()[-1] == "config: codec_ladder needs a scan as bold"


def test_rules_that_read_regions_and_leave_people_out(tmp_path):
    demo = {"film": "demo", "model": {"start_from": "none"}, "decoding": {"region": "auditory"}}
    wanted = ["leave_one_out", "reconstruct_audio"]
    done = ask(tmp_path, "--dry-run", "--printshellcmds", *wanted, **demo)
    for line in ("simulate_bold +1", "train +1", "leave_one_out +1", "reconstruct +1"):
        assert re.search(f"^{line}$", done.stdout, re.M), done.stdout
    assert done.stdout.count(" --regions=results/tiny/simulated --") == 2
    said = ask(tmp_path, "--dry-run", "leave_one_out", **demo | {"bold": "none"}).stdout
    assert said.splitlines()[-1] == "config: leave_one_out needs a scan as bold"


def test_words_and_scans_need_no_film(tmp_path):
    save_table(load_table(annotations_path()), tmp_path / SAID)
    (tmp_path / "bold.csv").write_text("a,b\n" + "1,2\n3,4\n" * 100)
    run = {"subject": ["01"], "file": ["bold.csv"], "t_r": [1.5], "film_onset": [0.0]}
    save_table(pd.DataFrame(run), tmp_path / "runs.tsv")
    plan = planned(tmp_path, "brain_quality", film="none", annotations=SAID, bold="runs.tsv")
    assert plan == {"load_bold": 1, "embed_text": 1, "convolve_hrf": 1, "brain_quality": 1}
    page = planned(tmp_path, "report", film="none", annotations=SAID, bold="runs.tsv")
    assert page == plan | {"report": 1}
    levels = {"word_model": {"form": True}}
    scans = {"film": "none", "annotations": SAID, "bold": "runs.tsv"}
    plan |= {"word_features": 1, "convolve_hrf": 2, "codec_ladder": 1}
    assert planned(tmp_path, "codec_ladder", **scans | levels) == plan
    done = ask(tmp_path, "codec_ladder", "--dry-run", **scans | {"annotations": "none"})
    assert "config: codec_ladder needs a film, or words as annotations" in done.stdout
    done = ask(tmp_path, "report", "--dry-run", film="none", annotations=SAID, bold="none")
    assert "config: report without a film needs a scan as bold" in done.stdout
    assert "Traceback" not in done.stdout


def test_an_atlas_on_this_computer_is_an_input_of_the_report(tmp_path, monkeypatch):
    """So a new or changed one makes the page again; without one there is none to wait for."""
    for name in ("SUBJECTS_DIR", "FREESURFER_HOME", "NILEARN_SHARED_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NILEARN_DATA", str(tmp_path / "nilearn"))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "bold.csv").write_text("a,b\n" + "1,2\n3,4\n" * 100)
    run = {"subject": ["01"], "file": ["bold.csv"], "t_r": [1.5], "film_onset": [0.0]}
    save_table(pd.DataFrame(run), tmp_path / "runs.tsv")

    def inputs(**settings):
        scans = {"film": "none", "annotations": "none", "bold": "runs.tsv"}
        done = ask(tmp_path, "report", "--dry-run", **scans | settings)
        assert done.returncode == 0, done.stdout
        return re.findall("input: (.*)", done.stdout.partition("rule report:")[2])[0]

    below = tmp_path / "nilearn" / "aal_SPM12" / "aal" / "atlas"
    below.mkdir(parents=True)
    (below / "AAL.nii").touch()
    label = tmp_path / "subjects" / "fsaverage6" / "label"
    label.mkdir(parents=True)
    (label / "lh.aparc.annot").touch()
    monkeypatch.setenv("SUBJECTS_DIR", str(tmp_path / "subjects"))
    halves = inputs()
    assert "AAL" not in halves
    assert "annot" not in halves
    (below / "AAL.xml").touch()
    (label / "rh.aparc.annot").touch()
    whole = inputs()
    names = [below / "AAL.nii", below / "AAL.xml"]
    names += [label / f"{side}.aparc.annot" for side in ("lh", "rh")]
    assert all(str(path) in whole for path in names)
    (tmp_path / "own.nii").touch()
    own = inputs(lesion={"regions": "own.nii"})
    assert "own.nii" in own
    assert "AAL" not in own
    assert "AAL" not in inputs(lesion={"regions": "parcels"})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"film": "a film.mp"},
            "film: a film.mp: no such file or folder in $HERE; did you mean a ",
        ),
        ({"annotations": "/no/said.tsv"}, "annotations: /no/said.tsv: no such file or folder"),
        (
            {"bold": "runs.tsv"},
            "bold or scan.parcellation: s1.csv: no such file or folder in $HERE",
        ),
    ],
)
def test_what_is_missing_is_the_last_line(tmp_path, settings, said):
    (tmp_path / "a film.mp4").touch()
    run = {"subject": ["01"], "file": ["s1.csv"], "t_r": [1.5], "film_onset": [0.0]}
    save_table(pd.DataFrame(run), tmp_path / "runs.tsv")
    done = ask(tmp_path, "--dry-run", **{"film": "a film.mp4"} | settings)
    assert done.returncode == 1
    last = done.stdout.splitlines()[-1]
    assert last.startswith(f"config: {said.replace('$HERE', str(tmp_path))}")
    assert "Traceback" not in done.stdout


def test_a_film_from_the_future_is_one_line(tmp_path):
    """Snakemake would delete what is made from it: older than its input."""
    (tmp_path / "film.mp4").touch()
    os.utime(tmp_path / "film.mp4", (time.time() + 216_000,) * 2)
    done = ask(tmp_path, "--dry-run", film="film.mp4")
    assert done.returncode == 1
    last = done.stdout.splitlines()[-1]
    assert last.startswith("config: film: film.mp4: its date is 2.5 days ahead of this computer's")
    assert last.endswith("Run touch film.mp4, or set the clock")


def test_results_do_not_depend_on_where_giblet_lies(film_alone):
    """A copy of the project, or another Python, would rerun everything."""
    summary = ask(film_alone, "--detailed-summary").stdout
    assert "features/encodec.nc" in summary
    assert str(ROOT / "giblet") not in summary


def test_a_bad_film_is_one_line_and_leaves_nothing(tmp_path):
    (tmp_path / FILM).write_text("no film")
    wanted = ("trs/video.nc", "features/mel.nc")
    done = snakemake(tmp_path, "--keep-going", *(f"results/tiny/{file}" for file in wanted))
    said = f"giblet extract_video: {FILM}: cannot be read as a film or a sound"
    assert done.returncode == 1
    *_, before, last = done.stdout.splitlines()
    assert f": {FILM}: cannot be read as a film or a sound" in last
    assert last.startswith("giblet extract_")
    assert not before.startswith("giblet ")  # both rules failed by the same
    assert said in done.stdout  # lines of rules that run together may be mixed
    assert "Traceback" not in done.stdout
    assert not (tmp_path / "results" / "tiny" / "trs" / "video.nc").exists()
    *_, last = read_events((tmp_path / "logs" / "tiny" / "extract_video.log").read_text())
    assert (last.level, last.message.startswith(said)) == ("ERROR", True)
