"""Atlases by name: nilearn's, from its cache or the network; `ATLASES` lists them."""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from giblet.errors import GibletError, nearest_name
from giblet.io.paths import check_file
from giblet.io.tables import load_table


@dataclass(frozen=True)
class AtlasSource:
    """One kind of atlas.

    pattern : of its names, as a regular expression
    names : examples for messages
    fetch : nilearn's datasets and the match of ``pattern`` → what its fetcher returns
    files : the match → the files that nilearn looks for below its data folder
    template : the space that it is made in; None: of people's own brains
    """

    pattern: str
    names: tuple[str, ...]
    fetch: Callable[[Any, re.Match], Any]
    files: Callable[[re.Match], str]
    template: str | None = "MNI152NLin6Asym"  # FSL's


def _schaefer(datasets, match: re.Match):
    n_rois, networks, mm = int(match[1]), int(match[2] or 7), int(match[3] or 1)
    return datasets.fetch_atlas_schaefer_2018(n_rois, networks, mm, verbose=0)


def _schaefer_files(match: re.Match) -> str:
    stem = f"Schaefer2018_{match[1]}Parcels_{match[2] or 7}Networks_order"
    return _listed("schaefer_2018", f"{stem}_FSLMNI152_{match[3] or 1}mm.nii.gz", f"{stem}.txt")


_PARTS = {"cortical": "cort", "subcortical": "sub"}


def _harvard_oxford(datasets, match: re.Match):
    name = f"{_PARTS[match[1]]}-maxprob-thr25-2mm"
    return datasets.fetch_atlas_harvard_oxford(name, verbose=0)


def _yeo(datasets, match: re.Match):
    return datasets.fetch_atlas_yeo_2011(n_networks=int(match[1]), thickness="thick", verbose=0)


ATLASES = (
    AtlasSource(
        r"schaefer_2018_([1-9]00|1000)(?:_(7|17)networks)?(?:_([12])mm)?",
        ("schaefer_2018_400", "schaefer_2018_400_17networks", "schaefer_2018_400_7networks_2mm"),
        _schaefer,
        _schaefer_files,
    ),
    AtlasSource(
        "destrieux_2009",
        ("destrieux_2009",),
        lambda datasets, _: datasets.fetch_atlas_destrieux_2009(lateralized=True, verbose=0),
        lambda _: _listed(
            "destrieux_2009",
            "destrieux2009_rois_lateralized.nii.gz",
            "destrieux2009_rois_labels_lateralized.csv",
            "destrieux2009.rst",
        ),
        None,
    ),
    AtlasSource(
        "harvard_oxford_(cortical|subcortical)",
        ("harvard_oxford_cortical", "harvard_oxford_subcortical"),
        _harvard_oxford,
        lambda match: _listed(
            "fsl/data/atlases",
            f"HarvardOxford/HarvardOxford-{_PARTS[match[1]]}-maxprob-thr25-2mm.nii.gz",
            f"HarvardOxford-{match[1].capitalize()}.xml",
        ),
    ),
    AtlasSource(
        "yeo_2011_(7|17)",
        ("yeo_2011_7", "yeo_2011_17"),
        _yeo,
        lambda _: "yeo_2011/Yeo_JNeurophysiol11_MNI152 (the zip file of that name, unpacked)",
    ),
    AtlasSource(
        "aal",
        ("aal",),
        lambda datasets, _: datasets.fetch_atlas_aal("SPM12", verbose=0),
        lambda _: _listed("aal_SPM12/aal/atlas", "AAL.nii", "AAL.xml"),
        "MNIColin27",
    ),
)


def _listed(folder: str, *files: str) -> str:
    return " and ".join(f"{folder}/{file}" for file in files)


@dataclass(frozen=True)
class VolumeAtlas:
    """A label image and the names of its labels, {}: none."""

    path: Path
    names: dict[int, str]


def is_atlas_name(text: str | None) -> bool:
    """Whether a setting names an atlas of `ATLASES`, and no file.

    >>> is_atlas_name("schaefer_2018_400"), is_atlas_name("atlas.nii.gz"), is_atlas_name(None)
    (True, False, False)
    """
    return text is not None and not Path(text).exists() and _source(text) is not None


def volume_atlas(atlas: str | Path) -> VolumeAtlas:
    """A label image by its path, with the names in a table of its folder, or by a name.

    Raises
    ------
    GibletError
        No such file or name; an atlas of surfaces; files that are neither in nilearn's cache nor
        to be had.
    """
    name, path = str(atlas), Path(atlas)
    if (fitting := _fitting(name)) is None:
        check_file(path)
        if name.endswith((".annot", ".gii", ".dlabel.nii")):
            raise GibletError(
                f"{path}: an atlas of a surface, but the scans are voxels; take one in MNI space"
            )
        return VolumeAtlas(path, label_names(path))
    source, match = fitting
    bunch = _fetched(name, source, match)
    image = bunch.maps if isinstance(bunch.maps, str | Path) else bunch.filename
    table = bunch.lut.drop_duplicates("index")
    names = dict(zip(table["index"].astype(int), table["name"].astype(str), strict=True))
    return VolumeAtlas(Path(image), names)


def template_warnings(atlas: str | Path, space: str | None) -> list[str]:
    """A warning where an atlas by name is made in another space of MNI than the scans'.

    >>> template_warnings("schaefer_2018_400", "MNI152NLin6Asym")
    []
    """
    fitting = _fitting(str(atlas))
    template = fitting[0].template if fitting else None
    if space is None or not space.startswith("MNI") or template in (None, space):
        return []
    return [
        f"{atlas} is made in {template}, the scans lie in {space}: its borders are some mm off in "
        "places"
    ]


def named_surface_atlas(name: str, space: str) -> list[tuple[np.ndarray, dict[int, str]]] | None:
    """Labels (n_vertices,) and names of the left and the right hemisphere; None for no such name.

    GibletError for an atlas that nilearn does not have on this surface.
    """
    if (fitting := _fitting(name)) is None:
        return None
    if (name, space) != ("destrieux_2009", "fsaverage5"):
        raise GibletError(
            f"{name}: an atlas of voxels, but the scans lie on {space}; name the atlas' file for "
            f"{space} (lh.….annot, hemi-L ….label.gii or .dlabel.nii; CBIG's repository has those "
            "of Schaefer 2018 and Yeo 2011)"
        )
    source = AtlasSource(
        name,
        (name,),
        lambda datasets, _: datasets.fetch_atlas_surf_destrieux(verbose=0),
        lambda _: _listed(
            "destrieux_surface", "left.aparc.a2009s.annot", "right.aparc.a2009s.annot"
        ),
    )
    bunch = _fetched(name, source, fitting[1])
    names = {k: str(label) for k, label in enumerate(bunch.labels)}
    nowhere = [k for k, label in names.items() if label in ("Unknown", "Medial_wall")]
    sides = (np.asarray(bunch[side]) for side in ("map_left", "map_right"))
    return [(np.where(np.isin(side, nowhere), 0, side), names) for side in sides]


def label_names(image: Path) -> dict[int, str]:
    """Label → name from the table of a label image (``x.tsv`` for ``x.nii.gz``, columns ``index``
    and ``name``), {} where there is none.

    GibletError for a table without those columns, or with two names of one label.
    """
    path = image.with_name(image.name.removesuffix(".gz").removesuffix(".nii") + ".tsv")
    if not path.is_file():
        return {}
    table = load_table(path, dtype={"name": str})
    if not {"index", "name"} <= set(table) or table["index"].dtype.kind != "i":
        raise GibletError(f"{path}: needs columns index (whole numbers) and name")
    table = table.dropna(subset="name").drop_duplicates(["index", "name"])
    if (twice := table["index"].duplicated()).any():
        label = table["index"][twice].iloc[0]
        names = ", ".join(table["name"][table["index"] == label])
        raise GibletError(f"{path}: label {label} has several names ({names}); keep one")
    return dict(zip(table["index"].tolist(), table["name"], strict=True))


def _source(name: str) -> tuple[AtlasSource, re.Match] | None:
    for source in ATLASES:
        if match := re.fullmatch(source.pattern, name):
            return source, match
    return None


def _fitting(name: str) -> tuple[AtlasSource, re.Match] | None:
    """The source of an atlas, None for a path; GibletError for a word that is neither."""
    path = Path(name)
    if path.exists() or path.is_symlink():
        return None
    if (fitting := _source(name)) is None and not {".", "/"} & {*name}:
        known = [one for source in ATLASES for one in source.names]
        near = nearest_name(name, known) or f"; names are {', '.join(known)}"
        raise GibletError(f"scan.parcellation: {name}: no file, and no atlas of that name{near}")
    return fitting


def _fetched(name: str, source: AtlasSource, match: re.Match):
    """What nilearn's fetcher returns, from its cache where it is; GibletError where it fails."""
    from nilearn import datasets

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of labels that are not in the image
            return source.fetch(datasets, match)
    except Exception as error:  # of requests, urllib, zipfile, pandas: whatever a download breaks
        folder = datasets.get_data_dirs()[0]
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise GibletError(
            f"scan.parcellation: {name} cannot be fetched ({reason}); put {source.files(match)} "
            f"into {folder} (nilearn's data folder), or name a label image"
        ) from None
