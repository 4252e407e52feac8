"""Parts of a codec's training that a config chooses by name."""

import inspect
from collections.abc import Mapping
from math import isfinite
from typing import Any

from giblet.checks import GibletError, nearest_name


def build_part(
    kind: str, name: str, known: Mapping[str, type], parameters: Mapping[str, Any], **given
) -> Any:
    """``known[name](**given, **parameters)``, where ``parameters`` come from a config.

    ``kind`` names the table in errors. Raises GibletError for a name or a parameter that is not
    there; ``given`` are not the config's to set.
    """
    if name not in known:
        raise GibletError(
            f"{kind}: there is no {name!r}{nearest_name(name, list(known))} "
            f"(of: {', '.join(known)})"
        )
    allowed = [key for key in inspect.signature(known[name]).parameters if key not in given]
    for key in parameters:
        if key not in allowed:
            raise GibletError(
                f"{kind}.{name}: there is no parameter {key!r}{nearest_name(key, allowed)} "
                f"(of: {', '.join(allowed)})"
            )
    return known[name](**given, **parameters)


def check_weight(name: str, weight: Any) -> float:
    """``weight`` of the loss called ``name``, if it is a number from 0 on, or GibletError."""
    is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
    if not is_number or not isfinite(weight) or weight < 0:
        raise GibletError(f"{name}: its weight must be a number from 0 on, got {weight!r}")
    return float(weight)
