"""EnCodec at 48 kHz: a stereo ``transformers.EncodecModel``, in its own chunks with their levels.

The network normalises each chunk of 1 s by its level, and looks at all of it at once: chunks do not
depend on each other, so that blocks are exact. A chunk begins .99 s after the one before, and fades
into it. Its 150 frames stand for .99 s: 151.5 frames a second.

The level of a chunk, which is no code in EnCodec's own files, is the first row of the codes here:
in steps of .18 dB from -160 to +24 dB of full scale, the same in all frames of a chunk. So it goes
wherever codes go, fewer codebooks keep it, and near codes are near levels.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional
from transformers import EncodecModel

from giblet.audio.blocks import check_stream, equal_blocks, overlapping
from giblet.audio.codecs.encodec_streaming import exact_inference, one_thread_a_stage, with_last
from giblet.audio.codecs.pretrained import PretrainedCodec
from giblet.errors import GibletError

logger = logging.getLogger(__name__)

LEAST_LEVEL, MOST_LEVEL = -8.0, 1.2  # log10 of a chunk's RMS; transformers adds 1e-8 to each


@dataclass(frozen=True, eq=False)
class EncodecChunks(PretrainedCodec):
    """An ``EncodecModel`` with chunks and scales at one bandwidth, as a mono codec.

    The sound goes into all channels, and their mean comes back. Codes equal those of
    ``EncodecModel.encode``, below the row of levels; the sound equals that of ``decode`` with these
    levels. The last chunk is filled with zeros.
    """

    model: EncodecModel
    block_seconds: float = 1.0  # the chunk's, whatever it says

    def __post_init__(self):
        config = self.model.config
        if not config.normalize or config.overlap is None or config.chunk_length % self._hop:
            raise GibletError(
                f"codec {self.name}: an EnCodec in chunks without scales, or of {self._hop} "
                "samples a frame in part: take the 24, 32 or 48 kHz one"
            )
        if self.bandwidth_kbps not in config.target_bandwidths:
            offered = ", ".join(f"{kbps:g}" for kbps in config.target_bandwidths)
            raise GibletError(
                f"codec {self.name}: no {self.bandwidth_kbps:g} kbps; it offers {offered}"
            )
        if config.audio_channels > 1:
            logger.warning(
                "codec %s is stereo: both channels get the mono sound, and their mean comes back",
                self.name,
            )

    @classmethod
    def bandwidths(cls, model: EncodecModel) -> dict[int, float]:
        """Its own, without the row of levels, which is one of the codes in a frame."""
        n_codebooks = model.quantizer.get_num_quantizers_for_bandwidth
        return {1 + n_codebooks(kbps): kbps for kbps in model.config.target_bandwidths}

    @property
    def _hop(self) -> int:
        """Samples between frames within a chunk."""
        return self.model.config.hop_length

    @property
    def _frames_per_chunk(self) -> int:
        return self.model.config.chunk_length // self._hop

    @property
    def hop_length(self) -> float:  # type: ignore[override]
        """Samples a frame, over chunks that overlap: 316.8."""
        return self.model.config.chunk_stride / self._frames_per_chunk

    @property
    def codebook_dim(self) -> int:
        """The decoder's latents and, last, the level."""
        return self.model.config.codebook_dim + 1

    @property
    def n_codebooks(self) -> int:
        """The level's row counts."""
        return 1 + self.model.quantizer.get_num_quantizers_for_bandwidth(self.bandwidth_kbps)

    @property
    def _levels(self) -> torch.Tensor:
        """log10 of the scale that each code of the first row stands for."""
        dtype = self.model.dtype
        return torch.linspace(LEAST_LEVEL, MOST_LEVEL, self.codebook_size, dtype=dtype)

    @exact_inference
    def encode(self, waveform: np.ndarray | Iterable[np.ndarray]) -> np.ndarray:
        """Sound (n_samples,), or an iterable of such blocks, to codes (n_codebooks, n_frames).

        Returns int32 in [0, codebook_size): levels, then EnCodec's codes. Errors as
        ``Encodec.encode``.
        """
        length, stride = self.model.config.chunk_length, self.model.config.chunk_stride
        codes = []
        with one_thread_a_stage():
            blocks = equal_blocks(waveform, stride)
            for window, before, _ in overlapping(blocks, length - stride):
                chunk = window[before : before + length]
                chunk = np.pad(chunk, (0, length - len(chunk)))
                codes.append(self._encoded(torch.from_numpy(chunk).to(self.model.dtype)))
        return torch.cat(codes, dim=1).int().numpy()

    def _encoded(self, chunk: torch.Tensor) -> torch.Tensor:
        """A chunk (n_samples,) to codes (n_codebooks, n_frames)."""
        scale = chunk.square().mean().sqrt() + 1e-8  # as EncodecModel has it
        sound = (chunk / scale).expand(1, self.model.config.audio_channels, -1)
        latents = self.model.encoder(sound)  # (1, codebook_dim, n_frames)
        codes = self.model.quantizer.encode(latents, self.bandwidth_kbps)[:, 0]
        level = (self._levels - scale.log10()).abs().argmin()
        return torch.cat([level.expand(1, codes.shape[1]), codes])

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Codes (n_codebooks, n_frames) to sound (n_samples,) float32; any prefix of codebooks.

        Errors as of other codecs.
        """
        return np.concatenate(list(self.decode_blocks(codes)))

    def decode_blocks(self, codes: np.ndarray) -> Iterator[np.ndarray]:
        """The sound of ``decode`` in blocks (n_samples,), for what is too long for memory."""
        stream = torch.from_numpy(self._checked(codes))
        pieces = stream.split(self._frames_per_chunk, dim=1)
        n_left = round(codes.shape[1] * self.hop_length)
        with one_thread_a_stage():
            for block in self._blocks(pieces):
                yield block[0, :n_left].float().numpy()
                n_left -= block.shape[1]

    @torch.inference_mode()
    def _blocks(self, pieces: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
        """Codes (n_codebooks, n_frames) of chunks to blocks of sound (1, n_samples)."""
        latents = (self._dequantised(piece)[None] for piece in pieces)
        yield from self._joined(self._waves(latents))

    def sound(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents (batch, n_frames, codebook_dim) to sound (batch, n_samples), for gradients."""
        pieces = latents.split(self._frames_per_chunk, dim=1)
        whole = torch.cat(list(self._joined(self._waves(pieces))), dim=1)
        return whole[:, : round(latents.shape[1] * self.hop_length)]

    def _waves(self, pieces: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
        """Latents (batch, n_frames, codebook_dim) of chunks to their sound (batch, n_samples)."""
        for piece in pieces:
            with torch.autocast(piece.device.type, enabled=False):
                wave = self.model.decoder(piece[..., :-1].transpose(1, 2)).mean(1)
                yield wave * (10 ** piece[..., -1]).repeat_interleave(self._hop, dim=1)

    def _joined(self, waves: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
        """Chunks (batch, n_samples), each fading into the next, in blocks."""
        config = self.model.config
        length, stride = config.chunk_length, config.chunk_stride
        weights = 0.5 - (torch.linspace(0, 1, length + 2, dtype=self.model.dtype)[1:-1] - 0.5).abs()
        tail = None
        for wave, is_last in with_last(waves):
            if tail is not None:
                n = min(tail.shape[1], wave.shape[1])
                old, new = weights[stride : stride + n], weights[:n]
                faded = (old * tail[:, :n] + new * wave[:, :n]) / (old + new)
                wave = torch.cat([faded, wave[:, n:], tail[:, n:]], dim=1)
            yield wave if is_last else wave[:, :stride]
            tail = wave[:, stride:]

    @exact_inference
    def _dequantised(self, codes: torch.Tensor) -> torch.Tensor:
        """(n_codebooks, n_frames) to (n_frames, codebook_dim); of the level alone zeros and it."""
        level = self._levels[codes[0]][:, None]
        if len(codes) == 1:
            return functional.pad(level, (self.codebook_dim - 1, 0))
        return torch.cat([self.model.quantizer.decode(codes[1:, None])[0].T, level], dim=1)

    def latents(self, codes: np.ndarray) -> np.ndarray:
        """Dequantised latents and, last, log10 of the level: (n_frames, codebook_dim) float32."""
        return self._dequantised(torch.from_numpy(self._checked(codes))).float().numpy()

    def codebooks(self) -> np.ndarray:
        """The codewords (n_codebooks, codebook_size, codebook_dim) whose sums are the latents."""
        layers = self.model.quantizer.layers[: self.n_codebooks - 1]
        words = [functional.pad(layer.codebook.embed, (0, 1)) for layer in layers]
        levels = functional.pad(self._levels[:, None], (self.codebook_dim - 1, 0))
        return torch.stack([levels, *words]).float().numpy()

    def _checked(self, codes: np.ndarray) -> np.ndarray:
        return check_stream(codes, self.codebook_size, 1 + len(self.model.quantizer.layers))
