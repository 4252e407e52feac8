"""A new person's calibration curve: scores after some minutes of that person's data.

Decoder and encoder are those of other people, in their common space; the person's minutes give the
transform into it. Beside them stand models of the person alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from giblet.alignment.dataset import FilmData, runs_without_scale, zscore_bold
from giblet.alignment.voxels import Regions, voxels_to_read
from giblet.audio.metrics.table import metric_of
from giblet.config.sections import DecodingConfig, ScanConfig
from giblet.evaluation.decoding import decode_subject, lags_in_trs
from giblet.evaluation.group_decoding import DecoderOfOthers
from giblet.evaluation.held_out import HeldOut
from giblet.evaluation.moments import BRAIN
from giblet.evaluation.nulls import null_shifts
from giblet.log import progress
from giblet.stats.common_space import FEWEST_TRS
from giblet.stats.pearson import correlation
from giblet.stats.ridge import Folds, folds_within, ridge_encoding
from giblet.timing import acquisition_times, trs_for

EVERYONE = "all"
COLUMNS = ["path", "alignment", "subject", "minutes", "metric", "value", "shuffled", "alone"]
COLUMNS += ["full", "share", "scale"]
MINUTES, TRAINING = "minutes", "training"  # what voxels are z-scored by
_N_SHIFTS = 20


@dataclass(frozen=True)
class Codes:
    """The bottleneck of each TR, (n_trs, bottleneck_dim), and the same through the HRF."""

    code: np.ndarray
    blurred: np.ndarray


def calibration_rows(
    codes: Codes,
    data: FilmData,
    t_r: float,
    decoding: DecodingConfig,
    scan: ScanConfig,
    minutes: Sequence[float],
    seed: int,
    regions: Regions | None = None,
) -> list[dict]:
    """Rows ``subject minutes metric value shuffled alone full share scale``, last those of ``all``.

    Each subject in turn is new, and the others make the common space of ``scan.alignment``.
    ``value``: by models of the others and a transform that is fitted to the first ``minutes`` of
    the subject's training TRs, in the order of the subject's scans; ``shuffled``: mean over
    circular shifts of what was predicted; ``alone``: by models of these minutes without the others;
    ``full``: by models of all training TRs of the subject; ``share``: ``value`` over ``full``, both
    minus chance, NaN where ``full`` is at chance or below. Minutes that there are not are left out,
    and the last are all that there are. ``bold_r_reliable`` is of the voxels that are read.
    ``data`` has two subjects or more. Voxels are z-scored by the person's first minutes: ``scale``
    is ``minutes``. It is ``training`` where a run has fewer than 10 TRs in them. That run keeps its
    scale relative to the other runs, which is that of all training TRs (``data.bold``).
    So it is where people heard stimuli in other runs, or BOLD is a mean over repeats.
    """
    train, rows = data.where("train"), []
    amounts = training_amounts(len(train), t_r, minutes)
    bold = data.bold.numpy()
    for n, subject in enumerate(progress(data.subjects, "calibrating", "subjects")):
        others = np.delete(bold, n, axis=0)
        read = voxels_to_read(others[:, train], decoding, regions)
        voxels = (others[..., read], bold[n][:, read])
        new = _NewPerson(codes, data, t_r, decoding, *voxels, seed, n)
        rows += [{"subject": subject} | row for row in new.rows(amounts, scan)]
    scales = {one: _scale(data, n_trs) for one, n_trs in amounts.items()}
    return [row | {"scale": scales[row["minutes"]]} for row in [*rows, *_means(rows)]]


def _scale(data: FilmData, n_trs: int) -> str:
    """Whether the first training TRs alone give the scale of every run, in everyone, or all
    training TRs do."""
    train, used = data.where("train"), np.isin(data.part, ("train", "test"))
    if n_trs == len(train):
        return MINUTES
    if data.presented is not None and not data.presented.is_scaled_by_run:
        return TRAINING
    for subject in range(len(data.bold)):
        seen = data.first_scanned(train, n_trs, subject)
        is_seen = np.isin(np.arange(len(data.part)), seen)
        if runs_without_scale(data.scaled_by[used], is_seen[used]):
            return TRAINING
    return MINUTES


def training_amounts(n_train: int, t_r: float, minutes: Sequence[float]) -> dict[float, int]:
    """Minutes → training TRs of them, up to all that there are.

    >>> training_amounts(208, 1.5, [2, 5, 10])
    {2: 80, 5: 200, 5.2: 208}
    """
    amounts = {one: trs_for(60 * one, t_r) for one in sorted(minutes)}
    amounts = {one: n for one, n in amounts.items() if FEWEST_TRS <= n < n_train}
    return amounts | {round(float(acquisition_times(n_train + 1, t_r)[-1]) / 60, 2): n_train}


def calibration_table(path: str, alignment: str, rows: list[dict]) -> pd.DataFrame:
    """Rows of `calibration_rows` as a table with the columns ``COLUMNS``."""
    return pd.DataFrame(rows).assign(path=path, alignment=alignment).reindex(columns=COLUMNS)


class _NewPerson:
    """One subject, and the others; both in the voxels that are read."""

    def __init__(
        self,
        codes: Codes,
        data: FilmData,
        t_r: float,
        decoding: DecodingConfig,
        others: np.ndarray,
        own: np.ndarray,
        seed: int,
        subject: int,
    ):
        self.codes, self.data, self.others, self.own = codes, data, others, own
        self.train, self.test = data.where("train"), data.where("test")
        self.lags, self.subject = lags_in_trs(t_r, decoding), subject
        clip_trs = trs_for(decoding.clip_seconds, t_r)
        self.held_out = HeldOut(codes.code, data, np.zeros(0), 1.0, clip_trs)
        self.shifts = null_shifts(len(self.test), t_r, seed, _N_SHIFTS)
        self.folds: dict[int, Folds | None] = {}

    def rows(self, amounts: dict[float, int], scan: ScanConfig) -> Iterator[dict]:
        run, code = self.data.run, self.codes.code
        folds = self.data.penalty_folds(self.train)
        decoder = DecoderOfOthers.fit(self.others, run, code, self.train, self.lags, scan, folds)
        space = decoder.space
        response = np.zeros((len(code), space.template.shape[1]))  # of the others, in training TRs
        response[self.train] = space.template
        expected = ridge_encoding(self.codes.blurred, response, self.train, self.test, folds)
        full = self._alone(len(self.train))
        for minutes, n_trs in amounts.items():
            own = self._scaled(n_trs)
            seen = own[self.train].copy()
            seen[~np.isin(self.train, self._first(n_trs))] = np.nan
            person = space.join(seen, folds_within(self._folds(n_trs), self.train))
            decoded = decoder.decode(person, own, run, self.test)
            predicted = person.to_voxels(expected)
            value, alone = self._scores(decoded, predicted), self._alone(n_trs)
            shuffled = self._shuffled(decoded, predicted)
            for metric in value:
                yield {
                    "minutes": minutes,
                    "metric": metric,
                    "value": value[metric],
                    "shuffled": shuffled[metric],
                    "alone": alone[metric],
                    "full": full[metric],
                    "share": _share(value[metric], full[metric], metric),
                }

    def _first(self, n_trs: int) -> np.ndarray:
        """The ``n_trs`` training TRs in which the subject was scanned first."""
        return self.data.first_scanned(self.train, n_trs, self.subject)

    def _folds(self, n_trs: int) -> Folds | None:
        """Folds of the first ``n_trs`` training TRs, as of `FilmData.penalty_folds`."""
        if n_trs not in self.folds:
            self.folds[n_trs] = self.data.penalty_folds(self._first(n_trs), self.subject)
        return self.folds[n_trs]

    def _scaled(self, n_trs: int) -> np.ndarray:
        """BOLD z-scored by the first ``n_trs`` training TRs alone: (n_trs, n_voxels)."""
        seen = np.isin(np.arange(len(self.own)), self._first(n_trs))
        return zscore_bold(self.own[None], self.data.scaled_by, seen)[0][0]

    def _alone(self, n_trs: int) -> dict[str, float]:
        """Scores by models of the subject's own first ``n_trs`` training TRs.

        Identification compares codes minus the mean of all training TRs. What ridge adds, the mean
        of its own TRs, is replaced by that: the film is known, only the brain is not.
        """
        own, train = self._scaled(n_trs), self._first(n_trs)
        folds = self._folds(n_trs)
        code, parts = self.codes.code, (train, self.test, self.lags, folds)
        decoded = decode_subject(own, self.data.run, code, *parts)[BRAIN]
        decoded = decoded + code[self.train].mean(axis=0) - code[train].mean(axis=0)
        predicted = ridge_encoding(self.codes.blurred, own, train, self.test, folds)
        return self._scores(decoded, predicted)

    def _scores(self, decoded: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
        scores = self.held_out.bottleneck_scores(decoded)
        r = correlation(predicted, self.own[self.test])
        means = {metric: float(np.nanmean(one)) for metric, one in scores.items()}
        return {"bold_r_reliable": float(np.nanmean(r))} | means

    def _shuffled(self, decoded: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
        rolled = [
            self._scores(*(np.roll(x, k, 0) for x in (decoded, predicted))) for k in self.shifts
        ]
        names = rolled[0] if rolled else self._scores(decoded, predicted)
        return {n: float(np.mean([one[n] for one in rolled])) if rolled else np.nan for n in names}


def _share(value: float, full: float, metric: str) -> float:
    """Share of what the whole data give above chance; NaN where they give nothing above it.

    >>> round(_share(0.3, 0.5, "identification_10way"), 6)  # chance is .1
    0.5
    """
    chance = metric_of(metric).chance or 0.0
    return (value - chance) / (full - chance) if full > chance else np.nan


def _means(rows: list[dict]) -> Iterator[dict]:
    """Means over subjects; the share is that of the means."""
    table = pd.DataFrame(rows).drop(columns=["subject", "share"])
    means = table.groupby(["minutes", "metric"], sort=False).mean().reset_index()
    for row in means.to_dict("records"):
        yield (
            {"subject": EVERYONE}
            | row
            | {"share": _share(row["value"], row["full"], row["metric"])}
        )
