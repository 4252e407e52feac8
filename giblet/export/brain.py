"""Of the brain: BOLD that the model predicts, and maps of how good the scans are."""

from collections import Counter

import numpy as np
import xarray as xr

from giblet.export.files import FILM_TIME, TABLE, Export
from giblet.export.names import bids_label
from giblet.timing import TOLERANCE, frames_rate_hz, tr_onsets


def export_prediction(export: Export, predicted: np.ndarray, aligned: xr.Dataset) -> None:
    """BOLD that the model predicts for test TRs, (n_subjects, n_trs, n_kept) for all TRs.

    An image of each unbroken row of test TRs in a run; a table where columns are parcels. In an
    image, voxels that the model does not see are 0. ``aligned`` as `giblet.alignment.align` gives
    it; its ``column`` says which voxels were kept.
    """
    t_r, run = float(aligned.attrs["t_r"]), aligned["run"].values.astype(str)
    trs, offset = aligned["tr"].values, float(aligned.attrs["volume_offset"])
    times = tr_onsets(int(trs.max()) + 1, t_r)[trs] + offset
    rows = test_rows(aligned["part"].values.astype(str), run, trs)
    begins = times[[row[0] for row in rows]]
    for subject, bold in zip(aligned["subject"].values.astype(str), predicted, strict=True):
        runs = runs_shown(export.scans, subject, begins)
        counts = Counter(runs)
        for n, (row, label) in enumerate(zip(rows, runs, strict=True)):
            chunk = None if counts[label] == 1 else str(n + 1)
            where = label, times[row], t_r, chunk
            _prediction(export, subject, bold[row], aligned["column"].values, *where)


def runs_shown(scans: xr.Dataset, subject: str, film_times: np.ndarray) -> list[str]:
    """The run in which a subject saw each of these seconds of the film; people's runs may differ.

    That of the volume whose time is nearest, the first of several within `TOLERANCE`.
    """
    ours = (scans["subject"].values.astype(str) == subject) & scans["in_film"].values
    film_time = scans["film_time"].values[ours]
    order = np.argsort(film_time, kind="stable")
    begins = np.flatnonzero(np.diff(film_time[order], prepend=-np.inf) > TOLERANCE)
    times, first = film_time[order[begins]], np.minimum.reduceat(order, begins)
    last = len(times) - 1
    before = (np.searchsorted(times, film_times) - 1).clip(0, last)
    after = (before + 1).clip(max=last)
    farther = np.abs(times[after] - film_times) - np.abs(times[before] - film_times)
    of_tie = np.minimum(first[before], first[after])
    tied = np.abs(farther) < TOLERANCE
    volumes = np.where(tied, of_tie, np.where(farther < 0, first[after], first[before]))
    return scans["run"].values[ours][volumes].astype(str).tolist()


def test_rows(part: np.ndarray, run: np.ndarray, trs: np.ndarray) -> list[np.ndarray]:
    """Where test TRs follow each other in one run: indices, row by row; all (n_trs,).

    >>> part = np.array(["train", "test", "test", "test", "test"])
    >>> rows = test_rows(part, np.array(list("11122")), np.array([0, 1, 2, 3, 5]))
    >>> [row.tolist() for row in rows]
    [[1, 2], [3], [4]]
    """
    test = np.flatnonzero(part == "test")
    breaks = (np.diff(trs[test]) != 1) | (run[test][1:] != run[test][:-1])
    return np.split(test, np.flatnonzero(breaks) + 1)


def _prediction(
    export, subject: str, bold, columns: np.ndarray, run: str, times, t_r: float, chunk
) -> None:
    text = (
        "BOLD that the model predicts from the film, for TRs that it never learned from, in "
        "standard deviations of the run's training TRs (of all, where it has none). "
        "No measured BOLD is in it."
    )
    fields = {"RepetitionTime": t_r, "FilmTime": times.tolist(), "Units": "arbitrary"}
    more = {"chunk": chunk, "desc": "predicted"}
    if export.has_voxels:
        more["space"] = export.names.space
        path = export.names.of_run(subject, run, "bold.nii.gz", **more)
        everywhere = np.zeros((len(bold), int(export.scans["mask"].sum())), dtype=np.float32)
        everywhere[:, columns] = bold
        export.save_image(path, everywhere, t_r, fill=0)
        fields |= {"TaskName": export.names.task, "SkullStripped": True}
    else:
        path = export.names.of_run(subject, run, TABLE, **more)
        names = np.array(export.columns[1])[columns]
        export.save_columns(path, {"film_time": times} | dict(zip(names, bold.T, strict=True)))
        fields |= {"film_time": FILM_TIME, "SamplingFrequency": frames_rate_hz(1, t_r)}
    export.describe(path, text, **fields)


_STATS = {  # first word of a map's name → what it is
    "isc": "leave-one-out inter-subject correlation",
    "ceiling": "bound of the noise ceiling of a correlation",
    "explainable": "explainable variance, a share",
    "r": "correlation of BOLD with what ridge predicts of held-out TRs",
    "r2": "R² of what ridge predicts of held-out TRs",
    "repeat": "share of the variance that repeats when a stimulus is presented again",
    "unique": "R² of all modalities less R² of all but this one",
    "tsnr": "mean over standard deviation before cleaning, mean over runs",
    "low": "lower end of the 95 % interval over folds of the mean over subjects",
    "high": "upper end of the 95 % interval over folds of the mean over subjects",
    "p": "chance of as large a mean over subjects among nulls",
    "q": "false discovery rate over voxels (Benjamini and Hochberg)",
    "pmax": "chance of as high a t of the mean over people anywhere in the brain (max-T)",
    "ptfce": "chance of as high a TFCE of that t anywhere in the brain",
}


def map_entities(name: str) -> dict[str, str | None]:
    """``stat`` and ``desc`` of a map of ``giblet.evaluation.quality``.

    >>> map_entities("r_n_words"), map_entities("isc"), map_entities("r_mel_p")
    ({'stat': 'r', 'desc': 'nWords'}, {'stat': 'isc', 'desc': None}, {'stat': 'p', 'desc': 'rMel'})
    """
    first, *rest = name.split("_")
    if rest[-2:] in (["p", "max"], ["p", "tfce"]):
        first, rest = f"p{rest[-1]}", [first, *rest[:-2]]
    elif rest and rest[-1] in ("p", "q"):
        first, rest = rest[-1], [first, *rest[:-1]]
    return {"stat": first, "desc": bids_label("_".join(rest)) if rest else None}


def export_maps(export: Export, quality: xr.Dataset) -> None:
    """Every map of `giblet.evaluation.brain_quality`: of subjects in their folders, of all
    together in ``group/``. Images of voxels, with the mask; of parcels a table a folder."""
    maps = {str(k): v for k, v in quality.data_vars.items() if "voxel" in v.dims}
    if export.has_voxels:
        _write_mask(export)
    for subject in [None, *quality["subject"].values.astype(str)]:
        mine = {
            name: values.values if subject is None else values.sel(subject=subject).values
            for name, values in maps.items()
            if ("subject" in values.dims) == (subject is not None)
        }
        if export.has_voxels:
            for name, values in mine.items():
                _write_map(export, subject, name, values)
        elif mine:
            _write_parcels(export, subject, mine)


def _write_map(export: Export, subject: str | None, name: str, values: np.ndarray) -> None:
    entities = map_entities(name) | {"space": export.names.space}
    path = export.names.of_all_runs(subject, "statmap.nii.gz", **entities)
    export.save_image(path, values)
    text = f"{name}: {_STATS[entities['stat']]}. NaN outside the brain."
    export.describe(path, text, SkullStripped=True, Units="arbitrary", GibletName=name)


def _write_mask(export: Export) -> None:
    more = {"space": export.names.space, "desc": "brain"}
    path = export.names.of_all_runs(None, "mask.nii.gz", **more)
    export.save_image(path, np.ones(int(export.scans["mask"].sum()), dtype=np.float32), fill=0)
    export.describe(path, "Voxels that are in the brain in every run.", Type="Brain")


def _write_parcels(export: Export, subject: str | None, maps: dict[str, np.ndarray]) -> None:
    path = export.names.of_all_runs(subject, "parcels.tsv", desc="quality")
    kind, names = export.columns
    export.save_columns(path, {kind: names} | maps)
    columns = {name: {"Description": _STATS[map_entities(name)["stat"]]} for name in maps}
    export.describe(path, f"How good the scans are, a row a {kind}.", **columns)
