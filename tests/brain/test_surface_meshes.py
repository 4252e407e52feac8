"""Meshes of fsLR from files. Oracles: nibabel's file, NumPy; made of two small convex hulls."""

import hashlib
import json

import nibabel
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.spatial import ConvexHull
from surface_files import N_LEFT, T_R, hemispheres, with_tables

from giblet.brain.cortex import mesh_places
from giblet.brain.neighbours import neighbours
from giblet.brain.surface_meshes import local_mesh, mesh_pair, scan_mesh
from giblet.commands.model import report
from giblet.commands.scans import brain_quality, load_bold
from giblet.config.config import parse_config
from giblet.errors import GibletError
from giblet.io.arrays import load_arrays
from giblet.report.surface_maps import drawn_mesh, maps_note, on_drawn_mesh, why_no_mesh
from giblet.report.surface_peaks import surface_peaks

FLOW = "tpl-fsLR_den-32k_hemi-{}_{}.surf.gii"
SPACE = xr.Dataset(
    coords={
        "hemisphere": ("voxel", np.repeat(["L", "R"], N_LEFT)),
        "vertex": ("voxel", np.tile(np.arange(N_LEFT), 2)),
    },
    attrs={"surface": "fsLR", "n_vertices": f"[{N_LEFT}, {N_LEFT}]"},
)


def hull(n, seed, x):
    """Places (n, 3) mm on a ball around ``x``, and triangles that look outwards."""
    places = np.random.default_rng(seed).standard_normal((n, 3))
    places = 30 * places / np.linalg.norm(places, axis=1, keepdims=True)
    triangles = ConvexHull(places).simplices
    a, b, c = (places[triangles[:, k]] for k in range(3))
    inwards = (np.cross(b - a, c - a) * a).sum(axis=1) < 0
    triangles[inwards] = triangles[inwards][:, [0, 2, 1]]
    return (places + np.array([x, 0, 0])).astype(np.float32), triangles.astype(np.int32)


def save_mesh(path, places, triangles, side=""):
    meta = nibabel.gifti.GiftiMetaData({"AnatomicalStructurePrimary": side} if side else {})
    image = nibabel.gifti.GiftiImage()
    array = nibabel.gifti.GiftiDataArray
    image.add_gifti_data_array(array(places, intent="NIFTI_INTENT_POINTSET", meta=meta))
    image.add_gifti_data_array(array(triangles, intent="NIFTI_INTENT_TRIANGLE"))
    nibabel.save(image, path)


def put_mesh(folder, n=N_LEFT, pattern=FLOW, shapes=(("midthickness", 35), ("veryinflated", 5))):
    """Both hemispheres in two shapes; the inflated ones overlap, as Workbench's do."""
    folder.mkdir(parents=True, exist_ok=True)
    for shape, x in shapes:
        for side, name, seed in (("L", "CortexLeft", 1), ("R", "CortexRight", 2)):
            places, triangles = hull(n, seed, -x if side == "L" else x)
            save_mesh(folder / pattern.format(side, shape), places, triangles, name)
    return folder / pattern.format("L", shapes[0][0])


def stored(mesh):
    return SPACE.assign(mesh.data_vars).assign_attrs(mesh.attrs)


def test_edges_and_places_are_those_of_the_files(tmp_path):
    left = put_mesh(tmp_path)
    space = stored(scan_mesh(SPACE, str(left)))
    sides = [nibabel.load(path).agg_data() for path in mesh_pair(str(left))]
    expected = {
        tuple(sorted((int(a) + shift, int(b) + shift)))
        for shift, (_places, triangles) in zip((0, N_LEFT), sides, strict=True)
        for one in triangles
        for a, b in ((one[0], one[1]), (one[1], one[2]), (one[0], one[2]))
    }
    assert set(map(tuple, neighbours(space).tolist())) == expected
    np.testing.assert_array_equal(mesh_places(space), np.concatenate([one[0] for one in sides]))
    inflated = nibabel.load(tmp_path / FLOW.format("R", "veryinflated")).agg_data("pointset")
    np.testing.assert_array_equal(drawn_mesh(space).places["right"], inflated)
    assert space.attrs["mesh_file"] == left.name
    digests = [hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in mesh_pair(str(left))]
    assert space.attrs["mesh_sha256"].split() == digests
    assert f"TFCE, are those of {left.name} (SHA-256 of left and right: {digests[0]} and" in (
        maps_note(space)
    )
    assert maps_note(space).startswith("On tpl-fsLR_den-32k_hemi-L_veryinflated.surf.gii and its")
    assert why_no_mesh(space) == ""


def test_without_an_inflated_shape_maps_are_on_the_mesh(tmp_path):
    left = put_mesh(tmp_path, pattern="S1200.{}.{}_MSMAll.32k_fs_LR.surf.gii")
    assert "veryinflated_MSMAll" in scan_mesh(SPACE, str(left)).attrs["drawn_file"]
    other, triangles = hull(N_LEFT, 9, 0)
    save_mesh(tmp_path / left.name.replace("midthickness", "veryinflated"), other, triangles)
    mesh = scan_mesh(SPACE, str(left))  # that one has other triangles
    assert mesh.attrs["drawn_file"] == left.name
    np.testing.assert_array_equal(mesh["drawn_places"], mesh["mesh_places"])


def test_values_are_at_their_vertices_and_peaks_at_theirs(tmp_path):
    """The mesh has all its vertices drawn, not fsaverage5's; peaks are 20 mm apart on it."""
    space = stored(scan_mesh(SPACE, str(put_mesh(tmp_path))))
    values = np.arange(2.0 * N_LEFT)
    left, right = on_drawn_mesh(values, space)
    assert (left[3], right[3], len(left), len(right)) == (3, N_LEFT + 3, N_LEFT, N_LEFT)
    peaks = [column for column, _size in surface_peaks(values, values > 0, space)]
    places, edges = mesh_places(space), neighbours(space)
    assert peaks[0] == 2 * N_LEFT - 1
    for column in peaks:
        near = edges[(edges == column).any(axis=1)].ravel()
        assert values[near].max() == values[column]
    of_left = places[[one for one in peaks if one < N_LEFT]]
    gaps = np.linalg.norm(of_left[:, None] - of_left, axis=2)[np.triu_indices(len(of_left), 1)]
    assert len(peaks) >= 2
    assert (gaps >= 20).all()


CACHES = {
    "TEMPLATEFLOW_HOME": ("tpl-fsLR", {}),
    "NEUROMAPS_DATA": ("atlases/fsLR", {}),
    "NILEARN_DATA": ("fsLR", {}),
    "HOME": (".cache/templateflow/tpl-fsLR", {}),
}


@pytest.mark.parametrize("cache", CACHES)
def test_a_mesh_on_this_computer_is_taken(cache, tmp_path, monkeypatch):
    """Of the density of the scans; what is half of a download is not."""
    monkeypatch.setenv("HOME", str(tmp_path / "empty"))
    for name in ("TEMPLATEFLOW_HOME", "NEUROMAPS_DATA", "NILEARN_DATA", "NILEARN_SHARED_DATA"):
        monkeypatch.delenv(name, raising=False)
    assert scan_mesh(SPACE).sizes == {}
    monkeypatch.setenv(cache, str(tmp_path))
    folder = tmp_path / CACHES[cache][0]
    left = put_mesh(folder)
    put_mesh(folder, n=12, pattern="tpl-fsLR_den-164k_hemi-{}_{}.surf.gii")
    (folder / FLOW.format("L", "pial")).touch()
    assert local_mesh("fsLR", (N_LEFT, N_LEFT)) == left
    assert scan_mesh(SPACE).attrs["mesh_file"] == left.name
    (folder / FLOW.format("R", "midthickness")).unlink()
    assert local_mesh("fsLR", (N_LEFT, N_LEFT)) is None


def other_density(folder):
    return put_mesh(folder, n=12)


def one_hemisphere(folder):
    left = put_mesh(folder)
    (folder / FLOW.format("R", "midthickness")).unlink()
    return left


def swapped(folder):
    """Right names, but each holds the other, by its header."""
    left = put_mesh(folder)
    right = left.with_name(FLOW.format("R", "midthickness"))
    content = left.read_bytes()
    left.write_bytes(right.read_bytes())
    right.write_bytes(content)
    return left


def swapped_without_header(folder):
    left = put_mesh(folder)
    for side, x in (("L", 35), ("R", -35)):
        save_mesh(folder / FLOW.format(side, "midthickness"), *hull(N_LEFT, 1, x))
    return left


def the_right_one(folder):
    put_mesh(folder)
    return folder / FLOW.format("R", "midthickness")


def cut_short(folder):
    left = put_mesh(folder)
    left.write_bytes(left.read_bytes()[:300])
    return left


def no_triangles(folder):
    left = put_mesh(folder)
    array = nibabel.gifti.GiftiDataArray(np.zeros(N_LEFT, np.float32))
    nibabel.save(nibabel.gifti.GiftiImage(darrays=[array]), left)
    return left


REFUSED = {
    "density": (other_density, r"12 \+ 12 vertices, but the scans \(fsLR\) have 30 \+ 30"),
    "one hemisphere": (one_hemisphere, "hemi-R_midthickness"),
    "swapped": (swapped, r"hemi-L_.*holds the other hemisphere \(CortexRight\)"),
    "swapped, no header": (swapped_without_header, "lies right of the other hemisphere"),
    "right one named": (the_right_one, "name the file of the left hemisphere"),
    "cut short": (cut_short, "no mesh in GIfTI"),
    "no triangles": (no_triangles, "no mesh"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_mesh_that_does_not_fit_is_one_line(case, tmp_path):
    make, line = REFUSED[case]
    left = make(tmp_path)
    with pytest.raises(GibletError, match=line) as refused:
        scan_mesh(SPACE, str(left))
    assert len(str(refused.value).splitlines()) == 1


def test_voxels_need_no_mesh(tmp_path):
    assert scan_mesh(xr.Dataset()).sizes == {}
    with pytest.raises(GibletError, match="the scans are voxels"):
        scan_mesh(xr.Dataset(), str(put_mesh(tmp_path)))


def test_from_files_to_a_page(tmp_path):
    """fMRIPrep's fsLR files and a mesh: TFCE, static maps, the page that turns. Noise."""
    folder = with_tables(tmp_path / "b", hemispheres(space="fsLR"), subjects=("01", "02", "03"))
    settings = {"film": "none", "dataset": "d", "t_r": T_R, "bold": str(folder)}
    scan = {"space": "fsLR", "mesh": str(put_mesh(tmp_path / "mesh"))}
    settings |= {"annotations": "none", "quality": {"n_permutations": 9}, "scan": scan}
    config = parse_config(settings)
    bold, quality = tmp_path / "bold.nc", tmp_path / "brain_quality.nc"
    load_bold(folder, bold, config)
    brain_quality(bold, quality, tmp_path / "brain_quality.tsv", config)
    maps = load_arrays(quality)
    assert "isc_p_tfce" in maps
    assert not any("no clusters" in line for line in json.loads(maps.attrs["warnings"]))
    report(tmp_path, tmp_path / "report.html", config, figures=tmp_path / "figures")
    page = (tmp_path / "report.html").read_text()
    assert "surface that turns" in page
    assert "hemi-L_veryinflated.surf.gii and its right hemisphere" in page
    assert "comes with nilearn" not in page
    assert len(pd.read_csv(tmp_path / "figures" / "map_isc.csv")) == 2 * N_LEFT - 1
    assert (tmp_path / "figures" / "map_isc.pdf").is_file() or list(
        (tmp_path / "figures").rglob("map_isc*.pdf")
    )


def test_doctor_names_a_missing_mesh_and_one_that_does_not_fit(tmp_path, monkeypatch):
    from giblet.brain.bold import read_data_set
    from giblet.commands.doctor.scan_checks import read_columns

    for name in ("HOME", "TEMPLATEFLOW_HOME", "NEUROMAPS_DATA", "NILEARN_DATA"):
        monkeypatch.setenv(name, str(tmp_path / "empty"))
    folder = with_tables(tmp_path / "b", hemispheres(space="fsLR"))

    def warnings(**scan):
        settings = {"film": "none", "t_r": T_R, "bold": str(folder)}
        config = parse_config(settings | {"scan": {"space": "fsLR"} | scan})
        runs = read_data_set(folder, None, None, [], "fsLR")
        return read_columns(runs, config)[2]

    assert any("no mesh of fsLR comes with nilearn" in line for line in warnings())
    mesh = str(put_mesh(tmp_path / "mesh"))
    assert not any("mesh" in line for line in warnings(mesh=mesh))
    with pytest.raises(GibletError, match="a mesh of another density"):
        warnings(mesh=str(put_mesh(tmp_path / "other", n=12)))


def test_each_hemisphere_is_drawn_with_its_values(tmp_path):
    """Hemispheres of other values give other pictures, and the turning view moves them apart."""
    from giblet.report.surface_maps import _apart

    mesh = drawn_mesh(stored(scan_mesh(SPACE, str(put_mesh(tmp_path)))))
    apart = _apart(mesh.places)
    assert mesh.places["left"][:, 0].max() > mesh.places["right"][:, 0].min()
    assert apart["left"][:, 0].max() <= apart["right"][:, 0].min() + 1e-3


def test_sulci_are_darker_than_gyri():
    """A ball with one dent: the vertex that lies deepest is the darkest."""
    from giblet.report.surface_maps import _sulcal_depth

    places, triangles = hull(200, 3, 0)
    places[17] *= 0.8
    depth = _sulcal_depth(places, triangles)
    assert depth.argmax() == 17
