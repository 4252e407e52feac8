"""`giblet init` and `giblet doctor`: what they find is there, and what they write can be used."""

import json
import os
import re
import shlex
import shutil
import sys
import time
from importlib.metadata import version
from pathlib import Path
from unittest import mock

import nibabel
import numpy as np
import pytest
import soundfile
import yaml
from small_results import write_results
from tiny_pipeline import forked_snakemake, random_piece

from giblet.commands.cli import main
from giblet.commands.doctor.costs import COSTS, file_nulls_mb, null_maps_mb
from giblet.commands.doctor.data_sizes import measure
from giblet.commands.doctor.environment import describe_machine, hub_codecs
from giblet.commands.doctor.estimates import TFCE_SECONDS, main_job_needs, report_needs
from giblet.commands.first_config import first_config
from giblet.config.config import Config, parse_config
from giblet.demo.bids_writer import simulate_bids
from giblet.errors import GibletError
from giblet.film.text import NO_WORDS
from giblet.io.arrays import load_arrays
from giblet.io.tables import load_json, save_json
from giblet.music.midi import write_midi
from giblet.music.notes import Notes

ROOT = Path(__file__).parents[2]
BOLD = "sub-01/func/sub-01_task-film_run-1_space-MNI152NLin2009cAsym_desc-preproc_bold"
NOISE = np.random.default_rng(0).uniform(-0.1, 0.1, 60 * 1000)


@pytest.fixture(autouse=True)
def quiet_again():
    with mock.patch.dict(os.environ):
        yield


@pytest.fixture
def film(tmp_path):
    """A minute of noise and what is said in it."""
    soundfile.write(tmp_path / "a film.wav", NOISE, 1000)
    (tmp_path / "a film.tsv").write_text("onset\tduration\ttext\n0.5\t2.0\tyes\n3\t1\tno\n")
    return tmp_path / "a film.wav"


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    """Two SIMULATED subjects in the derivatives of a data set that has the film, 60 s, too."""
    folder = tmp_path_factory.mktemp("data") / "my data"
    features = [np.random.default_rng(0).standard_normal((600, n)) for n in (3, 4, 5)]
    derivatives = folder / "derivatives" / "fmriprep"
    options = {"n_subjects": 2, "n_runs": 1, "resolution_mm": 16, "stim_file": "film.wav"}
    simulate_bids(derivatives, *features, t_r=1.25, **options)
    (folder / "stimuli").mkdir()
    soundfile.write(folder / "stimuli" / "film.wav", NOISE, 1000)
    (folder / "stimuli" / "film.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nyes\n")
    return folder


def init(source, output):
    assert main(["init", str(source), "--output", str(output)]) == 0
    return parse_config(yaml.safe_load(output.read_text()))


def test_a_config_for_a_film(film, tmp_path):
    config = init(film, tmp_path / "config.yaml")
    assert (config.film, config.dataset) == (str(film), "a-film")
    assert config.annotations == str(film.with_suffix(".tsv"))
    assert config.bold_source == "none"
    text = (tmp_path / "config.yaml").read_text()
    assert "# beside the film; rows: 2" in text
    assert "sound, no video" in text


def test_a_score_beside_the_film_is_named_and_checked(film, tmp_path, capsys):
    score = film.with_suffix(".mid")
    notes = Notes(np.array([0.5, 59.0]), np.ones(2), np.array([60, 64]), np.full(2, 80))
    write_midi(notes, score)
    config = init(film, tmp_path / "config.yaml")
    assert config.score == str(score)
    assert "# beside the film; notes: 2, 0.5 to 60.0 s" in (tmp_path / "config.yaml").read_text()
    settings = {"film": str(film), "score": "auto", "score_offset": 2.0, "dataset": "x"}
    sizes, lines, problems = measure(parse_config(settings))
    assert f"score: {score}, 2 notes from 2.5 to 62.0 s" in lines
    assert any(
        line.startswith("    WARNING: 1 of 2 notes of the score begin outside the sound")
        for line in lines
    )
    assert not problems
    jobs = [need.job for need in main_job_needs(sizes, parse_config(settings))]
    assert {"read_score", "score_features"} <= set(jobs)
    score.write_bytes(b"no music")
    assert "score: none  # LEFT OUT: " in first_config(film)
    assert any(str(score) in line for line in measure(parse_config(settings))[2])
    score.unlink()
    assert "score: none lies beside the film" in measure(parse_config(settings))[1]
    assert "\nscore: " not in first_config(film)


def test_the_music_demo_is_measured_before_its_sound_is_rendered():
    config = parse_config({"film": "demo_music", "dataset": "music", "score": "auto"})
    sizes, lines, problems = measure(config)
    assert not problems
    assert lines[0].endswith("demo_music.mid, 548 s, from which render_music makes the sound")
    assert any("demo_music.mid, 5979 notes" in line for line in lines)
    assert (sizes.n_trs, sizes.has_score) == (365, True)
    assert sizes.film_mb == pytest.approx(26.3, abs=0.1)
    jobs = [need.job for need in main_job_needs(sizes, config)]
    assert jobs[0] == "render_music"


def test_what_was_written_is_said_and_what_to_do_next(film, tmp_path, capsys, monkeypatch):
    """The commands are ones that can be given, from the folder of the config."""
    monkeypatch.chdir(tmp_path)
    init(film, Path("my config.yaml"))
    written, said = capsys.readouterr()
    assert written == Path("my config.yaml").read_text()
    first, doctor, snakemake = said.strip().splitlines()
    assert first.startswith("my config.yaml is written")
    assert snakemake.strip() == "snakemake --cores 8 report --configfile 'my config.yaml'"
    words = shlex.split(doctor)
    assert words[0] == "giblet"
    Path("my config.yaml").write_text(f"{written}splits: {{gap_seconds: 3}}\n")
    assert main(words[1:]) == 0


def test_the_doctor_takes_what_init_takes(film, tmp_path, capsys):
    """A film, or its config, by name alone: the same needs."""
    (tmp_path / "mine.yaml").write_text(first_config(film))
    tables = []
    for source in (film, tmp_path / "mine.yaml"):
        main(["doctor", str(source)])
        printed = capsys.readouterr().out
        assert f"\n{source} (dataset a-film)\n" in printed
        tables.append(printed.partition("(dataset a-film)")[2])
    assert tables[0] == tables[1]
    assert "60 s" in tables[0]


def test_no_file_is_overwritten(film, tmp_path, capsys):
    (tmp_path / "mine.yaml").write_text("t_r: 2.0")
    assert main(["init", str(film), "--output", str(tmp_path / "mine.yaml")]) == 1
    assert "mine.yaml: is there already" in capsys.readouterr().err
    assert (tmp_path / "mine.yaml").read_text() == "t_r: 2.0"


@pytest.mark.parametrize("name", ["a\x1b[31m b.wav", "a\x85 b.wav", "a\u2028b.wav", "a\n#b.wav"])
def test_any_name_of_a_film_is_read_back(film, name, capsys):
    """Also control characters and line ends of all kinds, which YAML refuses, or folds."""
    film = film.rename(film.with_name(name))
    text = first_config(film, "a\x1b[31m\nt_r: 9.yaml")
    assert yaml.safe_load(text)["film"] == str(film)
    assert yaml.safe_load(text)["t_r"] == 1.5
    assert all(line.isprintable() for line in text.split("\n"))
    main(["doctor", str(film)])
    assert f"film: {film.parent}/a" in (printed := capsys.readouterr().out)
    assert all(line.isprintable() for line in printed.replace("\t", "").split("\n"))


def test_a_name_that_is_not_utf8_goes_into_no_config(film, data_set, tmp_path, capsys):
    odd = os.fsdecode(b"caf\xe9.wav")
    film.rename(tmp_path / odd)
    for verb in ("init", "doctor"):
        assert main([verb, str(tmp_path / odd)]) == 1
        assert re.fullmatch(
            rf"giblet {verb}: \S+/caf\\xe9.wav: its name is not UTF-8; rename it\n",
            capsys.readouterr().err,
        )
    scans = tmp_path / "scans"
    shutil.copytree(data_set / "derivatives" / "fmriprep", scans)
    (scans / "sub-01").rename(scans / os.fsdecode(b"sub-01\xe9"))
    said = "its name is not UTF-8; rename it"
    with pytest.raises(GibletError, match=rf"sub-01\\xe9/func/\S+: {said}"):
        first_config(scans)
    (scans / os.fsdecode(b"sub-01\xe9")).rename(scans / "sub-01")
    for file in sorted(scans.glob("sub-02/func/*_task-film_*")):
        file.rename(file.with_name(file.name.replace("task-film", os.fsdecode(b"task-\xe9"))))
    assert main(["init", str(scans), "--output", str(tmp_path / "mine.yaml")]) == 1
    assert re.search(rf"_task-\\xe9_\S+: {said}\n", capsys.readouterr().err)
    assert not (tmp_path / "mine.yaml").exists()


def test_words_that_cannot_be_read_are_not_named(film):
    film.with_suffix(".tsv").write_text("when\twhat\n1\tyes\n")
    text = first_config(film)
    assert yaml.safe_load(text)["annotations"] == "none"
    assert re.search(r"^annotations: none  # LEFT OUT: .*a film.tsv", text, re.M)


def test_words_that_were_left_out_are_named_last_by_init(film, tmp_path, capsys):
    """Subtitles in Latin-1: a line on the terminal says so, not only a comment in the config."""
    film.with_suffix(".tsv").unlink()
    cue = "1\n00:00:01,000 --> 00:00:02,000\nÖffne die Tür\n"
    film.with_suffix(".srt").write_bytes(cue.encode("latin-1"))
    init(film, tmp_path / "config.yaml")
    printed = capsys.readouterr().err
    assert re.search(r"^LEFT OUT: \S+/a film.srt: line 3 is not UTF-8", printed, re.M)
    assert 'If it says "Öffne die Tür": iconv' in printed


def test_words_beside_a_film_are_those_that_can_be_read(film):
    """whisper writes five files; a recording may have a sidecar; yt-dlp names the language."""
    film.with_suffix(".tsv").unlink()
    film.with_suffix(".json").write_text('{"RepetitionTime": 2}')
    film.with_suffix(".txt").write_text("Hello. You.\n")
    film.with_suffix(".TSV").write_text("start\tend\ttext\n0\t2000\tyes\n2000\t90000000\tno\n")
    text = first_config(film)
    assert yaml.safe_load(text)["annotations"] == "none"
    film.with_suffix(".en.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\n[SIGHS] yes\n")
    text = first_config(film)
    assert yaml.safe_load(text)["annotations"] == str(film.with_suffix(".en.vtt"))
    assert (
        "rows: 1; also there: a film.TSV, a film.json, a film.txt; a film.en.vtt: 1 marks" in text
    )


@pytest.mark.parametrize("name", ["../../film.wav", "/film.wav", "x/../../../film.wav"])
def test_events_name_no_film_outside_the_data_set(data_set, name, tmp_path):
    """Each is a film that is there; only the one in the data set's own folder is taken."""
    folder = shutil.copytree(data_set, tmp_path / "here" / "data")
    name = str(tmp_path / name[1:]) if name[0] == "/" else name
    shutil.move(folder / "stimuli" / "film.wav", tmp_path / "film.wav")
    shutil.copy(tmp_path / "film.wav", tmp_path / "here")
    (folder / "stimuli" / "x").mkdir()
    assert (folder / "stimuli" / name).is_file()
    for events in folder.rglob("*_events.tsv"):
        events.write_text(events.read_text().replace("film.wav", name))
    text = first_config(folder)
    assert yaml.safe_load(text)["film"] == "none"
    assert f"names {name}, which is not in" in text


def test_a_config_for_a_bids_folder_is_one_that_snakemake_plans(data_set, tmp_path):
    """What the doctor estimates is what Snakemake, asked, would run."""
    config = init(data_set, tmp_path / "config.yaml")
    assert (config.t_r, config.task, config.dataset) == (1.25, "film", "my-data_film")
    assert config.film == str(data_set / "stimuli" / "film.wav")
    assert config.annotations == str(data_set / "stimuli" / "film.srt")
    words = ["report", "--dry-run", "-s", str(ROOT / "Snakefile"), "--configfile", "config.yaml"]
    done = forked_snakemake(tmp_path, words)
    assert done.returncode == 0, done.stdout
    planned = set(re.findall(r"^(\w+) +\d+$", done.stdout, re.M))
    sizes = measure(parse_config(config.model_dump() | {"splits": {"gap_seconds": 3}}))[0]
    needs = [*main_job_needs(sizes, config), *report_needs(sizes, config)]
    assert {need.rule for need in needs} == planned - {"total"}


@pytest.fixture
def run_table(tmp_path):
    """Three runs of two people in a folder that has the film, 60 s, too."""
    folder, rows = tmp_path / "my scans", []
    folder.mkdir()
    waves = np.sin(np.arange(48.0))[:, None] * [1.0, 2.0]
    for name in ("01_run-1", "01_run-2", "02_run-1"):
        np.save(folder / f"{name}.npy", waves)
        subject, run = name.split("_")
        begin = 30.0 * (run == "run-2")
        rows.append(f"{subject}\t{run}\t{name}.npy\t1.25\t0.0\t{begin}\t30\tfilm.wav\n")
    head = "subject\trun\tfile\tt_r\tfilm_onset\tstim_onset\tduration\tstim_file\n"
    (folder / "runs.tsv").write_text(head + "".join(rows))
    soundfile.write(folder / "film.wav", NOISE, 1000)
    (folder / "film.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nyes\n")
    return folder / "runs.tsv"


def test_a_config_for_a_table_of_runs(run_table, tmp_path, capsys):
    config = init(run_table, tmp_path / "config.yaml")
    assert (config.bold_source, config.t_r, config.dataset) == (str(run_table), 1.25, "runs")
    assert config.film == str(run_table.with_name("film.wav"))
    assert config.annotations == str(run_table.with_name("film.srt"))
    text = (tmp_path / "config.yaml").read_text()
    assert re.search(r"^bold: .*/runs.tsv'?  # 2 subjects, 3 runs$", text, re.M)
    assert re.search(r"^film: .*  # named by runs.tsv: sound, no video$", text, re.M)
    assert "t_r: 1.25  # s; from runs.tsv" in text
    capsys.readouterr()
    main(["doctor", str(run_table)])
    printed = capsys.readouterr().out
    assert f"\n{run_table} (dataset runs)\n" in printed
    assert "2 subjects" in printed


def test_a_table_of_runs_without_a_film(run_table):
    """The same as .csv; no film is named, and one run is missing."""
    rows = [line.split("\t")[:5] for line in run_table.read_text().splitlines()]
    table = run_table.with_suffix(".csv")
    table.write_text("\n".join(map(",".join, [rows[0], rows[1], rows[3]])))
    text = first_config(table)
    assert "film: none  # a film or audio file; without one" in text
    assert "  # 2 subjects, 2 runs" in text
    run_table.with_name("02_run-1.npy").unlink()
    text = first_config(table)
    assert re.search(r"^bold: .*/runs.csv'?  # not ready yet: .*02_run-1.npy: no such", text, re.M)
    assert parse_config(yaml.safe_load(text)).t_r == Config().t_r


def test_a_transcript_is_no_table_of_runs(film, tmp_path, capsys):
    assert main(["init", str(film.with_suffix(".tsv")), "--output", str(tmp_path / "c.yaml")]) == 1
    line = "a film.tsv: no column subject, file, t_r, film_onset, which a table of runs needs"
    assert line in capsys.readouterr().err


def test_sizes_are_those_of_the_headers(data_set):
    """Oracle: nibabel."""
    config = {"film": str(data_set / "stimuli/film.wav"), "bold": str(data_set), "t_r": 1.25}
    sizes, _, problems = measure(parse_config(config | {"splits": {"gap_seconds": 3}}))
    assert not problems
    folder = data_set / "derivatives" / "fmriprep"
    mask = nibabel.load(folder / f"{BOLD.replace('preproc_bold', 'brain_mask')}.nii.gz")
    n_voxels, n_volumes = mask.get_fdata().sum(), nibabel.load(folder / f"{BOLD}.nii.gz").shape[3]
    assert (sizes.n_subjects, sizes.n_columns) == (2, n_voxels)
    assert sizes.values == pytest.approx(2 * n_voxels * n_volumes / 1e6)
    assert (sizes.n_trs, sizes.minutes) == (48, 1.0)


def test_a_folder_in_which_little_is_known(data_set, tmp_path):
    """No film, a second task, a sidecar without TR: each is said, and left at its default."""
    folder = tmp_path / "fmriprep"
    func = folder / "sub-01" / "func"
    func.mkdir(parents=True)
    source = data_set / "derivatives" / "fmriprep"
    for path in source.glob("sub-01/func/*"):
        (func / path.name).write_bytes(path.read_bytes())
    text = first_config(folder)
    assert "names film.wav, which is not in" in text
    assert yaml.safe_load(text)["film"] == "none"
    other = func / f"{Path(BOLD).name.replace('task-film_run-1', 'task-alone')}.nii.gz"
    other.touch()
    text = first_config(folder)
    assert "task: alone  # also there: film" in text
    assert "not ready yet: " in text
    other.unlink()
    sidecar = load_json(folder / f"{BOLD}.json")
    save_json({k: v for k, v in sidecar.items() if k != "RepetitionTime"}, folder / f"{BOLD}.json")
    text = first_config(folder)
    assert "has no RepetitionTime" in text
    assert "not ready yet: " in text
    assert parse_config(yaml.safe_load(text)).t_r == Config().t_r


def test_events_that_are_missing_are_the_last_thing_one_reads(data_set, tmp_path, capsys):
    study = tmp_path / "My study (2024)"
    shutil.copytree(data_set, study)
    for events in study.rglob("*_events.tsv"):
        events.unlink()
    film, output = study / "stimuli/film.wav", tmp_path / "scans.yaml"
    assert main(["init", str(study), "--film", str(film), "--output", str(output)]) == 0
    assert f" --film '{film}'\n" in output.read_text().partition("\n")[0] + "\n"
    assert parse_config(yaml.safe_load(output.read_text())).dataset == "My-study-2024_film"
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("not ready yet: ")
    assert "step 2 of notes/first_run.md" in last


@pytest.mark.parametrize(
    ("make", "said"), [(Path.mkdir, "no sub-* folders"), (Path.touch, "the file is empty")]
)
def test_nothing_to_begin_with(make, said, tmp_path, capsys):
    make(tmp_path / "source")
    assert main(["init", str(tmp_path / "source"), "--output", str(tmp_path / "c.yaml")]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "c.yaml").exists()


def test_a_film_from_the_future_would_stop_a_run(data_set, tmp_path, capsys):
    film = shutil.copy(data_set / "stimuli/film.wav", tmp_path / "film.wav")
    os.utime(film, (time.time() + 7200,) * 2)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"film": str(film)}))
    assert main(["doctor", "--config", str(tmp_path / "config.yaml")]) == 1
    assert "film.wav: its date is 2.0 hours ahead" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"film": "gone.wav"}, "gone.wav: no such file"),
        ({"annotations": "gone.tsv"}, "gone.tsv: no such file"),
        ({"bold": "gone"}, "gone: no such folder"),
        ({"t_r": 2.0}, "t_r is 2.0 s in the config, but the scan's RepetitionTime is 1.25 s"),
        ({"codec": "./gone"}, "codec ./gone: no such folder"),
        ({"codec": "some/codec@main"}, "codec some/codec@main: no such folder, not in the Hugging"),
        ({"splits": {}}, "48 TRs are too few"),
        ({"video": {"height": 10**5, "width": 10**5}}, "disk: about "),
    ],
)
def test_what_would_stop_a_run_is_found_before_it_starts(data_set, changes, said, tmp_path, capsys):
    config = {"film": str(data_set / "stimuli/film.wav"), "bold": str(data_set), "t_r": 1.25}
    config |= {"splits": {"gap_seconds": 3}} | changes
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    code = main(["doctor", "--config", str(tmp_path / "config.yaml")])
    printed = capsys.readouterr()
    assert code == (0 if said is None else 1)
    assert ("WOULD STOP" in printed.out) == (said is not None)
    if said:
        assert f"WOULD STOP: {said}" in printed.out.replace(f"{tmp_path}/", "")
        assert printed.err.count("\n") == 1
    else:
        assert "ESTIMATES" in printed.out
    unread = set(changes) & {"bold", "t_r", "splits"}
    for rule in ("load_bold", "convolve_hrf", "brain_quality"):  # never left out of the sums unsaid
        line = f"    {rule:<24}not estimated: WOULD STOP\n"
        assert (line in printed.out) == bool(unread)
    assert ("    without these" in printed.out) == bool(unread)


def check_told(capsys, folder, config, code, *lines):
    """The doctor prints these of a config, and ends with the exit code."""
    (folder / "asked.yaml").write_text(yaml.safe_dump(config | {"splits": {"gap_seconds": 3}}))
    assert main(["doctor", "--config", str(folder / "asked.yaml")]) == code
    printed = capsys.readouterr().out
    for line in lines:
        assert line in printed


def test_the_doctor_says_of_words_what_the_run_would(film, tmp_path, capsys):
    config = {"film": str(film), "bold": "none", "annotations": "none"}
    lines = f"\nwords: {NO_WORDS}\n", "\nscans: none were given (bold)"
    check_told(capsys, tmp_path, config, 0, *lines)
    said, head = tmp_path / "said.tsv", "onset\tduration\ttext\n"
    said.write_text(head + "1\t2\ta\n2\t2\tb\n59\t1.5\tc\n")
    lines = (
        "\nwords: 3 rows from 1.0 to 60.5 s\n",
        "\n    WARNING: said.tsv: 1 rows begin before an earlier one ends; all are kept\n",
        "\n    WARNING: words: 1 rows end after the film (60.00 s)\n",
    )
    check_told(capsys, tmp_path, config | {"annotations": str(said)}, 0, *lines)
    said.write_text(head + "61\t2\tlate\n")
    line = "WOULD STOP: annotation 'late', 61.00 s to 63.00 s, is past the end of the film"
    check_told(capsys, tmp_path, config | {"annotations": str(said)}, 1, line)


@pytest.mark.parametrize("suffix", [".npy", ".txt"])
def test_the_doctor_names_who_is_left_out(suffix, tmp_path, capsys):
    waves, rows = np.sin(np.arange(200.0))[:, None] * [1.0, 2.0], []
    for subject, series in (("01", waves), ("02", np.ones_like(waves))):
        file = tmp_path / f"{subject}{suffix}"
        (np.save if suffix == ".npy" else np.savetxt)(file, series)
        rows.append(f"{subject}\t{file.name}\t2.0\t0.0\n")
    table, head = tmp_path / "runs.tsv", "subject\tfile\tt_r\tfilm_onset\n"
    config = {"film": "none", "annotations": "none", "bold": str(table), "t_r": 2.0}
    table.write_text(head + "".join(rows))
    line = "\n    WARNING: sub-02: constant in some run, left out\n"
    check_told(capsys, tmp_path, config, 0, line)
    table.write_text(head + rows[1])
    line = "runs.tsv: every voxel of some run is constant"
    check_told(capsys, tmp_path, config, 1, "WOULD STOP: ", line)


def test_more_film_and_more_brain_need_no_less():
    """Twice the film, or twice the voxels: no rule needs less of anything."""
    from dataclasses import replace

    config = parse_config({})
    small = measure(config)[0]
    halves = {name: getattr(small, name) / 2 for name in ("minutes", "values")}
    halves |= {"n_trs": 180, "n_train": 104, "n_test": 36, "test_seconds": 54.0}
    for all_needs in (main_job_needs, report_needs):
        pairs = zip(
            all_needs(replace(small, **halves), config), all_needs(small, config), strict=True
        )
        for less, more in pairs:
            assert less.job == more.job
            assert less.seconds <= more.seconds
            assert less.memory_mb <= more.memory_mb
            assert less.disk_mb <= more.disk_mb


def test_nulls_of_the_brain_count_in_time_and_memory():
    """TFCE of each null map; none of parcels, which have no neighbours, and none of no nulls."""
    from dataclasses import replace

    config = parse_config({})
    sizes = replace(measure(config)[0], n_subjects=1, n_columns=200_000, values=60.0)

    def need(sizes=sizes, **quality):
        own = parse_config({"quality": quality})
        return next(need for need in report_needs(sizes, own) if need.rule == "brain_quality")

    none, some = need(n_shift_maps=0), need(n_shift_maps=500)
    n_maps = 5  # sound, video, text, number of words; all
    assert some.seconds - none.seconds == pytest.approx(n_maps * 500 * 200_000 * TFCE_SECONDS)
    assert need(n_shift_maps=99, n_shifts=50).seconds < need(n_shift_maps=50, n_shifts=60).seconds
    assert none.memory_mb == some.memory_mb  # 0.4 GB of nulls: there is room
    assert need(n_shift_maps=5000).memory_mb == none.memory_mb + 2000  # 4 GB of nulls
    parcels = replace(sizes, n_columns=400)
    assert need(parcels).seconds == need(parcels, n_shift_maps=0).seconds


def test_nulls_of_a_file_of_scans_are_those_of_its_sizes(tmp_path):
    """What the workflow asks for, once there are scans, is what the doctor says before."""
    config = parse_config({"quality": {"n_shift_maps": 500_000, "n_shifts": 500_000}})
    folder = write_results(tmp_path)  # two people
    n_columns = load_arrays(folder / "bold.nc")["bold"].shape[1]
    expected = null_maps_mb(n_columns, 2, config)
    assert file_nulls_mb(folder / "bold.nc", config) == expected > 30
    without_isc = pytest.approx(expected - 4e-6 * n_columns * 200)
    assert null_maps_mb(n_columns, 1, config) == without_isc
    with pytest.raises(FileNotFoundError):  # as of any input that is not there yet
        file_nulls_mb(folder / "other.nc", config)
    (folder / "bold.nc").write_bytes(b"damaged")
    assert file_nulls_mb(folder / "bold.nc", config) == 0


def test_the_doctor_shows_the_memory_that_rules_ask_for():
    """Of the demo, whose sizes are known, what the workflow asks for the same files."""
    config = parse_config({})
    needs = {need.job: need for need in main_job_needs(measure(config)[0], config)}
    assert needs["extract_codes"].memory_mb == COSTS["extract_codes"].memory(0) == 1500
    aligned = needs["train (encodec)"]
    assert aligned.memory_mb == COSTS["train"].memory(aligned.read_mb)
    assert {need.rule for need in needs.values()} < COSTS.keys()


@pytest.mark.parametrize(("memory", "code"), [(25_000, 0), (2_000, 0), (1_000, 1)])
def test_too_little_memory_is_named(memory, code, monkeypatch, capsys):
    monkeypatch.setattr("giblet.commands.doctor.environment.memory_mb", lambda: float(memory))
    assert main(["doctor"]) == code
    printed = capsys.readouterr().out
    line = f"memory: reconstruct (encodec) asks for 3.9 GB, {memory / 1000:.1f} here"
    assert (line in printed) == (memory < 3_900)
    assert (f"WOULD STOP: {line}" in printed) == bool(code)
    assert ("GB here, asked for by: " in printed) == (memory < 3_900)
    assert (f"--resources mem_mb={memory}, or --cores 1" in printed) == (memory < 7_800)


def test_each_job_that_a_machine_of_4_gb_is_too_small_for_is_named(monkeypatch, capsys):
    monkeypatch.setattr("giblet.commands.doctor.environment.memory_mb", lambda: 4_000.0)
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    (line,) = [line for line in printed.splitlines() if "asked for by" in line]
    assert "4.0 GB here" in line
    assert "brain_quality 4.0 GB" in line
    assert "train" not in line
    assert "--resources mem_mb=4000, or --cores 1" in printed


def test_codecs_in_the_cache_of_the_hub_are_listed(tmp_path):
    for name, config in {
        "facebook--encodec": {"model_type": "encodec", "target_bandwidths": [1.5, 3.0]},
        "kyutai--mimi": {"model_type": "mimi", "num_quantizers": 32},
        "some--words": {"model_type": "bert"},
        "some--xcodec": {
            "model_type": "xcodec",
            "sample_rate": 16000,
            "target_bandwidths": [0.5, 1, 1.5, 2, 4],
        },
    }.items():
        snapshot = tmp_path / f"models--{name}" / "snapshots" / "abc"
        snapshot.mkdir(parents=True)
        rate = {} if "sample_rate" in config else {"sampling_rate": 24000}
        (snapshot / "config.json").write_text(json.dumps(config | rate))
    assert hub_codecs(tmp_path) == [
        "facebook/encodec@abc: encodec, 24000 Hz, 1.5 3 kbps",
        "kyutai/mimi@abc: mimi, 24000 Hz, 32 codebooks",
        "some/xcodec@abc: xcodec, 16000 Hz, 0.5 1 1.5 2 4 kbps",
    ]
    assert hub_codecs(tmp_path / "none") == ["none in the Hugging Face cache"]


def test_versions_are_those_that_python_itself_tells():
    printed = "\n".join(describe_machine())
    assert re.search(rf"^torch +{re.escape(version('torch'))}$", printed, re.M)
    assert re.search(r"^python +" + sys.version.split()[0], printed, re.M)
    assert "    bundled: " in printed
    for line in ("encodec: EnCodec 24, 32 and 48 kHz", "mimi: Mimi 24 kHz", "xcodec: X-Codec"):
        assert f"    {line}" in printed


def test_which_seconds_each_run_showed(run_table, tmp_path, capsys):
    """Three runs of 30 s; the second shows the film's second half, as the table of runs has it."""
    init(run_table, tmp_path / "config.yaml")
    capsys.readouterr()
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["dataset"] == "runs"
    main(["doctor", "--config", str(tmp_path / "config.yaml")])
    for printed in (capsys.readouterr().out, (tmp_path / "config.yaml").read_text()):
        rows = re.findall(r"^(?:#)? +(\S+ to \S+) +(\d+)  (.*)$", printed, re.M)
        assert rows == [
            ("0.0 to 30.0", "24", "run-1, all 2"),
            ("30.0 to 60.0", "24", "run-2, sub-01"),
        ]
        assert "ASSUMED" not in printed


def test_seconds_that_no_table_gives_are_called_assumed(run_table, tmp_path, capsys):
    """Two runs of one film without stim_onset cannot both begin it: neither verb is content."""
    lines = [line.split("\t") for line in run_table.read_text().splitlines()]
    text = "\n".join("\t".join(line[:5] + line[6:]) for line in lines)
    run_table.write_text(text)
    assert main(["init", str(run_table), "--output", str(tmp_path / "c.yaml")]) == 0
    written, said = capsys.readouterr()
    assert "ASSUMED for every run" in written
    assert "\nWOULD STOP: sub-01 saw the same seconds" in said
    assert main(["doctor", "--config", str(tmp_path / "c.yaml")]) == 1
    assert "ASSUMED for every run" in capsys.readouterr().out


def test_a_film_that_lies_elsewhere_is_named(data_set, film, tmp_path, capsys):
    folder = shutil.copytree(data_set, tmp_path / "data")
    shutil.rmtree(folder / "stimuli")
    words = ["init", str(folder), "--output"]
    assert main([*words, str(tmp_path / "a.yaml")]) == 0
    assert "\nNO FILM: set film: in " in capsys.readouterr().err
    assert "FOUND" not in (tmp_path / "a.yaml").read_text()
    config = parse_config(yaml.safe_load((tmp_path / "a.yaml").read_text()))
    main(["doctor", "--config", str(tmp_path / "a.yaml")])
    assert "\nNO FILM: film is none" in capsys.readouterr().out
    assert not config.has_film
    assert main([*words, str(tmp_path / "b.yaml"), "--film", str(film)]) == 0
    assert "NO FILM" not in capsys.readouterr().err
    config = parse_config(yaml.safe_load((tmp_path / "b.yaml").read_text()))
    assert (config.film, config.annotations) == (str(film), str(film.with_suffix(".tsv")))
    (tmp_path / "other.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nyes\n")
    more = ["--film", str(film), "--annotations", str(tmp_path / "other.srt")]
    assert main([*words, str(tmp_path / "c.yaml"), *more]) == 0
    config = parse_config(yaml.safe_load((tmp_path / "c.yaml").read_text()))
    assert config.annotations == str(tmp_path / "other.srt")


def test_a_film_that_no_events_name_is_offered(data_set, tmp_path):
    """It lies in ``stimuli``, and events have no stim_file: the config names the file."""
    folder = shutil.copytree(data_set, tmp_path / "data")
    for events in folder.rglob("*_events.tsv"):
        events.write_text("onset\tduration\ttrial_type\n0\t60\tmovie\n")
    assert init(folder, tmp_path / "a.yaml").film == "none"
    line = re.search(r"^film: none  # (.*)$", (tmp_path / "a.yaml").read_text(), re.M)
    assert line[1].startswith("no events name a film; FOUND: ")
    assert f"{folder / 'stimuli/film.wav'}. Set it here" in line[1]


def test_many_stimuli_that_events_name_are_found(data_set, tmp_path, capsys):
    """A score lies beside one of them; a folder without one that is named is none."""
    folder = shutil.copytree(data_set, tmp_path / "data")
    stimuli = folder / "stimuli"
    for name in ("film.wav", "film.srt"):
        (stimuli / name).unlink()
    for n in range(3):
        soundfile.write(stimuli / f"song {n}.wav", NOISE[:12000], 1000)
    write_midi(random_piece(10, 1), stimuli / "song 1.mid")
    rows = [f"{15 * n}\t12\tsong {n}.wav" for n in range(3)]
    for events in folder.rglob("*_events.tsv"):
        events.write_text("\n".join(["onset\tduration\tstim_file", *rows]) + "\n")
    config = init(folder, tmp_path / "a.yaml")
    assert (config.stimuli, config.score) == (str(stimuli), "auto")
    assert config.t_r == 1.25
    text = (tmp_path / "a.yaml").read_text()
    assert "# 3 sounds or films, named by events" in text
    assert "# beside 1 of them" in text
    assert "# 2 subjects, 2 runs" in text
    capsys.readouterr()
    main(["doctor", "--config", str(tmp_path / "a.yaml")])
    assert "3 of 12 to 12 s" in capsys.readouterr().out
    (stimuli / "song 2.wav").unlink()
    assert "stimuli:" not in first_config(folder)


@pytest.mark.parametrize(("seconds", "step", "is_asked"), [(4, 15, True), (4, 4, False),
                                                           (10, 15, False)])  # fmt: skip
def test_silence_after_short_stimuli_is_asked_for(
    data_set, tmp_path, capsys, seconds, step, is_asked
):
    """Stimuli of 4 s, less than the 9.25 s of a response, with 11 s of silence after each."""
    folder = shutil.copytree(data_set, tmp_path / "data")
    stimuli = folder / "stimuli"
    for name in ("film.wav", "film.srt"):
        (stimuli / name).unlink()
    for n in range(3):
        soundfile.write(stimuli / f"{n}.wav", NOISE[: 1000 * seconds], 1000)
    rows = [f"{step * n}\t{seconds}\t{n}.wav" for n in range(3)]
    for events in folder.rglob("*_events.tsv"):
        events.write_text("\n".join(["onset\tduration\tstim_file", *rows]) + "\n")
    assert init(folder, tmp_path / "a.yaml").events.rest_seconds == (10 if is_asked else 0)
    text = (tmp_path / "a.yaml").read_text()
    line = "3 stimuli are shorter than the response (9.25 s), and 11 s follow (median)"
    assert (line in text) == is_asked


@pytest.mark.parametrize("option", ["--film", "--annotations"])
def test_what_is_named_must_be_readable(option, data_set, tmp_path, capsys):
    words = ["init", str(data_set), "--output", str(tmp_path / "c.yaml"), option]
    assert main([*words, str(tmp_path / "gone")]) == 1
    assert "gone" in capsys.readouterr().err
    assert not (tmp_path / "c.yaml").exists()


def test_two_films_are_one_too_many(film, tmp_path, capsys):
    other = shutil.copy(film, tmp_path / "other.wav")
    words = ["init", str(film), "--film", str(other), "--output", str(tmp_path / "c.yaml")]
    assert main(words) == 1
    assert "name one" in capsys.readouterr().err


def test_the_doctor_says_how_much_film_results_need(data_set, tmp_path, capsys):
    """A minute of film: no result but training has enough of it."""
    config = {"film": str(data_set / "stimuli/film.wav"), "bold": str(data_set), "t_r": 1.25}
    printed = " ".join(needs_told(config, tmp_path, capsys))
    assert "training and decoding" in printed
    assert printed.count("WILL BE MISSING: there are") == 2
    assert "1 clips of 8.75 s in the test part" in printed
    printed = " ".join(needs_told(config | {"film": "none"}, tmp_path, capsys))
    assert "clips" not in printed
    assert "ridge from the film" in printed


def needs_told(config, folder, capsys):
    (folder / "asked.yaml").write_text(yaml.safe_dump(config | {"splits": {"gap_seconds": 3}}))
    main(["doctor", "--config", str(folder / "asked.yaml")])
    lines = capsys.readouterr().out.splitlines()
    begin = lines.index("film that each result needs, scanned in everyone")
    return lines[begin + 1 : begin + 4]
