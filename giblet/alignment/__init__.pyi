"""What `giblet.alignment` offers; each is imported from its module when it is first used."""

from .aligned import (
    align as align,
    film_data as film_data,
    film_shapes as film_shapes,
    film_sound as film_sound,
    split_match as split_match,
    unbroken_runs as unbroken_runs,
)
from .dataset import (
    FilmData as FilmData,
    check_apart as check_apart,
    check_gap as check_gap,
    check_no_overlap as check_no_overlap,
    gap_trs as gap_trs,
    gap_warnings as gap_warnings,
    runs_without_scale as runs_without_scale,
    split_film as split_film,
    windows as windows,
    zscore_bold as zscore_bold,
)
from .hrf import (
    convolve_hrf as convolve_hrf,
    cumulative_hrf as cumulative_hrf,
    fir_lags as fir_lags,
    hrf_density as hrf_density,
    hrf_weights as hrf_weights,
    tr_kernel as tr_kernel,
)
from .lag import (
    Lag as Lag,
    adapt as adapt,
    estimate_lag as estimate_lag,
    lag_arrays as lag_arrays,
    scan_lag as scan_lag,
    sound_levels as sound_levels,
)
from .own_runs import (
    clock_groups as clock_groups,
)
from .regressors import (
    film_regressors as film_regressors,
    reach_warnings as reach_warnings,
    regress as regress,
    slow_drifts as slow_drifts,
)
from .showings import (
    shown_by_run as shown_by_run,
    shown_seconds as shown_seconds,
)
from .sync import (
    Match as Match,
    check_scan_t_r as check_scan_t_r,
    match_runs as match_runs,
    match_scans as match_scans,
    match_volumes as match_volumes,
    missed_warnings as missed_warnings,
    move_run as move_run,
    move_runs as move_runs,
    move_scans as move_scans,
    unscanned_warnings as unscanned_warnings,
)
