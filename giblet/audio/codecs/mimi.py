"""Mimi: a ``transformers.MimiModel``, run block by block with its attention's window."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from transformers import MimiModel

from giblet.audio.blocks import check_stream, equal_blocks
from giblet.audio.codecs.encodec_streaming import exact_inference, one_thread_a_stage, stream
from giblet.audio.codecs.pretrained import PretrainedCodec
from giblet.errors import GibletError
from giblet.timing import codebook_kbps, hop_rate_hz


@dataclass(frozen=True, eq=False)
class Mimi(PretrainedCodec):
    """A ``MimiModel`` with a prefix of its codebooks: the semantic first, then the acoustic ones.

    The result equals ``MimiModel.encode`` and ``decode`` on the whole sound, up to float rounding,
    with transformers 5.3 or newer: older ones let the attention hear more than its window. Time
    and memory of a block do not grow with what came before it.
    """

    model: MimiModel
    block_seconds: float = 4.0

    def __post_init__(self):
        config = self.model.config
        whole = self.model.encoder is not None and self.model.decoder is not None
        if not whole or not config.use_causal_conv or config.audio_channels != 1:
            raise GibletError(
                f"codec {self.name}: a Mimi that is not mono, not causal, or of which the encoder "
                "or decoder is not there. Take kyutai/mimi"
            )
        one = self.bandwidths(self.model)[config.num_semantic_quantizers]
        one /= config.num_semantic_quantizers
        if not any(abs(self.bandwidth_kbps / one - n) < 0.01 for n in self.bandwidths(self.model)):
            raise GibletError(
                f"codec {self.name}: no {self.bandwidth_kbps:g} kbps; it offers multiples of "
                f"{one:g} up to {config.num_quantizers * one:g}"
            )

    @classmethod
    def bandwidths(cls, model: MimiModel) -> dict[int, float]:
        config = model.config
        rate = hop_rate_hz(config.sampling_rate, config.frame_size)
        one = codebook_kbps(rate, config.codebook_size)
        fewest = config.num_semantic_quantizers
        return {n: n * one for n in range(fewest, config.num_quantizers + 1)}

    @property
    def hop_length(self) -> int:
        return self.model.config.frame_size

    @property
    def n_semantic(self) -> int:
        """Codebooks that were trained to carry what is said: the first ones."""
        return self.model.config.num_semantic_quantizers

    @property
    def codebook_dim(self) -> int:
        """Of the latents that the decoder reads, not of the look-up vectors."""
        return self.model.config.hidden_size

    @property
    def n_codebooks(self) -> int:
        return round(self.bandwidth_kbps / codebook_kbps(self.frame_rate, self.codebook_size))

    @property
    def _encoder(self) -> list[nn.Module]:
        model, half = self.model, self.model.encoder
        if hasattr(half, "encoder_seanet"):
            return [*half.encoder_seanet.layers, half.encoder_transformer, half.downsample]
        return [*half.layers, model.encoder_transformer, model.downsample]  # transformers 5.3

    @property
    def _decoder(self) -> list[nn.Module]:
        model, half = self.model, self.model.decoder
        if hasattr(half, "decoder_seanet"):
            return [half.upsample, half.decoder_transformer, *half.decoder_seanet.layers]
        return [model.upsample, model.decoder_transformer, *half.layers]

    def sound(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents (batch, n_frames, codebook_dim) to sound (batch, n_samples), for gradients."""
        upsample, transformer, *layers = self._decoder
        x = transformer(upsample(latents.transpose(1, 2)).transpose(1, 2))[0].transpose(1, 2)
        for layer in layers:
            x = layer(x)
        return x[:, 0]

    @exact_inference
    def encode(self, waveform: np.ndarray | Iterable[np.ndarray]) -> np.ndarray:
        """Sound (n_samples,), or an iterable of such blocks, to codes (n_codebooks, n_frames).

        Returns int32 in [0, codebook_size); the last frame is padded as transformers does. Errors
        as ``Encodec.encode``.
        """
        blocks = equal_blocks(waveform, self._frames_per_block * self.hop_length)
        tensors = (torch.from_numpy(block)[:, None].to(self.model.dtype) for block in blocks)
        with one_thread_a_stage():
            codes = [
                self.model.quantizer.encode(latents.T[None], self.n_codebooks)[:, 0].int()
                for latents in stream(self._encoder, tensors)
            ]  # each (n_codebooks, n_frames)
        return torch.cat(codes, dim=-1).numpy()

    def decode_blocks(self, codes: np.ndarray) -> Iterator[np.ndarray]:
        """The sound of ``decode`` in blocks (n_samples,), for what is too long for memory."""
        pieces = torch.split(self._checked(codes), self._frames_per_block, dim=-1)
        latents = (self._dequantised(piece) for piece in pieces)
        with one_thread_a_stage():
            for wave in stream(self._decoder, latents):
                yield wave[:, 0].float().numpy()

    @exact_inference
    def _dequantised(self, codes: torch.Tensor) -> torch.Tensor:
        """(n_codebooks, n_frames) to (n_frames, codebook_dim)."""
        return self.model.quantizer.decode(codes[None])[0].T.contiguous()

    def latents(self, codes: np.ndarray) -> np.ndarray:
        """Dequantised latents (n_frames, codebook_dim) float32 of codes (n_codebooks, n_frames)."""
        return self._dequantised(self._checked(codes)).float().numpy()

    @exact_inference
    def codebooks(self) -> np.ndarray:
        """The codewords as the decoder sees them, (n_codebooks, codebook_size, codebook_dim)."""
        quantizer, books = self.model.quantizer, []
        for part in (
            quantizer.semantic_residual_vector_quantizer,
            quantizer.acoustic_residual_vector_quantizer,
        ):
            for layer in part.layers:
                words = layer.codebook.embed
                if part.output_proj is not None:  # has no bias
                    words = part.output_proj(words.T[None])[0].T
                books.append(words)
        return torch.stack(books[: self.n_codebooks]).float().numpy()

    def _checked(self, codes: np.ndarray) -> torch.Tensor:
        most = self.model.config.num_quantizers
        return torch.from_numpy(check_stream(codes, self.codebook_size, most))
