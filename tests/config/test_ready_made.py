"""Ready-made configs: small SIMULATED copies, named as the public data sets are, are found.

The lines of Python in notes/data.md are run as they stand there.
"""

import re
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
import soundfile
from tiny_pipeline import forked_snakemake

from giblet.alignment.aligned import split_match
from giblet.alignment.sync import match_scans
from giblet.commands.film import join_stimuli
from giblet.commands.scans import load_bold
from giblet.config.config import parse_config
from giblet.film.annotations import read_annotations
from giblet.io.arrays import load_arrays
from giblet.io.tables import load_yaml

ROOT = Path(__file__).parents[2]
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
KIT = "MNI152_T1_3mm_brain_mask.nii"
MNI = "MNI152NLin2009cAsym"


def waves(n_voxels, n_volumes, phase):
    """A slow wave in each voxel, (n_voxels, n_volumes) float32."""
    periods = np.linspace(20, 60, n_voxels)[:, None]
    return (100 + np.sin(np.arange(n_volumes) / periods + phase)).astype(np.float32)


def write_scan(path, n_volumes, phase=0.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = waves(8, n_volumes, phase).reshape(2, 2, 2, n_volumes)
    nibabel.save(nibabel.Nifti1Image(voxels, AFFINE), path)


def write_mask(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.ones((2, 2, 2), np.uint8), AFFINE), path)


def run_the_notes(heading, which=0):
    """What the section of notes/data.md tells the reader to run in Python."""
    section = (ROOT / "notes" / "data.md").read_text().split(f"\n### {heading}")[1]
    section = section.split("\n### ")[0]
    exec(re.findall(r"```python\n(.*?)```", section, re.S)[which], {})


def config_of(name):
    return parse_config(load_yaml(ROOT / "config" / f"{name}.yaml"))


def loaded(config):
    """The BOLD that the verb finds with this config."""
    load_bold(Path(config.bold), Path("bold.nc"), config)
    return load_arrays("bold.nc")


def of(arrays, subject, run="run-1"):
    return arrays.isel(volume=(arrays["subject"] == subject) & (arrays["run"] == run))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def narratives(folder):
    """Two people; of a third there is a name, as datalad leaves it, and no file."""
    afni = folder / "narratives" / "derivatives" / "afni-smooth"
    names = f"task-black_space-{MNI}_res-native_desc-clean_bold.nii.gz"
    for n, subject in enumerate(("sub-127", "sub-265")):
        write_scan(afni / subject / "func" / f"{subject}_{names}", 550, phase=n)
    (afni / "sub-267" / "func").mkdir(parents=True)
    (afni / "sub-267" / "func" / f"sub-267_{names}").symlink_to("nowhere.nii.gz")
    write_mask(afni / f"tpl-{MNI}" / f"tpl-{MNI}_res-black_desc-brain_mask.nii.gz")
    gentle = folder / "narratives" / "stimuli" / "gentle" / "black"
    gentle.mkdir(parents=True)
    (gentle / "align.csv").write_text("I,i,0.5,0.61\nknew,,,\nyou,you,799.1,799.4\n")
    soundfile.write(gentle.parents[1] / "black_audio.wav", np.zeros(800 * 1000), 1000)
    run_the_notes("Narratives")
    return config_of("narratives")


def test_narratives_names_are_found_and_its_clock_is_the_authors(narratives):
    """Oracle: event_meta.json of the data set: the story lasts 533 TRs from TR 8 on."""
    arrays = loaded(narratives)
    assert set(arrays["subject"].values) == {"sub-127", "sub-265"}
    scan = of(arrays, "sub-127")
    np.testing.assert_array_equal(np.flatnonzero(scan["in_film"]), 8 + np.arange(533))
    assert scan["film_time"].values[8] == 0.75
    assert arrays.attrs["stim_file"] == Path(narratives.film).name
    table = read_annotations(narratives.annotations, **narratives.words.model_dump())
    assert table["text"].tolist() == ["I", "you"]


def test_snakemake_plans_a_ready_made_config(narratives):
    """Files that a config or a table of runs names and that are missing stop this."""
    words = ["brain_quality", "--dry-run", "--snakefile", ROOT / "Snakefile"]
    words += ["--configfile", ROOT / "config" / "narratives.yaml"]
    done = forked_snakemake(Path.cwd(), list(map(str, words)))
    assert done.returncode == 0, done.stdout


def test_sherlock_becomes_two_runs_whose_shift_is_undone(folder, shared):
    for n, subject in enumerate(("s1", "s5", "s17")):
        write_scan(folder / "sherlock/movie_files" / f"sherlock_movie_{subject}.nii", 1976, n)
    write_mask(folder / "sherlock" / KIT)
    run_the_notes("Sherlock")
    config = config_of("sherlock")
    whole = nibabel.load("sherlock/movie_files/sherlock_movie_s17.nii").dataobj
    for part, volumes in (("part-1", slice(946)), ("part-2", slice(946, None))):
        half = nibabel.load(f"sherlock/parts/s17_{part}.nii").dataobj
        np.testing.assert_array_equal(half, whole[..., volumes])
    arrays = loaded(config)
    assert set(arrays["subject"].values) == {"sub-s1", "sub-s5", "sub-s17"}
    first, second = of(arrays, "sub-s1", "part-1"), of(arrays, "sub-s1", "part-2")
    assert first.sizes["volume"] + second.sizes["volume"] == 1976
    # by the authors: volume 27 of the file was taken in TR 30 of the film, here at its middle
    assert first["film_time"].values[27 - 1] == 29.5 * 1.5
    assert second["film_time"].values[0] == (946 + 3 + 0.5) * 1.5
    # by the authors: of s5 the volumes from end-50 to end are copies of the one before
    copied = ~of(arrays, "sub-s5", "part-2")["in_film"].values
    np.testing.assert_array_equal(np.flatnonzero(copied), np.arange(1030 - 51, 1030))
    (path,) = (shared / "annotations").glob(Path(config.annotations).name)
    said = read_annotations(path, **config.words.model_dump())
    assert (said["onset"] + said["duration"]).iloc[-1] == 1976 * config.t_r


GENRES = (
    "blues",
    "classical",
    "country",
    "disco",
    "hiphop",
    "jazz",
    "metal",
    "pop",
    "reggae",
    "rock",
)


def write_ds003720(folder):
    """Events as the real ones, pieces that are constants, and scans of ten columns a piece."""
    made = folder / "ds003720" / "derivative" / "stimuli_generate" / "genres_preproc"
    func = folder / "ds003720" / "sub-001" / "func"
    made.mkdir(parents=True)
    func.mkdir(parents=True)
    for task, first, n_runs, n_pieces in (("Training", 0, 12, 40), ("Test", 480, 6, 10)):
        for run in range(n_runs):
            own = [first + n_pieces * run + n for n in range(n_pieces)]
            before = own[-1] if task == "Test" else (own[0] - 1) % 480
            order = [before, *own * (40 // n_pieces)]
            rows = [
                (15 * k, 15, f"'{GENRES[n % 10]}'", n // 10, n / 40, n / 40 + 15)
                for k, n in enumerate(order)
            ]
            columns = ["onset", "duration", "genre", "track", "start", "end"]
            events = func / f"sub-001_task-{task}_run-{run + 1:02d}_events.tsv"
            pd.DataFrame(rows, columns=columns).to_csv(events, sep="\t", index=False)
            for k, n in enumerate(order[1:], 1):
                name = f"Stim_{task}_Run{run + 1:02d}_{k:02d}_{GENRES[n % 10]}.wav"
                soundfile.write(made / name, np.full(15 * 200, (n + 1) / 600), 200, subtype="FLOAT")
    data = folder / "ds003720" / "derivative" / "preprocessed_data"
    data.mkdir()
    np.save(data / "sub-001_Resp_Training.npy", waves(3, 4800, 0.0))
    np.save(data / "sub-001_Resp_Test_Mean.npy", waves(3, 600, 1.0))


@pytest.mark.slow
def test_ds003720_hears_each_piece_with_its_ten_volumes(folder):
    """Ten columns belong to a piece; here each piece is a constant that says which it is."""
    write_ds003720(folder)
    run_the_notes("Music genres")
    config = config_of("ds003720")
    join_stimuli(Path(config.stimuli), Path("stimuli.wav"), Path("stimuli.tsv"), config)
    load_bold(Path(config.bold), Path("bold.nc"), config, Path("stimuli.tsv"))
    arrays = load_arrays("bold.nc")
    assert arrays["bold"].shape == (5400, 3)
    assert arrays["in_film"].all()
    film, rate = soundfile.read("stimuli.wav")
    heard = film[(arrays["film_time"].values * rate).astype(int)]
    np.testing.assert_allclose(heard, (np.arange(5400) // 10 + 1) / 600, atol=1e-6)
    assert arrays["event_stimulus"].values[0] == 479  # the last piece came first
    match = match_scans(arrays, 1.5, 10_000)
    part = split_match(arrays, match, 1.5, config.splits)
    assert len(part) == 5400
    assert (part == "test").sum() == 600
    assert (part[match.stimulus >= 480] == "test").all()


MOTION = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]


def write_raw_ds003720(folder, real):
    """Real events and sidecars of two people; SIMULATED tracks, and images as fMRIPrep has them."""
    data = folder / "ds003720"
    shutil.copytree(real, data, ignore=shutil.ignore_patterns("anat"), symlinks=True)
    tracks = set()
    for events in sorted(data.glob("sub-*/func/*_events.tsv")):
        table = pd.read_csv(events, sep="\t", dtype=str)
        tracks |= {(g.strip("'"), t) for g, t in zip(table["genre"], table["track"], strict=True)}
        base = events.name.removesuffix("_events.tsv")
        func = data / "derivatives" / "fmriprep" / events.parent.relative_to(data)
        write_scan(func / f"{base}_space-{MNI}_desc-preproc_bold.nii.gz", 410)
        write_mask(func / f"{base}_space-{MNI}_desc-brain_mask.nii.gz")
        motion = pd.DataFrame(np.random.default_rng(0).normal(0, 0.01, (410, 6)), columns=MOTION)
        motion.to_csv(func / f"{base}_desc-confounds_timeseries.tsv", sep="\t", index=False)
    for n, (genre, track) in enumerate(sorted(tracks)):
        wav = data / "genres_original" / genre / f"{genre}.{track:0>5}.wav"
        wav.parent.mkdir(parents=True, exist_ok=True)
        other = np.full(30 * 100, n / 2**15, np.float32)  # copies of one file would count as one
        soundfile.write(wav, other, 100)


@pytest.mark.slow
def test_ds003720_reads_each_repeat_of_its_test_runs(folder, shared):
    """Oracle: rows of the real events, 41 of 15 s a run: ten volumes each."""
    (real,) = (shared / "real").glob("*ds003720")
    write_raw_ds003720(folder, real)
    run_the_notes("Music genres", 1)
    config = config_of("ds003720").model_copy(update={"bold": "ds003720"})
    join_stimuli(Path(config.stimuli), Path("stimuli.wav"), Path("stimuli.tsv"), config)
    load_bold(Path(config.bold), Path("bold.nc"), config, Path("stimuli.tsv"))
    arrays = load_arrays("bold.nc")
    assert set(arrays["subject"].values) == {"sub-001", "sub-002"}
    heard = []
    for subject, run in dict.fromkeys(
        zip(arrays["subject"].values, arrays["run"].values, strict=True)
    ):
        table = pd.read_csv(
            f"ds003720/{subject}/func/{subject}_{run}_events.tsv", sep="\t", dtype=str
        )
        names = [f"{r.genre.strip(chr(39))}.{r.track:0>5}_{r.start}" for r in table.itertuples()]
        heard += np.repeat(names, 10).tolist()
    heard, match = np.array(heard), match_scans(arrays, 1.5, 10_000)
    assert len(heard) == arrays.sizes["volume"] == 2 * 18 * 410
    names = arrays["stimulus"].values[match.stimulus]
    for own in match.repeats:
        for repeat in own:
            np.testing.assert_array_equal(heard[repeat[repeat >= 0]], names[repeat >= 0])
    counts = (match.repeats >= 0).sum(axis=1)
    part = split_match(arrays, match, 1.5, config.splits)
    assert (part == "test").sum() == 600
    # of each test run's ten pieces one is also its first; each training run begins with the last
    # piece of another
    assert np.bincount(counts[0][part == "test"]).tolist() == [0, 0, 0, 0, 540, 60]
    assert np.bincount(counts[0][part != "test"]).tolist() == [0, 4680, 120]
    assert len(match.trs) == 5400
    assert match.is_mean


@pytest.mark.parametrize("name", ["sherlock", "ds003720", "narratives"])
def test_the_notes_say_how_to_run_each_config(name):
    text = (ROOT / "config" / f"{name}.yaml").read_text()
    assert f"--configfile config/{name}.yaml" in text
    assert f"`config/{name}.yaml`" in (ROOT / "notes" / "data.md").read_text()
    assert config_of(name).t_r == 1.5
