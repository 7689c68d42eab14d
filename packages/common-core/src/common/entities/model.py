"""What all entities have in common: frozen values, exact in JSON, silent about what they refuse."""

from pydantic import BaseModel, ConfigDict


class Entity(BaseModel):
    """A value that the service hands out. It cannot be changed; ``model_copy(update=...)`` does not validate.

    Unknown fields are ignored, so that a client made for 1.0 reads the answers of 1.1. Validation errors do not quote
    the input; :func:`common.core.validation.invalid_input` turns them into the family's own.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, use_attribute_docstrings=True)


class Input(BaseModel):
    """A value that comes from a caller. Same as :class:`Entity`, but an unknown field is an error: it may be a typo."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)
