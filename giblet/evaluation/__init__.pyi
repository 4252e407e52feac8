"""What `giblet.evaluation` offers; each is imported from its module when it is first used."""

from .decoder import (
    Decoder as Decoder,
)
from .decoding import (
    decode_silenced as decode_silenced,
    decode_subject as decode_subject,
    lagged as lagged,
    lags_in_trs as lags_in_trs,
    nearest_clips as nearest_clips,
)
from .encoding_folds import (
    ridge_folds as ridge_folds,
)
from .group_maps import (
    cluster_table as cluster_table,
)
from .lesions import (
    Lesion as Lesion,
    change_rows as change_rows,
    decode_lesions as decode_lesions,
    lesion as lesion,
    paired_change as paired_change,
    plan_lesions as plan_lesions,
    score_change_rows as score_change_rows,
)
from .level_scores import (
    level_profile as level_profile,
)
from .moments import (
    Scored as Scored,
    difference_rows as difference_rows,
    difference_table as difference_table,
    moment_rows as moment_rows,
    score_row as score_row,
)
from .needed_film import (
    FilmNeed as FilmNeed,
    film_needs as film_needs,
)
from .nulls import (
    null_shifts as null_shifts,
    own_and_shifted_scores as own_and_shifted_scores,
    scores_and_nulls as scores_and_nulls,
    shifted_shares as shifted_shares,
    shifted_sound_scores as shifted_sound_scores,
)
from .permuted_clips import (
    null_rows as null_rows,
    null_table as null_table,
)
from .quality import (
    after_film_warnings as after_film_warnings,
    brain_quality as brain_quality,
    parcel_table as parcel_table,
    summary_table as summary_table,
)
from .region_maps import (
    region_table as region_table,
)
from .scores import (
    bold_rows as bold_rows,
    code_rows as code_rows,
    rate_rows as rate_rows,
    reliable_voxels as reliable_voxels,
    score_table as score_table,
    share_right as share_right,
    sound_rows as sound_rows,
    sound_scores as sound_scores,
)
