"""What the music benchmarks share: training by processor time, and tables that continue."""

import csv
import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from giblet.music.data import RandomCrops
from giblet.music.folders import read_folder
from giblet.music.model import MusicTransformerVAEGAN
from giblet.music.notes import Notes
from giblet.music.objective import Objective
from giblet.music.recipe import DataSettings, ScheduleSettings


def read_pieces(folder: Path, n: int | None) -> dict[str, Notes]:
    """Pieces by name: all, or ``n`` of them, spread evenly."""
    pieces = read_folder(folder).pieces
    if n is None or n >= len(pieces):
        return dict(pieces)
    chosen = list(pieces)[:: len(pieces) // n][:n]
    return {name: pieces[name] for name in chosen}


def finished(table: Path, columns: Sequence[str]) -> set[tuple[str, ...]]:
    """Values of ``columns`` that the table has rows of; none where there is no table."""
    if not table.exists():
        return set()
    with table.open(newline="") as file:
        return {tuple(row[c] for c in columns) for row in csv.DictReader(file, delimiter="\t")}


def append_rows(table: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Add rows of the same columns to a TSV, all at once, and print them."""
    columns, is_new = list(rows[0]), not table.exists()
    if not is_new and (header := table.read_text().split("\n", 1)[0].split("\t")) != columns:
        raise SystemExit(f"{table}: its columns are {header}, not {columns}: give another --out")
    lines = ["\t".join(columns)] * is_new
    lines += ["\t".join(_text(row[c]) for c in columns) for row in rows]
    with table.open("a") as file:
        file.write("\n".join(lines) + "\n")
    print("\n".join(lines), flush=True)


def _text(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def learning_rate_share(step: int, share: float, schedule: ScheduleSettings) -> float:
    """As the trainer's, of the share of the minutes; the warm-up takes a tenth of them at most."""
    end = schedule.final_share
    warm = min(1.0, max((step + 1) / schedule.warmup_steps, 10 * share))
    return warm * (end + (1 - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2)


def adamw(network: nn.Module, schedule: ScheduleSettings) -> torch.optim.AdamW:
    """The trainer's optimiser: weight decay of matrices alone."""
    parameters = list(network.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": schedule.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, schedule.learning_rate, schedule.betas)


def train_for(
    minutes: float,
    optimizer: torch.optim.Optimizer,
    schedule: ScheduleSettings,
    batches: Iterator,
    loss_of: Callable[[object, int, float], torch.Tensor],
    after_backward: Callable[[int, float], None] = lambda step, share: None,
) -> dict[str, float]:
    """Train until the steps have used ``minutes`` of processor time; how much was done.

    The time of all threads of this process counts, but not that of making batches. ``loss_of`` and
    ``after_backward`` get the step and the share of the minutes that is used.
    """
    used, recent = 0.0, []
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    for step in itertools.count():
        share = used / (60 * minutes)
        if share >= 1:
            break
        batch, begin = next(batches), time.process_time()
        loss = loss_of(batch, step, share)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trained, schedule.gradient_clip)
        for group in optimizer.param_groups:
            rate = schedule.learning_rate * learning_rate_share(step, share, schedule)
            group["lr"] = rate * group.get("rate_factor", 1.0)
        after_backward(step, share)
        optimizer.step()
        used += time.process_time() - begin
        recent = [*recent[-99:], loss.item()]
        if (step + 1) % 100 == 0:
            mean = sum(recent) / len(recent)
            print(f"  step {step + 1}, {100 * share:.0f} %: loss {mean:.3f}", flush=True)
    return {"steps": step, "train_s": used, "last_loss": sum(recent) / max(len(recent), 1)}


def train_model(
    model: MusicTransformerVAEGAN,
    objective: Objective,
    pieces: Sequence[Notes],
    data: DataSettings,
    schedule: ScheduleSettings,
    minutes: float,
    seed: int,
    kl_from: float = 0.0,
    extra: nn.Module | None = None,
) -> dict[str, float]:
    """Train one of giblet's models as its trainer does, but for minutes instead of steps.

    What the recipe counts in steps (the ramp of KL's weight, the first step of each discriminator)
    comes at the same share: step 2,000 of 10,000 after a fifth of the minutes. ``kl_from``: the
    share of the recipe at which KL's schedule begins. ``extra`` has parameters that are trained
    beside the model's, without weight decay and ten times as fast.
    """
    torch.manual_seed(seed)
    optimizer, drawn, adversary = adamw(model, schedule), [None], objective.adversary
    if extra is not None:
        group = {"params": list(extra.parameters()), "weight_decay": 0.0, "rate_factor": 10.0}
        optimizer.add_param_group(group)
    if adversary is not None:
        discriminators = torch.optim.AdamW(adversary.parameter_groups(), betas=(0.0, 0.9))

    def loss_of(batch, step: int, share: float) -> torch.Tensor:
        generator = torch.Generator().manual_seed(hash((seed, step)) % 2**63)
        objective.kl_schedule.step.fill_(round((kl_from + share) * schedule.steps))
        at = round(share * schedule.steps)
        loss, values, drawn[0] = objective(model, batch, at, generator)
        if not torch.isfinite(loss):
            raise SystemExit(f"step {step}: the loss is {loss.item()}; {values}")
        return loss

    def train_discriminators(step: int, share: float) -> None:
        if drawn[0] is not None:
            at = round(share * schedule.steps)
            objective.discriminator_step(discriminators, drawn[0], at)

    batches = iter(DataLoader(RandomCrops(pieces, data, seed), data.batch_size))
    model.train()
    done = train_for(minutes, optimizer, schedule, batches, loss_of, train_discriminators)
    model.eval()
    return done
