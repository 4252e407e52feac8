"""An entry of the table of metrics (`giblet.audio.metrics.table`): how a score is read and made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from giblet.audio.metrics.segment import Segment

HIGHER, LOWER = "higher", "lower"
# What a metric applies to.
SPEECH, SOUND, SOUND_CLIPS = "segments with speech", "segments of sound", "clips of decoded sound"
BOTTLENECK, CODES, BOLD, FEATURES = "bottleneck", "codes", "BOLD", "features of sound"
BOLD_CLIPS = "clips of BOLD"
TRS, CLIPS, SEGMENTS, SUBJECTS = "TRs", "clips", "segments", "subjects"
SPEECH_SEGMENTS = "speech segments"

Pair = tuple[Segment, Segment]  # reference, estimate


@dataclass(frozen=True)
class Metric:
    """One score: how it is computed, read and printed.

    name
        In ``scores.tsv``.
    label, unit
        In the report.
    decimals
        As printed.
    applies_to
        ``SPEECH``, ``SOUND``, ``BOTTLENECK``, ``SOUND_CLIPS``, ``CODES``, ``BOLD``, ``BOLD_CLIPS``,
        ``FEATURES``.
    direction
        ``HIGHER`` or ``LOWER`` is better; empty where neither is.
    lowest, best, chance
        Values, where there are such.
    counted
        What ``n`` counts in the table of scores.
    moment
        What one score by moment is of: ``TRS``, ``CLIPS`` or ``SEGMENTS``.
    function
        Of sound: pairs of segments (reference, estimate) → one score each, NaN for none.
    in_child
        Whether its function waits for a process of its own.
    scores_silence
        Whether there is a score where one of a pair is silent.
    average
        Over segments.
    unscored
        Why a segment has no score.
    n_way
        Of identification: how many there are to choose from.
    compared
        Shown where feature types are compared, and, if of sound, tested in pairs.
    of_lesions
        Whether sounds of lesions get this score.
    against_null
        Whether it decides if decoded sound is better than the null.
    n_shifts
        Circular shifts of the null that are scored, at most: fewer of a slow metric.
    needs
        A package, by its import name, that not everyone has installed: without it there is no row.
    model
        Of the settings ``speech_models``, that not everyone gives: without it there is no row.
    note
        How it is read, where direction and values do not say it.
    method, reference
        In the methods text: the name with its short reference; short → full reference.
    """

    name: str
    label: str
    unit: str = ""
    decimals: int = 3
    applies_to: str = ""
    direction: str = ""
    lowest: float | None = None
    best: float | None = None
    chance: float | None = None
    counted: str = ""
    moment: str = ""
    function: Callable[[Sequence[Pair]], Sequence[float]] | None = None
    in_child: bool = False
    scores_silence: bool = False
    average: Callable = np.mean
    unscored: str = ""
    n_way: int = 0
    compared: bool = False
    of_lesions: bool = False
    against_null: bool = False
    n_shifts: int = 20
    needs: str = ""
    model: str = ""
    note: str = ""
    method: str = ""
    reference: tuple[str, str] | None = None

    @property
    def heading(self) -> str:
        """Label and unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def reading(self) -> str:
        """The direction and the limits of a value, in words.

        >>> from giblet.audio.metrics.table import METRICS
        >>> [METRICS[name].reading for name in ("pesq_wb", "stoi", "si_sdr_db", "sync_error_ms")]
        ['1 to 4.64, higher is better', 'up to 1, higher is better', 'higher is better', \
'0 is best; median']
        >>> METRICS["identification_2way"].reading
        'chance 0.5, best 1'
        """
        if self.note or not self.direction:
            return self.note
        better = f"{self.direction} is better"
        if self.chance is not None:
            better = f"chance {self.chance:g}, best {self.best:g}"
        elif self.best == 0:
            better = "0 is best"
        elif self.best is not None:
            start = "up to" if self.lowest is None else f"{self.lowest:g} to"
            better = f"{start} {self.best:g}, {better}"
        return better + ("; median" if self.average is np.median else "")

    @property
    def is_p(self) -> bool:
        """Whether this is the p-value of another metric, whose name it has before ``_p``."""
        return self.name.endswith("_p")


def per_pair(
    function: Callable[[Segment, Segment], float],
) -> Callable[[Sequence[Pair]], list[float]]:
    """``function`` of one pair, for many pairs."""
    return lambda pairs: [function(reference, estimate) for reference, estimate in pairs]
