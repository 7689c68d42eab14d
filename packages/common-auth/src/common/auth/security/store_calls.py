"""The one place where what a store raises becomes an error of ours."""

from collections.abc import Iterator
from contextlib import contextmanager

from common.auth.exceptions import AuthError, RevocationUnavailable, StoreUnavailable

__all__ = ["asking_revocations", "asking_store"]


@contextmanager
def asking_store(what: str) -> Iterator[None]:
    """Run calls of the store of *what*; a stranger's store may raise anything.

    Raises:
        StoreUnavailable: It raised what is none of our errors; that is the cause.
    """
    try:
        yield
    except AuthError:
        raise
    except Exception as error:
        raise StoreUnavailable(f"The store of {what} raised {type(error).__name__}.", reason="store_failed") from error


@contextmanager
def asking_revocations() -> Iterator[None]:
    """Run calls of a revocation store.

    Raises:
        RevocationUnavailable: It raised; that is the cause.
    """
    try:
        yield
    except Exception as error:  # whatever it is, what was revoked is not known
        raise RevocationUnavailable(
            "The store of revocations does not answer, and a token may be revoked.", reason="revocations_unavailable"
        ) from error
