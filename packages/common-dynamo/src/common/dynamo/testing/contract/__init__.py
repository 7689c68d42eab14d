"""The contract suite: one call tries every law of the data layer on an entity type, on examples made by hypothesis.

::

    def test_invoices_keep_the_contract(database):
        check_entity_type(database, INVOICE)

>>> from pydantic import BaseModel
>>> from common.dynamo import Database, EntityType, Key
>>> class Note(BaseModel):
...     id: str
...     text: str
>>> NOTE = EntityType(Note, "note", key=Key("NOTE#{id}", "NOTE"))
>>> with Database.embedded(entity_types=[NOTE]) as db:
...     report = check_entity_type(db, NOTE, examples=3)
>>> report.broken, report.skipped["versions"]
({}, 'the type has no version')

hypothesis is needed for this alone, so no distribution depends on it: it belongs into the test dependencies of who calls.
"""

from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from common.dynamo.arguments import require_iterable, require_kind, require_whole_number
from common.dynamo.entity_type import EntityType
from common.dynamo.testing.contract.report import BrokenContract, ContractReport, LawReport
from common.exceptions import ConfigurationError

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from common.dynamo.database import Database

__all__ = ["BrokenContract", "ContractReport", "LawReport", "check_entity_type", "models_of"]

M = TypeVar("M", bound=BaseModel)


def check_entity_type(
    database: "Database",
    entity: EntityType[M],
    strategy: "SearchStrategy[M] | None" = None,
    *,
    examples: int = 10,
    seed: int = 0,
    only: Iterable[str] = (),
) -> ContractReport:
    """Try every law of the data layer on *entity*: exact round trips, keys, existence, versions, index keys, locks,
    expiry, conditions, lost answers, transactions, batches, queries, pages and costs.

    Args:
        database: On a table of its own, such as the fixture ``database`` has; it is emptied between examples.
        entity: The type to try.
        strategy: Makes models; ``None`` for :func:`models_of`. Version and expiry are set by the laws themselves.
        examples: How many each law is tried on, at most; some are tried on all routes of a write.
        seed: The same one makes the same examples.
        only: Names of laws to try alone; empty for all.

    Returns:
        Each law with the number of its examples, or with the reason why the type does not need it.

    Raises:
        BrokenContract: Laws do not hold; an ``AssertionError`` that names each of them, the field, and the models.
        ConfigurationError: hypothesis is missing, the table is not empty, there is no such law, no model can be made, or
            *entity* is no entity type.
        InvalidInput: *examples* is below 1.
    """
    _require_hypothesis()
    require_kind("entity", entity, EntityType)
    require_whole_number("examples", examples, least=1)
    names = require_iterable("only", only, "names of laws")
    from common.dynamo.testing.contract.checking import run_contract

    report = run_contract(database, entity, strategy, examples=examples, seed=seed, only=frozenset(names))
    if report.broken:
        raise BrokenContract(report)
    return report


def models_of(entity: EntityType[M], **fields: "SearchStrategy[object]") -> "SearchStrategy[M]":
    """Return a strategy of models of *entity*, derived from the annotations: within scales, key widths and 38 digits.

    Args:
        entity: The type, whose constraints are kept: lengths, bounds, patterns, choices.
        fields: Strategies of fields where the annotation does not tell what is valid, such as ``email=st.emails()``.

    Raises:
        ConfigurationError: hypothesis is missing, *fields* names what the model does not have, or no value of an
            annotation can be made; it names the field.
    """
    _require_hypothesis()
    require_kind("entity", entity, EntityType)
    from common.dynamo.testing.contract.strategies import derive_models

    return derive_models(entity, fields)


def _require_hypothesis() -> None:
    if find_spec("hypothesis") is None:
        raise ConfigurationError(
            "check_entity_type makes its examples with hypothesis, which is not installed: add 'hypothesis>=6.130' to the "
            "test dependencies of your distribution."
        )
