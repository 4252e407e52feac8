"""What a model is trained on: aligned TRs, parts that never touch, scaled BOLD."""

from dataclasses import dataclass

import numpy as np
import torch

from giblet.checks import GibletError
from giblet.settings import SplitConfig
from giblet.timing import trs_for

PARTS = ("train", "validation", "test")


def split_film(n_trs: int, t_r: float, splits: SplitConfig, has_bold: bool) -> np.ndarray:
    """The part each TR belongs to, shape (n_trs,) str: train, validation, test or gap.

    The film's end is the test part, the stretch before it the validation part; between parts
    lies a gap of ``gap_seconds`` (one TR where there is no BOLD), because neighbouring TRs are
    alike and the HRF smears each over the next half minute. The parts are the same film seconds
    for every subject.

    Raises
    ------
    GibletError
        The film is too short for three parts.

    >>> parts = split_film(20, 1.5, SplitConfig(), has_bold=False)
    >>> [int((parts == p).sum()) for p in ("train", "validation", "test", "gap")]
    [12, 2, 4, 2]
    """
    gap = trs_for(splits.gap_seconds, t_r) if has_bold else 1
    n_test = max(1, round(splits.test * n_trs))
    n_validation = max(1, round(splits.validation * n_trs))
    n_train = n_trs - n_test - n_validation - 2 * gap
    if n_train < 2:
        raise GibletError(
            f"{n_trs} TRs are too few: {n_test} to test, {n_validation} to validate and two gaps "
            f"of {gap} leave {n_train} to train on. Use a longer film or a smaller splits.* share"
        )
    lengths = (n_train, gap, n_validation, gap, n_test)
    return np.repeat(("train", "gap", "validation", "gap", "test"), lengths)


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
        A run without training TRs takes the scale of all training TRs.

    Returns
    -------
    scaled : (n_subjects, n_trs, n_voxels) float32
    has_signal : (n_voxels,) bool
        Voxels that vary in every subject's training TRs; the others are 0.
    """
    scaled = np.full_like(bold, np.nan, dtype=np.float32)
    has_signal = np.ones(bold.shape[-1], dtype=bool)
    for run in np.unique(runs):
        here = runs == run
        source = here & is_train if (here & is_train).any() else is_train
        mean = np.nanmean(bold[:, source], axis=1, keepdims=True)
        deviation = np.nanstd(bold[:, source], axis=1, keepdims=True)
        constant = deviation <= 1e-6 * np.nanmax(np.abs(mean))  # False where nothing was scanned
        has_signal &= ~constant.any(axis=(0, 1))
        scaled[:, here] = (bold[:, here] - mean) / np.where(deviation > 0, deviation, 1.0)
    scaled[..., ~has_signal] = np.where(np.isnan(scaled[..., ~has_signal]), np.nan, 0.0)
    return scaled, has_signal


@dataclass(frozen=True)
class FilmData:
    """One dataset in memory: the film by TR, and the brains that saw it.

    film : modality → tensor (n_trs, …)
    bold : (n_subjects, n_trs, n_voxels) z-scored, NaN where not scanned; None without a scan
    part, run : (n_trs,) str
    """

    film: dict[str, torch.Tensor]
    bold: torch.Tensor | None
    part: np.ndarray
    run: np.ndarray
    subjects: tuple[str, ...] = ()

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
        )

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
    found = []
    for stretch in data.stretches(part):
        last = max(0, len(stretch) - n_trs)
        starts = sorted({*range(0, last + 1, step), last})
        found += [stretch[start : start + n_trs] for start in starts]
    return found


def check_no_overlap(data: FilmData, gap_trs: int) -> None:
    """Prove that between any two parts lie ``gap_trs`` TRs or more.

    Raises
    ------
    GibletError
        Training on what is tested would make every score worthless.
    """
    for i, one in enumerate(PARTS):
        for other in PARTS[i + 1 :]:
            a, b = data.where(one), data.where(other)
            if len(a) and len(b) and np.abs(a[:, None] - b[None]).min() <= gap_trs:
                raise GibletError(f"{one} and {other} TRs are nearer than {gap_trs} TRs")
