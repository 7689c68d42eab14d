"""The surroundings of a run: the checkout, the server, the variables that every peer reads, and a table."""

import contextlib
import importlib
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.dynamo.testing.server import Dynoxide, find_dynoxide
from peer_benchmark.peer import REGION, TABLE, Peer, Place
from peer_benchmark.works import Row

__all__ = ["EngineMissing", "checkout", "connect", "create_table", "serve", "set_variables"]


class EngineMissing(RuntimeError):
    """There is no server to measure against."""


def checkout() -> Path | None:
    """Return the root of the repository that this package or the working directory lies in; ``None`` outside of it."""
    here = Path(__file__).resolve()
    for folder in (*here.parents, Path.cwd(), *Path.cwd().parents):
        file = folder / "pyproject.toml"
        if file.is_file() and "workspace" in tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get(
            "uv", {}
        ):
            return folder
    return None


def set_variables() -> None:
    """Give every peer the same credentials and region, and hide what the machine's owner has configured."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "DYNTASTIC_", "PYNAMODB_", "OTEL_"))]:
        del os.environ[name]
    os.environ.update(
        AWS_ACCESS_KEY_ID="benchmark",
        AWS_SECRET_ACCESS_KEY="benchmark",
        AWS_DEFAULT_REGION=REGION,
        AWS_REGION=REGION,
        AWS_EC2_METADATA_DISABLED="true",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    )


@contextlib.contextmanager
def serve(endpoint_url: str | None) -> Iterator[str]:
    """Yield *endpoint_url*, or that of the second engine, started as a process of its own and stopped afterwards.

    Raises:
        EngineMissing: It is not installed and cannot be.
    """
    if endpoint_url is not None:
        yield endpoint_url
        return
    root = checkout()
    binary = find_dynoxide([root or Path.cwd()])
    if binary is None and root is not None:
        install = [sys.executable, str(root / "tools" / "engine" / "install.py")]
        subprocess.run(install, check=False, stdout=sys.stderr)
        binary = find_dynoxide([root])
    if binary is None:
        raise EngineMissing(
            "The second engine is not installed: run python tools/engine/install.py (it needs npm, and Linux on x86-64), "
            "or name any DynamoDB endpoint with --endpoint."
        )
    with Dynoxide(binary) as server:
        yield server.endpoint_url


def create_table(endpoint_url: str) -> Any:
    """Make the table anew and return a boto3 client of the harness's own, which is never measured."""
    import boto3

    client = boto3.client("dynamodb", endpoint_url=endpoint_url)
    with contextlib.suppress(client.exceptions.ResourceNotFoundException):
        client.delete_table(TableName=TABLE)
        client.get_waiter("table_not_exists").wait(TableName=TABLE)
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
    )
    client.get_waiter("table_exists").wait(TableName=TABLE)
    return client


def connect(row: Row, endpoint_url: str, connections: int = 10) -> Peer:
    """Import the peer of *row* and connect it."""
    module = importlib.import_module(f"peer_benchmark.peers.{row.module}")
    peer: Peer = module.connect(Place(endpoint_url, row.name, connections), **row.options)
    return peer
