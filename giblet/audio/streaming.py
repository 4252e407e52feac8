"""EnCodec's causal layers block by block: the same function as on the whole sound.

Every convolution keeps the inputs that its next output still needs, the LSTM keeps its state.
Whole-file calls pad each convolution by reflection at both ends of the sound, and so does this,
at the first and the last block alone.
"""

from collections.abc import Iterable, Iterator

import torch
from torch import nn
from transformers.models.encodec.modeling_encodec import (
    EncodecConv1d,
    EncodecConvTranspose1d,
    EncodecLSTM,
    EncodecResnetBlock,
)


class _Convolution:
    """A causal convolution that remembers its left context."""

    def __init__(self, layer: EncodecConv1d):
        self.layer = layer
        self.n_context = int(layer.padding_total)
        self.context = None

    def __call__(self, x: torch.Tensor, is_last: bool) -> torch.Tensor:
        n_right = int(self.layer._get_extra_padding_for_conv1d(x)) if is_last else 0
        if self.context is None:
            padded = self.layer._pad1d(x, (self.n_context, n_right), self.layer.pad_mode)
        else:
            joined = torch.cat([self.context, x], dim=-1)
            padded = self.layer._pad1d(joined, (0, n_right), self.layer.pad_mode)
        if self.n_context:
            self.context = padded[..., padded.shape[-1] - n_right - self.n_context :]
            self.context = self.context[..., : self.n_context]
        return self.layer.conv(padded)


class _TransposedConvolution:
    """A causal transposed convolution: earlier inputs are repeated, their old output dropped."""

    def __init__(self, layer: EncodecConvTranspose1d):
        self.layer = layer
        kernel, stride = layer.conv.kernel_size[0], layer.conv.stride[0]
        self.stride, self.n_tail = stride, kernel - stride
        self.n_context = -(-kernel // stride) - 1
        self.context = None

    def __call__(self, x: torch.Tensor, is_last: bool) -> torch.Tensor:
        known = x if self.context is None else torch.cat([self.context, x], dim=-1)
        n_repeated = known.shape[-1] - x.shape[-1]
        self.context = known[..., max(0, known.shape[-1] - self.n_context) :]
        y = self.layer.conv(known)
        return y[..., n_repeated * self.stride : y.shape[-1] - self.n_tail]


class _Memory:
    """The LSTM with its state carried over."""

    def __init__(self, layer: EncodecLSTM):
        self.lstm = layer.lstm
        self.state = None

    def __call__(self, x: torch.Tensor, is_last: bool) -> torch.Tensor:
        steps = x.permute(2, 0, 1)
        y, self.state = self.lstm(steps, self.state)
        return (y + steps).permute(1, 2, 0)


class _Residual:
    """A residual block: its convolutions and its shortcut, each with their context."""

    def __init__(self, layer: EncodecResnetBlock):
        self.block = [_streamed(inner) for inner in layer.block]
        self.shortcut = _streamed(layer.shortcut)

    def __call__(self, x: torch.Tensor, is_last: bool) -> torch.Tensor:
        y = x
        for layer in self.block:
            y = layer(y, is_last)
        return self.shortcut(x, is_last) + y


def _streamed(layer: nn.Module):
    """The block-wise twin of one EnCodec layer."""
    twins = {
        EncodecConv1d: _Convolution,
        EncodecConvTranspose1d: _TransposedConvolution,
        EncodecLSTM: _Memory,
        EncodecResnetBlock: _Residual,
    }
    for kind, twin in twins.items():
        if isinstance(layer, kind):
            return twin(layer)
    return lambda x, _is_last: layer(x)  # ELU, identity: no memory


def stream(layers: Iterable[nn.Module], blocks: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
    """Send blocks (batch, channels, length) through causal layers, yielding what comes out.

    Every block but the last must be a whole number of the layers' total stride, and the first
    longer than any layer's context.
    """
    twins = [_streamed(layer) for layer in layers]
    for block, is_last in _with_last(blocks):
        for twin in twins:
            block = twin(block, is_last)
        yield block


def _with_last(items: Iterable) -> Iterator[tuple]:
    """Each item with whether it is the last."""
    iterator = iter(items)
    try:
        item = next(iterator)
    except StopIteration:
        return
    for following in iterator:
        yield item, False
        item = following
    yield item, True
