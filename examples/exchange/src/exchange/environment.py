"""The environment of each service: every secret reaches only the process that needs it."""

import secrets
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from common.auth.security.breaches import PasswordHashes
from exchange.trails import Trail

BLOCKED = {"gateway": "acme-plugin"}
"""At the edge, where every token comes by, no stranger's plugin is loaded."""
BREACHED = "saffron giraffe unwinds quartz"
"""A good password, were it not for a breach."""
PAGE = {"COMMON_ENVIRONMENT": "development", "COMMON_OBS_DEV_PAGE": "1"}
"""What switches the live page on."""
CALLERS = ("gateway", "orders")
"""Who signs identity assertions: at the edge, and from one service to the next. Their public keys are no secret."""


def key_pair() -> tuple[str, str]:
    """Return a new Ed25519 key pair as PEM texts, private and public."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def service_environments(
    folder: Path, endpoint: str | None, *, wire: str = "auto", shows_page: bool = False
) -> Mapping[str, Mapping[str, str]]:
    """Return the variables of each service of one run, by the service's name.

    Either every service appends its spans to one file, for the report at the end, or it tells the live page of them:
    a file would grow for as long as the services stay up. The public keys by which trails are verified are left in the folder of the witness; nobody else has the private ones.
    """
    pairs = {name: key_pair() for name in CALLERS}
    stores = {"COMMON_AUTH_STORES": "table", "EXCHANGE_API_KEY_KEY": secrets.token_hex(32)}
    shared = {
        "COMMON_ENVIRONMENT": "development",
        "COMMON_SERVICE_VERSION": "1.0.0",
        **(PAGE if shows_page else {"COMMON_OBS_SPAN_FILE": str(folder / "spans.jsonl")}),
        "EXCHANGE_CURSOR_KEY": secrets.token_hex(32),
        "COMMON_AUTH_AUDIT_KEY": b64encode(secrets.token_bytes(32)).decode(),
        **{f"EXCHANGE_{name.upper()}_PUBLIC_KEY": public for name, (_, public) in pairs.items()},
        **where_data_is(folder, endpoint, wire),
    }
    passwords = {
        "COMMON_AUTH_PEPPERS": f"p1:{b64encode(secrets.token_bytes(32)).decode()}",
        "COMMON_AUTH_PASSWORDS": "on",
        "COMMON_AUTH_BREACH_FILE": str(breached_passwords(folder)),
        "COMMON_AUTH_BCRYPT_COST": "10",  # the least that is taken: a day of seconds has many log-ins, and waits for each
        "EXCHANGE_LOGIN_KEY": secrets.token_hex(32),
        "EXCHANGE_USERS_PRIVATE_KEY": key_pair()[0],
    }
    own = {
        "gateway": {"EXCHANGE_GATEWAY_PRIVATE_KEY": pairs["gateway"][0], **stores},
        "users": {**passwords, **stores},
        "orders": {"EXCHANGE_ORDERS_PRIVATE_KEY": pairs["orders"][0]},
        "inventory": {},
    }
    return {
        name: {
            "COMMON_AUTH_PASSWORDS": "off",
            **shared,
            **variables,
            "COMMON_SERVICE_NAME": name,
            "COMMON_PLUGINS_BLOCK": BLOCKED.get(name, ""),
            **anchored_trail(Trail.of(folder, name)),
            "ACME_AUDIT_FILE": str(folder / f"{name}.acme.jsonl"),
        }
        for name, variables in own.items()
    }


def breached_passwords(folder: Path) -> Path:
    """Write the operator's list of passwords from breaches, as hashes; the real ones have hundreds of millions."""
    path = folder / "breached.txt"
    path.write_text(f"{PasswordHashes.of(BREACHED).sha1}:3\n", encoding="ascii")
    return path


def anchored_trail(trail: Trail) -> Mapping[str, str]:
    """Return the variables by which a service writes its trail and states how far it has come; pin the key for that."""
    private, public = key_pair()
    trail.key.parent.mkdir(exist_ok=True)
    trail.key.write_text(public, encoding="ascii")
    return {**trail.variables(), "COMMON_AUTH_AUDIT_ANCHOR_KEY": private}


def where_data_is(folder: Path, endpoint: str | None, wire: str) -> Mapping[str, str]:
    """Return the variables that name the engine, and how it is reached."""
    if endpoint is None:
        return {"EXCHANGE_DATA": str(folder / "exchange.db")}
    return {"EXCHANGE_ENDPOINT": endpoint, "EXCHANGE_WIRE": wire}
