"""What a codec training run is made of: one strict settings class, one YAML file."""

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from giblet.checks import GibletError


class CodecSettings(BaseModel):
    """Network, data, losses and schedule of one codec. A misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    start_from: str | None = Field(
        None,
        description="a codec to go on from, as load_codec takes it; its network must be this one",
    )

    # network: fields of transformers.EncodecConfig
    num_filters: PositiveInt = 16
    upsampling_ratios: tuple[PositiveInt, ...] = (5, 4, 4, 4)
    num_lstm_layers: PositiveInt = 1
    use_conv_shortcut: bool = Field(False, description="false: residual blocks add to the identity")
    target_bandwidths: tuple[PositiveFloat, ...] = (1.5, 3.0, 6.0)

    # data
    crop_seconds: PositiveFloat = 1.0
    batch_size: PositiveInt = 12
    kind_weights: dict[str, PositiveFloat] = Field(
        default={"speech": 0.5, "music": 0.3, "effects": 0.2},
        description="share of crops drawn from each kind of sound",
    )
    gain_db: tuple[float, float] = (-12.0, 3.0)

    # losses
    log_mel_weight: PositiveFloat = 3.0
    phase_weight: PositiveFloat = 2.0
    commitment_weight: PositiveFloat = 1.0

    # schedule
    steps: PositiveInt = 6000
    steps_without_codebooks: PositiveInt = Field(
        1000, description="the encoder settles before k-means starts the codebooks"
    )
    batches_for_kmeans: PositiveInt = 16
    learning_rate: PositiveFloat = 1.5e-3
    warmup_steps: PositiveInt = 200
    gradient_clip: PositiveFloat = 1.0
    bfloat16: bool = True
    seed: int = 0

    @field_validator("steps_without_codebooks")
    @classmethod
    def _leave_steps_for_the_codebooks(cls, value: int, info: ValidationInfo) -> int:
        if value >= info.data.get("steps", value + 1):
            raise ValueError(f"{value} must be less than steps ({info.data['steps']})")
        return value

    @property
    def kinds(self) -> list[str]:
        """Kinds of sound: the names of the folders they lie in."""
        return list(self.kind_weights)

    def encodec_fields(self) -> dict:
        """The part that is the network's own configuration."""
        names = (
            "num_filters",
            "upsampling_ratios",
            "num_lstm_layers",
            "use_conv_shortcut",
            "target_bandwidths",
        )
        return {name: getattr(self, name) for name in names}


def parse_recipe(settings: dict, source: str) -> CodecSettings:
    """A recipe as read from ``source``, checked; GibletError names the first wrong key."""
    try:
        return CodecSettings.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise GibletError(f"{source}: {key}: {first['msg'].lower()}") from None
