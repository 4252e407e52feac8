"""Regressors: what of the film a linear model may read, blurred by the HRF."""

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr

from giblet.alignment.hrf import convolve_hrf
from giblet.audio.mel import FLOOR_DB
from giblet.errors import GibletError
from giblet.timing import count_samples, frames_rate_hz, tr_begin


def picture_blocks(frames: np.ndarray, block: int = 10) -> np.ndarray:
    """Mean colour of blocks: (n_trs, n_frames, height, width, 3) → (n_trs * n_frames, n_features).

    Amounts that an HRF may blur, in [0, 1]; edges that fill no block are left out.

    >>> picture_blocks(np.full((4, 2, 90, 160, 3), 255, dtype=np.uint8)).shape
    (8, 432)
    """
    n_trs, n_frames, height, width, _rgb = frames.shape
    down, across = height // block, width // block
    cut = frames[:, :, : down * block, : across * block]
    cut = cut.reshape(n_trs * n_frames, down, block, across, block, 3)
    return (cut.mean(axis=(2, 4)) / 255).reshape(n_trs * n_frames, -1).astype(np.float32)


def amounts(film: xr.Dataset, t_r: float, processor) -> tuple[np.ndarray, float]:
    """One modality's features as amounts over time: ((n_samples, n_features) float32, rate in Hz).

    Sound gives the codec's latents and their magnitudes (or mel, in dB above its floor) at the
    frame rate, pictures their features or else the colours of blocks, words their embedding.
    Latents follow the waveform, so they average out over a TR; how large they are does not. Code
    indices are labels and are never blurred.

    ``processor`` is asked only for sound.
    """
    if "audio" in film:
        from giblet.audio.framing import ungroup_trs

        stream = ungroup_trs(film["audio"].values, processor.clock)
        latents = processor.latents(stream)  # (n_frames, n_features)
        if processor.use_encodec:
            latents = np.concatenate([latents, np.abs(latents)], axis=1)
        else:
            latents = latents - FLOOR_DB  # 0 is silence, as before a run
        return latents, processor.clock.film_frame_rate()
    if "features" in film:
        features = film["features"].values  # (n_trs, n_moments, n_features)
        rate_hz = frames_rate_hz(film.sizes["moment"], t_r)
        return features.reshape(-1, features.shape[-1]), rate_hz
    if "video" in film:
        return picture_blocks(film["video"].values), frames_rate_hz(film.sizes["picture"], t_r)
    return film["text"].values, frames_rate_hz(1, t_r)


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
    where the film has nothing: a sound file has no pictures. Attribute ``n_trs`` tells how many TRs
    the features have; after them all is 0. Arguments as of `amounts` and `regress`; GibletError
    where ``film`` is not the whole one, from its first TR on.
    """
    arrays = xr.Dataset(attrs={"t_r": t_r, "hrf_model": model, "fir_lags_seconds": list(lags)})
    if not film.data_vars:
        return arrays
    if "tr" in film.coords and (film["tr"].values != np.arange(film.sizes["tr"])).any():
        raise GibletError("features must be of every TR of the film: some are missing here")
    arrays.attrs["n_trs"] = film.sizes["tr"]
    blurred = regress(*amounts(film, t_r, processor), scans, t_r, model, lags)
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
    """Amounts (n_samples, n_features) → regressors (n_volumes, n_features) float32.

    ``model`` and ``lags`` as of `convolve_hrf`: with fir there are n_lags * n_features columns.
    Each run starts from silence: what the film has before the TR in which the run's showing began
    was not seen. ``scans`` tell that by ``film_start`` (volume; s); without it, showings begin with
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
