"""Early warnings of a training run, from the values that it logs.

A warning is logged when its fault begins, and again only after it has ended: a fault that lasts
fills no log.
"""

import logging
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, PositiveInt

from giblet.config.strict import StrictSettings
from giblet.music.losses import COMPONENTS

_logger = logging.getLogger(__name__)

Fault = Literal["not_finite", "kl_collapse", "units_collapse", "discriminator_wins", "constant"]

CURES: dict[Fault, str] = {
    "not_finite": "lower the learning rate, and go on from an earlier checkpoint",
    "kl_collapse": "the decoder does without this latent: raise its free bits or the word dropout, "
    "or lower beta",
    "units_collapse": "most units of this latent are unused: raise its free bits, or lower beta",
    "discriminator_wins": "the model learns little from it: lower its learning rate or raise R1",
    "constant": "it does not move: nothing is learned from it",
}


_SCHEDULED = ("beta", "learning_rate")  # they may stay where their schedules end
_BEST_AT_1 = {name for name, c in COMPONENTS.items() if (c.unit, c.better) == ("share", "higher")}


class MonitorSettings(StrictSettings):
    """Limits, and how long a value must be past one."""

    least_kl: float = Field(
        0.01, ge=0, description="nats per unit of time of a level: below, nothing is in it"
    )
    least_active_units: float = Field(0.1, ge=0, le=1, description="share of a level's units")
    greatest_auc: float = Field(0.97, gt=0.5, le=1)
    patience: PositiveInt = Field(20, description="checks in a row; of NaN, one is enough")
    warmup_steps: int = Field(500, ge=0, description="before it, collapse is no fault")


@dataclass(frozen=True)
class EarlyWarning:
    """A fault in a logged value, as it begins."""

    step: int
    fault: Fault
    name: str
    value: float

    @property
    def message(self) -> str:
        """One line: step, name, value, fault and cure."""
        fault = self.fault.replace("_", " ")
        return f"step {self.step}: {self.name} is {self.value:.4g} ({fault}): {CURES[self.fault]}"


class Monitor:
    """Sees the values of each step, and logs and returns warnings of faults that begin.

    The names say what is watched: ``kl_<level>`` (nats per latent vector), ``active_units_<level>``
    (share), ``auc_<scale>``; every value must be finite, and none but those that schedules set may
    stay the same to the bit. The AUC of a discriminator that wins stays at 1: that is one fault.
    Shares of which more is better (active units, accuracies) may stay at 1, and active units at 0
    are a collapse, which is no fault in the warm-up.

    >>> monitor = Monitor(MonitorSettings())
    >>> [warning.fault for warning in monitor.check(7, {"nats": float("nan")})]
    ['not_finite']
    >>> monitor.check(8, {"nats": float("nan")})
    []
    """

    def __init__(self, settings: MonitorSettings):
        self.settings = settings
        self._last: dict[str, float] = {}
        self._runs: defaultdict[tuple[Fault, str], int] = defaultdict(int)

    def check(self, step: int, values: Mapping[str, float]) -> list[EarlyWarning]:
        """Warnings of faults that begin with this step's values; each is logged."""
        found = []
        for name, value in ((name, float(value)) for name, value in values.items()):
            for fault, is_there in self._faults(step, name, value).items():
                run = self._runs[fault, name] = self._runs[fault, name] + 1 if is_there else 0
                if run == (1 if fault == "not_finite" else self.settings.patience):
                    found.append(EarlyWarning(step, fault, name, value))
            self._last[name] = value
        for warning in found:
            _logger.warning("%s", warning.message)
        return found

    def _faults(self, step: int, name: str, value: float) -> dict[Fault, bool]:
        s, warm = self.settings, step >= self.settings.warmup_steps
        wins = name.startswith("auc_") and value > s.greatest_auc
        units = name.startswith("active_units_")
        at_end = (value == 1 and name in _BEST_AT_1) or (value == 0 and units)
        stays = value == self._last.get(name) and name not in _SCHEDULED
        faults: dict[Fault, bool] = {
            "not_finite": not math.isfinite(value),
            "constant": stays and not wins and not at_end,
        }
        if name.startswith("kl_"):
            faults["kl_collapse"] = warm and value < s.least_kl
        if units:
            faults["units_collapse"] = warm and value < s.least_active_units
        if name.startswith("auc_"):
            faults["discriminator_wins"] = wins
        return faults
