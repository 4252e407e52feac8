"""Checkpoints that a stopped training resumes from: whole, or not read."""

import io
import logging
from pathlib import Path

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from giblet.errors import GibletError
from giblet.io.atomic import replacing
from giblet.io.checksums import seal, sealed_bytes


class SealedCheckpoints(TorchCheckpointIO):
    """Lightning plugin that writes and reads checkpoints whole, with a seal."""

    def save_checkpoint(self, checkpoint, path, storage_options=None):
        with replacing(path) as temporary:
            torch.save(checkpoint, temporary)
            seal(temporary)

    def load_checkpoint(self, path, map_location=None, weights_only=None):
        return read_checkpoint(path)


def read_checkpoint(path: str | Path) -> dict:
    """A checkpoint, on the CPU. GibletError if it is damaged, or has no seal."""
    return torch.load(io.BytesIO(sealed_bytes(path)), weights_only=True, map_location="cpu")


def whole_checkpoints(folder: str | Path) -> dict[Path, dict]:
    """The checkpoints of a folder that can be read; the others are named in a warning."""
    checkpoints = {}
    for path in sorted(Path(folder).glob("[!.]*.ckpt")):
        try:
            checkpoints[path] = read_checkpoint(path)
        except FileNotFoundError:  # another process removed it first
            continue
        except GibletError:
            logging.getLogger(__name__).warning(
                "%s: not as this version of giblet wrote it, and not read; training resumes from "
                "an earlier checkpoint, or restarts",
                path,
            )
    return checkpoints


def newest(checkpoints: dict[Path, dict]) -> Path | None:
    """The checkpoint with most steps; with equal steps the last, not the best."""
    steps = {path: (c["global_step"], path.name == "last.ckpt") for path, c in checkpoints.items()}
    return max(steps, key=steps.get, default=None)
