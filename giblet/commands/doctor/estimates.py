"""What a run will need in time, memory and disk, guessed before it starts, and what would stop it.

Every figure is an estimate: measured on the demo on two cores of an AMD EPYC without a GPU
(notes/performance.md), and taken in proportion to the film, the scans and the training steps.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from giblet.commands.doctor.data_sizes import Sizes
from giblet.config.config import Config


@dataclass(frozen=True)
class Need:
    """Of one rule: s of one core (training: of two), MB of memory, MB of disk."""

    rule: str
    seconds: float
    memory_mb: float
    disk_mb: float


def main_job_needs(sizes: Sizes, config: Config) -> Iterator[Need]:
    """Of every rule of the main job, in their order; without a film, of ``brain_quality``."""
    if config.has_film:
        yield from _sound_needs(sizes, config.path)
        yield _pictures_need(sizes, config)
    if config.has_annotations:
        yield Need("embed_text", 3 + 0.2 * sizes.minutes, 210, 0.005 * sizes.n_trs)
    if sizes.n_subjects:
        yield from _scan_needs(sizes, config)
    if config.has_film:
        yield from _model_needs(sizes, config, config.path)


def report_needs(sizes: Sizes, config: Config) -> Iterator[Need]:
    """Of what the report asks for beside the main job: the other path, and the brains."""
    if sizes.n_subjects:
        yield _quality_need(sizes, config)
    if config.has_film:
        other = "mel" if config.use_encodec else "encodec"
        yield from _sound_needs(sizes, other)
        if sizes.n_subjects:
            yield _blur_need(sizes, other)
        yield from _model_needs(sizes, config, other)
        yield Need("report", 30 + 0.02 * sizes.n_trs, 800 + 0.6 * sizes.n_trs, 15)


def _quality_need(sizes: Sizes, config: Config) -> Need:
    """Agreement: by values and pairs of subjects. Ridge: by series and the square of their length,
    up to `RIDGE_TRS`, for each modality alone, all, and all but one (with ``n_iter`` mixtures)."""
    quality, series = config.quality, sizes.n_subjects * sizes.n_kept(config.max_voxels)
    agreement = 5e-5 * quality.n_permutations * max(0, sizes.n_subjects - 1) * sizes.values
    n_bands = 2 * config.has_film + 2 * config.has_annotations
    n_fits = n_bands + (n_bands + 1) * quality.n_iter * (n_bands > 1)
    growth = sizes.n_trs * min(sizes.n_trs, RIDGE_TRS) / 360**2
    ridge = RIDGE_SECONDS * series * n_fits * growth
    memory = 360 + 0.11 * min(sizes.n_columns, 15_000) + 0.4 * sizes.n_trs  # read in blocks
    return Need("brain_quality", 15 + agreement + ridge, memory, 1 + 1e-4 * sizes.n_columns)


RIDGE_SECONDS = 1e-5  # of one fit of one series of 360 TRs
RIDGE_TRS = 2000  # of more, about half train, and outnumber what a film's columns tell apart


def _sound_needs(sizes: Sizes, path: str) -> Iterator[Need]:
    if path == "encodec":
        yield Need("extract_codes", 4 + 2.3 * sizes.minutes, 660 + sizes.minutes, sizes.code_mb)
    else:
        yield Need("extract_mel", 2 + 0.2 * sizes.minutes, 220 + 14 * sizes.minutes, sizes.mel_mb)
    stream = sizes.code_mb if path == "encodec" else sizes.mel_mb
    yield Need(f"group_trs ({path})", 1, 110 + 2 * stream, stream)


def _pictures_need(sizes: Sizes, config: Config) -> Need:
    """Motion energy and image models take longer than colours."""
    seconds = {"colours": 0.3, "motion_energy": 9.0}.get(config.video.features, 9.0)
    memory = 230 if config.video.features == "colours" else 580
    return Need("extract_video", 2 + seconds * sizes.minutes, memory, sizes.picture_mb)


def _scan_needs(sizes: Sizes, config: Config) -> Iterator[Need]:
    if config.bold_source == "simulated":
        yield Need("simulate_bold", 5 + 1.1 * sizes.minutes, 730, sizes.minutes)
    disk = 4 * sizes.values
    yield Need("load_bold", 2.5 + 0.5 * sizes.values, 240 + 1.3 * 4 * sizes.run_values, disk)
    film = [config.path, "video"] if config.has_film else []
    for modality in film + ["text"] * config.has_annotations:
        yield _blur_need(sizes, modality)


def _blur_need(sizes: Sizes, modality: str) -> Need:
    seconds, memory = 2.5 + 0.1 * sizes.minutes, 250 + 50 * sizes.minutes
    return Need(f"convolve_hrf ({modality})", seconds, memory, 0.4 * sizes.minutes)


def _model_needs(sizes: Sizes, config: Config, path: str) -> Iterator[Need]:
    stream = sizes.code_mb if path == "encodec" else sizes.mel_mb
    bold = 4 * sizes.values * sizes.n_kept(config.max_voxels) / max(1, sizes.n_columns)
    aligned = bold + stream + sizes.picture_mb + 0.02 * sizes.n_trs
    seconds = 2 + 0.02 * aligned + 0.01 * 4 * sizes.values
    yield Need(f"sync_align ({path})", seconds, 250 + 3.7 * aligned, aligned)
    training = config.training
    window = min(training.window_trs, sizes.n_train)
    per_epoch = max(training.min_steps, 2 * sizes.n_train / training.window_trs)
    seconds = 10 + 0.65 * window / 40 * per_epoch * training.max_epochs
    yield Need(f"train ({path})", seconds, 1850 + 1.2 * aligned, 80)
    n_sounds, share = (7, 1.0) if sizes.n_subjects else (2, 0.35)
    per_tr = {"encodec": 0.8, "mel": 2.2}[path] * share
    disk = n_sounds * 0.05 * sizes.test_seconds
    yield Need(f"reconstruct ({path})", 10 + per_tr * sizes.n_test, 1150 + 4 * aligned, disk)


def describe_needs(config: Config) -> tuple[list[str], list[str]]:
    """Lines for a reader about what a config names and needs; lines about what would stop it."""
    from giblet.commands.doctor.data_sizes import measure
    from giblet.commands.doctor.environment import free_disk_mb, memory_mb

    sizes, found, problems = measure(config)
    if sizes is None:
        return [*found, *_stopping(problems)], problems
    main, more = list(main_job_needs(sizes, config)), list(report_needs(sizes, config))
    disk, peak = sum(n.disk_mb for n in main), max((n.memory_mb for n in main), default=0)
    if disk > free_disk_mb():
        problems.append(
            f"disk: about {disk / 1000:.1f} GB needed, {free_disk_mb() / 1000:.1f} free"
        )
    if peak > memory_mb():
        problems.append(f"memory: about {peak / 1000:.1f} GB needed, {memory_mb() / 1000:.1f} here")
    table = [*_table("the main job" if config.has_film else "the scans", main)]
    table += _table("for the report, more" if config.has_film else "brain_quality, more", more)
    return [*found, "", *_ESTIMATES, *table, *_stopping(problems)], problems


_ESTIMATES = [
    "ESTIMATES, from times measured on the demo (540 s of film, 4 simulated subjects x 3,666",
    "voxels; two cores without a GPU, notes/performance.md), in proportion to film and scans.",
    "Training stops early where nothing more is learned: its time is the longest.",
]


def _table(title: str, needs: list[Need]) -> Iterator[str]:
    yield f"{title:<28}{'time':>10}{'memory MB':>12}{'disk MB':>10}"
    for need in needs:
        row = f"{need.memory_mb:>12,.0f}{need.disk_mb:>10,.0f}"
        yield f"    {need.rule:<24}{clock(need.seconds):>10}{row}"
    total = sum(need.seconds for need in needs)
    peak = max((need.memory_mb for need in needs), default=0)
    row = f"{peak:>12,.0f}{sum(need.disk_mb for need in needs):>10,.0f}"
    yield f"    {'one after the other':<24}{clock(total):>10}{row}"


def clock(seconds: float) -> str:
    """
    >>> clock(42), clock(247), clock(9000)
    ('42 s', '4 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _stopping(problems: list[str]) -> list[str]:
    return ["", *(f"WOULD STOP: {problem}" for problem in problems)] if problems else []
