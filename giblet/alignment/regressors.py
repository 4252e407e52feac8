"""Regressors: what of the film a linear model may read, blurred by the HRF."""

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr

from giblet.alignment.hrf import convolve_hrf
from giblet.errors import GibletError
from giblet.film.modalities import modality_of
from giblet.timing import count_samples, frames_rate_hz, tr_begin


def film_regressors(
    film: xr.Dataset,
    scans: xr.Dataset,
    t_r: float,
    model: str,
    processor=None,
    lags: Sequence[float] = (),
) -> xr.Dataset:
    """One modality's ``regressors`` (volume, feature), and of words also ``n_words`` (volume, lag).

    With ``model`` fir, features lag by lag, and counts at each; otherwise there is one lag. Nothing
    where the film has nothing: a sound file has no pictures. Attribute ``n_trs`` is the number of
    TRs of the features; after them all is 0. ``processor`` is needed for sound alone; the other
    arguments are those of `regress`. GibletError where ``film`` is not the whole one, from its
    first TR on.
    """
    arrays = xr.Dataset(attrs={"t_r": t_r, "hrf_model": model, "fir_lags_seconds": list(lags)})
    if not film.data_vars:
        return arrays
    if "tr" in film.coords and (film["tr"].values != np.arange(film.sizes["tr"])).any():
        raise GibletError("features must be of every TR of the film: some are missing here")
    arrays.attrs["n_trs"] = film.sizes["tr"]
    features = modality_of(film).regressors(film, t_r, processor)
    blurred = regress(*features, scans, t_r, model, lags)
    arrays["regressors"] = (("volume", "feature"), blurred)
    if "n_words" in film:
        counts = film["n_words"].values[:, None]
        blurred = regress(counts, frames_rate_hz(1, t_r), scans, t_r, model, lags)
        arrays["n_words"] = (("volume", "lag"), blurred)
    return arrays


def regress(
    values: np.ndarray,
    rate_hz: float,
    scans: xr.Dataset,
    t_r: float,
    model: str,
    lags: Sequence[float] = (),
) -> np.ndarray:
    """Features (n_samples, n_features) → regressors (n_volumes, n_features) float32.

    ``model`` and ``lags`` as of `convolve_hrf`: with fir there are n_lags * n_features columns.
    Each run starts from silence: what the film has before the TR in which the run's showing began
    was not seen. ``scans`` have that as ``film_start`` (volume; s); without it, showings begin with
    their first volume, and what was seen before volumes that were dropped is lost.
    """
    film_time, n_columns = scans["film_time"].values, values.shape[1] * max(1, len(lags))
    regressors = np.zeros((len(film_time), n_columns), dtype=np.float32)
    done: dict[tuple[float, bytes], np.ndarray] = {}
    for here, begin in _showings(scans, t_r):
        key = begin, film_time[here].tobytes()  # subjects often share a clock
        if key not in done:
            shown = values[count_samples(begin, rate_hz) :]
            times = film_time[here] - begin
            done[key] = convolve_hrf(shown, rate_hz, times, model, lags=lags, width=t_r)
        regressors[here] = done[key]
    return regressors


def _showings(scans: xr.Dataset, t_r: float) -> Iterator[tuple[np.ndarray, float]]:
    """Of each run its volumes, (n_volumes,) bool, and the film time (s) at which it begins."""
    subject, run = scans["subject"].values.astype(str), scans["run"].values.astype(str)
    starts = scans["film_start" if "film_start" in scans.coords else "film_time"].values
    for one, label in dict.fromkeys(zip(subject, run, strict=True)):
        here = (subject == one) & (run == label)
        first = np.flatnonzero(here & scans["in_film"].values)[0]
        yield here, max(0.0, tr_begin(starts[first], t_r))
