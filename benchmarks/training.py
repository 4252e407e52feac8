"""Training steps of the default model and a plain one, in one run: speed, memory, learning.

    python benchmarks/training.py [--aligned results/demo/aligned/encodec.nc] [--trs 240 1976]

The aligned array set is the demo's (``snakemake reconstruct_audio``); its TRs are repeated to make
a longer film, which does not affect time or memory. Each model runs in its own process, on
two threads, 32 TRs per step. "plain" is a straightforward baseline: eight embeddings, convolutions
of three widths, a sequence head of 33.7 M parameters and cross-entropy over all frames,
in single precision; "all" adds video, text and brains, as in the default. ``--learn 60`` trains
each model for 60 s of steps on the demo's own parts, at the default's learning rate, and
prints the cross-entropy of the test part's codes.
"""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

BATCH = 32
WAYS = ("plain, sound", "plain, all", "default, sound", "default, all")


def plain_decoder(n_bottleneck: int, shapes):
    """Bottleneck to every frame, and to scores of every code: 33.7 M parameters."""
    import torch
    from torch import nn

    from giblet.autoencoder.code_heads import ClassifierHead
    from giblet.autoencoder.decoders import AudioDecoder

    class EveryFrame(nn.Module):
        def __init__(self, dim: int = 128, width: int = 512):
            super().__init__()
            self.lay_out = nn.Linear(n_bottleneck, shapes.frames_per_tr * dim)
            self.widen = nn.Linear(dim, width)

        def forward(self, bottleneck: torch.Tensor) -> torch.Tensor:
            frames = self.lay_out(bottleneck).unflatten(-1, (shapes.frames_per_tr, -1))
            return self.widen(nn.functional.gelu(frames)).transpose(1, 2)

    head = ClassifierHead(512, shapes.n_rows, shapes.codebook_size)
    return AudioDecoder(frames=EveryFrame(), head=head)


def settings_of(variant: str) -> dict:
    """Settings of a model in the config."""
    if variant == "default":
        return {"training": {"window_trs": BATCH}}
    flat = {"layout": "flat", "code_head": "classifier", "start_from": "none"}
    training = {"bfloat16": False, "modality_dropout": 0.0, "frames_per_step": 10_000}
    training |= {"audio_trs": BATCH}
    return {"model": flat, "training": training | {"window_trs": BATCH}}


def prepare(way: str, aligned: Path):
    """The demo's data, and an autoencoder before its first step."""
    import torch

    from giblet.alignment.aligned import film_data, film_shapes
    from giblet.audio.codecs.codec import load_codec
    from giblet.autoencoder.objective import LatentDistance, start_at_baseline
    from giblet.autoencoder.training import begin
    from giblet.autoencoder.warm_start import starting_point
    from giblet.config.config import parse_config
    from giblet.io.arrays import load_arrays

    variant, parts = way.split(", ")
    config = parse_config(settings_of(variant))
    arrays, codec = load_arrays(aligned), load_codec("bundled", 6.0)
    if parts == "sound":
        arrays = arrays.drop_vars(["video", "text", "bold", "regressors"], errors="ignore")
    data, shapes = film_data(arrays), film_shapes(arrays, config.hrf_model, codec.codebook_dim)
    words = torch.from_numpy(codec.codebooks())
    start, _name = starting_point(shapes, config.model, words)
    sound = LatentDistance(codec) if variant == "default" else None
    options = {"codebooks": words, "sound": sound, "start": start}
    module = begin(data, shapes, config.model, config.training, 0, **options)
    if variant == "plain":
        model = module.autoencoder
        model.decoders["audio"] = plain_decoder(model.bottleneck_dim, shapes)
        start_at_baseline(model, data)
    return data, module.train(), config.training


def step(module, optimizer, window, bfloat16: bool) -> None:
    """One step as `giblet.autoencoder.training` does it, without Lightning around it."""
    import torch

    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        losses, _bottleneck = module.objective(window)
        total = sum(module.objective.weighted(losses).values())
    optimizer.zero_grad()
    total.backward()
    torch.nn.utils.clip_grad_norm_(module.parameters(), module.settings.gradient_clip)
    optimizer.step()


def peak_memory() -> int:
    """Peak memory of this process, kB; ``getrusage`` would count its parent's too."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])


def measure(way: str, aligned: Path, n_trs: int, learn: float) -> dict:
    """Step time, memory above the imports and, after ``learn`` seconds, nats on test TRs."""
    import numpy as np
    import torch

    import giblet.autoencoder.training  # noqa: F401 (memory is counted above the imports)
    from giblet.alignment.loaders import Windows
    from giblet.autoencoder.inference import bottlenecks
    from giblet.autoencoder.losses import code_cross_entropy
    from giblet.config.precision import uses_bfloat16

    torch.set_num_threads(2)
    before = peak_memory()
    data, module, training = prepare(way, aligned)
    optimizer = torch.optim.AdamW(module.parameters(), training.learning_rate)
    long = data
    if not learn:
        trs = np.resize(data.where("train"), n_trs)
        one_part = {"part": np.repeat("train", n_trs), "run": np.repeat("1", n_trs)}
        long = replace(data.slice(trs), **one_part)
    windows, times, began = Windows(long, "train", BATCH), [], time.perf_counter()
    order = np.random.default_rng(0)
    while len(times) < 12 or time.perf_counter() - began < learn:
        window, start = windows[int(order.integers(len(windows)))], time.perf_counter()
        step(module, optimizer, window, uses_bfloat16(training.bfloat16))
        times.append(time.perf_counter() - start)
    found = {"step": float(np.median(times[2:])), "mb": (peak_memory() - before) / 1024}
    if learn:
        test, model = data.where("test"), module.autoencoder.eval()
        codes = data.film["audio"][test]
        code = torch.from_numpy(bottlenecks(model, data)[test])
        with torch.inference_mode():
            nats = [
                code_cross_entropy(model.decoders["audio"].logits(b[None], c[None]), c[None])
                for b, c in zip(code, codes, strict=True)
            ]
        found |= {"nats": float(torch.stack(nats).mean()), "steps": len(times)}
    return found


def main() -> None:
    """Print one row per model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--aligned", type=Path, default=Path("results/demo/aligned/encodec.nc"))
    parser.add_argument("--trs", type=int, nargs="*", default=[240, 1976])
    parser.add_argument("--learn", type=float, default=0)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options.only, options.aligned, options.trs[0], options.learn)))
        return
    print(f"{'way':16}{'TRs':>6}{'s a step':>10}{'samples/s':>11}{'of plain':>10}{'MB':>7}")
    for n_trs in options.trs[: 1 if options.learn else None]:
        plain = {}
        for way in WAYS:
            more = ["--trs", str(n_trs), "--learn", str(options.learn), "--only", way]
            command = [sys.executable, __file__, "--aligned", str(options.aligned), *more]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            m, kind = json.loads(done.stdout.splitlines()[-1]), way.split(", ")[1]
            rate = BATCH / m["step"]
            plain.setdefault(kind, rate)
            learned = f"  {m['nats']:.2f} nats after {m['steps']} steps" if options.learn else ""
            row = f"{way:16}{n_trs:6}{m['step']:10.3f}{rate:11.0f}{rate / plain[kind]:10.1f}"
            print(f"{row}{m['mb']:7.0f}{learned}", flush=True)


if __name__ == "__main__":
    main()
