"""The base of every recipe's settings."""

from pydantic import BaseModel, ConfigDict


class StrictSettings(BaseModel):
    """Settings that cannot change, in which a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
