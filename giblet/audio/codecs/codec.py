"""Neural codecs: sound to codes and back, of any length in bounded memory."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from giblet.errors import GibletError
from giblet.io.checksums import check_sums, fingerprint
from giblet.io.hub import model_folder

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

BUNDLED = "bundled"


class Codec(Protocol):
    """Interface of a codec. ``giblet.audio.codecs.dac.Dac`` is an example."""

    name: str
    revision: str  # fingerprint of weights and config
    bandwidth_kbps: float
    sample_rate: int  # Hz
    frame_rate: float  # code frames per second
    hop_length: int  # samples per code frame
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
def load_codec(name_or_folder: str = BUNDLED, bandwidth_kbps: float = 6.0) -> Codec:
    """Load a codec.

    Parameters
    ----------
    name_or_folder
        ``"bundled"``; a Hugging Face id with its commit, ``"facebook/encodec_24khz@<commit>"`` or
        ``"descript/dac_24khz@<commit>"`` (without it, what the cache holds);
        or a folder written by ``save_pretrained`` of an ``EncodecModel``, ``DacModel`` or
        ``giblet.audio.codecs.mdct.MdctModel``.
    bandwidth_kbps
        One of the codec's own. At 24 kHz: 1.5, 3, 6, 12, 24 kbps = 2, 4, 8, 16, 32 codebooks.
        Codes of a lower bandwidth are a prefix of those of a higher one: extract them once.

    Raises
    ------
    GibletError
        No such codec here and no way to fetch it; another kind of model; an EnCodec that is not
        causal; no such bandwidth.
    """
    folder = codec_folder(name_or_folder)
    check_sums(folder, ["config.json", *(f.name for f in folder.glob("*.safetensors"))])
    kind, model = _read_model(folder, name_or_folder)
    revision = fingerprint(*sorted(folder.glob("*.safetensors")), folder / "config.json")
    return kind(model, name_or_folder, revision, bandwidth_kbps)


def codec_folder(name_or_folder: str) -> Path:
    """Folder of a codec; GibletError if it is not here and cannot be downloaded."""
    if name_or_folder == BUNDLED:
        return Path(str(files("giblet.audio.codecs"))) / "bundled"
    return model_folder(name_or_folder, "codec")


def _read_model(folder: Path, name: str) -> tuple[type, "PreTrainedModel"]:
    """The class for the model in a folder, and the model, in single precision."""
    import torch
    from transformers import AutoConfig, DacModel, EncodecModel

    from giblet.audio.codecs.dac import Dac
    from giblet.audio.codecs.encodec import Encodec
    from giblet.audio.codecs.mdct import Mdct, MdctConfig, MdctModel

    kinds = {
        "encodec": (EncodecModel, Encodec),
        "dac": (DacModel, Dac),
        MdctConfig.model_type: (MdctModel, Mdct),
    }
    try:
        model_type = AutoConfig.from_pretrained(folder, trust_remote_code=False).model_type
        if model_type not in kinds:
            raise GibletError(f"codec {name}: a {model_type} model, none of {', '.join(kinds)}")
        reader, kind = kinds[model_type]
        model, report = reader.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True
        )
        if report["missing_keys"]:
            raise ValueError(f"weights are missing: {min(report['missing_keys'])}")
    except GibletError:
        raise
    except Exception as error:  # of transformers' checks of each key, safetensors, torch
        reason = " ".join(str(error).split())[:300]
        raise GibletError(f"codec {name}: no codec can be read from it ({reason})") from error
    return kind, model.eval().requires_grad_(False)
