"""Clips identified by the BOLD that the bottleneck of each predicts (Kay et al. 2008)."""

from collections.abc import Sequence

import numpy as np

from giblet.alignment.dataset import FilmData
from giblet.alignment.voxels import Regions, voxels_to_read
from giblet.audio.metrics.identify import join_clips
from giblet.audio.metrics.table import BOLD_CLIPS, CLIPS
from giblet.config.sections import DecodingConfig, ScanConfig
from giblet.evaluation.brain_scores import held_out_stretches, identify_moments
from giblet.evaluation.group_decoding import mean_in_space, space_of
from giblet.evaluation.moments import BRAIN, GROUP, Scored
from giblet.timing import trs_for


def identify_by_bold(
    scored: Scored,
    predicted: np.ndarray,
    data: FilmData,
    t_r: float,
    decoding: DecodingConfig,
    scan: ScanConfig,
    seed: int,
    regions: Regions | None = None,
) -> list[dict]:
    """Which clip was shown, by measured and predicted BOLD: adds scores to ``scored``; rows of p.

    The measured BOLD of a clip's TRs is compared with what ``predicted`` (n_subjects, n_test,
    n_voxels), the model's readout of the bottleneck, has for each clip of the test part. Both are
    patterns of voxels and TRs; voxels are those of `voxels_to_read`. BOLD follows the film by
    seconds: a clip's BOLD is mostly of the seconds before. Columns as of decoding: subjects one by
    one, and together, the mean of both patterns in the common space of ``scan.alignment``.
    """
    train, test = data.where("train"), data.where("test")
    bold = data.bold.numpy()
    read = voxels_to_read(bold[:, train], decoding, regions)
    bold, predicted = bold[..., read], predicted[..., read]
    clip_trs, stretches = trs_for(decoding.clip_seconds, t_r), held_out_stretches(data)

    def clips(series: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack([join_clips(one, stretches, clip_trs) for one in series])

    columns = {BRAIN: (bold[:, test], predicted)}
    if len(bold) > 1:
        space = space_of(bold, train, scan, data.penalty_folds(train))
        pair = bold[:, test], predicted
        measured, expected = (mean_in_space(space, series)[None] for series in pair)
        columns[GROUP] = (measured, expected)
    rows, what = [], (BOLD_CLIPS, CLIPS)
    for column, (measured, expected) in columns.items():
        pair = (clips(measured), clips(expected))
        rows += identify_moments(scored, column, *pair, what, decoding.clip_seconds, decoding, seed)
    return rows
