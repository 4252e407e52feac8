"""The small models and data that tests share; what a test is about, it says itself."""

import numpy as np
import torch

from giblet.alignment.dataset import FilmData, split_film, zscore_bold
from giblet.alignment.hrf import tr_kernel
from giblet.alignment.shapes import Shapes
from giblet.config.sections import ModelConfig, SplitConfig

T_R = 1.5
FLAT_SIZES = {
    "layout": "flat",
    "code_head": "classifier",
    "start_from": "none",
    "audio_dim": 16,
    "video_dim": 8,
    "text_dim": 8,
    "bottleneck_dim": 32,
    "embedding_dim": 4,
    "decoder_dim": 8,
    "readout_rank": 4,
}
SLOT_SIZES = {
    "start_from": "none",
    "slot_frames": 4,
    "slot_dim": 8,
    "slot_video": 1,
    "slot_text": 1,
    "slot_width": 16,
    "frame_width": 12,
    "video_dim": 8,
    "text_dim": 8,
    "readout_rank": 4,
}


def flat_model(**changes) -> ModelConfig:
    return ModelConfig(**FLAT_SIZES | changes)


def slot_model(**changes) -> ModelConfig:
    return ModelConfig(**SLOT_SIZES | changes)


def small_shapes(**changes) -> Shapes:
    """Two codebooks of 16, eight frames a TR, one video frame, words, two brains of five voxels."""
    sizes = {
        "use_encodec": True,
        "n_rows": 2,
        "frames_per_tr": 8,
        "codebook_size": 16,
        "video": (1, 16, 16),
        "n_text": 6,
        "n_voxels": 5,
        "subjects": ("sub-01", "sub-02"),
        "hrf_kernel": tuple(tr_kernel(T_R, T_R / 2).tolist()),
    }
    return Shapes(**sizes | changes)


def scanned(film: dict, raw_bold: np.ndarray, subjects=("sub-01", "sub-02"), n_first=30):
    """Data in two runs, the first of ``n_first`` TRs, with scans (n_subjects, n_trs, n_voxels).

    Without scans where ``raw_bold`` is None.
    """
    n_trs = len(film["audio"])
    part = split_film(n_trs, T_R, SplitConfig(gap_seconds=6), has_bold=True)
    run = np.repeat(["run-1", "run-2"], [n_first, n_trs - n_first])
    if raw_bold is None:
        return FilmData(film, None, part, run)
    bold, _ = zscore_bold(raw_bold.astype(np.float32), run, part == "train")
    return FilmData(film, torch.from_numpy(bold), part, run, subjects)
