"""Mixed precision, where the processor has instructions for it."""

from typing import Literal

Bfloat16 = bool | Literal["auto"]  # what a setting may be


def uses_bfloat16(wanted: Bfloat16) -> bool:
    """Whether to train in bfloat16: as ``wanted``; ``"auto"`` asks the GPU, or without one the CPU.

    Without such instructions bfloat16 is emulated, and slow: on an AMD EPYC (Zen 3, AVX2) the
    demo's training took 14 times as long as in single precision.
    """
    import torch

    if isinstance(wanted, bool):
        return wanted
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    if hasattr(torch.cpu, "get_capabilities"):  # newer than torch 2.6
        return any("bf16" in name and has for name, has in torch.cpu.get_capabilities().items())
    return torch.cpu._is_avx512_bf16_supported()
