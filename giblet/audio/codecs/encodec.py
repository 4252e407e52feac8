"""EnCodec at 24 and 32 kHz: a mono ``transformers.EncodecModel``, run block by block."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from transformers import EncodecConfig, EncodecModel
from transformers.models.encodec.modeling_encodec import EncodecLSTM

from giblet.audio.blocks import check_stream, equal_blocks
from giblet.audio.codecs.encodec_chunks import EncodecChunks
from giblet.audio.codecs.encodec_streaming import ahead, exact_inference, one_thread_a_stage, stream
from giblet.audio.codecs.pretrained import PretrainedCodec
from giblet.errors import GibletError


@dataclass(frozen=True, eq=False)
class Encodec(PretrainedCodec):
    """An ``EncodecModel`` at one bandwidth.

    The result equals ``EncodecModel.encode`` and ``decode`` on the whole sound, up to float
    rounding; memory does not grow with its length. Convolutions may look ahead (32 kHz): the LSTM
    does not, so that it is exact all the same. Where torch has two threads, the layers before
    and after the LSTM work on consecutive blocks at the same time.
    """

    model: EncodecModel
    block_seconds: float = 1.0

    def __post_init__(self):
        _check_streamable(self.model.config, self.name, self.bandwidth_kbps)

    @classmethod
    def suited(cls, model: EncodecModel) -> type[PretrainedCodec]:
        return EncodecChunks if model.config.chunk_length_s else cls

    @classmethod
    def bandwidths(cls, model: EncodecModel) -> dict[int, float]:
        n_codebooks = model.quantizer.get_num_quantizers_for_bandwidth
        return {n_codebooks(kbps): kbps for kbps in model.config.target_bandwidths}

    @property
    def codebook_dim(self) -> int:
        return self.model.config.codebook_dim

    @property
    def n_codebooks(self) -> int:
        return self.model.quantizer.get_num_quantizers_for_bandwidth(self.bandwidth_kbps)

    @exact_inference
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
        blocks = equal_blocks(waveform, self._frames_per_block * self.hop_length)
        tensors = (torch.from_numpy(block)[:, None].to(self.model.dtype) for block in blocks)
        with one_thread_a_stage() as side_by_side:
            codes = [
                self.model.quantizer.encode(latents.T[None], self.bandwidth_kbps)[:, 0].int()
                for latents in _two_stages(self.model.encoder.layers, tensors, side_by_side)
            ]  # each (n_codebooks, n_frames)
        return torch.cat(codes, dim=-1).numpy()

    def decode_blocks(self, codes: np.ndarray) -> Iterator[np.ndarray]:
        """The sound of ``decode`` in blocks (n_samples,), for what is too long for memory."""
        codes = check_stream(codes, self.codebook_size, len(self.model.quantizer.layers))
        pieces = torch.split(torch.from_numpy(codes), self._frames_per_block, dim=-1)
        latents = (self._dequantised(piece) for piece in pieces)
        with one_thread_a_stage() as side_by_side:
            for wave in _two_stages(self.model.decoder.layers, latents, side_by_side):
                yield wave[:, 0].float().numpy()

    @exact_inference
    def _dequantised(self, codes: torch.Tensor) -> torch.Tensor:
        """(n_codebooks, n_frames) to (n_frames, codebook_dim)."""
        return self.model.quantizer.decode(codes[:, None])[0].T.contiguous()

    def latents(self, codes: np.ndarray) -> np.ndarray:
        """Dequantised latents (n_frames, codebook_dim) float32 of codes (n_codebooks, n_frames)."""
        codes = check_stream(codes, self.codebook_size, len(self.model.quantizer.layers))
        return self._dequantised(torch.from_numpy(codes)).float().numpy()

    def codebooks(self) -> np.ndarray:
        """The codewords, (n_codebooks, codebook_size, codebook_dim) float32."""
        layers = self.model.quantizer.layers[: self.n_codebooks]
        return np.stack([layer.codebook.embed.numpy() for layer in layers])


def _two_stages(
    layers: nn.ModuleList, blocks: Iterable[torch.Tensor], side_by_side: bool
) -> Iterator[torch.Tensor]:
    """``blocks`` through ``layers``, those that cost most apart from the LSTM and what is cheap."""
    (memory,) = [i for i, layer in enumerate(layers) if isinstance(layer, EncodecLSTM)]
    middle = memory if memory > len(layers) // 2 else memory + 1
    first = stream(layers[:middle], blocks)
    return stream(layers[middle:], ahead(first) if side_by_side else first)


def _check_streamable(config: EncodecConfig, name: str, bandwidth_kbps: float) -> None:
    """Refuse what cannot be run block by block, or not at this bandwidth."""
    whole = config.norm_type == "weight_norm" and not config.normalize and not config.chunk_length_s
    if not whole or config.audio_channels != 1:
        raise GibletError(
            f"codec {name}: an EnCodec that is neither mono in one piece (24 and 32 kHz) nor in "
            "chunks with scales (48 kHz). Take one of these"
        )
    if bandwidth_kbps not in config.target_bandwidths:
        offered = ", ".join(f"{b:g}" for b in config.target_bandwidths)
        raise GibletError(f"codec {name}: no {bandwidth_kbps:g} kbps; it offers {offered}")
