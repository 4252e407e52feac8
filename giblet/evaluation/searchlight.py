"""Where in the brain the sound is: clips identified from every region, parcel or sphere of voxels.

Each place has its own ridge, from its lagged BOLD to the bottleneck, fitted to
training TRs. Held-out clips are identified among ten. p-values come from circular shifts of what
was decoded, forwards and backwards in time, so nulls keep its autocorrelation. They are the same
for all places of a kind, so that the maximum over places corrects for their number.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import xarray as xr

from giblet.alignment.dataset import FilmData
from giblet.audio.metrics.identify import clip_length, identification_shares, join_clips
from giblet.audio.metrics.table import METRICS
from giblet.config.regions import SearchlightConfig
from giblet.config.sections import DecodingConfig, ScanConfig
from giblet.errors import GibletError
from giblet.evaluation.brain_scores import held_out_stretches
from giblet.evaluation.decoding import lagged, lags_in_trs
from giblet.evaluation.group_decoding import mean_person
from giblet.evaluation.moments import BRAIN, GROUP, mean_over, score_row
from giblet.io.tables import join_values
from giblet.log import progress
from giblet.stats.group_maps import null_maps
from giblet.stats.permutation import among_nulls
from giblet.stats.ridge import Folds, fit_ridge, folds_within
from giblet.timing import trs_for

logger = logging.getLogger(__name__)

METRIC = "identification_10way"
REGION, PARCEL, SPHERE = "region", "parcel", "sphere"
COLUMNS = ["path", "kind", "place", "voxel", "n_voxels", "column", "metric", "value", "low", "high"]
COLUMNS += ["p", "p_max", "n_clips", "n_places", "by_subject"]
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Places:
    """Sets of voxels of one kind, over which p-values are corrected.

    kind : ``REGION``, ``PARCEL``, ``SPHERE``
    members : name → its voxels, indices (n_members,)
    centres : name → the voxel in the middle of a sphere, or the parcel's column; empty for regions
    """

    kind: str
    members: Mapping[str, np.ndarray]
    centres: Mapping[str, int]


def find_places(
    aligned: xr.Dataset, regions: Mapping[str, np.ndarray], config: SearchlightConfig
) -> list[Places]:
    """The regions, and every parcel, or a sphere around every voxel with ``x``, ``y``, ``z``.

    ``regions``: name → (n_voxels,) bool, of a label image; empty for none. Places of fewer than
    ``config.fewest_voxels`` are left out, but for parcels. GibletError where nothing is left.
    """
    found = []
    large = {n: np.flatnonzero(v) for n, v in regions.items() if v.sum() >= config.fewest_voxels}
    if large:
        found.append(Places(REGION, large, {}))
    if "parcel" in aligned.coords:
        names = aligned["parcel"].values.astype(str).tolist()
        columns = {name: np.flatnonzero(np.array(names) == name) for name in dict.fromkeys(names)}
        first = {name: int(voxels[0]) for name, voxels in columns.items()}
        found.append(Places(PARCEL, columns, first))
    elif {"x", "y", "z"} <= set(aligned.coords):
        coordinates = np.column_stack([aligned[axis].values for axis in "xyz"])
        balls = spheres(coordinates, config.radius_mm)
        kept = {str(n): b for n, b in enumerate(balls) if len(b) >= config.fewest_voxels}
        if kept:
            found.append(Places(SPHERE, kept, {name: int(name) for name in kept}))
    if not found:
        raise GibletError(
            f"searchlight: no region, and no sphere of {config.radius_mm:g} mm, has "
            f"{config.fewest_voxels} voxels that are read, and the scans are no parcels: name "
            "lesion.regions, or a larger searchlight.radius_mm"
        )
    return found


def spheres(coordinates: np.ndarray, radius_mm: float) -> list[np.ndarray]:
    """Voxels within ``radius_mm`` of each voxel: indices in order, the voxel itself included.

    >>> spheres(np.array([[0.0, 0, 0], [3, 0, 0], [9, 0, 0]]), 5.0)[1].tolist()
    [0, 1]
    """
    from scipy.spatial import cKDTree

    near = cKDTree(coordinates).query_ball_point(coordinates, radius_mm, return_sorted=True)
    return [np.asarray(voxels) for voxels in near]


def searchlight(
    code: np.ndarray,
    data: FilmData,
    places: Sequence[Places],
    t_r: float,
    decoding: DecodingConfig,
    config: SearchlightConfig,
    scan: ScanConfig,
    seed: int,
) -> list[dict]:
    """Rows ``kind place voxel n_voxels column metric value low high p p_max n_clips n_places
    by_subject``.

    ``column``: ``brain``, the mean over subjects who are decoded one by one; ``brain_group``, all
    of them together in the common space of ``scan``, with two subjects or more. ``value``: clips
    identified among ten; its 95 % interval is of a bootstrap of clips. ``p`` and ``p_max``,
    family-wise over the places of the kind, are of up to ``decoding.n_permutations`` circular
    shifts; NaN for a place that decodes all clips alike. ``code`` (n_trs, bottleneck_dim), of which
    the first ``config.n_components`` principal components in training TRs are decoded. Memory holds
    shifts × places, not clips². ``by_subject`` has the values of single subjects in a text
    (`giblet.io.tables.split_values`), empty for ``brain_group`` and for spheres.

    Raises
    ------
    GibletError
        No BOLD; fewer than ten held-out clips.
    """
    if data.bold is None:
        raise GibletError("searchlight needs a scan: there is no BOLD beside this film")
    clips = _Clips(leading_components(code, data.where("train"), config.n_components), data)
    clip_trs = trs_for(decoding.clip_seconds, t_r)
    truth, n_way = clips.joined(clips.code[clips.test], clip_trs), METRICS[METRIC].n_way
    if len(truth) < n_way:
        length = clip_length(decoding.clip_seconds, t_r)
        raise GibletError(
            f"searchlight: the test part has {len(truth)} clips of {length:g} s, and "
            f"identification among {n_way} needs {n_way}: hold out more, or take a shorter "
            "decoding.clip_seconds"
        )
    lags, rows = lags_in_trs(t_r, decoding), []
    shifts = _Shifts.of(len(truth), clip_trs, decoding.n_permutations, seed)
    for kind in places:
        columns = [BRAIN] + [GROUP] * (len(data.bold) > 1)
        found: dict[str, list] = {column: [] for column in columns}
        for voxels in progress([*kind.members.values()], "decoding", f"{kind.kind}s"):
            for column, people in _people(data.bold.numpy()[..., voxels], clips, scan):
                decoded = [*clips.decoded(people, lags)]

                def shares(order: np.ndarray, decoded=decoded) -> np.ndarray:
                    each = (clips.joined(trs[order], clip_trs) for trs in decoded)
                    return mean_over(
                        np.stack([identification_shares(e, truth, n_way) for e in each])
                    )

                own, nulls = shifts.place(shares, len(decoded[0]))
                single = []
                if column == BRAIN and kind.kind != SPHERE:
                    guesses = [clips.joined(trs, clip_trs) for trs in decoded]
                    single = [
                        _mean(identification_shares(one, truth, n_way).diagonal())
                        for one in guesses
                    ]
                found[column].append((own, nulls, join_values(single)))
        for column, each in found.items():
            rows += _rows(kind, column, each, seed)
    return rows


def searchlight_table(path: str, rows: list[dict]) -> pd.DataFrame:
    """Rows of `searchlight` as a table with the columns ``COLUMNS``."""
    return pd.DataFrame(rows).assign(path=path).reindex(columns=COLUMNS)


def leading_components(code: np.ndarray, train: np.ndarray, n_components: int) -> np.ndarray:
    """The first principal components of training TRs, of all TRs: (n_trs, n_components).

    ``code`` (n_trs, n_features). Components that do not vary are left out.
    """
    centred = code.astype(np.float64) - code[train].mean(axis=0)
    _, sizes, axes = np.linalg.svd(centred[train], full_matrices=False)
    varying = int((sizes > 1e-6 * np.abs(code).max()).sum())
    if not varying:
        raise GibletError("searchlight: the bottleneck is the same in all training TRs")
    return centred @ axes[: min(n_components, varying)].T


@dataclass(frozen=True)
class _Clips:
    """Components of the bottleneck (n_trs, n_components), whose held-out clips are identified."""

    code: np.ndarray
    data: FilmData

    @property
    def train(self) -> np.ndarray:
        return self.data.where("train")

    @property
    def test(self) -> np.ndarray:
        return self.data.where("test")

    @cached_property
    def folds(self) -> list[Folds | None]:
        """Of each subject, and last of all together."""
        subjects = range(len(self.data.bold))
        folds = [self.data.penalty_folds(self.train, subject) for subject in subjects]
        return [folds_within(one, self.train) for one in [*folds, self.folds_of_all]]

    @cached_property
    def folds_of_all(self) -> Folds | None:
        """Of TR indices, in everyone's scans."""
        return self.data.penalty_folds(self.train)

    def joined(self, trs: np.ndarray, clip_trs: int) -> np.ndarray:
        return join_clips(trs, held_out_stretches(self.data), clip_trs)

    def decoded(self, people: Sequence[np.ndarray], lags: range) -> Iterator[np.ndarray]:
        """Test TRs decoded from the BOLD (n_trs, n_voxels) of each of ``people``."""
        of_person = self.folds if len(people) > 1 else self.folds[-1:]
        for bold, folds in zip(people, of_person, strict=False):
            x = lagged(bold, self.data.run, lags)
            ridge = fit_ridge(x[self.train], self.code[self.train], folds)
            yield ridge.predict(x[self.test])


def _people(
    bold: np.ndarray, clips: _Clips, scan: ScanConfig
) -> Iterator[tuple[str, Sequence[np.ndarray]]]:
    """Whom each column decodes: ``bold`` (n_subjects, n_trs, n_voxels) one by one, or their mean in
    the common space."""
    yield BRAIN, bold
    if len(bold) > 1:
        yield GROUP, [mean_person(bold, clips.train, scan, clips.folds_of_all)]


@dataclass(frozen=True)
class _Shifts:
    """Circular shifts of the decoded test TRs, forwards and backwards, as nulls.

    starts : (n_starts,) TRs from 0 to less than a clip, by which TRs are shifted
    chosen : (n_shifts,) of the shifts by start, direction and whole clips; never the first, of 0
    """

    starts: np.ndarray
    chosen: np.ndarray

    @classmethod
    def of(cls, n_clips: int, clip_trs: int, n_most: int, seed: int) -> "_Shifts":
        """At most ``n_most``, in random order; as few starts as give so many."""
        n_starts = min(clip_trs, -(-n_most // (2 * n_clips)))
        shifts = np.arange(1, 2 * n_starts * n_clips)
        chosen = np.random.default_rng(seed).permutation(shifts)[:n_most]
        return cls(np.arange(n_starts) * clip_trs // n_starts, chosen)

    def place(
        self, shares: Callable[[np.ndarray], np.ndarray], n_trs: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores (n_clips,) of a place, and its mean under each shift, (n_shifts,).

        ``shares``: order of the decoded TRs (n_trs,) → (n_clips, n_clips) of
        `identification_shares`; NaN, of what is not decoded, is left out.
        """
        forwards = np.arange(n_trs)
        orders = [np.roll(trs, n) for trs in (forwards, forwards[::-1]) for n in self.starts]
        all_shares = [shares(order) for order in orders]
        own = all_shares[0].diagonal().copy()
        if np.isnan(own).all():
            return own, np.full(len(self.chosen), np.nan)
        at = np.arange(len(own))
        nulls = [np.nanmean(s[np.roll(at, k), at]) for s in all_shares for k in at]
        return own, np.array(nulls)[self.chosen]


def _rows(kind: Places, column: str, each: list, seed: int) -> Iterator[dict]:
    scores = np.stack([one for one, _, _ in each])  # (n_places, n_clips)
    nulls = np.stack([null for _, null, _ in each], axis=1)  # (n_shifts, n_places)
    chance = METRICS[METRIC].chance or 0.0
    observed = np.array([_mean(one) for one in scores])
    alike = np.ptp(nulls, axis=0) < _ROUNDING  # decodes all clips alike: not tested
    p = np.where(alike, np.nan, among_nulls(observed, nulls).p)
    nulls[:, alike] = np.nan
    p_max = null_maps(observed - chance, nulls - chance).p_max
    for n, (name, voxels) in enumerate(kind.members.items()):
        row = {"kind": kind.kind, "place": name, "voxel": kind.centres.get(name, -1)}
        row |= {"n_voxels": len(voxels)} | score_row(column, METRIC, scores[n], seed)
        row |= {"p": p[n], "p_max": p_max[n], "n_clips": scores.shape[1]}
        yield row | {"n_places": int(np.isfinite(p_max).sum()), "by_subject": each[n][2]}


def _mean(scores: np.ndarray) -> float:
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else np.nan
