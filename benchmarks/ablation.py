"""Ablations of the model: placement of the HRF x head x capacity, several seeds each.

    python benchmarks/ablation.py results/demo [--film FILM] [--seeds 0 1 2] [--table ablation.tsv]
    python benchmarks/ablation.py results/demo --path mel --variants default

Reads ``aligned/encodec.nc`` of a results folder (made by ``snakemake reconstruct_audio``), trains
each variant on it and scores the test part: codes, the sound of the bottleneck, decoding
from simulated or measured BOLD, BOLD predicted from the bottleneck. Rows are appended
as they are measured; variants and seeds in the table are skipped. Prints mean ± sd over seeds.
``--set`` changes settings of all variants: ``--set '{"training": {"max_epochs": 10}}'``.
"""

import argparse
import itertools
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from giblet.alignment.voxels import reliable_voxels
from giblet.audio.files import read_sound
from giblet.audio.processor import AudioProcessor
from giblet.autoencoder.inference import bottlenecks, predict_bold
from giblet.autoencoder.preparation import prepare_training
from giblet.config.config import parse_config
from giblet.demo import film_path
from giblet.evaluation.brain_scores import decode_brains, film_stretch, identification_rows
from giblet.evaluation.held_out import HeldOut
from giblet.evaluation.scores import code_rows
from giblet.io.arrays import load_arrays
from giblet.stats.pearson import correlation
from giblet.timing import trs_for

CAPACITIES = {
    "flat": ({"layout": "flat"}, {"schedule": "constant", "modality_dropout": 0.0}),
    "slots": ({"layout": "slots"}, {}),
}
HEADS = ("classifier", "geometric", "regression")
PLACEMENTS = ("bottleneck", "inputs")
WIDE = [
    *("accuracy", "nats", "stoi", "log_mel_db", "identification_10way", "bold_r_reliable"),
    *("validation/loss", "validation/audio", "processor_seconds"),
]


def variants() -> dict[str, dict]:
    """Name → settings; only default, vae and pretrained inputs do not train from scratch."""
    all_variants = {"default": {}, "vae": {"model": {"variational": True}}}
    for capacity, head, placement in itertools.product(CAPACITIES, HEADS, PLACEMENTS):
        sizes, training = CAPACITIES[capacity]
        model = sizes | {"code_head": head, "hrf_placement": placement, "start_from": "none"}
        all_variants[f"{capacity} {head} {placement}"] = {"model": model, "training": training}
    all_variants["pretrained inputs"] = {"model": {"hrf_placement": "inputs"}}
    return all_variants


def merged(settings: dict, changes: dict) -> dict:
    """``settings`` with ``changes``, section by section."""
    return settings | {name: settings.get(name, {}) | part for name, part in changes.items()}


def measure(settings: dict, seed: int, arrays, film_sound: np.ndarray) -> dict:
    """Train one variant; its scores on the test part and the training time (s)."""
    config = parse_config(settings | {"seed": seed})
    processor = AudioProcessor.from_config(config, arrays.attrs["encoding_mode"])
    prepared = prepare_training(arrays, config)
    data = prepared.data
    began, before = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        trained = prepared.fit(Path(folder))
    processor_s, seconds = time.process_time() - before, time.perf_counter() - began
    model, best = trained.autoencoder, trained.history.set_index("epoch").loc[trained.best_epoch]
    code, test, train = bottlenecks(model, data), data.where("test"), data.where("train")
    trs, clip_trs = arrays["tr"].values[test], trs_for(config.decoding.clip_seconds, config.t_r)
    codes = [] if model.codebooks is None else code_rows(model, code[test], data, seed)
    scores = {r["metric"]: r["value"] for r in codes if r["column"] == "stimulus"}
    with torch.inference_mode():
        features = model.decode_audio(torch.from_numpy(code[test])).numpy()
    wave = processor.features_to_audio(features, attrs=arrays.attrs, first_tr=trs[0])
    original = film_stretch(film_sound, trs, processor)
    held_out = HeldOut(code, data, original, processor.sample_rate, clip_trs)
    heard = held_out.sound_scores(wave)
    brain = {"brain": decode_brains(code, data, config.t_r, config.decoding)["brain"]}
    identified = identification_rows(brain, code, data, config.t_r, config.decoding, seed)
    bold = data.bold.numpy()
    reliable = reliable_voxels(bold[:, train])
    pairs = zip(predict_bold(model, code, data.run), bold, strict=True)
    r = [correlation(p[test][:, reliable], one[test][:, reliable]) for p, one in pairs]
    return {
        "accuracy": scores.get("code_accuracy", np.nan),
        "nats": scores.get("cross_entropy_nats", np.nan),
        "stoi": np.nanmean(heard["stoi"]),
        "log_mel_db": np.nanmean(heard["log_mel_db"]),
        **{row["metric"]: row["value"] for row in identified if row["column"] == "brain"},
        "bold_r_reliable": np.nanmean(r),
        **{name: value for name, value in best.items() if name.startswith("validation/")},
        "best_epoch": trained.best_epoch + 1,
        "epochs": len(trained.history),
        "seconds": seconds,
        "processor_seconds": processor_s,
    }


def main() -> None:
    """Measure what is missing in the table, then print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--film", type=Path, default=film_path())
    parser.add_argument("--path", choices=("encodec", "mel"), default="encodec")
    parser.add_argument("--set", type=json.loads, default={}, help="settings, as JSON")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--variants", nargs="*", default=list(variants()))
    parser.add_argument("--table", type=Path, default=Path("ablation.tsv"))
    options = parser.parse_args()
    arrays = load_arrays(options.results / "aligned" / f"{options.path}.nc")
    film_sound = read_sound(options.film, 24000)
    rows = pd.read_csv(options.table, sep="\t").to_dict("records") if options.table.exists() else []
    done = {(row["variant"], row["seed"]) for row in rows}
    for seed, variant in itertools.product(options.seeds, options.variants):
        if (variant, seed) not in done:
            settings = merged(variants()[variant], options.set)
            scores = measure(settings, seed, arrays, film_sound)
            rows.append({"variant": variant, "seed": seed} | scores)
            pd.DataFrame(rows).to_csv(options.table, sep="\t", index=False)
            print(variant, seed, {k: round(float(v), 3) for k, v in scores.items()}, flush=True)
    by_variant = pd.DataFrame(rows).groupby("variant", sort=False)[WIDE]
    mean, sd = by_variant.mean().round(3).astype(str), by_variant.std().round(3).astype(str)
    print((mean + " ± " + sd).to_markdown())


if __name__ == "__main__":
    main()
