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
from giblet.audio.metrics.metric import Metric
from giblet.audio.metrics.table import METRICS
from giblet.errors import GibletError, missing_path, unknown_name
from giblet.io.arrays import load_arrays, open_arrays
from giblet.io.schema import ALIGNED, QUALITY, SCANS
from giblet.io.tables import gather_tables, load_json, load_table
from giblet.notebook.sounds import Sound
from giblet.report.systems import SYSTEMS, feature_label, system_label
from giblet.report.tables import build_table, in_order, number

if TYPE_CHECKING:
    from nibabel import Nifti1Image

    from giblet.autoencoder.autoencoder import Autoencoder
    from giblet.notebook.plots import Plots

FILES = {  # what the workflow writes into a data set's folder; {path}: a feature type
    "aligned": "aligned/{path}.nc",
    "audio": "audio/{path}",
    "differences": "differences/{path}.tsv",
    "model": "model/{path}",
    "music": "reconstruct_score/{path}",
    "music_scores": "reconstruct_score/{path}.tsv",
    "quality": "brain_quality.nc",
    "scans": "bold.nc",
    "scores": "scores/{path}.tsv",
}
_MADE_BY = {"quality": "report", "music_scores": "reconstruct_score"}  # others: the main job
RECORD = "run.json"
HISTORY = "history.tsv"  # in the model's folder
_SHOWN_METRICS = ("identification_sound_10way", "identification_10way", "stoi")
_SHOWN_SECONDS = 10.0
_LISTED = 3  # folders in a message


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
    music_scores : of the reconstructed score, as ``reconstruct_score/*.tsv``
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
        if self.folder.is_file():
            raise GibletError(f"{folder}: is a file; give a run's folder, results/<dataset>")
        if not self.folder.is_dir():
            raise GibletError(missing_path(str(folder)))
        if not _has_results(self.folder):
            below = [*self.folder.glob("*"), *self.folder.glob("results/*")]
            runs = [str(one) for one in sorted(below) if one.is_dir() and _has_results(one)]
            main = "the main job writes them: snakemake --cores 8 reconstruct_audio"
            where = f"there are some in {', '.join(runs[:_LISTED])}" if runs else main
            raise GibletError(f"{folder}: no results in it; {where}")

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

    @property
    def aligned_file(self) -> Path | None:
        """That of the first feature type that has one."""
        return next((file for file in self._paths("aligned") if file.is_file()), None)

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
        if self._path("scans", "").is_file():
            return "SIMULATED" in self.space.attrs["source"]
        if (file := self.aligned_file) is None:
            return False
        with open_arrays(file, *ALIGNED) as arrays:
            return "SIMULATED" in arrays.attrs.get("bold_source", "")

    @property
    def plot(self) -> "Plots":
        from giblet.notebook.plots import Plots

        return Plots(self)

    def audio(self, column: str, feature_type: str | None = None) -> Sound:
        """The held-out sound of a system, with a player; ``numpy.asarray`` has its samples.

        ``score``, ``score_brain`` and other columns of ``reconstruct_score`` are sounds too.
        GibletError for one that is not there or that cannot be read.
        """
        music = self._path("music", feature_type or self._music_path()).glob("*.wav")
        sounds = {file.stem: file for file in music if file.stem not in SYSTEMS}
        if column not in sounds:
            folder = self.sound_folder(feature_type)
            sounds |= {file.stem: file for file in folder.glob("*.wav")}
        if (file := sounds.get(column)) is None:
            there = in_order(sounds, SYSTEMS)
            raise unknown_name(f"sound {column} in {self.folder}", column, there)
        try:
            rate = soundfile.info(file).samplerate
        except soundfile.LibsndfileError as error:
            raise GibletError(f"{file}: not a readable sound ({error.error_string})") from error
        return Sound(f"{column}, {file.parent.name}", read_sound(file, rate), rate)

    @cached_property
    def music_scores(self) -> pd.DataFrame:
        return load_table(self._there("music_scores", self._music_path()))

    def _music_path(self) -> str:
        """The feature type from which a score was reconstructed; that of sounds without one."""
        made = [file.stem for file in self._paths("music_scores") if file.is_file()]
        return next(iter(made), self._first())

    def sound_folder(self, feature_type: str | None = None) -> Path:
        """Where sounds lie; GibletError for a feature type that has none."""
        if not self.feature_types:
            raise self._missing("audio")
        feature_type = feature_type or self._first()
        if feature_type not in self.feature_types:
            what = f"sounds of {feature_type} in {self.folder}"
            raise unknown_name(what, feature_type, self.feature_types)
        return self._path("audio", feature_type)

    def to_nifti(self, name: str) -> "Nifti1Image":
        """A map of ``quality`` as an image on the scans' own grid; 4-D where there are subjects."""
        from giblet.brain.nifti import to_nifti

        return to_nifti(self.map(name), self.space)

    def map(self, name: str) -> xr.DataArray:
        """A map of ``quality`` by name; GibletError for one that is not there."""
        maps = [str(one) for one, values in self.quality.items() if "voxel" in values.dims]
        if name not in maps:
            raise unknown_name(f"map {name}", name, maps)
        return self.quality[name]

    def score(self, column: str, metric: str, feature_type: str | None = None) -> pd.Series | None:
        """The row of ``scores`` with ``value``, ``low``, ``high`` and ``n``; None without one.

        GibletError for a column or metric that giblet does not know.
        """
        table = self.scores
        for kind, name, known in (("column", column, SYSTEMS), ("metric", metric, METRICS)):
            if name not in (names := in_order([*known, *table[kind]], known)):
                raise unknown_name(f"{kind} {name} of scores", name, names)
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
        header, rows, unread = [], [], ""
        try:
            header = self._header(heard)
        except GibletError as error:  # sounds are still of use
            unread = f"<p>No scores are shown: {escape(str(error))}</p>"
        for column in heard:
            cells = "".join(f"<td>{self._cell(column, metric)}</td>" for metric, _ in header)
            about = escape(SYSTEMS[column].about if column in SYSTEMS else "", quote=True)
            name = f"{escape(self.label(column))} <code>{escape(column)}</code>"
            try:
                player = self.audio(column).player(_SHOWN_SECONDS)
            except GibletError as error:  # the other rows are still of use
                player = escape(str(error))
            rows.append(f'<tr><th title="{about}">{name}</th>{cells}<td>{player}</td></tr>')
        head = "".join(f"<th>{m.heading}<br><small>{text}</small></th>" for m, text in header)
        listen = f"<th>The first {_SHOWN_SECONDS:g} s, at one level</th>"
        table = f"<table><tr><th>System</th>{head}{listen}</tr>{''.join(rows)}</table>"
        others = [
            f'Sounds of {feature_label(one)}: <code>.audio(column, "{one}")</code>'
            for one in self.feature_types[1:]
        ]
        more = f"<p>{'; '.join(others)}</p>" if others else ""
        return f"<p>{escape(repr(self))}</p>{unread}{table + more if heard else ''}"

    def _header(self, columns: list[str]) -> list[tuple[Metric, str]]:
        """Those of `_SHOWN_METRICS` that there are, and how each is read, as on the page."""
        if not self.has_scores:
            return []
        cells = self.scores.set_index(["path", "column", "metric"])
        shown = {self._first()}, columns, _SHOWN_METRICS
        keys = [key for key in cells.index if all(k in s for k, s in zip(key, shown, strict=True))]
        parts = build_table(cells, keys, "", self.is_simulated).parts
        return [
            (m, text)
            for part in parts
            for (m, _), text in zip(part.header, part.readings, strict=True)
        ]

    def _cell(self, column: str, metric: Metric) -> str:
        if (row := self.score(column, metric.name)) is None:
            return ""
        value, low, high = (number(row[k], metric.decimals) for k in ("value", "low", "high"))
        return value if pd.isna(row["low"]) else f"{value}<br><small>[{low}, {high}]</small>"

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
        return _files(self.folder, kind)

    def _there(self, kind: str, feature_type: str = "") -> Path:
        path = self._path(kind, feature_type)
        if not path.exists():
            raise self._missing(kind)
        return path

    def _missing(self, kind: str) -> GibletError:
        made_by = _MADE_BY.get(kind, "reconstruct_audio")
        name = FILES[kind].format(path="<feature type>")
        return GibletError(
            f"{self.folder}: no {name} yet; it is made by: snakemake --cores 8 {made_by}"
        )


def _files(folder: Path, kind: str) -> list[Path]:
    """Where a kind of `FILES` is or would be, of each feature type."""
    return [folder / FILES[kind].format(path=one) for one in FEATURE_TYPES]


def _has_results(folder: Path) -> bool:
    return any(path.exists() for kind in FILES for path in _files(folder, kind))
