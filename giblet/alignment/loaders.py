"""Windows of a film, in the order in which training sees them."""

from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from giblet.alignment.dataset import FilmData, windows
from giblet.config.sections import TrainingConfig


class Windows(Dataset):
    """Windows of TRs in a row, each a dict of tensors of one film stretch."""

    def __init__(self, data: FilmData, part: str, window_trs: int):
        self.data = data
        self.windows = windows(data, part, window_trs, step=max(1, window_trs // 2))

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, i: int) -> dict:
        trs = self.windows[i]
        part = self.data.slice(trs)
        begins_run = trs[0] == 0 or self.data.run[trs[0] - 1] != self.data.run[trs[0]]
        window = {"film": part.film, "begins_run": bool(begins_run)}
        return window if part.bold is None else window | {"bold": part.bold}


class EpochOrder(Sampler):
    """Every window once, or of a short film some several times; the order is the epoch's own.

    So a run that is resumed at an epoch sees what it would have seen without a stop.
    """

    def __init__(self, n_windows: int, at_least: int, seed: int):
        self.n_windows, self.at_least, self.seed, self.epoch = n_windows, at_least, seed, 0

    def __len__(self) -> int:
        return max(self.n_windows, self.at_least)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(step_seed(self.seed, self.epoch))
        rounds = -(-len(self) // self.n_windows)
        order = [torch.randperm(self.n_windows, generator=generator) for _ in range(rounds)]
        yield from torch.cat(order)[: len(self)].tolist()


def step_seed(seed: int, count: int) -> int:
    """Seed of one step or epoch: the same whether or not a run was stopped before it."""
    return hash((seed, count)) % 2**63


def loaders(data: FilmData, training: TrainingConfig, seed: int) -> tuple[DataLoader, DataLoader]:
    """Training windows in an order of the epoch's own; validation ones."""
    train, validation = (Windows(data, p, training.window_trs) for p in ("train", "validation"))
    order = EpochOrder(len(train), training.min_steps, seed)
    return DataLoader(train, None, sampler=order), DataLoader(validation, None)
