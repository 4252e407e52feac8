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
    where torch sees no GPU, and where the GPU's memory is full.

    >>> with ridge_backend("torch"):
    ...     array_functions()[0].__name__
    'torch'
    """
    if name == NUMPY:  # as it was set
        yield
        return
    check_backend(name)
    import torch
    from himalaya.backend import get_backend, set_backend

    before = get_backend()
    set_backend(name)
    try:
        yield
    except torch.OutOfMemoryError as error:
        if name != "torch_cuda":
            raise
        raise GibletError(
            "ridge_backend: torch_cuda: the GPU's memory is full. Choose numpy or torch, or a "
            "smaller max_voxels"
        ) from error
    finally:
        set_backend(before)


def check_backend(name: str) -> None:
    """GibletError for ``torch_cuda`` where torch sees no GPU."""
    if name != "torch_cuda":
        return
    import torch

    if not torch.cuda.is_available():
        raise GibletError(
            "ridge_backend: torch_cuda needs a GPU, and torch sees none here: choose numpy or torch"
        )


def array_functions() -> tuple[Any, Any]:
    """The module of array functions (numpy or torch), and himalaya's backend, which converts."""
    from himalaya.backend import get_backend

    backend = get_backend()
    if backend.name == NUMPY:
        return np, backend
    import torch

    return torch, backend
