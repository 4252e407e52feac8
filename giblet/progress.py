"""Bars for people who wait at a terminal; nothing where standard error is kept or piped on."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def progress(steps: Iterable[T], doing: str, unit: str = "") -> Iterator[T]:
    """``steps`` as they come, with a bar on a terminal: how many are done, and the time left.

    The bar goes when all are done. The time left is known where ``len(steps)`` is.

    >>> list(progress([1, 2], "counting"))
    [1, 2]
    """
    from tqdm import tqdm

    # None: silent where standard error is no terminal
    return iter(tqdm(steps, desc=doing, unit=f" {unit}", disable=None, leave=False))
