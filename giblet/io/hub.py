"""Pretrained models: from a folder, the Hugging Face cache, or the hub itself."""

import hashlib
import os
import re
import socket
from collections.abc import Sequence
from pathlib import Path

from giblet.errors import GibletError, nearest_name

COMMIT = re.compile(r"[0-9a-f]{40}")
_OWN = {"codec": ' or "bundled"', "text_model": ' or "hashing"'}  # which need no network
_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]  # no pickled weights


def model_folder(name_or_folder: str, what: str, known: Sequence[str] = ()) -> Path:
    """Folder of a pretrained model; fetched once from the hub if it is not there.

    A hub id names a commit, ``"owner/name@commit"``: the model is then pinned. Without
    one it is what the cache holds already, and nothing is fetched. Each file of the cache must
    be a link, as the hub's client lays it, to one of the hash that the hub gave. A folder's files
    are taken as they are. ``what`` names its purpose in the error, which suggests the nearest of
    the ``known`` names and of the folders beside ``name_or_folder``.

    Raises
    ------
    GibletError
        Not a folder with a ``config.json``, not in the cache, and not to be fetched; or changed.
    """
    folder = Path(name_or_folder)
    if (folder / "config.json").is_file():
        return folder
    if folder.is_dir():
        raise GibletError(f"{what} {name_or_folder}: the folder has no config.json")
    snapshot = _snapshot(name_or_folder, what, known)
    blobs = (snapshot.parents[1] / "blobs").resolve()
    for file in sorted(
        path for path in snapshot.rglob("*") if path.is_symlink() or not path.is_dir()
    ):
        if not _is_as_the_hub_has_it(file.resolve(), blobs):
            raise GibletError(
                f"{file}: not as the hub has it. Delete {snapshot}, and fetch it again; or, if the "
                "files are your own, give that folder as the name"
            )
    return snapshot


def local_folder(name_or_folder: str) -> Path | None:
    """The folder of a model that is here already, or in the cache; None where it is not."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    if Path(name_or_folder).is_dir():
        return Path(name_or_folder)
    name, _, commit = name_or_folder.partition("@")
    try:
        return Path(snapshot_download(name, revision=commit or None, local_files_only=True))
    except (OSError, ValueError, HFValidationError):
        return None


def _snapshot(name_or_id: str, what: str, known: Sequence[str]) -> Path:
    """A snapshot in the hub's cache, fetched if its commit is named."""
    from huggingface_hub import errors, snapshot_download

    name, _, commit = name_or_id.partition("@")
    failures = OSError, ValueError, errors.HTTPError  # type: ignore[attr-defined]
    try:
        local = not COMMIT.fullmatch(commit) or not _hub_answers()
        folder = snapshot_download(
            name, revision=commit or None, local_files_only=local, allow_patterns=_FILES
        )
        return Path(folder)
    except failures as error:
        raise GibletError(
            f"{what} {name_or_id!r}: {_why_not(error, name, commit)}, or give a folder"
            f"{_OWN.get(what, '')}{_nearest(name_or_id, name, known)}"
        ) from error


def _why_not(error: BaseException, name: str, commit: str) -> str:
    """Why a model was not fetched, and what to do."""
    from huggingface_hub import errors

    if refused := _refusal(error, name):
        return refused
    absent = "no such folder, not in the Hugging Face cache, and"
    if not COMMIT.fullmatch(commit):
        return (
            f"{absent} the hub could not be asked for it. Name its commit (owner/name@ and 40 "
            "hexadecimal digits), where there is a network"
        )
    if isinstance(error, errors.HFValidationError):
        return "no such folder, and no id of the hub. Give an id (owner/name@ and its commit)"
    if isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError):
        return f"cannot be stored or read: {error.strerror}"  # as on a full disk
    if isinstance(error, errors.LocalEntryNotFoundError) and hasattr(error, "snapshot_path"):
        absent = "the Hugging Face cache has only some of its files, and"
    offline = os.environ.get("HF_HUB_OFFLINE")
    why = "HF_HUB_OFFLINE is set" if offline else "huggingface.co cannot be reached"
    fetch = f"hf download {name} --revision {commit}"
    return (
        f"{absent} {why}. Fetch it where there is a network ({fetch}; for a gated or private model "
        "run hf auth login before)"
    )


def _refusal(error: BaseException, name: str) -> str:
    """What the hub answered, and what to do; empty where it was not reached.

    The hub's client wraps some answers in an error of the cache: they are its cause.
    """
    from huggingface_hub import errors

    page = f"https://huggingface.co/{name}"
    chain = error, error.__cause__
    answer = next((one for one in chain if isinstance(one, errors.HfHubHTTPError)), None)
    if answer is None:
        return ""
    if isinstance(answer, errors.GatedRepoError):
        return f"gated by its owners. Accept their terms on {page}, then run hf auth login"
    if isinstance(answer, errors.RepositoryNotFoundError | errors.RevisionNotFoundError):
        return (
            "the hub has no such model or commit, or it is private. Check the name on "
            "https://huggingface.co, run hf auth login for a private one"
        )
    if isinstance(answer, errors.DisabledRepoError):
        return f"the hub has disabled it, see {page}. Choose another model"
    status = answer.response.status_code
    if status in (401, 403):
        return (
            f"the hub refuses the token of this computer ({status}). Make one that may read {page} "
            "and run hf auth login"
        )
    return f"the hub answered with error {status}. Try again later"


def _nearest(name_or_folder: str, name: str, known: Sequence[str]) -> str:
    """A known name, or a model's folder beside it, if ``name`` looks like a misspelling of it."""
    folder = Path(name_or_folder).parent
    beside = [str(file.parent) for file in folder.glob("*/config.json")]
    return "" if name in known else nearest_name(name, [*known, *beside])


def _is_as_the_hub_has_it(blob: Path, blobs: Path) -> bool:
    """Whether a file lies in ``blobs`` and has the hash that is its name: SHA-256 or Git's SHA-1.

    A file in the snapshot itself, which is no link, is not: its hash is not recorded.
    """
    if blob.parent != blobs or not blob.is_file():
        return False
    head = f"blob {blob.stat().st_size}\0".encode() if len(blob.name) == 40 else b""
    digest = hashlib.sha1(head) if head else hashlib.sha256()
    with open(blob, "rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest() == blob.name


def _hub_answers(timeout: float = 3.0) -> bool:
    """Whether the hub can be reached; otherwise its client would retry for a minute."""
    if os.environ.get("HF_HUB_OFFLINE"):
        return False
    try:
        socket.create_connection(("huggingface.co", 443), timeout).close()
    except OSError:
        return False
    return True
