"""The laws of :mod:`common.auth.security.stores`, as functions that each take a store and raise where it breaks one.

::

    @pytest.mark.parametrize("law", REFRESH_FAMILY_LAWS, ids=name_of)
    def test_sessions_keep_the_laws(law, my_store):
        law(my_store)

    def test_an_outage_is_told(my_unreachable_store):
        check_outage(my_unreachable_store)

Every law makes ids of its own, so all can share one store, and one table. Concurrency is tried with real threads.

>>> from common.auth.security.memory_stores import MemoryNonceStore
>>> check_store(MemoryNonceStore())
('a_nonce_is_used_once', 'an_expired_nonce_counts_as_unused', 'of_many_claims_one_succeeds')
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from common.auth.exceptions import ConfigurationError
from common.auth.testing.store_laws.api_keys import API_KEY_LAWS
from common.auth.testing.store_laws.credentials import CREDENTIAL_LAWS
from common.auth.testing.store_laws.families import REFRESH_FAMILY_LAWS, make_family
from common.auth.testing.store_laws.login_counters import LOGIN_COUNTER_LAWS
from common.auth.testing.store_laws.nonces import NONCE_LAWS
from common.auth.testing.store_laws.outages import OUTAGES, check_outage
from common.auth.testing.store_laws.revocations import REVOCATION_LAWS

__all__ = [
    "API_KEY_LAWS",
    "CREDENTIAL_LAWS",
    "LOGIN_COUNTER_LAWS",
    "NONCE_LAWS",
    "REFRESH_FAMILY_LAWS",
    "REVOCATION_LAWS",
    "check_outage",
    "check_store",
    "make_family",
    "name_of",
]

_LAWS: Final[Mapping[str, tuple[Callable[..., None], ...]]] = {
    "refresh families": REFRESH_FAMILY_LAWS,
    "revocations": REVOCATION_LAWS,
    "login counters": LOGIN_COUNTER_LAWS,
    "credentials": CREDENTIAL_LAWS,
    "API keys": API_KEY_LAWS,
    "nonces": NONCE_LAWS,
}


def check_store(store: Any) -> tuple[str, ...]:
    """Try every law of the store's kind, and return their names.

    Args:
        store: Of one of the protocols; which, its methods tell. A credential store has to be made by
            ``CREDENTIAL_LAWS`` themselves, since nothing in its protocol creates a user.

    Raises:
        AssertionError: It breaks a law; the text tells which promise.
        ConfigurationError: It has the methods of no store.
    """
    for kind, calls in OUTAGES.items():
        if kind != "credentials" and all(callable(getattr(store, name, None)) for name in calls):
            laws = _LAWS[kind]
            for law in laws:
                law(store)
            return tuple(map(name_of, laws))
    raise ConfigurationError(f"{type(store).__name__} has the methods of no store.", reason="no_store")


def name_of(law: Callable[..., None]) -> str:
    """Return a law's name, for the ids of parametrised tests."""
    return law.__name__
