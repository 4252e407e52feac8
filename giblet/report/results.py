"""What a report needs from a data set's results folder."""

import json
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from giblet.audio.files import read_sound
from giblet.config import Config
from giblet.store import load_arrays, load_table

PATHS = ("encodec", "mel")
SAMPLE_RATE = 24000  # Hz, of the players


def load_results(results: Path, config: Config) -> tuple[dict, int, dict, dict]:
    """Sounds by path and column, their sample rate, training curves by path, and facts."""
    sounds = {path: _sounds(results / "audio" / path) for path in PATHS}
    history = {path: load_table(results / "model" / path / "history.tsv") for path in PATHS}
    return sounds, SAMPLE_RATE, history, _facts(results, config)


def _sounds(folder: Path) -> dict:
    return {wav.stem: read_sound(wav, SAMPLE_RATE) for wav in sorted(folder.glob("*.wav"))}


def _facts(results: Path, config: Config) -> dict:
    aligned = load_arrays(results / "aligned" / "encodec.nc")
    attrs, part = aligned.attrs, pd.Series(aligned["part"].values.astype(str))
    packages = ("giblet", "torch", "transformers", "nilearn", "himalaya", "snakemake")
    return {
        "dataset": config.dataset,
        "film": attrs["film"],
        "film_sha256": attrs["input"],
        "t_r": float(attrs["t_r"]),
        "n_trs": aligned.sizes["tr"],
        "parts": part.value_counts().to_dict(),
        "framing": attrs["framing"],
        "codec": attrs["codec"],
        "codec_revision": attrs["codec_revision"],
        "bandwidth_kbps": float(attrs["bandwidth_kbps"]),
        "has_bold": "bold" in aligned,
        "simulated": "SIMULATED" in attrs.get("bold_source", ""),
        "bold_source": attrs.get("bold_source", "none"),
        "subjects": aligned["subject"].values.astype(str).tolist() if "bold" in aligned else [],
        "warnings": json.loads(attrs["warnings"]),
        "seed": config.seed,
        "versions": {name: version(name) for name in packages},
        "config": config.model_dump_json(indent=2),
    }
