"""Settings of runs that present many stimuli."""

from pydantic import Field, field_validator

from giblet.config.name_template import template_columns
from giblet.config.sections import Section


class EventsConfig(Section):
    """Events of many stimuli."""

    stimulus: str = Field(
        "{stim_file}",
        description="name of the stimulus of a row of events, made of the row's columns "
        '("{genre}.{track:0>5}")',
    )
    average_repeats: bool = Field(
        False, description="BOLD of a repeated stimulus is the mean; false: the first time alone"
    )
    carry_over: bool = Field(
        False,
        description="regressors have the responses to all that was presented before in the run; "
        "false: no lag crosses into another stimulus; the model never carries over",
    )

    rest_seconds: float = Field(
        0.0,
        ge=0,
        le=60,
        description="s of silence after each stimulus whose volumes belong to it, up to the next "
        "onset: 10 for stimuli shorter than the response. They are used by brain_quality and by "
        "the decoder's lags; only TRs of the sound are trained on and scored",
    )

    @field_validator("stimulus")
    @classmethod
    def _names_columns(cls, template: str) -> str:
        template_columns(template)
        return template
