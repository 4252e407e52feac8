"""Several pieces of music on one clock: those of a film, or the stimuli that make one."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from giblet.brain.stimulus_clock import StimulusClock
from giblet.errors import GibletError, missing_path, nearest_name
from giblet.io.tables import is_table, load_table
from giblet.timing import TOLERANCE, tr_moments

_MUSIC = ("stimulus_music", "piece_music")  # coordinates
_COLUMNS = ("name", "file", "onset", "duration", "score_offset")


@dataclass(frozen=True)
class Pieces:
    """The place of each piece in a film, and its score.

    names : of the pieces, in the film's order
    begins, durations : (n_pieces,) s of the film; a duration of infinity: to the film's end
    scores : file of each piece's score; "" where there is none
    starts : (n_pieces,) second of the score at which the piece begins
    kind : what a piece is called in tables: piece, or stimulus
    music : (n_pieces,) int, equal for the same music (`giblet.music.stimulus_scores.same_music`);
        None where the notes were not compared
    """

    names: tuple[str, ...]
    begins: np.ndarray
    durations: np.ndarray
    scores: tuple[str, ...]
    starts: np.ndarray
    kind: str = "piece"
    music: np.ndarray | None = None

    @classmethod
    def of_clock(cls, clock: StimulusClock, offset: float = 0.0) -> "Pieces":
        """Of many stimuli, whose scores begin at their ``score_offsets``, ``offset`` s later."""
        starts = clock.starts - np.array(clock.score_offsets or 0.0) - offset
        columns = (clock.names, clock.begins, clock.durations, clock.scores, starts)
        return cls(*columns, kind="stimulus")

    @property
    def ends(self) -> np.ndarray:
        """Second of the film at which the next piece begins, (n_pieces,); infinity of the last."""
        return np.append(self.begins[1:], np.inf)

    def of_trs(self, trs: np.ndarray, t_r: float) -> np.ndarray:
        """Index of the piece that began last before the middle of each TR (n_trs,); -1: none."""
        middles = tr_moments(int(trs.max(initial=0)) + 1, t_r)[trs]
        return np.searchsorted(self.begins, middles, side="right") - 1

    @property
    def same_music(self) -> np.ndarray:
        """Equal numbers of pieces that share seconds of a score, (n_pieces,) int.

        The number is the index of the first of them.
        """
        groups: list[list[int]] = []
        score, end = "", 0.0
        for k in sorted(range(len(self.names)), key=lambda k: (self.scores[k], self.starts[k])):
            if not score or self.scores[k] != score or self.starts[k] >= end - TOLERANCE:
                groups.append([])
                score, end = self.scores[k], -np.inf
            groups[-1].append(k)
            end = max(end, float(self.starts[k] + self.durations[k]))
        music = np.arange(len(self.names))
        for group in groups:
            music[group] = min(group)
        return music

    def coordinates(self) -> dict[str, tuple]:
        """Coordinates along ``piece``, as a file of several scores has them."""
        return {
            "piece": ("piece", list(self.names)),
            "piece_begin": ("piece", self.begins, {"units": "s"}),
            "piece_duration": ("piece", self.durations, {"units": "s"}),
            "piece_score": ("piece", list(self.scores)),
            "piece_start": ("piece", self.starts, {"units": "s"}),
        }

    @classmethod
    def of_arrays(cls, arrays: xr.Dataset) -> "Pieces | None":
        """The pieces of a file of ``read_score``; None of a single one.

        ``scores`` are what tells pieces apart: of stimuli the files that they are excerpts of.
        """
        music = next((arrays[n].values for n in _MUSIC if n in arrays.coords), None)
        if clock := StimulusClock.of_scans(arrays):
            return replace(cls.of_clock(clock), scores=clock.files, music=music)
        if "piece_begin" not in arrays.coords:
            return None
        names, scores = (arrays[n].values.astype(str).tolist() for n in ("piece", "piece_score"))
        begins, durations = arrays["piece_begin"].values, arrays["piece_duration"].values
        has_starts = "piece_start" in arrays.coords  # older files have not
        starts = arrays["piece_start"].values if has_starts else np.zeros(len(names))
        return cls(tuple(names), begins, durations, tuple(scores), starts, music=music)


def is_table_of_scores(score: str | Path) -> bool:
    """Whether ``score`` names a table of scores, and not a score.

    >>> is_table_of_scores("pieces.tsv"), is_table_of_scores("piece.mid")
    (True, False)
    """
    return is_table(Path(score))


def read_pieces(path: str | Path, offset: float = 0.0) -> Pieces:
    """The pieces of a film from a table (.tsv or .csv) with a row for each.

    ``file``: its score, relative to the table. ``onset``: second of the film at which the piece
    begins; 0 where it is n/a. ``duration``: in s; where it is n/a, up to the next piece.
    ``score_offset``: second of the piece at which the score's second 0 is; 0 where it is n/a.
    ``name``: the file's, without ending, where it is n/a. All scores are ``offset`` s later.

    Raises
    ------
    GibletError
        A file or a column is missing, a column is unknown, a time is no number of seconds, two
        pieces have one name, or are there at once.
    """
    path = Path(path)
    table = load_table(path, dtype={"name": str, "file": str}).dropna(how="all")
    for name in table:
        if name not in _COLUMNS:
            advice = nearest_name(str(name), _COLUMNS)
            raise GibletError(
                f"{path}: unknown column {name}{advice}; valid: {', '.join(_COLUMNS)}"
            )
    if "file" not in table or table["file"].isna().any() or table.empty:
        raise GibletError(f"{path}: every piece needs a score, in a column named file")
    onset, duration, own = (_seconds(table, name, path) for name in _COLUMNS[2:])
    table = table.assign(onset=np.nan_to_num(onset), duration=duration, own=np.nan_to_num(own))
    table = table.sort_values("onset", kind="stable")
    files = [path.parent / str(file).strip() for file in table["file"]]
    for number, file in zip(table.index, files, strict=True):
        if not file.is_file():
            raise GibletError(f"{path}: row {number + 1}: {missing_path(str(file))}")
    stems = pd.Series([file.stem for file in files], table.index)
    names = table["name"].fillna(stems) if "name" in table else stems
    if names.duplicated().any():
        twice = names[names.duplicated()].iloc[0]
        raise GibletError(f"{path}: two pieces are named {twice}; give each a name (column name)")
    begins, until = table["onset"].to_numpy(float), np.append(table["onset"].iloc[1:], np.inf)
    lengths = table["duration"].to_numpy(float)
    lengths = np.where(np.isnan(lengths), until - begins, lengths)
    both = np.flatnonzero((begins + lengths > until + TOLERANCE) | (begins == until))
    if len(both):
        one, other = names.iloc[both[0]], names.iloc[both[0] + 1]
        raise GibletError(
            f"{path}: two pieces at once: {one} and {other}; correct onset or duration"
        )
    starts = -table["own"].to_numpy(float) - offset
    return Pieces(tuple(names), begins, lengths, tuple(map(str, files)), starts)


def _seconds(table: pd.DataFrame, name: str, path: Path) -> np.ndarray:
    """A column of seconds (n_pieces,), NaN where there is none. GibletError for others."""
    if name not in table:
        return np.full(len(table), np.nan)
    times = pd.to_numeric(table[name], errors="coerce").to_numpy(float)
    wrong = (np.isnan(times) & table[name].notna().to_numpy()) | np.isinf(times)
    wrong |= {"onset": times < 0, "duration": times <= 0}.get(name, False)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise GibletError(f"{path}: row {row + 1}: {name} is {table[name].iloc[row]}, not seconds")
    return times
