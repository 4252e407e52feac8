"""Every setting of the pipeline, its default and its limits. A misspelt key is an error."""

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from giblet.checks import GibletError, nearest_name


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class MelConfig(_Strict):
    """The mel path."""

    n_mels: PositiveInt = Field(128, description="mel bands")
    n_fft: PositiveInt = Field(1024, description="samples of a window")
    hop_length: PositiveInt = Field(256, description="samples between two frames")
    n_iter: PositiveInt = Field(32, description="iterations of Griffin-Lim")


class VideoConfig(_Strict):
    """Pictures per TR."""

    n_frames: PositiveInt = Field(1, description="pictures per TR")
    height: PositiveInt = Field(90, description="pixels")
    width: PositiveInt = Field(160, description="pixels")


class WordsConfig(_Strict):
    """How the annotations are read. Times of TextGrids and subtitles are always in seconds."""

    text_columns: list[str] = Field(
        ["text"], min_length=1, description="of a table; joined with a space"
    )
    onset_column: str | None = Field(None, description="where it is not onset or start")
    duration_column: str | None = Field(None, description="where it is not duration")
    end_column: str | None = Field(None, description="where it is not end or offset")
    unit_seconds: PositiveFloat = Field(
        1.0, description="a table's unit of time: 0.001 for ms, the TR for TRs"
    )
    first_unit: int | None = Field(
        None, description="for a table that numbers TRs, the last included: number of the first"
    )
    leave_out_untimed: bool = Field(False, description="a table's rows without time: no error")
    sheet: str | None = Field(None, description="of a workbook with several")
    tier: str | None = Field(None, description="of a TextGrid with several")
    pauses: list[str] = Field(
        ["sp", "sil", "<eps>", "<p:>"], description="labels of a TextGrid that are not said"
    )


class SplitConfig(_Strict):
    """Which seconds of the film are held out. They are the same for every subject."""

    test: float = Field(0.2, gt=0, lt=1, description="share of the film, at its end")
    validation: float = Field(0.1, gt=0, lt=1, description="share before that, for early stopping")
    gap_seconds: float = Field(
        32.0, ge=0, description="left out between the parts; at least the HRF when there is BOLD"
    )


class ModelConfig(_Strict):
    """Sizes of the autoencoder."""

    audio_dim: PositiveInt = Field(256, description="features of encoded sound")
    video_dim: PositiveInt = Field(1024, description="features of encoded pictures")
    text_dim: PositiveInt = Field(256, description="features of encoded words")
    bottleneck_dim: PositiveInt = Field(2048, description="features of the shared code")
    embedding_dim: PositiveInt = Field(64, description="per codebook")
    decoder_dim: PositiveInt = Field(128, description="channels of a decoded frame")
    readout_rank: PositiveInt = Field(64, description="components shared by a subject's voxels")


class TrainingConfig(_Strict):
    """How the autoencoder is trained."""

    max_epochs: PositiveInt = Field(30, description="times that the training part is seen")
    frames_per_step: PositiveInt = Field(28, description="code frames per TR that a step scores")
    bfloat16: bool = Field(True, description="mixed precision while training")
    weight_decay: float = Field(0.05, ge=0, description="of AdamW")
    patience: PositiveInt = Field(6, description="epochs without a better validation loss")
    min_steps: PositiveInt = Field(8, description="in an epoch: a short film is seen several times")
    window_trs: PositiveInt = Field(40, description="TRs in a row that one step sees")
    learning_rate: PositiveFloat = Field(5e-4, description="of AdamW")
    gradient_clip: PositiveFloat = Field(1.0, description="largest norm of a gradient")
    audio_weight: PositiveFloat = Field(1.0, description="of the sound's loss")
    video_weight: PositiveFloat = Field(0.2, description="of the pictures' loss")
    text_weight: PositiveFloat = Field(0.2, description="of the words' loss")
    bold_weight: PositiveFloat = Field(0.5, description="of the BOLD's loss")


class DecodingConfig(_Strict):
    """From BOLD to the bottleneck."""

    first_lag_seconds: float = Field(2.0, ge=0, description="BOLD is read from so much later on")
    last_lag_seconds: float = Field(8.0, gt=0, description="to so much later")


class ScanConfig(_Strict):
    """How BOLD is cleaned."""

    high_pass_hz: PositiveFloat | None = Field(0.01, description="slower drifts are removed")
    parcellation: str | None = Field(None, description="label image: parcels instead of voxels")
    confounds: list[str] | None = Field(
        None, description="columns to regress out; by default motion (BIDS), or all (table of runs)"
    )


class QualityConfig(_Strict):
    """How good the scans are."""

    n_permutations: PositiveInt = Field(200, description="phase-randomised nulls of the ISC")


class CodecTrainingConfig(_Strict):
    """A codec of one's own, by the rule ``train_codec``."""

    sounds: str | None = Field(None, description="folder of sounds, in it one folder a kind")
    validation: str | None = Field(None, description="another, never trained on")
    recipe: str = Field(
        "config/codec/bundled.yaml", description="network, losses and schedule of the codec"
    )


class Config(_Strict):
    """The whole of ``config.yaml``."""

    dataset: str = Field(
        "demo", pattern=r"^[A-Za-z0-9_-]+$", description="folder in results/; letters, digits, _, -"
    )
    film: str = Field(
        "demo",
        description='a film or sound file; "demo": the bundled film; "none": words and scans alone',
    )
    annotations: str = Field(
        "auto",
        description="table (.tsv, .csv, .xlsx) with onset, duration, text, or a .TextGrid, .srt or "
        '.vtt file; "none"; "auto": the demo\'s own, else none',
    )
    bold: str = Field(
        "auto",
        description='BIDS derivatives folder; table of runs (.tsv, .csv); "none"; "simulated" '
        'brains that watch this film; "auto" is simulated for the demo, else none',
    )
    task: str | None = Field(None, description="BIDS task, where a data set has several")
    t_r: float = Field(1.5, ge=0.1, le=60, description="s; must be the scan's own")
    max_trs: PositiveInt | None = Field(None, description="use only the first TRs of the film")

    use_encodec: bool = Field(True, description="false: the mel path")
    codec: str = Field(
        "bundled", description='"bundled", a folder, or a Hugging Face id, at best id@commit'
    )
    bandwidth_kbps: PositiveFloat = Field(6.0, description="one that the codec offers")
    framing: Literal["tr_synchronous", "native"] = Field(
        "tr_synchronous", description="equal code frames in every TR, or the codec's own clock"
    )
    hrf_model: Literal["spm", "glover"] = Field("spm", description="as nilearn computes it")
    text_model: str = Field("hashing", description='"hashing", a Hugging Face id or a folder')

    mel: MelConfig = MelConfig()
    video: VideoConfig = VideoConfig()
    words: WordsConfig = WordsConfig()
    scan: ScanConfig = ScanConfig()
    quality: QualityConfig = QualityConfig()
    splits: SplitConfig = SplitConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    decoding: DecodingConfig = DecodingConfig()
    codec_training: CodecTrainingConfig = CodecTrainingConfig()
    seed: int = Field(0, ge=0, description="of every random number")

    @property
    def is_demo(self) -> bool:
        """Whether the film is the bundled one."""
        return self.film == "demo"

    @property
    def has_film(self) -> bool:
        return self.film != "none"

    @property
    def has_annotations(self) -> bool:
        return self.is_demo if self.annotations == "auto" else self.annotations != "none"

    @property
    def bold_source(self) -> str:
        """``none``, ``simulated`` or a folder."""
        if self.bold == "auto":
            return "simulated" if self.is_demo else "none"
        return self.bold

    @property
    def path(self) -> str:
        """The audio path that ``reconstruct_audio`` builds."""
        return "encodec" if self.use_encodec else "mel"


def parse_config(settings: dict) -> Config:
    """Settings as given by a user, checked.

    Raises
    ------
    GibletError
        Names the key, the value and what is allowed, with the nearest valid spelling.

    >>> parse_config({"t_r": 2.0}).t_r
    2.0
    >>> parse_config({"bandwith_kbps": 6})
    Traceback (most recent call last):
        ...
    giblet.checks.GibletError: config: unknown key bandwith_kbps; did you mean bandwidth_kbps?
    """
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        raise GibletError("config: " + "; ".join(map(_explain, error.errors()))) from None


def _explain(problem: dict) -> str:
    key = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        known = [name for name, _ in all_settings(Config)]
        if key in known:  # mel.n_mels as one word
            section, name = key.split(".")
            return f"unknown key {key!r}; write {section}: {{{name}: ...}}"
        return f"unknown key {key}{nearest_name(key, known)}"
    return f"{key or 'settings'} = {problem['input']!r}: {problem['msg'].lower()}"


def all_settings(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, dict]]:
    """Every setting by its full name, with its JSON schema."""
    for name, schema in section.model_json_schema()["properties"].items():
        default = section.model_fields[name].default
        if isinstance(default, _Strict):
            yield from all_settings(type(default), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", schema
