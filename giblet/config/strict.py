"""The base of every recipe's settings."""

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class NumbersAreNumbers(BaseModel):
    """A model whose numbers may not be given as booleans."""

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML makes booleans of yes, no, on, off: as numbers they would be 1 and 0."""
        items = value if isinstance(value, list | tuple) else [value]
        if info.field_name is not None and any(isinstance(one, bool) for one in items):
            kinds = _kinds(cls.model_fields[info.field_name].annotation)
            if bool not in kinds and kinds & {int, float}:
                text = ", or text in quotes" * (str in kinds)
                what = "a number" if items == [value] else "numbers"
                raise ValueError(f"must be {what}{text}; YAML reads yes, no, on, off as booleans")
        return value


class StrictSettings(NumbersAreNumbers):
    """Settings that cannot change, in which a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def _kinds(annotation: Any) -> set[type]:
    """The types that an annotation is made of.

    >>> sorted(kind.__name__ for kind in _kinds(int | str | None))
    ['NoneType', 'int', 'str']
    """
    if parts := get_args(annotation):
        return set().union(*map(_kinds, parts))
    return {annotation} if isinstance(annotation, type) else set()
