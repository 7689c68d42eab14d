"""``common dynamo entities``: the installed entity types."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from common.core.commands import CliCommand
from common.dynamo.commands.text_table import as_table

if TYPE_CHECKING:
    from common.core.lifecycle import App
    from common.core.plugins import Contribution
    from common.dynamo.entity_type import EntityType
    from common.dynamo.keys import Key
    from common.dynamo.multi_attribute_keys import MultiKey

__all__ = ["ENTITIES"]


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of tables")


def _entities(app: "App", arguments: Namespace) -> int:
    from common.dynamo.hookspecs import ENTITY_TYPES

    registered = app.plugins.contributions(ENTITY_TYPES)
    if arguments.json:
        print(json.dumps([_as_json(each) for each in registered], indent=2))
    else:
        print("\n".join(_told(registered)))
    return 0


def _told(registered: "Iterable[Contribution[EntityType[Any]]]") -> Iterator[str]:
    registered = tuple(registered)
    types = [each.value for each in registered]
    headings = ("TYPE", "MODEL", "GROUP", "SCHEMA", "VERSION", "EXPIRES BY", "UNIQUE", "REGISTERED BY")
    yield from as_table(headings, ((*_facts(each.value), each.origin) for each in registered))
    yield ""
    yield from as_table(("TYPE", "KEY", "PARTITION", "SORT"), (row for entity in types for row in _keys(entity)))


def _facts(entity: "EntityType[Any]") -> tuple[str, ...]:
    unique = ", ".join("/".join(unique.fields) for unique in entity.unique)
    return (
        entity.name,
        entity.model.__name__,
        entity.group,
        str(entity.schema),
        entity.version or "-",
        entity.ttl or "-",
        unique or "-",
    )


def _keys(entity: "EntityType[Any]") -> Iterator[tuple[str, ...]]:
    yield (entity.name, "table", *_templates(entity.key))
    for index in entity.indexes:
        name = index.name if index.projection == "ALL" else f"{index.name} ({index.projection})"
        yield ("", name, *_templates(index.key))


def _templates(key: "Key | MultiKey") -> tuple[str, str]:
    return key.partition_text, key.sort_text


def _key_as_json(key: "Key | MultiKey") -> dict[str, Any]:
    from common.dynamo.multi_attribute_keys import MultiKey

    if isinstance(key, MultiKey):
        return {"attributes": [list(key.partition), list(key.sort)], "shards": 1}
    return {"key": [key.partition.text, key.sort.text], "shards": key.shards}


def _as_json(registered: "Contribution[EntityType[Any]]") -> dict[str, Any]:
    entity = registered.value
    return {
        "name": entity.name,
        "model": f"{entity.model.__module__}.{entity.model.__qualname__}",
        "group": entity.group,
        "schema": entity.schema,
        "version": entity.version,
        "ttl": entity.ttl,
        **_key_as_json(entity.key),
        "indexes": [
            {"name": index.name, **_key_as_json(index.key), "projection": index.projection} for index in entity.indexes
        ],
        "unique": [list(unique.fields) for unique in entity.unique],
        "plugin": registered.plugin,
        "dist": registered.dist,
        "dist_version": registered.version,
    }


ENTITIES: Final = CliCommand(
    "dynamo entities",
    "List the entity types: model, keys, indexes, unique fields, expiry, schema version, and whose they are.",
    _entities,
    _arguments,
    needs_all_plugins=False,
)
