"""Training data: aligned TRs in disjoint parts, z-scored BOLD, windows of TRs."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING

import numpy as np

from giblet.alignment.hrf import HRF_SECONDS
from giblet.config.sections import SplitConfig
from giblet.errors import GibletError, nearest_name
from giblet.stats.cross_validation import check_fold, fold_labels, near
from giblet.timing import trs_for

if TYPE_CHECKING:
    import torch

    from giblet.alignment.presented import Presentations
    from giblet.stats.ridge import Folds

PARTS = ("train", "validation", "test")
FEWEST_TRS = 10  # training TRs that give a mean and a deviation: of 2, every |z| is 1


def gap_trs(splits: SplitConfig, t_r: float, has_bold: bool) -> int:
    """TRs left out between parts: ``gap_seconds``, one at least; one where there is no BOLD."""
    return max(1, trs_for(splits.gap_seconds, t_r)) if has_bold else 1


def gap_warnings(splits: SplitConfig) -> list[str]:
    """A warning of gaps that are shorter than the HRF, for films with BOLD."""
    if splits.gap_seconds >= HRF_SECONDS:
        return []
    return [
        f"splits.gap_seconds {splits.gap_seconds:g} is shorter than the HRF ({HRF_SECONDS:g} s): "
        "held-out BOLD still holds what training TRs caused"
    ]


def split_film(
    n_trs: int,
    t_r: float,
    splits: SplitConfig,
    has_bold: bool,
    runs: np.ndarray | None = None,
    fold: int | None = None,
    held_out: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """The part each TR belongs to, shape (n_trs,) str: train, validation, test or gap.

    The film's end is the test part, the stretch before it the validation part; or they are the
    runs that ``splits`` names, of ``runs`` (n_trs,) str. Between parts lies a gap of `gap_trs`,
    because neighbouring TRs are alike and the HRF smears each over the next half minute. It is
    never taken from the test part. The parts are the same film seconds for every subject.

    With ``fold``, from 1 to ``splits.folds``, the test part is that one of `fold_labels`, and the
    validation part the last share of the rest. ``held_out``: masks of the test and validation TRs
    instead, (n_trs,) bool each, of `giblet.alignment.pieces.held_out_pieces`.

    Raises
    ------
    GibletError
        The film is too short for three parts; see `_runs_held_out` for runs. No such fold.

    >>> parts = split_film(20, 1.5, SplitConfig(), has_bold=False)
    >>> [int((parts == p).sum()) for p in ("train", "validation", "test", "gap")]
    [12, 2, 4, 2]
    >>> by_run = SplitConfig(test_runs=["2"], gap_seconds=1.5)
    >>> split_film(10, 1.5, by_run, True, np.array(list("1112233333")))[2:].tolist()
    ['gap', 'test', 'test', 'gap', 'train', 'train', 'gap', 'validation']
    """
    gap = gap_trs(splits, t_r, has_bold)
    if held_out is not None:
        test, validation = held_out[0], held_out[1] & ~near(held_out[0], gap)
    elif fold is not None:
        test = _fold_held_out(np.zeros(n_trs) if runs is None else runs, splits.folds, fold)
        free = ~near(test, gap)
        validation = _last(free, splits.validation * free.sum())
    elif splits.test_runs:
        runs = np.empty(0, dtype=str) if runs is None else runs
        test, validation = _runs_held_out(runs, splits, gap)
    else:
        test = _last(np.ones(n_trs, dtype=bool), splits.test * n_trs)
        validation = _last(~near(test, gap), splits.validation * n_trs)
    train = ~near(test | validation, gap)
    if train.sum() < 2 or not validation.any():
        raise GibletError(
            f"{n_trs} TRs are too few: {test.sum()} to test, {validation.sum()} to validate and "
            f"gaps of {gap} leave {train.sum()} to train on. Use a longer film, a smaller splits.* "
            "share, fewer runs, other pieces or more splits.folds"
        )
    return np.select([test, validation, train], ["test", "validation", "train"], "gap")


def _fold_held_out(runs: np.ndarray, n_folds: int, fold: int) -> np.ndarray:
    """Mask of the test TRs of a fold, (n_trs,) bool; GibletError for one that does not exist."""
    check_fold(fold, n_folds)
    try:
        return fold_labels(runs, n_folds) == fold - 1
    except ValueError as error:
        raise GibletError(f"splits.folds: {error}") from None


def _runs_held_out(
    runs: np.ndarray, splits: SplitConfig, gap: int
) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the test and validation TRs, (n_trs,) bool each.

    Raises GibletError for a run that does not exist, and if no run is left to train on.
    """
    for key in ("test_runs", "validation_runs"):
        _check_runs(getattr(splits, key), np.unique(runs).tolist(), f"splits.{key}")
    test, held = np.isin(runs, splits.test_runs), np.isin(runs, splits.validation_runs)
    if (test | held).all():
        raise GibletError("splits.test_runs (and validation_runs) name every run: leave one out")
    free = ~near(test, gap)
    if splits.validation_runs:
        return test, held & free
    return test, _last(free, splits.validation * free.sum())


def _check_runs(named: list[str], existing: list[str], key: str) -> None:
    for run in named:
        if run not in existing:
            names = f"{nearest_name(run, existing)}; there are: {', '.join(existing) or 'none'}"
            raise GibletError(f"{key}: no run {run} in the scan{names}")


def _last(free: np.ndarray, n: float) -> np.ndarray:
    """The last ``n`` (rounded, one at least) of the TRs that are free; both (n_trs,) bool."""
    chosen = np.zeros_like(free)
    chosen[np.flatnonzero(free)[-max(1, round(n)) :]] = True
    return chosen


def zscore_bold(
    bold: np.ndarray, runs: np.ndarray, is_train: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """BOLD z-scored by run with the mean and deviation of training TRs alone.

    Parameters
    ----------
    bold : (n_subjects, n_trs, n_voxels)
        NaN where a TR was not scanned.
    runs : (n_trs,)
        Label of the run of each TR.
    is_train : (n_trs,) bool
        A run with fewer than 10 training TRs takes the scale of all training TRs of the subject.

    Returns
    -------
    scaled : (n_subjects, n_trs, n_voxels) float32
    has_signal : (n_voxels,) bool
        Voxels that vary in every subject's training TRs, by more than rounding (a millionth of
        their mean, or of the median voxel's deviation); the others are 0.
    """
    scaled = np.full_like(bold, np.nan, dtype=np.float32)
    has_signal = np.ones(bold.shape[-1], dtype=bool)
    others = runs_without_scale(runs, is_train)
    for subject, run in product(range(len(bold)), np.unique(runs)):  # a few copies of a brain
        here, brain = runs == run, bold[subject]
        source = is_train if str(run) in others else here & is_train
        mean, deviation = np.nanmean(brain[source], axis=0), np.nanstd(brain[source], axis=0)
        rounding = 1e-6 * np.maximum(np.abs(mean), np.median(deviation))
        has_signal &= ~(deviation <= rounding)  # True where nothing was scanned
        scaled[subject, here] = (brain[here] - mean) / np.where(deviation > 0, deviation, 1.0)
    scaled[..., ~has_signal] = np.where(np.isnan(scaled[..., ~has_signal]), np.nan, 0.0)
    return scaled, has_signal


def runs_without_scale(runs: np.ndarray, is_train: np.ndarray) -> list[str]:
    """Labels of the runs with too few training TRs to be z-scored by them; arguments as there.

    >>> runs_without_scale(np.repeat(["1", "2"], [20, 9]), np.ones(29, dtype=bool))
    ['2']
    """
    few = [run for run in np.unique(runs) if (is_train & (runs == run)).sum() < FEWEST_TRS]
    return [str(run) for run in few]


@dataclass(frozen=True)
class FilmData:
    """One dataset in memory: the film by TR, and the brains that saw it.

    film : modality → tensor (n_trs, …)
    bold : (n_subjects, n_trs, n_voxels) z-scored, NaN where not scanned; None without a scan
    part : (n_trs,) str
    run : (n_trs,) str, equal only where TRs follow each other in one run
    gap_trs : TRs that were left out between parts, at least
    scan_run : (n_trs,) str, the run by which BOLD was z-scored; ``run`` unless given
    presented : of many stimuli, when each TR was presented
    """

    film: "dict[str, torch.Tensor]"
    bold: "torch.Tensor | None"
    part: np.ndarray
    run: np.ndarray
    subjects: tuple[str, ...] = ()
    gap_trs: int = 1
    scan_run: np.ndarray | None = None
    presented: "Presentations | None" = None

    @property
    def scaled_by(self) -> np.ndarray:
        """Label (n_trs,) str of the run by which each TR of BOLD was z-scored."""
        return self.run if self.scan_run is None else self.scan_run

    def where(self, part: str) -> np.ndarray:
        """Indices of a part's TRs."""
        return np.flatnonzero(self.part == part)

    def slice(self, trs: np.ndarray) -> "FilmData":
        """These TRs alone."""
        return FilmData(
            {modality: values[trs] for modality, values in self.film.items()},
            None if self.bold is None else self.bold[:, trs],
            self.part[trs],
            self.run[trs],
            self.subjects,
            self.gap_trs,
            None if self.scan_run is None else self.scan_run[trs],
            None if self.presented is None else self.presented.slice(trs),
        )

    def first_scanned(self, among: np.ndarray, n_trs: int, subject: int) -> np.ndarray:
        """The ``n_trs`` of the TRs ``among`` (indices) that the subject was scanned in first.

        Sorted. Of a film those are its first; of many stimuli, by the subject's own scans.
        """
        if self.presented is None:
            return among[:n_trs]
        order = np.argsort(self.presented.ranks(subject)[among], kind="stable")
        return np.sort(among[order[:n_trs]])

    def penalty_folds(self, among: np.ndarray, subject: int | None = None) -> "Folds | None":
        """Folds of the TRs ``among`` (indices) that choose penalties: (train, test) TR indices.

        Of many stimuli, whole ones with a gap in the scans of ``subject``, or of everyone
        (`Presentations.folds`). None of a film and of a single stimulus: contiguous blocks are
        used.
        """
        return None if self.presented is None else self.presented.folds(among, subject)

    def stretches(self, part: str) -> list[np.ndarray]:
        """Indices of a part's TRs in unbroken stretches of one run each."""
        trs = self.where(part)
        breaks = (np.diff(trs) != 1) | (self.run[trs][1:] != self.run[trs][:-1])
        return [s for s in np.split(trs, np.flatnonzero(breaks) + 1) if len(s)]


def windows(data: FilmData, part: str, n_trs: int, step: int) -> list[np.ndarray]:
    """Overlapping windows of up to ``n_trs`` TRs in a row that lie wholly in ``part``.

    >>> parts = split_film(20, 1.5, SplitConfig(), has_bold=False)
    >>> data = FilmData({}, None, parts, np.repeat("1", 20))
    >>> [w.tolist() for w in windows(data, "train", n_trs=8, step=4)]
    [[0, 1, 2, 3, 4, 5, 6, 7], [4, 5, 6, 7, 8, 9, 10, 11]]
    """
    result = []
    for stretch in data.stretches(part):
        last = max(0, len(stretch) - n_trs)
        starts = sorted({*range(0, last + 1, step), last})
        result += [stretch[start : start + n_trs] for start in starts]
    return result


def check_no_overlap(data: FilmData, gap_trs: int = 1, window_trs: int = 40) -> None:
    """Check that training windows, validation windows and test TRs do not overlap.

    At least ``gap_trs`` TRs or ``data.gap_trs``, whichever is more, lie between them; none where
    ``data.gap_trs`` is 0: of many stimuli neighbouring TRs may be of other runs. Windows are
    those of ``window_trs`` TRs (``training.window_trs``), each half a window after the one before.

    Raises
    ------
    GibletError
        Training on what is tested would make every score worthless.
    """
    step = max(1, window_trs // 2)
    seen = {part: windows(data, part, window_trs, step) for part in ("train", "validation")}
    check_apart(
        seen | {"test": [data.where("test")]}, max(gap_trs, data.gap_trs) if data.gap_trs else 0
    )


def check_gap(gap_trs: int, has_stimuli: bool) -> None:
    """Check that a film's parts have a gap between them; of stimuli it lies in the runs.

    Raises GibletError.
    """
    if gap_trs < 1 and not has_stimuli:
        raise GibletError(
            "no gap between training and test TRs (gap_trs 0): neighbouring TRs are alike; run "
            "sync_align again"
        )


def check_apart(seen: Mapping[str, list[np.ndarray]], gap_trs: int) -> None:
    """Check that no TR is in two parts, and that ``gap_trs`` TRs or more lie between any two.

    ``seen``: part → indices of the TRs of each of its windows. Raises GibletError.

    >>> check_apart({"train": [np.arange(4), np.arange(2, 6)], "test": [np.arange(5, 9)]}, 2)
    Traceback (most recent call last):
        ...
    giblet.errors.GibletError: train and test share 1 TRs, the first is TR 5
    """
    trs = {part: np.unique(np.concatenate(w)) for part, w in seen.items() if sum(map(len, w))}
    for (one, a), (other, b) in combinations(trs.items(), 2):
        shared = np.intersect1d(a, b)
        if len(shared):
            raise GibletError(
                f"{one} and {other} share {len(shared)} TRs, the first is TR {shared[0]}"
            )
        if near(np.isin(np.arange(max(a[-1], b[-1]) + 1), a), gap_trs)[b].any():
            raise GibletError(f"{one} and {other} TRs are nearer than {gap_trs} TRs")
