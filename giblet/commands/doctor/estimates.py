"""Time, memory and disk that a run will need, estimated before it starts, and what would stop it.

Seconds and MB of disk were measured on the demo on two cores of an AMD EPYC without a GPU
(notes/performance.md), and grow with the film, the scans and the training steps. Memory is what
each rule asks for (`giblet.commands.doctor.costs`).
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from giblet.commands.doctor.costs import COSTS, null_maps_mb
from giblet.commands.doctor.data_sizes import Sizes
from giblet.config.config import Config
from giblet.stats.ridge import band_mixtures

_MODEL_MB = 80  # of a trained model's folder
_WEIGHTS_MB = 50  # of the bundled codec and model


@dataclass(frozen=True)
class Need:
    """Of one job, named ``rule`` or ``rule (modality)``: s of one core (training: of two), MB.

    ``read_mb`` is the size of what it reads, ``bold_mb`` of these are BOLD; ``nulls_mb`` it holds.
    """

    job: str
    seconds: float
    disk_mb: float
    read_mb: float
    bold_mb: float = 0
    nulls_mb: float = 0

    @property
    def rule(self) -> str:
        return self.job.split()[0]

    @property
    def memory_mb(self) -> int:
        """Memory that the rule asks for, more than it takes."""
        return COSTS[self.rule].memory(self.read_mb, self.bold_mb, self.nulls_mb)


def main_job_needs(sizes: Sizes, config: Config) -> Iterator[Need]:
    """Of every rule of the main job, in their order; without a film, of ``brain_quality``."""
    if config.is_music_demo:
        yield Need("render_music", 2 + 0.4 * sizes.minutes, sizes.film_mb, 0.1)
    if config.has_film:
        yield from _sound_needs(sizes, config.path)
        yield _pictures_need(sizes, config)
    if sizes.has_words:
        yield Need("embed_text", 3 + 0.2 * sizes.minutes, sizes.text_mb, sizes.film_mb)
    if sizes.has_score:
        yield Need("read_score", 3 + 0.7 * sizes.minutes, 0.1 * sizes.minutes, sizes.film_mb)
        yield Need("score_features", 4 + 1.5 * sizes.minutes, sizes.score_mb, sizes.score_mb)
    if sizes.n_subjects:
        yield from _scan_needs(sizes, config)
    if config.has_film:
        yield from _model_needs(sizes, config, config.path)


def report_needs(sizes: Sizes, config: Config) -> Iterator[Need]:
    """Of what the report adds to the main job: the other feature type, and the brains."""
    if sizes.n_subjects:
        yield _quality_need(sizes, config)
    if config.has_film:
        other = "mel" if config.use_encodec else "encodec"
        yield from _sound_needs(sizes, other)
        if sizes.n_subjects:
            yield _blur_need(sizes, other)
        yield from _model_needs(sizes, config, other)
        bold = sizes.bold_mb
        read = _aligned_mb(sizes, config, "encodec") + 2 * _MODEL_MB + sizes.text_mb + bold
        seconds = 60 + 40 * (sizes.n_subjects > 0) + 0.02 * sizes.n_trs  # maps take long to draw
        yield Need("report", seconds, 21, read, bold)


def _quality_need(sizes: Sizes, config: Config) -> Need:
    """ISC: by values and pairs of subjects. Ridge: by series and the square of their length,
    up to `RIDGE_TRS`, for each modality alone, all, and all but one (with `band_mixtures`).
    Nulls of r: by places, for each modality alone and all; TFCE: of these, and of ISC."""
    quality, n_places = config.quality, sizes.n_kept(config.max_voxels)
    correlation = 5e-5 * quality.n_permutations * max(0, sizes.n_subjects - 1) * sizes.values
    n_bands = 2 * config.has_film + 2 * sizes.has_words + 5 * sizes.has_score
    n_fits = _n_fits(n_bands, quality.n_iter)
    growth = sizes.n_trs * min(sizes.n_trs, RIDGE_TRS) / 360**2
    ridge = RIDGE_SECONDS * sizes.n_subjects * n_places * n_fits * growth
    n_maps, n_shift_maps = n_bands + (n_bands > 1), min(quality.n_shift_maps, quality.n_shifts)
    n_isc = quality.n_permutations * (sizes.n_subjects > 1)
    shifts = SHIFT_SECONDS * n_maps * n_places * sizes.n_subjects * quality.n_shifts
    enhanced = n_maps * n_places * n_shift_maps + sizes.n_columns * n_isc
    tfce = TFCE_SECONDS * enhanced * (sizes.n_columns > MOST_PARCELS)  # parcels have no neighbours
    seconds = 15 + correlation + ridge + shifts + tfce
    disk, read = 1 + 1e-4 * sizes.n_columns, sizes.bold_mb + n_bands * sizes.regressors_mb
    nulls_mb = null_maps_mb(sizes.n_columns, sizes.n_subjects, config)
    return Need("brain_quality", seconds, disk, read, nulls_mb=nulls_mb)


def _n_fits(n_bands: int, n_iter: int) -> int:
    """Mixtures that are fitted for each modality alone, all, and all but one of them.

    >>> [_n_fits(n_bands, 20) for n_bands in (0, 1, 2, 4)]
    [0, 1, 23, 97]
    """
    together = len(band_mixtures(n_bands, n_iter)) if n_bands > 1 else 0
    but_one = n_bands * len(band_mixtures(n_bands - 1, n_iter)) if n_bands > 2 else 0
    return n_bands + together + but_one


SHIFT_SECONDS = 6e-8  # of one null of one place and subject, with five folds; more take longer
TFCE_SECONDS = 1.5e-6  # of TFCE of one null of one place
MOST_PARCELS = 2000  # more columns are voxels or vertices
RIDGE_SECONDS = 2e-5  # of one fit of one series of 360 TRs, with ten folds
RIDGE_TRS = 2000  # of more, about half train, and outnumber the columns of a film that differ


def _sound_needs(sizes: Sizes, path: str) -> Iterator[Need]:
    features = sizes.sound_mb(path)
    if path == "encodec":
        read = sizes.film_mb + _WEIGHTS_MB
        yield Need("extract_codes", 4 + 2.3 * sizes.minutes, features, read)
    else:
        yield Need("extract_mel", 2 + 0.2 * sizes.minutes, features, sizes.film_mb)
    yield Need(f"group_trs ({path})", 1, features, features)


def _pictures_need(sizes: Sizes, config: Config) -> Need:
    """Motion energy and image models take longer than colours."""
    seconds = {"colours": 0.3, "motion_energy": 9.0}.get(config.video.features, 9.0)
    return Need("extract_video", 2 + seconds * sizes.minutes, sizes.picture_mb, sizes.film_mb)


def _scan_needs(sizes: Sizes, config: Config) -> Iterator[Need]:
    if config.bold_source == "simulated":
        yield Need("simulate_bold", 5 + 1.1 * sizes.minutes, sizes.minutes, sizes.film_mb)
    yield Need("load_bold", 2.5 + 0.5 * sizes.values, sizes.bold_mb, sizes.bold_mb)
    film = [config.path, "video"] if config.has_film else []
    for modality in film + ["text"] * sizes.has_words + ["score"] * sizes.has_score:
        yield _blur_need(sizes, modality)


def _blur_need(sizes: Sizes, modality: str) -> Need:
    seconds, disk = 2.5 + 0.1 * sizes.minutes, sizes.regressors_mb
    return Need(f"convolve_hrf ({modality})", seconds, disk, sizes.bold_mb)


def _aligned_mb(sizes: Sizes, config: Config, path: str) -> float:
    bold = sizes.bold_mb * sizes.n_kept(config.max_voxels) / max(1, sizes.n_columns)
    return bold + sizes.sound_mb(path) + sizes.picture_mb + 0.02 * sizes.n_trs


def _model_needs(sizes: Sizes, config: Config, path: str) -> Iterator[Need]:
    aligned, bold = _aligned_mb(sizes, config, path), sizes.bold_mb
    seconds = 2 + 0.02 * aligned + 0.01 * bold
    read = sizes.sound_mb(path) + sizes.picture_mb + sizes.text_mb + bold + 3 * sizes.regressors_mb
    yield Need(f"sync_align ({path})", seconds, aligned, read, bold)
    training = config.training
    window = min(training.window_trs, sizes.n_train)
    per_epoch = max(training.min_steps, 2 * sizes.n_train / training.window_trs)
    seconds = 10 + 0.54 * window / 40 * per_epoch * training.max_epochs
    yield Need(f"train ({path})", seconds, _MODEL_MB, aligned + _WEIGHTS_MB)
    n_sounds, share = (7, 1.0) if sizes.n_subjects else (2, 0.35)
    per_tr = {"encodec": 0.8, "mel": 2.2}[path] * share
    disk, read = n_sounds * 0.05 * sizes.test_seconds, sizes.film_mb + aligned + _MODEL_MB
    yield Need(f"reconstruct ({path})", 10 + per_tr * sizes.n_test, disk, read)


def describe_needs(
    config: Config, wrong: Collection[str] = (), mistakes: Sequence[str] = ()
) -> tuple[list[str], list[str]]:
    """Lines for a reader about what a config names and needs; lines about what would stop it.

    ``wrong``: as of `measure`; ``mistakes``: lines about these keys.
    """
    from giblet.commands.doctor.data_sizes import measure
    from giblet.commands.doctor.environment import free_disk_mb, memory_mb

    sizes, lines, problems = measure(config, wrong)
    problems[:0] = mistakes
    if sizes is None:
        return [*lines, *_stopping(problems)], problems
    main, more = list(main_job_needs(sizes, config)), list(report_needs(sizes, config))
    disk, free = sum(need.disk_mb for need in main), free_disk_mb()
    if disk > free:
        problems.append(f"disk: about {disk / 1000:.1f} GB needed, {free / 1000:.1f} free")
    largest, memory = max(main, key=lambda need: need.memory_mb), memory_mb()
    asked = f"{largest.job} asks for {largest.memory_mb / 1000:.1f} GB, {memory / 1000:.1f} here"
    if largest.memory_mb > 2 * memory:
        problems.append(f"memory: {asked}")
    elif largest.memory_mb > memory:
        lines.append(f"    WARNING: memory: {asked}; it may take less")
    lines += _memory_warnings(main, more, largest, memory)
    unread = config.bold_source != "none" and not sizes.n_subjects
    of_main, of_more = (["load_bold", "convolve_hrf"], ["brain_quality"]) if unread else ([], [])
    table = [*_table("the main job" if config.has_film else "the scans", main, of_main)]
    title = "for the report, more" if config.has_film else "brain_quality, more"
    table += _table(title, more, of_more)
    return [*lines, "", *_ESTIMATES, *table, *_stopping(problems)], problems


def _memory_warnings(
    main: list[Need], more: list[Need], largest: Need, memory: float
) -> Iterator[str]:
    """Of jobs that ask for more than the machine's ``memory`` (MB), beside the ``largest``, and of
    two that do not fit together."""
    tight = [n for n in [*main, *more] if n.memory_mb > memory and n != largest]
    if tight:
        jobs = ", ".join(f"{need.job} {need.memory_mb / 1000:.1f} GB" for need in tight)
        yield f"    WARNING: memory: {memory / 1000:.1f} GB here, asked for by: {jobs}"
    together = sorted(need.memory_mb for need in [*main, *more])[-2:]
    if len(together) == 2 and sum(together) > memory:
        yield (
            f"    memory: two jobs may not fit together: give snakemake --resources "
            f"mem_mb={memory:.0f}, or --cores 1"
        )


_ESTIMATES = [
    "ESTIMATES, scaled from the demo (540 s of film, 4 simulated subjects x 3,666 voxels; two",
    "cores without a GPU, notes/performance.md); yours may differ by a factor of two. Training",
    "stops early where nothing more is learned, so its time is an upper limit. Memory is what a",
    "rule requests from a cluster, more than it uses.",
]


def _table(title: str, needs: list[Need], unknown: list[str]) -> Iterator[str]:
    """``unknown``: rules that will run, of scans that could not be read."""
    yield f"{title:<28}{'time':>10}{'memory MB':>12}{'disk MB':>10}"
    for need in needs:
        row = f"{need.memory_mb:>12,.0f}{need.disk_mb:>10,.0f}"
        yield f"    {need.job:<24}{clock(need.seconds):>10}{row}"
    total = sum(need.seconds for need in needs)
    peak = max((need.memory_mb for need in needs), default=0)
    row = f"{peak:>12,.0f}{sum(need.disk_mb for need in needs):>10,.0f}"
    yield from (f"    {rule:<24}not estimated: WOULD STOP" for rule in unknown)
    sum_of = "without these" if unknown else "one after the other"
    yield f"    {sum_of:<24}{clock(total):>10}{row}"


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
