"""Peaks of vertices and their names. Oracles: the files as nibabel reads them, nilearn's mesh."""

import nibabel
import numpy as np
import pytest
import xarray as xr
from nibabel.freesurfer import read_annot, write_annot
from nilearn.datasets import load_fsaverage
from nilearn.surface.surface import compute_adjacency_matrix

from giblet.brain.surface_labels import local_surface_atlas
from giblet.errors import GibletError
from giblet.evaluation.quality import summary_table
from giblet.report.peaks import peak_tables
from giblet.report.region_names import region_names
from giblet.report.scan_quality import BrainResults
from giblet.report.surface_peaks import surface_peaks

N = 10_242
NAMES = ["unknown", "superiortemporal", "cuneus"]
LEFT_PEAK, RIGHT_PEAK = 5000, 700  # vertices


@pytest.fixture(autouse=True)
def computer(tmp_path, monkeypatch):
    """A computer without any atlas."""
    for name in ("SUBJECTS_DIR", "FREESURFER_HOME", "NILEARN_SHARED_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NILEARN_DATA", str(tmp_path / "nilearn"))
    monkeypatch.setenv("HOME", str(tmp_path))


def hemisphere_labels(side):
    """The front half is cuneus, the rest superiortemporal, some vertices unknown."""
    y = load_fsaverage("fsaverage5")["pial"].parts[side].coordinates[:, 1]
    labels = np.where(y > -20, 2, 1)
    labels[7::50] = 0
    return labels


def put_annot(folder, stem="{side}.aparc.annot", sides=("lh", "rh"), n=N):
    folder.mkdir(parents=True, exist_ok=True)
    colours = np.array([[25 * k, 5, 25, 0, 25 * k + 5 * 256 + 25 * 65536] for k in range(3)])
    for side, name in zip(sides, ("left", "right"), strict=True):
        labels = hemisphere_labels(name)[:n]
        write_annot(folder / stem.format(side=side), labels, colours, NAMES, fill_ctab=False)
    return folder / stem.format(side=sides[0])


def put_gifti(folder):
    for side, name in (("L", "left"), ("R", "right")):
        array = nibabel.gifti.GiftiDataArray(hemisphere_labels(name).astype(np.int32))
        image = nibabel.gifti.GiftiImage(darrays=[array])
        for key, text in enumerate(NAMES):
            label = nibabel.gifti.GiftiLabel(key)
            label.label = text
            image.labeltable.labels.append(label)
        nibabel.save(image, folder / f"tpl_hemi-{side}.label.gii")
    return folder / "tpl_hemi-L.label.gii"


def put_cifti(folder):
    from nibabel.cifti2 import BrainModelAxis, Cifti2Image, LabelAxis

    models = [
        BrainModelAxis.from_surface(np.arange(N), N, f"cortex_{side}") for side in ("left", "right")
    ]
    table = {key: (text, (0, 0, 0, 1)) for key, text in enumerate(NAMES)}
    labels = np.concatenate([hemisphere_labels("left"), hemisphere_labels("right")])
    image = Cifti2Image(
        labels[None].astype(np.float32), (LabelAxis(["atlas"], [table]), models[0] + models[1])
    )
    nibabel.save(image, folder / "atlas.dlabel.nii")
    return folder / "atlas.dlabel.nii"


def scans(surface="fsaverage5", n=N):
    """Vertices without some of the medial wall; r has one peak in each hemisphere."""
    hemisphere, vertex = np.repeat(["L", "R"], n), np.tile(np.arange(n), 2)
    kept = vertex % 97 != 3
    coords = {"hemisphere": ("voxel", hemisphere[kept]), "vertex": ("voxel", vertex[kept])}
    space = xr.Dataset(coords=coords, attrs={"surface": surface, "n_vertices": f"[{n}, {n}]"})
    mesh = load_fsaverage("fsaverage5")["pial"].parts
    r = []
    for side, peak, height in (("left", LEFT_PEAK, 0.6), ("right", RIGHT_PEAK, 0.4)):
        places = mesh[side].coordinates
        distance = np.linalg.norm(places - places[peak], axis=1)
        r.append(height * np.exp(-((distance / 15) ** 2)))
    r = np.resize(np.concatenate(r), 2 * n)[kept]
    quality = xr.Dataset(
        {"r_encodec": (("subject", "voxel"), r[None])},
        coords | {"subject": ["sub-01"]},
        {"lag_applied": 0.0, "warnings": "[]"},
    )
    return BrainResults(quality, summary_table(quality), space)


def named(brain, tmp_path, wanted="auto"):
    return region_names(wanted, tmp_path / "simulated", brain.quality, brain.space)


def table_of(brain, names):
    (table,) = peak_tables(brain, names.masks, True, names.atlas)
    return table


@pytest.mark.parametrize("put", [put_annot, put_gifti, put_cifti])
def test_vertices_have_the_labels_of_the_file(tmp_path, put):
    brain = scans()
    path = put(tmp_path)
    masks = named(brain, tmp_path, str(path)).masks
    for side, letter in (("left", "L"), ("right", "R")):
        here = brain.space["hemisphere"].values == letter
        labels = hemisphere_labels(side)[brain.space["vertex"].values[here]]
        for number in (1, 2):
            mask = masks[f"{letter} {NAMES[number]}"]
            np.testing.assert_array_equal(mask[here], labels == number)
            assert not mask[~here].any()
    assert len(masks) == 4


def test_an_annot_is_what_nibabel_reads(tmp_path):
    labels, _, names = read_annot(put_annot(tmp_path))
    np.testing.assert_array_equal(labels, hemisphere_labels("left"))
    assert [name.decode() for name in names] == NAMES


def test_the_planted_peaks_are_found_and_named(tmp_path, monkeypatch):
    put_annot(tmp_path / "subjects" / "fsaverage5" / "label")
    monkeypatch.setenv("SUBJECTS_DIR", str(tmp_path / "subjects"))
    names = named(scans(), tmp_path)
    assert names.atlas == "Desikan-Killiany"
    assert "lh.aparc.annot" in names.note
    table = table_of(scans(), names)
    assert table.caption.startswith("Peaks of ridge r: sound (codes) (simulated): no vertex at q")
    assert table.header[-1] == "Region (Desikan-Killiany)"
    left, right = table.rows
    region = NAMES[hemisphere_labels("left")[LEFT_PEAK]]
    assert left[:3] + left[-1:] == ["L", str(LEFT_PEAK), "0.600", f"L {region}"]
    assert right[:3] == ["R", str(RIGHT_PEAK), "0.400"]


def test_peaks_are_local_maxima_20_mm_apart_and_clusters_are_counted():
    brain = scans()
    rng = np.random.default_rng(0)
    values = rng.normal(0.3, 0.1, brain.space.sizes["voxel"])
    inside = values > 0.25
    found = surface_peaks(values, inside, brain.space)
    hemisphere, vertex = (brain.space[one].values for one in ("hemisphere", "vertex"))
    mesh = load_fsaverage("fsaverage5")["pial"].parts
    sizes = 0
    for side, letter in (("left", "L"), ("right", "R")):
        whole = np.full(N, -np.inf)
        whole[vertex[hemisphere == letter]] = values[hemisphere == letter]
        near = compute_adjacency_matrix(mesh[side]).tocsr()
        own = [(column, size) for column, size in found if hemisphere[column] == letter]
        places = mesh[side].coordinates[vertex[[column for column, _ in own]]]
        gaps = np.linalg.norm(places[:, None] - places, axis=2)
        assert gaps[~np.eye(len(own), dtype=bool)].min() >= 20
        for column, size in own:
            assert whole[near[vertex[column]].indices].max() <= values[column]
            sizes += int(size.replace(",", "") or 0)
    assert len(found) > 20
    assert sizes <= inside.sum()
    assert values[found[0][0]] == values.max()
    assert [values[column] for column, _ in found] == sorted(
        (values[column] for column, _ in found), reverse=True
    )


def test_without_an_atlas_there_is_no_name_and_no_note(tmp_path):
    names = named(scans(), tmp_path)
    assert (names.masks, names.atlas, names.note) == ({}, "", "")
    assert table_of(scans(), names).header == [
        *("Hemisphere", "Vertex", "r", "q", "Cluster (vertices)")
    ]


def test_an_atlas_of_another_mesh_names_nothing(tmp_path, monkeypatch):
    put_annot(tmp_path / "subjects" / "fsaverage5" / "label", n=2562)
    monkeypatch.setenv("FREESURFER_HOME", str(tmp_path))
    brain = scans()
    names = named(brain, tmp_path)
    assert names.masks == {}
    assert "an atlas of another mesh" in names.note
    with pytest.raises(GibletError, match="an atlas of another mesh"):
        named(brain, tmp_path, str(local_surface_atlas("fsaverage5")))


def test_one_hemisphere_alone_is_no_atlas(tmp_path, monkeypatch):
    path = put_annot(tmp_path / "nilearn" / "destrieux_surface", sides=("left", "right"))
    path = path.rename(path.with_name("left.aparc.a2009s.annot"))
    assert local_surface_atlas("fsaverage5") is None
    path.with_name("right.aparc.annot").rename(path.with_name("right.aparc.a2009s.annot"))
    assert local_surface_atlas("fsaverage5") == path
    assert local_surface_atlas("fsaverage6") is None
    assert named(scans(), tmp_path).atlas == "Destrieux"


def test_a_surface_without_a_mesh_has_the_highest_vertex_of_each_region(tmp_path):
    """nilearn has no mesh of fsLR; nothing is downloaded for fsaverage6."""
    for surface, n in (("fsLR", 32_492), ("fsaverage6", 40_962)):
        brain = scans(surface, n)
        assert surface_peaks(np.ones(brain.space.sizes["voxel"]), np.ones(1), brain.space) == []
        assert peak_tables(brain, {}, simulated=False) == []
    brain = scans("fsLR", N)  # as many vertices as the files here
    names = named(brain, tmp_path, str(put_cifti(tmp_path)))
    table = table_of(brain, names)
    assert table.header[-1] == "Region (atlas.dlabel.nii)"
    assert "highest vertex of each region" in table.caption
    r = brain.quality["r_encodec"].values[0]
    best = {name: r[inside].max() for name, inside in names.masks.items()}
    expected = {name: f"{value:.3f}" for name, value in best.items() if value > r.max() / 2}
    assert {row[-1]: row[2] for row in table.rows} == expected
