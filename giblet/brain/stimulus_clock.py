"""Many stimuli on one clock: each has whole TRs of a film that they make together.

The film of all stimuli is what codes, mel and regressors are computed from. Every stimulus begins
with a TR and is followed by silence, so that neither a codec's frames nor the lags of a model
reach from one into another. What is presented when in a run is in the events tables.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import xarray as xr

from giblet.errors import GibletError, nearest_name
from giblet.io.tables import load_table
from giblet.timing import tr_onsets, trs_for, whole_trs

STIM_FILE = "{stim_file}"  # how events name a stimulus, unless the config says otherwise
_SILENCE = 0.2  # s beyond a TR: the film of a run never seems to run on into the next stimulus
# endings of files that events may name; not so "2" of "rain.2", another stimulus than "rain"
_MEDIA = re.compile(
    r"wave?|rf64|w64|bwf|flac|mp[234]|mpe?g|m4[av]|m2?ts|mkv|mka|mov|avi|web[mp]|og[gva]|opus|aac|"
    r"ac3|wm[av]|aif[fc]?|au|snd|caf|3gp|flv|mxf|vob|gif|png|jpe?g|bmp|tiff?|txt|mat|h5",
    re.IGNORECASE,
)
COLUMNS = ("name", "first_tr", "begin", "duration", "file", "start")
BESIDE = ("annotations", "score")  # columns of files that go with a stimulus


def composed(name: str) -> str:
    """``name`` with each accented letter as one character: macOS stores it as two.

    >>> len(composed("u\u0308ber"))
    4
    """
    return unicodedata.normalize("NFC", name)


@dataclass(frozen=True)
class StimulusClock:
    """The place of each stimulus in the film that they make together.

    names : of the stimuli, in the film's order
    first_trs : (n_stimuli,) int, TR of the film at which each begins
    durations : (n_stimuli,) s
    t_r : s
    files, starts : what each is an excerpt of, and from which second on, (n_stimuli,)
    template : name of the stimulus that a row of events presents, made of the row's columns
    annotations, scores : files of each one's words and notes, on the clock of its file; "" where
        there is none, (n_stimuli,)
    score_offsets : s of the file at which its score's second 0 is, (n_stimuli,)
    rest : s of silence after each, whose volumes belong to it, up to the next onset in the scan
    """

    names: tuple[str, ...]
    first_trs: np.ndarray
    durations: np.ndarray
    t_r: float
    files: tuple[str, ...]
    starts: np.ndarray
    template: str = STIM_FILE
    annotations: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    score_offsets: tuple[float, ...] = ()
    rest: float = 0.0

    @classmethod
    def lay_out(
        cls,
        names: Sequence[str],
        durations: Sequence[float],
        t_r: float,
        files: Sequence[str] | None = None,
        starts: Sequence[float] | None = None,
        annotations: Sequence[str] | None = None,
        scores: Sequence[str] | None = None,
        score_offsets: Sequence[float] | None = None,
        rest: float = 0.0,
    ) -> "StimulusClock":
        """One stimulus after the other, each with ``rest`` and a TR of silence or more behind it.

        ``files`` and ``starts``: by default each is a file of its own, without words and notes.
        ``score_offsets``: by default 0 s.

        Raises GibletError for one that is shorter than a TR, for two of one name and for none.

        >>> clock = StimulusClock.lay_out(["a", "b"], [3.0, 4.0], t_r=1.5)
        >>> clock.begins.tolist(), clock.n_trs.tolist(), clock.stimulus_of_trs().tolist()
        ([0.0, 6.0], [2, 2], [0, 0, -1, -1, 1, 1, -1, -1])
        """
        if not len(names):
            raise GibletError("stimuli: there are none")
        if len(set(names)) < len(names):
            twice = next(name for n, name in enumerate(names) if name in names[:n])
            raise GibletError(f"stimulus {twice}: two have this name; rename one")
        for name, duration in zip(names, durations, strict=True):
            if whole_trs(duration, t_r) < 1:
                raise GibletError(
                    f"stimulus {name}: lasts {duration:.3g} s, less than one TR ({t_r:g} s); leave "
                    "it out"
                )
        slots = [trs_for(duration + rest + t_r + _SILENCE, t_r) for duration in durations]
        first_trs = np.concatenate([[0], np.cumsum(slots)[:-1]]).astype(np.int64)
        lengths = np.asarray(durations, dtype=float)
        begins = np.zeros(len(names)) if starts is None else np.asarray(starts, dtype=float)
        none = [""] * len(names)
        beside = (tuple(paths or none) for paths in (annotations, scores))
        own, offsets = tuple(files or names), tuple(score_offsets or [0.0] * len(names))
        columns = (own, begins, STIM_FILE, *beside, offsets, rest)
        return cls(tuple(names), first_trs, lengths, t_r, *columns)

    @cached_property
    def begins(self) -> np.ndarray:
        """Second of the film at which each stimulus begins, (n_stimuli,)."""
        return tr_onsets(int(self.first_trs.max()) + 1, self.t_r)[self.first_trs]

    def at(self, tr: int) -> float:
        """Second of the film at which a TR begins."""
        return float(tr_onsets(tr + 1, self.t_r)[-1])

    @cached_property
    def n_trs(self) -> np.ndarray:
        """Whole TRs of each stimulus, (n_stimuli,) int."""
        return np.array([whole_trs(duration, self.t_r) for duration in self.durations])

    @property
    def n_film_trs(self) -> int:
        """TRs of the film, the silence behind the last stimulus included."""
        last = float(self.durations[-1]) + self.rest + self.t_r + _SILENCE
        return int(self.first_trs[-1]) + trs_for(last, self.t_r)

    def at_second(self, begin: float) -> int:
        """Index of the stimulus that begins at this second of the film."""
        return int(np.abs(self.begins - begin).argmin())

    def stimulus_of_trs(self, n_trs: int | None = None, with_rest: bool = False) -> np.ndarray:
        """Index of the stimulus of each TR of the film, (n_trs,); -1 in silence.

        A TR belongs to a stimulus that fills it; ``with_rest`` the TRs of its rest do, too.

        >>> clock = StimulusClock.lay_out(["a"], [3.0], t_r=1.5, rest=3.0)
        >>> clock.stimulus_of_trs().tolist(), clock.stimulus_of_trs(with_rest=True).tolist()
        ([0, 0, -1, -1, -1, -1], [0, 0, 0, 0, -1, -1])
        """
        of_tr, rest = np.full(self.n_film_trs, -1), self.rest if with_rest else 0.0
        n_own = [whole_trs(duration + rest, self.t_r) for duration in self.durations]
        for k, (first, n) in enumerate(zip(self.first_trs, n_own, strict=True)):
            of_tr[first : first + n] = k
        n_trs = self.n_film_trs if n_trs is None else n_trs
        return np.pad(of_tr, (0, max(0, n_trs - len(of_tr))), constant_values=-1)[:n_trs]

    def find(self, name: str) -> int:
        """Index of the stimulus ``name``, or of the file that it names, with folders or without.

        Letters with accents are compared as they look, not as a system stores them. ``1.0`` is
        stimulus ``1``. Raises GibletError where there is none.

        >>> clock = StimulusClock.lay_out(["rain", "wind"], [3.0, 4.0], t_r=1.5)
        >>> clock.find("wind"), clock.find("stimuli/rain.wav")
        (1, 0)
        """
        file = PurePosixPath(name.replace("\\", "/")).name
        stem, _, ending = file.rpartition(".")
        forms = [name, file]
        if self._is_ending(ending, stem):
            forms.append(stem)
        for form in map(composed, forms):
            if form in self._index:
                return self._index[form]
        raise GibletError(f"no stimulus {name!r}{nearest_name(name, self.names)}")

    def __contains__(self, name: str) -> bool:
        """Whether a stimulus has this name, as it looks; names of files do not count."""
        return composed(name) in self._index

    def _is_ending(self, ending: str, stem: str) -> bool:
        own = self.files[self._index[composed(stem)]] if composed(stem) in self._index else ""
        same = PurePosixPath(own).suffix.lower() == f".{ending.lower()}"
        return same or bool(_MEDIA.fullmatch(ending)) or (stem.isdecimal() and ending == "0")

    @cached_property
    def _index(self) -> dict[str, int]:
        return {composed(name): k for k, name in enumerate(self.names)}

    def table(self) -> pd.DataFrame:
        """One row a stimulus: ``name first_tr begin duration file start annotations score
        score_offset rest``.

        All times in s, as text with microseconds; n/a for no file.
        """
        times = [[f"{t:.6f}" for t in of] for of in (self.begins, self.durations, self.starts)]
        columns = (self.names, self.first_trs, times[0], times[1], self.files, times[2])
        beside = ([path or None for path in paths] for paths in (self.annotations, self.scores))
        made = pd.DataFrame(dict(zip(COLUMNS + BESIDE, (*columns, *beside), strict=True)))
        return made.assign(score_offset=[f"{t:.6f}" for t in self.score_offsets], rest=self.rest)

    @classmethod
    def read(cls, path: Path, t_r: float, template: str = STIM_FILE) -> "StimulusClock":
        """The clock of a table that `table` made. GibletError for another table or TR."""
        table = load_table(path, dtype=dict.fromkeys(("name", "file", *BESIDE), str))
        if set(COLUMNS) - set(table):
            raise GibletError(f"{path}: not a table of {', '.join(COLUMNS)}; make it again")
        columns = (table[name].tolist() for name in ("name", "duration", "file", "start"))
        names, durations, files, starts = columns
        none = pd.Series([None] * len(table))  # of older tables
        beside = (table.get(name, none).fillna("").tolist() for name in BESIDE)
        offsets = table["score_offset"].tolist() if "score_offset" in table else None
        rest = float(table["rest"].iloc[0]) if "rest" in table else 0.0
        clock = cls.lay_out(names, durations, t_r, files, starts, *beside, offsets, rest)
        if (clock.first_trs != table["first_tr"]).any():
            raise GibletError(f"{path}: made with another t_r than {t_r:g} s; make it again")
        return replace(clock, template=template)

    def coordinates(self) -> dict[str, tuple]:
        """Coordinates along ``stimulus``, as saved scans have them."""
        return {
            "stimulus": ("stimulus", list(self.names)),
            "stimulus_first_tr": ("stimulus", self.first_trs),
            "stimulus_duration": ("stimulus", self.durations),
            "stimulus_file": ("stimulus", list(self.files)),
            "stimulus_start": ("stimulus", self.starts),
            "stimulus_rest": ("stimulus", np.full(len(self.names), self.rest)),
        }

    @classmethod
    def of_scans(cls, scans: xr.Dataset) -> "StimulusClock | None":
        """The clock of scans, or a score, of many stimuli; None of those of one film."""
        if "stimulus_first_tr" not in scans.coords:
            return None
        has_rest = "stimulus_rest" in scans.coords  # older files have none
        return cls(
            tuple(scans["stimulus"].values.astype(str).tolist()),
            scans["stimulus_first_tr"].values,
            scans["stimulus_duration"].values,
            float(scans.attrs["t_r"]),
            tuple(scans["stimulus_file"].values.astype(str).tolist()),
            scans["stimulus_start"].values,
            rest=float(scans["stimulus_rest"].values[0]) if has_rest else 0.0,
        )
