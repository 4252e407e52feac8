"""The recipe of a codec training run: strict settings, one YAML file."""

from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator as validator,
)

from giblet.codec_training.encodec import EncodecSettings
from giblet.codec_training.registry import ArchitectureSettings
from giblet.config.precision import Bfloat16
from giblet.config.strict import StrictSettings
from giblet.errors import GibletError

Share = Annotated[float, Field(ge=0, lt=1)]


class DataSettings(StrictSettings):
    """Crops of sound."""

    crop_seconds: PositiveFloat = 1.0
    batch_size: PositiveInt = 12
    kind_weights: dict[str, PositiveFloat] = Field(
        default={"speech": 0.5, "music": 0.3, "effects": 0.2},
        description="share of crops drawn from each kind of sound: names of folders",
    )
    gain_db: tuple[float, float] = Field(
        (-12.0, 3.0), description="random level, peak kept below 1"
    )
    synthetic: Share = Field(
        0.0, description="share of crops that are tones, noise, or have a constant offset"
    )
    validation_seconds: PositiveFloat = 4.0
    validation_crops: PositiveInt = 12


class DiscriminatorSettings(StrictSettings):
    """A discriminator: it learns to distinguish coded sound from the original."""

    kind: Literal["scale", "period", "stft", "hybrid"] = "stft"
    parameters: dict[str, Any] = Field(default={}, description="of the discriminator's class")
    loss: Literal["hinge", "least_squares"] = "hinge"
    weight: PositiveFloat = 1.0
    feature_weight: PositiveFloat = 2.0
    from_step: NonNegativeInt = 0
    every: PositiveInt = Field(
        1, description="the discriminator is trained in one of so many steps"
    )
    learning_rate: PositiveFloat = 3e-4


class ScheduleSettings(StrictSettings):
    """Steps, and how large they are."""

    steps: PositiveInt = 6000
    steps_without_codebooks: PositiveInt = Field(
        1000, description="the encoder settles before k-means starts the codebooks"
    )
    batches_for_kmeans: PositiveInt = 16
    learning_rate: PositiveFloat = 3e-4
    betas: tuple[Share, Share] = (0.8, 0.99)
    weight_decay: Share = 0.0
    warmup_steps: PositiveInt = 200
    decay: Literal["cosine", "exponential"] = "cosine"
    final_share: PositiveFloat = Field(0.02, description="of the learning rate, at the last step")
    gradient_clip: PositiveFloat = 1.0
    average_decay: Share = Field(0.0, description="of the averaged weights that are kept; 0: none")
    bfloat16: Bfloat16 = "auto"
    check_every: PositiveInt = Field(250, description="steps between checkpoints and validations")
    seed: NonNegativeInt = 0

    @validator(mode="after")
    def _leave_steps_for_the_codebooks(self):
        if self.steps_without_codebooks >= self.steps:
            raise ValueError(
                f"steps_without_codebooks ({self.steps_without_codebooks}) must be less than "
                f"steps ({self.steps})"
            )
        return self


class CodecSettings(StrictSettings):
    """Network, data, losses and schedule of one codec. A misspelt key is an error."""

    start_from: str | None = Field(
        None, description='"bundled" or a folder: a network of the same settings to go on from'
    )
    network: ArchitectureSettings = EncodecSettings()
    data: DataSettings = DataSettings()
    losses: dict[str, float | dict[str, Any]] = Field(
        default={"log_mel": 3.0, "phase": 2.0},
        description="by name: weight, or weight and parameters of the loss",
    )
    commitment_weight: PositiveFloat = 1.0
    balance: Literal["weights", "gradients"] = Field(
        "weights", description="weighted sum, or shares of the gradient (EnCodec's balancer)"
    )
    discriminator: DiscriminatorSettings | None = None
    schedule: ScheduleSettings = ScheduleSettings()

    @property
    def kinds(self) -> list[str]:
        """Kinds of sound: the names of the folders they lie in."""
        return list(self.data.kind_weights)


def parse_recipe(settings: dict, source: str) -> CodecSettings:
    """A recipe as read from ``source``, checked; GibletError names the first wrong key."""
    try:
        return CodecSettings.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise GibletError(f"{source}: {key}: {first['msg'].lower()}") from None
