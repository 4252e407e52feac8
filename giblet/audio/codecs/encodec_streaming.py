"""EnCodec's and Mimi's layers block by block: the same function as on the whole sound.

Every convolution keeps the inputs that its next output still needs, the LSTM keeps its state, the
attention its window of keys and values. A convolution that looks ahead answers a block as far as it
has heard, and the rest with the next one. Whole-file calls pad each convolution at both ends of the
sound, and so does this, at the first and the last block alone.

Blocks lie as (length, channels), the layout in which a convolution is a sum of matrix products at
the processor's full speed, an LSTM needs no copy, and a transposed convolution is an ordinary one.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import wraps
from math import ceil
from typing import TypeVar, cast

import torch
from torch import nn
from torch.nn import functional
from transformers import DynamicCache
from transformers.models.encodec.modeling_encodec import (
    EncodecConv1d,
    EncodecConvTranspose1d,
    EncodecLSTM,
    EncodecResnetBlock,
)
from transformers.models.mimi.modeling_mimi import (
    MimiConv1d,
    MimiConvTranspose1d,
    MimiResnetBlock,
    MimiTransformerModel,
)

_FEW_CHANNELS = 8  # of the input: so few make matrix products too thin
_MOST_TERMS = 64  # in one sum of an exact convolution


def convolver(
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: int = 1,
    dilation: int = 1,
    most_terms: int = _MOST_TERMS,
) -> Callable[[torch.Tensor], torch.Tensor]:
    """The convolution (length, n_in) -> (length_out, n_out) with ``weight`` (n_out, n_in, taps).

    It is a sum of matrix products, for each tap one of each ``most_terms`` channels, of rows that
    lie in memory as the product takes them. Short sums, added up, are rounded less than one long
    sum over taps and channels.
    """
    n_taps = weight.shape[2]
    matrices = weight.detach().permute(2, 1, 0).contiguous()  # (taps, n_in, n_out)
    thin = weight.shape[1] < _FEW_CHANNELS
    whole = matrices.flatten(0, 1)  # (taps * n_in, n_out)
    offset = matrices.new_zeros(matrices.shape[2]) if bias is None else bias.detach()

    def convolve(x: torch.Tensor) -> torch.Tensor:
        n_out = (len(x) - (n_taps - 1) * dilation - 1) // stride + 1
        last = (n_out - 1) * stride + 1
        taps = [x[i : i + last : stride] for i in range(0, n_taps * dilation, dilation)]
        if thin:
            return torch.addmm(offset, torch.cat(taps, dim=1), whole)
        y = offset.repeat(n_out, 1)
        for rows, matrix in zip(taps, matrices, strict=True):
            _add_product(y, rows, matrix, most_terms)
        return y

    return convolve


def _add_product(y: torch.Tensor, rows: torch.Tensor, matrix: torch.Tensor, n: int) -> None:
    """Add ``rows @ matrix`` to ``y``, a sum of products of ``n`` columns of ``rows`` each."""
    if len(matrix) <= n:
        y.addmm_(rows, matrix)
        return
    (first, part), *others = zip(rows.split(n, dim=1), matrix.split(n), strict=True)
    product = first @ part
    for columns, part in others:
        product.addmm_(columns, part)
    y += product


class _Convolution:
    """A convolution that keeps the inputs that its next outputs need."""

    def __init__(self, layer: EncodecConv1d | MimiConv1d):
        conv = layer.conv
        self.layer, self.stride = layer, conv.stride[0]
        n_padding = int(layer.padding_total)
        self.n_right = 0 if layer.causal else n_padding // 2
        self.n_left = n_padding - self.n_right
        self.span = n_padding + self.stride  # inputs that one output hears
        self.convolve = convolver(conv.weight, conv.bias, self.stride, conv.dilation[0])
        self.n_seen, self.kept = 0, conv.weight.new_zeros(0, conv.in_channels)

    def __call__(self, x: torch.Tensor, is_last: bool) -> torch.Tensor:
        n_left = 0 if self.n_seen else self.n_left
        self.n_seen += len(x)
        n_right = self.n_right + -self.n_seen % self.stride if is_last else 0
        if len(self.kept):
            x = torch.cat([self.kept, x])
        x = self._padded(x, n_left, n_right)
        n_out = max(0, (len(x) - self.span) // self.stride + 1)
        self.kept = x[n_out * self.stride :]
        return self.convolve(x) if n_out else x.new_zeros(0, self.layer.conv.out_channels)

    def _padded(self, x: torch.Tensor, n_left: int, n_right: int) -> torch.Tensor:
        """``x`` (length, channels) padded at its ends as the layer pads a whole sound."""
        if not (n_left or n_right):
            return x
        padded = self.layer._pad1d(x.T[None], (n_left, n_right), self.layer.pad_mode)
        return padded[0].T.contiguous()


class _TransposedConvolution:
    """A transposed convolution: each input step gives ``stride`` output steps.

    The output steps of one input step depend on it and on those just before it: a convolution
    whose channels hold ``stride`` steps of the output's. What the layer trims from the left of a
    whole sound is left out here, and follows at the end.
    """

    def __init__(self, layer: EncodecConvTranspose1d | MimiConvTranspose1d):
        conv = layer.conv
        self.stride = conv.stride[0]
        weight = _ungrouped(conv.weight, conv.groups)
        n_in, self.n_out, kernel_size = weight.shape
        n_steps = -(-kernel_size // self.stride)  # input steps that reach one output step
        weight = functional.pad(weight, (0, n_steps * self.stride - kernel_size))
        weight = weight.view(n_in, self.n_out, n_steps, self.stride).flip(2)  # newest step last
        weight = weight.permute(3, 1, 0, 2).reshape(self.stride * self.n_out, n_in, n_steps)
        bias = None if conv.bias is None else conv.bias.repeat(self.stride)
        self.convolve = convolver(weight, bias, most_terms=n_in)  # decides no codes
        self.context = conv.weight.new_zeros(n_steps - 1, n_in)
        n_trimmed = kernel_size - self.stride
        n_right = ceil(n_trimmed * layer.trim_right_ratio) if layer.causal else n_trimmed // 2
        self.n_left = self.n_skipped = n_trimmed - n_right

    def __call__(self, x: torch.Tensor, is_last: bool) -> torch.Tensor:
        x = torch.cat([self.context, x])
        self.context = x[len(x) - len(self.context) :]
        end = None
        if is_last and self.n_left:
            n_after = -(-self.n_left // self.stride)
            x = functional.pad(x, (0, 0, 0, n_after))
            end = (self.n_left - n_after * self.stride) or None
        y = self.convolve(x).reshape(-1, self.n_out)  # (length * stride, n_out)
        y, self.n_skipped = y[self.n_skipped : end], max(0, self.n_skipped - len(y))
        return y


def _ungrouped(weight: torch.Tensor, groups: int) -> torch.Tensor:
    """The weight (n_in, n_out, taps) of a transposed convolution in one group: zeros between."""
    if groups == 1:
        return weight
    parts = weight.chunk(groups)  # each (n_in / groups, n_out / groups, taps)
    n_out = parts[0].shape[1]
    padded = [
        functional.pad(part, (0, 0, i * n_out, (groups - 1 - i) * n_out))
        for i, part in enumerate(parts)
    ]
    return torch.cat(padded)


class _Memory:
    """The LSTM with its state carried over."""

    def __init__(self, layer: EncodecLSTM):
        self.lstm = layer.lstm
        self.state = None

    def __call__(self, x: torch.Tensor, is_last: bool) -> torch.Tensor:
        y, self.state = self.lstm(x[:, None], self.state)
        return y[:, 0] + x


class _Attention:
    """Mimi's transformer with the keys and values of its window carried over."""

    def __init__(self, layer: MimiTransformerModel):
        self.layer, self.cache = layer, DynamicCache(config=layer.config)

    def __call__(self, x: torch.Tensor, is_last: bool) -> torch.Tensor:
        # by position: transformers renamed past_key_values to cache
        return self.layer(x[None], None, None, self.cache, True)[0][0]


class _Residual:
    """A residual block: its convolutions and its shortcut, each with their context."""

    def __init__(self, layer: EncodecResnetBlock | MimiResnetBlock):
        self.block = [_streamed(inner) for inner in layer.block]
        self.shortcut = _streamed(layer.shortcut)
        self.held = None  # of the shortcut, while the block looks ahead

    def __call__(self, x: torch.Tensor, is_last: bool) -> torch.Tensor:
        y = x
        for layer in self.block:
            y = layer(y, is_last)
        short = self.shortcut(x, is_last)
        if self.held is not None and len(self.held):
            short = torch.cat([self.held, short])
        self.held = short[len(y) :]
        return y + short[: len(y)]


def _streamed(layer: nn.Module) -> Callable[[torch.Tensor, bool], torch.Tensor]:
    """The block-wise twin of one layer."""
    twins: dict[type, Callable] = {
        EncodecConv1d: _Convolution,
        EncodecConvTranspose1d: _TransposedConvolution,
        EncodecLSTM: _Memory,
        EncodecResnetBlock: _Residual,
        MimiConv1d: _Convolution,
        MimiConvTranspose1d: _TransposedConvolution,
        MimiResnetBlock: _Residual,
        MimiTransformerModel: _Attention,
    }
    for kind, twin in twins.items():
        if isinstance(layer, kind):
            return twin(layer)
    return lambda x, _is_last: layer(x)  # ELU, identity: no memory


@torch.inference_mode()
def stream(layers: Iterable[nn.Module], blocks: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
    """Send blocks (length, channels) through layers, yielding what comes out.

    Every block but the last must be a whole number of the layers' total stride, and the first
    longer than any layer's context. Layers that look ahead give fewer steps for the first block,
    or none, and more for the last.
    """
    twins = [_streamed(layer) for layer in layers]
    for block, is_last in with_last(blocks):
        with torch.autocast("cpu", enabled=False):
            for twin in twins:
                block = twin(block, is_last)
                if not len(block):
                    break
        if len(block):
            yield block


Function = TypeVar("Function", bound=Callable)


def exact_inference(function: Function) -> Function:
    """``function`` without gradients, in the model's own precision also where autocast is on."""

    @wraps(function)
    def exactly(*args, **kwargs):
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            return function(*args, **kwargs)

    return cast(Function, exactly)


def ahead(items: Iterable, n_ahead: int = 2) -> Iterator:
    """The same items, made by a thread of their own up to ``n_ahead`` before they are asked for."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) as worker:
        waiting = deque(worker.submit(next, iterator, end) for _ in range(n_ahead))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(worker.submit(next, iterator, end))
            yield item


@contextmanager
def one_thread_a_stage() -> Iterator[bool]:
    """Torch on one thread within; gives whether it had more, so that stages may run side by side.

    How sums are split over threads changes their last bits; so they never are.
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield n_threads > 1
    finally:
        torch.set_num_threads(n_threads)


def with_last(items: Iterable) -> Iterator[tuple]:
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
