"""Atlases of the cortex: a label for each vertex of both hemispheres."""

import os
from pathlib import Path

import numpy as np

from giblet.brain.atlases import named_surface_atlas
from giblet.brain.images import open_image, reading_image
from giblet.errors import GibletError
from giblet.io.paths import check_file

_SIDES = (("lh.", "rh."), ("hemi-L", "hemi-R"), (".L.", ".R."), ("left", "right"))
_NAMED = {"aparc": "Desikan-Killiany", "aparc.a2009s": "Destrieux"}  # FreeSurfer's
_SUBJECTS = (("SUBJECTS_DIR", ()), ("FREESURFER_HOME", ("subjects",)))  # FreeSurfer's folders
_FORMATS = ".annot (FreeSurfer), .label.gii or .dlabel.nii"


def read_surface_labels(
    atlas: str | Path, space: str, n_vertices: tuple[int, int]
) -> tuple[np.ndarray, dict[int, str]]:
    """Labels (n_left + n_right,) int, 0 for none, and their names.

    Parameters
    ----------
    atlas
        A file of one hemisphere (the other's is found by ``lh.``/``rh.``, ``hemi-L``/``hemi-R``,
        ``.L.``/``.R.`` or ``left``/``right`` in its name), a ``.dlabel.nii``, or the name of an
        atlas of `giblet.brain.atlases`.
    space, n_vertices
        Of the scans.

    Raises
    ------
    GibletError
        An image of voxels, an atlas of another mesh, a missing hemisphere, an unreadable file.
    """
    path = Path(atlas)
    if (pair := named_surface_atlas(str(atlas), space)) is not None:
        (left, names), (right, others) = pair
    elif path.name.endswith(".dlabel.nii"):
        (left, names), (right, others) = _of_cifti(path)
    elif path.name.endswith((".annot", ".gii")):
        left, names = _of_file(path)
        right, others = _of_file(other_side(path))
    else:
        raise GibletError(
            f"{path}: the scans lie on a surface ({space}), which needs an atlas of its vertices: "
            f"{_FORMATS}"
        )
    if (len(left), len(right)) != n_vertices:
        raise GibletError(
            f"{atlas}: {len(left):,} + {len(right):,} vertices, but the scans ({space}) have "
            f"{n_vertices[0]:,} + {n_vertices[1]:,}: an atlas of another mesh; take that of {space}"
        )
    return _both(left, names, right, others)


def local_surface_atlas(surface: str) -> Path | None:
    """The left hemisphere of the first atlas of a surface that is on this computer; else None.

    FreeSurfer's Desikan-Killiany and Destrieux atlas, in ``$SUBJECTS_DIR/<surface>/label`` or
    ``$FREESURFER_HOME/subjects/<surface>/label``, then nilearn's Destrieux atlas of fsaverage5.
    """
    from nilearn.datasets import get_data_dirs

    folders = [Path(os.environ[one], *below) for one, below in _SUBJECTS if os.environ.get(one)]
    files = [folder / surface / "label" / f"lh.{one}.annot" for folder in folders for one in _NAMED]
    if surface == "fsaverage5":
        of_nilearn = "destrieux_surface/left.aparc.a2009s.annot"
        files += [Path(folder) / of_nilearn for folder in get_data_dirs()]
    return next((file for file in files if _has_both(file)), None)


def surface_atlas_title(path: Path) -> str:
    """The atlas of a file in words; its name where it is none of `local_surface_atlas`.

    >>> surface_atlas_title(Path("lh.aparc.annot")), surface_atlas_title(Path("a.dlabel.nii"))
    ('Desikan-Killiany', 'a.dlabel.nii')
    """
    titles = {f"{side}.{one}.annot": _NAMED[one] for one in _NAMED for side in ("lh", "left")}
    return titles.get(path.name, path.name)


def atlas_pair(path: Path) -> list[Path]:
    """The files of an atlas by that of its left hemisphere, or by its only one."""
    return [path] if path.name.endswith(".dlabel.nii") else [path, other_side(path)]


def _has_both(left: Path) -> bool:
    return left.is_file() and left.with_name(_right_of(left.name)).is_file()


def _right_of(name: str) -> str:
    """
    >>> _right_of("lh.aparc.annot"), _right_of("left.aparc.annot")
    ('rh.aparc.annot', 'right.aparc.annot')
    """
    left, right = next(pair for pair in _SIDES if pair[0] in name)
    return name.replace(left, right, 1)


def _both(
    left: np.ndarray, names: dict[int, str], right: np.ndarray, others: dict[int, str]
) -> tuple[np.ndarray, dict[int, str]]:
    """Labels of both hemispheres, numbered from 1; one name on both sides is two parcels.

    >>> labels, names = _both(np.array([5, 0]), {5: "V1"}, np.array([5, 6]), {5: "V1", 6: "A1"})
    >>> labels.tolist(), names
    ([1, 0, 2, 3], {1: 'L V1', 2: 'R V1', 3: 'R A1'})
    """
    used = [
        {key: table.get(key, str(key)) for key in np.unique(own[own > 0]).tolist()}
        for own, table in ((left, names), (right, others))
    ]
    twice = bool(set(used[0].values()) & set(used[1].values()))
    labels, result, n = [], {}, 0
    for side, own, table in zip("LR", (left, right), used, strict=True):
        numbered = np.zeros(len(own), dtype=int)
        for key, name in table.items():
            n += 1
            numbered[own == key] = n
            result[n] = f"{side} {name}" if twice else name
        labels.append(numbered)
    return np.concatenate(labels), result


def other_side(path: Path) -> Path:
    """The file of the right hemisphere beside that of the left one; GibletError without one."""
    for left, right in _SIDES:
        for one, other in ((left, right), (right, left)):
            if one in path.name:
                if one == right:
                    raise GibletError(f"{path}: name the file of the left hemisphere ({left}…)")
                return check_file(path.with_name(path.name.replace(one, other)), "right hemisphere")
    raise GibletError(f"{path}: its name does not say which hemisphere it is (lh., hemi-L, .L.)")


def _of_file(path: Path) -> tuple[np.ndarray, dict[int, str]]:
    """Labels (n_vertices,) of one hemisphere, and their names; nameless and unknown ones are 0."""
    check_file(path)
    with reading_image(path):
        if path.name.endswith(".annot"):
            from nibabel.freesurfer import read_annot

            labels, _colours, named = read_annot(path)
            names = {k: name.decode("utf-8", "replace") for k, name in enumerate(named)}
            return _without_unknown(labels + 1, {k + 1: name for k, name in names.items()})
        image = open_image(path)
        if len(image.darrays) != 1:
            raise GibletError(f"{path}: an atlas has one array, this has {len(image.darrays)}")
        labels = np.rint(image.darrays[0].data).astype(int)
        return _without_unknown(labels, dict(image.labeltable.get_labels_as_dict()))


_UNKNOWN = ("unknown", "???", "medial_wall", "medial wall", "background", "corpuscallosum")


def _without_unknown(
    labels: np.ndarray, names: dict[int, str]
) -> tuple[np.ndarray, dict[int, str]]:
    """Without the medial wall and vertices of no region."""
    nowhere = [k for k, name in names.items() if _is_nowhere(name)]
    return np.where(np.isin(labels, nowhere), 0, labels), names


def _is_nowhere(name: str) -> bool:
    return "medial_wall" in name.lower() or name.lower() in _UNKNOWN


def _of_cifti(path: Path) -> list[tuple[np.ndarray, dict[int, str]]]:
    """Labels of both hemispheres of a ``.dlabel.nii``."""
    from nibabel.cifti2 import BrainModelAxis, LabelAxis

    image = open_image(path)
    with reading_image(path):
        rows, axis = (image.header.get_axis(n) for n in range(2))
        if not isinstance(rows, LabelAxis) or not isinstance(axis, BrainModelAxis):
            raise GibletError(f"{path}: holds no labels of vertices")
        values = np.rint(np.asarray(image.dataobj[0])).astype(int)
        names = {int(key): str(name) for key, (name, _) in rows.label[0].items()}
        sides = []
        for side in ("LEFT", "RIGHT"):
            structure = f"CIFTI_STRUCTURE_CORTEX_{side}"
            labels = np.zeros(int(axis.nvertices.get(structure, 0)), dtype=int)
            here = axis.name == structure
            labels[axis.vertex[here]] = values[here]
            sides.append(_without_unknown(labels, names))
        return sides
