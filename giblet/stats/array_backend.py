"""The arrays that ridge computes with: NumPy's, or torch's on the processor or a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from giblet.errors import GibletError

NUMPY = "numpy"


@contextmanager
def ridge_backend(name: str) -> Iterator[None]:
    """Ridge runs on this backend (``numpy``, ``torch``, ``torch_cuda``) within the block.

    It is himalaya's, which is one for the whole process. Raises GibletError for ``torch_cuda``
    where torch sees no GPU.

    >>> with ridge_backend("torch"):
    ...     array_functions()[0].__name__
    'torch'
    """
    if name == NUMPY:  # as it was set
        yield
        return
    import torch
    from himalaya.backend import get_backend, set_backend

    if name == "torch_cuda" and not torch.cuda.is_available():
        raise GibletError(
            "ridge_backend: torch_cuda needs a GPU, and torch sees none here: choose numpy or torch"
        )
    before = get_backend()
    set_backend(name)
    try:
        yield
    finally:
        set_backend(before)


def array_functions() -> tuple[Any, Any]:
    """The module of array functions (numpy or torch), and himalaya's backend, which converts."""
    from himalaya.backend import get_backend

    backend = get_backend()
    if backend.name == NUMPY:
        return np, backend
    import torch

    return torch, backend
