"""Configs of public data sets: small SIMULATED copies, named as the real ones are, are read right.

Each copy's sound is slow waves, and each volume holds what was heard when it was taken by the
authors' clock. The lines of Python in notes/public_data_sets.md are run as they stand there.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import av
import h5py
import nibabel
import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.signal import detrend

from giblet.alignment.aligned import film_shapes, split_match
from giblet.alignment.sync import match_scans
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.commands.doctor.data_sizes import measure
from giblet.commands.export import export_predictions
from giblet.commands.film import embed_text, extract_mel, extract_video, group_trs, join_stimuli
from giblet.commands.model import sync_align
from giblet.commands.scans import convolve_hrf, load_bold
from giblet.config.config import parse_config
from giblet.config.sections import ModelConfig
from giblet.io.arrays import load_arrays
from giblet.io.tables import load_yaml

ROOT = Path(__file__).parents[2]
NOTES = ROOT / "notes" / "public_data_sets.md"
RATE = 200  # Hz
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])  # at the middle of the brain


def level(stimulus, seconds):
    """What is heard, -1 to 1: two slow waves, others in each stimulus."""
    turns = 2 * np.pi * np.asarray(seconds)
    slow, fast = np.sin(turns / (17 + 3 * stimulus)), np.sin(turns / (5.3 + stimulus))
    return 0.4 * slow + 0.3 * fast


def write_sound(path, stimulus, seconds):
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(round(seconds * RATE)) / RATE
    soundfile.write(path, level(stimulus, times), RATE, subtype="FLOAT")


def write_words(path, *tiers, end=9.0):
    """A TextGrid: a pause and a word in each tier."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "0", f"{end}", "<exists>"]
    lines += [f"{len(tiers)}"]
    for name in tiers:
        lines += ['"IntervalTier"', f'"{name}"', "0", f"{end}", "2"]
        lines += ["0", "1", '"sp"', "1", f"{end}", f'"{name}-said"']
    path.write_text("\n".join(lines) + "\n")


def write_scan(path, values, noise):
    """An image of 8 voxels: ``values`` (n_volumes,), and more of it in each further voxel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.arange(1, 9)[:, None] * values + noise
    image = nibabel.Nifti1Image(voxels.reshape(2, 2, 2, -1).astype(np.float32), AFFINE)
    image.header.set_zooms((2.0, 2.0, 2.0, 1.0))
    nibabel.save(image, path)


def run_the_notes(heading, *changes):
    """What a section of the notes tells the reader to run in Python; ``changes``: old, new."""
    section = NOTES.read_text().split(f"\n## {heading}")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.S)
    for old, new in changes:
        assert old in code
        code = code.replace(old, new)
    exec(code, {})


# ---- Le Petit Prince: seconds of sound and preprocessed volumes, of the data set's README --------

SOUND = {
    "CN": (564.9, 642.6, 643.7, 612.2, 584.5, 782.9, 726.6, 585.2, 801.1),
    "EN": (554.7, 587.8, 671.4, 598.2, 522.2, 678.1, 642.0, 575.8, 727.1),
    "FR": (613.5, 647.0, 702.2, 624.5, 580.8, 750.4, 658.5, 583.2, 667.9),
}
VOLUMES = {
    "CN": (283, 322, 322, 307, 293, 392, 364, 293, 401),
    "EN": (282, 298, 340, 303, 265, 343, 325, 292, 368),
    "FR": (309, 326, 354, 315, 293, 378, 332, 294, 336),
}
MORE = {"CN": 0, "EN": 4, "FR": 2}


def petit_prince(folder, language="EN"):
    """Two people with nine runs each; one whose file names count otherwise; one with eight."""
    data, task = folder / "ds003643", f"lpp{language}"
    dash = "-" if language == "EN" else "_"
    for n, seconds in enumerate(SOUND[language]):
        write_sound(data / f"stimuli/task-{task}_section{dash}{n + 1}.wav", n, seconds)
        write_words(data / f"annotation/{language}/{task}_section{n + 1}.TextGrid", "words")
    for number, first, n_runs in (("057", 15, 9), ("058", 1, 9), ("059", 1, 8)):
        subject = f"sub-{language}{number}"
        for n, n_volumes in enumerate(VOLUMES[language][:n_runs]):
            name = f"{subject}_task-{task}_run-{first + n:02d}_space-MNIColin27_desc-preproc"
            path = data / f"derivatives/{subject}/func/{name}_bold.nii.gz"
            write_scan(path, level(n, 2.0 * np.arange(n_volumes) + 1), int(number))
    run_the_notes("Le Petit Prince", ('"ds003643"), "EN"', f'"ds003643"), "{language}"'))


def cut_short(folder):
    path = folder / "ds003643/derivatives/sub-EN058/func"
    path /= "sub-EN058_task-lppEN_run-01_space-MNIColin27_desc-preproc_bold.nii.gz"
    write_scan(path, level(0, 2.0 * np.arange(200) + 1), 0)


# ---- the others ----------------------------------------------------------------------------------


def nndb(folder, task="500daysofsummer"):
    for n, subject in enumerate(("sub-1", "sub-2", "sub-20")):
        made = folder / "ds002837/derivatives" / subject
        name = f"{subject}_task-{task}_bold_blur_no_censor_ica.nii.gz"
        write_scan(made / "func" / name, level(0, np.arange(400) + 0.45), n)
        mask = np.ones((2, 2, 2), np.uint8)
        mask.flat[n] = 0
        (made / "anat").mkdir()
        image = nibabel.Nifti1Image(mask, AFFINE)
        nibabel.save(image, made / "anat" / f"{subject}_t1w_mask_epi_anat.nii.gz")
    run_the_notes("NNDb")


def without_mask(folder):
    (folder / "ds002837/derivatives/sub-2/anat/sub-2_t1w_mask_epi_anat.nii.gz").unlink()


STORIES = {"life": (450.0, 250), "treasureisland": (800.0, 414), "wheretheressmoke": (590.0, 311)}


def lebel(folder):
    """Seconds of sound and ``respdict.json``'s volumes of each story; 20 are trimmed."""
    data = folder / "ds003020"
    made = data / "derivative/preprocessed_data/UTS03"
    made.mkdir(parents=True)
    for n, (story, (seconds, n_scanned)) in enumerate(STORIES.items()):
        write_sound(data / f"stimuli/{story}.wav", n, seconds)
        write_words(data / f"derivative/TextGrids/{story}.TextGrid", "phone", "word")
        heard = level(n, 10 + 2.0 * np.arange(n_scanned - 20) + 1)
        bold = heard[:, None] * np.arange(1.0, 6.0)
        with h5py.File(made / f"{story}.hf5", "w") as file:
            file["data"] = bold
            if story == "wheretheressmoke":
                file["individual_repeats"] = np.stack([bold] * 10)
    (made / "sloth.hf5").symlink_to("nowhere.hf5")  # as datalad leaves a name
    run_the_notes("LeBel")


def without_words(folder):
    (folder / "ds003020/derivative/TextGrids/treasureisland.TextGrid").unlink()


CLIPS = {  # volumes, seconds of the film
    "s01e02a": (30, 42.0),
    "s05e20a": (28, 44.0),  # the scan ends first
    "s06e01b": (26, 36.0),
    "life01": (24, 35.8),
    "s07e01a": (None, 33.0),
}


def write_film(path, stimulus, seconds):
    """A film of one grey frame a second, with the sound that rises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rate = 8000
    with av.open(path, "w") as film:
        video = film.add_stream("ffv1", rate=1)
        video.width, video.height, video.pix_fmt = 16, 16, "bgr0"
        audio = film.add_stream("pcm_s16le", rate=rate, layout="mono")
        for n in range(int(np.ceil(seconds))):
            grey = np.full((16, 16, 3), 5 * n % 250, np.uint8)
            film.mux(video.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        heard = level(stimulus, np.arange(round(seconds * rate)) / rate)
        samples = np.rint(heard * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = rate
        film.mux([*video.encode(None), *audio.encode(frame), *audio.encode(None)])


def algonauts(folder):
    data = folder / "algonauts_2025.competitors"
    for n, (clip, (_, seconds)) in enumerate(CLIPS.items()):
        season, task = f"friends/s{clip[2]}", "friends"
        if clip == "life01":
            season, task = "movie10/life", "movie10"
        name = clip if task == "movie10" else f"friends_{clip}"
        write_film(data / f"stimuli/movies/{season}/{name}.mkv", n, seconds)
        rows = [
            ("", "[]", "[]", "[]"),
            ("It's her", """["It's", 'her']""", "[1.6, 2.1]", "[0.3, 0.4]"),
        ]
        columns = ["text_per_tr", "words_per_tr", "onsets_per_tr", "durations_per_tr"]
        transcript = data / f"stimuli/transcripts/{season}/{task}_{clip}.tsv"
        transcript.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows, columns=columns).to_csv(transcript, sep="\t", index=False)
    space = "space-MNI152NLin2009cAsym_atlas-Schaefer18_parcel-1000Par7Net"
    for person in (1, 2, 3, 5):
        subject = f"sub-{person:02d}"
        func = data / "fmri" / subject / "func"
        func.mkdir(parents=True)
        with h5py.File(func / f"{subject}_task-friends_{space}_desc-s123456_bold.h5", "w") as file:
            for clip in ("s01e02a", "s05e20a", "s06e01b"):
                file[f"ses-{person:03d}_task-{clip}"] = parcels(clip)
        with h5py.File(func / f"{subject}_task-movie10_{space}_bold.h5", "w") as file:
            for run in (1, 2):
                file[f"ses-00{run}_task-life01_run-{run}"] = parcels("life01")
        counts = func.parent / "target_sample_number"
        counts.mkdir()
        np.save(counts / f"{subject}_friends-s7_fmri_samples.npy", {"s07e01a": 24 + person})
    run_the_notes("Algonauts 2025")


def parcels(clip):
    """(n_volumes, 1000) of what was heard in the middle of each TR, more in each parcel."""
    heard = level(list(CLIPS).index(clip), 1.49 * (np.arange(CLIPS[clip][0]) + 0.5))
    return (heard[:, None] * np.linspace(1, 2, 1000)).astype(np.float32)


def not_fetched(folder):
    """As git leaves a file whose content datalad has not got."""
    func = folder / "algonauts_2025.competitors/fmri/sub-03/func"
    (path,) = func.glob("*friends*.h5")
    path.unlink()
    path.write_text("/annex/objects/MD5E-s1--0.h5\n")


@dataclass(frozen=True)
class Copy:
    """A SIMULATED copy of a data set: what writes it, a typical fault of it, and doctor's line."""

    write: object
    spoil: object
    line: str


COPIES = {
    "petit_prince": Copy(petit_prince, cut_short, r"the scan ends 15\d\.\d s before the last stim"),
    "nndb": Copy(nndb, without_mask, r"sub-2_t1w_mask_epi_anat\.nii\.gz"),
    "lebel": Copy(lebel, without_words, r"stimuli\.tsv: row 2: .*treasureisland\.TextGrid"),
    "algonauts_2025": Copy(algonauts, not_fetched, r"sub-03_task-friends_.*\.h5"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config_of(name, **changes):
    return parse_config(load_yaml(ROOT / "config" / f"{name}.yaml") | changes)


def loaded(config):
    """The sound of all stimuli (n_samples,) with its rate, and the BOLD that the verbs find."""
    join_stimuli(Path(config.stimuli), Path("stimuli.wav"), Path("stimuli.tsv"), config)
    load_bold(Path(config.bold), Path("bold.nc"), config, Path("stimuli.tsv"))
    return (*soundfile.read("stimuli.wav"), load_arrays("bold.nc"))


def check_heard(sound, rate, arrays, scale):
    """Each volume in the film holds what the sound is then; ``scale`` is column 0's.

    Cleaning takes a run's trend away: it is taken away from both.
    """
    seen = arrays["in_film"].values
    heard = sound[(arrays["film_time"].values[seen] * rate).astype(int)]
    bold, runs = arrays["bold"].values[seen, 0], arrays["run"].values[seen]
    people = arrays["subject"].values[seen]
    n_runs = 0
    for person, run in dict.fromkeys(zip(people, runs, strict=True)):
        here = (people == person) & (runs == run)
        np.testing.assert_allclose(detrend(bold[here]), scale * detrend(heard[here]), atol=5e-3)
        n_runs += 1
    return n_runs


@pytest.mark.parametrize("language", ["EN", "CN", "FR"])
def test_petit_prince_hears_each_section_in_its_run(folder, language, capsys):
    """Oracle: the README's seconds of sound and volumes."""
    petit_prince(folder, language)
    assert f"sub-{language}059/func: 8 runs, not 9" in capsys.readouterr().out
    tables = {
        "stimuli": f"ds003643/stimuli_{language}.tsv",
        "bold": f"ds003643/runs_{language}.tsv",
    }
    config = config_of("petit_prince", scan={"high_pass_hz": None}, **tables)
    sound, rate, arrays = loaded(config)
    assert set(arrays["subject"].values) == {f"sub-{language}057", f"sub-{language}058"}
    assert check_heard(sound, rate, arrays, scale=1) == 18
    rows = zip(SOUND[language], VOLUMES[language], strict=True)
    for n, (seconds, n_volumes) in enumerate(rows, 1):
        run = arrays["run"].values == f"section-{n}"
        own = arrays.isel(volume=run & (arrays["subject"].values == f"sub-{language}057"))
        assert own.sizes["volume"] == n_volumes
        assert abs(n_volumes - np.ceil(seconds / 2) - MORE[language]) <= 1
        assert own["in_film"].values[: int(seconds / 2)].all()
    match = match_scans(arrays, 2.0, 10_000)
    part = split_match(arrays, match, 2.0, config.splits)
    assert set(match.stimulus[part == "test"]) == {8}
    assert (part == "train").sum() > 1900


def test_nndb_is_one_run_a_person_on_the_films_clock(folder):
    """Oracle: the second of each volume that was written; voxels that are in all three masks."""
    nndb(folder)
    load_bold(Path("ds002837/runs.tsv"), Path("bold.nc"), config_of("nndb"))
    arrays = load_arrays("bold.nc")
    assert set(arrays["subject"].values) == {"sub-1", "sub-2", "sub-20"}
    assert arrays["bold"].shape == (3 * 400, 5)
    one = arrays.isel(volume=arrays["subject"].values == "sub-2")
    np.testing.assert_allclose(one["film_time"].values, np.arange(400) + 0.45)
    shown = detrend(4 * level(0, np.arange(400) + 0.45))  # the fourth voxel is in all three
    np.testing.assert_allclose(detrend(one["bold"].values[:, 0]), shown, atol=1e-4)


def test_lebel_begins_ten_seconds_into_each_story(folder):
    """Oracle: what was heard 11, 13, 15 … s into a story, in its rows; rows of real files."""
    lebel(folder)
    config = config_of("lebel")
    sound, rate, arrays = loaded(config)
    assert check_heard(sound, rate, arrays, scale=1) == 3
    rows = {run: int((arrays["run"].values == run).sum()) for run in STORIES}
    assert rows == {"life": 230, "treasureisland": 394, "wheretheressmoke": 291}
    begins = [float(arrays["scan_time"].values[arrays["run"].values == run][0]) for run in STORIES]
    assert begins == [21.0] * 3
    match = match_scans(arrays, 2.0, 10_000)
    part = split_match(arrays, match, 2.0, config.splits)
    assert arrays["stimulus"].values[np.unique(match.stimulus[part == "test"])] == [
        "wheretheressmoke"
    ]
    # 798 of 800 s: the scan ended first
    assert arrays["stimulus_duration"].values.tolist() == [450.0, 798.0, 590.0]


def test_algonauts_reads_each_episode_of_each_person(folder):
    """Oracle: what was heard in the middle of each TR, in the array of that key."""
    algonauts(folder)
    config = config_of("algonauts_2025")
    sound, rate, arrays = loaded(config)
    assert arrays["bold"].shape == (4 * (30 + 28 + 26 + 2 * 24), 1000)
    assert check_heard(sound, rate, arrays, scale=1) == 4 * 5
    match = match_scans(arrays, 1.49, 10_000)
    names = arrays["stimulus"].values
    assert names.tolist() == ["s01e02a", "s05e20a", "s06e01b", "s07e01a", "life01"]
    part = split_match(arrays, match, 1.49, config.splits)
    assert set(names[match.stimulus[part == "test"]]) == {"s06e01b"}
    assert set(names[match.stimulus[part == "validation"]]) == {"s05e20a"}
    assert set(names[match.stimulus[part == "train"]]) == {"s01e02a", "life01"}
    assert (match.repeats >= 0).sum(axis=1)[:, names[match.stimulus] == "life01"].min() == 2
    words = pd.read_csv("algonauts_2025.competitors/words/s01e02a.tsv", sep="\t")
    assert words.values.tolist() == [[1.6, 0.3, "It's"], [2.1, 0.4, "her"]]
    clips = pd.read_csv("algonauts_2025.competitors/clips_friends-s7.tsv", sep="\t")
    assert clips.values.tolist()[0] == ["sub-01", "s07e01a", 25, "s07e01a"]
    assert clips["n_samples"].tolist() == [25, 26, 27, 29]


@pytest.mark.slow
def test_predictions_of_withheld_episodes_have_the_samples_that_are_asked_for(folder):
    """From the copy to the challenge's file, with a model that nobody trained."""
    algonauts(folder)
    config = config_of("algonauts_2025", splits={"gap_seconds": 0})
    loaded(config)
    extract_mel(Path("stimuli.wav"), Path("stream.nc"), config)
    group_trs(Path("stream.nc"), Path("mel.nc"))
    extract_video(Path("stimuli.tsv"), Path("video.nc"), config)
    embed_text(
        Path("stimuli.tsv"), Path("text.nc"), config, film=Path("stimuli.wav"), bold=Path("bold.nc")
    )
    convolve_hrf(Path("text.nc"), Path("bold.nc"), Path("regressors.nc"), config)
    parts = (Path("mel.nc"), Path("video.nc"), Path("aligned.nc"), config, Path("text.nc"))
    sync_align(*parts, Path("bold.nc"), [Path("regressors.nc")])
    small = ModelConfig(layout="flat", audio_dim=8, bottleneck_dim=16, decoder_dim=8)
    aligned = load_arrays("aligned.nc")
    Autoencoder(film_shapes(aligned, "spm"), small).save_pretrained("model")
    export_predictions(
        Path("aligned.nc"),
        Path("model"),
        [Path("mel.nc"), Path("video.nc"), Path("text.nc")],
        Path("stimuli.tsv"),
        Path("algonauts_2025.competitors/clips_friends-s7.tsv"),
        Path("fmri_predictions_friends_s7.npy"),
    )
    predicted = np.load("fmri_predictions_friends_s7.npy", allow_pickle=True).item()
    shapes = {person: own["s07e01a"].shape for person, own in predicted.items()}
    counts = zip(("sub-01", "sub-02", "sub-03", "sub-05"), (25, 26, 27, 29), strict=True)
    assert shapes == {person: (n, 1000) for person, n in counts}


@pytest.mark.parametrize("name", COPIES)
def test_doctor_finds_nothing_wrong_with_a_copy_and_one_fault_of_a_faulty_one(folder, name):
    copy = COPIES[name]
    copy.write(folder)
    _sizes, lines, problems = measure(config_of(name))
    assert problems == []
    assert any(line.startswith("    ") for line in lines)
    copy.spoil(folder)
    _sizes, lines, problems = measure(config_of(name))
    assert len(problems) == 1, problems
    assert re.search(copy.line, problems[0]), problems
    assert "\n" not in problems[0]


@pytest.mark.parametrize("name", COPIES)
def test_the_notes_say_how_to_run_each_config(name):
    text = (ROOT / "config" / f"{name}.yaml").read_text()
    assert f"--configfile config/{name}.yaml" in text
    assert f"`config/{name}.yaml`" in NOTES.read_text()
