"""HDF5 files that hold all they tell: others' may point to further files, which nobody named."""

from pathlib import Path
from typing import TYPE_CHECKING

from giblet.checks import GibletError

if TYPE_CHECKING:
    import h5py


def check_own(file: "h5py.File", path: str | Path) -> None:
    """Nothing in an HDF5 file (netCDF, too) lies in another one.

    Such a file would make its reader open whatever it names, a pipe that never ends as well.

    Raises
    ------
    GibletError
        External links or storage, or virtual data sets.
    """
    import h5py

    def outside(name: str, link) -> str | None:
        if isinstance(link, h5py.ExternalLink):
            return name
        if isinstance(link, h5py.SoftLink):  # to what is seen anyway, or by an external link
            return None
        found = h5py.h5o.open(file.id, name.encode("utf-8", "surrogateescape"))
        if not isinstance(found, h5py.h5d.DatasetID):
            return None
        stored = found.get_create_plist()
        virtual = stored.get_layout() == h5py.h5d.VIRTUAL
        return name if virtual or stored.get_external_count() else None

    if name := file.visititems_links(outside):
        raise GibletError(f"{path}: {name} lies in another file; copy it into this one")
