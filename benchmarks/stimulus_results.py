"""Stages of ``stimulus_stages.py`` that score, export and describe results of many stimuli.

BOLD of two people in eight parcels, sound and scores are SIMULATED noise; the network is small and
untrained. Each takes the folder of the clips and returns what is timed.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import xarray as xr
from stimuli import PER_RUN, T_R

N_PARCELS, N_ROWS, N_FRAMES = 8, 16, 16
BETWEEN = 3.0  # s from the end of a clip to the next onset
SEED = 0


@cache
def _study(folder: Path):
    """Scans, mel frames and regressors on the film's TRs, all aligned, and a network."""
    import torch
    from stimulus_stages import scanned

    from giblet.alignment.aligned import align, film_shapes
    from giblet.autoencoder.autoencoder import Autoencoder
    from giblet.config.sections import ModelConfig, SplitConfig

    clock, scans, (blurred, _other) = scanned(folder)
    mel = np.random.default_rng(1).normal(size=(clock.n_film_trs, N_ROWS, N_FRAMES))
    attrs = {"t_r": T_R, "encoding_mode": "mel", "frame_rate": N_FRAMES / T_R, "codebook_size": 0}
    attrs |= {"framing": "tr_synchronous", "film": "clips", "input": "none", "units": "dB"}
    dims = ("tr", "row", "frame")
    film = xr.Dataset({"audio": (dims, mel.astype(np.float32))}, attrs=attrs)
    aligned = align([film], scans, [blurred], T_R, SplitConfig(test=0.3, gap_seconds=0))
    torch.manual_seed(0)
    small = {"audio_dim": 8, "bottleneck_dim": 32, "decoder_dim": 8, "readout_rank": 2}
    network = Autoencoder(film_shapes(aligned, "spm"), ModelConfig(layout="flat", **small))
    return clock, scans, film, blurred, aligned, network


@cache
def _code(folder: Path):
    """The bottleneck of each TR, and the aligned TRs."""
    from giblet.alignment.aligned import film_data
    from giblet.autoencoder.inference import bottlenecks

    *_rest, aligned, network = _study(folder)
    data = film_data(aligned)
    return bottlenecks(network, data), data, aligned


def prepare(folder: Path) -> None:
    """What the stages share, once: the processes that are measured have it when they begin."""
    _code(folder)


def _decoding():
    from giblet.config.sections import DecodingConfig

    return DecodingConfig(clip_seconds=3.0, voxel_share=1.0, n_permutations=100)


def identify(folder: Path):
    """TRs, clips and whole stimuli identified by bottlenecks decoded from BOLD, with nulls."""
    from giblet.evaluation.brain_scores import decode_brains, identify_bottlenecks
    from giblet.evaluation.moments import Scored, difference_rows, moment_rows, subject_rows
    from giblet.evaluation.stimulus_identification import identify_stimuli

    code, data, aligned = _code(folder)
    test, mean = data.where("test"), code[data.where("train")].mean(axis=0)
    names = aligned["stimulus"].values.astype(str)[test]
    decoded = decode_brains(code, data, T_R, _decoding())

    def work():
        scored = Scored()
        identify_bottlenecks(scored, decoded, code, data, T_R, _decoding(), SEED)
        moment_rows(scored.moments, SEED)
        list(difference_rows(scored, 2, SEED))
        list(subject_rows(scored.moments, ["sub-1", "sub-2"]))
        identify_stimuli([one - mean for one in decoded["brain"]], code[test], names, 100, SEED)

    return work


def lesion(folder: Path):
    """Two regions silenced, alone and at random: decoded, scored, and compared."""
    from giblet.config.regions import LesionConfig
    from giblet.evaluation.held_out import HeldOut
    from giblet.evaluation.lesions import change_rows, decode_lesions

    code, data, _aligned = _code(folder)
    regions = {"one": np.arange(N_PARCELS) < 2, "two": np.arange(N_PARCELS) > 5}
    held_out = HeldOut(code, data, np.zeros(0), 1.0, 2)

    def work():
        options = (regions, T_R, _decoding(), LesionConfig(n_draws=1), SEED)
        plan, decoded = decode_lesions(code, data, *options)
        scores = [[held_out.bottleneck_scores(guess) for guess in one] for one in decoded]
        together = [{m: np.stack([s[m] for s in one]) for m in one[0]} for one in scores]
        list(change_rows(list(zip(plan, together, strict=True)), 2, SEED))

    return work


def calibration(folder: Path):
    """Scores after two minutes, and after all, of each person's data."""
    from giblet.config.sections import ScanConfig
    from giblet.evaluation.calibration import Codes, calibration_rows

    code, data, _aligned = _code(folder)
    options = (T_R, _decoding(), ScanConfig(), [2.0], SEED)
    return lambda: calibration_rows(Codes(code, code), data, *options)


def prior(folder: Path):
    """Clips retrieved from training TRs, their novelty, and identification by sound."""
    from giblet.autoencoder.trained_on import film_record
    from giblet.evaluation.anchored_prior import _Scorer
    from giblet.evaluation.bank import check_bank, clip_starts, novelty, retrieve, windows
    from giblet.evaluation.bank_sounds import bank_of_training
    from giblet.evaluation.brain_scores import held_out_stretches

    code, data, aligned = _code(folder)
    network, test = _study(folder)[-1], data.where("test")
    rng, stretches = np.random.default_rng(2), held_out_stretches(data)
    levels = rng.normal(size=(len(data.where("train")), 128))
    own = rng.normal(size=(len(test), 128))
    scorer = _Scorer(np.zeros(0), 1.0, stretches, 2, 3.0, 100, SEED)

    def work():
        bank, record = bank_of_training(aligned, data, network)
        check_bank(record, None, aligned["tr"].values[test])
        cut, starts = windows(stretches, 2), clip_starts(bank.stretches, 2)
        retrieve(code[test], bank.bottleneck, starts, cut)
        novelty(own, levels, starts, cut)
        list(scorer.identification_rows("brain", 0.5, "identification_10way", [(own, own)] * 2))
        film_record(aligned)

    return work


def ladder(folder: Path):
    """Encoding by, and decoding of, two levels of 512 and 16 features."""
    from giblet.evaluation.level_scores import level_profile
    from giblet.stats.encoding_maps import ClockGroup

    _code_of_trs, data, _aligned = _code(folder)
    rng, n_trs = np.random.default_rng(3), len(data.part)
    widths = {("codebook", "1"): 64, ("codebook", "2"): 16}
    levels = {k: rng.normal(size=(n_trs, n)).astype(np.float32) for k, n in widths.items()}
    ceiling = np.full((2, N_PARCELS), np.nan)
    groups = [ClockGroup([0, 1], levels)]
    return lambda: level_profile(groups, levels, data, {}, ceiling, T_R, _decoding(), SEED)


def audit(folder: Path):
    """Checks of results, and of planted cheating; the sound at 4 kHz, without a bank of sounds."""
    from giblet.autoencoder.trained_on import film_record
    from giblet.evaluation.audit import audit
    from giblet.evaluation.bank import BankRecord
    from giblet.evaluation.checks import Evidence, check_evidence
    from giblet.timing import count_samples, tr_onsets

    _code_of_trs, data, aligned = _code(folder)
    n_test, rate = len(data.where("test")), 4000
    n_samples = count_samples(float(tr_onsets(n_test + 1, T_R)[-1]), rate)
    rng, columns = np.random.default_rng(4), ("original", "codec", "stimulus", "brain")
    sounds = {name: rng.normal(0, 0.02, n_samples).astype(np.float32) for name in columns}
    row = {"path": "mel", "metric": "identification_2way", "n": n_test, "n_failed": 0}
    values = {"brain": 0.6, "brain_shuffled": 0.5}
    scores = pd.DataFrame([row | {"column": c, "value": v} for c, v in values.items()])
    parts = (aligned, film_record(aligned), scores, None, sounds, rate, 3.0)
    evidence = Evidence.of(*parts)
    trs = aligned["tr"].values[data.where("train")]
    evidence = replace(evidence, bank=BankRecord.of_film("training TRs", trs))

    def work():
        check_evidence(evidence)
        audit(evidence)

    return work


def export(folder: Path):
    """The verb: stimuli and regressors by run, predictions by stretch of test TRs, maps, scores."""
    from giblet.commands.export import export
    from giblet.config.config import parse_config
    from giblet.io.arrays import save_arrays
    from giblet.music.pieces import Pieces
    from giblet.music.stimulus_scores import join_scores

    clock, scans, film, blurred, aligned, network = _study(folder)
    names = [f"parcel {n}" for n in range(N_PARCELS)]
    scans = scans.assign_coords(parcel=names)
    quality = xr.Dataset(
        {"isc": (("subject", "voxel"), np.zeros((2, N_PARCELS), np.float32))},
        {"subject": ["sub-1", "sub-2"]},
        {"bold_source": "SIMULATED"},
    )
    blurred = blurred.assign_attrs(t_r=T_R, fir_lags_seconds="[]")
    files = {"bold": scans, "film": film, "blurred": blurred, "aligned": aligned}
    files |= {"quality": quality}
    (folder / "in").mkdir()
    for name, arrays in files.items():
        save_arrays(arrays, folder / "in" / f"{name}.nc")
    network.save_pretrained(folder / "in" / "model")
    paths = {name: folder / "in" / f"{name}.nc" for name in files if name != "blurred"}
    paths |= {"regressors": [folder / "in" / "blurred.nc"], "model": folder / "in" / "model"}
    config = parse_config({"dataset": "clips", "t_r": T_R})
    pieces = Pieces.of_clock(clock)
    notes = join_scores(pieces)

    def work():
        from giblet.export.description import scan_note
        from giblet.export.files import Export
        from giblet.export.film import export_score
        from giblet.export.names import names_for

        source = folder / "runs.tsv"
        export(source=source, folder=folder / "bids", config=config, **paths)
        out = Export(names_for(folder / "midi", scans, source, None), scans, scan_note(scans))
        facts = {"film": "clips", "input": "none", "score": "", "score_offset": 0.0}
        export_score(out, notes, facts, pieces)

    return work


def test_page(folder: Path):
    """A listening test with a trial for each tenth clip of the study."""
    from giblet.listening_test import trials
    from giblet.listening_test.page import render_test

    n_clips = max(3, len(list((folder / "clips").glob("*.wav"))) // 10)
    rng, rate = np.random.default_rng(5), 16000
    columns = ("original", "stimulus", "brain", "brain_shuffled", "codec")
    sounds = {c: rng.normal(0, 0.1, n_clips * 2 * rate).astype(np.float32) for c in columns}

    def work():
        own = np.random.default_rng(0)
        starts = trials.clip_starts(n_clips * 2 * rate, rate, 1.0, n_clips)
        screens = trials.choice_trials(trials.CHOSEN, len(starts), own)
        screens += trials.rating_trials(trials.RATED[:3], range(len(starts)), own)
        waves = [trials.trial_waveforms(one, sounds, starts, rate, rate) for one in screens]
        render_test(screens, waves, rate, "Listening test")

    return work


def page(folder: Path):
    """The report page; every clip is held out, and has a row in each table of stimuli."""
    from giblet.audio.metrics.table import segment_metrics
    from giblet.evaluation.stimulus_identification import identify_stimuli
    from giblet.report.extras import Extras
    from giblet.report.page import render_page
    from giblet.report.segments import SEGMENT_SECONDS

    clips = sorted((folder / "clips").glob("*.wav"))
    seconds, n, rate = soundfile.info(clips[0]).duration, len(clips), 24000
    names = np.array([clip.name for clip in clips])
    rng, columns = np.random.default_rng(6), ("codec", "stimulus", "brain", "brain_shuffled")
    noise = rng.standard_normal(round(n * seconds * rate), dtype=np.float32)
    noise *= 0.1
    sounds = {"mel": {"original": noise, **dict.fromkeys(columns, noise[::-1])}}
    start = seconds * np.arange(n)
    timeline = pd.DataFrame({"start": start, "end": start + seconds, "part": "test"})
    runs = [f"run-{k // PER_RUN + 1:02d}" for k in range(n)]
    timeline = timeline.assign(run=runs, stimulus=names, begin=start)
    n_segments = max(1, int(n * seconds / SEGMENT_SECONDS))
    metrics = [metric.name for metric in segment_metrics()]
    kinds = [(path, column) for path in ("mel", "encodec") for column in columns]
    segments = {one: {m: rng.normal(size=n_segments) for m in metrics} for one in kinds}
    code = rng.normal(size=(n, 8))
    table = identify_stimuli([code, rng.normal(size=(n, 8))], code, names, 100, SEED)
    extras = Extras(timeline=timeline, segments=segments, identified={"mel": table})
    row = {"path": "mel", "metric": "stoi", "value": 0.6, "low": 0.5, "high": 0.7}
    scores = pd.DataFrame([row | {"column": c, "n": n, "n_failed": 0} for c in columns])
    facts = {"dataset": "clips", "film": "clips", "n_stimuli": n, "simulated": True}
    facts |= {"has_bold": True, "brains": "simulated", "t_r": T_R, "config": "", "codec": "none"}
    facts |= {"bandwidth_kbps": 6.0, "warnings": [f"{run}: late" for run in dict.fromkeys(runs)]}
    return lambda: render_page(scores, sounds, rate, {}, facts, extras=extras)


def doctor(folder: Path):
    """``giblet doctor`` on the folder of sounds, and a table of runs with events for each."""
    from giblet.commands.doctor.estimates import describe_needs

    write_scans(folder)
    config = study_config(folder)
    return lambda: describe_needs(config)


def study_config(folder: Path):
    """Settings of the clips and runs in ``folder``."""
    from giblet.config.config import parse_config

    places = {"stimuli": str(folder / "clips"), "bold": str(folder / "runs.tsv")}
    return parse_config({"dataset": "clips", "t_r": T_R, "score": "auto"} | places)


def write_scans(folder: Path) -> None:
    """A table of noise for each run of two people, and the events of each: of ``folder/clips``."""
    clips = sorted((folder / "clips").glob("*.wav"))
    seconds, rng, rows = soundfile.info(clips[0]).duration, np.random.default_rng(1), []
    parcels = [f"parcel {n}" for n in range(N_PARCELS)]
    for first in range(0, len(clips), PER_RUN):
        heard = [clip.name for clip in clips[first : first + PER_RUN]]
        onset = (seconds + BETWEEN) * np.arange(len(heard))
        n_volumes = round((onset[-1] + seconds + 20) / T_R)
        events = pd.DataFrame({"onset": onset, "duration": seconds, "stim_file": heard})
        run = f"run-{first // PER_RUN + 1:02d}"
        events.to_csv(folder / f"{run}_events.tsv", sep="\t", index=False)
        for subject in ("01", "02"):
            noise = rng.normal(100, 1, (n_volumes, N_PARCELS))
            file = f"sub-{subject}_{run}_SIMULATED.tsv"
            pd.DataFrame(noise, columns=parcels).to_csv(folder / file, sep="\t", index=False)
            rows.append((subject, run, file, T_R, f"{run}_events.tsv"))
    table = pd.DataFrame(rows, columns=["subject", "run", "file", "t_r", "events"])
    table.to_csv(folder / "runs.tsv", sep="\t", index=False)


RESULTS = {
    f.__name__: f
    for f in (identify, lesion, calibration, prior, ladder, audit, export, test_page, page, doctor)
}
