"""`giblet.results`: what it shows is what the files have; what is missing is named."""

import re
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
import soundfile
import xarray as xr
from small_results import AFFINE, SHAPE, write_results

import giblet
from giblet.audio.feature_types import FEATURE_TYPES
from giblet.errors import GibletError
from giblet.io.arrays import save_arrays
from giblet.io.tables import save_table
from giblet.notebook.results import FILES
from giblet.notebook.sounds import Sound
from giblet.report.systems import SYSTEMS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    return write_results(tmp_path / "mine")


def test_what_there_is(folder):
    run = giblet.results(folder)
    assert run.columns == ["original", "codec", "brain"]
    assert run.feature_types == ["encodec"]
    assert run.score("brain", "identification_sound_10way")["value"] == 0.44
    assert run.score("codec", "identification_sound_10way") is None
    assert "SIMULATED" in repr(run)
    assert len(repr(run)) < 300
    assert run.model.bottleneck_dim == 2048
    assert set(run.quality) == {"isc"}


def test_sounds_are_those_of_the_files(folder):
    sound = giblet.results(folder).audio("brain")
    samples, rate = soundfile.read(folder / "audio/encodec/brain.wav")
    np.testing.assert_allclose(np.asarray(sound), samples, atol=1e-4)
    assert (sound.sample_rate, sound.seconds) == (rate, 12.0)
    assert 'src="data:audio/webm;base64,' in sound._repr_html_()
    sound.save(folder / "again.wav")
    np.testing.assert_allclose(soundfile.read(folder / "again.wav")[0], samples, atol=1e-4)


def test_a_sound_is_an_array_of_any_type():
    sound = Sound("tone", np.sin(np.arange(200, dtype=np.float32)), 24000)
    assert np.asarray(sound, dtype=float).dtype == np.float64
    np.testing.assert_array_equal(np.asarray(sound, dtype=float), sound.waveform)
    assert np.shares_memory(np.asarray(sound), sound.waveform)
    assert not np.shares_memory(np.array(sound), sound.waveform)


def test_a_notebook_shows_scores_and_players(folder):
    page = giblet.results(folder)._repr_html_()
    assert page.count("<audio controls") == 3
    assert "<td>0.440<br><small>[0.210, 0.680]</small></td>" in page
    assert "SIMULATED" in page
    assert "From BOLD (simulated) <code>brain</code>" in page
    assert (
        "<th>Identified by sound, 10-way<br><small>chance 0.1, best 1; n 12 clips</small>" in page
    )
    assert "identification_sound_10way" not in page


def test_names_are_escaped(folder):
    odd = folder.rename(folder.with_name("<b>mine"))
    assert "<b>" not in giblet.results(odd)._repr_html_()


def test_maps_are_drawn_of_subjects_and_of_all(folder):
    plot = giblet.results(folder).plot
    for options, said in (({}, "mean over 2 subjects"), ({"subject": "sub-02"}, "sub-02")):
        figure = plot.map("isc", display_mode="xz", **options)
        assert figure.get_suptitle() == f"Inter-subject correlation, {said}, SIMULATED"
        assert len(figure.axes) >= 3
        assert figure.axes[-1].get_ylabel() == "ISC"
    with pytest.raises(GibletError, match=r"no subject 1 in isc.* There are: sub-01, sub-02"):
        plot.map("isc", subject=1)


def test_the_smallest_p_is_drawn_strongest(folder):
    run = giblet.results(folder)
    p = np.geomspace(0.001, 1, run.quality.sizes["voxel"])
    run.quality["isc_p"] = "voxel", p
    figure = run.plot.map("isc_p")
    assert figure.get_suptitle() == "Inter-subject correlation: p, subjects together, SIMULATED"
    bar = figure.axes[-1]
    assert bar.get_ylabel() == "−log10 p"
    assert bar.get_ylim() == pytest.approx((0, 3))
    with pytest.raises(GibletError, match="of all subjects together: leave subject out"):
        run.plot.map("isc_p", subject="sub-01")


def test_scans_on_a_surface_are_drawn_on_the_cortex(folder):
    n = 10_242
    places = {"hemisphere": np.repeat(["L", "R"], n), "vertex": np.tile(np.arange(n), 2)}
    coords = {name: ("voxel", values) for name, values in places.items()}
    r = np.linspace(-0.3, 0.3, 2 * n)[None]
    quality = xr.Dataset({"r_all": (("subject", "voxel"), r)}, coords | {"subject": ["sub-01"]})
    (folder / "brain_quality.nc").unlink()
    save_arrays(quality.assign_attrs(bold_source="SIMULATED"), folder / "brain_quality.nc")
    volume = {"film_time": [0.0], "in_film": [True], "subject": ["sub-01"], "run": ["1"]}
    coords |= {name: ("volume", values) for name, values in volume.items()}
    attrs = {"t_r": 2.0, "source": "SIMULATED", "surface": "fsaverage5", "n_vertices": [n, n]}
    scans = xr.Dataset({"bold": (("volume", "voxel"), np.zeros((1, 2 * n)))}, coords, attrs)
    (folder / "bold.nc").unlink()
    save_arrays(scans, folder / "bold.nc")
    plot = giblet.results(folder).plot
    figure = plot.map("r_all", threshold=0.1)
    assert figure.get_suptitle() == "Ridge r: all together, one subject, SIMULATED"
    assert figure.axes[-1].get_ylim() == pytest.approx((0, 0.3))
    assert "left, lateral" in [text.get_text() for text in figure.texts]
    with pytest.raises(GibletError, match=r"no value of 0\.5 or more"):
        plot.map("r_all", threshold=0.5)


def test_an_image_has_the_scans_grid(folder):
    run = giblet.results(folder)
    image = run.to_nifti("isc")
    np.testing.assert_array_equal(image.affine, AFFINE)
    assert image.shape == (*SHAPE, 2)
    mask = run.space["mask"].values
    np.testing.assert_array_equal(image.get_fdata()[mask], run.quality["isc"].values.T)
    alone = giblet.to_nifti(run.quality["isc"].sel(subject="sub-01"))
    places = np.column_stack([run.quality[axis].values for axis in "xyz"])
    at = nibabel.affines.apply_affine(np.linalg.inv(alone.affine), places).round().astype(int)
    np.testing.assert_array_equal(alone.get_fdata()[tuple(at.T)], run.quality["isc"].values[0])


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda run: run.audio("brian"), "did you mean brain.*original, codec, brain"),
        (lambda run: run.audio("brain", "mel"), r"no sounds of mel in .*mine\. There are: encodec"),
        (lambda run: run.plot.ladder(feature_type="encodek"), "did you mean encodec"),
        (lambda run: run.score("brian", "stoi"), "no column brian of scores; did you mean brain"),
        (lambda run: run.score("brain", "stio"), "no metric stio of scores; did you mean stoi"),
        (lambda run: run.plot.map("ics"), "no map ics; did you mean isc"),
        (lambda run: run.differences, "no differences/.*reconstruct_audio"),
        (lambda run: run.aligned, "no aligned/.*reconstruct_audio"),
        (lambda run: giblet.results(run.folder / "audio"), "no results in it"),
        (lambda run: giblet.results(run.folder / "gone"), r"mine/gone: no such file or folder"),
        (lambda run: giblet.results(run.folder / "bold.nc"), "bold.nc: is a file"),
        (lambda run: giblet.results(run.folder.parent), r"no results in it; there are .*/mine$"),
    ],
)
def test_what_is_missing_is_named(folder, ask, said):
    with pytest.raises(GibletError, match=said):
        ask(giblet.results(folder))


@pytest.mark.parametrize("n_bytes", [0, 20])
def test_a_damaged_sound_or_table_is_named_and_the_rest_is_shown(folder, n_bytes):
    sound, table = folder / "audio/encodec/codec.wav", folder / "scores/encodec.tsv"
    sound.write_bytes(sound.read_bytes()[:n_bytes])
    with pytest.raises(GibletError, match=r"codec\.wav: "):
        giblet.results(folder).audio("codec")
    page = giblet.results(folder)._repr_html_()
    assert page.count("<audio controls") == 2
    assert "codec.wav: " in page
    assert "0.440" in page
    table.write_bytes(b"")
    page = giblet.results(folder)._repr_html_()
    assert page.count("<audio controls") == 2
    assert "No scores are shown: " in page
    assert "encodec.tsv: not a readable table" in page


def test_sounds_and_scores_of_a_reconstructed_score(folder):
    with pytest.raises(GibletError, match=r"reconstruct_score/.*--cores 8 reconstruct_score"):
        _ = giblet.results(folder).music_scores
    music = folder / "reconstruct_score/mel"
    music.mkdir(parents=True)
    for name, level in (("original", 0.5), ("score", 0.1), ("score_brain", 0.3)):
        soundfile.write(music / f"{name}.wav", np.full(800, level), 8000)
    row = {"path": "mel", "column": "score_brain", "level": "notes", "metric": "f1", "value": 0.2}
    save_table(pd.DataFrame([row]), folder / "reconstruct_score/mel.tsv")
    run = giblet.results(folder)
    for given in ({}, {"feature_type": "mel"}):
        np.testing.assert_allclose(run.audio("score_brain", **given).waveform, 0.3, atol=1e-4)
    assert run.audio("original").seconds == 12.0  # the film's, not the synthesizer's
    assert run.music_scores.to_dict("records") == [row]
    assert run.columns == ["original", "codec", "brain"]
    with pytest.raises(GibletError, match=r"did you mean score_brain.* score_brain"):
        run.audio("score_brian")


def test_of_scans_alone_there_are_maps(folder):
    for name in ("audio", "scores", "model"):
        (folder / name).rename(folder.with_name(name))
    run = giblet.results(folder)
    assert run.columns == []
    assert "<table>" not in run._repr_html_()
    assert run.map("isc").sizes["subject"] == 2
    with pytest.raises(GibletError, match="no scores/"):
        _ = run.scores
    with pytest.raises(GibletError, match=r"no audio/.*reconstruct_audio"):
        run.plot.ladder()


def test_the_files_are_those_that_the_workflow_writes():
    rules = "".join(file.read_text() for file in (ROOT / "workflow/rules").glob("*.smk"))
    rules = rules.replace("{SETTINGS.path}", "{{path}}")
    written = set(re.findall(r'\{RESULTS\}/([^"]+)"', rules))
    for file in FILES.values():
        assert file.replace("{path}", "{{path}}") in written, file
    assert next(iter(FEATURE_TYPES)) == "encodec"
    assert {"original", "codec", "stimulus", "brain"} <= SYSTEMS.keys()
