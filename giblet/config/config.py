"""Every setting of the pipeline, its default and its limits. A misspelt key is an error."""

import difflib
import re
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from giblet.config.events import EventsConfig
from giblet.config.prior import PriorConfig
from giblet.config.regions import LesionConfig, SearchlightConfig
from giblet.config.sections import (
    CalibrationConfig,
    CodecTrainingConfig,
    DecodingConfig,
    MelConfig,
    ModelConfig,
    PretrainingConfig,
    QualityConfig,
    ScanConfig,
    Section,
    SimulationConfig,
    SplitConfig,
    TrainingConfig,
    VideoConfig,
    WordsConfig,
)
from giblet.config.trained_models import (
    MusicConfig,
    PictureModelConfig,
    SoundModelConfig,
    SpeechModelsConfig,
    WordModelConfig,
)
from giblet.errors import GibletError, nearest_name


class Config(Section):
    """All settings of ``config.yaml``."""

    dataset: str = Field(
        "demo", pattern=r"^[A-Za-z0-9_-]+$", description="folder in results/; letters, digits, _, -"
    )
    film: str = Field(
        "demo",
        description='a film or audio file; "demo": the bundled film; "demo_music": the bundled '
        'music, which has a score; "none": text and scans alone',
    )
    stimuli: str = Field(
        "none",
        description="instead of film: folder of sounds or films, or table (.tsv, .csv: file, name, "
        "start, duration, annotations, score, score_offset); events name one each",
    )
    audio_track: int | str | None = Field(
        None,
        description='of a film with several sound tracks: number, from 1 ("1+2": their mean), or '
        "language as the file has it; null: the default one, else the first (notes/data.md)",
    )
    annotations: str = Field(
        "auto",
        description="table (.tsv, .csv, .txt, .xlsx) with onset, duration, text, or a .TextGrid, "
        '.srt, .vtt, .json, .ctm or .stm file; "none"; "auto": the demo\'s own, those beside '
        "stimuli, else none",
    )
    score: str = Field(
        "none",
        min_length=1,
        description="of the music: a MIDI (.mid) or MusicXML (.musicxml) file, or a table of "
        'several (.tsv, .csv: file, onset, duration, score_offset, name); "auto": the one beside '
        'the film, or each stimulus, under its name, if there is one; "none"',
    )
    score_offset: float = Field(
        0.0, description="s of film at which the score begins; read_score reports the lag it finds"
    )
    bold: str = Field(
        "auto",
        description='BIDS derivatives folder; table of runs (.tsv, .csv); "none"; "simulated" '
        "brains that watch this film, or hear this music where it has a score and no video; "
        '"auto" is simulated for the demos, else none',
    )
    task: str | None = Field(
        None,
        description="BIDS task, where a data set has several; of stimuli all are read, or those "
        "named, with commas between",
    )
    t_r: float = Field(1.5, ge=0.1, le=60, description="s; must be that of the scan")
    max_trs: PositiveInt | None = Field(None, description="use only the first TRs of the film")
    max_voxels: PositiveInt | None = Field(
        5000,
        description="of more voxels, ridge, model and decoder use those of highest ISC; null: all",
    )

    use_encodec: bool = Field(True, description="false: mel spectrograms")
    codec: str = Field(
        "bundled",
        description='"bundled", a folder, or a Hugging Face id with its commit, owner/name@commit '
        "(without it: what the cache holds)",
    )
    bandwidth_kbps: PositiveFloat = Field(
        6.0, description="of the codec's codes; the nearest that it offers is taken, and logged"
    )
    codebooks: PositiveInt | None = Field(
        None, description="codes in a frame, instead of bandwidth_kbps; likewise the nearest"
    )
    exact_codes: bool = Field(
        False,
        description="encode in double precision: codes do not depend on the processor (X-Codec 2 "
        "and NeuCodec excepted), and take two to three times as long",
    )
    framing: Literal["auto", "tr_synchronous", "native"] = Field(
        "auto",
        description="equal code frames in every TR, or the codec's own clock; auto: equal ones, "
        "unless the sound would run more than 1 % faster or slower",
    )
    hrf_model: Literal["spm", "glover", "fir", "none"] = Field(
        "spm", description="as nilearn computes it; fir: film at several lags, for linear models"
    )
    fir_lags_seconds: list[Annotated[float, Field(ge=0, le=30)]] | None = Field(
        None, min_length=1, description="of fir; by default every TR from 2 to 8 s"
    )
    ridge_backend: Literal["numpy", "torch", "torch_cuda"] = Field(
        "numpy",
        description="ridge of maps and readouts: on the processor, by NumPy or torch, or on a GPU",
    )
    text_model: str = Field("hashing", description='"hashing", a Hugging Face id or a folder')

    mel: MelConfig = MelConfig()
    video: VideoConfig = VideoConfig()
    words: WordsConfig = WordsConfig()
    music: MusicConfig = MusicConfig()
    sound_model: SoundModelConfig = SoundModelConfig()
    picture_model: PictureModelConfig = PictureModelConfig()
    word_model: WordModelConfig = WordModelConfig()
    speech_models: SpeechModelsConfig = SpeechModelsConfig()
    scan: ScanConfig = ScanConfig()
    simulation: SimulationConfig = SimulationConfig()
    events: EventsConfig = EventsConfig()
    quality: QualityConfig = QualityConfig()
    splits: SplitConfig = SplitConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    decoding: DecodingConfig = DecodingConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    prior: PriorConfig = PriorConfig()
    lesion: LesionConfig = LesionConfig()
    searchlight: SearchlightConfig = SearchlightConfig()
    codec_training: CodecTrainingConfig = CodecTrainingConfig()
    pretraining: PretrainingConfig = PretrainingConfig()
    seed: int = Field(0, ge=0, description="of every random number")

    @field_validator("audio_track", mode="before")
    @classmethod
    def _track_is_number_or_language(cls, track):
        number = int(track) if isinstance(track, str) and track.isdecimal() else track
        if isinstance(track, bool) or not isinstance(number, int | str | None) or number in (0, ""):
            raise ValueError(f'must be a number from 1, or a language in quotes, "{track}"')
        return number

    @field_validator("stimuli")
    @classmethod
    def _instead_of_film(cls, stimuli: str, info: ValidationInfo) -> str:
        if stimuli != "none" and info.data.get("film", "demo") != "demo":
            raise ValueError("goes without film: leave film out")
        return stimuli

    @field_validator("audio_track", "annotations", "score", "max_trs")
    @classmethod
    def _of_a_film(cls, value, info: ValidationInfo):
        if info.data.get("stimuli", "none") != "none" and value not in (None, "auto", "none"):
            beside = "; of stimuli they lie beside each, or in their table"
            beside *= info.field_name in ("annotations", "score")
            raise ValueError(f"goes with a film, not with stimuli{beside}")
        return value

    @field_validator("bold")
    @classmethod
    def _not_simulated(cls, bold: str, info: ValidationInfo) -> str:
        if info.data.get("stimuli", "none") != "none" and bold == "simulated":
            raise ValueError("simulated brains watch a film: with stimuli name scans")
        return bold

    @field_validator("simulation")
    @classmethod
    def _of_simulated(cls, simulation: SimulationConfig, info: ValidationInfo) -> SimulationConfig:
        named = info.data.get("bold", "auto") not in ("auto", "simulated")
        if named and simulation != SimulationConfig():
            raise ValueError("goes with simulated brains, and bold names scans")
        return simulation

    @field_validator("events")
    @classmethod
    def _of_stimuli(cls, events: EventsConfig, info: ValidationInfo) -> EventsConfig:
        if info.data.get("stimuli", "none") == "none" and events != EventsConfig():
            raise ValueError("goes with stimuli")
        return events

    @field_validator("splits")
    @classmethod
    def _stimuli_apart(cls, splits: SplitConfig, info: ValidationInfo) -> SplitConfig:
        if info.data.get("stimuli", "none") == "none" and splits.test_stimuli:
            raise ValueError("test_stimuli goes with stimuli")
        has_table = (
            info.data.get("score", "none").lower().removesuffix(".gz").endswith((".tsv", ".csv"))
        )
        if (splits.test_pieces or splits.pieces == "whole") and not has_table:
            raise ValueError("whole pieces need a table of pieces as score (.tsv, .csv)")
        return splits

    @property
    def is_demo(self) -> bool:
        """Whether the film is the bundled one."""
        return self.film == "demo" and not self.has_stimuli

    @property
    def is_music_demo(self) -> bool:
        """Whether the film is the bundled music."""
        return self.film == "demo_music" and not self.has_stimuli

    @property
    def has_stimuli(self) -> bool:
        """Whether runs present many stimuli, not one film."""
        return self.stimuli != "none"

    @property
    def has_film(self) -> bool:
        return self.film != "none"

    @property
    def has_annotations(self) -> bool:
        """Whether there are words; of stimuli, where any lie beside them."""
        if self.annotations == "auto":
            return self.is_demo or self.has_stimuli
        return self.annotations != "none"

    @property
    def space_sets(self) -> list[str]:
        """Names of the sets of feature spaces that linear models read, as in their files."""
        words = self.word_model
        wanted = words.name != "none" or words.vectors is not None or words.form
        used = {
            "sound_model": self.has_film and self.sound_model.name != "none",
            "picture_model": self.has_film and self.picture_model.name != "none",
            "word_model": wanted and self.has_annotations,
        }
        return [name for name, is_used in used.items() if is_used]

    @property
    def bold_source(self) -> str:
        """``none``, ``simulated`` or a folder."""
        if self.bold == "auto":
            return "simulated" if self.is_demo or self.is_music_demo else "none"
        return self.bold

    @property
    def path(self) -> str:
        """Feature type of the audio that ``reconstruct_audio`` builds."""
        return "encodec" if self.use_encodec else "mel"


def parse_config(settings: dict) -> Config:
    """Validated settings from a user's keys and values.

    Raises
    ------
    GibletError
        Names the key, the value and what is allowed, with the nearest valid spelling.

    >>> parse_config({"t_r": 2.0}).t_r
    2.0
    >>> parse_config({"bandwith_kbps": 6})
    Traceback (most recent call last):
        ...
    giblet.errors.GibletError: config: unknown key bandwith_kbps; did you mean bandwidth_kbps?
    """
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        messages = [_explain(dict(problem)) for problem in error.errors()]
        raise GibletError(f"config: {'; '.join(messages)}") from None


def readable_config(settings: dict) -> tuple[Config | None, list[str], set[str]]:
    """The config of the keys that can be read (None without any), a line for each of the others,
    and the names at the top level that these have, or nearly have.

    >>> config, lines, wrong = readable_config({"t_r": 2000, "bandwith_kbps": 6, "seed": 3})
    >>> lines[1], sorted(wrong), config.seed
    ('unknown key bandwith_kbps; did you mean bandwidth_kbps?', ['bandwidth_kbps', 't_r'], 3)
    """
    lines: list[str] = []
    wrong: set[str] = set()
    for _ in range(len(settings) + 1):  # a value may be wrong only beside others
        try:
            return Config.model_validate(settings), lines, wrong
        except ValidationError as error:
            problems = error.errors()
        for problem in problems:
            if not problem["loc"] or not isinstance(settings, dict):
                return None, [_explain(dict(problem))], wrong
            lines.append(_explain(dict(problem)))
            name = str(problem["loc"][0])
            near = re.search(r"; did you mean ([a-z_]+)", lines[-1])
            wrong.add(near[1] if near and name not in Config.model_fields else name)
            settings = {key: value for key, value in settings.items() if key != name}
    return None, lines, wrong


def _explain(problem: dict) -> str:
    key = ".".join(str(part) for part in problem["loc"] if isinstance(part, str))
    if problem["type"] == "extra_forbidden":
        return _unknown(key)
    return f"{key or 'settings'} = {problem['input']!r:.100}: {_allowed(key, problem)}"


def _unknown(key: str) -> str:
    valid = [name for name, _ in all_settings(Config)]
    if key in valid:  # mel.n_mels as one word
        within, name = key.split(".")
        return f"unknown key {key!r}; write {within}: {{{name}: ...}}"
    *section, name = key.split(".")
    alike = key.lower().replace("-", "_")
    if near := nearest_name(alike, [*valid, *Config.model_fields]):
        return f"unknown key {key}{near}"
    if not section and (near := _inside_sections(alike, valid)):
        return f"unknown key {key}; did you mean {near}?"
    inside = _keys_of(section[0]) if section else []
    elsewhere = nearest_name(name, valid) if inside else ""
    return f"unknown key {key}" + (elsewhere or (f"; it has {', '.join(inside)}" if inside else ""))


def _inside_sections(name: str, valid: list[str]) -> str:
    """The full name of the setting of any section that ``name`` is nearest to, or nothing.

    >>> _inside_sections("subjects", ["scan.exclude_subjects", "t_r"])
    'scan.exclude_subjects'
    """
    full = {key.rpartition(".")[2]: key for key in valid if "." in key}
    close = difflib.get_close_matches(name, full, n=1)
    return full[close[0]] if close else ""


def _keys_of(section: str) -> list[str]:
    names = [name.partition(".") for name, _ in all_settings(Config)]
    return [key for first, _, key in names if first == section and key]


def _allowed(key: str, problem: dict) -> str:
    """The values that are allowed, with the nearest spelling."""
    kind, value = problem["type"], problem["input"]
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"needs keys and values, as {(_keys_of(key) or ['t_r'])[0]}: ..."
    if kind == "literal_error":
        options = problem["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        return f"must be one of {', '.join(options)}{nearest_name(str(value), options)}"
    if kind == "string_pattern_mismatch":
        return f"other characters are in it: {dict(all_settings(Config))[key]['description']}"
    if kind == "string_type" and value is None:
        return 'must be text; to leave it out write "none"'
    if kind == "string_type" and isinstance(value, bool | int | float | date):
        text = (
            f"""must be text: write it in quotes, {key}: "{value}" (--config {key}='"{value}"')"""
        )
        other = isinstance(value, bool | int)  # of a date and a fraction YAML keeps the digits
        return text + f"; if YAML made {value} of no, on or 010, quote what you wrote" * other
    message = problem["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:] + _likely_slip(key, kind, value)


def _likely_slip(key: str, kind: str, value: object) -> str:
    """What to write instead of milliseconds, and of a decimal comma; nothing for others."""
    if key == "t_r" and kind == "less_than_equal":
        return "; seconds, not milliseconds"
    if kind == "float_parsing" and re.fullmatch(r"\s*-?\d*,\d+\s*", str(value)):
        return f"; decimal point, not comma: {str(value).strip().replace(',', '.')}"
    return ""


def all_settings(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, dict]]:
    """Every setting by its full name, with its JSON schema."""
    for name, schema in section.model_json_schema()["properties"].items():
        default = section.model_fields[name].default
        if isinstance(default, Section):
            yield from all_settings(type(default), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", schema
