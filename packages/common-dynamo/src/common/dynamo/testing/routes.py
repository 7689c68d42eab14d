"""The three routes of a write: the same rules hold on all of them, and a test runs over each."""

from dataclasses import dataclass, field
from typing import Any, Final

from common.dynamo.database import Database
from common.dynamo.entity_dao import DAO

__all__ = ["ROUTES", "Route"]

ROUTES: Final = ("single", "batch", "transaction")


@dataclass(frozen=True)
class Route:
    """One way to send a write: by itself, in a batch, in a transaction."""

    name: str
    """One of :data:`ROUTES`."""
    db: Database = field(repr=False)

    @property
    def reads_by_itself(self) -> bool:
        """Whether a write of unique fields reads the stored model where it is not given."""
        return self.name == "single"

    def __call__(self, verb: str, dao: DAO[Any], *arguments: Any, **options: Any) -> None:
        """Send the write that *verb* makes of *arguments*: ``create``, ``put``, ``update`` or ``delete``."""
        if self.name == "single":
            getattr(dao, verb)(*arguments, **options)
        elif self.name == "batch":
            dao.batch_write([getattr(dao.plan, verb)(*arguments, **options)])
        else:
            with self.db.transaction() as tx:
                getattr(tx, verb)(dao, *arguments, **options)
