"""Where a pretrained model lies: a folder, the Hugging Face cache, or the hub itself."""

import os
import socket
from pathlib import Path

from giblet.checks import GibletError

_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]  # no pickled weights


def model_folder(name_or_folder: str, what: str) -> Path:
    """Folder of a pretrained model; fetched once from the hub if it is not there.

    A hub id may name a commit, ``"owner/name@commit"``: the model is then the same for ever.
    Without one it is the newest, or the one in the cache. ``what`` names its purpose in the error.

    Raises
    ------
    GibletError
        Not a folder with a ``config.json``, not in the cache, and not to be fetched.
    """
    folder = Path(name_or_folder)
    if (folder / "config.json").is_file():
        return folder
    if folder.is_dir():
        raise GibletError(f"{what} {name_or_folder}: the folder has no config.json")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        offline = not _hub_answers()
        name, _, commit = name_or_folder.partition("@")
        found = snapshot_download(
            name, revision=commit or None, allow_patterns=_FILES, local_files_only=offline
        )
    except (OSError, ValueError, HFValidationError) as error:
        raise GibletError(
            f"{what} {name_or_folder!r}: no such folder, not in the Hugging Face cache, and the "
            "hub could not be asked for it. Fetch it where there is a network, or give a folder"
        ) from error
    return Path(found)


def _hub_answers(timeout: float = 3.0) -> bool:
    """Whether the hub can be reached; otherwise its client would retry for a minute."""
    if os.environ.get("HF_HUB_OFFLINE"):
        return False
    try:
        socket.create_connection(("huggingface.co", 443), timeout).close()
    except OSError:
        return False
    return True
