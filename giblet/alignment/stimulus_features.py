"""Features of many stimuli, each computed by itself, on the film that they make together."""

from collections.abc import Iterable

import numpy as np

from giblet.brain.stimulus_clock import StimulusClock
from giblet.timing import trs_for


def begun_trs(clock: StimulusClock, stimulus: int) -> int:
    """TRs of a stimulus, the last one also where the stimulus does not fill it.

    >>> begun_trs(StimulusClock.lay_out(["a"], [4.0], t_r=1.5), 0)
    3
    """
    return trs_for(float(clock.durations[stimulus]), clock.t_r)


def on_film(
    clock: StimulusClock, parts: Iterable[tuple[int, np.ndarray]], n_trs: int, n_moments: int
) -> np.ndarray:
    """Features of stimuli at their TRs of the film, (n_trs * n_moments, n_features) float32.

    ``parts``: index of a stimulus, in their order, and its features at ``n_moments`` moments of
    each TR, (`begun_trs` * n_moments, n_features). They are computed one after the other, and not
    beyond the film's first ``n_trs`` TRs. In silence features are 0.

    >>> clock = StimulusClock.lay_out(["a", "b"], [3.0, 3.0], t_r=1.5)
    >>> parts = ((k, np.full((2, 1), k + 1.0)) for k in range(2))
    >>> on_film(clock, parts, n_trs=6, n_moments=1)[:, 0].tolist()
    [1.0, 1.0, 0.0, 0.0, 2.0, 2.0]
    """
    film = np.zeros((0, 0), dtype=np.float32)
    for stimulus, values in parts:
        if not film.size:
            film = np.zeros((n_trs * n_moments, values.shape[1]), dtype=np.float32)
        begin = int(clock.first_trs[stimulus]) * n_moments
        here = film[begin : begin + len(values)]
        here[:] = values[: len(here)]
        if stimulus + 1 < len(clock.names) and clock.first_trs[stimulus + 1] >= n_trs:
            break
    return film
