"""The systems whose sound or BOLD is scored: their names on the page, in figures and in notebooks.

Every label of a column of ``scores.tsv`` is read from here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from giblet.audio.feature_types import FEATURE_TYPES

REFERENCE = next(iter(FEATURE_TYPES))  # the feature type that a label does not name
PICTURES = "video"  # among the labels of modalities
MATCHED = "mel_matched"  # in the column ``path``: mel at the codec's bitrate
FEATURE_LABELS = {name: one.label for name, one in FEATURE_TYPES.items()} | {
    MATCHED: "mel at the codec's bitrate"
}


@dataclass(frozen=True)
class System:
    """A column of the table of scores: its name on the page, and what it is."""

    label: str
    about: str


SYSTEMS = {
    "original": System("Original", "the sound itself"),
    "codec": System(
        "Codec",
        "sound → features → sound, without the model: the ceiling of sound that passes through "
        "them (codec in scores.tsv; of mel, mel + Griffin-Lim)",
    ),
    "original_noise_10db": System(
        "Original in noise, 10 dB",
        "yardstick: the original sound in noise of its spectrum, 10 dB below",
    ),
    "original_noise_0db": System(
        "Original in noise, 0 dB", "yardstick: the same, as loud as the sound"
    ),
    "original_elsewhere": System(
        "Original of another moment",
        "yardstick: the original sound of half the test part later",
    ),
    "stimulus": System("Through the model", "sound → bottleneck → sound"),
    "unigram": System(
        "Codes by frequency", "null: every code guessed from how often it occurs in training"
    ),
    "brain": System("From BOLD", "BOLD → bottleneck → sound: decoding"),
    "brain_shuffled": System(
        "Shuffled BOLD",
        "null: BOLD of other moments; scores are means over circular shifts of the test part",
    ),
    "brain_mean": System("Mean volume", "null: the mean volume at every moment"),
    "brain_group": System(
        "From BOLD, subjects together",
        "BOLD of all subjects, averaged in the space of scan.alignment → bottleneck → sound",
    ),
    "brain_group_shuffled": System(
        "Shuffled BOLD, subjects together", "null of that: all subjects' BOLD of other moments"
    ),
    "nearest_clip": System(
        "Retrieval",
        "retrieval baseline, not a null: for each TR the sound of the training TR with the most "
        "similar BOLD (nearest_clip in scores.tsv)",
    ),
    "encoding": System("Predicted BOLD", "film or stimuli → bottleneck → predicted BOLD"),
    "encoding_ridge": System(
        "Predicted BOLD, ridge", "film or stimuli → predicted BOLD by ridge regression alone"
    ),
    "encoding_banded": System(
        "Predicted BOLD, banded ridge",
        "the same with a penalty for each modality (banded ridge)",
    ),
    "noise_ceiling": System(
        "Noise ceiling",
        "other people's BOLD at the same moment: what a perfect model may reach",
    ),
}
COMPARED = {"brain_shuffled": "brain", "brain_group_shuffled": "brain_group"}  # null → column
YARDSTICKS = tuple(name for name in SYSTEMS if name.startswith("original_"))
RETRIEVAL = "nearest_clip"


def stimulus_noun(facts: Mapping) -> str:
    """What was heard: a film, a stimulus that has no pictures, or many stimuli.

    >>> stimulus_noun({"modalities": ["sound", "score"]}), stimulus_noun({})
    ('stimulus', 'film')
    >>> stimulus_noun({"n_stimuli": 40})
    'stimuli'
    """
    if n_stimuli := facts.get("n_stimuli"):
        return "stimulus" if n_stimuli == 1 else "stimuli"
    modalities = facts.get("modalities")
    has_pictures = modalities is None or PICTURES in modalities
    return "film" if has_pictures else "stimulus"


def stimulus_name(facts: Mapping) -> str:
    """The file of the film, or how many stimuli there were.

    >>> stimulus_name({"film": "a.mp4"}), stimulus_name({"film": "stimuli.wav", "n_stimuli": 40})
    ('a.mp4', '40 stimuli')
    """
    if n_stimuli := facts.get("n_stimuli"):
        return "the stimulus" if n_stimuli == 1 else f"{n_stimuli} stimuli"
    return str(facts["film"])


def question_of(column: str) -> str:
    """What a column answers: ``sound`` (from sound to sound), ``brain`` or ``encoding``.

    >>> [question_of(c) for c in ("codec", "brain_shuffled", "nearest_clip", "noise_ceiling")]
    ['sound', 'brain', 'brain', 'encoding']
    """
    if column.startswith(("brain", "nearest")):
        return "brain"
    return "encoding" if column.startswith(("encoding", "noise")) else "sound"


def system_label(column: str, simulated: bool, feature_type: str | None = REFERENCE) -> str:
    """The name of a system on the page; where BOLD is simulated, it says so.

    ``feature_type``: named unless it is `REFERENCE`; None: of several feature types.

    >>> [system_label("codec", False, one) for one in ("encodec", "mel", None)]
    ['Codec', 'Mel + Griffin-Lim', 'Codec alone / mel vocoder alone']
    >>> system_label("brain", True, "mel"), system_label("nearest_clip", True)
    ('From BOLD, mel (simulated)', 'Retrieval by simulated BOLD')
    >>> system_label("my_column", False)
    'my column'
    """
    name = SYSTEMS[column].label if column in SYSTEMS else column.replace("_", " ")
    if column == "codec" and feature_type != REFERENCE:
        return (
            "Codec alone / mel vocoder alone"
            if feature_type is None
            else _with_vocoder(feature_type)
        )
    kind = ""
    if simulated and column == RETRIEVAL:  # its sound is a piece of the film
        name = f"{name} by simulated BOLD"
    elif simulated and question_of(column) != "sound":
        kind = " (simulated)"
    is_named = feature_type not in (None, REFERENCE) and not column.startswith("original")
    return name + (f", {feature_label(str(feature_type))}" if is_named else "") + kind


def _with_vocoder(feature_type: str) -> str:
    """Features that a vocoder turns back into sound, without the model."""
    vocoder = FEATURE_TYPES.get(feature_type, FEATURE_TYPES["mel"]).vocoder  # MATCHED is mel
    name = f"{feature_label(feature_type)} + {vocoder}"
    return name[0].upper() + name[1:]


def label_within(column: str) -> str:
    """The name of a system within a sentence.

    >>> label_within("brain_shuffled"), label_within("nearest_clip")
    ('shuffled BOLD', 'retrieval')
    """
    label = SYSTEMS[column].label
    return label[0].lower() + label[1:]


def feature_label(feature_type: str) -> str:
    """The name of a feature type on the page; of an unknown one, its own name.

    >>> feature_label("encodec"), feature_label("wavelets")
    ('codes', 'wavelets')
    """
    return FEATURE_LABELS.get(feature_type, feature_type)
