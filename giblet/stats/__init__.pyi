"""What `giblet.stats` offers; each is imported from its module when it is first used."""

from .array_backend import (
    array_functions as array_functions,
    ridge_backend as ridge_backend,
)
from .common_space import (
    ALIGNMENTS as ALIGNMENTS,
    CommonSpace as CommonSpace,
    Transform as Transform,
    fit_common_space as fit_common_space,
    rotation as rotation,
)
from .cross_validation import (
    check_fold as check_fold,
    delayed as delayed,
    explained as explained,
    fold_labels as fold_labels,
    held_out_scores as held_out_scores,
    near as near,
    purged_folds as purged_folds,
    run_labels as run_labels,
)
from .fold_intervals import (
    fold_interval as fold_interval,
)
from .group_maps import (
    null_maps as null_maps,
)
from .intersubject import (
    agreement as agreement,
    explainable_variance as explainable_variance,
    isc as isc,
    isc_nulls as isc_nulls,
    noise_ceiling as noise_ceiling,
    repeat_ceiling as repeat_ceiling,
)
from .level_encoding import (
    peak_levels as peak_levels,
)
from .pearson import (
    correlation as correlation,
    cosine as cosine,
    unit_series as unit_series,
)
from .permutation import (
    Chance as Chance,
    against_chance as against_chance,
    among_nulls as among_nulls,
    block_permuted as block_permuted,
    circular_shifts as circular_shifts,
    false_discovery_rate as false_discovery_rate,
    holm as holm,
    n_sign_flips as n_sign_flips,
    phase_randomised as phase_randomised,
    random_phases as random_phases,
    shifted_correlation as shifted_correlation,
    sign_flip_p as sign_flip_p,
)
from .ridge import (
    band_columns as band_columns,
    band_mixtures as band_mixtures,
    banded_ridge as banded_ridge,
    banded_weights as banded_weights,
    columns_refit as columns_refit,
    columns_ridge as columns_ridge,
    fit_ridge as fit_ridge,
    folds_within as folds_within,
    ridge_encoding as ridge_encoding,
    scale_by_training as scale_by_training,
    scale_columns as scale_columns,
)
from .variance import (
    shares as shares,
    variance_partition as variance_partition,
)
