"""Leave-one-subject-out decoding: scores of subjects that the network was not trained on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from giblet.alignment.aligned import film_data
from giblet.alignment.dataset import FilmData
from giblet.alignment.voxels import Regions, reliable_voxels, voxels_to_read
from giblet.audio.metrics.table import TRS, metric_of
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.inference import blurred_bottlenecks, bottlenecks
from giblet.config.sections import DecodingConfig, ScanConfig
from giblet.errors import GibletError
from giblet.evaluation.decoding import decode_subject, lags_in_trs
from giblet.evaluation.group_decoding import decode_from_others
from giblet.evaluation.held_out import HeldOut, Scores, correlation_by_tr
from giblet.evaluation.lesions import paired_change
from giblet.evaluation.moments import mean_over
from giblet.evaluation.nulls import null_shifts
from giblet.log import progress
from giblet.stats.ridge import Folds, ridge_encoding
from giblet.timing import trs_for

EVERYONE = "all"


@dataclass(frozen=True)
class Readout:
    """One way to decode a subject: a network, the film as its input, and voxels (indices).

    ``reliable``: the voxels of ``bold_r_reliable``; ``read``: those that are decoded from.
    """

    autoencoder: Autoencoder
    film: FilmData
    reliable: np.ndarray
    read: np.ndarray


def leave_one_out(
    aligned: xr.Dataset,
    everyones: Autoencoder,
    train: Callable[[xr.Dataset, str], Autoencoder],
    decoding: DecodingConfig,
    seed: int,
    regions: Regions | None = None,
    scan: ScanConfig | None = None,
) -> list[dict]:
    """Rows ``subject metric within left_out shuffled difference low high``, last those of ``all``,
    and ``others others_shuffled``.

    ``within``: by ``everyones`` network; ``left_out``: by one that was trained without the subject.
    Both fit ridge to the subject's own training TRs, and are scored on its test TRs. ``others``:
    ``left_out`` with ridge that is fitted to the other subjects, in the common space of
    ``scan.alignment``; NaN for BOLD, which it does not predict.

    Parameters
    ----------
    train
        ``train(others, subject)`` returns a network trained on ``others``: ``aligned`` without
        ``subject``.
    regions : region → (n_voxels,) bool
        For ``decoding.region``.

    Raises
    ------
    GibletError
        No scan, or fewer than two subjects.
    """
    check_subjects(aligned)
    t_r, bold = aligned.attrs["t_r"], film_data(aligned).bold.numpy()
    scan = scan or ScanConfig()
    within, scored = make_readout(everyones, aligned, decoding, regions), []
    subjects = aligned["subject"].values.astype(str).tolist()
    fitted_to, film = within.film.where("train"), within.film
    everyones_folds = film.penalty_folds(fitted_to)
    for n, subject in enumerate(progress(subjects, "training", "subjects")):
        own, folds = bold[n], film.penalty_folds(fitted_to, n)
        others = aligned.drop_sel(subject=subject)
        left_out = make_readout(train(others, subject), others, decoding, regions)
        in_training, _none = subject_scores(within, own, t_r, decoding, seed, 0, folds)
        alone = subject_scores(left_out, own, t_r, decoding, seed, folds=folds)
        options = (t_r, decoding, scan, seed)
        by_others = others_scores(left_out, own, *options, folds=everyones_folds)
        scored.append((subject, in_training, *alone, *by_others))
    clip_trs = trs_for(decoding.clip_seconds, t_r)
    each = [(subject, [scores]) for subject, *scores in scored]
    together = (EVERYONE, [scores for _subject, *scores in scored])
    return [row for one in (*each, together) for row in compare(*one, clip_trs, seed)]


def check_subjects(aligned: xr.Dataset, needed_by: str = "leave_one_out") -> None:
    """GibletError where there are fewer than two subjects."""
    if "bold" not in aligned:
        raise GibletError(f"{needed_by} needs scans of two subjects or more, and there is none")
    if aligned.sizes["subject"] < 2:
        (subject,) = aligned["subject"].values.astype(str)
        raise GibletError(f"{needed_by} needs two subjects or more, and there is {subject} alone")


def selection_warnings(aligned: xr.Dataset) -> list[str]:
    """A warning where `giblet.alignment.voxels.voxels_to_keep` chose voxels with everybody's BOLD.

    >>> aligned = xr.Dataset(coords={"column": ("voxel", [3, 5])}, attrs={"n_columns": 9})
    >>> selection_warnings(aligned)[0].partition(":")[0]
    'max_voxels'
    >>> selection_warnings(aligned.assign_attrs(n_columns=2))
    []
    """
    n_kept, n_columns = aligned.sizes["voxel"], int(aligned.attrs.get("n_columns", 0))
    if n_kept >= n_columns:
        return []
    return [
        f"max_voxels: the BOLD of subjects who are left out helped to choose the {n_kept:,} of "
        f"{n_columns:,} voxels (ISC in training TRs), so their scores are optimistic"
    ]


def make_readout(
    autoencoder: Autoencoder,
    aligned: xr.Dataset,
    decoding: DecodingConfig,
    regions: Regions | None = None,
) -> Readout:
    """The readout of a network; voxels are chosen by training TRs of the subjects in ``aligned``.

    One subject has no ISC: then all voxels are reliable, and all are decoded from.
    """
    film = film_data(aligned, autoencoder.config.hrf_placement == "inputs")
    bold = film.bold[:, film.where("train")].numpy()
    read = voxels_to_read(bold, decoding, regions)
    return Readout(autoencoder, film, reliable_voxels(bold), read)


def subject_scores(
    readout: Readout,
    bold: np.ndarray,
    t_r: float,
    decoding: DecodingConfig,
    seed: int = 0,
    n_shifts: int = 20,
    folds: Folds | None = None,
) -> tuple[Scores, Scores]:
    """One subject's scores by metric, (n_moments,) each, and those of shuffled BOLD.

    Those are means over up to ``n_shifts`` circular shifts (`null_shifts`) of what was predicted.
    ``bold`` (n_trs, n_voxels) z-scored. ``bold_r``: BOLD by ridge from the HRF-blurred bottleneck;
    the others: the bottleneck by ridge from lagged BOLD. Both are fitted on training TRs, of which
    ``folds`` choose penalties (`FilmData.penalty_folds`).
    """
    film, model = readout.film, readout.autoencoder
    train, test, code = film.where("train"), film.where("test"), bottlenecks(model, film)
    blurred = blurred_bottlenecks(model, code, film.run)
    predicted = ridge_encoding(blurred, bold, train, test, folds)
    lags = lags_in_trs(t_r, decoding)
    decoded = decode_subject(bold[:, readout.read], film.run, code, train, test, lags, folds)
    clip_trs = trs_for(decoding.clip_seconds, t_r)
    held_out = HeldOut(code, film, np.zeros(0), 1.0, clip_trs)  # sounds are not scored

    def scores(predicted: np.ndarray, decoded: np.ndarray) -> Scores:
        voxels = {"bold_r": slice(None), "bold_r_reliable": readout.reliable}
        pairs = {name: (predicted[:, v], bold[test][:, v]) for name, v in voxels.items()}
        r = {name: correlation_by_tr(*pair) for name, pair in pairs.items()}
        return r | held_out.bottleneck_scores(decoded)

    both = (predicted, decoded["brain"])
    shifts = null_shifts(len(test), t_r, seed, n_shifts)
    null = [scores(*(np.roll(series, k, axis=0) for series in both)) for k in shifts]
    return _with_null(scores(*both), null)


def others_scores(
    readout: Readout,
    bold: np.ndarray,
    t_r: float,
    decoding: DecodingConfig,
    scan: ScanConfig,
    seed: int = 0,
    n_shifts: int = 20,
    folds: Folds | None = None,
) -> tuple[Scores, Scores]:
    """As `subject_scores`, of bottlenecks decoded by ridge of the subjects of ``readout``.

    One's own training TRs give the transform into their common space, nothing else.
    """
    film, read = readout.film, readout.read
    train, test, code = (
        film.where("train"),
        film.where("test"),
        bottlenecks(readout.autoencoder, film),
    )
    others, lags = film.bold.numpy()[..., read], lags_in_trs(t_r, decoding)
    parts = (film.run, code, train, test, lags, scan, folds)
    decoded = decode_from_others(others, bold[:, read], *parts)
    held_out = HeldOut(code, film, np.zeros(0), 1.0, trs_for(decoding.clip_seconds, t_r))
    shifts = null_shifts(len(test), t_r, seed, n_shifts)
    null = [held_out.bottleneck_scores(np.roll(decoded, k, axis=0)) for k in shifts]
    return _with_null(held_out.bottleneck_scores(decoded), null)


def _with_null(true: Scores, null: Sequence[Scores]) -> tuple[Scores, Scores]:
    """Scores, and the mean of those of its shifts; NaN where there are none."""
    null = null or [{metric: np.full_like(one, np.nan) for metric, one in true.items()}]
    return true, {metric: mean_over(np.stack([one[metric] for one in null])) for metric in true}


def compare(
    subject: str, scored: Sequence[Sequence[Scores]], clip_trs: int, seed: int
) -> Iterator[dict]:
    """Rows of one subject, or of several as one.

    ``scored``: for each of them scores ``within``, ``left_out``, ``shuffled``, ``others`` and
    ``others_shuffled``, the last two without some metrics. The interval is
    of the difference, by a bootstrap of moments: it does not generalise to other subjects.
    """
    for metric in scored[0][0]:
        kinds = [
            [scores[metric] for scores in kind if metric in scores]
            for kind in zip(*scored, strict=True)
        ]
        within, left_out, shuffled = map(np.stack, kinds[:3])
        by_others = [float(np.nanmean(kind)) if kind else np.nan for kind in kinds[3:]]
        change = paired_change(
            left_out, within, clip_trs if metric_of(metric).moment == TRS else 1, seed
        )
        yield {
            "subject": subject,
            "metric": metric,
            "within": change["intact"],
            "left_out": change["value"],
            "shuffled": float(np.nanmean(shuffled)),
            "difference": change["change"],
            "low": change["low"],
            "high": change["high"],
            "others": by_others[0],
            "others_shuffled": by_others[1],
        }
