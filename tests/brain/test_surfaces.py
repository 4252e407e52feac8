"""Hemispheres and greyordinates of fMRIPrep's BIDS layout, simulated, and atlases of the cortex."""

import json

import nibabel
import numpy as np
import pandas as pd
import pytest
from nibabel.cifti2 import BrainModelAxis, LabelAxis, SeriesAxis
from surface_files import N_LEFT, NEW, OLD, T_R, N, hemispheres, series, with_tables

from giblet.brain.bids_files import find_bold, run_prefix
from giblet.brain.bold import clean_series, load_bids, save_bold, survey_bids
from giblet.brain.cortex import vertex_maps
from giblet.brain.regions import find_regions
from giblet.commands.export import export
from giblet.commands.scans import brain_quality, load_bold
from giblet.config.config import parse_config
from giblet.errors import GibletError
from giblet.io.arrays import load_arrays
from giblet.io.schema import SCANS


def save_cifti(path, values, n_voxels=4, t_r=T_R):
    """Vertices 0, 2, 4 … of both hemispheres, of 30 each, and some voxels of the thalamus."""
    vertices = np.arange(0, N_LEFT, 2)
    axis = BrainModelAxis.from_surface(vertices, N_LEFT, "CIFTI_STRUCTURE_CORTEX_LEFT")
    axis += BrainModelAxis.from_surface(vertices, N_LEFT, "CIFTI_STRUCTURE_CORTEX_RIGHT")
    voxels = np.zeros((n_voxels, 1, 1))
    voxels[:] = 1
    axis += BrainModelAxis.from_mask(voxels, affine=np.eye(4), name="thalamus_left")
    rows = SeriesAxis(0, t_r, len(values), unit="SECOND")
    nibabel.save(nibabel.Cifti2Image(values, (rows, axis)), path)


def greyordinates(func, stem, number):
    values = np.random.default_rng(number).normal(1000, 10, (N, N_LEFT + 4)).astype(np.float32)
    path = func / f"{stem}_space-fsLR_den-91k_bold.dtseries.nii"
    save_cifti(path, values)
    sidecar = {"RepetitionTime": T_R, "StartTime": 0.0}
    (func / f"{stem}_space-fsLR_den-91k_bold.json").write_text(json.dumps(sidecar))


@pytest.mark.parametrize("pattern", [NEW, OLD])
def test_two_hemispheres_are_one_subject(tmp_path, pattern):
    scans = load_bids(with_tables(tmp_path, hemispheres(pattern)), space="fsaverage5")
    assert scans["bold"].dims == ("volume", "voxel")
    assert scans.sizes["voxel"] == 2 * N_LEFT - 1  # without the medial wall
    assert list(dict.fromkeys(scans["subject"].values)) == ["sub-01", "sub-02"]
    assert set(scans["run"].values) == {"task-film_run-1"}
    assert scans.attrs["surface"] == "fsaverage5"
    assert scans.attrs["n_vertices"] == [30, 30]
    assert "1 vertices, constant or n/a in some run, were left out" in scans.attrs["warnings"]
    right = (scans["hemisphere"] == "R") & (scans["vertex"] == 7)
    left = (scans["hemisphere"] == "L") & (scans["vertex"] == 7)
    motion = np.random.default_rng(1).normal(0, 0.01, (N, 6))
    for side, column in (("L", left), ("R", right)):
        raw = series(side, 1)[:, [7]].copy()
        expected = clean_series(raw, motion, T_R, 0.01)
        actual = scans["bold"].values[scans["subject"].values == "sub-02"][:, column.values]
        np.testing.assert_allclose(actual, expected, atol=1e-2)


def test_a_file_of_them_is_read_again(tmp_path):
    scans = survey_bids(with_tables(tmp_path, hemispheres()), space="fsaverage5")
    save_bold(scans, tmp_path / "bold.nc")
    arrays = load_arrays(tmp_path / "bold.nc", *SCANS)
    assert arrays["hemisphere"].values.tolist() == ["L"] * 29 + ["R"] * 30
    left, right = vertex_maps(np.arange(59.0), arrays)
    assert left.shape == right.shape == (30,)
    assert np.isnan(left[3])
    assert left[4] == 3


def test_greyordinates(tmp_path):
    folder = with_tables(tmp_path, greyordinates)
    scans = load_bids(folder, space="fsLR:den-91k")
    assert scans.sizes["voxel"] == N_LEFT + 4
    assert scans["hemisphere"].values.tolist() == ["L"] * 15 + ["R"] * 15 + [""] * 4
    assert scans["vertex"].values[:3].tolist() == [0, 2, 4]
    assert scans["vertex"].values[-1] == -1
    assert load_bids(folder, space="fsLR").sizes == scans.sizes


def _without_right(func, stem, number):
    hemispheres(sides="LR" if number else "L")(func, stem, number)


def _of_two_densities(func, stem, number):
    wide = {f"{side}1": series(side, 1, n_vertices=42) for side in "LR"}
    hemispheres(**wide)(func, stem, number)


BAD = {
    "one hemisphere": (_without_right, r"hemi-L_space-fsaverage5_bold.*other hemisphere.*hemi-R"),
    "only right ones": (hemispheres(sides="R"), r"other hemisphere, .*hemi-L.*is missing"),
    "other density": (_of_two_densities, r"42 \+ 42 vertices.*30 \+ 30.*different density"),
    "unequal hemispheres": (
        hemispheres(R0=series("R", n_vertices=31)),
        r"hemi-R.*31 vertices, but the left hemisphere has 30",
    ),
    "unequal lengths": (hemispheres(R0=series("R", n=39)), r"hemi-R.*39 volumes.*left.* has 40"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_surfaces_are_one_line(tmp_path, case):
    names, message = BAD[case]
    with pytest.raises(GibletError, match=message) as caught:
        load_bids(with_tables(tmp_path, names), space="fsaverage5")
    assert "\n" not in str(caught.value)


def test_spaces_of_surfaces_are_listed(tmp_path):
    folder = with_tables(tmp_path, hemispheres())
    with pytest.raises(GibletError, match=r"spaces there: fsaverage5. Set scan.space"):
        load_bids(folder)
    with pytest.raises(GibletError, match="no template that subjects share"):
        load_bids(folder, space="fsnative")


def test_real_names_of_the_older_layout(shared):
    root = shared / "real" / "bids-standard+bids-examples" / "ds000001-fmriprep"
    if not root.is_dir():
        pytest.skip(f"{root} is missing")
    paths = find_bold(root, None, "fsaverage5")
    assert len(paths) == 3
    assert all("hemi-L" in path.name for path in paths)
    assert run_prefix(paths[0]) == "sub-10_task-balloonanalogrisktask_run-1"


def save_annot(path, labels, names):
    table = np.array([[k, k, k, 0, k] for k in range(1, len(names) + 1)])
    table[:, 4] = table[:, 0] + table[:, 1] * 256 + table[:, 2] * 65536
    nibabel.freesurfer.write_annot(path, labels, table, names)


def test_parcels_of_a_surface(tmp_path):
    """Means over vertices, from .annot files and from a .dlabel.nii, of both hemispheres."""
    folder = with_tables(tmp_path, hemispheres())
    labels = np.arange(N_LEFT) % 3  # 0 is unknown
    for side in "lr":
        save_annot(tmp_path / f"{side}h.own.annot", labels, ["unknown", "V1", "A1"])
    scans = load_bids(folder, space="fsaverage5", parcellation=tmp_path / "lh.own.annot")
    assert scans["parcel"].values.tolist() == ["L V1", "L A1", "R V1", "R A1"]
    assert sorted(find_regions(scans, None)) == ["L A1", "L V1", "R A1", "R V1"]
    assert scans["vertex_labels"].values[:6].tolist() == [0, 1, 2, 0, 1, 2]
    vertices = load_bids(folder, space="fsaverage5")
    inside = (vertices["hemisphere"] == "R") & (vertices["vertex"] % 3 == 2)
    np.testing.assert_allclose(
        scans["bold"].values[:, 3],
        vertices["bold"].values[:, inside.values].mean(axis=1),
        atol=1e-2,
    )


def test_parcels_of_greyordinates(tmp_path):
    folder = with_tables(tmp_path, greyordinates)
    axis = BrainModelAxis.from_surface(np.arange(N_LEFT), N_LEFT, "CIFTI_STRUCTURE_CORTEX_LEFT")
    axis += BrainModelAxis.from_surface(np.arange(N_LEFT), N_LEFT, "CIFTI_STRUCTURE_CORTEX_RIGHT")
    table = {0: ("???", (0, 0, 0, 0)), 1: ("left one", (1, 0, 0, 1)), 2: ("right", (0, 1, 0, 1))}
    values = np.repeat([[1, 2]], N_LEFT, axis=1).astype(np.float32)
    atlas = tmp_path / "own.dlabel.nii"
    nibabel.save(nibabel.Cifti2Image(values, (LabelAxis(["own"], [table]), axis)), atlas)
    scans = load_bids(folder, space="fsLR", parcellation=atlas)
    assert scans["parcel"].values.tolist() == ["left one", "right"]


OF_ANOTHER_SPACE = {
    "voxels": ("atlas.nii.gz", r"the scans lie on a surface \(fsaverage5\)"),
    "density": ("lh.small.annot", r"12 \+ 12 vertices.*30 \+ 30: an atlas of another mesh"),
    "by name": ("schaefer_2018_400", "an atlas of voxels, but the scans lie on fsaverage5"),
    "one side": ("lh.alone.annot", "rh.alone.annot"),
    "right": ("rh.small.annot", "name the file of the left hemisphere"),
    "misspelt": ("shaefer_2018_400", "did you mean schaefer_2018_400"),
}


@pytest.mark.parametrize("case", OF_ANOTHER_SPACE)
def test_atlases_of_another_space(tmp_path, case, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, message = OF_ANOTHER_SPACE[case]
    nibabel.save(nibabel.Nifti1Image(np.ones((2, 2, 2), np.uint8), np.eye(4)), "atlas.nii.gz")
    for side in "lr":
        save_annot(f"{side}h.small.annot", np.arange(12) % 2, ["unknown", "V1"])
    save_annot("lh.alone.annot", np.arange(30) % 2, ["unknown", "V1"])
    folder = with_tables(tmp_path / "bids", hemispheres(), subjects=("01",))
    with pytest.raises(GibletError, match=message):
        load_bids(folder, space="fsaverage5", parcellation=name)


@pytest.mark.parametrize("kind", ["vertices", "parcels"])
def test_verbs_take_scans_on_a_surface(tmp_path, kind):
    """From BIDS to maps, their tables and the export; 30 vertices have no mesh: max-T alone."""
    folder = with_tables(tmp_path / "bids", hemispheres(), subjects=("01", "02", "03"))
    scan = {"space": "fsaverage5"}
    if kind == "parcels":
        for side in "lr":
            labels = np.arange(N_LEFT) % 4
            save_annot(tmp_path / f"{side}h.own.annot", labels, ["unknown", "V1", "A1", "M1"])
        scan["parcellation"] = str(tmp_path / "lh.own.annot")
    settings = {"film": "none", "t_r": T_R, "scan": scan, "quality": {"n_permutations": 9}}
    config = parse_config(settings)
    files = [tmp_path / name for name in ("bold.nc", "quality.nc", "quality.tsv")]
    load_bold(folder, files[0], config)
    brain_quality(*files, config)
    quality = load_arrays(files[1])
    n = 6 if kind == "parcels" else 2 * N_LEFT - 1
    assert quality["isc_p_max"].shape == (n,)
    assert "isc_p_tfce" not in quality
    clusters = pd.read_csv(tmp_path / "quality_clusters.tsv", sep="\t")
    assert list(clusters)[:4] == ["metric", "correction", "cluster", "n_places"]
    assert list(clusters)[6:] == (["parcel"] if n == 6 else ["hemisphere", "vertex"])
    export(files[0], folder, tmp_path / "out", config, quality=files[1])
    (table,) = (tmp_path / "out" / "group").rglob("*_parcels.tsv")
    rows = pd.read_csv(table, sep="\t")
    assert len(rows) == n
    first = ("parcel", "L V1") if n == 6 else ("vertex", "L0")
    assert (rows.columns[0], rows.iloc[0, 0]) == first
