"""Every setting of the pipeline, its default and its limits. A misspelt key is an error."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from giblet.checks import GibletError, nearest_name


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MelConfig(_Strict):
    """The mel path."""

    n_mels: PositiveInt = 128
    n_fft: PositiveInt = Field(1024, description="samples")
    hop_length: PositiveInt = Field(256, description="samples")
    n_iter: PositiveInt = Field(32, description="iterations of Griffin-Lim")


class VideoConfig(_Strict):
    """Pictures per TR."""

    n_frames: PositiveInt = Field(1, description="pictures per TR")
    height: PositiveInt = 90
    width: PositiveInt = 160


class SplitConfig(_Strict):
    """Which seconds of the film are held out. They are the same for every subject."""

    test: float = Field(0.2, gt=0, lt=1, description="share of the film, at its end")
    validation: float = Field(0.1, gt=0, lt=1, description="share before that, for early stopping")
    gap_seconds: float = Field(
        32.0, ge=0, description="left out between the parts; at least the HRF when there is BOLD"
    )


class ModelConfig(_Strict):
    """Sizes of the autoencoder."""

    audio_dim: PositiveInt = 256
    video_dim: PositiveInt = 1024
    text_dim: PositiveInt = 256
    bottleneck_dim: PositiveInt = 2048
    embedding_dim: PositiveInt = Field(64, description="per codebook")
    decoder_dim: PositiveInt = Field(128, description="channels of a decoded frame")
    readout_rank: PositiveInt = Field(64, description="components shared by a subject's voxels")


class TrainingConfig(_Strict):
    """How the autoencoder is trained."""

    max_epochs: PositiveInt = 30
    frames_per_step: PositiveInt = Field(28, description="code frames per TR that a step scores")
    bfloat16: bool = Field(True, description="mixed precision while training")
    weight_decay: float = Field(0.05, ge=0)
    patience: PositiveInt = Field(6, description="epochs without a better validation loss")
    window_trs: PositiveInt = Field(40, description="TRs in a row that one step sees")
    learning_rate: PositiveFloat = 5e-4
    gradient_clip: PositiveFloat = 1.0
    audio_weight: PositiveFloat = 1.0
    video_weight: PositiveFloat = 0.2
    text_weight: PositiveFloat = 0.2
    bold_weight: PositiveFloat = 0.5


class DecodingConfig(_Strict):
    """From BOLD to the bottleneck."""

    first_lag_seconds: float = Field(2.0, ge=0)
    last_lag_seconds: float = Field(8.0, gt=0)


class Config(_Strict):
    """The whole of ``config.yaml``."""

    dataset: str = Field("demo", pattern=r"^[A-Za-z0-9_-]+$", description="folder in results/")
    film: str = Field("demo", description='a film or sound file; "demo" is the bundled film')
    annotations: str = Field(
        "auto",
        description='table with onset, duration, text; "none"; "auto": the demo\'s own, else none',
    )
    bold: str = Field(
        "auto",
        description='BIDS derivatives folder; "none"; "simulated" brains that watch this film; '
        '"auto" is simulated for the demo, else none',
    )
    task: str | None = Field(None, description="BIDS task, where a data set has several")
    t_r: PositiveFloat = Field(1.5, le=60, description="s; must be the scan's own")
    max_trs: PositiveInt | None = Field(None, description="use only the first TRs of the film")

    use_encodec: bool = Field(True, description="false: the mel path")
    codec: str = Field("bundled", description='"bundled", a Hugging Face id or a folder')
    bandwidth_kbps: PositiveFloat = 6.0
    framing: Literal["tr_synchronous", "native"] = "tr_synchronous"
    hrf_model: Literal["spm", "glover"] = "spm"
    text_model: str = Field("hashing", description='"hashing", a Hugging Face id or a folder')

    mel: MelConfig = MelConfig()
    video: VideoConfig = VideoConfig()
    splits: SplitConfig = SplitConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    decoding: DecodingConfig = DecodingConfig()
    seed: int = Field(0, ge=0)

    @property
    def is_demo(self) -> bool:
        """Whether the film is the bundled one."""
        return self.film == "demo"

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
        return f"unknown key {key}{nearest_name(str(problem['loc'][-1]), _known_keys())}"
    return f"{key} = {problem['input']!r}: {problem['msg'].lower()}"


def _known_keys() -> list[str]:
    sections = [f.default for f in Config.model_fields.values() if isinstance(f.default, _Strict)]
    return [*Config.model_fields, *(key for s in sections for key in type(s).model_fields)]
