"""Settings of the anchored prior."""

from typing import Annotated

from pydantic import Field, PositiveFloat

from giblet.config.sections import Section


class PriorConfig(Section):
    """Sound from a retrieved clip that a small model refines, by the rule ``anchored_prior``."""

    bank: str | None = Field(
        None,
        min_length=1,
        description="folder of sounds to retrieve from, which may not hold the film; null: the "
        "film's training TRs",
    )
    window_seconds: PositiveFloat = Field(3.0, description="of a clip that is retrieved")
    strengths: list[Annotated[float, Field(ge=0, le=1)]] = Field(
        [0.0, 0.25, 0.5, 0.75, 1.0],
        min_length=1,
        description="of the refinement: 0 is the retrieved clip, 1 is free of it",
    )
