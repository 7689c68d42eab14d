"""Peppers are strong, are never shown, and can be exchanged (auth P13)."""

import secrets
from collections.abc import Iterable

import pytest

from common.auth.exceptions import ConfigurationError, HashUnsupported, WeakKey
from common.auth.security.peppers import PepperRing
from common.auth.security.secrets import SecretBytes
from common.auth.testing import quick_passwords

OLD, NEW = secrets.token_bytes(32), secrets.token_bytes(48)


class Table:
    """A user table that remembers hashes."""

    def __init__(self, *hashes: str) -> None:
        self.hashes = list(hashes)

    def stored_hashes(self) -> Iterable[str]:
        """Yield them."""
        return iter(self.hashes)


@pytest.mark.parametrize(
    "pepper",
    [b"", pytest.param(OLD[:31], id="short"), b"k" * 32, b"ab" * 16, b"changeme" * 4, bytes(range(32)), b"\0" * 64],
)
def test_a_weak_pepper_is_refused(pepper: bytes) -> None:
    """Short, repeated, counted up, or a placeholder: the ring is not made."""
    with pytest.raises(WeakKey) as refused:
        PepperRing({"k1": pepper}, active="k1")

    assert not pepper or repr(pepper)[2:-1] not in str(refused.value)


@pytest.mark.parametrize("pepper_id", ["", "-", "-k", "a" * 17, "k1,n=nfc", "k$", "ключ", "a b"])
def test_a_pepper_id_fits_the_stored_format(pepper_id: str) -> None:
    """An id that would break the stored form, or be taken for its mark of no pepper, is refused."""
    with pytest.raises(ConfigurationError):
        PepperRing({pepper_id: OLD}, active=pepper_id)


def test_the_active_pepper_must_be_there() -> None:
    """A ring without the pepper for new hashes is refused."""
    with pytest.raises(ConfigurationError, match="k2"):
        PepperRing({"k1": OLD}, active="k2")


def test_rotation_makes_each_login_rehash_one_user() -> None:
    """A login verifies by the old pepper and asks for a new hash, which takes the new one."""
    ring = PepperRing({"k1": OLD}, active="k1")
    stored = quick_passwords(peppers=ring).hash("word")
    rotated = quick_passwords(peppers=ring.rotated("k2", NEW))

    verdict = rotated.verify("word", stored)
    renewed = rotated.hash("word")

    assert verdict.ok
    assert verdict.needs_rehash
    assert "p=k2," in renewed
    assert not rotated.verify("word", renewed).needs_rehash


def test_removing_a_pepper_reports_how_many_hashes_need_it() -> None:
    """It is refused while any hash needs it, and possible once none does."""
    ring = PepperRing({"k1": OLD}, active="k1")
    old = quick_passwords(peppers=ring)
    rotated = ring.rotated("k2", NEW)
    new = quick_passwords(peppers=rotated)
    legacy = "$2b$04$" + "." * 53
    table = Table(old.hash("a"), old.hash("b"), new.hash("c"), legacy)

    assert {"k1": 2, "k2": 1, "-": 1} == rotated.hashes_by_pepper(table)
    with pytest.raises(ConfigurationError, match="2 stored hashes") as refused:
        rotated.without("k1", table)
    assert 2 == refused.value.details["still_needed"]

    table.hashes = [new.hash("a"), new.hash("b"), new.hash("c")]
    assert ("k2",) == rotated.without("k1", table).ids


def test_the_active_pepper_cannot_be_removed() -> None:
    """Rotate first."""
    with pytest.raises(ConfigurationError, match="Rotate first"):
        PepperRing({"k1": OLD}, active="k1").without("k1", Table())


def test_after_removal_the_hash_is_unsupported() -> None:
    """A pepper that is gone is told to the operator, not taken for a wrong password."""
    stored = quick_passwords(peppers=PepperRing({"k1": OLD}, active="k1")).hash("word")

    with pytest.raises(HashUnsupported, match="pepper"):
        quick_passwords(peppers=PepperRing({"k2": NEW}, active="k2")).verify("word", stored)


def test_an_id_is_not_used_twice() -> None:
    """Rotation to a taken id would make old hashes useless."""
    with pytest.raises(ConfigurationError, match="taken"):
        PepperRing({"k1": OLD}, active="k1").rotated("k1", NEW)


def test_a_ring_shows_its_ids_alone() -> None:
    """``repr`` and errors hold no pepper."""
    ring = PepperRing({"k1": OLD, "k2": SecretBytes(NEW)}, active="k2")

    assert "PepperRing(k1, k2; active=k2)" == repr(ring)
    with pytest.raises(HashUnsupported):
        ring.find("k3")


class Vault:
    """Peppers out of somebody's secrets manager."""

    active_id = "vault-1"

    def find(self, pepper_id: str) -> SecretBytes:
        """Return the one there is."""
        assert pepper_id == self.active_id
        return SecretBytes(NEW)


def test_peppers_can_come_from_a_provider() -> None:
    """Anything with ``active_id`` and ``find`` serves."""
    manager = quick_passwords(peppers=Vault())

    assert manager.verify("word", manager.hash("word")).ok
    assert "p=vault-1," in manager.hash("word")
