"""The laws of :class:`~common.auth.security.stores.NonceStore`."""

from collections.abc import Callable
from typing import Final

from common.auth.security.stores import NonceStore
from common.auth.testing.store_laws.trying import NOW, at_once, expect, fresh

__all__ = [
    "NONCE_LAWS",
    "a_nonce_is_used_once",
    "an_expired_nonce_counts_as_unused",
    "of_many_claims_one_succeeds",
]


def a_nonce_is_used_once(store: NonceStore) -> None:
    """Until it expires; another one is another matter."""
    nonce = fresh("nonce")

    used = [store.claim(nonce, expires_at=NOW + 60, now=NOW + after) for after in (0, 0, 59.5)]

    expect(used == [True, False, False], "a nonce is claimed once until it expires")
    expect(store.claim(fresh("nonce"), expires_at=NOW + 60, now=NOW), "another nonce is another matter")


def an_expired_nonce_counts_as_unused(store: NonceStore) -> None:
    """Though it may still be stored; the new claim holds again until its own expiry."""
    nonce = fresh("nonce")
    store.claim(nonce, expires_at=NOW + 60.5, now=NOW)

    used = [store.claim(nonce, expires_at=NOW + 120, now=NOW + after) for after in (60.25, 60.5, 61)]

    expect(used == [False, True, False], "from its expiry on a nonce counts as unused")


def of_many_claims_one_succeeds(store: NonceStore) -> None:
    """However many come at once, for a new nonce and for an expired one."""
    nonce = fresh("nonce")
    for now in (NOW, NOW + 60):

        def claim(_: int, now: float = now) -> bool:
            return store.claim(nonce, expires_at=now + 60, now=now)

        succeeded = sum(at_once(claim))
        expect(succeeded == 1, f"exactly one of 16 claims at once succeeds, not {succeeded}")


NONCE_LAWS: Final[tuple[Callable[[NonceStore], None], ...]] = (
    a_nonce_is_used_once,
    an_expired_nonce_counts_as_unused,
    of_many_claims_one_succeeds,
)
