"""What every section of the config is: strict, and finite."""

from pydantic import BaseModel, ConfigDict, field_validator

LARGEST = 2**32 - 1  # number that a setting may be, and NumPy's largest seed


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _no_absurd_number(cls, value):
        if isinstance(value, int | float) and abs(value) > LARGEST:
            raise ValueError(f"must be {LARGEST:,} at most")
        return value
