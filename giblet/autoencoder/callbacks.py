"""Training callbacks: a log line per epoch, and the curves."""

import logging
import math
import time

import lightning
import pandas as pd
import torch

_logger = logging.getLogger(__name__)
_SECONDS_APART = 10.0  # lines of a log, at least
WATCHED = "validation/loss"  # stops training and picks the model: all modalities, as weighted


class EpochLines(lightning.Callback):
    """A line an epoch where a log is kept: the first, the last, and between them one in 10 s.

    Losses are sums over modalities, as weighted. The time left is that of all epochs, though
    training may stop before.
    """

    def __init__(self, clock=time.monotonic):
        self._clock, self._losses, self._line = clock, [], ""  # s

    def on_train_start(self, trainer, module):
        self._begin, self._first, self._logged = self._clock(), trainer.current_epoch, -math.inf

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self._losses.append(outputs["loss"].detach())

    def on_train_epoch_end(self, trainer, module):
        train, watched = torch.stack(self._losses).mean(), trainer.callback_metrics[WATCHED]
        n_done, n_epochs, self._losses = trainer.current_epoch + 1, trainer.max_epochs, []
        losses = f"loss {train:.4g} in training, {watched:.4g} in validation"
        self._line = f"epoch {n_done} of {n_epochs}: {losses}"
        now = self._clock()
        if n_done < n_epochs and now - self._logged >= _SECONDS_APART and trainer.is_global_zero:
            each, self._logged = (now - self._begin) / (n_done - self._first), now
            left = each * (n_epochs - n_done)
            _logger.info("%s; at most about %.0f s left", self._line, left)

    def on_train_end(self, trainer, module):
        if self._line and trainer.is_global_zero:
            _logger.info("%s; the last", self._line)


class Curves(lightning.Callback):
    """Losses and shares of the gradient, one row an epoch; they are part of the checkpoint.

    ``metrics.csv`` may lack the last row of a run that was killed.
    """

    def __init__(self):
        self.rows: list[dict[str, float]] = []
        self._shares: dict[str, float] = {}

    def table(self) -> pd.DataFrame:
        """One row an epoch, in order."""
        return pd.DataFrame(self.rows)

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if batch_idx == 0:  # they are logged then
            self._shares = _floats(trainer.logged_metrics, "share/")

    def on_train_epoch_end(self, trainer, module):
        losses = _floats(trainer.callback_metrics, ("train/", "validation/"))
        self.rows.append({"epoch": trainer.current_epoch} | self._shares | losses)

    def state_dict(self):
        return {"rows": self.rows}

    def load_state_dict(self, state):
        self.rows = list(state["rows"])


def _floats(metrics, beginnings) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if name.startswith(beginnings)}
