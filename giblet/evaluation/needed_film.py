"""How much scanned film each result needs, and whether a data set has it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from giblet.alignment.dataset import split_film
from giblet.alignment.hrf import HRF_SECONDS
from giblet.audio.metrics.identify import clip_length
from giblet.audio.metrics.table import BOTTLENECK, CLIPS, identification_metrics
from giblet.config.config import Config
from giblet.errors import GibletError
from giblet.stats.encoding_maps import held_out_folds
from giblet.timing import acquisition_times, trs_for

_RIDGE, _IDENTIFIED = "ridge from the film", "{}-way identification of clips"
_SHORT_RUN = 10  # TRs, as of `giblet.stats.cross_validation.purged_folds`
_LONGEST = 2**17  # TRs that are tried: two days


@dataclass(frozen=True)
class FilmNeed:
    """A result and the film that it needs.

    seconds : of film that everyone was scanned in, at least, in runs that share it as those of the
        data set do; None where named runs, or whole pieces of music, are held out
    is_met : by the data set
    has : what the data set has of it, in words
    """

    result: str
    seconds: float | None
    is_met: bool
    has: str = ""


@dataclass(frozen=True)
class StimulusParts:
    """Of many stimuli, what their TRs were split into.

    part : (n_trs,) str as of `giblet.alignment.aligned.split_match`; None where that fails
    stimulus : (n_trs,) label, equal where TRs follow each other within a stimulus
    has_ridge : whether `giblet.evaluation.encoding_folds.ridge_folds` has folds
    """

    part: np.ndarray | None
    stimulus: np.ndarray
    has_ridge: bool


def film_needs(
    config: Config,
    runs: np.ndarray,
    held_out: tuple[np.ndarray, np.ndarray] | None = None,
    stimuli: StimulusParts | None = None,
) -> list[FilmNeed]:
    """Results, by how much film they need.

    ``runs`` (n_trs,) str: the run of each TR of the film that everyone was scanned in, as
    `giblet.alignment.sync.match_runs` has them. ``held_out``: masks of test and validation TRs that
    hold whole pieces of music, as of `giblet.alignment.pieces.held_out_pieces`. With ``stimuli``
    parts hold whole ones: no length is known.

    >>> from giblet.config.config import parse_config
    >>> for need in film_needs(parse_config({}), np.zeros(200)):
    ...     print(need.result, need.seconds, need.is_met, need.has)
    training and decoding 97.5 True 300 s
    ridge from the film 168.0 True 300 s
    10-way identification of clips 447.0 False 6 clips of 9 s in the test part
    """
    t_r, clip_seconds = config.t_r, config.decoding.clip_seconds
    n_way = max(metric.n_way for metric in identification_metrics(BOTTLENECK, CLIPS))

    def has_ridge(runs: np.ndarray) -> bool:
        try:
            return bool(held_out_folds(runs, trs_for(HRF_SECONDS, t_r)))
        except GibletError:
            return False

    shortest = min([_SHORT_RUN, *np.unique(runs, return_counts=True)[1]])

    def enough_for_ridge(runs: np.ndarray) -> bool:
        """Runs that are shorter are joined: with them less film might be enough than with more."""
        return np.unique(runs, return_counts=True)[1].min() >= shortest and has_ridge(runs)

    def n_clips(runs: np.ndarray, held_out=None) -> int:
        return _count_clips(_parts(runs, config, held_out), runs, trs_for(clip_seconds, t_r))

    def seconds(n_trs: int | None) -> float | None:
        return None if n_trs is None else float(acquisition_times(n_trs + 1, t_r)[-1])

    scanned = f"{seconds(len(runs)):.0f} s"
    if stimuli is not None:
        n_own = _count_clips(stimuli.part, stimuli.stimulus, trs_for(clip_seconds, t_r))
        return [
            FilmNeed("training and decoding", None, stimuli.part is not None, scanned),
            FilmNeed(_RIDGE, None, stimuli.has_ridge, scanned),
            FilmNeed(_IDENTIFIED.format(n_way), None, n_own >= n_way, _clips(n_own, config)),
        ]
    ridge = FilmNeed(_RIDGE, seconds(_fewest(enough_for_ridge, runs)), has_ridge(runs), scanned)
    if not config.has_film:
        return [ridge]
    by_length = not config.splits.test_runs and held_out is None
    n_trained = n_identified = None
    if by_length:
        n_trained = _fewest(lambda runs: _parts(runs, config) is not None, runs)
        n_identified = _fewest(lambda runs: n_clips(runs) >= n_way, runs)
    trained = _parts(runs, config, held_out) is not None
    n_own = n_clips(runs, held_out)
    identified, clips = _IDENTIFIED.format(n_way), _clips(n_own, config)
    return [
        FilmNeed("training and decoding", seconds(n_trained), trained, scanned),
        ridge,
        FilmNeed(identified, seconds(n_identified), n_own >= n_way, clips),
    ]


def _clips(n: int, config: Config) -> str:
    seconds = clip_length(config.decoding.clip_seconds, config.t_r)
    return f"{n} clips of {seconds:g} s in the test part"


def _parts(
    runs: np.ndarray, config: Config, held_out: tuple[np.ndarray, np.ndarray] | None = None
) -> np.ndarray | None:
    """The part of each TR (n_trs,) str; None where the film is too short, or a run is unknown."""
    try:
        return split_film(len(runs), config.t_r, config.splits, True, runs, held_out=held_out)
    except GibletError:
        return None


def _count_clips(part: np.ndarray | None, runs: np.ndarray, clip_trs: int) -> int:
    """Whole clips of ``clip_trs`` TRs in a row, within a run of the test part."""
    if part is None:
        return 0
    borders = np.flatnonzero((part[1:] != part[:-1]) | (runs[1:] != runs[:-1])) + 1
    stretches = np.split(part == "test", borders)
    return sum(len(stretch) // clip_trs for stretch in stretches if stretch.all())


def _fewest(is_enough: Callable[[np.ndarray], bool], runs: np.ndarray) -> int | None:
    """The fewest TRs that are enough, in ``runs`` (n_trs,) that are longer or shorter by one
    factor; None where `_LONGEST` are not. More than there are only where these are not enough.

    >>> _fewest(lambda runs: len(runs) >= 37, np.zeros(50))
    37
    >>> _fewest(lambda runs: (runs == 1).sum() >= 10, np.repeat([0, 1], [30, 10]))
    40
    """

    def stretched(n_trs: int) -> np.ndarray:
        return runs[np.arange(n_trs) * len(runs) // n_trs]

    least, most = 0, len(runs)
    while not is_enough(stretched(most)):
        least, most = most, 2 * most
        if most > _LONGEST:
            return None
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if is_enough(stretched(middle)) else (middle, most)
    return most
