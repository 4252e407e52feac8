"""Memory, time and processors of each rule, for the workflow, which asks for them, and `doctor`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from giblet.config.config import Config

NULLS_MB = 2000  # of null maps that the memory of `brain_quality` has room for


@dataclass(frozen=True)
class Cost:
    """Resources that one job of a rule asks for: more than it takes, for long films too.

    ``memory_mb`` and ``minutes``: at least; ``*_per_mb``: more for each MB that it reads;
    ``memory_per_bold_mb``: of BOLD that is read in blocks (``None``: as of anything else).
    ``holds_nulls``: it holds null maps, whose size depends on the settings.
    """

    memory_mb: float
    minutes: float
    memory_per_mb: float = 0
    minutes_per_mb: float = 0
    memory_per_bold_mb: float | None = None
    threads: int = 1
    holds_nulls: bool = False

    def memory(self, read_mb: float, bold_mb: float = 0, nulls_mb: float = 0) -> int:
        """MB of memory for a job that reads ``read_mb``, ``bold_mb`` of them BOLD.

        ``nulls_mb`` of null maps count from `NULLS_MB` on.

        >>> COSTS["sync_align"].memory(read_mb=100, bold_mb=90)
        1567
        >>> [COSTS["brain_quality"].memory(100, nulls_mb=mb) for mb in (0, 2000, 5000)]
        [4005, 4005, 7005]
        """
        per_bold_mb = self.memory_per_bold_mb
        if per_bold_mb is None:
            per_bold_mb = self.memory_per_mb
        more = self.memory_per_mb * (read_mb - bold_mb) + per_bold_mb * bold_mb
        return round(self.memory_mb + more + max(0.0, nulls_mb - NULLS_MB))

    def runtime(self, read_mb: float) -> int:
        """Minutes for a job that reads ``read_mb``.

        >>> COSTS["load_bold"].runtime(read_mb=1000)
        80
        """
        return round(self.minutes + self.minutes_per_mb * read_mb)


COSTS = {
    "render_music": Cost(1000, 15, minutes_per_mb=10),
    "join_stimuli": Cost(1000, 30, minutes_per_mb=0.05),
    "extract_codes": Cost(1500, 60, minutes_per_mb=0.1),
    "extract_mel": Cost(3000, 30, minutes_per_mb=0.1),
    "group_trs": Cost(1000, 15, memory_per_mb=3),
    "extract_video": Cost(1000, 60, minutes_per_mb=0.1),
    "embed_text": Cost(1000, 60),
    "sound_features": Cost(4000, 120, minutes_per_mb=5),
    "picture_features": Cost(4000, 240, minutes_per_mb=2),
    "word_features": Cost(4000, 240),
    "read_score": Cost(1500, 30, minutes_per_mb=0.1),
    "score_features": Cost(2000, 60, minutes_per_mb=10),
    "simulate_bold": Cost(2000, 30),
    "load_bold": Cost(3000, 60, minutes_per_mb=0.02),
    "convolve_hrf": Cost(3000, 30),
    "brain_quality": Cost(4000, 60, memory_per_mb=0.05, minutes_per_mb=0.05, holds_nulls=True),
    "sync_align": Cost(1500, 30, memory_per_mb=4, minutes_per_mb=0.02, memory_per_bold_mb=0.3),
    "train": Cost(3000, 240, memory_per_mb=3, minutes_per_mb=0.5, threads=2),
    "reconstruct": Cost(3400, 120, memory_per_mb=4, minutes_per_mb=0.5, threads=2),
    "reconstruct_score": Cost(3000, 120, memory_per_mb=3, minutes_per_mb=0.5),
    "codec_ladder": Cost(4000, 120, memory_per_mb=4, minutes_per_mb=1),
    "decode_features": Cost(3000, 120, memory_per_mb=3, minutes_per_mb=0.5),
    "fold_scores": Cost(500, 15),
    "lesion": Cost(3000, 240, memory_per_mb=3, minutes_per_mb=0.5),
    "searchlight": Cost(3000, 240, memory_per_mb=3, minutes_per_mb=1),
    "leave_one_out": Cost(3000, 720, memory_per_mb=3, minutes_per_mb=5, threads=2),
    "calibration": Cost(3000, 120, memory_per_mb=3, minutes_per_mb=0.5),
    "anchored_prior": Cost(3000, 120, memory_per_mb=3, minutes_per_mb=0.5),
    "report": Cost(4200, 60, memory_per_mb=1, memory_per_bold_mb=0.1, threads=2),
    "export": Cost(3000, 60, memory_per_mb=0.4, minutes_per_mb=0.05),
    "pretrain": Cost(4000, 720, memory_per_mb=3, threads=2),
    "train_codec": Cost(6000, 1440, threads=2),
}


def null_maps_mb(n_columns: int, n_subjects: int, config: "Config") -> float:
    """MB of the null maps that `brain_quality` holds, of so many voxels or parcels.

    Maps of r of one modality at a time, and of ISC where there are two subjects or more; float32.
    """
    from giblet.alignment.voxels import n_kept

    quality, n_places = config.quality, n_kept(n_columns, n_subjects, config.max_voxels)
    n_isc = quality.n_permutations * (n_subjects > 1)
    return 4e-6 * (n_places * min(quality.n_shift_maps, quality.n_shifts) + n_columns * n_isc)


def file_nulls_mb(bold: str | Path, config: "Config") -> float:
    """`null_maps_mb` of the scans in ``bold``, a file of `load_bold`, by its sizes.

    0 of a file that cannot be read: the rule that reads it says why. FileNotFoundError where there
    is none.
    """
    import h5py

    Path(bold).stat()  # Snakemake knows this FileNotFoundError, but not that of h5py
    try:
        with h5py.File(bold) as file:
            n_columns, subjects = file["bold"].shape[1], file["subject"][:]
    except (OSError, KeyError, IndexError):
        return 0.0
    return null_maps_mb(n_columns, len(set(subjects.tolist())), config)
