"""Every codec architecture trained for the same processor minutes, with and without discriminator.

    python benchmarks/codec_architectures.py SOUNDS [--minutes 30] [--folder results/architectures]

SOUNDS/train and SOUNDS/validation have one folder for each kind of sound. Two short runs measure
what a step takes; the steps of the real run follow from it. A run that is in FOLDER already is
not repeated, so the command can be stopped and given again. Bits are bytes on disk, as
``giblet codec compress`` writes them. One table, in Markdown, on the screen and in FOLDER.
"""

import argparse
import json
import os
import time
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("OMP_NUM_THREADS", "1")  # processor seconds of one thread are comparable

import numpy as np

RECIPES = {"mdct": "bundled", "encodec": "encodec", "hierarchical": "hierarchical", "snake": None}
CONFIG = Path(__file__).parents[1] / "config" / "codec"
DATA = {"crop_seconds": 1.5, "batch_size": 8}
DISCRIMINATORS = {"none": None, "stft": {"kind": "stft"}}
METRICS = ("pesq_wb", "stoi", "si_sdr_db", "log_mel_db", "visqol")
NO_CHECKS = 10**6  # steps between validations: the table is made at the end
SHARE_WITHOUT_CODEBOOKS, SHARE_WITHOUT_JUDGE = 0.1, 0.3  # of the steps


def recipe(architecture: str, discriminator: str, betas: tuple, steps: int, timed: bool):
    """The settings of one run; ``timed``: codebooks and discriminator from the start."""
    from giblet.codec_training.recipe import parse_recipe
    from giblet.io.tables import load_yaml

    name = RECIPES[architecture]
    settings = load_yaml(CONFIG / f"{name}.yaml") if name else {"network": {}}
    settings["network"]["architecture"] = architecture
    settings["data"] = DATA
    first = 1 if timed else max(1, round(SHARE_WITHOUT_CODEBOOKS * steps))
    settings["schedule"] = settings.get("schedule", {}) | {
        "steps": steps,
        "steps_without_codebooks": first,
        "batches_for_kmeans": 16,
        "warmup_steps": max(1, min(200, steps // 10)),
        "betas": betas,
        "check_every": NO_CHECKS,
    }
    if judge := DISCRIMINATORS[discriminator]:
        begin = 0 if timed else round(SHARE_WITHOUT_JUDGE * steps)
        settings["discriminator"] = judge | {"from_step": begin}
    return parse_recipe(settings, architecture)


def train(sounds: dict, settings):
    """The trained network, and the processor seconds it took."""
    from giblet.codec_training.trainer import fit_codec

    start = time.process_time()
    with TemporaryDirectory() as logs:
        network = fit_codec(sounds["train"], sounds["validation"], settings, logs)
    return network, time.process_time() - start


def steps_in(sounds: dict, seconds: float, architecture: str, discriminator: str, betas) -> int:
    """How many steps fit into ``seconds`` of a processor, by two short runs.

    The first steps without discriminator are cheaper than those timed, and are counted so.
    """
    few, more = 2, 6

    def step(judge: str) -> tuple[float, float]:
        took = [
            train(sounds, recipe(architecture, judge, betas, n, timed=True))[1] for n in (few, more)
        ]
        each = max(1e-3, (took[1] - took[0]) / (more - few))
        return each, max(0.0, took[0] - few * each)

    each, once = step(discriminator)
    if DISCRIMINATORS[discriminator]:
        plain, _once = step("none")
        each = SHARE_WITHOUT_JUDGE * plain + (1 - SHARE_WITHOUT_JUDGE) * each
    return max(4, round((seconds - once) / each))


def measure(folder: Path, validation: dict, seconds: float) -> dict:
    """Bits from bytes on disk, scores by kind of sound and speed of a saved codec."""
    from giblet.audio.code_files import CompressedSound, to_bytes
    from giblet.audio.codecs.codec import load_codec
    from giblet.audio.metrics.scores import score_sound

    codec = load_codec(str(folder), codebooks=99)
    found: dict = {"parameters": sum(p.numel() for p in codec.model.parameters())}
    n_bytes, n_samples, spans = 0, 0, np.zeros(2)
    for kind, waveforms in validation.items():
        sound = np.concatenate(waveforms)[: round(seconds * codec.sample_rate)]
        moments = [time.process_time()]
        codes = codec.encode(sound)
        moments.append(time.process_time())
        estimate = codec.decode(codes)[: len(sound)]
        spans += np.diff([*moments, time.process_time()])
        stored = CompressedSound("x", codec.revision, codec.codebook_size, len(sound), codes)
        n_bytes, n_samples = n_bytes + len(to_bytes(stored)), n_samples + len(sound)
        scores = score_sound(sound, estimate, codec.sample_rate).set_index("metric")["value"]
        found[kind] = {metric: float(scores.get(metric, np.nan)) for metric in METRICS}
    found["ratio"] = 2 * n_samples / n_bytes  # of 16-bit sound
    found["kbps"] = 8 * n_bytes / 1000 / (n_samples / codec.sample_rate)
    found["speed"] = [*(n_samples / codec.sample_rate / spans)]
    return found


def run(sounds: dict, minutes: float, folder: Path, judged: float, of: tuple) -> dict:
    """Train, save and measure one codec."""
    steps = steps_in(sounds, 60 * minutes, *of)
    network, took = train(sounds, recipe(*of, steps, timed=False))
    network.save(folder, half=True)
    row = {"minutes": took / 60, "steps": steps} | measure(folder, sounds["validation"], judged)
    (folder / "row.json").write_text(json.dumps(row))
    return row


def table(rows: dict[tuple, dict], kinds: list[str]) -> str:
    """Markdown: one line for each codec, scores by kind of sound."""
    names = "PESQ / STOI / SI-SDR / log-mel / ViSQOL"
    titles = ["architecture", "discriminator", "betas", "minutes", "steps", "parameters, M"]
    titles += ["kbit/s", "ratio", *(f"{kind} {names}" for kind in kinds)]
    titles += ["× real time, encode, decode"]
    lines = [titles, ["---"] * len(titles)]
    for (architecture, judge, betas), row in rows.items():
        cells = [architecture, judge, f"{betas[0]:g}, {betas[1]:g}", f"{row['minutes']:.1f}"]
        cells += [f"{row['steps']}", f"{row['parameters'] / 1e6:.1f}"]
        cells += [f"{row['kbps']:.2f}", f"{row['ratio']:.0f}:1"]
        for kind in kinds:
            values = [row[kind][metric] for metric in METRICS]
            cells.append(" / ".join("–" if np.isnan(v) else f"{v:.2f}" for v in values))
        cells.append("{:.0f}, {:.0f}".format(*row["speed"]))
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sounds", type=Path)
    parser.add_argument("--minutes", type=float, default=30, help="of one processor, each codec")
    parser.add_argument("--folder", type=Path, default=Path("results/architectures"))
    parser.add_argument("--architectures", nargs="*", choices=RECIPES, default=[*RECIPES])
    parser.add_argument(
        "--discriminators", nargs="*", choices=DISCRIMINATORS, default=[*DISCRIMINATORS]
    )
    parser.add_argument(
        "--betas", type=float, nargs=2, action="append", help="of AdamW; may be given several times"
    )
    parser.add_argument("--judged", type=float, default=60, help="seconds of each kind to score")
    options = parser.parse_args()
    import torch

    from giblet.codec_training.data import read_sounds

    torch.set_num_threads(1)
    kinds = sorted(path.name for path in (options.sounds / "validation").iterdir())
    sounds = {part: read_sounds(options.sounds / part, kinds) for part in ("train", "validation")}
    betas = [tuple(pair) for pair in options.betas or [(0.8, 0.99)]]
    rows = {}
    for of in product(options.architectures, options.discriminators, betas):
        name = "_".join([*of[:2], *(f"{beta:g}" for beta in of[2]), f"{options.minutes:g}min"])
        done = options.folder / name / "row.json"
        if done.is_file():
            rows[of] = json.loads(done.read_text())
        else:
            done.parent.mkdir(parents=True, exist_ok=True)
            rows[of] = run(sounds, options.minutes, done.parent, options.judged, of)
        (options.folder / "table.md").write_text(table(rows, kinds) + "\n")
        print(table({of: rows[of]}, kinds).splitlines()[-1], flush=True)
    print(table(rows, kinds))


if __name__ == "__main__":
    main()
