"""DAC: a ``transformers.DacModel``, run in windows that overlap by all it can hear."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import DacModel

from giblet.audio.blocks import check_stream, equal_blocks, overlapping
from giblet.audio.pretrained import PretrainedCodec
from giblet.audio.streaming import one_thread_a_stage
from giblet.checks import GibletError
from giblet.timing import codebook_kbps


@dataclass(frozen=True, eq=False)
class Dac(PretrainedCodec):
    """A ``DacModel`` at one bandwidth: a prefix of its codebooks.

    Its convolutions look ahead as far as back. So each block is computed with that much sound on
    either side, which is then cut off: the result equals ``DacModel.encode`` and ``decode`` on the
    whole sound, padded with zeros to whole frames, up to float rounding.
    """

    model: DacModel
    block_seconds: float = 4.0

    def __post_init__(self):
        one = codebook_kbps(self.frame_rate, self.codebook_size)
        n, most = self.bandwidth_kbps / one, self.model.config.n_codebooks
        if not 1 <= n <= most or abs(n - round(n)) > 0.01:
            raise GibletError(
                f"codec {self.name}: no {self.bandwidth_kbps:g} kbps; it offers multiples of "
                f"{one:g} up to {most * one:g}"
            )

    @property
    def codebook_dim(self) -> int:
        """Of the latents that the decoder gets, not of DAC's small look-up vectors."""
        return self.model.config.hidden_size

    @property
    def n_codebooks(self) -> int:
        return round(self.bandwidth_kbps / codebook_kbps(self.frame_rate, self.codebook_size))

    def encode(self, waveform: np.ndarray | Iterable[np.ndarray]) -> np.ndarray:
        """Sound (n_samples,), or an iterable of such blocks, to codes (n_codebooks, n_frames).

        Returns int32 in [0, codebook_size); the last frame is padded with zeros. Errors as
        ``Encodec.encode``.
        """
        hop = self.hop_length
        blocks = equal_blocks(waveform, self._frames_per_block * hop)
        padded = (np.pad(block, (0, -len(block) % hop)) for block in blocks)
        n_frames = -(-_reach(self.model.encoder) // hop)
        with one_thread_a_stage():
            windows = overlapping(padded, n_frames * hop)
            codes = [self._codes(w, before // hop, n // hop) for w, before, n in windows]
        return torch.cat(codes, dim=-1).numpy()

    @torch.inference_mode()
    def _codes(self, window: np.ndarray, n_before: int, n_frames: int) -> torch.Tensor:
        sound = torch.from_numpy(window)[None, None].to(self.model.dtype)
        latents = self.model.encoder(sound)[..., n_before : n_before + n_frames]
        return self.model.quantizer(latents, self.n_codebooks)[1][0].int()

    def decode_blocks(self, codes: np.ndarray) -> Iterator[np.ndarray]:
        """The sound of ``decode`` in blocks (n_samples,), for what is too long for memory."""
        codes = check_stream(codes, self.codebook_size, self.model.config.n_codebooks)
        n_blocks = -(-codes.shape[1] // self._frames_per_block)
        edges = self._frames_per_block * np.arange(1, n_blocks)
        n_context = _reach(self.model.decoder, self.hop_length)
        with one_thread_a_stage():
            for window, n_before, n_frames in overlapping(np.split(codes, edges, 1), n_context):
                yield self._sound(window, n_before * self.hop_length, n_frames * self.hop_length)

    @torch.inference_mode()
    def _sound(self, window: np.ndarray, n_before: int, n_samples: int) -> np.ndarray:
        """What frames (n_codebooks, n_frames) sound like; the decoder drops some last samples."""
        latents = self._dequantised(torch.from_numpy(window))
        sound = self.model.decoder(latents)[0, 0, n_before:][:n_samples]
        return functional.pad(sound, (0, n_samples - len(sound))).float().numpy()

    @torch.inference_mode()
    def _dequantised(self, codes: torch.Tensor) -> torch.Tensor:
        """(n_codebooks, n_frames) to (1, codebook_dim, n_frames)."""
        return self.model.quantizer.from_codes(codes[None])[0]

    def latents(self, codes: np.ndarray) -> np.ndarray:
        """Dequantised latents (n_frames, codebook_dim) float32 of codes (n_codebooks, n_frames)."""
        codes = check_stream(codes, self.codebook_size, self.model.config.n_codebooks)
        return self._dequantised(torch.from_numpy(codes))[0].T.float().numpy()

    @torch.inference_mode()
    def codebooks(self) -> np.ndarray:
        """The codewords as the decoder sees them, (n_codebooks, codebook_size, codebook_dim)."""
        layers = self.model.quantizer.quantizers[: self.n_codebooks]
        books = [layer.out_proj(layer.codebook.weight.T[None])[0].T for layer in layers]
        return torch.stack(books).float().numpy()


def _reach(part: nn.Module, stride_in: int = 1) -> int:
    """How far (input steps) an output of ``part`` hears to either side, or a little more.

    ``stride_in``: 1 for an encoder, which divides the rate; the hop length for a decoder, which
    multiplies it. Sums over all layers, also those that run side by side.
    """
    reach, stride = 0.0, float(stride_in)  # in output samples of a decoder, inputs of an encoder
    for layer in part.modules():
        if isinstance(layer, nn.ConvTranspose1d):
            reach += layer.kernel_size[0] * stride / layer.stride[0]
            stride /= layer.stride[0]
        elif isinstance(layer, nn.Conv1d):
            reach += (layer.kernel_size[0] - 1) * layer.dilation[0] * stride
            stride *= layer.stride[0]
    return int(np.ceil(reach / stride_in)) + 1
