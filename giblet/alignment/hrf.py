"""The haemodynamic response: what the scanner sees of an event, some seconds later."""

import math
from collections.abc import Sequence

import numpy as np

from giblet.errors import GibletError
from giblet.io.validation import check_features
from giblet.timing import sample_edges, tr_onsets, trs_for, whole_trs

MODELS = ("spm", "glover", "fir", "none")
HRF_SECONDS = 32.0  # length of the canonical kernels
_FIR_SECONDS = 2.0, 8.0  # where most of a response is
_GRID_S = 0.01  # spacing of the kernel's own grid, finer than any TR by far
_AT_ONCE = np.array([-2e-6, -1e-6])  # s: float noise in a time does not move it out of its sample
_BLOCK = 32  # volumes in one matrix product


# peak (s), undershoot (s), dispersion (s), share of the undershoot
_GAMMAS = {"spm": (6.0, 16.0, 1.0, 0.167), "glover": (6.0, 12.0, 0.9, 0.48)}


def hrf_density(model: str = "spm") -> tuple[np.ndarray, np.ndarray]:
    """The canonical kernel on a fine grid: (times (s), response density (1/s)).

    One gamma density minus a share of a later one, with nilearn's parameters (Friston et al. 1998;
    Glover 1999). It equals nilearn's ``spm_hrf`` and ``glover_hrf``, which take a second or more to
    import. The density integrates to 1, so a constant input keeps its level.

    Raises
    ------
    ValueError
        ``model`` is neither ``"spm"`` nor ``"glover"``.

    >>> times, density = hrf_density("spm")
    >>> bool(4.9 < times[density.argmax()] < 5.1)
    True
    """
    if model not in _GAMMAS:
        raise ValueError(f"hrf model must be one of {', '.join(_GAMMAS)}, got {model!r}")
    peak, undershoot, dispersion, share = _GAMMAS[model]
    times = np.linspace(0, HRF_SECONDS, whole_trs(HRF_SECONDS, _GRID_S))
    since = np.maximum(times - _GRID_S, 0) / dispersion  # nilearn's kernel starts one step late
    first, second = (_gamma(since, delay / dispersion) for delay in (peak, undershoot))
    density = first - share * second
    return times, density / (density.sum() * _GRID_S)


def _gamma(x: np.ndarray, shape: float) -> np.ndarray:
    """Density of the gamma distribution of scale 1, ``shape`` above 1."""
    return x ** (shape - 1) * np.exp(-x) / math.gamma(shape)


def cumulative_hrf(model: str = "spm") -> tuple[np.ndarray, np.ndarray]:
    """Integral of the kernel: (times (s), share of the response that has come by then)."""
    times, density = hrf_density(model)
    steps = (density[1:] + density[:-1]) / 2 * np.diff(times)
    return times, np.concatenate([[0.0], np.cumsum(steps)])


def hrf_weights(edges: np.ndarray, time: float | np.ndarray, cumulative: tuple) -> np.ndarray:
    """Weight of each stretch of input in the response at ``time``.

    The response to input that is constant between ``edges`` is
    ``sum_j input[j] * (H(t - edges[j]) - H(t - edges[j + 1]))``, with ``H`` the integral of the
    kernel: exact in continuous time, whatever the two grids, and causal.

    Parameters
    ----------
    edges : (n_samples + 1,) s
    time : s, or (n_times, 1)
    cumulative
        From ``cumulative_hrf``.

    Returns
    -------
    weights : (n_samples,), or (n_times, n_samples)
    """
    reached = np.interp(time - edges, *cumulative)  # 0 before the event, 1 long after it
    return reached[..., :-1] - reached[..., 1:]


def tr_kernel(t_r: float, offset: float, model: str = "spm") -> np.ndarray:
    """Weights of this TR and the ones before it in a volume taken ``offset`` s into this TR.

    Returns
    -------
    kernel : (n_lags,) float32
        ``kernel[k]`` belongs to the input ``k`` TRs ago, constant within each TR. ``"fir"`` has
        no kernel of its own and gets SPM's, as where learning may begin; ``"none"`` is this TR.

    >>> kernel = tr_kernel(t_r=1.5, offset=0.75)
    >>> int(kernel.argmax()), round(float(kernel.sum()), 3)
    (3, 1.0)
    """
    n_lags = trs_for(HRF_SECONDS, t_r) + 1
    if model == "none":
        return np.eye(1, n_lags, dtype=np.float32)[0]
    model = "spm" if model == "fir" else model
    edges = tr_onsets(n_lags + 1, t_r)
    return hrf_weights(edges, edges[-2] + offset, cumulative_hrf(model))[::-1].astype(np.float32)


def fir_lags(model: str, chosen: Sequence[float] | None, t_r: float) -> tuple[float, ...]:
    """The lags (s) of ``"fir"``: those ``chosen``, or every TR of 2 to 8 s; none of other models.

    Raises
    ------
    GibletError
        No multiple of the TR is within 2 to 8 s.

    >>> fir_lags("fir", None, t_r=1.5), fir_lags("fir", [2, 5], t_r=1.5), fir_lags("spm", [2], 1.5)
    ((3.0, 4.5, 6.0, 7.5), (2, 5), ())
    """
    if model != "fir" or chosen is not None:
        return tuple(chosen or ()) if model == "fir" else ()
    onsets = tr_onsets(whole_trs(_FIR_SECONDS[1], t_r) + 1, t_r)
    if not (lags := onsets[trs_for(_FIR_SECONDS[0], t_r) :].tolist()):
        raise GibletError(f"no multiple of t_r {t_r} s is within 2 to 8 s: set fir_lags_seconds")
    return tuple(lags)


def convolve_hrf(
    features: np.ndarray,
    rate_hz: float,
    frame_times: np.ndarray,
    model: str = "spm",
    *,
    lags: Sequence[float] = (),
    width: float | None = None,
) -> np.ndarray:
    """Blur features by the HRF and sample them when the scanner did.

    Exact in continuous time for features that are constant within their samples, and causal.

    Parameters
    ----------
    features : (n_samples, n_features) float
        Amounts, sample ``i`` lasting from ``i / rate_hz`` to ``(i + 1) / rate_hz`` s.
    rate_hz
        Samples per second of ``features``.
    frame_times : (n_trs,) s
        Acquisition times on the features' clock.
    model
        ``"spm"`` or ``"glover"``: nilearn's kernels. ``"fir"``: for each of ``lags`` the mean of
        the features over ``[t - lag - width, t - lag)``, 0 where nothing was shown; a linear model
        finds the response itself. ``"none"``: the sample that holds ``t``, nothing averaged.
    lags
        Of ``"fir"``: seconds, 0 or more.
    width
        Of ``"fir"``: seconds; the volumes' median spacing if None.

    Returns
    -------
    regressors : (n_trs, n_features) float32
        With ``"fir"`` (n_trs, n_lags * n_features), lag by lag: feature ``f`` at ``lags[k]`` is
        column ``k * n_features + f``.

    Raises
    ------
    TypeError
        Integer features: code indices are labels. Dequantise them first.
    ValueError
        Other shapes, NaN, an unknown model, ``lags`` missing, negative or of no use.

    >>> constant = convolve_hrf(np.ones((600, 1)), rate_hz=10.0, frame_times=np.array([0.0, 50.0]))
    >>> constant.round(3).ravel().tolist()
    [0.0, 1.0]
    >>> steps, times = np.arange(4.0)[:, None], np.array([3.0, 4.0])
    >>> convolve_hrf(steps, 1.0, times, model="fir", lags=[0.0, 2.0], width=1.0).tolist()
    [[2.0, 0.0], [3.0, 1.0]]
    """
    features, frame_times = check_features(features), np.asarray(frame_times, dtype=float)
    if features.ndim != 2 or frame_times.ndim != 1 or not np.isfinite(frame_times).all():
        raise ValueError(
            f"features must have shape (n_samples, n_features), got {features.shape}; "
            f"frame_times (n_trs,) in finite seconds, got {frame_times.shape}"
        )
    edges, n_features = sample_edges(len(features), rate_hz), features.shape[1]
    kernels = _kernels(model, frame_times, lags, width)
    regressors = np.empty((len(frame_times), len(kernels) * n_features), dtype=np.float32)
    for k, cumulative in enumerate(kernels):
        columns = regressors[:, k * n_features : (k + 1) * n_features]
        _blur(features, edges, frame_times, cumulative, columns)
    return regressors


def _kernels(
    model: str, frame_times: np.ndarray, lags: Sequence[float], width: float | None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Integrals (times (s), share come by then) of the kernels of ``model``: one, or one a lag."""
    if model not in MODELS:
        raise ValueError(f"hrf model must be one of {', '.join(MODELS)}, got {model!r}")
    if (model == "fir") != bool(len(lags)):
        raise ValueError(f"lags (s) belong to model 'fir' and to no other: got {model!r}, {lags}")
    if model == "none":
        return [(_AT_ONCE, np.array([0.0, 1.0]))]
    if model != "fir":
        return [cumulative_hrf(model)]
    if width is None and len(frame_times) > 1:
        width = float(np.median(np.diff(frame_times)))
    if width is None or width <= 0 or min(lags) < 0:
        raise ValueError(f"fir: lags must be 0 s or more and width above 0, got {lags}, {width}")
    return [(np.array([lag, lag + width]), np.array([0.0, 1.0])) for lag in lags]


def _blur(
    features: np.ndarray, edges: np.ndarray, times: np.ndarray, cumulative: tuple, out: np.ndarray
) -> None:
    """Fill ``out`` (n_trs, n_features): a matrix product for each block of volumes.

    Only the input that the kernel reaches back to has a weight; at a volume at ``t`` that is from
    ``t - cumulative[0][-1]`` on.
    """
    for begin in range(0, len(times), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        reach = times[block].min() - cumulative[0][-1], times[block].max() - cumulative[0][0]
        first, last = np.searchsorted(edges, reach)
        first, last = max(0, first - 1), min(last, len(features))
        weights = hrf_weights(edges[first : last + 1], times[block, None], cumulative)
        dtype = np.result_type(features, np.float32)
        out[block] = weights.astype(dtype) @ features[first:last].astype(dtype, copy=False)
