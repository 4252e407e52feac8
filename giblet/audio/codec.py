"""Neural codecs: sound to codes and back, of any length in bounded memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Protocol

import numpy as np

from giblet.checks import GibletError, check_codes, check_waveform
from giblet.hub import model_folder
from giblet.store import fingerprint
from giblet.timing import count_samples, hop_rate_hz

BUNDLED = "bundled"


class Codec(Protocol):
    """What the rest of giblet needs of a codec."""

    name: str
    revision: str
    sample_rate: int  # Hz
    frame_rate: float  # code frames per second
    hop_length: int  # samples per code frame
    n_codebooks: int
    codebook_size: int
    codebook_dim: int

    def encode(self, waveform: np.ndarray | Iterable[np.ndarray]) -> np.ndarray: ...

    def decode(self, codes: np.ndarray) -> np.ndarray: ...

    def latents(self, codes: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class Encodec:
    """A causal ``transformers.EncodecModel`` at one bandwidth, run block by block.

    The result equals ``EncodecModel.encode`` and ``decode`` on the whole sound, up to float
    rounding; memory does not grow with its length.
    """

    model: "EncodecModel"  # noqa: F821 (transformers is imported when a codec is loaded)
    name: str
    revision: str
    bandwidth_kbps: float
    block_seconds: float = 2.0

    @property
    def sample_rate(self) -> int:
        return self.model.config.sampling_rate

    @property
    def hop_length(self) -> int:
        return self.model.config.hop_length

    @property
    def frame_rate(self) -> float:
        return hop_rate_hz(self.sample_rate, self.hop_length)

    @property
    def codebook_size(self) -> int:
        return self.model.config.codebook_size

    @property
    def codebook_dim(self) -> int:
        return self.model.config.codebook_dim

    @property
    def n_codebooks(self) -> int:
        return self.model.quantizer.get_num_quantizers_for_bandwidth(self.bandwidth_kbps)

    @property
    def _frames_per_block(self) -> int:
        return max(16, count_samples(self.block_seconds, self.frame_rate))

    def encode(self, waveform: np.ndarray | Iterable[np.ndarray]) -> np.ndarray:
        """Sound (n_samples,), or an iterable of such blocks, to codes (n_codebooks, n_frames).

        Returns int32 in [0, codebook_size); the last frame is padded by reflection.

        Raises
        ------
        ValueError
            No samples, NaN or infinite samples.
        TypeError
            Integer samples: scale them to [-1, 1] first.
        """
        import torch

        from giblet.audio.streaming import stream

        blocks = [waveform] if isinstance(waveform, np.ndarray) else waveform
        blocks = _reblock(map(check_waveform, blocks), self._frames_per_block * self.hop_length)
        with torch.inference_mode():
            tensors = (torch.from_numpy(block)[None, None] for block in blocks)
            codes = [
                self.model.quantizer.encode(latents, self.bandwidth_kbps)[:, 0]
                for latents in stream(self.model.encoder.layers, tensors)
            ]  # each (n_codebooks, n_frames)
        if not codes:
            raise ValueError("the sound has no samples")
        return torch.cat(codes, dim=-1).numpy().astype(np.int32)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Codes (n_codebooks, n_frames) to sound (n_samples,) float32; any prefix of codebooks.

        Raises
        ------
        TypeError, ValueError
            Not integers; out of range; -1 (no frame: ungroup the TRs first).
        """
        import torch

        from giblet.audio.streaming import stream

        latents = torch.from_numpy(self.latents(codes).T)[None]  # (1, codebook_dim, n_frames)
        blocks = torch.split(latents, self._frames_per_block, dim=-1)
        with torch.inference_mode():
            waves = [wave[0, 0] for wave in stream(self.model.decoder.layers, blocks)]
        return torch.cat(waves).numpy()

    def latents(self, codes: np.ndarray) -> np.ndarray:
        """Dequantised latents (n_frames, codebook_dim) float32 of codes (n_codebooks, n_frames)."""
        import torch

        codes = check_codes(codes, codebook_size=self.codebook_size)
        if codes.ndim != 2 or not codes.shape[1]:
            raise ValueError(f"codes must have shape (n_codebooks, n_frames), got {codes.shape}")
        if codes.min() < 0:
            raise ValueError("codes hold -1 (no frame): ungroup them from their TRs first")
        with torch.inference_mode():
            batch = torch.from_numpy(codes.astype(np.int64))[:, None]  # (n_codebooks, 1, n_frames)
            return self.model.quantizer.decode(batch)[0].T.contiguous().numpy()

    def codebooks(self) -> np.ndarray:
        """The codewords, (n_codebooks, codebook_size, codebook_dim) float32."""
        layers = self.model.quantizer.layers[: self.n_codebooks]
        return np.stack([layer.codebook.embed.numpy() for layer in layers])


def _reblock(blocks: Iterable[np.ndarray], n_samples: int) -> Iterator[np.ndarray]:
    """The same sound in blocks of ``n_samples`` float32, the last one shorter."""
    pending = np.empty(0, dtype=np.float32)
    for block in blocks:
        pending = np.concatenate([pending, block.astype(np.float32)])
        while len(pending) > n_samples:  # one sample more: the last block is never empty
            yield pending[:n_samples]
            pending = pending[n_samples:]
    if len(pending):
        yield pending


@lru_cache(maxsize=2)
def load_codec(name_or_folder: str = BUNDLED, bandwidth_kbps: float = 6.0) -> Encodec:
    """Load a codec.

    Parameters
    ----------
    name_or_folder
        ``"bundled"``, a Hugging Face id such as ``"facebook/encodec_24khz"``, or a folder
        written by ``EncodecModel.save_pretrained``.
    bandwidth_kbps
        One of the codec's own. At 24 kHz: 1.5, 3, 6, 12, 24 kbps = 2, 4, 8, 16, 32 codebooks.

    Raises
    ------
    GibletError
        No such codec here and no way to fetch it; not an EnCodec; not causal; no such bandwidth.
    """
    if name_or_folder == BUNDLED:
        folder = Path(str(files("giblet.codec"))) / "bundled"
    else:
        folder = model_folder(name_or_folder, "codec")
    model = _read_model(folder, name_or_folder)
    _check_streamable(model.config, name_or_folder, bandwidth_kbps)
    revision = fingerprint(*sorted(folder.glob("*.safetensors")))
    return Encodec(model, name_or_folder, revision, bandwidth_kbps)


def _read_model(folder: Path, name: str) -> "EncodecModel":  # noqa: F821
    """The EnCodec in a folder, in single precision."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, EncodecModel

    try:
        config = AutoConfig.from_pretrained(folder)
        if config.model_type != "encodec":
            raise GibletError(f"codec {name}: a {config.model_type} model, not an EnCodec")
        model = EncodecModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise GibletError(f"codec {name}: no EnCodec can be read from it ({reason})") from error
    return model.eval()


def _check_streamable(config, name: str, bandwidth_kbps: float) -> None:
    """Refuse what cannot be run block by block, or not at this bandwidth."""
    causal = config.use_causal_conv and config.trim_right_ratio == 1.0
    whole = config.norm_type == "weight_norm" and not config.normalize and not config.chunk_length_s
    if not causal or not whole or config.audio_channels != 1:
        raise GibletError(
            f"codec {name}: only causal mono codecs can be streamed (the 24 kHz EnCodec)"
        )
    if bandwidth_kbps not in config.target_bandwidths:
        offered = ", ".join(f"{b:g}" for b in config.target_bandwidths)
        raise GibletError(f"codec {name}: no {bandwidth_kbps:g} kbps; it offers {offered}")
