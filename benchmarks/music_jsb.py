"""Next-pitch prediction on the JSB chorales: count models, and the network, in one run.

    python benchmarks/music_jsb.py [--data FILE] [--on valid] [--minutes 0]
        [--width 256] [--layers 4] [--window 64] [--transpose 5] [--seed 0]

The task of Music Transformer (Huang et al. 2019, table 1): 229 / 76 / 77 chorales as sixteenths of
four voices, read soprano, alto, tenor, bass, sixteenth after sixteenth; nats per token on
held-out chorales. The paper has .335 with relative attention and time and pitch bias, .417 for its
baseline. A sixteenth with fewer than four notes is filled with rests from below: the file does not
record which voice is silent. The count models (`giblet.music.count_models`) are trained on the 229;
each knows the voice and the sixteenth of the beat, and what its name says.

With ``--minutes`` a `giblet.music.transformer.Transformer` with a window of ``--window`` pitches is
trained on the 229 for so many minutes of each thread's processor, on crops of ``--crop`` pitches
that are transposed by up to ``--transpose`` semitones, and scored on whole chorales. With full
attention it would meet distances there that no crop had (1.13 nats instead of .50 after five
minutes). It has the moment of each pitch, the phase of beat and bar and, as the count
models, the voice: its probabilities are over the pitches of one voice and the rest.

The file is ``music/benchmark/jsb-chorales-16th.json`` in the folder that GIBLET_SHARED names, from
github.com/czhuang/JSB-Chorales-dataset.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from giblet.music.attention import AttentionSettings
from giblet.music.count_models import CountModel
from giblet.music.tokens import VOCABULARY
from giblet.music.transformer import Transformer, TransformerSettings

N_VOICES, REST, LOWEST, N_SYMBOLS = 4, 0, 35, 48  # pitches 36-81 become 1-46
START = 47  # what a voice has before its first sixteenth


def read_chorales(path: Path) -> dict[str, list[np.ndarray]]:
    """Split → chorales (n_sixteenths, n_voices) int64, pitches from 1, 0 for a rest."""
    splits = json.loads(path.read_text())
    return {name: [_grid(piece) for piece in pieces] for name, pieces in splits.items()}


def _grid(piece: list[list[float]]) -> np.ndarray:
    grid = np.full((len(piece), N_VOICES), REST)
    for row, pitches in zip(grid, piece, strict=True):
        row[: len(pitches)] = np.array(pitches, dtype=int) - LOWEST
    return grid


def rows(chorales: list[np.ndarray], contexts: tuple[str, ...]) -> np.ndarray:
    """Rows (n_tokens, n_contexts + 1): what is known of each token, then the token."""
    columns = []
    for grid in chorales:
        start = np.full((1, N_VOICES), START)
        known = {
            "voice": np.broadcast_to(np.arange(N_VOICES), grid.shape),
            "beat": np.broadcast_to(np.arange(len(grid))[:, None] % 4, grid.shape),
            "last": np.concatenate([start, grid[:-1]]),
            "above": np.concatenate([np.full((len(grid), 1), START), grid[:, :-1]], axis=1),
        }
        columns.append([known[name].ravel() for name in contexts] + [grid.ravel()])
    return np.concatenate([np.stack(each, axis=1) for each in columns])


COUNTED = {  # the context that is dropped first stands first
    "pitch": (),
    "pitch, by voice": ("beat", "voice"),
    "voice's last pitch": ("last", "beat", "voice"),
    "voice's last pitch, voice above": ("above", "last", "beat", "voice"),
}


def counted_nats(splits: dict, on: str) -> dict[str, float]:
    """Count model → nats per token."""
    found = {}
    for name, contexts in COUNTED.items():
        model = CountModel(rows(splits["train"], contexts), N_SYMBOLS)
        found[name] = float(-np.log(model.probabilities(rows(splits[on], contexts))).mean())
    return found


def network_inputs(grid: np.ndarray) -> dict[str, torch.Tensor]:
    """A chorale (n_sixteenths, n_voices) as ids, moments and phases of what is to predict."""
    ids = torch.from_numpy((grid + N_SYMBOLS * np.arange(N_VOICES)).ravel())
    sixteenth = torch.arange(len(grid)).repeat_interleave(N_VOICES)
    phases = torch.stack([sixteenth % 4 / 4, sixteenth % 16 / 16], dim=1)
    begin = torch.tensor([VOCABULARY.bos])
    inputs = torch.cat([begin, ids[:-1]])
    return {"inputs": inputs, "targets": ids, "seconds": sixteenth / 8, "phases": phases}


def network_losses(network: Transformer, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Nats (batch, n_tokens) of each pitch among those of its voice."""
    hidden = network(batch["inputs"], batch["seconds"], batch["phases"])
    voice = batch["targets"] // N_SYMBOLS
    logits = network.logits(hidden)[..., : N_VOICES * N_SYMBOLS].unflatten(-1, (N_VOICES, -1))
    own = logits.take_along_dim(voice[..., None, None], dim=-2)[..., 0, :].float()
    targets = batch["targets"] % N_SYMBOLS
    return functional.cross_entropy(own.mT, targets, reduction="none")


def random_batch(chorales, n: int, length: int, transpose: int, rng: np.random.Generator) -> dict:
    """Crops (n, length) of chorales, transposed."""
    crops = []
    while len(crops) < n:
        grid = chorales[rng.integers(len(chorales))]
        semitones = rng.integers(-transpose, transpose + 1)
        grid = np.where(grid == REST, REST, np.clip(grid + semitones, 1, START - 1))
        piece = network_inputs(grid)
        if len(piece["inputs"]) >= length:
            start = rng.integers((len(piece["inputs"]) - length) // N_VOICES + 1) * N_VOICES
            crops.append({k: v[start : start + length] for k, v in piece.items()})
    return {name: torch.stack([crop[name] for crop in crops]) for name in crops[0]}


def trained_network(splits: dict, options: argparse.Namespace, device: torch.device) -> Transformer:
    """A network trained for ``options.minutes`` by the clock; its learning rate falls with them."""
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    settings = TransformerSettings(
        width=options.width,
        n_heads=4,
        n_layers=options.layers,
        dropout=options.dropout,
        attention=AttentionSettings(kind="window", window=options.window),
    )
    network = Transformer(settings).to(device).train()
    optimizer = torch.optim.AdamW(
        network.parameters(), options.rate, (0.9, 0.98), weight_decay=0.05
    )
    begin, step, share = time.process_time(), 0, 0.0
    seconds = 60 * options.minutes * torch.get_num_threads()
    while share < 1:
        batch = random_batch(splits["train"], options.batch, options.crop, options.transpose, rng)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = network_losses(network, {k: v.to(device) for k, v in batch.items()}).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        share = (time.process_time() - begin) / seconds
        rate = options.rate * min(1, (step + 1) / 100) * (1 + np.cos(np.pi * min(share, 1))) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        step += 1
        if step % 100 == 0:
            print(f"step {step}, {100 * share:.0f} %: {loss.item():.3f} nats/token on its crops")
    print(f"{step} steps of {options.batch * options.crop} tokens")
    return network.eval()


@torch.inference_mode()
def network_nats(network: Transformer, chorales: list[np.ndarray], device: torch.device) -> float:
    """Nats per token of whole chorales, one after another."""
    total = n_tokens = 0
    for grid in chorales:
        batch = {k: v[None].to(device) for k, v in network_inputs(grid).items()}
        total += network_losses(network, batch).double().sum().item()
        n_tokens += grid.size
    return total / n_tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shared = Path(os.environ.get("GIBLET_SHARED", "../shared"))
    parser.add_argument(
        "--data", type=Path, default=shared / "music" / "benchmark" / "jsb-chorales-16th.json"
    )
    parser.add_argument("--on", choices=("valid", "test"), default="valid")
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--transpose", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    splits = read_chorales(options.data)
    for name, pieces in splits.items():
        print(f"{name}: {len(pieces)} chorales, {sum(grid.size for grid in pieces)} tokens")
    start = time.perf_counter()
    for name, nats in counted_nats(splits, options.on).items():
        print(f"counts of {name}: {nats:.3f} nats/token")
    print(f"{time.perf_counter() - start:.1f} s for all count models")
    if options.minutes > 0:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network = trained_network(splits, options, device)
        n_parameters = sum(p.numel() for p in network.parameters())
        nats = network_nats(network, splits[options.on], device)
        print(f"network, {n_parameters:,} parameters, {options.minutes} min: {nats:.3f} nats/token")


if __name__ == "__main__":
    main()
