"""Reads what a report needs from the results folder of a data set."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from giblet.alignment.showings import shown_by_run, shown_seconds
from giblet.audio.feature_types import FEATURE_TYPES
from giblet.audio.files import read_sound
from giblet.audio.metrics.scores import SEGMENT_SCORES, speech_segments
from giblet.config.config import Config
from giblet.errors import GibletError
from giblet.film.modalities import MODALITIES
from giblet.io.arrays import load_arrays, open_arrays
from giblet.io.schema import ALIGNED, QUALITY, SCANS, SCORE, WORDS
from giblet.io.tables import gather_tables, load_json, load_table
from giblet.log import warnings_of
from giblet.music.midi import read_midi
from giblet.report.extras import Extras, MusicResults
from giblet.report.provenance import score_facts
from giblet.report.read_voxels import read_voxels
from giblet.report.region_names import region_names
from giblet.report.run_record import brains_of, git_commit, rule_times, versions, warnings_by_rules
from giblet.report.scan_quality import WHOLE_BRAIN, BrainResults, shown_regions
from giblet.report.segments import (
    REFERENCE,
    Scores,
    matched_mel,
    matched_rows,
    saved_scores,
    score_segments,
)
from giblet.report.sentences import unknown_lag
from giblet.report.systems import MATCHED
from giblet.report.timeline import missing_volumes, scanned_table, timeline_table

SAMPLE_RATE = 24000  # Hz, of the players
SCORES = ["path", "column", "metric", "value", "low", "high", "n", "n_failed"]


def scored_feature_types(results: Path, config: Config) -> list[str]:
    """The feature types whose sound was made and scored: none without a film."""
    scores = results / "scores"
    return [one for one in FEATURE_TYPES if config.has_film and (scores / f"{one}.tsv").is_file()]


def load_scores(results: Path, config: Config) -> pd.DataFrame:
    """The table of scores of `scored_feature_types`; without rows where there are none."""
    if not scored_feature_types(results, config):
        return pd.DataFrame(columns=SCORES)
    return gather_tables(results / "scores")


def load_results(
    results: Path, config: Config, logs: Path | None = None
) -> tuple[dict, int, dict, dict, BrainResults | None, Extras]:
    """Sounds by feature type and column, their sample rate, training curves by feature type, facts,
    the quality of the scans, if there are any, and whatever else there is. ``logs``: of the rules.

    Without `scored_feature_types`, what there is of scans alone. Raises GibletError where there is
    neither.
    """
    scored = scored_feature_types(results, config)
    sounds = {one: film_sounds(results / "audio" / one) for one in scored}
    history = {one: load_table(results / "model" / one / "history.tsv") for one in scored}
    aligned = load_arrays(results / "aligned" / f"{scored[0]}.nc", *ALIGNED) if scored else None
    brain = _brain(results) if aligned is None or "bold" in aligned else None
    if aligned is None and brain is None:
        raise GibletError(f"{results}: nothing to report: no scores, no brain_quality.nc in it")
    facts = _scan_facts(brain) if aligned is None else film_facts(aligned)
    facts |= _run_facts(config)
    facts["brains"] = brains_of(results, config) if facts["has_bold"] else "none"
    if brain is not None:
        facts["warnings"] = joined_warnings(facts, brain.space.attrs, brain.quality.attrs)
        facts["warnings"] += unknown_lag(brain.quality)
        facts["nulls"] = null_numbers(brain.quality.attrs)
        facts["scan_fingerprint"] = brain.space.attrs.get("input", "unknown")
        facts["preprocessing"] = brain.space.attrs.get("preprocessing", "")
    if (words := results / "trs" / "text.nc").is_file() and config.has_annotations:
        with open_arrays(words, *WORDS) as arrays:
            facts["words_fingerprint"] = arrays.attrs["input"]
    if (score := results / "features" / "score.nc").is_file() and config.score != "none":
        with open_arrays(score, *SCORE) as arrays:
            facts |= score_facts(arrays.attrs)
    facts["warnings"] += [] if logs is None else warnings_only_in(logs, facts["warnings"])
    extras = _extras(results, config, brain)
    if brain is not None and aligned is not None:
        facts["voxels_read"] = read_voxels(aligned, config, brain, results / "simulated")
    if aligned is not None:
        extras = _with_film(extras, results, config, aligned, sounds)
    return sounds, SAMPLE_RATE, history, facts, brain, extras


def film_sounds(folder: Path, columns: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Sounds by column, those of ``columns`` if any are named.

    Raises GibletError where there is no original, or they are not of one length.
    """
    sounds = _sounds(folder, columns)
    again = "Run snakemake reconstruct_audio again"
    if "original" not in sounds:
        raise GibletError(f"{folder}: there are scores, but no original.wav. {again}")
    lengths = {name: len(wave) for name, wave in sounds.items()}
    if other := next((n for n in lengths if lengths[n] != lengths["original"]), None):
        raise GibletError(
            f"{folder}: {other}.wav has {lengths[other]:,} samples at {SAMPLE_RATE} Hz, "
            f"original.wav {lengths['original']:,}. {again}"
        )
    return sounds


def _sounds(folder: Path, columns: Sequence[str] = ()) -> dict:
    files = [wav for wav in sorted(folder.glob("*.wav")) if not columns or wav.stem in columns]
    return {wav.stem: read_sound(wav, SAMPLE_RATE) for wav in files}


def known_scores(folder: Path, feature_type: str, original: np.ndarray) -> Scores:
    """Scores of segments that `reconstruct` wrote, of sounds at the rate of the others here."""
    import soundfile

    table = folder / SEGMENT_SCORES
    if not table.is_file() or soundfile.info(folder / "original.wav").samplerate != SAMPLE_RATE:
        return {}
    return saved_scores(load_table(table), feature_type, speech_segments(original, SAMPLE_RATE))


def _extras(results: Path, config: Config, brain: BrainResults | None) -> Extras:
    """Results of scans alone: regions, times, the scanned seconds."""
    times = rule_times(results / "times")
    if brain is None:
        return Extras(times=times)
    simulated = results / "simulated"
    named = region_names(config.lesion.regions, simulated, brain.quality, brain.space)
    return Extras(
        atlas=named.masks,
        atlas_name=named.atlas,
        atlas_note=named.note,
        regions=_regions(named.masks, brain.quality),
        times=times,
        timeline=scanned_table(brain.space, _words(results / "trs" / "text.nc", brain)),
        missing=missing_volumes(brain.space),
        shown=_shown(brain.space),
        clusters=_clusters(results),
        levels=_levels(results / "codec_ladder.tsv"),
    )


def _shown(scans: xr.Dataset) -> pd.DataFrame | None:
    """The seconds of film that each run showed; None of many stimuli, which have no one film."""
    if "stimulus" in scans.coords:
        return None
    return shown_by_run(shown_seconds(scans, float(scans.attrs["t_r"])))


def _clusters(results: Path) -> pd.DataFrame | None:
    """The table that ``brain_quality`` writes; None where an older one wrote none."""
    file = results / "brain_quality_clusters.tsv"
    return load_table(file) if file.is_file() else None


def _table(file: Path, path: str) -> pd.DataFrame | None:
    """Rows of a feature type; None where there are none."""
    if not file.is_file():
        return None
    table = load_table(file)
    rows = table[table["path"] == path]
    return None if rows.empty else rows


def _words(file: Path, brain: BrainResults) -> np.ndarray | None:
    """The number of words of each TR, if ridge regression used words."""
    if "r_n_words" not in brain.quality or not file.is_file():
        return None
    return load_arrays(file, *WORDS)["n_words"].values


def _with_film(extras: Extras, results: Path, config: Config, aligned: xr.Dataset, sounds: dict):
    """All that a film adds; mel at the codec's bitrate is added to ``sounds``."""
    scored = list(sounds)
    rates = _add_matched(sounds, aligned) if REFERENCE in sounds else None
    known = {
        one: known_scores(results / "audio" / one, one, sounds[one]["original"]) for one in scored
    }
    segments = score_segments(sounds, SAMPLE_RATE, known)
    model = results / "model"
    return replace(
        extras,
        segments=segments,
        matched=matched_rows(segments, *rates, config.seed) if rates else None,
        summaries=_tables(model, "[!.]*/summary.tsv", lambda file: file.parent.name),
        models={one: load_json(model / one / "config.json") for one in scored},
        codebooks=_codebooks(aligned, model / scored[0])
        if FEATURE_TYPES[scored[0]].is_codes
        else None,
        lesions=_tables(results / "lesion", f"{config.path}.tsv", lambda file: file.stem),
        baselines=_joined(_tables(results / "differences", "[!.]*.tsv", lambda file: file.stem)),
        by_subject=_joined(_tables(results / "subjects", "[!.]*.tsv", lambda file: file.stem)),
        permutations=_joined(
            _tables(results / "permutations", "[!.]*.tsv", lambda file: file.stem)
        ),
        folds=_joined(_tables(results / "folds", f"{config.path}.tsv", lambda file: file.stem)),
        left_out=_tables(results / "leave_one_out", f"{config.path}.tsv", lambda file: file.stem),
        calibration=_table(results / "calibration.tsv", config.path),
        prior=_table(results / "anchored_prior" / f"{config.path}.tsv", config.path),
        searchlight=_table(results / "searchlight" / f"{config.path}.tsv", config.path),
        identified=_tables(results / "identified", f"{config.path}.tsv", lambda file: file.stem)
        if "stimulus" in aligned.coords
        else {},
        timeline=timeline_table(aligned),
        music=_music(results / "reconstruct_score", config.path),
        kept=aligned["column"].values if "column" in aligned.coords else None,
    )


def _levels(file: Path) -> pd.DataFrame | None:
    """The table that ``codec_ladder`` writes; None where it did not run."""
    if not file.is_file():
        return None
    return load_table(file).astype(dict.fromkeys(("region", "space", "level"), str))


def _music(folder: Path, path: str) -> MusicResults | None:
    """What ``reconstruct_score`` made; None where it did not run."""
    if not (table := folder / f"{path}.tsv").is_file():
        return None
    notes = {file.stem: read_midi(file) for file in sorted((folder / path).glob("*.mid"))}
    several = folder / path / "by_piece.tsv"
    by_piece = load_table(several, dtype={"piece": str}) if several.is_file() else None
    return MusicResults(notes, _sounds(folder / path), SAMPLE_RATE, load_table(table), by_piece)


def _add_matched(sounds: dict, aligned: xr.Dataset) -> tuple[float, float] | None:
    """Mel at the codec's bitrate: its kbit/s and values/s; None where mel cannot be so small."""
    original, kbps = sounds[REFERENCE]["original"], float(aligned.attrs["bandwidth_kbps"])
    try:
        waveform, *rates = matched_mel(original, SAMPLE_RATE, kbps)
    except ValueError:
        return None
    sounds[MATCHED] = {"original": original, "codec": waveform}
    return tuple(rates)


def _tables(folder: Path, pattern: str, name) -> dict[str, pd.DataFrame]:
    return {name(file): load_table(file) for file in sorted(folder.glob(pattern))}


def _joined(tables: dict[str, pd.DataFrame]) -> pd.DataFrame | None:
    """All tables as one; None where there is none."""
    return pd.concat(tables.values(), ignore_index=True) if tables else None


def _codebooks(aligned: xr.Dataset, model: Path) -> pd.DataFrame:
    from giblet.alignment.aligned import film_data
    from giblet.autoencoder.autoencoder import Autoencoder
    from giblet.report.extras import codebook_table

    autoencoder = Autoencoder.from_pretrained(model)
    blurred = autoencoder.config.hrf_placement == "inputs"
    return codebook_table(autoencoder, film_data(aligned, blurred))


def _regions(atlas: dict[str, np.ndarray], quality: xr.Dataset) -> pd.DataFrame | None:
    """Means over regions, and over the whole brain; None without an atlas."""
    every = np.ones(quality.sizes["parcel" if "parcel" in quality.dims else "voxel"], bool)
    return shown_regions(quality, atlas | {WHOLE_BRAIN: every}) if atlas else None


def _brain(results: Path) -> BrainResults | None:
    """The quality of the scans; None where it was not computed."""
    if not (results / "brain_quality.nc").is_file():
        return None
    with open_arrays(results / "bold.nc", *SCANS) as scans:
        space = scans.drop_vars("bold").load()
    quality = load_arrays(results / "brain_quality.nc", *QUALITY)
    return BrainResults(quality, load_table(results / "brain_quality.tsv"), space)


def joined_warnings(*attrs: dict) -> list[str]:
    """Every warning once, in order; in a file they are JSON.

    >>> joined_warnings({"warnings": ["a", "b"]}, {"warnings": '["b", "c"]'}, {})
    ['a', 'b', 'c']
    """
    return list(dict.fromkeys(text for one in attrs for text in warnings_of(one)))


def warnings_only_in(logs: Path, reported: list[str]) -> list[str]:
    """Warnings in the logs of rules that are not ``reported`` yet, as ``rules: warning``."""
    on_one_line = {" ".join(text.split()) for text in reported}  # as in a log
    logged = warnings_by_rules(logs).items()
    return [f"{', '.join(rules)}: {text}" for text, rules in logged if text not in on_one_line]


def null_numbers(attrs: dict) -> dict[str, int]:
    """Nulls of the maps of ``brain_quality``, by their attributes; an older file has none.

    >>> null_numbers({"n_shifts": 5000, "n_trs": 300})
    {'n_shifts': 5000}
    """
    names = ("n_permutations", "n_shifts", "n_shift_maps")
    return {name: int(attrs[name]) for name in names if name in attrs}


def _scan_facts(brain: BrainResults) -> dict:
    """Of scans without a film."""
    space, quality = brain.space, brain.quality
    return {
        "film": None,
        "t_r": float(space.attrs["t_r"]),
        "n_trs": int(quality.attrs["n_trs"]),
        "modalities": [m.label for m in MODALITIES.values() if f"r_{m.name}" in quality],
        "has_bold": True,
        "simulated": "SIMULATED" in space.attrs["source"],
        "bold_source": space.attrs["source"],
        "subjects": quality["subject"].values.astype(str).tolist(),
        "warnings": [],
    }


_RATES = {"sample_rate": int, "frame_rate": float}


def film_facts(aligned: xr.Dataset) -> dict:
    """Of a film, from its aligned file."""
    attrs, part = aligned.attrs, pd.Series(aligned["part"].values.astype(str))
    return {
        "film": attrs["film"],
        "film_fingerprint": attrs["input"],
        "sound_track": attrs.get("sound_track", "–"),
        "t_r": float(attrs["t_r"]),
        "n_trs": aligned.sizes["tr"],
        "parts": part.value_counts().to_dict(),
        "framing": attrs["framing"],
        "bend": _bend(attrs),
        "codec": attrs["codec"],
        "codec_revision": attrs["codec_revision"],
        "bandwidth_kbps": float(attrs["bandwidth_kbps"]),
        **{name: kind(attrs[name]) for name, kind in _RATES.items() if name in attrs},
        **_stimuli(aligned),
        "modalities": [m.label for m in MODALITIES.values() if m.name in aligned],
        "has_bold": "bold" in aligned,
        "simulated": "SIMULATED" in attrs.get("bold_source", ""),
        "bold_source": attrs.get("bold_source", "none"),
        "subjects": aligned["subject"].values.astype(str).tolist() if "bold" in aligned else [],
        "warnings": joined_warnings(attrs),
    }


def _stimuli(aligned: xr.Dataset) -> dict[str, int]:
    """How many stimuli were scanned; nothing of one film."""
    if "stimulus" not in aligned.coords:
        return {}
    names = set(aligned["stimulus"].values.astype(str)) - {""}
    return {"n_stimuli": len(names)}


def _bend(attrs: dict) -> str:
    """How much faster or slower the sound ran through the codec.

    >>> _bend({"bend": -0.0131}), _bend({"bend": 0.0}), _bend({})
    ('1.3 % slower, restored in the output', 'unchanged', '–')
    """
    if "bend" not in attrs:
        return "–"
    percent = 100 * float(attrs["bend"])
    if abs(percent) < 1e-3:
        return "unchanged"
    direction = "faster" if percent > 0 else "slower"
    return f"{abs(percent):.2g} % {direction}, restored in the output"


def _run_facts(config: Config) -> dict:
    return {
        "dataset": config.dataset,
        "seed": config.seed,
        "versions": versions(),
        "git_commit": git_commit(),
        "config": config.model_dump_json(indent=2),
        "settings": config,
    }
