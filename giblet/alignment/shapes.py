"""What a model must know of the data."""

from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Shapes:
    """What the data look like: all that a model must know of them.

    ``video`` and ``n_text`` are None for a film without pictures or words, ``subjects`` empty
    without a scan. ``n_blurred``: regressors, of which the bottleneck is made where the HRF is
    placed before it.
    """

    use_encodec: bool
    n_rows: int  # codebooks or mel bands
    frames_per_tr: int
    codebook_size: int = 1024
    codebook_dim: int = 128
    video: tuple[int, int, int] | None = None  # (n_frames, height, width) per TR
    n_text: int | None = None
    n_voxels: int = 0
    subjects: tuple[str, ...] = ()
    n_blurred: int = 0
    hrf_kernel: tuple[float, ...] = field(default=(), repr=False)

    def to_dict(self) -> dict:
        """For JSON and checkpoints."""
        return asdict(self)
