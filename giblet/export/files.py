"""Files of a BIDS derivative data set: tables, images, and the sidecar of each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from giblet.brain.nifti import brain_affine, save_volume
from giblet.export.names import Names
from giblet.io.tables import save_json

TABLE = "timeseries.tsv"
FILM_TIME = {"Description": "when the volume was taken, on the film's clock", "Units": "s"}


@dataclass(frozen=True)
class Export:
    """File names, the scans of the data set, and the first words of every sidecar.

    ``scans`` as ``giblet.brain.bold.load_bids`` gives them; ``bold`` itself is not asked for.
    """

    names: Names
    scans: xr.Dataset
    note: str = ""

    @property
    def has_voxels(self) -> bool:
        """Whether a column of BOLD is a voxel of an image, not a parcel."""
        return "mask" in self.scans and "labels" not in self.scans

    @property
    def columns(self) -> tuple[str, list[str]]:
        """What names the columns of BOLD in tables, and their names: parcels, or vertices."""
        if "parcel" in self.scans.coords:
            return "parcel", self.scans["parcel"].values.astype(str).tolist()
        sides, vertices = self.scans["hemisphere"].values.astype(str), self.scans["vertex"].values
        return "vertex", [
            f"{side}{n}" if side else f"voxel{k}"
            for k, (side, n) in enumerate(zip(sides, vertices.tolist(), strict=True))
        ]

    def showings(self) -> Iterator[tuple[str, str, np.ndarray]]:
        """Subject, run and its volumes (n_volumes,) indices, of every run."""
        import pandas as pd

        labels = {name: self.scans[name].values.astype(str) for name in ("subject", "run")}
        runs = pd.DataFrame(labels).groupby([*labels], sort=False)
        for (subject, run), volumes in runs:
            yield subject, run, volumes.index.to_numpy()

    def describe(self, path: Path, description: str, **fields) -> None:
        """Write the sidecar of ``path``; above several files, of all that have its entities."""
        sidecar = path.with_name(path.name.split(".")[0] + ".json")
        save_json({"Description": self.note + description} | fields, sidecar)

    def save_columns(self, path: Path, columns: Mapping[str, np.ndarray | Sequence]) -> None:
        """A table; floats have the digits that bring them back as they were."""
        import pandas as pd

        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(columns).to_csv(path, sep="\t", index=False, na_rep="n/a")

    def save_image(
        self, path: Path, values: np.ndarray, t_r: float | None = None, fill: float = np.nan
    ) -> None:
        """Values (n_voxels,) as a map, or (n_volumes, n_voxels) as volumes ``t_r`` s apart; outside
        the brain is ``fill``."""
        mask = self.scans["mask"].values.astype(bool)
        shape = mask.shape if t_r is None else (*mask.shape, len(values))
        volume = np.full(shape, fill, dtype=np.float32)
        volume[mask] = values.T
        path.parent.mkdir(parents=True, exist_ok=True)
        save_volume(path, volume, brain_affine(self.scans), t_r)
