"""Schedules of beta, the weight of the KL divergence in a VAE's loss, and free bits."""

from abc import ABC, abstractmethod
from math import cos, exp, isfinite, log, pi
from typing import Annotated, Literal

import torch
from pydantic import (
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)
from torch import nn

from giblet.config.strict import StrictSettings

Share = Annotated[float, Field(gt=0, le=1)]


class KlScheduleSettings(StrictSettings):
    """Kind of schedule and its constants."""

    kind: Literal["linear", "cosine", "cyclical", "target"] = "linear"
    beta: PositiveFloat = Field(1.0, description="largest beta; of target: beta at the first step")
    wait_steps: NonNegativeInt = Field(
        0, description="steps with beta 0 before linear, cosine and cyclical begin"
    )
    ramp_steps: PositiveInt = Field(1000, description="steps from 0 to beta: linear and cosine")
    cycle_steps: PositiveInt = Field(5000, description="steps of a cycle: cyclical")
    ramp_share: Share = Field(0.5, description="of a cycle: from 0 to beta; then beta is held")
    target: PositiveFloat = Field(10.0, description="KL to hold, in the unit of ``update``: target")
    gain: Share = Field(0.01, description="change of log beta per step and unit of log KL: target")
    beta_range: tuple[PositiveFloat, PositiveFloat] = Field(
        (1e-4, 100.0), description="smallest and largest beta: target"
    )

    @model_validator(mode="after")
    def _begin_within_the_range(self):
        low, high = self.beta_range
        if self.kind == "target" and not low <= self.beta <= high:
            raise ValueError(f"beta ({self.beta}) must be in beta_range ({low} to {high})")
        return self


class KlSchedule(nn.Module, ABC):
    """The weight of the KL divergence, step by step; its state is in ``state_dict``."""

    def __init__(self, settings: KlScheduleSettings):
        super().__init__()
        self.settings = settings
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    @property
    @abstractmethod
    def beta(self) -> float:
        """The weight at the present step."""

    def update(self, kl: float) -> None:
        """End a step, in which the KL divergence was ``kl`` (mean over the batch, no free bits)."""
        self.step += 1


class _Ramp(KlSchedule):
    """Beta as a function of the steps since ``wait_steps``."""

    @property
    def beta(self) -> float:
        steps = int(self.step) - self.settings.wait_steps
        return self.settings.beta * self._rise(max(steps, 0))

    @abstractmethod
    def _rise(self, steps: int) -> float:
        """Beta after so many steps, relative to the largest: 0 to 1."""


class LinearSchedule(_Ramp):
    """From 0 to ``beta`` in a straight line."""

    def _rise(self, steps):
        return min(1.0, steps / self.settings.ramp_steps)


class CosineSchedule(_Ramp):
    """From 0 to ``beta`` along half a cosine."""

    def _rise(self, steps):
        return (1 - cos(pi * min(1.0, steps / self.settings.ramp_steps))) / 2


class CyclicalSchedule(_Ramp):
    """Again and again from 0 to ``beta``, which is held for a while (Fu et al. 2019)."""

    def _rise(self, steps):
        phase = steps % self.settings.cycle_steps / self.settings.cycle_steps
        return min(1.0, phase / self.settings.ramp_share)


class TargetSchedule(KlSchedule):
    """A controller that holds the KL divergence at ``target``.

    ``log beta`` integrates ``gain * log(kl / target)`` plus ten times the change of that logarithm:
    a controller with proportional and integral parts, as ControlVAE (Shao et al. 2020) has, but of
    logarithms. Beta rises where KL is above its target and falls where it is below. It is never 0,
    so it can grow from any value, and a KL of 0 lowers it until the latents are used again.

    The error is limited to a factor of e, so one odd batch has little effect, and a KL that is not
    finite has none. On several devices all must pass the same KL: the mean over them.
    """

    PROPORTIONAL = 10.0

    def __init__(self, settings: KlScheduleSettings):
        super().__init__(settings)
        self.register_buffer("log_beta", torch.tensor(log(settings.beta), dtype=torch.float64))
        self.register_buffer("error", torch.zeros((), dtype=torch.float64))

    @property
    def beta(self) -> float:
        return exp(float(self.log_beta))

    def update(self, kl: float) -> None:
        super().update(kl)
        if not isfinite(kl):
            return
        target = self.settings.target
        error = log(min(max(kl / target, exp(-1)), exp(1)))
        change = self.settings.gain * (error + self.PROPORTIONAL * (error - float(self.error)))
        low, high = map(log, self.settings.beta_range)
        self.log_beta.fill_(min(max(float(self.log_beta) + change, low), high))
        self.error.fill_(error)


SCHEDULES: dict[str, type[KlSchedule]] = {
    "linear": LinearSchedule,
    "cosine": CosineSchedule,
    "cyclical": CyclicalSchedule,
    "target": TargetSchedule,
}


def build_schedule(settings: KlScheduleSettings) -> KlSchedule:
    """The schedule that ``settings`` describe.

    >>> schedule = build_schedule(KlScheduleSettings(kind="linear", ramp_steps=4))
    >>> schedule.update(kl=3.0)
    >>> schedule.beta
    0.25
    """
    return SCHEDULES[settings.kind](settings)


def free_bits(kl: torch.Tensor, free: float) -> torch.Tensor:
    """The larger of ``kl`` and ``free`` nats: less than that is free (Kingma et al. 2016).

    ``kl`` is a mean over the batch, so that the free nats are of the level and not of each
    segment. Its gradient is 0 where it is below ``free``.

    >>> free_bits(torch.tensor([0.2, 3.0]), free=0.5)
    tensor([0.5000, 3.0000])
    """
    return kl.clamp(min=free)
