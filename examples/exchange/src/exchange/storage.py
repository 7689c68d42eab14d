"""Where the exchange keeps its data: one embedded engine file, or any DynamoDB endpoint."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from common.core import Plugins, Settings
from common.dynamo import Database
from common.exceptions import ConfigurationError

if TYPE_CHECKING:
    import boto3

TABLE = "exchange"


def open_database(settings: Settings, plugins: Plugins) -> Database:
    """Open the database that ``EXCHANGE_DATA`` (a file) or ``EXCHANGE_ENDPOINT`` (a URL) names.

    ``EXCHANGE_WIRE`` says how the endpoint is reached: ``auto``, ``boto`` or ``direct``.

    Raises:
        ConfigurationError: Neither is set.
    """
    section = settings.section("EXCHANGE_")
    cursor_keys = [section.secret("CURSOR_KEY").reveal().encode()]
    if endpoint := section.text("ENDPOINT", ""):
        database = Database.connect(
            table=TABLE,
            plugins=plugins,
            session=session_for(endpoint),
            endpoint_url=endpoint,
            wire=section.text("WIRE", "auto"),
            cursor_keys=cursor_keys,
        )
        database.create_tables()
        return database
    if data := section.text("DATA", ""):
        return Database.embedded(data, table=TABLE, plugins=plugins, cursor_keys=cursor_keys)
    raise ConfigurationError("Set EXCHANGE_DATA to a file for the embedded engine, or EXCHANGE_ENDPOINT to a URL.")


def session_for(endpoint: str) -> "boto3.Session | None":
    """Return a session with made-up credentials for an engine on this machine; ``None`` means those of the environment."""
    if urlsplit(endpoint).hostname not in ("127.0.0.1", "localhost", "::1"):
        return None
    import boto3  # which is dear, for those who go over a network

    return boto3.Session(aws_access_key_id="local", aws_secret_access_key="local", region_name="local")  # noqa: S106
