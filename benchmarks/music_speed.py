"""Speed and memory of the music transformer beside transformers' GPT-2 of the same size.

    python benchmarks/music_speed.py [--only scoring --attention window] [--threads 1] [--bf16]

4 layers of width 256, 3.4 million parameters, random weights and random music. Each row runs in
its own process. Tokens per second are per second of processor time of all threads divided
by their number, so that other work on the machine counts little; RSS is the peak above what stood
after the imports, thus with the model's weights.

- encode: notes to tokens, the piece again and again (no network, so one row)
- scoring: nats of a piece, streamed in chunks of 512 (GPT-2, which has 1,024 positions: in windows
  of 1,024, of each the last 512 scored, thus nearly every token computed twice)
- training: AdamW steps on crops of 1,024 tokens, 4 at a time
- piece: AdamW steps on one whole piece of 9,433 tokens, with checkpointing
- generation: one token at a time after 300, sampled at temperature 1, for 1 or 32 sequences
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time

LAYERS, WIDTH, HEADS = 4, 256, 4
ATTENTIONS = ("window", "multi_scale", "hierarchical", "full", "gpt2")
JOBS = {  # name → sizes
    "encode": (37732,),
    "scoring": (9433, 37732),
    "training": (4,),
    "piece": (9433,),
    "generation": (1, 32),
}
CROP, CHUNK, PROMPT, NEW = 1024, 512, 300, 200


def music(n: int, batch: int = 1):
    """Random tokens (batch, n), their seconds and phases."""
    import torch

    from giblet.music.tokens import VOCABULARY

    tokens = torch.randint(VOCABULARY.size, (batch, n), generator=torch.Generator().manual_seed(0))
    steps = VOCABULARY.steps(tokens)
    seconds = ((steps.cumsum(1) - steps) * VOCABULARY.step_seconds).float()
    return tokens, seconds, torch.stack((seconds * 2 % 1, seconds / 2 % 1), dim=-1)


def ours(attention: str, checkpointing: bool):
    from giblet.music.attention import AttentionSettings
    from giblet.music.transformer import Transformer, TransformerSettings

    return Transformer(
        TransformerSettings(
            width=WIDTH,
            n_heads=HEADS,
            n_layers=LAYERS,
            attention=AttentionSettings(kind=attention),
            checkpointing=checkpointing,
        )
    )


def theirs(n: int, checkpointing: bool):
    from transformers import GPT2Config, GPT2LMHeadModel

    from giblet.music.tokens import VOCABULARY

    config = GPT2Config(
        vocab_size=VOCABULARY.n_ids,
        n_positions=n,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        attn_pdrop=0.0,
    )
    model = GPT2LMHeadModel(config)
    if checkpointing:
        model.gradient_checkpointing_enable()
    return model


def encode(n: int, n_times: int = 50) -> int:
    import numpy as np

    from giblet.music.notes import Notes
    from giblet.music.tokens import tokenize

    rng, n_notes = np.random.default_rng(0), n // 3  # notes have about 3 tokens, 8 in a second
    columns = rng.uniform(0, n_notes / 8, n_notes), rng.uniform(0.1, 1, n_notes)
    notes = Notes.from_unsorted(*columns, *rng.integers([[30], [1]], [[90], [127]], (2, n_notes)))
    return sum(len(tokenize(notes)) for _ in range(n_times))


def score(attention: str, n: int) -> int:
    import torch

    from giblet.music.windows import scoring_windows, stream_nats

    tokens, seconds, phases = music(n)
    if attention != "gpt2":
        inputs = (x[0].numpy() for x in (tokens, seconds, phases))
        stream_nats(ours(attention, False), *inputs, chunk=CHUNK)
        return n
    model = theirs(CROP, False).eval()
    with torch.inference_mode():
        for window in scoring_windows(n, CROP, CHUNK):
            part = tokens[0, window.start : window.stop]
            logits = model(part[None]).logits[0, window.scored - window.stop - 1 : -1]
            scored = part[len(part) - len(logits) :]
            torch.nn.functional.cross_entropy(logits, scored, reduction="none")
    return n


def train(attention: str, batch: int, n: int, n_steps: int, checkpointing: bool, bf16: bool) -> int:
    import torch

    tokens, seconds, phases = music(n, batch)
    plain = attention == "gpt2"
    model = theirs(n, checkpointing) if plain else ours(attention, checkpointing)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-4)
    for _ in range(n_steps):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            if plain:
                loss = model(tokens, labels=tokens).loss
            else:
                loss = model.nats(tokens, seconds, phases).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return n_steps * tokens.numel()


def generate(attention: str, batch: int):
    """A function that makes NEW tokens for each sequence, after a prompt."""
    import torch

    tokens, seconds, phases = music(PROMPT, batch)
    with torch.inference_mode():
        if attention == "gpt2":
            model = theirs(PROMPT + NEW, False).eval()
            past = model(tokens, use_cache=True).past_key_values
        else:
            model = ours(attention, False).eval()
            caches = model.new_caches()
            model(tokens, seconds, phases, caches=caches)

    def run() -> int:
        last, moment, phase = tokens[:, -1:], seconds[:, -1:], phases[:, -1:]
        with torch.inference_mode():
            for _ in range(NEW):
                if attention == "gpt2":
                    logits = model(last, past_key_values=past, use_cache=True).logits[:, -1]
                else:
                    logits = model.logits(model(last, moment, phase, caches=caches)[:, -1])
                last = torch.multinomial(logits.softmax(-1), 1)
        return NEW * batch

    return run


def measure(job: str, attention: str, size: int, bf16: bool) -> dict:
    import psutil
    import torch

    import giblet.music.windows

    if attention == "gpt2":
        from transformers import GPT2LMHeadModel  # noqa: F401
    threads = int(os.environ["OMP_NUM_THREADS"])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    before = psutil.Process().memory_info().rss
    jobs = {
        "encode": lambda: encode(size),
        "scoring": lambda: score(attention, size),
        "training": lambda: train(attention, size, CROP, 3, False, bf16),
        "piece": lambda: train(attention, 1, size, 1, True, bf16),
        "generation": lambda: run(),
    }
    if job == "generation":
        run = generate(attention, size)
    elif job in ("training", "piece"):  # the first step imports, allocates and chooses kernels
        jobs[job]()
    start, wall = time.process_time(), time.perf_counter()
    n = jobs[job]()
    seconds, wall = time.process_time() - start, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert giblet.music.windows
    return {
        "tokens/s": n * threads / seconds,
        "tokens/s, wall": n / wall,
        "RSS, MB": (peak - before) / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--attention", nargs="+", choices=ATTENTIONS, default=["window", "gpt2"])
    parser.add_argument("--threads", default="1")
    parser.add_argument("--bf16", action="store_true", help="of training; needs such instructions")
    parser.add_argument("--row", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.row:
        job, attention, size = args.row
        print(json.dumps(measure(job, attention, int(size), args.bf16)))
        return
    print(f"{'job':<12}{'attention':<14}{'size':>7}{'tokens/s':>12}{'wall':>12}{'RSS, MB':>9}")
    for job in args.only:
        for size in JOBS[job]:
            for attention in args.attention[:1] if job == "encode" else args.attention:
                command = [sys.executable, __file__, "--row", job, attention, str(size)]
                command += ["--bf16"] * args.bf16
                environment = os.environ | {"OMP_NUM_THREADS": args.threads}
                out = subprocess.run(command, capture_output=True, text=True, env=environment)
                if out.returncode:
                    print(f"{job:<12}{attention:<14}{size:>7}  failed: {out.stderr[-300:]}")
                    continue
                row = json.loads(out.stdout.splitlines()[-1])
                figures = "{:>12,.0f}{:>12,.0f}{:>9,.0f}".format(*row.values())
                print(f"{job:<12}{attention:<14}{size:>7}{figures}", flush=True)


if __name__ == "__main__":
    main()
