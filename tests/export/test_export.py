"""Results as a BIDS derivative data set: what is read back is what was made, and validators agree.

Oracles: the BIDS validators (`pip install bids-validator-deno`, `npm install bids-validator`),
pybids, nilearn's masking, and the simulated data set's own events table.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from nilearn.masking import apply_mask

from giblet.alignment.aligned import align, film_data, film_shapes
from giblet.audio.files import read_sound, write_sound
from giblet.audio.framing import group_trs, ungroup_trs
from giblet.audio.processor import AudioProcessor
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.inference import bottlenecks, predict_bold
from giblet.brain.events import film_times
from giblet.commands.export import export
from giblet.commands.scans import brain_quality, convolve_hrf, load_bold
from giblet.commands.score import read_score, score_features
from giblet.config.config import parse_config
from giblet.config.sections import ModelConfig, SplitConfig
from giblet.demo import film_path
from giblet.demo.bids_writer import simulate_bids
from giblet.errors import GibletError
from giblet.export.brain import runs_shown
from giblet.export.description import scan_note
from giblet.export.files import Export
from giblet.export.film import export_score, export_stimulus
from giblet.export.names import Names
from giblet.io.arrays import load_arrays, save_arrays
from giblet.io.tables import load_json, load_table, save_table
from giblet.music.midi import read_midi, write_midi
from giblet.music.notes import Beats, Notes
from giblet.music.pieces import Pieces
from giblet.timing import TrClock

T_R, SECONDS = 1.5, 30
CONFIG = parse_config(
    {
        "dataset": "tiny",
        "quality": {"n_permutations": 5, "n_shifts": 5},
        "score_offset": 2.0,
        "music": {"model": "none"},
    }
)
SMALL = ModelConfig(layout="flat", audio_dim=8, bottleneck_dim=16, decoder_dim=8, readout_rank=2)
SPLITS = SplitConfig(test=0.3, validation=0.2, gap_seconds=1.5)
PIECE = Notes(np.arange(40) / 2, np.full(40, 0.4), 60 + np.arange(40) * 7 % 12, np.arange(40, 80))
RUN = "sub-02/func/sub-02_task-film_run-2"
SPACE = "space-MNI152NLin2009cAsym"


def make_film(folder, framing):
    """The film's beginning as codes in TRs."""
    processor = AudioProcessor.from_config(parse_config({"framing": framing}), "encodec")
    sound = read_sound(film_path(), processor.sample_rate)[: SECONDS * processor.sample_rate]
    write_sound(folder / "film.wav", sound, processor.sample_rate)
    features, _ = processor.audio_to_features(folder / "film.wav")
    attrs = processor.facts() | {"film": "film.wav"}
    film = xr.Dataset({"audio": (("tr", "row", "frame"), features)}, attrs=attrs)
    save_arrays(film, folder / f"{framing}.nc")
    return processor


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What the rules write for half a minute of film and two SIMULATED people, and its export."""
    folder, rng = tmp_path_factory.mktemp("made"), np.random.default_rng(0)
    features = [rng.standard_normal((10 * SECONDS, n)) for n in (3, 4, 5)]
    simulate_bids(folder / "scans", *features, t_r=T_R, n_subjects=2, resolution_mm=16)
    processor = make_film(folder, "tr_synchronous")
    load_bold(folder / "scans", folder / "bold.nc", CONFIG)
    n_trs = int(SECONDS / T_R)
    words = {"text": (("tr", "feature"), rng.standard_normal((n_trs, 3)).astype(np.float32))}
    words["n_words"] = ("tr", rng.integers(0, 9, n_trs).astype(np.float32))
    save_arrays(xr.Dataset(words), folder / "words.nc")
    (folder / "regressors").mkdir()
    write_midi(PIECE, folder / "piece.mid")
    read_score(folder / "film.wav", folder / "piece.mid", folder / "score.nc", CONFIG)
    score_features(folder / "score.nc", folder / "trs.nc", folder / "notes.tsv", CONFIG)
    sources = {"encodec": "tr_synchronous.nc", "text": "words.nc", "score": "trs.nc"}
    blurred = [folder / "regressors" / f"{name}.nc" for name in sources]
    for source, file in zip(sources.values(), blurred, strict=True):
        convolve_hrf(folder / source, folder / "bold.nc", file, CONFIG)
    quality = folder / "quality.nc"
    brain_quality(folder / "bold.nc", quality, folder / "quality.tsv", CONFIG, blurred)
    film, scans = load_arrays(folder / "tr_synchronous.nc"), load_arrays(folder / "bold.nc")
    aligned = align([film], scans, [load_arrays(file) for file in blurred[:2]], T_R, SPLITS)
    save_arrays(aligned, folder / "aligned.nc")
    torch.manual_seed(0)
    shapes = film_shapes(aligned, "spm", processor.codec.codebook_dim)
    Autoencoder(shapes, SMALL).save_pretrained(folder / "model")
    export_all(folder, folder / "bids")
    return folder


def export_all(folder, to, config=CONFIG):
    names = {name: folder / f"{name}.nc" for name in ("bold", "quality", "aligned")}
    blurred = sorted((folder / "regressors").glob("*.nc"))
    more = {"film": folder / "tr_synchronous.nc", "model": folder / "model"}
    more["score"] = folder / "score.nc"
    export(source=folder / "scans", folder=to, config=config, regressors=blurred, **names, **more)


def of_run(arrays, subject="sub-02", run="task-film_run-2"):
    return (arrays["subject"].values == subject) & (arrays["run"].values == run)


@pytest.mark.slow
def test_codes_of_a_run_begin_when_the_film_did(made):
    """By the events table and the scan's sidecar: the film's onset less the first volume's."""
    codes = load_arrays(made / "tr_synchronous.nc")["audio"].values
    both = []
    for run in ("run-1", "run-2"):
        stem = f"sub-01/func/sub-01_task-film_{run}"
        both.append(
            pd.read_csv(made / f"bids/{stem}_recording-codes_stim.tsv.gz", sep="\t", header=None)
        )
        said = load_json(made / f"bids/{stem}_recording-codes_stim.json")
        (event,) = load_table(made / f"scans/{stem}_events.tsv").to_dict("records")
        first = load_json(made / f"scans/{stem}_{SPACE}_desc-preproc_bold.json")["StartTime"]
        assert said["StartTime"] == pytest.approx(event["onset"] - first)
        assert said["FilmTime"] == pytest.approx(event["stim_onset"])
        assert len(both[-1]) / said["SamplingFrequency"] == pytest.approx(event["duration"])
        assert len(said["Columns"]) == both[-1].shape[1]
    joined = np.concatenate(codes, axis=-1)  # the runs follow each other in the film
    np.testing.assert_array_equal(np.concatenate(both).T, joined)


@pytest.mark.slow
def test_native_frames_begin_a_little_before_their_tr(made, tmp_path):
    processor = make_film(tmp_path, "native")
    film = tmp_path / "native.nc"
    export(made / "bold.nc", made / "scans", tmp_path / "bids", CONFIG, film=film)
    files = sorted(tmp_path.glob("bids/sub-01/func/*_stim.tsv.gz"))
    both = [pd.read_csv(file, sep="\t", header=None) for file in files]
    stream = ungroup_trs(load_arrays(film)["audio"].values, processor.clock)
    np.testing.assert_array_equal(np.concatenate(both).T, stream)
    said = [load_json(str(file).replace(".tsv.gz", ".json")) for file in files]
    assert {one["SamplingFrequency"] for one in said} == {75.0}
    assert said[1]["FilmTime"] == pytest.approx(len(both[0]) / 75.0)


def shown(*events, n=70):
    """Scans of one run; ``events``: onset, duration and second of the film of each."""
    scan_time = 0.75 + T_R * np.arange(n)
    clock = film_times(scan_time, *np.array(events, float).T)
    names = ("film_time", "in_film", "film_start")
    coords = {name: ("volume", values) for name, values in zip(names, clock, strict=True)}
    labels = {"subject": ("volume", ["sub-01"] * n), "run": ("volume", ["task-film"] * n)}
    return scan_time, xr.Dataset(coords=coords | labels)


@pytest.mark.parametrize("framing", ["tr_synchronous", "native"])
@pytest.mark.parametrize(
    "events",
    [
        [(6, 30, 0), (46.2, 30, 30)],  # a pause
        [(6, 30, 0), (36, 30, 45)],  # a leap
        [(6, 30, 0), (46, 15, 15), (71, 20, 0)],  # repetitions
        [(6, 30.4, 0), (36.4, 30, 50.3)],  # within TRs
    ],
)
def test_the_film_is_where_it_was_shown(events, framing, tmp_path):
    """Codes that count frames: each row is the frame of the film that was on at its time."""
    clock, n_trs = TrClock(T_R, 75.0, framing), 60
    frames = np.arange(clock.edges(n_trs)[-1])[None]
    film = xr.Dataset(
        {"audio": (("tr", "row", "frame"), group_trs(frames, clock, n_trs))},
        attrs={"t_r": T_R, "frame_rate": 75.0, "framing": framing, "encoding_mode": "encodec"}
        | {"units": "index"},
    )
    scan_time, scans = shown(*events)
    export_stimulus(
        Export(Names(tmp_path, {"task-film": {"task": "film"}}, "film", None), scans), film
    )
    (file,) = tmp_path.rglob("*_stim.tsv.gz")
    table = pd.read_csv(file, sep="\t", header=None)
    said = load_json(str(file).replace(".tsv.gz", ".json"))
    rate = said["SamplingFrequency"]
    times = scan_time[0] + said["StartTime"] + (np.arange(len(table)) + 0.5) / rate
    film_time, on, _start = film_times(times, *np.array(events, float).T)
    codes = table[0].to_numpy()
    sure = on & ~np.isnan(codes)
    np.testing.assert_allclose((codes[sure] + 0.5) / rate, film_time[sure], atol=1.01 / rate)
    most = T_R * rate if events[0][1] % T_R else 1  # the end of a TR that has no volume
    assert (on & np.isnan(codes)).sum() <= most * len(events)
    ends = np.array([onset + duration for onset, duration, _ in events])
    since = times[:, None] - ends
    assert not np.isfinite(codes)[~on & ~((since > 0) & (since < T_R)).any(axis=1)].any()
    assert len(said["Showings"]) == len(events)
    assert said["Showings"][0] == {key: said[key] for key in ("StartTime", "FilmTime")}


@pytest.mark.parametrize("name", ["encodec", "text"])
def test_regressors_are_read_back_as_they_were(made, name):
    table = pd.read_csv(made / f"bids/{RUN}_desc-{name}_timeseries.tsv", sep="\t")
    scans, blurred = load_arrays(made / "bold.nc"), load_arrays(made / f"regressors/{name}.nc")
    here = of_run(scans)
    np.testing.assert_array_equal(table.pop("film_time"), scans["film_time"][here])
    values = table.filter(regex=f"^{name}_").to_numpy(np.float32)
    np.testing.assert_array_equal(values, blurred["regressors"][here])
    if name == "text":
        np.testing.assert_array_equal(
            table["nWords_001"].astype(np.float32), blurred["n_words"][here, 0]
        )
    said = load_json(made / f"bids/desc-{name}_timeseries.json")
    assert {"film_time", *table} <= said.keys()
    assert said["SamplingFrequency"] == pytest.approx(1 / T_R)


def test_columns_of_the_score_have_names(made):
    """And their space, unit and causality in the sidecar."""
    table = pd.read_csv(made / f"bids/{RUN}_desc-score_timeseries.tsv", sep="\t")
    scans, blurred = load_arrays(made / "bold.nc"), load_arrays(made / "regressors/score.nc")
    here, names = of_run(scans), blurred["value"].values.astype(str).tolist()
    assert {"onset_rate", "tonnetz_fifth_x", "ngram_surprisal_pitch", "novelty"} <= {*names}
    assert list(table) == ["film_time", *names]
    np.testing.assert_array_equal(table[names].to_numpy(np.float32), blurred["regressors"][here])
    sidecar = load_json(made / "bids/desc-score_timeseries.json")
    assert sidecar["ngram_surprisal_pitch"]["FeatureSpace"] == "expectation"
    assert sidecar["onset_rate"]["Units"].startswith("1/s")
    assert all(sidecar[name]["Causal"] is True for name in names)


def test_columns_at_several_lags_are_named_by_their_lag(made, tmp_path):
    config = CONFIG.model_copy(update={"hrf_model": "fir", "fir_lags_seconds": [2.0, 3.5]})
    convolve_hrf(made / "trs.nc", made / "bold.nc", tmp_path / "score.nc", config)
    export(
        made / "bold.nc",
        made / "scans",
        tmp_path / "bids",
        config,
        regressors=[tmp_path / "score.nc"],
    )
    table = pd.read_csv(tmp_path / f"bids/{RUN}_desc-score_timeseries.tsv", sep="\t")
    blurred = load_arrays(tmp_path / "score.nc")
    rate = blurred["regressors"][
        of_run(load_arrays(made / "bold.nc")), blurred["value"] == "novelty"
    ]
    for column, lag in zip(("novelty_lag_2s", "novelty_lag_3.5s"), rate.T, strict=True):
        np.testing.assert_array_equal(table[column].astype(np.float32), lag)


def test_the_score_is_midi_on_the_films_clock(made):
    exported = read_midi(made / "bids/stimuli/piece.mid")
    np.testing.assert_allclose(exported.onset, PIECE.onset + 2.0, atol=1e-3)
    np.testing.assert_array_equal(exported.pitch, PIECE.pitch)
    sidecar = load_json(made / "bids/stimuli/piece.json")
    assert sidecar["NumberOfNotes"] == 40
    assert sidecar["ScoreOffset"] == 2.0
    assert sidecar["Description"].startswith("SIMULATED")


def exported_scores(folder, notes, pieces=None, **attrs):
    """What `export_score` writes: name → notes, and name → facts in its sidecar."""
    facts = {}
    attrs = {
        "score": "music.mid",
        "film": "film.wav",
        "input": 16 * "0",
        "score_offset": 0.0,
    } | attrs
    target = SimpleNamespace(
        names=SimpleNamespace(root=folder),
        describe=lambda path, description, **fields: facts.update({path.stem: fields}),
    )
    export_score(target, notes, attrs, pieces)
    return {path.stem: read_midi(path) for path in (folder / "stimuli").iterdir()}, facts


def test_beats_far_apart_are_left_out(tmp_path):
    """18 s of silence: more than a beat of a MIDI file can last."""
    seconds = np.array([0.0, 0.5, 1.0, 19.0, 19.5, 20.0])
    beats = Beats(seconds, np.arange(6) % 4, np.full(6, 4))
    notes = Notes(np.array([0.0, 19.0]), np.full(2, 0.4), np.array([60, 62]), np.full(2, 64), beats)
    exported, _facts = exported_scores(tmp_path, notes)
    np.testing.assert_allclose(exported["music"].onset, [0, 19], atol=1e-3)


def test_each_piece_of_a_film_is_a_midi_of_its_own(tmp_path):
    """On its own clock; the second has a name that is no file's."""
    onset = np.array([2.0, 3.0, 60.5, 61.0, 70.0])
    notes = Notes(onset, np.full(5, 0.4), np.arange(60, 65), np.full(5, 64))
    places = np.array([2.0, 60.0]), np.array([50.0, np.inf])
    pieces = Pieces(("first", "no. 2/b"), *places, ("one.mid", "two.mid"), np.zeros(2))
    exported, facts = exported_scores(tmp_path, notes, pieces)
    (other,) = set(exported) - {"first"}
    assert other.startswith("no- 2-b-")
    np.testing.assert_allclose(exported["first"].onset, [0, 1], atol=1e-3)
    np.testing.assert_allclose(exported[other].onset, [0.5, 1, 10], atol=1e-3)
    assert exported[other].pitch.tolist() == [62, 63, 64]
    assert facts["first"]["Duration"] == 50.0
    assert "Duration" not in facts[other]
    assert [facts[name]["FilmTime"] for name in ("first", other)] == [2, 60]
    assert [facts[name]["Score"] for name in ("first", other)] == ["one.mid", "two.mid"]
    assert [facts[name]["NumberOfNotes"] for name in ("first", other)] == [2, 3]


@pytest.mark.slow
def test_maps_are_where_the_voxels_were(made):
    quality, source = load_arrays(made / "quality.nc"), load_arrays(made / "bold.nc")
    mask = made / f"bids/group/task-film_{SPACE}_desc-brain_mask.nii.gz"
    scan = nibabel.load(next((made / "scans/sub-01").rglob("*run-1*preproc_bold.nii.gz")))
    np.testing.assert_array_equal(nibabel.load(mask).affine, scan.affine)
    np.testing.assert_array_equal(nibabel.load(mask).get_fdata() > 0, source["mask"])
    for stat, values in {
        "sub-02/func/sub-02_task-film_{}_stat-isc": quality["isc"].sel(subject="sub-02"),
        "sub-01/func/sub-01_task-film_{}_stat-ceiling_desc-lower": quality["ceiling_lower"][0],
        "group/task-film_{}_stat-p_desc-isc": quality["isc_p"],
    }.items():
        file = made / "bids" / f"{stat.format(SPACE)}_statmap.nii.gz"
        np.testing.assert_array_equal(
            apply_mask(str(file), str(mask), ensure_finite=False), values.astype(np.float32)
        )
        assert np.isnan(nibabel.load(file).get_fdata()[~source["mask"].values]).all()


def test_predictions_are_of_test_trs_alone(made):
    aligned = load_arrays(made / "aligned.nc")
    data, model = film_data(aligned), Autoencoder.from_pretrained(made / "model")
    expected = predict_bold(model, bottlenecks(model, data), data.run)[1, data.where("test")]
    file = made / f"bids/{RUN}_{SPACE}_desc-predicted_bold.nii.gz"
    mask = made / f"bids/group/task-film_{SPACE}_desc-brain_mask.nii.gz"
    np.testing.assert_array_equal(apply_mask(str(file), str(mask)), expected)
    said, image = load_json(str(file).replace(".nii.gz", ".json")), nibabel.load(file)
    assert image.header.get_zooms()[3] == said["RepetitionTime"] == T_R
    scans = load_arrays(made / "bold.nc")
    times = scans["film_time"].values[of_run(scans) & scans["in_film"].values]
    np.testing.assert_allclose(said["FilmTime"], times[-len(expected) :])
    assert not list(made.glob("bids/sub-*/func/*run-1*predicted*"))  # nothing of it was held out


def test_every_file_has_its_sidecar_and_says_simulated(made):
    root = made / "bids"
    files = [f for f in root.rglob("*_*.*") if not f.name.endswith(".json")]
    assert len(files) > 20
    shared = {file.name for file in root.glob("desc-*.json")}
    for file in files:
        stem = file.name.split(".")[0]
        above = "desc-" + stem.rpartition("desc-")[2] + ".json"
        assert file.with_name(f"{stem}.json").is_file() or above in shared, file
    texts = [f.read_text() for f in [*root.rglob("*.json"), root / "README"]]
    assert all("SIMULATED" in text for text in texts)
    description = load_json(root / "dataset_description.json")
    codec = load_arrays(made / "tr_synchronous.nc").attrs
    assert description["GeneratedBy"][1]["Version"] == codec["codec_revision"]
    assert (root / description["DatasetLinks"]["scans"]).resolve() == made / "scans"


def test_scanned_people_are_not_called_simulated_and_noise_is_called_noise():
    scans = xr.Dataset(attrs={"source": "fmriprep, fMRIPrep"})
    assert scan_note(scans) == ""
    assert "NO DATA" in scan_note(scans.assign_attrs(null="phase-randomised"))


def test_parcels_become_tables(tmp_path):
    rng, rows = np.random.default_rng(0), []
    for subject in ("s_1", "s_2"):
        bold = pd.DataFrame(rng.standard_normal((60, 2)), columns=["V1", "left A1"])
        bold.to_csv(tmp_path / f"{subject}.csv", index=False)
        rows.append({"subject": subject, "file": f"{subject}.csv", "t_r": 1.5, "film_onset": 0.0})
    save_table(pd.DataFrame(rows), tmp_path / "runs.tsv")
    bold, quality = tmp_path / "bold.nc", tmp_path / "quality.nc"
    load_bold(tmp_path / "runs.tsv", bold, CONFIG)
    brain_quality(bold, quality, tmp_path / "quality.tsv", CONFIG)
    export(bold, tmp_path / "runs.tsv", tmp_path / "bids", CONFIG, quality=quality)
    table = tmp_path / "bids/sub-s2/func/sub-s2_task-film_desc-quality_parcels.tsv"
    table = pd.read_csv(table, sep="\t", index_col="parcel")
    assert list(table.index) == ["V1", "left A1"]
    expected = load_arrays(quality)["isc"].sel(subject="sub-s_2")
    np.testing.assert_array_equal(table["isc"].astype(np.float32), expected)


def test_what_fails_leaves_the_folder_as_it_was(made, tmp_path):
    scans = load_arrays(made / "bold.nc")
    names = scans["subject"].astype("U9").str.replace("sub-02", "sub-0_1")
    save_arrays(scans.assign_coords(subject=names), tmp_path / "bold.nc")
    (tmp_path / "bids").mkdir()
    (tmp_path / "bids" / "README").write_text("as it was")
    with pytest.raises(GibletError, match="label would be '01', as sub-01"):
        export(tmp_path / "bold.nc", made / "scans", tmp_path / "bids", CONFIG)
    assert [f.read_text() for f in (tmp_path / "bids").iterdir()] == ["as it was"]
    assert len(list(tmp_path.iterdir())) == 2


def errors(command, folder):
    """What a validator calls an error; the older one lists them apart, the newer one all issues."""
    done = subprocess.run([*command, folder], capture_output=True, text=True)
    issues = json.loads(done.stdout)["issues"]
    newer = [issue for issue in issues.get("issues", []) if issue["severity"] == "error"]
    return [str(issue)[:300] for issue in issues.get("errors", newer)]


def find_program(name):
    beside = Path(sys.executable).with_name(name)
    program = beside if beside.is_file() else shutil.which(name)
    return program or pytest.skip(f"{name} is not installed")


def test_the_validator_finds_no_error(made, tmp_path):
    """Also in what the older validator must be told to ignore."""
    command = [find_program("bids-validator-deno"), "--format", "json", "--max-rows", "-1"]
    copy = shutil.copytree(made / "bids", tmp_path / "bids")
    ignored = (copy / ".bidsignore").read_text().splitlines()
    (copy / ".bidsignore").write_text("\n".join(i for i in ignored if "predicted" not in i))
    assert errors(command, copy) == []
    next(copy.rglob("*predicted_bold.json")).unlink()
    assert errors(command, copy)


def test_the_validator_of_node_finds_no_error(made):
    assert errors([find_program("bids-validator"), "--json"], made / "bids") == []


def test_pybids_finds_every_file(made):
    bids = pytest.importorskip("bids", reason="pybids is not installed")
    layout = bids.BIDSLayout(made / "bids", validate=False, is_derivative=True)
    assert layout.get_subjects() == ["01", "02"]
    (file,) = layout.get(subject="02", run=2, suffix="timeseries", desc="text", extension=".tsv")
    assert file.get_metadata()["HRFModel"] == "spm"
    (file,) = layout.get(subject="02", desc="predicted", suffix="bold", extension=".nii.gz")
    assert file.get_metadata()["RepetitionTime"] == T_R


def test_a_prediction_has_the_name_of_that_persons_run():
    """Counterbalanced: one half of the film is run-1 of one person and run-2 of another."""
    clock = {"film_time": np.array([0.75, 60.75, 0.75, 60.75]), "in_film": np.ones(4, dtype=bool)}
    names = {
        "subject": np.repeat(["sub-01", "sub-02"], 2),
        "run": np.array(["run-1", "run-2", "run-2", "run-1"]),
    }
    coords = {name: ("volume", values) for name, values in (clock | names).items()}
    scans = xr.Dataset(coords=coords)
    times = np.array([0.0, 61.0])
    shown = [runs_shown(scans, subject, times) for subject in ("sub-01", "sub-02")]
    assert shown == [["run-1", "run-2"], ["run-2", "run-1"]]


def test_runs_that_show_the_same_seconds_but_for_float_noise_are_the_first():
    times = 0.1 * np.arange(30)
    noise = np.tile([1e-12, -1e-12, 0.0], 10)
    names = {
        "subject": np.repeat("sub-01", 60),
        "run": np.repeat(["run-2", "run-1"], 30),
        "film_time": np.concatenate([times + noise, times]),
        "in_film": np.ones(60, dtype=bool),
    }
    scans = xr.Dataset(coords={name: ("volume", values) for name, values in names.items()})
    wanted = np.concatenate([times, times - noise, times + 0.04])
    assert set(runs_shown(scans, "sub-01", wanted)) == {"run-2"}


def test_the_run_of_each_second_is_that_of_the_nearest_volume(rng):
    """Oracle: the distances to all volumes; seconds that two runs showed are the first's."""
    times = np.round(rng.uniform(0, 30, 60), 1)
    runs = rng.integers(0, 5, 60).astype(str)
    who = rng.choice(["sub-01", "sub-02"], 60)
    coords = {"film_time": times, "in_film": rng.random(60) < 0.8, "subject": who, "run": runs}
    scans = xr.Dataset(coords={name: ("volume", values) for name, values in coords.items()})
    wanted = np.arange(-2, 33, 0.05)
    ours = np.flatnonzero((who == "sub-02") & coords["in_film"])
    far = np.abs(times[ours][:, None] - wanted)
    nearest = (far < far.min(axis=0) + 1e-9).argmax(axis=0)
    assert runs_shown(scans, "sub-02", wanted) == runs[ours][nearest].tolist()
