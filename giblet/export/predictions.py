"""BOLD that a model predicts for clips, scanned or not, for encoding challenges."""

import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from giblet.alignment.aligned import film_data
from giblet.alignment.dataset import FilmData
from giblet.brain.stimulus_clock import StimulusClock
from giblet.errors import GibletError
from giblet.film.modalities import MODALITIES
from giblet.io.atomic import replacing
from giblet.io.tables import load_table

_COLUMNS = ("subject", "clip", "n_samples")
ENDINGS = (".npy", ".zip")
Predictions = dict[str, dict[str, np.ndarray]]


def read_clips(path: Path, clock: StimulusClock, subjects: Sequence[str]) -> pd.DataFrame:
    """The clips to predict, a row per subject and clip: ``subject clip n_samples stimulus``.

    ``n_samples``: TRs of BOLD that are wanted. ``stimulus``: its index in ``clock``; the table may
    name it in a column ``stimulus``, where clips have other names than stimuli.

    Raises
    ------
    GibletError
        A column is missing; a subject that the model does not know; a clip that is no stimulus;
        a number of samples that is none; a clip twice.
    """
    table = load_table(path, dtype={"subject": str, "clip": str, "stimulus": str})
    if missing := [name for name in _COLUMNS if name not in table]:
        raise GibletError(f"{path}: no column {', '.join(missing)}; it needs {', '.join(_COLUMNS)}")
    table = table.dropna(how="all")
    table["stimulus"] = table.get("stimulus", table["clip"]).fillna(table["clip"])
    if table.empty:
        raise GibletError(f"{path}: no clips")
    samples = pd.to_numeric(table["n_samples"], errors="coerce")
    names = ["sub-" + str(name).removeprefix("sub-") for name in table["subject"]]
    rows = []
    for n, (subject, row) in enumerate(zip(names, table.itertuples(), strict=True)):
        where = f"{path}: row {n + 1}"
        if subject not in subjects:
            raise GibletError(
                f"{where}: the model does not know {subject}, but {', '.join(subjects)}"
            )
        if not 1 <= samples.iloc[n] < np.inf or samples.iloc[n] % 1:
            raise GibletError(f"{where}: n_samples must be a whole number, is {row.n_samples}")
        try:
            rows.append((subject, row.clip, int(samples.iloc[n]), clock.find(str(row.stimulus))))
        except GibletError as error:
            raise GibletError(f"{where}: {error}; name it in a column stimulus") from None
    clips = pd.DataFrame(rows, columns=[*_COLUMNS, "stimulus"])
    if (twice := clips.duplicated(["subject", "clip"])).any():
        row = clips[twice].iloc[0]
        raise GibletError(f"{path}: two rows for {row['subject']}, {row['clip']}")
    return clips


def clip_trs(clock: StimulusClock, stimulus: int, n_samples: int) -> np.ndarray:
    """TRs of the film in which a stimulus is, (n_samples,): its last one again where more are
    wanted, as the Algonauts development kit does with its features.

    >>> clock = StimulusClock.lay_out(["a", "b"], [3.0, 4.0], t_r=1.5)
    >>> clip_trs(clock, 1, 4).tolist(), clip_trs(clock, 0, 1).tolist()
    ([4, 5, 5, 5], [0])
    """
    first, n_trs = int(clock.first_trs[stimulus]), int(clock.n_trs[stimulus])
    return first + np.minimum(np.arange(n_samples), n_trs - 1)


def join_features(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Modalities of one film along ``tr``, cut to the shortest; empty ones are left out."""
    present = [arrays for arrays in parts if arrays.data_vars]
    n_trs = min((arrays.sizes["tr"] for arrays in present), default=0)
    if not n_trs:
        raise GibletError("--features: none of these files has features of a film")
    cut = [arrays.isel(tr=slice(n_trs)).drop_attrs(deep=False) for arrays in present]
    return xr.merge(cut).assign_coords(tr=np.arange(n_trs))


def predict_clips(
    predict: Callable[[FilmData], np.ndarray],
    film: xr.Dataset,
    aligned: xr.Dataset,
    clips: pd.DataFrame,
    clock: StimulusClock,
    n_parcels: int = 1000,
) -> Predictions:
    """Predicted BOLD by subject and clip, (n_samples, n_parcels) float32 each.

    It is as ``predict`` gives it, for one clip at a time.

    Parameters
    ----------
    predict : BOLD (n_subjects, n_trs, n_parcels) of the TRs of one clip
    film : modalities of all stimuli along ``tr``, from the first TR on
    aligned : what the model was trained on; only its modalities are used
    clips : as `read_clips` gives them

    Raises
    ------
    GibletError
        The model predicts another number of parcels; the film is shorter than its stimuli, or its
        features are others than the model's; a prediction is not finite.
    """
    subjects = aligned["subject"].values.astype(str).tolist()
    if (n := aligned.sizes["voxel"]) != n_parcels:
        raise GibletError(
            f"the model predicts {n:,} parcels, and {n_parcels:,} are wanted: set max_voxels: null "
            "and train again, or give --n-parcels"
        )
    names = [str(name) for name in film.data_vars if name in aligned]
    for name in names:
        if film[name].shape[1:] != aligned[name].shape[1:]:
            of_film, of_model = film[name].shape[1:], aligned[name].shape[1:]
            raise GibletError(
                f"--features: {name} is {of_film} in a TR, the model was trained on {of_model}"
            )
    if "audio" not in names:
        raise GibletError("--features: the sound is missing: trs/encodec.nc, or trs/mel.nc")
    if lacking := [name for name in MODALITIES if name in aligned and name not in names]:
        raise GibletError(
            f"--features: the model was trained with {', '.join(lacking)}, too: name these files"
        )
    predictions: Predictions = {subject: {} for subject in clips["subject"]}
    for (stimulus, n_samples), rows in clips.groupby(["stimulus", "n_samples"], sort=False):
        trs = clip_trs(clock, int(stimulus), int(n_samples))
        if trs.max() >= film.sizes["tr"]:
            raise GibletError(
                f"the film has {film.sizes['tr']} TRs, but {clock.names[int(stimulus)]} ends at TR "
                f"{trs.max() + 1}: do these features belong to these stimuli?"
            )
        part = film[names].isel(tr=trs).drop_vars(["run", "part"], errors="ignore")
        alone = np.full(len(trs), "clip")
        bold = predict(film_data(part.assign(part=("tr", alone), run=("tr", alone))))
        if not np.isfinite(bold).all():
            raise GibletError(f"{clock.names[int(stimulus)]}: the prediction is not finite")
        for row in rows.itertuples():
            predictions[row.subject][row.clip] = bold[subjects.index(row.subject)]
    return predictions


class _Portable(np.ndarray):
    """An array that any NumPy reads from a .npy of objects.

    NumPy 2 writes names of modules that NumPy 1 has not, which is what challenges score with. These
    are written by names that both have.
    """

    def __reduce_ex__(self, _protocol):
        if self.dtype == object:
            return np.array, (self.item(), "O")
        values = np.ascontiguousarray(self, dtype="<f4")
        return np.ndarray, (values.shape, "<f4", bytearray(values.tobytes()))


def check_ending(path: Path) -> None:
    """Raises GibletError where `save_predictions` cannot write ``path``."""
    if path.suffix not in ENDINGS:
        raise GibletError(f"{path}: predictions are written as {' or '.join(ENDINGS)}")


def save_predictions(predictions: Mapping[str, Mapping[str, np.ndarray]], path: Path) -> None:
    """Write a dictionary subject → clip → (n_samples, n_parcels) float32 as Algonauts 2025 has it.

    ``numpy.load(path, allow_pickle=True).item()`` reads a .npy. A .zip holds one .npy of its name.
    Raises GibletError for another ending.
    """
    check_ending(path)
    nested = {
        subject: {clip: np.asarray(bold).view(_Portable) for clip, bold in own.items()}
        for subject, own in predictions.items()
    }
    whole = np.array(nested, dtype=object).view(_Portable)
    with replacing(path) as temporary, temporary.open("wb") as file:
        if path.suffix == ".npy":
            np.save(file, whole)
            return
        with (
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open(f"{path.stem}.npy", "w", force_zip64=True) as member,
        ):
            np.save(member, whole)
