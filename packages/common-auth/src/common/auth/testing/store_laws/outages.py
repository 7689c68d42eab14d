"""What a store says while what keeps its state does not answer: ``StoreUnavailable``, from every method."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from common.auth.exceptions import ConfigurationError, StoreUnavailable
from common.auth.security.stores import LoginCounter
from common.auth.testing.store_laws.api_keys import make_api_key_record
from common.auth.testing.store_laws.families import make_family, make_successor
from common.auth.testing.store_laws.trying import NOW, expect

__all__ = ["OUTAGES", "check_outage"]

Calls = Mapping[str, Callable[[Any], object]]

OUTAGES: Final[Mapping[str, Calls]] = {
    "refresh families": {
        "create": lambda store: store.create(make_family()),
        "rotate": lambda store: store.rotate("s", expected=1, successor=make_successor()),
        "revoke": lambda store: store.revoke("s", at=NOW),
        "find": lambda store: store.find("s"),
        "of_user": lambda store: list(store.of_user("u")),
    },
    "revocations": {
        "deny": lambda store: store.deny("t", expires_at=NOW),
        "raise_epoch": lambda store: store.raise_epoch("u"),
        "look_up": lambda store: store.look_up("u", ["t"]),
    },
    "login counters": {
        "read": lambda store: store.read("b"),
        "exchange": lambda store: store.exchange("b", expected=None, new=LoginCounter(attempts=1, expires_at=NOW)),
        "add": lambda store: store.add("b", 1, expires_at=NOW),
        "clear": lambda store: store.clear("b"),
    },
    "credentials": {
        "find": lambda store: store.find("name"),
        "of_user": lambda store: store.of_user("name"),
        "replace_hash": lambda store: store.replace_hash("name", expected="old", new="new"),
        "stored_hashes": lambda store: list(store.stored_hashes()),
    },
    "API keys": {
        "create": lambda store: store.create(make_api_key_record()),
        "find": lambda store: store.find("k"),
        "of_owner": lambda store: list(store.of_owner("o")),
        "revoke": lambda store: store.revoke("k", at=NOW),
        "touch": lambda store: store.touch("k", at=NOW, at_most_every=60),
    },
    "nonces": {"claim": lambda store: store.claim("n", expires_at=NOW + 60, now=NOW)},
}
"""A call of each method, by the kind of store."""


def check_outage(store: Any) -> tuple[str, ...]:
    """Call every method of an unreachable *store*, and return their names.

    Args:
        store: Of any of the protocols, whose network, table or server does not answer.

    Raises:
        AssertionError: A method answered, or raised anything but ``StoreUnavailable``.
        ConfigurationError: It has the methods of no store.
    """
    for calls in OUTAGES.values():
        if all(callable(getattr(store, name, None)) for name in calls):
            for name, call in calls.items():
                _expect_outage(name, call, store)
            return tuple(calls)
    raise ConfigurationError(f"{type(store).__name__} has the methods of no store.", reason="no_store")


def _expect_outage(name: str, call: Callable[[Any], object], store: Any) -> None:
    try:
        call(store)
    except StoreUnavailable:
        return
    except Exception as error:  # whatever it is, it is the finding
        raise AssertionError(f"During an outage {name} raised {type(error).__name__}, not StoreUnavailable.") from error
    expect(False, f"during an outage {name} raises StoreUnavailable")
