"""``giblet.results(folder)``: what a run has written, each file read when it is first used."""

from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import soundfile
import xarray as xr

from giblet.audio.feature_types import FEATURE_TYPES
from giblet.audio.files import read_sound
from giblet.errors import GibletError, nearest_name
from giblet.io.arrays import load_arrays, open_arrays
from giblet.io.schema import ALIGNED, QUALITY, SCANS
from giblet.io.tables import gather_tables, load_json, load_table
from giblet.notebook.sounds import Sound
from giblet.report.systems import SYSTEMS, system_label
from giblet.report.tables import in_order

if TYPE_CHECKING:
    from nibabel import Nifti1Image

    from giblet.autoencoder.autoencoder import Autoencoder
    from giblet.notebook.plots import Plots

FILES = {  # what the workflow writes into a data set's folder; {path}: a feature type
    "aligned": "aligned/{path}.nc",
    "audio": "audio/{path}",
    "differences": "differences/{path}.tsv",
    "model": "model/{path}",
    "quality": "brain_quality.nc",
    "scans": "bold.nc",
    "scores": "scores/{path}.tsv",
}
RECORD = "run.json"
HISTORY = "history.tsv"  # in the model's folder
_SHOWN_METRICS = ("identification_sound_10way", "identification_10way", "stoi")
_SHOWN_SECONDS = 10.0


def results(folder: str | Path) -> "Results":
    """The results of a run, ``results/<dataset>``, to look at, listen to and draw.

    Raises GibletError where the folder has no results.
    """
    return Results(folder)


class Results:
    """What a run has written. Each is read from its file when it is first used.

    Attributes
    ----------
    scores : table with ``path column metric value low high n n_failed``, as ``scores.tsv``
    differences : the brain's scores minus those of its nulls, paired by moment
    quality : maps of the brain along ``voxel``, as ``brain_quality.nc``
    model : the trained autoencoder of the first feature type
    history : its training, a row per epoch
    aligned : film and BOLD in TRs, with their parts
    record : ``run.json``: settings, versions, warnings
    plot : figures
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise GibletError(f"{folder}: no such folder; results lie in results/<dataset>")
        there = [path for kind in FILES for path in self._paths(kind)]
        if not any(path.exists() for path in there):
            raise GibletError(
                f"{folder}: no results in it; the main job writes them: snakemake reconstruct_audio"
            )

    @property
    def feature_types(self) -> list[str]:
        """``encodec``, ``mel``: those whose sound was decoded."""
        return [one for one in FEATURE_TYPES if self._path("audio", one).is_dir()]

    @property
    def columns(self) -> list[str]:
        """The systems whose sound there is: ``original``, ``codec``, ``stimulus``, ``brain`` …"""
        files = [f for one in self.feature_types for f in self._path("audio", one).glob("*.wav")]
        return in_order([file.stem for file in files], SYSTEMS)

    @property
    def has_scores(self) -> bool:
        """Whether any sound was scored."""
        return any(path.is_file() for path in self._paths("scores"))

    @cached_property
    def scores(self) -> pd.DataFrame:
        if not self.has_scores:
            raise self._missing("scores")
        return gather_tables(self.folder / FILES["scores"].partition("/")[0])

    @cached_property
    def differences(self) -> pd.DataFrame:
        files = [file for file in self._paths("differences") if file.is_file()]
        if not files:
            raise self._missing("differences")
        return pd.concat([load_table(file) for file in files], ignore_index=True)

    @cached_property
    def quality(self) -> xr.Dataset:
        return load_arrays(self._there("quality"), *QUALITY)

    @cached_property
    def space(self) -> xr.Dataset:
        """The scans without BOLD: the brain's mask, affine and places of voxels; the clock."""
        with open_arrays(self._there("scans"), *SCANS) as scans:
            return scans.drop_vars("bold").load()

    @cached_property
    def aligned(self) -> xr.Dataset:
        return load_arrays(self._there("aligned", self._first()), *ALIGNED)

    @cached_property
    def model(self) -> "Autoencoder":
        from giblet.autoencoder.autoencoder import Autoencoder

        folder = self._there("model", self._first())
        return Autoencoder.from_pretrained(folder).requires_grad_(False)

    @cached_property
    def history(self) -> pd.DataFrame:
        return load_table(self._there("model", self._first()) / HISTORY)

    @cached_property
    def record(self) -> dict:
        return load_json(self.folder / RECORD)

    @cached_property
    def is_simulated(self) -> bool:
        """Whether the brains are simulated."""
        file = self._path("scans", "")
        return file.is_file() and "SIMULATED" in self.space.attrs["source"]

    @property
    def plot(self) -> "Plots":
        from giblet.notebook.plots import Plots

        return Plots(self)

    def audio(self, column: str, feature_type: str | None = None) -> Sound:
        """The held-out sound of a system, with a player; ``numpy.asarray`` has its samples.

        GibletError for one that is not there.
        """
        feature_type = feature_type or self._first()
        file = self._path("audio", feature_type) / f"{column}.wav"
        if not file.is_file():
            there = ", ".join(self.columns) or "none"
            near = nearest_name(column, self.columns)
            raise GibletError(
                f"{self.folder}: no sound of {column}, {feature_type}{near}; there are: {there}"
            )
        rate = soundfile.info(file).samplerate
        return Sound(f"{column}, {feature_type}", read_sound(file, rate), rate)

    def to_nifti(self, name: str) -> "Nifti1Image":
        """A map of ``quality`` as an image on the scans' own grid; 4-D where there are subjects."""
        from giblet.brain.nifti import to_nifti

        return to_nifti(self.map(name), self.space)

    def map(self, name: str) -> xr.DataArray:
        """A map of ``quality`` by name; GibletError for one that is not there."""
        maps = [str(one) for one, values in self.quality.items() if "voxel" in values.dims]
        if name not in maps:
            near = nearest_name(name, maps)
            raise GibletError(f"no map {name}{near}; there are: {', '.join(maps)}")
        return self.quality[name]

    def score(self, column: str, metric: str, feature_type: str | None = None) -> pd.Series | None:
        """The row of ``scores`` with ``value``, ``low``, ``high`` and ``n``; None without one."""
        table = self.scores
        rows = table[
            (table["path"] == (feature_type or self._first()))
            & (table["column"] == column)
            & (table["metric"] == metric)
        ]
        return None if rows.empty else rows.iloc[0]

    def __repr__(self) -> str:
        kinds = [kind for kind in FILES if any(path.exists() for path in self._paths(kind))]
        brains = ", SIMULATED brains" if self.is_simulated else ""
        return f"Results({self.folder}{brains}: {', '.join(kinds)})"

    def _repr_html_(self) -> str:
        heard = [column for column in self.columns if self.has_sound(column)]
        rows = []
        for column in heard:
            sound = self.audio(column)
            cells = "".join(f"<td>{self._cell(column, metric)}</td>" for metric in self._metrics)
            about = escape(SYSTEMS[column].about if column in SYSTEMS else "")
            name = f"{escape(self.label(column))} <code>{escape(column)}</code>"
            player = sound.player(_SHOWN_SECONDS)
            rows.append(f"<tr><th title='{about}'>{name}</th>{cells}<td>{player}</td></tr>")
        head = "".join(f"<th>{metric}</th>" for metric in self._metrics)
        listen = f"<th>the first {_SHOWN_SECONDS:g} s, at one level</th>"
        table = f"<table><tr><th></th>{head}{listen}</tr>{''.join(rows)}</table>"
        return f"<p>{escape(repr(self))}</p>{table if heard else ''}"

    @property
    def _metrics(self) -> list[str]:
        """Those of `_SHOWN_METRICS` that there are."""
        if not self.has_scores:
            return []
        return [metric for metric in _SHOWN_METRICS if metric in set(self.scores["metric"])]

    def _cell(self, column: str, metric: str) -> str:
        row = self.score(column, metric)
        if row is None or pd.isna(row["value"]):
            return ""
        interval = "" if pd.isna(row["low"]) else f" [{row['low']:.2f}, {row['high']:.2f}]"
        return f"{row['value']:.2f}{interval}"

    def label(self, column: str, feature_type: str | None = None) -> str:
        """The name of a system, as on the page."""
        return system_label(column, self.is_simulated, feature_type or self._first())

    def has_sound(self, column: str, feature_type: str | None = None) -> bool:
        """Whether there is the sound of a system."""
        return (self._path("audio", feature_type or self._first()) / f"{column}.wav").is_file()

    def _first(self) -> str:
        """The feature type of what is asked without one."""
        trained = [one for one in FEATURE_TYPES if self._path("model", one).is_dir()]
        return next(iter([*self.feature_types, *trained, *FEATURE_TYPES]))

    def _path(self, kind: str, feature_type: str) -> Path:
        return self.folder / FILES[kind].format(path=feature_type)

    def _paths(self, kind: str) -> list[Path]:
        return [self._path(kind, one) for one in FEATURE_TYPES]

    def _there(self, kind: str, feature_type: str = "") -> Path:
        path = self._path(kind, feature_type)
        if not path.exists():
            raise self._missing(kind)
        return path

    def _missing(self, kind: str) -> GibletError:
        made_by = "report" if kind == "quality" else "reconstruct_audio"
        name = FILES[kind].format(path="<feature type>")
        return GibletError(
            f"{self.folder}: no {name} yet; it is made by: snakemake --cores 8 {made_by}"
        )
