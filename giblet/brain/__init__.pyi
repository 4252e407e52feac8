"""What `giblet.brain` offers; each is imported from its module when it is first used."""

from .bold import (
    clean_series as clean_series,
    find_layout as find_layout,
    load_bids as load_bids,
    load_runs as load_runs,
    load_scans as load_scans,
    null_series as null_series,
    read_data_set as read_data_set,
    save_bold as save_bold,
    slow_cosines as slow_cosines,
    survey_bids as survey_bids,
    survey_runs as survey_runs,
    survey_scans as survey_scans,
)
from .cortex import (
    vertex_maps as vertex_maps,
)
from .nifti import (
    to_nifti as to_nifti,
)
from .qc import (
    framewise_displacement as framewise_displacement,
    tsnr as tsnr,
)
from .regions import (
    atlas_regions as atlas_regions,
    find_regions as find_regions,
    labels_at as labels_at,
    named_regions as named_regions,
    read_regions as read_regions,
    surface_regions as surface_regions,
)
