"""The config, checked once, and values that every rule takes from it."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import giblet
from giblet.audio.feature_types import FEATURE_TYPES
from giblet.audio.stimuli import list_stimuli
from giblet.brain.atlases import is_atlas_name
from giblet.brain.run_table import run_files
from giblet.brain.surface_meshes import mesh_pair
from giblet.commands.doctor.costs import COSTS, file_nulls_mb
from giblet.commands.fingerprint import source_fingerprint
from giblet.commands.process import rule_environment
from giblet.config.config import parse_config
from giblet.demo import annotations_path, film_path, music_path
from giblet.errors import GibletError, missing_path
from giblet.film.modalities import SPACE_SETS, beside_sound
from giblet.io.paths import check_date
from giblet.io.tables import load_yaml
from giblet.music.pieces import is_table_of_scores, read_pieces
from giblet.music.score_files import find_score


configfile: f"{workflow.basedir}/config/config.yaml"


try:
    for file in workflow.configfiles:
        # Snakemake takes the last of two values; JSON may have tabs, which YAML has not
        if Path(file).suffix != ".json":
            load_yaml(file)
    SETTINGS = parse_config(config)
except GibletError as error:
    # an exception would bring its place in this file along
    sys.exit(str(error))

if SETTINGS.dataset == "demo" and SETTINGS.has_film and not SETTINGS.is_demo:
    sys.exit("config: dataset: demo is the bundled film's; name yours, as dataset=mine")

os.environ.update(
    rule_environment({m.name for m in workflow.deployment_settings.deployment_method})
)

PACKAGE = Path(giblet.__file__).parent


def bundled_sums(folder):
    """Checksums of the weights in a folder of the package.

    They stand for the files, whose place is another one after an update of Python or in a copy of
    the project.
    """
    return [file.read_text() for file in sorted(folder.rglob("sha256sums.txt"))]


def short(path):
    """A path inside this folder, relative to it: a copy of the project has the same ones."""
    path, here = Path(path), Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


RESULTS = f"results/{SETTINGS.dataset}"
LOGS = f"logs/{SETTINGS.dataset}"
TIMES = f"{RESULTS}/times"
FILM = [] if not SETTINGS.has_film else SETTINGS.film
MUSIC = short(music_path())
if SETTINGS.is_demo:
    FILM = short(film_path())
elif SETTINGS.is_music_demo:
    FILM = f"{RESULTS}/demo_music.wav"
STIMULI, STIMULUS_WORDS, STIMULUS_SCORES, COMPANIONS = [], [], [], []
if SETTINGS.has_stimuli:
    FILM = f"{RESULTS}/stimuli.wav"
    STIMULUS_TABLE = f"{RESULTS}/stimuli.tsv"
    try:
        stimuli = list_stimuli(SETTINGS.stimuli)
    except GibletError as error:
        sys.exit(f"config: stimuli: {error}")
    STIMULI = sorted({str(s.file) for s in stimuli})
    words = sorted({str(s.annotations) for s in stimuli if s.annotations})
    scores = sorted({str(s.score) for s in stimuli if s.score})
    COMPANIONS = words + scores  # that the table names, whether they are read or not
    STIMULUS_WORDS = words if SETTINGS.annotations != "none" else []
    STIMULUS_SCORES = scores if SETTINGS.score != "none" else []
    if SETTINGS.bold_source == "none":
        sys.exit(
            "config: stimuli need scans as bold: their events say what was presented when"
        )
HAS_BOLD = SETTINGS.bold_source != "none"
# as Snakemake's report calls them
BRAINS = "noise" if SETTINGS.scan.null else SETTINGS.bold_source
BOLD = (
    f"{RESULTS}/simulated"
    if SETTINGS.bold_source == "simulated"
    else SETTINGS.bold_source
)
try:
    # of a table of runs; a folder stands for what is in it
    RUN_FILES = run_files(BOLD) if Path(BOLD).suffix in (".tsv", ".csv") else []
except GibletError as error:
    sys.exit(f"config: bold: {error}")
if SETTINGS.scan.parcellation and not is_atlas_name(SETTINGS.scan.parcellation):
    RUN_FILES.append(SETTINGS.scan.parcellation)
try:
    if SETTINGS.scan.mesh:
        RUN_FILES += map(str, mesh_pair(SETTINGS.scan.mesh))
except GibletError as error:
    sys.exit(f"config: scan.mesh: {error}")
if SETTINGS.has_stimuli:
    ANNOTATIONS = STIMULUS_TABLE if STIMULUS_WORDS else None
elif not SETTINGS.has_annotations:
    ANNOTATIONS = None
elif SETTINGS.annotations == "auto":
    ANNOTATIONS = short(annotations_path())
else:
    ANNOTATIONS = SETTINGS.annotations

if "word_model" in SETTINGS.space_sets and not ANNOTATIONS:
    sys.exit(
        "config: word_model: no stimulus has words: put them beside its file, under its name"
    )

if SETTINGS.has_stimuli:
    SCORE = STIMULUS_TABLE if STIMULUS_SCORES else None
elif SETTINGS.is_music_demo:
    SCORE = find_score(MUSIC, SETTINGS.score)
else:
    SCORE = find_score(FILM, SETTINGS.score) if SETTINGS.has_film else None
if SETTINGS.score not in ("none", "auto") and not SETTINGS.has_film:
    sys.exit("config: score: it needs a film, whose sound it is compared with")
# scores that a table names; stimuli have their own
SCORE_FILES = STIMULUS_SCORES
if SCORE and not SETTINGS.has_stimuli and is_table_of_scores(SCORE):
    try:
        SCORE_FILES = sorted(set(read_pieces(SCORE).scores))
    except GibletError as error:
        sys.exit(f"config: score: {error}")
# a folder's weights; those of a hub are known by their commit
MUSIC_FILES, MUSIC_SUMS = [], []
for MUSIC_MODEL in (SETTINGS.music.model, SETTINGS.music.latent_model):
    if MUSIC_MODEL == "bundled":
        MUSIC_SUMS += bundled_sums(PACKAGE / "music" / "bundled")
    MUSIC_FILES += sorted(map(str, Path(MUSIC_MODEL).glob("*.safetensors")))
if SETTINGS.music.known_pieces != "none":
    KNOWN = Path(SETTINGS.music.known_pieces)
    if not KNOWN.is_dir():
        sys.exit(f"config: music.known_pieces: {missing_path(str(KNOWN))}")
    MUSIC_FILES += sorted(str(f) for f in KNOWN.rglob("[!.]*.mid*") if f.is_file())

CODEC, CODEC_FILES, CODEC_SUMS = SETTINGS.codec, [], []
if SETTINGS.codec == "bundled":
    CODEC_SUMS = bundled_sums(PACKAGE / "audio" / "codecs" / "bundled")
else:
    # none from a hub
    weights = [*Path(CODEC).glob("*.safetensors"), *Path(CODEC).glob("config.json")]
    CODEC_FILES = sorted(map(str, weights))

START, START_FILES, START_SUMS = SETTINGS.model.start_from, [], []
if START in ("auto", "bundled"):
    START_SUMS = bundled_sums(PACKAGE / "autoencoder" / "bundled")
else:
    # none for "none"
    START_FILES = sorted(map(str, Path(START).rglob("*.safetensors")))

RECIPE = Path(SETTINGS.codec_training.recipe)
if not RECIPE.is_file():
    # giblet's own recipes lie beside the workflow
    RECIPE = Path(short(Path(workflow.basedir) / RECIPE))

# Snakemake would take what is in braces for a wildcard
NAMED = [
    FILM,
    SETTINGS.stimuli,
    *STIMULI,
    *COMPANIONS,
    BOLD,
    ANNOTATIONS,
    SCORE,
    *SCORE_FILES,
    *RUN_FILES,
    CODEC,
    START,
    RECIPE,
]
for name in NAMED:
    if set("{}") & set(str(name)):
        sys.exit(f"{str(name)!r}: has a brace in its name; rename it")


def there(key, paths):
    """For a rule's input: these paths, or one line that says which of them is missing."""

    def checked(wildcards):
        for path in map(str, paths):
            if not os.path.exists(path):
                sys.exit(f"config: {key}: {missing_path(path)}")
            try:
                check_date(path)
            except GibletError as error:
                sys.exit(f"config: {key}: {error}")
        return list(map(str, paths))

    # a cluster's storage cannot be looked into
    return paths if workflow.storage_settings.default_storage_provider else checked


def no_film(_):
    """For a rule's input: one line that says what there is without a film."""
    sys.exit(
        "config: film is none: of scans alone make report, brain_quality or export"
    )


if not SETTINGS.has_stimuli and not SETTINGS.is_music_demo:
    FILM = there("film", [FILM]) if SETTINGS.has_film else no_film
if ANNOTATIONS and not SETTINGS.has_stimuli:
    ANNOTATIONS = there("annotations", [ANNOTATIONS])
if SCORE and not SETTINGS.has_stimuli:
    SCORE = there("score", [SCORE])
if not HAS_BOLD:
    BOLD = lambda _: sys.exit("config: this needs a scan as bold")
elif SETTINGS.bold_source != "simulated":
    BOLD = there("bold", [BOLD])
RUN_FILES = there("bold or scan.parcellation", RUN_FILES)
SPEECH_MODELS = [path for path in SETTINGS.speech_models.model_dump().values() if path]

# settings of each feature type of the sound, apart from t_r
SOUND = {name: feature_type.settings for name, feature_type in FEATURE_TYPES.items()}
OF_STIMULI = ["stimuli"] * SETTINGS.has_stimuli
# of splits, what makes the parts of the main job
PARTS = [
    f"splits.{key}"
    for key in type(SETTINGS.splits).model_fields
    if key not in ("folds", "refit")
]
# a warning of sound_features: only a gap that is too short for them makes them again
SHORT_GAP = ["splits.gap_seconds"] * (
    SETTINGS.sound_model.reach_seconds > SETTINGS.splits.gap_seconds
)
# in the report
COMPARED = [*SOUND] if SETTINGS.has_film else []
# modalities beside audio, video and text, of those that the film has
OTHERS = [
    name
    for name, modality in beside_sound().items()
    if modality.optional and (name != "score" or SCORE)
]


wildcard_constraints:
    path="|".join(SOUND),
    modality="|".join([*SOUND, *beside_sound(), *SPACE_SETS]),
    fold=r"[1-9]\d*",


def model_files(*names):
    """Weights and vectors in folders or files; those of a hub are known by their commit."""
    files = []
    for path in (Path(name) for name in names if name and name != "none"):
        files += [path] if path.is_file() else path.glob("*.safetensors")
    return sorted(map(str, files))


# keys of scan for rules that bring people together: cleaning does not depend on them
OF_ALIGNMENT = {"alignment", "alignment_features"}


def settings(*names, cleaning=False):
    """These config values (none: all) as JSON: a rule reruns when one of them changes.

    ``splits.folds`` is one value, ``splits`` a whole section, ``scan.alignment`` both keys of the
    alignment. ``cleaning``: of ``scan`` those of cleaning alone.
    """
    wanted = {}
    for section, _, key in (name.partition(".") for name in names):
        keys = OF_ALIGNMENT if key == "alignment" else {key}
        wanted[section] = {*wanted.get(section, ()), *keys} if key else True
    unwanted = {"scan": OF_ALIGNMENT} if cleaning else None
    values = SETTINGS.model_dump(include=wanted or None, exclude=unwanted)
    text = json.dumps(values, sort_keys=True)
    # Snakemake would take {stim_file} for a wildcard
    return re.sub(r'\{(?!["}])', r"\\u007b", text)


def fold_of(wildcards):
    """Folder of a fold in that of the data set, with a slash; empty for the main job."""
    fold = wildcards.get("fold")
    return f"folds/{fold}/" if fold else ""


def more_tables():
    """Tables of rules that the report does not ask for, where they are and settings allow them."""
    path, splits = SETTINGS.path, SETTINGS.splits
    tables = {f"reconstruct_score/{path}": True}
    of_brains = ("lesion", "leave_one_out", "anchored_prior", "searchlight")
    tables |= dict.fromkeys((f"{rule}/{path}" for rule in of_brains), HAS_BOLD)
    tables |= dict.fromkeys(("codec_ladder", "calibration"), HAS_BOLD)
    tables[f"folds/{path}"] = splits.folds > 1 and (
        HAS_BOLD or splits.refit == "network"
    )
    files = [f"{RESULTS}/{table}.tsv" for table, allowed in tables.items() if allowed]
    return [file for file in files if Path(file).exists()]


def fold_tables(_):
    """Tables of scores of all folds, or one line that says what is missing."""
    n_folds, path = SETTINGS.splits.folds, SETTINGS.path
    if n_folds == 1:
        sys.exit("config: fold_scores needs splits.folds of 2 or more")
    with_network = SETTINGS.splits.refit == "network"
    if not HAS_BOLD and not with_network:
        sys.exit("config: splits.refit is readout: that needs a scan as bold")
    kinds = ["features"] * HAS_BOLD + ["scores"] * with_network
    return [
        f"{RESULTS}/folds/{fold}/{kind}/{path}.tsv"
        for kind in kinds
        for fold in range(1, n_folds + 1)
    ]


def training_sounds(rule, section, part):
    """A folder of sounds for a rule, or one line that says that it is missing."""
    folder = getattr(getattr(SETTINGS, section), part)
    if folder is None:
        sys.exit(f"config: {rule} needs a folder as {section}.{part}")
    return folder


def with_score(wanted_by):
    """The score, or one line that says that there is none."""
    if not SCORE:
        which = "any stimulus" if SETTINGS.has_stimuli else "the film"
        beside = f", and none lies beside {which}" * (SETTINGS.score == "auto")
        sys.exit(
            f"config: {wanted_by} needs a score: score is {SETTINGS.score}{beside}"
        )
    return SCORE(None) if callable(SCORE) else SCORE


def with_scan(wanted_by, file):
    """This file, or one line that says that there is no scan."""
    if not HAS_BOLD:
        sys.exit(f"config: {wanted_by} needs a scan as bold")
    return file


def with_levels(sets, file):
    """This file, or one line: without a film and sets of features nothing predicts the scans."""
    if not SETTINGS.has_film and not sets:
        sys.exit("config: codec_ladder needs a film, or words as annotations")
    return file


def lesion_regions(wanted_by="lesion"):
    """Files of the regions; one line if no setting names them, or there is no scan."""
    with_scan(wanted_by, [])
    if SETTINGS.lesion.regions == "parcels":
        return []
    if SETTINGS.lesion.regions != "auto":
        regions = there("lesion.regions", [SETTINGS.lesion.regions])
        return regions(None) if callable(regions) else regions
    if SETTINGS.bold_source == "simulated":
        return BOLD
    earlier = Path(RESULTS, "lesion")
    kept = (
        f". {earlier} is of an earlier call, and the report shows it: give the same lesion "
        "settings again, or move that folder away"
    )
    sys.exit(
        f'config: {wanted_by} needs a label image, or "parcels", as lesion.regions'
        + kept * (wanted_by == "lesion" and earlier.exists())
    )


def known_regions(_):
    """For a rule's input: files of the regions; none where there are none, or all parcels are."""
    if SETTINGS.lesion.regions == "auto" and SETTINGS.bold_source != "simulated":
        return []
    return lesion_regions()


def report_regions(_):
    """For the report's input: atlas files that name regions, of the settings or on this computer."""
    from giblet.report.region_names import region_files

    # a cluster's storage does not have them; parcels and simulated brains have names of their own
    stored = workflow.storage_settings.default_storage_provider
    if not HAS_BOLD or SETTINGS.scan.parcellation or stored:
        return []
    wanted, is_table = SETTINGS.lesion.regions, not Path(SETTINGS.bold_source).is_dir()
    if wanted == "auto" and SETTINGS.bold_source == "simulated":
        return []
    if wanted not in ("auto", "parcels"):
        there("lesion.regions", [wanted])(None)
    try:
        return list(map(str, region_files(wanted, SETTINGS.scan.space, is_table)))
    except GibletError as error:
        sys.exit(f"config: lesion.regions: {error}")


def decoding_regions():
    """The same for rules that decode, where they are to read one region alone."""
    return lesion_regions("decoding.region") if SETTINGS.decoding.region else []


def modalities(path):
    """Modalities of the film with this feature type: audio, video, where annotated text, others."""
    film = [path, "video"] if SETTINGS.has_film else []
    return film + (["text"] if ANNOTATIONS else []) + OTHERS * SETTINGS.has_film


def cores(rule, threads=None):
    """Threads to declare for a job of a rule, from the processors that it keeps busy.

    With ``--cores 8`` on two processors each of them counts fourfold, so that no more jobs run
    side by side than there are processors for. A cluster counts its own.
    """
    wanted, offered = threads or COSTS[rule].threads, workflow.resource_settings.cores
    if offered is None:
        return wanted
    return max(1, min(offered, round(wanted * offered / min(offered, os.cpu_count()))))


def training_threads(path):
    """Threads of training: one for the path that only the report needs, so that other jobs run beside it.

    A cluster runs each job on processors of its own.
    """
    beside = path != SETTINGS.path and workflow.resource_settings.cores is not None
    return 1 if beside else COSTS["train"].threads


def memory(rule):
    """Memory to ask for, MB, from the size of what a job reads, and of the null maps that it holds.

    As much again for each attempt that failed.
    """

    def asked(_, input, attempt):
        in_blocks = COSTS[rule].memory_per_bold_mb is not None
        bold = megabytes(filter(None, [input.bold])) if in_blocks else 0
        nulls = file_nulls_mb(input.bold, SETTINGS) if COSTS[rule].holds_nulls else 0
        return attempt * COSTS[rule].memory(megabytes(input), bold, nulls)

    return asked


def runtime(rule):
    """The same of time, minutes."""
    return lambda _, input, attempt: attempt * COSTS[rule].runtime(megabytes(input))


def megabytes(paths):
    """Size of files, and of all files in folders."""
    files = [f for p in map(Path, paths) for f in (p.rglob("*") if p.is_dir() else [p])]
    return sum(file.stat().st_size for file in files) / 1e6


def over_nodes():
    """What training on several computers asks of Slurm; nothing on one."""
    if (training := SETTINGS.training).nodes == 1:
        return {}
    tasks = training.nodes * training.devices
    # with mpi set, tasks are this rule's own to start; per GPU there is no telling how many
    return dict(mpi="srun", nodes=training.nodes, tasks=tasks, tasks_per_gpu=0)


def launcher():
    """What starts a process on each computer, where training takes several."""
    if (training := SETTINGS.training).nodes == 1:
        return ""
    if not shutil.which("srun"):
        sys.exit(
            "config: training.nodes above 1 needs Slurm, whose srun is not on this computer"
        )
    return (
        f"srun --nodes={training.nodes} --ntasks={training.nodes * training.devices}"
        f" --ntasks-per-node={training.devices} --cpus-per-task=2 --kill-on-bad-exit=1 "
    )
