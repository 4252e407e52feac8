"""Series cleaned of drifts and nuisance, in blocks of columns."""

import numpy as np

from giblet.timing import acquisition_times

_COLUMNS_AT_ONCE = 4096  # 65 MB of float64 at 1,976 volumes


def clean_series(
    series: np.ndarray, nuisance: np.ndarray, t_r: float, high_pass_hz: float | None
) -> np.ndarray:
    """``series`` (n_volumes, n_columns) float, cleaned in its own place, around 0.

    A linear trend, cosines slower than ``high_pass_hz`` (None: none) and ``nuisance``
    (n_volumes, n_confounds) are regressed out together, by ``nilearn.signal.clean`` in float64.
    """
    from nilearn import signal

    nuisance = np.hstack([nuisance, slow_cosines(len(series), t_r, high_pass_hz)])
    for start in range(0, series.shape[1], _COLUMNS_AT_ONCE):
        block = series[:, start : start + _COLUMNS_AT_ONCE]
        block[:] = signal.clean(
            block.astype(np.float64),
            detrend=True,
            standardize=None,
            filter=False,
            confounds=nuisance if nuisance.shape[1] else None,
        )
    return series


def slow_cosines(n_volumes: int, t_r: float, high_pass_hz: float | None) -> np.ndarray:
    """Cosines slower than ``high_pass_hz``, (n_volumes, n_cosines).

    Not by ``signal.clean(filter="cosine")``: nilearn 0.13 leaves the filter out, with a warning,
    when a confound happens to look like one of the cosines (r > 0.9), as slow motion does.
    """
    from nilearn.glm.first_level import make_first_level_design_matrix

    if not high_pass_hz:
        return np.empty((n_volumes, 0))
    times = acquisition_times(n_volumes, t_r)
    design = make_first_level_design_matrix(times, drift_model="cosine", high_pass=high_pass_hz)
    return design.drop(columns="constant").to_numpy()
