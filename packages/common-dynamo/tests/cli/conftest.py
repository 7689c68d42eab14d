"""The ``common`` command in this process, with common-dynamo and one plugin of a stranger."""

from collections.abc import Callable
from pathlib import Path

import pytest

from common.core.cli import main
from common.core.testing import InstalledDists, installed_dists
from common.dynamo.testing import Engine, fresh_table_name
from common.dynamo.testing.engines import NetworkEngine

__all__ = ["installed_dists"]

SIBLINGS = "common-auth,common-observability"
SHOP = """
from pydantic import BaseModel
from common.core import hookimpl
from common.dynamo import EntityType, Index, Key, Unique

class Ticket(BaseModel):
    id: str
    seat: str
    holder: str = "nobody"
    version: int = 0

TICKET = EntityType(
    Ticket, "ticket", key=Key("TICKET#{id}", "TICKET"), group="shop", version="version", schema=1,
    indexes=[Index("GSI3", Key("HOLDER#{holder}", "{id}"), projection="KEYS_ONLY")], unique=[Unique("seat", scope="holder")],
)

@hookimpl
def common_entity_types():
    return [TICKET]
"""

Common = Callable[..., int]


@pytest.fixture
def shop(installed_dists: InstalledDists) -> InstalledDists:
    """A stranger's plugin with an entity type."""
    installed_dists.add("acme-shop", version="2.1", plugins={"acme-shop": "acme_shop"}, modules={"acme_shop": SHOP})
    return installed_dists


@pytest.fixture
def common(shop: InstalledDists, monkeypatch: pytest.MonkeyPatch) -> Common:
    """Run words of the command line; return the exit code. Secrets of the environment are there to be kept."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-environment")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str | Path, **environ: str) -> int:
        names = {"COMMON_PLUGINS_BLOCK": SIBLINGS, "COMMON_PLUGINS_ONLY": "acme-shop", **environ}
        return main(["dynamo", *map(str, words)], environ=names)

    return run


@pytest.fixture
def place(engine: Engine, tmp_path: Path) -> tuple[str, ...]:
    """The options that name fresh tables on the run's engine."""
    table = fresh_table_name()
    where = ("--embedded", str(tmp_path / "tables.db"))
    if isinstance(engine, NetworkEngine):
        where = ("--endpoint", engine.endpoint_url, "--region", "eu-central-1")
    return ("--table", table, *where)
