"""Whether a declaration is made of the right kinds of things, before anything is made of it.

What the things say together, such as a key of a field that the model does not have, is found later and told with all
other faults of all entity types (:mod:`common.dynamo.mapping`, :mod:`common.dynamo.registry`). But a text where a
:class:`~common.dynamo.Key` belongs is a mistake of one line of a program, and that line raises.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import BaseModel

from common.dynamo.keys import Key
from common.dynamo.value_codec import AnyScale
from common.exceptions import ConfigurationError

__all__ = ["check_declaration", "check_index", "check_unique"]


def check_declaration(given: Mapping[str, Any], *, index: type, unique: type) -> None:
    """Refuse what an entity type cannot be made of.

    Args:
        given: Parameter to value.
        index: The class of what ``indexes`` holds.
        unique: The class of what ``unique`` holds.

    Raises:
        ConfigurationError: It names every parameter that is of another kind.
    """
    faults = [f"{name} must be {wanted}" for name, wanted, holds in _KINDS if not holds(given[name])]
    faults += [
        f"{name} must be a list of {kind.__name__} objects"
        for name, kind in (("indexes", index), ("unique", unique))
        if not all(isinstance(each, kind) for each in given[name])
    ]
    if faults:
        name = given["name"]
        told = f"Entity type {name!r}" if isinstance(name, str) else "An entity type"
        raise ConfigurationError(f"{told}: {'; '.join(faults)}.")


def check_index(name: object, key: object, projection: object) -> None:
    """Refuse what an index cannot be made of.

    Raises:
        ConfigurationError: It names the first part that is of another kind.
    """
    if not isinstance(name, str):
        raise ConfigurationError(f"The name of an index must be a text such as GSI1, not {type(name).__name__}.")
    if isinstance(key, str) or not hasattr(key, "fields"):
        raise ConfigurationError(f"Index {name}: key must be a Key, not {type(key).__name__}: Key('A#{{a}}', '{{b}}').")
    if projection not in ("ALL", "KEYS_ONLY"):
        raise ConfigurationError(f"Index {name}: projection must be 'ALL' or 'KEYS_ONLY'.")


def check_unique(field: object, scope: object, normalise: object, key: object) -> None:
    """Refuse what a unique field cannot be made of.

    Raises:
        ConfigurationError: It names the first part that is of another kind.
    """
    if not _is_name(field):
        raise ConfigurationError("A unique field is named by a text: Unique('email').")
    if not isinstance(scope, str) and not (isinstance(scope, list | tuple) and all(map(_is_name, scope))):
        raise ConfigurationError(f"Unique field {field}: scope must be a name of a field, or a list of them.")
    if normalise is not None and not callable(normalise):
        raise ConfigurationError(f"Unique field {field}: normalise must be a callback (value) -> value.")
    if key is not None and not isinstance(key, Key):
        raise ConfigurationError(f"Unique field {field}: key must be a Key, not {type(key).__name__}.")


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_name_or_none(value: object) -> bool:
    return value is None or _is_name(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_model(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, BaseModel)


def _is_names_by_name(value: Mapping[Any, Any]) -> bool:
    return all(isinstance(each, str) for pair in value.items() for each in pair)


def _is_attributes(value: Mapping[Any, Any]) -> bool:
    return _is_names_by_name(value) and "" not in value.values()


def _is_scales(value: Mapping[Any, Any]) -> bool:
    return all(_is_name(name) and _is_scale(scale) for name, scale in value.items())


def _is_scale(value: object) -> bool:
    return _is_whole(value) or isinstance(value, AnyScale) or callable(value)


def _is_steps(value: Mapping[Any, Any]) -> bool:
    return all(_is_whole(schema) and callable(step) for schema, step in value.items())


_KINDS: Final[tuple[tuple[str, str, Callable[[Any], bool]], ...]] = (
    ("model", "a class derived from pydantic.BaseModel", _is_model),
    ("name", "a text", lambda value: isinstance(value, str)),
    ("key", "a Key, such as Key('NOTE#{id}', 'NOTE')", lambda value: isinstance(value, Key)),
    ("version", "the name of an int field", _is_name_or_none),
    ("ttl", "the name of a field", _is_name_or_none),
    ("scales", "a mapping from field to decimal places", _is_scales),
    ("schema", "an int", _is_whole),
    ("upcast", "a mapping from schema version to a callback", _is_steps),
    ("group", "a text", _is_name),
    ("attributes", "a mapping from field to attribute name", _is_attributes),
    ("spread", "a mapping from field to prefix", _is_names_by_name),
)
