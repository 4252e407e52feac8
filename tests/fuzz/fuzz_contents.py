"""Array sets that are whole, and were written by others: wrong attributes and wrong variables.

And scans whose numbers lie in further files.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from fuzz_damage import Damage

VALUES = [-5, 10**12, "x", np.nan, 1e308, "", 0, [1.0, 2.0], -1.5, "[1]"]
N_ATTRIBUTES, N_VARIABLES = 30, 15


def of_contents() -> Iterator[tuple[str, Damage]]:
    """Every attribute and variable of a set in turn, which has no seal then."""
    for n in range(N_ATTRIBUTES):
        yield f"attribute {n} changed", lambda path, n=n: _write_again(path, _attribute, n)
    for n in range(N_VARIABLES):
        yield f"variable {n} changed", lambda path, n=n: _write_again(path, _variable, n)


def _write_again(path: Path, change, n: int) -> None:
    from giblet.io.arrays import load_arrays

    change(arrays := load_arrays(path), n).to_netcdf(path, engine="h5netcdf")
    arrays.close()


def _attribute(arrays, n: int):
    names = sorted(arrays.attrs)
    value = VALUES[(n + n // len(names)) % len(VALUES)]
    return arrays.assign_attrs({names[n % len(names)]: value})


def _variable(arrays, n: int):
    names = sorted(map(str, arrays.variables))
    values = arrays[name := names[n % len(names)]]
    ways = (
        lambda: values.astype(str),
        lambda: values.isel(dict.fromkeys(values.dims[:1], slice(0, 0))).rename(_other(values)),
        lambda: values.astype(str).where(False, np.nan).astype(float),
        lambda: values.rename(_other(values)),
        lambda: values.astype(str).where(False, -7).astype(np.int16),
    )
    return arrays.drop_vars(name).assign({name: ways[(n + n // len(names)) % len(ways)]().variable})


def _other(values) -> dict:
    return {dim: f"other_{dim}" for dim in values.dims}


def further_files() -> Iterator[tuple[str, str, Damage]]:
    """File, how, and what makes its reader open another one."""
    for other in ("/etc/passwd", "pipe"):
        yield "bold.h5", f"numbers in {other}", lambda path, o=other: _external(path, o)
        yield "bold.func.gii", f"numbers in {other}", lambda path, o=other: _surface(path, o)


def _external(path: Path, other: str) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file.create_dataset("series", (60, 6), "f4", external=[(_named(path, other), 0, 1440)])


def _surface(path: Path, other: str) -> None:
    text = path.read_text().replace('Encoding="GZipBase64Binary"', 'Encoding="ExternalFileBinary"')
    named = f'ExternalFileName="{_named(path, other)}"'
    path.write_text(text.replace('ExternalFileName=""', named))


def _named(path: Path, other: str) -> str:
    import os

    if other == "pipe":
        os.mkfifo(path.with_name(other))
    return other
