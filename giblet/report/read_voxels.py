"""The voxels that the decoder reads, chosen by the function that decoding uses."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from giblet.alignment.aligned import film_data
from giblet.alignment.voxels import voxels_to_read
from giblet.config.config import Config
from giblet.config.sections import DecodingConfig
from giblet.report.page_text import isolated
from giblet.report.scan_quality import BrainResults, places_of


@dataclass(frozen=True)
class ReadVoxels:
    """Voxels (or vertices, or parcels) that the decoder reads, and from how many they are chosen.

    columns : (n_read,) int, among those of the scans
    noun : voxels, vertices or parcels
    n_scanned : of the scans
    n_kept : of these, those that training and decoding use (``max_voxels``)
    rule : how they are chosen from ``n_kept``; empty where the decoder reads all
    """

    columns: np.ndarray
    noun: str
    n_scanned: int
    n_kept: int
    rule: str

    def __str__(self) -> str:
        return f"{len(self.columns):,} of {self.n_scanned:,} {self.noun}"

    @property
    def note(self) -> str:
        """The numbers and the rules of both choices, as sentences."""
        first = f"{self}."
        if self.n_kept < self.n_scanned:
            first += (
                f" {self.n_kept:,} were kept for training (max_voxels): those with the highest "
                "inter-subject correlation in training TRs."
            )
        return f"{first} The decoder reads {self.rule}." if self.rule else first


def read_voxels(
    aligned: xr.Dataset, config: Config, brain: BrainResults, simulated: Path
) -> ReadVoxels | None:
    """The voxels that `giblet.evaluation.brain_scores.decode_brains` reads.

    ``aligned``: with ``bold``. ``simulated``: the folder of simulated brains, which exists where
    there are any. None where the columns are unknown (results of an older giblet), or the region.
    """
    if "column" not in aligned.coords:
        return None
    decoding, regions = config.decoding, None
    if decoding.region is not None:
        regions = _regions(aligned, config.lesion.regions, simulated)
        if decoding.region not in regions:
            return None
    data = film_data(aligned)
    bold = data.bold.numpy()[:, data.where("train")]
    chosen = voxels_to_read(bold, decoding, regions)
    noun, n_kept = places_of(brain.quality), aligned.sizes["voxel"]
    rule = "" if len(chosen) == n_kept else _rule(decoding, noun, n_kept)
    columns = aligned["column"].values[chosen]
    return ReadVoxels(columns, noun, brain.quality.sizes["voxel"], n_kept, rule)


def _rule(decoding: DecodingConfig, noun: str, n_kept: int) -> str:
    if decoding.region is not None:
        return f"the {noun} of the region {isolated(decoding.region)} (decoding.region)"
    return (
        f"the {100 * decoding.voxel_share:g} % of {n_kept:,} {noun} with the highest inter-subject "
        "correlation in training TRs (decoding.voxel_share)"
    )


def _regions(aligned: xr.Dataset, wanted: str, simulated: Path) -> dict[str, np.ndarray]:
    """Regions by ``lesion.regions``, as the rules that decode get them."""
    from giblet.brain.regions import find_regions

    if wanted == "parcels":
        return find_regions(aligned, None)
    if wanted != "auto":
        return find_regions(aligned, wanted)
    return find_regions(aligned, simulated) if simulated.is_dir() else {}
