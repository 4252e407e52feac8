"""Codec networks: transformers' EnCodec in any size, started near the identity."""

import torch
from torch import nn
from transformers import EncodecConfig, EncodecModel
from transformers.models.encodec.modeling_encodec import EncodecResnetBlock

_NOISE = 0.1  # of taps and branches that the identity does not need
_LEVEL = 0.5  # standard deviation inside the network: ELU is nearly linear there


def build_encodec(**overrides) -> EncodecModel:
    """An untrained ``EncodecModel``; keywords override fields of ``EncodecConfig``.

    >>> model = build_encodec(num_filters=4, num_lstm_layers=1, target_bandwidths=[6.0])
    >>> model.config.frame_rate, model.config.num_quantizers
    (75, 8)
    """
    return EncodecModel(EncodecConfig(**overrides))


@torch.no_grad()
def start_near_identity(model: EncodecModel, waveform: torch.Tensor) -> None:
    """Give every layer weights with which the decoder undoes the encoder as well as it can.

    transformers' own start shrinks the signal about fivefold at each transposed convolution, and
    from a random start no gradient leads to the phase: the output settles at silence, or at noise
    of the right colour. Here each strided convolution begins as an orthogonal transform of the
    newest ``stride`` samples and the transposed convolution that answers it as its transpose;
    residual branches begin small; every layer is then scaled on ``waveform`` (batch, 1,
    n_samples), biases zero.
    """
    encoder, decoder = _convolutions(model.encoder), _convolutions(model.decoder)
    for down, up in zip(encoder, reversed(decoder), strict=True):
        stride = down.stride[0]
        kernel = _noise_like(down.weight)  # (out, in, taps), newest tap last
        block = torch.empty(down.out_channels, down.in_channels * stride)
        nn.init.orthogonal_(block)
        kernel[..., -stride:] += block.view(down.out_channels, down.in_channels, stride)
        down.weight = kernel
        up.weight = _answer(up, kernel[..., -stride:])
    _shrink_branches(model)
    _rescale(model, waveform)


def _convolutions(part: nn.Module) -> list[nn.Module]:
    """The convolutions on the main road, in order: not those in residual blocks."""
    return [layer.conv for layer in part.layers if hasattr(layer, "conv")]


def _noise_like(weight: torch.Tensor) -> torch.Tensor:
    fan_in = weight.shape[1] * weight.shape[2]
    return torch.randn_like(weight) * (_NOISE / fan_in**0.5)


def _answer(up: nn.Module, block: torch.Tensor) -> torch.Tensor:
    """Weights of the layer that turns back what ``block`` (out, in, stride) does."""
    kernel = _noise_like(up.weight)
    if isinstance(up, nn.ConvTranspose1d):
        kernel[..., : block.shape[-1]] += block  # (in, out, taps), oldest tap first
    else:
        kernel[..., -1:] += block.transpose(0, 1)
    return kernel


def _shrink_branches(model: EncodecModel) -> None:
    for module in model.modules():
        if isinstance(module, EncodecResnetBlock):
            module.block[-1].conv.parametrizations.weight.original0.mul_(_NOISE)


def _rescale(model: EncodecModel, waveform: torch.Tensor) -> None:
    """Scale each main convolution to one output level; the last to that of ``waveform``."""
    road = _convolutions(model.encoder) + _convolutions(model.decoder)

    def to_level(module, _inputs, output):
        target = waveform.std() if module is road[-1] else _LEVEL
        factor = target / output.std().clamp(min=1e-8)
        module.parametrizations.weight.original0.mul_(factor)  # weight norm: the magnitude
        return output * factor

    for module in model.modules():
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            nn.init.zeros_(module.bias)
    hooks = [module.register_forward_hook(to_level) for module in road]
    model.decoder(model.encoder(waveform))
    for hook in hooks:
        hook.remove()
