"""What a report needs from a data set's results folder."""

import json
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from giblet.audio.files import read_sound
from giblet.config import Config
from giblet.report.brain import BrainResults
from giblet.store import load_arrays, load_table, open_arrays

PATHS = ("encodec", "mel")
SAMPLE_RATE = 24000  # Hz, of the players


def load_results(
    results: Path, config: Config
) -> tuple[dict, int, dict, dict, BrainResults | None]:
    """Sounds by path and column, their sample rate, training curves by path, facts, and how good
    the scans are, if there are any."""
    sounds = {path: _sounds(results / "audio" / path) for path in PATHS}
    history = {path: load_table(results / "model" / path / "history.tsv") for path in PATHS}
    facts = _facts(results, config)
    brain = _brain(results) if facts["has_bold"] else None
    if brain is not None:
        facts["warnings"] = joined_warnings(facts, brain.space.attrs, brain.quality.attrs)
    return sounds, SAMPLE_RATE, history, facts, brain


def _sounds(folder: Path) -> dict:
    return {wav.stem: read_sound(wav, SAMPLE_RATE) for wav in sorted(folder.glob("*.wav"))}


def _brain(results: Path) -> BrainResults:
    with open_arrays(results / "bold.nc") as scans:
        space = scans.drop_vars("bold").load()
    quality = load_arrays(results / "brain_quality.nc")
    return BrainResults(quality, load_table(results / "brain_quality.tsv"), space)


def joined_warnings(*attrs: dict) -> list[str]:
    """Every warning once, as they come; of a file they are JSON.

    >>> joined_warnings({"warnings": ["a", "b"]}, {"warnings": '["b", "c"]'}, {})
    ['a', 'b', 'c']
    """
    said = [a.get("warnings", []) for a in attrs]
    lists = [json.loads(one) if isinstance(one, str) else one for one in said]
    return list(dict.fromkeys(warning for one in lists for warning in one))


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
