"""giblet's own codec: an ``MdctModel``, run in windows that overlap by all it can hear."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from giblet.audio.codecs.convnext import ConvNeXtBlock
from giblet.audio.codecs.pretrained import WindowedCodec

_SILENCE = 1e-6  # power of a coefficient that is as good as none
_NO_OFFSET = 0.004  # of full scale: a running mean this small stays, twice it is taken off whole
_GAIN_LIMIT = 5.0  # of the decoder's correction of levels, in nepers


class MdctConfig(PreTrainedConfig):
    """Sizes of an ``MdctModel``; sample rate in Hz, others counts.

    ``offset_frames``: see `without_offset`; 0 keeps what offset a sound has.
    """

    model_type = "giblet_mdct"

    sampling_rate: int = 24000
    hop_length: int = 320
    width: int = 256
    expansion: int = 3
    n_encoder_blocks: int = 4
    n_decoder_blocks: int = 5
    kernel_size: int = 7
    companding: float = 0.5
    n_codebooks: int = 8
    codebook_size: int = 1024
    codebook_dim: int = 128
    beam_size: int = 8
    offset_frames: int = 0


AutoConfig.register(MdctConfig.model_type, MdctConfig, exist_ok=True)


class MdctModel(PreTrainedModel):
    """Encoder, codebooks and decoder. Look ahead as far as back: ``reach`` frames."""

    config_class = MdctConfig
    main_input_name = "waveform"

    def __init__(self, config: MdctConfig):
        super().__init__(config)
        c = config
        self.encoder = _Encoder(c)
        self.decoder = _Decoder(c)
        self.codebooks = nn.Parameter(torch.zeros(c.n_codebooks, c.codebook_size, c.codebook_dim))
        self.level = nn.Parameter(torch.ones(()), requires_grad=False)  # of companded coefficients
        self.post_init()

    def _init_weights(self, module):
        """Layers have their weights from their own constructors."""

    @property
    def reach(self) -> tuple[int, int]:
        """Frames to either side on which the encoder's, and the decoder's, result depends."""
        per_block, around = self.config.kernel_size // 2, 1  # the level around a coefficient
        encoder = self.config.n_encoder_blocks * per_block + around + 1  # frames overlap
        encoder += 2 * self.config.offset_frames
        return encoder, self.config.n_decoder_blocks * per_block + around + 1

    def encode(self, waveform: torch.Tensor) -> torch.Tensor:
        """Sound (batch, n_frames * hop_length) to latents (batch, n_frames, codebook_dim)."""
        with torch.autocast(waveform.device.type, enabled=False):
            waveform = without_offset(waveform, self.config.hop_length, self.config.offset_frames)
            coefficients = compand(mdct(waveform, self.config.hop_length), self.config.companding)
        return self.encoder(coefficients / self.level)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents (batch, n_frames, codebook_dim) to sound (batch, n_frames * hop_length)."""
        coefficients, gains = self.decoder(latents)
        with torch.autocast(latents.device.type, enabled=False):
            expanded = expand(coefficients * self.level, self.config.companding)
            return inverse_mdct(expanded * gains.clamp(-_GAIN_LIMIT, _GAIN_LIMIT).exp())

    def quantize(
        self, latents: torch.Tensor, n_codebooks: int, beam_size: int | None = None
    ) -> torch.Tensor:
        """Latents (n_frames, codebook_dim) to codes (n_codebooks, n_frames).

        A beam search keeps the ``beam_size`` best choices so far (default: the config's), codebook
        after codebook; the nearest codeword at each step alone may leave more in the end. It always
        goes through all codebooks, so that codes of few are a prefix of those of many.
        """
        left, errors = latents[:, None], latents.new_zeros(len(latents), 1)  # by choice so far
        codes = latents.new_zeros(len(latents), 1, 0, dtype=torch.long)
        for book in self.codebooks:
            further = errors[..., None] + book.square().sum(-1) - 2 * left @ book.T
            n_kept = min(beam_size or self.config.beam_size, further[0].numel())
            errors, chosen = further.flatten(1).topk(n_kept, largest=False)
            choice, word = (chosen // len(book))[..., None], chosen % len(book)
            left = left.take_along_dim(choice, 1) - book[word]
            codes = torch.cat([codes.take_along_dim(choice, 1), word[..., None]], dim=-1)
        return codes[:, 0, :n_codebooks].T

    def dequantize(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes (n_codebooks or fewer, ...) to latents (..., codebook_dim): sums of codewords."""
        return sum(book[code] for book, code in zip(self.codebooks, codes, strict=False))


def _blocks(config: MdctConfig, n: int) -> nn.Sequential:
    return nn.Sequential(
        *(ConvNeXtBlock(config.width, config.kernel_size, config.expansion) for _ in range(n))
    )


class _Encoder(nn.Module):
    def __init__(self, config: MdctConfig):
        super().__init__()
        self.enter = nn.Linear(config.hop_length, config.width, bias=False)
        self.blocks = _blocks(config, config.n_encoder_blocks)
        self.leave = nn.Linear(config.width, config.codebook_dim, bias=False)

    def forward(self, coefficients: torch.Tensor) -> torch.Tensor:
        """(batch, n_frames, hop_length) to latents (batch, n_frames, codebook_dim)."""
        x = self.enter(coefficients).to(coefficients.dtype)
        return self.leave(self.blocks(x)).to(coefficients.dtype)


class _Decoder(nn.Module):
    def __init__(self, config: MdctConfig):
        super().__init__()
        self.enter = nn.Linear(config.codebook_dim, config.width, bias=False)
        self.blocks = _blocks(config, config.n_decoder_blocks)
        self.leave = nn.Linear(config.width, config.hop_length, bias=False)
        self.gains = nn.Linear(config.width, config.hop_length)
        nn.init.zeros_(self.gains.weight)
        nn.init.zeros_(self.gains.bias)

    def forward(self, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(batch, n_frames, codebook_dim) to coefficients and log gains, both (..., hop_length)."""
        x = self.blocks(self.enter(latents).to(latents.dtype))
        return self.leave(x).to(latents.dtype), self.gains(x).to(latents.dtype)


def without_offset(waveform: torch.Tensor, hop_length: int, n_frames: int) -> torch.Tensor:
    """Sound (batch, whole frames of ``hop_length``) less its running mean, a triangle in weight.

    That is the mean over ``n_frames`` frames before and after each sample, fewer at the ends of the
    sound, of the same mean: a constant vanishes, and a click leaves no step beside it. With 8
    frames of 1/75 s tones from 5 Hz on change by less than .5 dB. Where that mean is as small as in
    a sound without offset, the sound stays as it is.
    """
    if not n_frames:
        return waveform
    counts = _sums_around(torch.ones_like(waveform[:1]), hop_length, n_frames)
    mean = _sums_around(waveform, hop_length, n_frames) / counts
    mean = _sums_around(mean, hop_length, n_frames) / counts
    return waveform - mean * (mean.abs() / _NO_OFFSET - 1).clamp(0, 1)


def _sums_around(waveform: torch.Tensor, hop_length: int, n_frames: int) -> torch.Tensor:
    """Sums over ``n_frames`` frames before and after each sample, zeros beyond the ends.

    No sum runs from the sound's begin on: a part of it has the same sums.
    """
    frames = functional.pad(waveform.unflatten(1, (-1, hop_length)), (0, 0, n_frames, n_frames))
    begun = frames.cumsum(dim=2)  # up to a sample, from the begin of its frame
    whole = begun[..., -1].unfold(1, 2 * n_frames, 1).sum(dim=2)[:, :-1, None]
    last = begun.shape[1] - 2 * n_frames
    return (whole - begun[:, :last] + begun[:, 2 * n_frames :]).flatten(1)


def mdct(waveform: torch.Tensor, hop_length: int) -> torch.Tensor:
    """Sound (batch, n_frames * hop_length) to coefficients (batch, n_frames, hop_length).

    Frame ``i`` is centred on the middle of samples ``[i * hop_length, (i + 1) * hop_length)``.
    Beyond both ends the sound goes on so that as many frames as hops give all of it back.
    """
    half = hop_length // 2
    window = _window(hop_length, waveform)
    slope = (window[:half] / window[half:hop_length].flip(0)).flip(0)  # outside over inside
    before = -(waveform[:, :half] * slope).flip(1)
    after = waveform[:, -half:].flip(1) * slope
    whole = torch.cat([before, waveform, after], dim=1)
    return whole.unfold(1, 2 * hop_length, hop_length) @ _transform(hop_length, waveform)


def inverse_mdct(coefficients: torch.Tensor) -> torch.Tensor:
    """Coefficients (batch, n_frames, hop_length) to sound (batch, n_frames * hop_length)."""
    hop_length = coefficients.shape[-1]
    frames = coefficients @ _transform(hop_length, coefficients).T  # (..., 2 * hop_length)
    first, second = frames.split(hop_length, dim=-1)
    overlapped = functional.pad(first, (0, 0, 0, 1)) + functional.pad(second, (0, 0, 1, 0))
    half = hop_length // 2
    return overlapped.flatten(1)[:, half:-half]


def compand(coefficients: torch.Tensor, power: float) -> torch.Tensor:
    """Coefficients (batch, n_frames, n_bins) with the level around each raised to ``power``."""
    return coefficients * _around(coefficients).pow((power - 1) / 2)


def expand(companded: torch.Tensor, power: float) -> torch.Tensor:
    """Undo ``compand``, exactly where levels change slowly."""
    return companded * _around(companded).pow((1 - power) / (2 * power))


def _around(coefficients: torch.Tensor) -> torch.Tensor:
    """Mean power of 3 frames × 7 bins around each coefficient."""
    power = functional.pad(coefficients.square()[:, None], (3, 3, 1, 1), mode="replicate")
    return functional.avg_pool2d(power, (3, 7), stride=1)[:, 0] + _SILENCE


def _window(hop_length: int, like: torch.Tensor) -> torch.Tensor:
    """The sine window, (2 * hop_length,)."""
    places = torch.arange(2 * hop_length, device=like.device, dtype=torch.float64) + 0.5
    return torch.sin(math.pi / (2 * hop_length) * places).to(like.dtype)


def _transform(hop_length: int, like: torch.Tensor) -> torch.Tensor:
    """The windowed MDCT as a matrix (2 * hop_length, hop_length), orthonormal."""
    return _matrix(hop_length, like.dtype, like.device)


@lru_cache(maxsize=4)
@torch.inference_mode(False)  # the next to ask may want gradients through it
def _matrix(hop_length: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    times = torch.arange(2 * hop_length, dtype=torch.float64)[:, None] + 0.5 + hop_length / 2
    bins = torch.arange(hop_length, dtype=torch.float64) + 0.5
    waves = torch.cos(math.pi / hop_length * times * bins) * math.sqrt(2 / hop_length)
    return (_window(hop_length, waves)[:, None] * waves).to(dtype).to(device)


@dataclass(frozen=True, eq=False)
class Mdct(WindowedCodec):
    """An ``MdctModel`` at one bandwidth. Every frame of sound comes back, both ends included."""

    model: MdctModel

    @property
    def codebook_dim(self) -> int:
        return self.model.config.codebook_dim

    @property
    def reach(self) -> tuple[int, int]:
        return self.model.reach

    def _encoded(self, sound: torch.Tensor, wanted: slice) -> torch.Tensor:
        latents = self.model.encode(sound[None])[0, wanted]
        return self.model.quantize(latents, self.n_codebooks)

    def sound(self, latents: torch.Tensor) -> torch.Tensor:
        return self.model.decode(latents)

    def _decoded(self, codes: torch.Tensor) -> torch.Tensor:
        return self.model.decode(self._dequantised(codes)[None])[0]

    def _dequantised(self, codes: torch.Tensor) -> torch.Tensor:
        return self.model.dequantize(codes)

    def codebooks(self) -> np.ndarray:
        """The codewords (n_codebooks, codebook_size, codebook_dim) whose sums are the latents."""
        return self.model.codebooks[: self.n_codebooks].detach().float().numpy()
