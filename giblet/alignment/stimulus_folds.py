"""Folds of many stimuli: which stimuli belong together, and which TRs were scanned near others."""

from collections.abc import Iterable, Sequence

import numpy as np
import xarray as xr

from giblet.alignment.showings import run_order, run_volumes
from giblet.brain.stimulus_clock import StimulusClock
from giblet.errors import GibletError
from giblet.stats.cross_validation import near, run_labels

_SHOWN = 3  # names in a line
_N_FOLDS = 5  # of stimuli that are all in one run


class TooFewStimuli(GibletError):
    """There are fewer groups of stimuli than folds."""


def stimulus_folds(
    shown: np.ndarray,
    stimulus: np.ndarray,
    runs: np.ndarray,
    clock: StimulusClock,
    music: np.ndarray | None,
    among: np.ndarray,
    n_folds: int = 1,
) -> np.ndarray:
    """The fold in which each of the TRs ``among`` (indices) is tested: (n_trs,) int.

    Stimuli are never cut, and a group of `stimulus_groups` is in one fold. Folds are whole runs
    where that is so in them: each run, or ``n_folds`` parts of several. Else they are
    ``n_folds`` parts of the groups in the order in which the first subject was shown them; with
    ``n_folds`` 1 five, or as many as there are.

    ``shown`` (n_trs,) as of `shown_at`, ``stimulus`` (n_trs,) indices, ``runs`` (n_trs,) str,
    ``music`` (n_stimuli,) int as of `stimulus_groups`.

    Raises TooFewStimuli where groups are fewer than folds, or than two.
    """
    own, labels = stimulus[among], np.zeros(len(stimulus), dtype=int)
    groups = stimulus_groups(shown[among], own, clock, music)
    n_runs = len(np.unique(runs[among]))
    if 1 < n_runs >= n_folds:
        labels[among] = run_labels(runs[among], n_folds)
        of_group = [np.unique(labels[among][np.isin(own, group)]) for group in groups]
        n_labels = len(np.unique(labels[among]))
        if n_labels >= max(2, n_folds) and all(len(found) == 1 for found in of_group):
            return labels
    n_parts = min(_N_FOLDS, max(2, len(groups))) if n_folds == 1 else n_folds
    which = " that train" if len(among) < len(stimulus) else ""
    for fold, part in enumerate(fold_stimuli(groups, n_parts, which)):
        labels[among[np.isin(own, part)]] = fold
    return labels


def fold_stimuli(
    groups: Sequence[Sequence[int]], n_folds: int, which: str = ""
) -> list[np.ndarray]:
    """The stimuli of ``groups``, as of `stimulus_groups`, in ``n_folds`` parts of whole groups.

    Raises TooFewStimuli, with ``which`` stimuli they are, where there are fewer groups than folds.

    >>> [part.tolist() for part in fold_stimuli([[2], [0, 3], [1]], 2)]
    [[0, 2, 3], [1]]
    """
    if len(groups) < n_folds:
        n_stimuli, n_groups = sum(map(len, groups)), len(groups)
        raise TooFewStimuli(
            f"{n_folds} folds need as many stimuli that share no seconds and no score: of "
            f"{n_stimuli}{which} there {'is' if n_groups == 1 else 'are'} {n_groups}"
        )
    parts = np.array_split(np.arange(len(groups)), n_folds)
    return [np.sort([k for n in part for k in groups[n]]) for part in parts]


def stimulus_groups(
    shown: np.ndarray, stimulus: np.ndarray, clock: StimulusClock, music: np.ndarray | None = None
) -> list[list[int]]:
    """Stimuli that belong together, in the order in which the last of each group was first shown.

    Excerpts that share seconds of a file are together, and stimuli of one score.

    Parameters
    ----------
    shown : (n_trs,) int, rank of each TR as of `shown_at`
    stimulus : (n_trs,) int, index of each TR's stimulus
    music : (n_stimuli,) int, equal for stimuli of one score
        (``giblet.music.stimulus_scores.same_music``); None where scores are not known
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    order = _as_shown(shown, stimulus, np.unique(stimulus))
    labels = _sharing_seconds(order, clock)
    if music is not None:  # what has equal labels, or equal music, is connected
        n = int(labels.max()) + 1
        edges = labels, n + music[order]
        size = int(edges[1].max()) + 1
        graph = coo_array((np.ones(len(order)), edges), shape=(size, size))
        labels = connected_components(graph, directed=False)[1][labels]
    of_label: dict[int, list[int]] = {}
    for k, label in zip(order[::-1].tolist(), labels[::-1].tolist(), strict=True):
        of_label.setdefault(label, []).append(k)
    return [group[::-1] for group in of_label.values()][::-1]


def _sharing_seconds(order: np.ndarray, clock: StimulusClock) -> np.ndarray:
    """A label (n_stimuli,) int of each of ``order``, equal for excerpts that share seconds."""
    labels, label = np.empty(len(order), dtype=int), -1
    file, end = "", 0.0
    for n in sorted(
        range(len(order)), key=lambda n: (clock.files[order[n]], clock.starts[order[n]])
    ):
        k = order[n]
        if clock.files[k] != file or clock.starts[k] >= end:
            label, file, end = label + 1, clock.files[k], 0.0
        labels[n] = label
        end = max(end, float(clock.starts[k] + clock.durations[k]))
    return labels


def _as_shown(shown: np.ndarray, stimulus: np.ndarray, present: np.ndarray) -> np.ndarray:
    """The stimuli ``present``, by the first ``shown`` (n_trs,) rank of each."""
    first = np.full(int(present.max()) + 1, len(shown) + int(shown.max()))
    np.minimum.at(first, stimulus, shown)
    return present[np.argsort(first[present], kind="stable")]


def shown_at(scans: xr.Dataset, volumes: np.ndarray) -> np.ndarray:
    """Rank (n_trs,) int of each TR's first volume among all, as the first subject was scanned.

    Runs are in the order of their numbers, whatever that of their files. ``volumes`` as of
    `showing_volumes`.
    """
    of_runs = run_volumes(scans)
    order = sorted(of_runs, key=lambda one: (one[0], run_order(one[1])))
    ranks = np.empty(scans.sizes["volume"], dtype=int)
    ranks[np.concatenate([of_runs[one] for one in order])] = np.arange(len(ranks))
    return ranks[volumes[0, 0]]


def check_excerpts(clock: StimulusClock, held: np.ndarray, others: np.ndarray, part: str) -> None:
    """GibletError where one of ``held``, a ``part``, and one of ``others`` share file seconds."""
    of_file: dict[str, list[int]] = {}
    for k in others:
        of_file.setdefault(clock.files[k], []).append(k)
    for k in held:
        for j in of_file.get(clock.files[k], []):
            if _share_seconds(clock, k, j):
                raise GibletError(
                    f"{part} stimulus {clock.names[k]} also trains, in {clock.names[j]}: both are "
                    f"of {clock.files[k]}, and overlap. Name both (splits.{part}_stimuli), or "
                    "neither"
                )


def _share_seconds(clock: StimulusClock, one: int, other: int) -> bool:
    """Whether two stimuli have seconds of one file in common."""
    first, second = sorted((one, other), key=lambda k: clock.starts[k])
    ends = clock.starts[first] + clock.durations[first]
    return clock.files[one] == clock.files[other] and clock.starts[second] < ends


def same_music_warnings(
    stimulus: np.ndarray, part: np.ndarray, names: Sequence[str], music: np.ndarray | None
) -> list[str]:
    """A line where test stimuli are of music that also trains, in another recording.

    ``stimulus`` (n_trs,) index, ``part`` (n_trs,) str, ``music`` (n_stimuli,) int, equal for those
    of one score; None where that is not known.

    >>> of_trs, parts = np.array([0, 1, 2]), np.array(["train", "train", "test"])
    >>> same_music_warnings(of_trs, parts, ["a", "b", "c"], np.array([0, 1, 0]))[0][:60]
    '1 test stimuli have the score of stimuli that train: c (of a'
    """
    if music is None:
        return []
    trained = {int(music[k]): names[k] for k in np.unique(stimulus[part == "train"])[::-1]}
    both = [
        f"{names[k]} (of {trained[int(music[k])]})"
        for k in np.unique(stimulus[part == "test"])
        if int(music[k]) in trained
    ]
    if not both:
        return []
    more = f" and {len(both) - _SHOWN} more" * (len(both) > _SHOWN)
    return [
        f"{len(both)} test stimuli have the score of stimuli that train: "
        f"{', '.join(both[:_SHOWN])}{more}; name both in splits.test_stimuli, or neither"
    ]


def music_of(arrays: Iterable[xr.Dataset]) -> np.ndarray | None:
    """``stimulus_music`` (n_stimuli,) int of the array set that has it; None where none has."""
    return next((one["stimulus_music"].values for one in arrays if "stimulus_music" in one), None)


def near_in_scan(
    scans: xr.Dataset, volumes: np.ndarray, held: np.ndarray, *, gap_trs: int, average: bool
) -> np.ndarray:
    """TRs (n_trs,) bool that were scanned ``gap_trs`` or fewer from those that are ``held``.

    In one run, in any subject; so are those that are held. ``volumes`` as of `showing_volumes`, of
    these TRs; with ``average`` every showing of a training TR counts, else the first.
    """
    is_held = np.zeros(scans.sizes["volume"] + 1, dtype=bool)  # the last is of none: index -1
    is_held[volumes[..., held]] = True
    close = np.zeros_like(is_held)
    for here in run_volumes(scans).values():
        close[here] = near(is_held[here], gap_trs)
    used = volumes if average else volumes[:, :1]
    return close[used].any(axis=(0, 1))
