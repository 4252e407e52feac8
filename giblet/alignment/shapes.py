"""Sizes of the data that a model is built for."""

from dataclasses import asdict, dataclass, field
from typing import Self


@dataclass(frozen=True)
class Shapes:
    """Sizes of the data that a model is built for.

    ``video`` and ``n_text`` are None for a film without video frames or text, ``others`` holds the
    shapes of further modalities; `of` reads all three. ``subjects`` is empty without a scan.
    ``n_blurred``: regressors, of which the bottleneck is made where the HRF is placed before it.
    """

    use_encodec: bool
    n_rows: int  # codebooks or mel bands
    frames_per_tr: int
    codebook_size: int = 1024
    codebook_dim: int = 128
    video: tuple[int, ...] | None = None  # (n_frames, height, width) per TR
    n_text: int | None = None
    n_voxels: int = 0
    subjects: tuple[str, ...] = ()
    n_blurred: int = 0
    hrf_kernel: tuple[float, ...] = field(default=(), repr=False)
    others: tuple[tuple[str, tuple[int, ...]], ...] = ()  # (modality, shape in one TR)

    @classmethod
    def with_modalities(cls, sizes: dict[str, tuple[int, ...]], **others) -> Self:
        """Shapes of a film whose modalities, but for sound, have these ``sizes`` in one TR.

        >>> sizes = {"text": (1024,)}
        >>> shapes = Shapes.with_modalities(sizes, use_encodec=True, n_rows=8, frames_per_tr=112)
        >>> shapes.n_text, shapes.of("text"), shapes.of("video")
        (1024, (1024,), None)
        """
        rest = dict(sizes)
        video, (n_text,) = rest.pop("video", None), rest.pop("text", (None,))
        return cls(video=video, n_text=n_text, others=tuple(rest.items()), **others)

    def of(self, modality: str) -> tuple[int, ...] | None:
        """Shape of a modality's features in one TR; None where the film lacks it."""
        if modality == "audio":
            return self.n_rows, self.frames_per_tr
        text = None if self.n_text is None else (self.n_text,)
        return {"video": self.video, "text": text, **dict(self.others)}.get(modality)

    @property
    def feature_type(self) -> str:
        """Name of the sound's feature type."""
        return "encodec" if self.use_encodec else "mel"

    @classmethod
    def from_dict(cls, values: dict) -> Self:
        """As JSON or a checkpoint has them. TypeError for a name that is none of the fields."""
        return cls(**{name: _tuple(value) for name, value in values.items()})

    def to_dict(self) -> dict:
        """For JSON and checkpoints; without ``others`` as before there were any."""
        values = asdict(self)
        return values if self.others else {k: v for k, v in values.items() if k != "others"}


def _tuple(value):
    return tuple(map(_tuple, value)) if isinstance(value, list | tuple) else value
