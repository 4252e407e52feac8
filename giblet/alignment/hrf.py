"""The haemodynamic response: what the scanner sees of an event, some seconds later."""

import numpy as np

from giblet.checks import check_amounts
from giblet.timing import sample_edges, tr_onsets, trs_for

HRF_SECONDS = 32.0  # length of the canonical kernels
_GRID_S = 0.01  # spacing of the kernel's own grid, finer than any TR by far


def hrf_density(model: str = "spm") -> tuple[np.ndarray, np.ndarray]:
    """nilearn's canonical kernel on a fine grid: (times (s), response density (1/s)).

    The density integrates to 1, so a constant input keeps its level.

    Raises
    ------
    ValueError
        ``model`` is neither ``"spm"`` nor ``"glover"``.

    >>> times, density = hrf_density("spm")
    >>> bool(4.9 < times[density.argmax()] < 5.1)
    True
    """
    from nilearn.glm.first_level import glover_hrf, spm_hrf

    kernels = {"spm": spm_hrf, "glover": glover_hrf}
    if model not in kernels:
        raise ValueError(f"hrf model must be one of {', '.join(kernels)}, got {model!r}")
    density = kernels[model](_GRID_S, oversampling=1, time_length=HRF_SECONDS) / _GRID_S
    return np.linspace(0, HRF_SECONDS, len(density)), density


def cumulative_hrf(model: str = "spm") -> tuple[np.ndarray, np.ndarray]:
    """Integral of the kernel: (times (s), share of the response that has come by then)."""
    times, density = hrf_density(model)
    steps = (density[1:] + density[:-1]) / 2 * np.diff(times)
    return times, np.concatenate([[0.0], np.cumsum(steps)])


def hrf_weights(edges: np.ndarray, time: float, cumulative: tuple) -> np.ndarray:
    """How much each stretch of input weighs in the response at ``time``.

    The response to input that is constant between ``edges`` is
    ``sum_j input[j] * (H(t - edges[j]) - H(t - edges[j + 1]))``, with ``H`` the integral of the
    kernel: exact in continuous time, whatever the two grids, and causal.

    Parameters
    ----------
    edges : (n_samples + 1,) s
    cumulative
        From ``cumulative_hrf``.

    Returns
    -------
    weights : (n_samples,)
    """
    reached = np.interp(time - edges, *cumulative)  # 0 before the event, 1 long after it
    return reached[:-1] - reached[1:]


def tr_kernel(t_r: float, offset: float, model: str = "spm") -> np.ndarray:
    """Weights of this TR and the ones before it in a volume taken ``offset`` s into this TR.

    Returns
    -------
    kernel : (n_lags,) float32
        ``kernel[k]`` belongs to the input ``k`` TRs ago, constant within each TR.

    >>> kernel = tr_kernel(t_r=1.5, offset=0.75)
    >>> int(kernel.argmax()), round(float(kernel.sum()), 3)
    (3, 1.0)
    """
    n_lags = trs_for(HRF_SECONDS, t_r) + 1
    edges = tr_onsets(n_lags + 1, t_r)
    return hrf_weights(edges, edges[-2] + offset, cumulative_hrf(model))[::-1].astype(np.float32)


def convolve_hrf(
    features: np.ndarray,
    rate_hz: float,
    frame_times: np.ndarray,
    model: str = "spm",
) -> np.ndarray:
    """Blur features by the HRF and sample them when the scanner did.

    Parameters
    ----------
    features : (n_samples, n_features) float
        Amounts, sample ``i`` lasting from ``i / rate_hz`` to ``(i + 1) / rate_hz`` s.
    rate_hz
        Samples per second of ``features``.
    frame_times : (n_trs,) s
        Acquisition times on the features' clock.
    model
        ``"spm"`` or ``"glover"``.

    Returns
    -------
    regressors : (n_trs, n_features) float32

    Raises
    ------
    TypeError
        Integer features: code indices are labels. Dequantise them first.

    >>> constant = convolve_hrf(np.ones((600, 1)), rate_hz=10.0, frame_times=np.array([0.0, 50.0]))
    >>> constant.round(3).ravel().tolist()
    [0.0, 1.0]
    """
    features = check_amounts(features)
    edges = sample_edges(len(features), rate_hz)
    cumulative = cumulative_hrf(model)
    regressors = np.empty((len(frame_times), features.shape[1]), dtype=np.float32)
    for i, time in enumerate(frame_times):  # only the last 32 s of input matter to a volume
        start, stop = np.searchsorted(edges, [time - HRF_SECONDS, time])
        start, stop = max(0, start - 1), min(stop, len(features))
        regressors[i] = (
            hrf_weights(edges[start : stop + 1], time, cumulative) @ features[start:stop]
        )
    return regressors
