"""Motion energy of a film, by place, direction and speed of motion (pymoten's filters)."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from giblet.errors import GibletError
from giblet.film.video import Pictures, Shown, shown_pictures
from giblet.timing import check_t_r, frames_rate_hz, sample_edges, trs_for

if TYPE_CHECKING:
    from moten.pyramids import MotionEnergyPyramid

_MOMENT = 0.5  # s: energy is averaged over at most this, short compared with any HRF
_TEMPORAL_HZ = (0.0, 2.0, 4.0)  # pymoten's own
_BLOCK = 512  # frames that are filtered at once


def motion_energy(
    film: Pictures, t_r: float, n_trs: int, rate_hz: float = 15.0, height: int = 90
) -> np.ndarray:
    """Energy of a film in space-time Gabor filters, averaged over moments of at most 0.5 s.

    The luminance (L*, 0 to 100) on screen is averaged over samples, at least ``rate_hz`` a second
    and a whole number per moment, so any frame rate of the film will do. Each filter returns
    ``log(1 + sqrt(sin² + cos²))`` (Nishimoto et al. 2011, as in pymoten): 0 where all is black,
    and where nothing is on screen.

    Parameters
    ----------
    film : its file, or frames that can be iterated over twice.
    t_r : seconds.
    rate_hz : at least 8: the fastest filters turn 4 times a second.
    height : pixels; the width follows from the film's proportions on the screen.

    Returns
    -------
    energy : (n_trs, n_moments, n_filters) float32, the filters in pymoten's order. A filter that
        moves right (direction 0 of pymoten 0.1.3) responds to motion to the left, and so on.

    Raises
    ------
    GibletError
        pymoten is not installed; as `giblet.film.video.shown_pictures`.
    """
    n_moments = trs_for(check_t_r(t_r), _MOMENT)
    n_samples = trs_for(t_r, n_moments / rate_hz)  # of a moment
    rate_hz = frames_rate_hz(n_moments * n_samples, t_r)
    size = _screen(film, height)
    edges = sample_edges(n_trs * n_moments * n_samples, rate_hz)
    luminances = mean_luminances(shown_pictures(film), edges, size)
    energy = filtered(luminances, len(edges) - 1, filter_bank(size, rate_hz))
    energy = [block.reshape(-1, n_samples, block.shape[-1]).mean(axis=1) for block in energy]
    return np.concatenate(energy).reshape(n_trs, n_moments, -1)


def filter_bank(size: tuple[int, int], rate_hz: float) -> "MotionEnergyPyramid":
    """pymoten's default filters for frames of ``size`` (height, width) at ``rate_hz``.

    pymoten takes whole rates only; for others its temporal frequencies are scaled, so that in real
    time they are 0, 2 and 4 Hz.
    """
    try:
        import moten
    except ImportError:
        raise GibletError(
            "video.features: motion_energy needs pymoten (pip install pymoten)"
        ) from None
    whole = round(rate_hz)
    frequencies = [hz * whole / rate_hz for hz in _TEMPORAL_HZ]
    return moten.get_default_pyramid(size, whole, temporal_frequencies=frequencies)


def mean_luminances(
    pictures: Iterable[Shown], edges: np.ndarray, size: tuple[int, int]
) -> Iterator[np.ndarray]:
    """Mean luminance from each of ``edges`` (s) to the next, (height, width) float32 L*.

    Each frame is weighted by the time it is shown; where none is shown the screen is black.
    """
    light, sample, n_samples = np.zeros(size, dtype=np.float32), 0, len(edges) - 1
    for picture in pictures:
        luminance = _luminance(picture.scaled(*size))
        while sample < n_samples:
            begin, end = edges[sample : sample + 2]
            shown = min(end, picture.end) - max(begin, picture.begin)
            light += np.float32(max(shown, 0) / (end - begin)) * luminance
            if picture.end < end:
                break
            yield light
            light, sample = np.zeros(size, dtype=np.float32), sample + 1
        if sample == n_samples:
            return
    for _ in range(sample, n_samples):
        yield light
        light = np.zeros(size, dtype=np.float32)


def filtered(
    luminances: Iterable[np.ndarray],
    n_samples: int,
    bank: "MotionEnergyPyramid",
    block: int = _BLOCK,
) -> Iterator[np.ndarray]:
    """Blocks (n, n_filters) float32 of responses to ``n_samples`` frames (height, width).

    Equal to filtering all at once, in the memory of one block: a block is filtered with the frames
    before and after it that its filters reach.
    """
    luminances, reach = iter(luminances), bank.definition.filter_temporal_width
    held, first = [], 0  # frames from number ``first`` on
    for begin in range(0, n_samples, block):
        end = min(begin + block, n_samples)
        held = held[max(begin - reach - first, 0) :]
        first = max(begin - reach, first)
        held += [next(luminances) for _ in range(first + len(held), min(end + reach, n_samples))]
        responses = bank.project_stimulus_batched(np.stack(held), output_nonlinearity=np.log1p)
        yield responses[begin - first : end - first]


def _screen(film: Pictures, height: int) -> tuple[int, int]:
    """``height``, and the width in pixels that a film's first frame has at that height."""
    tall, wide = next(shown_pictures(film)).size
    return height, max(1, round(height * wide / tall))


def _luminance(picture: np.ndarray) -> np.ndarray:
    """CIE L* (0 to 100) of an sRGB frame (height, width, 3) uint8, as pymoten takes it."""
    from moten.colorspace import rgb2lab

    return rgb2lab(picture / 255.0)[..., 0].astype(np.float32)
