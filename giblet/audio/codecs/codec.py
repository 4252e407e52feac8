"""Neural codecs: sound to codes and back, of any length in bounded memory."""

import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from giblet.errors import GibletError
from giblet.io.checksums import check_sums, fingerprint
from giblet.io.hub import model_folder
from giblet.io.tables import load_json

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)

BUNDLED = "bundled"
OFFICIAL = (  # ids on the Hugging Face Hub of what can be loaded
    "facebook/encodec_24khz",
    "facebook/encodec_32khz",
    "facebook/encodec_48khz",
    "descript/dac_16khz",
    "descript/dac_24khz",
    "descript/dac_44khz",
    "kyutai/mimi",
    "hf-audio/xcodec-hubert-librispeech",
    "HKUSTAudio/xcodec2-hf",
    "neuphonic/neucodec",
)
_NEAR = 0.01  # of a bandwidth: so near to the one asked for, it is that one
_MANY = 12  # bandwidths: so many are not listed


class Codec(Protocol):
    """Interface of a codec. ``giblet.audio.codecs.dac.Dac`` is an example."""

    name: str
    revision: str  # fingerprint of weights and config
    bandwidth_kbps: float
    sample_rate: int  # Hz
    frame_rate: float  # code frames per second
    hop_length: float  # samples per code frame; whole but for EnCodec's chunks at 48 kHz
    n_codebooks: int
    codebook_size: int
    codebook_dim: int

    def encode(self, waveform: np.ndarray | Iterable[np.ndarray]) -> np.ndarray:
        """Sound (n_samples,) float, or blocks of it, to codes (n_codebooks, n_frames) int32."""

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Codes (n_codebooks or fewer, n_frames) to sound (n_frames * hop_length,) float32."""

    def decode_blocks(self, codes: np.ndarray) -> Iterator[np.ndarray]:
        """The sound of ``decode``, block by block."""

    def latents(self, codes: np.ndarray) -> np.ndarray:
        """Dequantised codes, (n_frames, codebook_dim) float32, as the decoder reads them."""

    def sound(self, latents: "torch.Tensor") -> "torch.Tensor":
        """Latents (batch, n_frames, codebook_dim) to sound (batch, n_samples), for gradients."""

    def codebooks(self) -> np.ndarray:
        """Codewords (n_codebooks, codebook_size, codebook_dim) whose sums are the latents."""


@lru_cache(maxsize=2)
def load_codec(
    name_or_folder: str = BUNDLED, bandwidth_kbps: float = 6.0, codebooks: int | None = None
) -> Codec:
    """Load a codec.

    Parameters
    ----------
    name_or_folder
        ``"bundled"``; a Hugging Face id with its commit, ``"facebook/encodec_24khz@<commit>"``
        (without it, what the cache holds; `OFFICIAL` has the ids of what can be loaded);
        or a folder: written by ``giblet codec train``, or by ``save_pretrained`` of a model of
        ``giblet.audio.codecs.registry.CODEC_TYPES``.
    bandwidth_kbps
        The nearest that the codec offers is taken, and logged if it is another. At 24 kHz:
        1.5, 3, 6, 12, 24 kbps = 2, 4, 8, 16, 32 codebooks. Codes of a lower bandwidth are a prefix
        of those of a higher one: extract them once.
    codebooks
        Instead of ``bandwidth_kbps``: the number of codes in a frame, likewise.

    Raises
    ------
    GibletError
        No such codec here and no way to fetch it; half of one; another kind of model, or one that
        cannot be run block by block; a bandwidth or number of codebooks that is not positive.
    """
    folder = codec_folder(name_or_folder)
    check_sums(folder, ["config.json", *(f.name for f in folder.glob("*.safetensors"))])
    kind, model = _read_model(folder, name_or_folder)
    revision = fingerprint(*sorted(folder.glob("*.safetensors")), folder / "config.json")
    offered = kind.bandwidths(model)
    kbps = _choose_bandwidth(name_or_folder, offered, bandwidth_kbps, codebooks)
    return kind(model, name_or_folder, revision, kbps)


def _choose_bandwidth(
    name: str, offered: Mapping[int, float], bandwidth_kbps: float, codebooks: int | None = None
) -> float:
    """Of the bandwidths ``offered`` (codebooks → kbps) the nearest; of two equally near the lower.

    Raises GibletError for one that is not positive.

    >>> _choose_bandwidth("mimi", {1: 0.1375, 8: 1.1}, bandwidth_kbps=1.0)
    1.1
    >>> _choose_bandwidth("dac", {1: 0.75, 8: 6.0}, bandwidth_kbps=0.75, codebooks=8)
    6.0
    """
    wanted, unit = (bandwidth_kbps, "kbps") if codebooks is None else (codebooks, "codebooks")
    if not 0 < wanted < math.inf:
        raise GibletError(f"codec {name}: {wanted:g} {unit} cannot be: give a positive number")
    amounts = {n: kbps if codebooks is None else n for n, kbps in sorted(offered.items())}
    n = min(amounts, key=lambda n: abs(amounts[n] - wanted))
    if abs(amounts[n] - wanted) > _NEAR * wanted:
        few = [*amounts.values()]
        shown = ", ".join(f"{a:g}" for a in few) if len(few) < _MANY else f"up to {few[-1]:g}"
        logger.warning(
            "codec %s: %g %s is not offered (%s); taken: %d codebooks, %g kbps",
            *(name, wanted, unit, shown, n, offered[n]),
        )
    return offered[n]


def codec_folder(name_or_folder: str) -> Path:
    """Folder of a codec; GibletError if it is not here and cannot be downloaded."""
    if name_or_folder == BUNDLED:
        return Path(str(files("giblet.audio.codecs"))) / "bundled"
    return model_folder(name_or_folder, "codec", (BUNDLED, *OFFICIAL))


def _read_model(folder: Path, name: str) -> tuple[type[Any], "PreTrainedModel"]:
    """The class for the model in a folder, and the model, in single precision."""
    import torch

    from giblet.audio.codecs.registry import codec_type

    kind = codec_type(_model_type(folder, name), name)
    try:
        _check_files(folder)
        with _without_progress_bar():
            model, report = kind.model.from_pretrained(
                folder,
                dtype=torch.float32,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # to name one below
            )
        if report["missing_keys"]:
            raise ValueError(f"weights are missing: {min(report['missing_keys'])}")
        for key, actual, expected in sorted(report["mismatched_keys"]):
            raise ValueError(f"{key} is {tuple(actual)}, by its config.json {tuple(expected)}")
    except Exception as error:  # of transformers' checks of each key, safetensors, torch
        raise _unreadable(name, folder, error) from error
    return kind.codec.suited(model), model.eval().requires_grad_(False)


def _check_files(folder: Path) -> None:
    """ValueError without weights in safetensors, or with a sample rate that cannot be."""
    if not any(folder.glob("*.safetensors")):
        raise ValueError("it has no weights in the format safetensors, the only one that is read")
    config = load_json(folder / "config.json")
    rate = config.get("sampling_rate", config.get("sample_rate", 1))
    if not isinstance(rate, int) or rate <= 0:
        raise ValueError(f"a sample rate of {rate!r} in its config.json")


def _unreadable(name: str, folder: Path, error: Exception | str) -> GibletError:
    """The error about a folder: the reason, its files, and the remedy."""
    reason = " ".join(str(error).split())[:300]
    there = ", ".join(sorted(file.name for file in folder.iterdir()))
    return GibletError(
        f"codec {name}: no codec can be read from it ({reason}). It holds {there}: copy or "
        "download it again, whole"
    )


@contextmanager
def _without_progress_bar() -> Iterator[None]:
    """No bar of transformers, which a notebook would keep: a codec is read in a blink."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _model_type(folder: Path, name: str) -> str:
    try:
        model_type = load_json(folder / "config.json").get("model_type")
    except GibletError as error:
        raise _unreadable(name, folder, error) from error
    if not isinstance(model_type, str):
        raise _unreadable(name, folder, "no model_type in its config.json")
    return model_type
