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

    title : in words
    pattern : of its names, as a regular expression
    names : examples for messages
    fetch : nilearn's datasets and the match of ``pattern`` → what its fetcher returns
    files : the match → the files that nilearn looks for, below its data folder; the first part of
        each is the folder of the data set
    template : the space that it is made in; None: of people's own brains
    """

    title: str
    pattern: str
    names: tuple[str, ...]
    fetch: Callable[[Any, re.Match], Any]
    files: Callable[[re.Match], tuple[str, ...]]
    template: str | None = "MNI152NLin6Asym"  # FSL's


def _schaefer(datasets, match: re.Match):
    n_rois, networks, mm = int(match[1]), int(match[2] or 7), int(match[3] or 1)
    return datasets.fetch_atlas_schaefer_2018(n_rois, networks, mm, verbose=0)


def _schaefer_files(match: re.Match) -> tuple[str, ...]:
    stem = f"Schaefer2018_{match[1]}Parcels_{match[2] or 7}Networks_order"
    return _below("schaefer_2018", f"{stem}_FSLMNI152_{match[3] or 1}mm.nii.gz", f"{stem}.txt")


_PARTS = {"cortical": "cort", "subcortical": "sub"}


def _harvard_oxford(datasets, match: re.Match):
    name = f"{_PARTS[match[1]]}-maxprob-thr25-2mm"
    return datasets.fetch_atlas_harvard_oxford(name, verbose=0)


def _yeo(datasets, match: re.Match):
    return datasets.fetch_atlas_yeo_2011(n_networks=int(match[1]), thickness="thick", verbose=0)


ATLASES = (
    AtlasSource(
        "Schaefer 2018",
        r"schaefer_2018_([1-9]00|1000)(?:_(7|17)networks)?(?:_([12])mm)?",
        ("schaefer_2018_400", "schaefer_2018_400_17networks", "schaefer_2018_400_7networks_2mm"),
        _schaefer,
        _schaefer_files,
    ),
    AtlasSource(
        "Destrieux 2009",
        "destrieux_2009",
        ("destrieux_2009",),
        lambda datasets, _: datasets.fetch_atlas_destrieux_2009(lateralized=True, verbose=0),
        lambda _: _below(
            "destrieux_2009",
            "destrieux2009_rois_lateralized.nii.gz",
            "destrieux2009_rois_labels_lateralized.csv",
            "destrieux2009.rst",
        ),
        None,
    ),
    AtlasSource(
        "Harvard-Oxford",
        "harvard_oxford_(cortical|subcortical)",
        ("harvard_oxford_cortical", "harvard_oxford_subcortical"),
        _harvard_oxford,
        lambda match: _below(
            "fsl/data/atlases",
            f"HarvardOxford/HarvardOxford-{_PARTS[match[1]]}-maxprob-thr25-2mm.nii.gz",
            f"HarvardOxford-{match[1].capitalize()}.xml",
        ),
    ),
    AtlasSource(
        "Yeo 2011",
        "yeo_2011_(7|17)",
        ("yeo_2011_7", "yeo_2011_17"),
        _yeo,
        lambda _: ("yeo_2011/Yeo_JNeurophysiol11_MNI152 (the zip file of that name, unpacked)",),
    ),
    AtlasSource(
        "AAL",
        "aal",
        ("aal",),
        lambda datasets, _: datasets.fetch_atlas_aal("SPM12", verbose=0),
        lambda _: _below("aal_SPM12/aal/atlas", "AAL.nii", "AAL.xml"),
        "MNIColin27",
    ),
)


PREFERRED = (  # to name places in the brain: whole names of gyri first, then numbered parcels
    "harvard_oxford_cortical",
    "aal",
    "destrieux_2009",
    *(
        f"schaefer_2018_{n}_{networks}networks_{mm}mm"
        for n in (400, 200, 100, 300, 500, 600, 700, 800, 900, 1000)
        for networks in (7, 17)
        for mm in (2, 1)
    ),
)


def _below(folder: str, *files: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{file}" for file in files)


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


def local_atlas() -> str | None:
    """The first atlas of `PREFERRED` that nilearn has without a network; None where it has none."""
    return next((name for name in PREFERRED if _local(atlas_files(name))), None)


def local_atlas_files() -> list[Path]:
    """The files of `local_atlas`; none where nilearn has no atlas without a network."""
    name = local_atlas()
    return [] if name is None else _local(atlas_files(name))


def atlas_files(name: str) -> tuple[str, ...]:
    """The files that nilearn looks for below its data folder; ValueError for no such atlas.

    >>> atlas_files("aal")
    ('aal_SPM12/aal/atlas/AAL.nii', 'aal_SPM12/aal/atlas/AAL.xml')
    """
    source, match = _known(name)
    return source.files(match)


def atlas_title(name: str) -> str:
    """An atlas in words; ValueError for no such atlas.

    >>> atlas_title("harvard_oxford_cortical"), atlas_title("schaefer_2018_400")
    ('Harvard-Oxford', 'Schaefer 2018')
    """
    return _known(name)[0].title


def atlas_template(name: str) -> str | None:
    """The space that an atlas is made in, None for people's own brains; ValueError for no such
    atlas."""
    return _known(name)[0].template


def _known(name: str) -> tuple[AtlasSource, re.Match]:
    if (found := _source(name)) is None:
        raise ValueError(f"{name}: no atlas of that name")
    return found


def _local(files: tuple[str, ...]) -> list[Path]:
    """Where nilearn has ``files``; [] unless it has them all."""
    from nilearn.datasets import get_data_dirs

    data_set = Path(files[0]).parts[0]
    for folder in map(Path, get_data_dirs()):
        if (folder / data_set).is_dir():  # nilearn looks in the first such folder alone
            paths = [folder / file for file in files]
            return paths if all(path.is_file() for path in paths) else []
    return []


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
        fitting[0].title,
        name,
        (name,),
        lambda datasets, _: datasets.fetch_atlas_surf_destrieux(verbose=0),
        lambda _: _below(
            "destrieux_surface", "left.aparc.a2009s.annot", "right.aparc.a2009s.annot"
        ),
    )
    bunch = _fetched(name, source, fitting[1])
    names = {k: str(label) for k, label in enumerate(bunch.labels)}
    nowhere = [k for k, label in names.items() if label in ("Unknown", "Medial_wall")]
    sides = (np.asarray(bunch[side]) for side in ("map_left", "map_right"))
    return [(np.where(np.isin(side, nowhere), 0, side), names) for side in sides]


def names_table(image: Path) -> Path:
    """Where the table of a label image would be.

    >>> names_table(Path("atlas.nii.gz")).name
    'atlas.tsv'
    """
    return image.with_name(image.name.removesuffix(".gz").removesuffix(".nii") + ".tsv")


def label_names(image: Path) -> dict[int, str]:
    """Label → name from the table of a label image (``x.tsv`` for ``x.nii.gz``, columns ``index``
    and ``name``), {} where there is none.

    GibletError for a table without those columns, or with two names of one label.
    """
    path = names_table(image)
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
        files = " and ".join(source.files(match))
        raise GibletError(
            f"scan.parcellation: {name} cannot be fetched ({reason}); put {files} "
            f"into {folder} (nilearn's data folder), or name a label image"
        ) from None
