"""The recipe of a music model: strict settings, one YAML file."""

from typing import Annotated, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator as validator,
)

from giblet.config.precision import Bfloat16
from giblet.config.strict import StrictSettings
from giblet.errors import GibletError
from giblet.music.model import ModelSettings
from giblet.music.objective import LossSettings
from giblet.music.windows import Truncation

Share = Annotated[float, Field(ge=0, lt=1)]


class DataSettings(StrictSettings):
    """Crops of pieces, and how they are varied."""

    crop_tokens: Annotated[int, Field(ge=2)] = 1024
    truncation: Truncation = Field("random", description="which crops: giblet.music.windows")
    batch_size: PositiveInt = 8
    transpose: NonNegativeInt = Field(5, description="semitones, at most, up or down")
    velocity: NonNegativeInt = Field(16, description="MIDI velocity, at most, up or down")
    stretch: NonNegativeFloat = Field(0.1, description="share by which a piece may be slower")
    without_beats: Share = Field(0.2, description="share of crops whose beats are not shown")
    workers: NonNegativeInt = Field(0, description="processes that make crops; 0: the trainer's")


class ScheduleSettings(StrictSettings):
    """Steps, and how large they are."""

    steps: PositiveInt = 10_000
    learning_rate: PositiveFloat = 1e-3
    betas: tuple[Share, Share] = (0.9, 0.98)
    weight_decay: Share = Field(0.01, description="of matrices; vectors have none")
    warmup_steps: PositiveInt = 200
    final_share: PositiveFloat = Field(0.05, description="of the learning rate, at the last step")
    gradient_clip: PositiveFloat = 1.0
    bfloat16: Bfloat16 = "auto"
    devices: PositiveInt = 1
    check_every: PositiveInt = Field(500, description="steps between checkpoints and validations")
    validation_pieces: PositiveInt = Field(16, description="pieces of each validation, the first")
    seed: NonNegativeInt = 0


class MusicSettings(StrictSettings):
    """Network, data, losses and schedule of one music model. A misspelt key is an error."""

    model: ModelSettings = ModelSettings()
    data: DataSettings = DataSettings()
    losses: LossSettings = LossSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    start_from: str | None = Field(
        None, description="a trained model whose weights of the same names are taken first"
    )

    @validator(mode="after")
    def _a_bag_is_of_latents(self) -> Self:
        if self.losses.bag and self.model.latents is None:
            raise ValueError("losses.bag is of latents: set model.latents, or leave it out")
        return self

    @validator(mode="after")
    def _crops_hold_windows(self) -> Self:
        gan, n_tokens = self.model.gan, self.data.crop_tokens
        for name, scale in gan.scales.items() if gan else ():
            if scale.n_tokens > n_tokens:
                raise ValueError(
                    f"data.crop_tokens ({n_tokens}) is shorter than a window of the discriminator "
                    f"{name} ({scale.n_tokens}), which would never learn: raise it"
                )
        return self


def parse_recipe(settings: object, source: str) -> MusicSettings:
    """A recipe as read from ``source``, checked; GibletError names the first wrong key."""
    try:
        return MusicSettings.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "recipe"
        raise GibletError(f"{source}: {key}: {first['msg'].lower()}") from None
