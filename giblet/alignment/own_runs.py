"""Many stimuli: volumes scaled by each person's own runs, before they are brought to the TRs.

People may hear the stimuli in other orders, and a stimulus may come again in another run. A run's
level and gain are then no property of a TR, but of the volumes that were taken in it.
"""

from collections.abc import Iterator

import numpy as np

from giblet.alignment.dataset import FEWEST_TRS, zscore_bold
from giblet.alignment.sync import Match
from giblet.stats.encoding_maps import ClockGroup, group_by_clock


def scaled_volumes(
    values: np.ndarray, match: Match, scale_by: np.ndarray, every_repeat: bool = False
) -> np.ndarray:
    """BOLD (n_volumes, n_columns), z-scored by each person's runs; of a film as it is.

    By the mean and deviation of the volumes of the TRs ``scale_by`` (n_trs,) bool, as of
    `zscore_bold`: a run with fewer than 10 of them takes those of all the person's runs. Volumes
    that `Match.take` does not use stay as they are, unless ``every_repeat`` scales each repeat.
    """
    if match.volume_runs is None:
        return values
    scaled = np.array(values, dtype=np.float32)
    for volumes, runs, counted in _people(match, scale_by, every_repeat):
        scaled[volumes] = zscore_bold(values[volumes][None], runs, counted)[0][0]
    return scaled


def centred_volumes(values: np.ndarray, match: Match, scale_by: np.ndarray) -> np.ndarray:
    """Regressors (n_volumes, n_features) minus their mean in each of a person's runs.

    Arguments as of `scaled_volumes`. What is constant in a run is exactly 0 there.
    """
    if match.volume_runs is None:
        return values
    centred = np.array(values)
    for volumes, runs, counted in _people(match, scale_by, False):
        for run in np.unique(runs):
            here = runs == run
            source = here & counted
            own, all_trained = values[volumes[here]], values[volumes[counted]]
            level = values[volumes[source]] if source.sum() >= FEWEST_TRS else all_trained
            varies = (own != own[:1]).any(axis=0) | (level != own[:1]).any(axis=0)
            centred[volumes[here]] = np.where(varies, own - level.mean(axis=0), 0)
    return centred


def clock_groups(
    bands: dict, match: Match, film_time: np.ndarray, is_train: np.ndarray | None = None
) -> list[ClockGroup]:
    """`group_by_clock`; of many stimuli subjects with the same regressors are a group.

    ``bands``: name → (n_volumes, n_features), ``film_time`` (n_volumes,) s. Those of many stimuli
    are centred by each person's own runs (`centred_volumes`), on the TRs ``is_train`` (n_trs,) bool
    or on all.
    """
    if match.stimulus is None:
        return group_by_clock(bands, match.volumes, film_time)
    used = np.ones(len(match.trs), dtype=bool) if is_train is None else is_train
    taken = {n: match.take(centred_volumes(band, match, used)) for n, band in bands.items()}
    groups: dict[bytes, ClockGroup] = {}
    for s in range(len(match.subjects)):
        own = {name: band[s] for name, band in taken.items()}
        key = b"".join(band.tobytes() for band in own.values())
        groups.setdefault(key, ClockGroup([], own)).subjects.append(s)
    return list(groups.values())


def _people(
    match: Match, scale_by: np.ndarray, every_repeat: bool
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each person the volumes that are used, their runs, and whether they give the scale."""
    if match.repeats is None or match.volume_runs is None:
        return
    used = match.repeats if every_repeat or match.is_mean else match.repeats[:, :1]
    for own in used:
        volumes = np.unique(own[own >= 0])
        yield volumes, match.volume_runs[volumes], np.isin(volumes, own[:, scale_by])
