"""Hemispheres and greyordinates of fMRIPrep's BIDS layout, simulated, and atlases of the cortex."""

import gzip
import json
import shutil

import nibabel
import numpy as np
import pandas as pd
import pytest
from nibabel.cifti2 import BrainModelAxis, LabelAxis, SeriesAxis
from surface_files import N_LEFT, NEW, OLD, T_R, N, hemispheres, series, with_tables

from giblet.brain.bids_files import find_bold, run_prefix
from giblet.brain.bold import clean_series, load_bids, save_bold, survey_bids
from giblet.brain.cortex import vertex_maps
from giblet.brain.neighbours import neighbours
from giblet.brain.regions import find_regions
from giblet.commands.export import export
from giblet.commands.scans import brain_quality, load_bold
from giblet.config.config import parse_config
from giblet.errors import GibletError
from giblet.io.arrays import load_arrays
from giblet.io.schema import SCANS
from giblet.report.surface_maps import why_no_mesh


def parts_of_brain(voxel_mm=1.0, first=0):
    """Every second vertex of both hemispheres, of 30 each, and four voxels of the thalamus."""
    vertices = np.arange(first, N_LEFT, 2)
    voxels = np.ones((4, 1, 1))
    affine = np.diag([voxel_mm] * 3 + [1.0])
    return [
        BrainModelAxis.from_surface(vertices, N_LEFT, "CIFTI_STRUCTURE_CORTEX_LEFT"),
        BrainModelAxis.from_surface(vertices, N_LEFT, "CIFTI_STRUCTURE_CORTEX_RIGHT"),
        BrainModelAxis.from_mask(voxels, affine=affine, name="thalamus_left"),
    ]


def save_cifti(path, values, parts, exponent=0):
    """``exponent``: of the header's unit of time, -3 for ms."""
    axis = parts[0]
    for part in parts[1:]:
        axis += part
    rows = SeriesAxis(0, T_R, len(values), unit="SECOND")
    image = nibabel.Cifti2Image(values[:, : len(axis)], (rows, axis))
    stated = image.header.matrix.get_index_map(0)
    stated.series_exponent, stated.series_step = exponent, T_R * 10**-exponent
    nibabel.save(image, path)


def greyordinates(func, stem, number, parts=None, exponent=0):
    values = np.random.default_rng(number).normal(1000, 10, (N, N_LEFT + 4)).astype(np.float32)
    path = func / f"{stem}_space-fsLR_den-91k_bold.dtseries.nii"
    save_cifti(path, values, parts or parts_of_brain(), exponent)
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


def test_maps_of_fslr_are_one_line_that_says_what_to_do(tmp_path):
    """CIFTI and hemispheres: there is no mesh to draw them on, and TFCE has no neighbours."""
    cifti = with_tables(tmp_path / "cifti", greyordinates)
    gifti = with_tables(tmp_path / "gifti", hemispheres(space="fsLR"))
    for scans in (load_bids(cifti, space="fsLR:den-91k"), load_bids(gifti, space="fsLR")):
        assert scans.attrs["surface"] == "fsLR"
        (line,) = why_no_mesh(scans).splitlines()
        assert line.startswith("no mesh of fsLR comes with nilearn. For maps, name one (scan.mesh")
        assert neighbours(scans) is None


def test_greyordinates_as_people_have_them(tmp_path):
    """Without voxels, the right hemisphere first, the TR in ms; other voxels are refused."""

    def read(name, parts, exponent=0):
        own = parts if isinstance(parts, list) else parts_of_brain()

        def write(func, stem, number):
            greyordinates(
                func, stem, number, own if not callable(parts) else parts(number), exponent
            )

        return load_bids(with_tables(tmp_path / name, write), space="fsLR")

    left, right, below = parts_of_brain()
    whole = read("ms", [left, right, below], exponent=-3)
    assert whole.attrs["warnings"] == []  # of another TR
    cortex = read("cortex", [left, right])
    np.testing.assert_allclose(cortex["bold"], whole["bold"][:, :30])
    turned = read("turned", [right, left, below])
    assert turned["hemisphere"].values.tolist() == ["R"] * 15 + ["L"] * 15 + [""] * 4
    with pytest.raises(GibletError, match=r"dtseries\.nii: holds one hemisphere alone"):
        read("left", [left, below])
    for name, other in (("vertices", {"first": 1}), ("voxels", {"voxel_mm": 2.0})):
        with pytest.raises(GibletError, match="its columns are other vertices or voxels than"):
            read(name, lambda number, other=other: parts_of_brain(**other if number else {}))


def _without_right(func, stem, number):
    hemispheres(sides="LR" if number else "L")(func, stem, number)


def _other_side(func, stem, number):
    """The right hemisphere's file under the left one's name, as its header says."""
    hemispheres()(func, stem, number)
    rows = [nibabel.gifti.GiftiDataArray(row) for row in series("R")]
    meta = nibabel.gifti.GiftiMetaData({"AnatomicalStructurePrimary": "CortexRight"})
    image = nibabel.gifti.GiftiImage(darrays=rows, meta=meta)
    nibabel.save(image, func / NEW.format(stem=stem, side="L", space="fsaverage5"))


def _packed(func, stem, number):
    hemispheres()(func, stem, number)
    path = func / NEW.format(stem=stem, side="R", space="fsaverage5")
    path.write_bytes(gzip.compress(path.read_bytes()))


def _with_numbers_of_vertices(func, stem, number):
    hemispheres()(func, stem, number)
    numbers = np.arange(N_LEFT, dtype=np.int32)
    first = nibabel.gifti.GiftiDataArray(numbers, intent="NIFTI_INTENT_NODE_INDEX")
    for side in "LR":
        path = func / NEW.format(stem=stem, side=side, space="fsaverage5")
        arrays = nibabel.load(path).darrays[1:]
        nibabel.save(nibabel.gifti.GiftiImage(darrays=[first, *arrays]), path)


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
    "other hemisphere's file": (_other_side, r"hemi-L.*holds the right hemisphere by its header"),
    "packed": (_packed, r"hemi-R.*is packed by gzip.*rename it to .*gii.gz and unpack it"),
    "numbers of vertices": (_with_numbers_of_vertices, r"hemi-L.*holds no series"),
    "unequal lengths": (hemispheres(R0=series("R", n=39)), r"hemi-R.*39 volumes.*left.* has 40"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_surfaces_are_one_line(tmp_path, case):
    names, message = BAD[case]
    with pytest.raises(GibletError, match=message) as caught:
        load_bids(with_tables(tmp_path, names), space="fsaverage5")
    assert "\n" not in str(caught.value)


def _rewritten(change):
    """`hemispheres`, each file written again as ``change`` of its values (n_volumes, n_vertices)
    says: arrays of one per volume or one for all, and their options."""

    def names(func, stem, number):
        hemispheres()(func, stem, number)
        for side in "LR":
            arrays, options, step = change(series(side, number))
            intent = "NIFTI_INTENT_TIME_SERIES"
            rows = [nibabel.gifti.GiftiDataArray(a, intent=intent, **options) for a in arrays]
            meta = nibabel.gifti.GiftiMetaData({"TimeStep": step} if step else {})
            image = nibabel.gifti.GiftiImage(darrays=rows, meta=meta)
            path = func / NEW.format(stem=stem, side=side, space="fsaverage5")
            path.write_bytes(image.to_bytes(mode="force"))

    return names


def _column_major(values):
    array = nibabel.gifti.GiftiDataArray(values.T, ordering="ColumnMajorOrder")
    return [values.T], {"ordering": array.ind_ord}, "2.0"


AS_PEOPLE_HAVE_THEM = {
    "text": lambda v: (v, {"encoding": "GIFTI_ENCODING_ASCII"}, "2000"),
    "not compressed": lambda v: (v, {"encoding": "GIFTI_ENCODING_B64BIN"}, "2000"),
    "compressed, big endian": lambda v: (
        v, {"encoding": "GIFTI_ENCODING_B64GZ", "endian": "big"}, "2000"
    ),
    "one array of vertices x volumes": lambda v: ([v.T], {}, "2.0"),
    "the same, columns first": _column_major,
    "double precision": lambda v: (v.astype(float), {"datatype": "NIFTI_TYPE_FLOAT64"}, None),
    "0 on the medial wall": lambda v: (np.nan_to_num(v), {}, "0"),
    "whole numbers": lambda v: (
        np.rint(np.nan_to_num(v)).astype(np.int16), {"datatype": "NIFTI_TYPE_INT16"}, "2000"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", AS_PEOPLE_HAVE_THEM)
def test_hemispheres_as_people_have_them(tmp_path, case):
    """Every encoding, order and type of GIfTI gives the values of fMRIPrep's own form."""
    expected = load_bids(with_tables(tmp_path / "own", hemispheres()), space="fsaverage5")
    folder = with_tables(tmp_path / "other", _rewritten(AS_PEOPLE_HAVE_THEM[case]))
    scans = load_bids(folder, space="fsaverage5")
    rounding = 1.0 if case == "whole numbers" else 1e-3
    np.testing.assert_allclose(scans["bold"], expected["bold"], atol=rounding)
    assert scans["vertex"].values.tolist() == expected["vertex"].values.tolist()


def test_sessions_of_a_surface(tmp_path):
    folder = with_tables(tmp_path, hemispheres(), subjects=("01",))
    subject = folder / "derivatives" / "fmriprep" / "sub-01"
    for session in ("1", "2"):
        (subject / f"ses-{session}" / "func").mkdir(parents=True)
        for file in (subject / "func").iterdir():
            name = file.name.replace("_task", f"_ses-{session}_task")
            (subject / f"ses-{session}" / "func" / name).write_bytes(file.read_bytes())
    shutil.rmtree(subject / "func")
    scans = load_bids(folder, space="fsaverage5")
    assert sorted(set(scans["run"].values)) == ["ses-1_task-film_run-1", "ses-2_task-film_run-1"]
    assert scans.sizes["voxel"] == 59
    (subject / "ses-2" / "func" / NEW.format(
        stem="sub-01_ses-2_task-film_run-1", side="R", space="fsaverage5"
    )).unlink()  # fmt: skip
    with pytest.raises(GibletError, match=r"ses-2.*hemi-L.*the other hemisphere.*is missing"):
        load_bids(folder, space="fsaverage5")


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
    warned = any("no clusters (TFCE)" in line for line in json.loads(quality.attrs["warnings"]))
    assert warned == (kind == "vertices")
    clusters = pd.read_csv(tmp_path / "quality_clusters.tsv", sep="\t")
    assert list(clusters)[:4] == ["metric", "correction", "cluster", "n_places"]
    assert list(clusters)[6:] == (["parcel"] if n == 6 else ["hemisphere", "vertex"])
    export(files[0], folder, tmp_path / "out", config, quality=files[1])
    (table,) = (tmp_path / "out" / "group").rglob("*_parcels.tsv")
    rows = pd.read_csv(table, sep="\t")
    assert len(rows) == n
    first = ("parcel", "L V1") if n == 6 else ("vertex", "L0")
    assert (rows.columns[0], rows.iloc[0, 0]) == first
