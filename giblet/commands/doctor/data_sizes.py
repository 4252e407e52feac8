"""Sizes of a config's film and scans, and problems with them.

Sizes are those of headers. Of sound and video a few seconds are read, words and tables whole.
"""

import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from giblet.commands.doctor.film_check import LONGEST_FILM, length_of_film, sound_mb, warned
from giblet.commands.doctor.word_checks import check_score, check_words, has_words, score_path
from giblet.config.config import Config
from giblet.errors import GibletError, count_mistakes, mistakes_of
from giblet.io.paths import check_date
from giblet.report.run_messages import shortened

_MOST_LINES = 10  # mistakes of one check that are listed


@dataclass(frozen=True)
class Sizes:
    """Of one config. ``values``: BOLD of all runs, millions. ``n_columns``: voxels or parcels."""

    n_trs: int
    minutes: float
    film_mb: float = 0.0
    n_train: int = 0
    n_test: int = 0
    test_seconds: float = 0.0
    picture_mb: float = 0.0
    mel_mb: float = 0.0
    n_subjects: int = 0
    n_columns: int = 0
    values: float = 0.0
    has_words: bool = False
    has_score: bool = False

    @property
    def bold_mb(self) -> float:
        """All BOLD, float32."""
        return 4 * self.values

    @property
    def regressors_mb(self) -> float:
        """Of one modality."""
        return 0.4 * self.minutes

    @property
    def text_mb(self) -> float:
        return 0.005 * self.n_trs

    @property
    def score_mb(self) -> float:
        """Piano roll and features in TRs."""
        return 0.2 * self.minutes

    def sound_mb(self, path: str) -> float:
        """Features of the sound, of the feature type ``path``."""
        return 0.15 * self.minutes if path == "encodec" else self.mel_mb

    def n_kept(self, max_voxels: int | None) -> int:
        """Columns that ridge, model and decoder see."""
        from giblet.alignment.voxels import n_kept

        return n_kept(self.n_columns, self.n_subjects, max_voxels)


class _Checks:
    """Results of checks. What needs a key that is ``wrong``, or a check that failed, is left out.

    ``lines`` about the data, ``problems`` that would stop a run.
    """

    def __init__(self, wrong: Iterable[str] = ()):
        self.lines: list[str] = []
        self.problems: list[str] = []
        self._missing = set(wrong)
        self._left_out: dict[str, list[str]] = {}

    def __call__(self, name: str, needs: Iterable[str], function: Callable, *arguments):
        """The result of the function, or None where it raises GibletError, or is left out.

        ``needs``: keys of the config, and names of earlier checks.
        """
        if not self.can(name, needs):
            self._missing.add(name)
            return None
        try:
            return function(*arguments)
        except GibletError as error:
            self._missing.add(name)
            lines = alike_once(mistakes_of(error))
            more = len(lines) - _MOST_LINES
            lines[_MOST_LINES:] = [f"{count_mistakes(more)} in the {name}"] if more > 0 else []
            self.problems += [line for line in lines if line not in self.problems]
            return None

    def can(self, name: str, needs: Iterable[str]) -> bool:
        """Whether all that ``name`` needs is there; else it is one of `not_checked`."""
        missing = [need for need in needs if need in self._missing]
        if missing:
            self._left_out.setdefault(", ".join(missing), []).append(name)
        return not missing

    def not_checked(self) -> list[str]:
        """A line of what was left out, for each thing that it needs."""
        return [
            f"not checked: {'; '.join(dict.fromkeys(names))}: needs {missing}"
            for missing, names in self._left_out.items()
        ]


def alike_once(lines: Iterable[str]) -> list[str]:
    """Mistakes of several files that are the same, as one line.

    >>> alike_once(["a.tsv: no column x", "b.tsv: no column x", "c.tsv: no such file"])
    ['a.tsv: no column x (and in 1 more)', 'c.tsv: no such file']
    """
    alike: dict[str, list[str]] = {}
    for line in lines:
        _file, colon, what = line.partition(": ")
        alike.setdefault(what if colon else line, []).append(line)
    return [
        same[0] + f" (and in {len(same) - 1} more)" * (len(same) > 1) for same in alike.values()
    ]


def measure(
    config: Config, wrong: Collection[str] = ()
) -> tuple[Sizes | None, list[str], list[str]]:
    """Sizes (None where there is nothing to measure), lines about the data, and problems.

    Every check is made whose needs are there; lines name the others. ``wrong``: keys that have
    their defaults in ``config``, as what was written cannot be read.
    """
    from giblet.stats.array_backend import check_backend

    check = _Checks(wrong)
    lines, problems = check.lines, check.problems
    of_stimuli = ["stimuli", "events", "t_r"] if config.has_stimuli or "stimuli" in wrong else []
    of_film = ["film", "stimuli", *of_stimuli]
    film = check("film", ["audio_track", *of_film], length_of_film, config, lines)
    its_film = ["film"] * (config.has_film or "film" in wrong)
    scans = _scans(check, [*of_stimuli, *its_film * config.has_stimuli], config, film) or {}
    beside = its_film if config.has_stimuli else [*of_stimuli]
    scanned = scans.get("seconds")
    check("words", ["annotations", "words", *beside], check_words, config, lines, film, scanned)
    check("score", ["score", "score_offset", *beside], check_score, config, lines, film)
    if config.has_film and (config.has_annotations or config.score != "none"):
        check.can("that words and score fit the film", its_film)
    check("codec", ["codec", "use_encodec"], _codec, config, lines)
    check("backend of ridge regression", ["ridge_backend"], check_backend, config.ridge_backend)
    named = (config.film, config.annotations, config.score, config.bold_source)
    for path in filter(os.path.exists, named):
        check("dates of files", [], check_date, path)
    seconds = film if config.has_film else scanned
    sizes = None
    needs = [*its_film, "t_r", *sorted(wrong)]
    scans = {key: n for key, n in scans.items() if key != "seconds"}
    if check.can("parts and estimates", needs) and seconds is not None:
        sizes = check("parts of the film", [], _sizes, config, seconds, scans, lines)
    return sizes, [*lines, *check.not_checked()], problems


def _scans(
    check: _Checks, needs: Iterable[str], config: Config, film_seconds: float | None
) -> dict | None:
    """Sizes of the scans, from headers and tables; without a film ``seconds`` is theirs.

    ``needs``: of reading them, beside the keys about scans.
    """
    from giblet.alignment.sync import check_scan_t_r
    from giblet.alignment.voxels import n_kept
    from giblet.commands.doctor.scan_checks import (
        check_clock,
        check_region,
        read_columns,
        read_runs,
    )

    needs, lines = ["bold", "task", "scan", *needs], check.lines
    if config.bold_source in ("none", "simulated"):
        return check("scans", [*needs, "film"], _no_scans, config, film_seconds, lines)
    runs = check("scans", needs, read_runs, config)
    read = check("voxels or parcels", ["scans"], read_columns, runs, config)
    used, columns, warnings = read or (runs or [], [], [])
    n_columns, n_volumes = len(columns), sum(run.n_volumes for run in used)
    subjects = {run.subject for run in used}
    if runs:
        lines.append(
            f"scans: {len(subjects)} subjects, {len(used)} runs, {n_volumes} volumes"
            + f" of {n_columns:,} voxels or parcels" * (read is not None)
            + f", TR {runs[0].t_r:g} s"
        )
        of_runs = chain.from_iterable(run.warnings for run in used)
        lines += map(warned, shortened([*warnings, *of_runs]))
        check("TR of the scans", ["t_r"], check_scan_t_r, runs[0].t_r, config.t_r)
    clock = ["scans", "t_r", "TR of the scans", "splits", "max_trs"]
    name = "clock of the runs and parts (splits)"
    of_clock = check(name, clock, check_clock, used, config, film_seconds, lines)
    lines += map(warned, of_clock or [])
    if config.has_film:
        check.can("that runs fit the film, and parts (splits)", ["film"])
    if read is None or of_clock is None:
        return None
    if config.has_film:
        kept = n_kept(n_columns, len(subjects), config.max_voxels)
        if kept < n_columns:
            lines.append(
                f"voxels: {kept:,} of {n_columns:,} are used, those of highest ISC in training "
                "TRs (max_voxels)"
            )
    check("region", ["decoding", "lesion"], check_region, columns, config)
    return {
        "n_subjects": len(subjects),
        "n_columns": n_columns,
        "values": n_volumes * n_columns / 1e6,
        "seconds": max(float(run.film_time.max()) for run in used),
    }


def _no_scans(config: Config, film_seconds: float | None, lines: list[str]) -> dict | None:
    """As `_scans` where none are named, or SIMULATED ones."""
    from giblet.timing import whole_trs

    if config.has_stimuli and config.bold_source == "none":
        raise GibletError("stimuli need scans as bold: their events say what was presented when")
    if config.bold_source == "none":
        lines.append("scans: none were given (bold): no BOLD is predicted or decoded")
        return None
    if not config.has_film:
        raise GibletError("simulated brains watch a film: film is none")
    n_runs = 3 if config.is_music_demo else 2
    n_volumes = whole_trs(film_seconds or 0, config.t_r) + 10 * n_runs  # before and after each
    lines.append(f"scans: SIMULATED, 4 subjects, {n_runs} runs of each, 3,666 voxels")
    values = n_volumes * 3666 / 1e6
    return {"n_subjects": 4, "n_columns": 3666, "values": 4 * values}


def _sizes(config: Config, seconds: float, scans: dict, lines: list[str]) -> Sizes:
    """GibletError where the film cannot be split into parts."""
    from giblet.commands.doctor.scan_checks import film_parts
    from giblet.timing import acquisition_times, whole_trs

    if seconds > LONGEST_FILM:
        raise GibletError(
            f"the scans reach to {seconds / 3600:.4g} hours of film. Are onsets times of day, "
            "or in milliseconds? Give seconds"
        )
    n_trs = whole_trs(seconds, config.t_r)
    n_trs = min(n_trs, config.max_trs or n_trs)
    minutes = float(acquisition_times(n_trs + 1, config.t_r)[-1]) / 60
    if not config.has_film:
        return Sizes(n_trs, minutes, has_words=config.has_annotations, **scans)
    if n_trs < 1:
        raise GibletError(f"{seconds:.2f} s of film is shorter than one TR ({config.t_r} s)")
    splits, is_scanned = config.splits, config.bold_source not in ("none", "simulated")
    by_name = splits.test_runs or (splits.test_pieces and is_scanned)
    if by_name or config.has_stimuli:  # their TRs are not known yet
        n_train, n_test = n_trs, round(splits.test * n_trs)
    else:
        parts = film_parts(config, n_trs, bool(scans), lines)
        n_train, n_test = int((parts == "train").sum()), int((parts == "test").sum())
    video = config.video
    frames_mb = n_trs * video.n_frames * video.height * video.width * 3 / 1e6
    return Sizes(
        n_trs,
        minutes,
        sound_mb(config, seconds),
        n_train,
        n_test,
        test_seconds=float(acquisition_times(n_test + 1, config.t_r)[-1]),
        picture_mb=frames_mb,
        mel_mb=2.9 * minutes * config.mel.n_mels / 128,
        has_words=has_words(config),
        has_score=score_path(config) is not None,
        **scans,
    )


def _codec(config: Config, lines: list[str]) -> None:
    """A codec of the hub whose commit is named may be fetched: no problem, but one line."""
    from giblet.io.hub import COMMIT, local_folder

    name = config.codec
    if not config.use_encodec or name == "bundled" or Path(name).is_dir():
        return
    repo, _, commit = name.partition("@")
    if local_folder(name) is None:
        if repo.count("/") != 1 or repo.startswith((".", "/")) or not COMMIT.fullmatch(commit):
            raise GibletError(
                f"codec {name}: no such folder, not in the Hugging Face cache, and no commit of a "
                'hub (owner/name@ and 40 digits). Give one of these, or "bundled"'
            )
        lines.append(f"codec: {name} is not in the Hugging Face cache; it will be fetched")
