"""The base of every recipe's settings."""

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError


class NumbersAreNumbers(BaseModel):
    """A model whose numbers may not be given as booleans."""

    @model_validator(mode="before")
    @classmethod
    def _no_boolean_for_a_number(cls, values: Any) -> Any:
        """YAML makes booleans of yes, no, on, off: as numbers they would be 1 and 0.

        A validator of fields would be shorter, but pydantic allows none of a field by which the
        members of a union are told apart.
        """
        if not isinstance(values, dict):
            return values
        wrong: list[InitErrorDetails] = []
        for name in values.keys() & cls.model_fields.keys():
            value, kinds = values[name], _kinds(cls.model_fields[name].annotation)
            items = value if isinstance(value, list | tuple) else [value]
            if not any(isinstance(one, bool) for one in items) or bool in kinds:
                continue
            if kinds & {int, float}:
                what = "a number" if items == [value] else "numbers"
                what += ", or text in quotes" * (str in kinds)
                message = f"must be {what}; YAML reads yes, no, on, off as booleans"
                error = PydanticCustomError("boolean_for_number", message)  # type: ignore[arg-type]
                wrong.append({"type": error, "loc": (name,), "input": value})
        if wrong:
            raise ValidationError.from_exception_data(cls.__name__, wrong)
        return values


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
