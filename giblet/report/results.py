"""What a report needs from a data set's results folder."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from giblet.audio.files import read_sound
from giblet.config.config import Config
from giblet.errors import GibletError
from giblet.io.arrays import load_arrays, open_arrays
from giblet.io.schema import ALIGNED, QUALITY, SCANS, WORDS
from giblet.io.tables import gather_tables, load_json, load_table
from giblet.log import warnings_of
from giblet.report.extras import Extras
from giblet.report.run_record import git_commit, rule_times, versions, warnings_by_rules
from giblet.report.scan_quality import EVERYWHERE, BrainResults, region_table
from giblet.report.segments import MATCHED, matched_mel, matched_rows, score_segments
from giblet.report.timeline import missing_volumes, scanned_table, timeline_table

PATHS = ("encodec", "mel")
SAMPLE_RATE = 24000  # Hz, of the players
SCORES = ["path", "column", "metric", "value", "low", "high", "n", "n_failed"]
_MODALITIES = {"audio": "sound", "video": "pictures", "text": "words"}


def heard_paths(results: Path, config: Config) -> list[str]:
    """The paths on which sound was made and scored: none without a film, see ``config.film``."""
    scored = results / "scores"
    return [p for p in PATHS if config.has_film and (scored / f"{p}.tsv").is_file()]


def load_scores(results: Path, config: Config) -> pd.DataFrame:
    """The table of scores of `heard_paths`; without rows where there are none."""
    if not heard_paths(results, config):
        return pd.DataFrame(columns=SCORES)
    return gather_tables(results / "scores")


def load_results(
    results: Path, config: Config, logs: Path | None = None
) -> tuple[dict, int, dict, dict, BrainResults | None, Extras]:
    """Sounds by path and column, their sample rate, training curves by path, facts, how good
    the scans are, if there are any, and whatever else there is. ``logs``: of the rules.

    Without `heard_paths` what scans alone tell. Raises GibletError where there is neither.
    """
    paths = heard_paths(results, config)
    sounds = {path: _sounds(results / "audio" / path) for path in paths}
    history = {path: load_table(results / "model" / path / "history.tsv") for path in paths}
    aligned = load_arrays(results / "aligned" / f"{paths[0]}.nc", *ALIGNED) if paths else None
    brain = _brain(results) if aligned is None or "bold" in aligned else None
    if aligned is None and brain is None:
        raise GibletError(f"{results}: nothing to report: no scores, no brain_quality.nc in it")
    facts = _scan_facts(brain, config) if aligned is None else _facts(aligned, config)
    if brain is not None:
        facts["warnings"] = joined_warnings(facts, brain.space.attrs, brain.quality.attrs)
        facts["scan_fingerprint"] = brain.space.attrs.get("input", "unknown")
    if (words := results / "trs" / "text.nc").is_file() and config.has_annotations:
        with open_arrays(words, *WORDS) as said:
            facts["words_fingerprint"] = said.attrs["input"]
    facts["warnings"] += [] if logs is None else said_only_in(logs, facts["warnings"])
    extras = _extras(results, config, brain)
    if aligned is not None:
        extras = _heard(extras, results, config, aligned, sounds)
    return sounds, SAMPLE_RATE, history, facts, brain, extras


def _sounds(folder: Path) -> dict:
    return {wav.stem: read_sound(wav, SAMPLE_RATE) for wav in sorted(folder.glob("*.wav"))}


def _extras(results: Path, config: Config, brain: BrainResults | None) -> Extras:
    """What scans alone have: regions, times, the scanned seconds."""
    times = rule_times(results / "times")
    if brain is None:
        return Extras(times=times)
    return Extras(
        regions=_regions(results, config, brain.quality),
        times=times,
        timeline=scanned_table(brain.space, _words(results / "trs" / "text.nc", brain)),
        missing=missing_volumes(brain.space),
    )


def _words(file: Path, brain: BrainResults) -> np.ndarray | None:
    """How many words each TR has, if ridge was asked of words."""
    if "r_n_words" not in brain.quality or not file.is_file():
        return None
    return load_arrays(file, *WORDS)["n_words"].values


def _heard(extras: Extras, results: Path, config: Config, aligned: xr.Dataset, sounds: dict):
    """All that a film adds; mel at the codec's bitrate joins ``sounds``."""
    rates = _add_matched(sounds, aligned) if "encodec" in sounds else None
    segments = score_segments(sounds, SAMPLE_RATE)
    model = results / "model"
    return replace(
        extras,
        segments=segments,
        matched=matched_rows(segments, *rates, config.seed) if rates else None,
        summaries=_tables(model, "[!.]*/summary.tsv", lambda file: file.parent.name),
        models={
            path: load_json(model / path / "config.json") for path in heard_paths(results, config)
        },
        codebooks=_codebooks(aligned, model / "encodec") if "encodec" in sounds else None,
        lesions=_tables(results / "lesion", f"{config.path}.tsv", lambda file: file.stem),
        left_out=_tables(results / "leave_one_out", f"{config.path}.tsv", lambda file: file.stem),
        timeline=timeline_table(aligned),
    )


def _add_matched(sounds: dict, aligned: xr.Dataset) -> tuple[float, float] | None:
    """Mel at the codec's bitrate: its kbit/s and values/s; None where mel cannot be so small."""
    original = sounds["encodec"]["original"]
    try:
        made = matched_mel(original, SAMPLE_RATE, float(aligned.attrs["bandwidth_kbps"]))
    except ValueError:
        return None
    waveform, *rates = made
    sounds[MATCHED] = {"original": original, "codec": waveform}
    return tuple(rates)


def _tables(folder: Path, pattern: str, name) -> dict[str, pd.DataFrame]:
    return {name(file): load_table(file) for file in sorted(folder.glob(pattern))}


def _codebooks(aligned: xr.Dataset, model: Path) -> pd.DataFrame:
    from giblet.alignment.aligned import film_data
    from giblet.autoencoder.autoencoder import Autoencoder
    from giblet.report.extras import codebook_table

    autoencoder = Autoencoder.from_pretrained(model)
    blurred = autoencoder.config.hrf_placement == "inputs"
    return codebook_table(autoencoder, film_data(aligned, blurred))


def _regions(results: Path, config: Config, quality: xr.Dataset) -> pd.DataFrame | None:
    """By the label image that lesions use, the simulated brains' own, or parcel by parcel."""
    from giblet.brain.regions import find_regions

    wanted, simulated = config.lesion.regions, results / "simulated"
    if "parcel" in quality.coords:
        regions = find_regions(quality, None)
    elif wanted not in ("auto", "parcels"):
        regions = find_regions(quality, wanted)
    elif simulated.is_dir():
        regions = find_regions(quality, simulated)
    else:
        return None
    everywhere = np.ones(quality.sizes["parcel" if "parcel" in quality.dims else "voxel"], bool)
    return region_table(quality, regions | {EVERYWHERE: everywhere})


def _brain(results: Path) -> BrainResults | None:
    """None where it was not asked how good the scans are."""
    if not (results / "brain_quality.nc").is_file():
        return None
    with open_arrays(results / "bold.nc", *SCANS) as scans:
        space = scans.drop_vars("bold").load()
    quality = load_arrays(results / "brain_quality.nc", *QUALITY)
    return BrainResults(quality, load_table(results / "brain_quality.tsv"), space)


def joined_warnings(*attrs: dict) -> list[str]:
    """Every warning once, as they come; of a file they are JSON.

    >>> joined_warnings({"warnings": ["a", "b"]}, {"warnings": '["b", "c"]'}, {})
    ['a', 'b', 'c']
    """
    return list(dict.fromkeys(said for one in attrs for said in warnings_of(one)))


def said_only_in(logs: Path, known: list[str]) -> list[str]:
    """What rules warned of in their logs and no file of arrays holds, as ``rules: warning``."""
    held = {" ".join(said.split()) for said in known}  # as a log has it, on one line
    found = warnings_by_rules(logs).items()
    return [f"{', '.join(rules)}: {said}" for said, rules in found if said not in held]


def _scan_facts(brain: BrainResults, config: Config) -> dict:
    """Of scans without a film."""
    space, quality = brain.space, brain.quality
    return {
        "dataset": config.dataset,
        "film": None,
        "t_r": float(space.attrs["t_r"]),
        "n_trs": int(quality.attrs["n_trs"]),
        "modalities": [name for key, name in _MODALITIES.items() if f"r_{key}" in quality],
        "has_bold": True,
        "simulated": "SIMULATED" in space.attrs["source"],
        "bold_source": space.attrs["source"],
        "subjects": quality["subject"].values.astype(str).tolist(),
        "warnings": [],
        **_run_facts(config),
    }


def _facts(aligned: xr.Dataset, config: Config) -> dict:
    attrs, part = aligned.attrs, pd.Series(aligned["part"].values.astype(str))
    return {
        "dataset": config.dataset,
        "film": attrs["film"],
        "film_fingerprint": attrs["input"],
        "t_r": float(attrs["t_r"]),
        "n_trs": aligned.sizes["tr"],
        "parts": part.value_counts().to_dict(),
        "framing": attrs["framing"],
        "codec": attrs["codec"],
        "codec_revision": attrs["codec_revision"],
        "bandwidth_kbps": float(attrs["bandwidth_kbps"]),
        "modalities": [name for key, name in _MODALITIES.items() if key in aligned],
        "has_bold": "bold" in aligned,
        "simulated": "SIMULATED" in attrs.get("bold_source", ""),
        "bold_source": attrs.get("bold_source", "none"),
        "subjects": aligned["subject"].values.astype(str).tolist() if "bold" in aligned else [],
        "warnings": joined_warnings(attrs),
        **_run_facts(config),
    }


def _run_facts(config: Config) -> dict:
    return {
        "seed": config.seed,
        "versions": versions(),
        "git_commit": git_commit(Path(__file__).parent),
        "config": config.model_dump_json(indent=2),
        "settings": config,
    }
