"""How passwords become stored hashes, and which passwords match which (auth P1 to P7, P20)."""

import base64
import hashlib
import hmac
import secrets
import unicodedata

import bcrypt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.auth.exceptions import HashUnsupported, PolicyViolation
from common.auth.security.password_format import Normalisation, StoredHash
from common.auth.security.password_manager import PasswordManager
from common.auth.security.peppers import PepperRing
from common.auth.testing import quick_passwords
from common.core.passwords import PasswordHasher, VerifyResult

PEPPER = secrets.token_bytes(32)
MANAGER = quick_passwords(peppers=PepperRing({"k1": PEPPER}, active="k1"))
UNPEPPERED = quick_passwords(peppers=None, allow_unpeppered=True)
OK = VerifyResult(True)
WRONG = VerifyResult(False, reason="wrong_password")


def raw(password: bytes, version: bytes = b"2b", cost: int = 4) -> str:
    """Hash as other systems do, without pre-hash."""
    hashed = bcrypt.hashpw(password, b"$2b$%02d$" % cost + b"abcdefghijklmnopqrstuu")
    return hashed.replace(b"2b", version, 1).decode()


@pytest.mark.parametrize("length", [1, 71, 72, 73, 200, 1024])
def test_bytes_of_every_length_round_trip(length: int) -> None:
    """bcrypt's limit of 72 bytes is not ours."""
    password = secrets.token_bytes(length)

    assert OK == MANAGER.verify(password, MANAGER.hash(password))


def test_sixty_four_emoji_round_trip() -> None:
    """The longest password that ASVS 6.2.9 asks for takes 256 bytes of UTF-8."""
    password = "🦊" * 64

    assert OK == MANAGER.verify(password, MANAGER.hash(password))
    assert WRONG == MANAGER.verify("🦊" * 63 + "🦉", MANAGER.hash(password))


@pytest.mark.parametrize("position", [72, 73, 199])
def test_what_lies_beyond_72_bytes_counts(position: int) -> None:
    """Passwords that differ only behind the limit of raw bcrypt do not match each other."""
    password = b"a" * 200
    other = password[:position] + b"b" + password[position + 1 :]

    assert WRONG == MANAGER.verify(other, MANAGER.hash(password))


def test_the_hash_is_bcrypt_of_a_keyed_prehash() -> None:
    """The formula is the published one, so that another program can verify the hashes."""
    stored = MANAGER.hash("secret word")
    inner = base64.b64encode(hmac.new(PEPPER, b"secret word", hashlib.sha384).digest())

    assert 64 == len(inner)
    assert bcrypt.checkpw(inner, stored.removeprefix("$ca1$p=k1,n=nfc").encode())


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=100), st.binary(min_size=1, max_size=100))
@example(b"a", b"a\0a")
@example(b"a\0a", b"a\0a\0a")
@example(b"\0", b"\0\0")
@example(b"a" * 72, b"a" * 73)
def test_different_bytes_never_match(one: bytes, other: bytes) -> None:
    """Whatever differs, NUL and length included, does not match (P2)."""
    assert (one == other) == MANAGER.verify(other, MANAGER.hash(one)).ok


def test_an_empty_password_has_no_hash_and_matches_nothing() -> None:
    """In raw bcrypt the empty password and a NUL byte are one."""
    for empty in ("", b""):
        with pytest.raises(PolicyViolation) as refused:
            MANAGER.hash(empty)
        assert ("empty",) == refused.value.codes
        assert VerifyResult(False, reason="empty") == MANAGER.verify(empty, MANAGER.hash(b"\0"))
        assert VerifyResult(False, reason="empty") == MANAGER.verify(empty, raw(b""))


def test_two_hashes_of_one_password_differ() -> None:
    """Each hash has a salt of its own."""
    assert MANAGER.hash("word") != MANAGER.hash("word")


def test_the_salt_comes_from_the_entropy_that_was_given() -> None:
    """Chance is an argument: 16 zero bytes are bcrypt's salt of 22 dots."""
    fixed = quick_passwords(entropy=bytes)

    assert fixed.hash("word").split("$")[-1].startswith("." * 22)


@pytest.mark.parametrize(
    "stored",
    [
        "$ca1$p=k1,n=nfc$2b$12$" + "a" * 21 + "u" + "b" * 31,
        "$ca1$p=-,n=none$2b$04$" + "." * 53,
        "$ca1$p=2026_11-a,n=nfkc$2b$15$" + "." * 53,
        raw(b"x"),
        raw(b"x", b"2a"),
        raw(b"x", b"2y"),
    ],
)
def test_reading_and_writing_the_format_are_inverse(stored: str) -> None:
    """The stored form says by itself how to verify it, and nothing is lost by reading it (P3)."""
    assert stored == StoredHash.parse(stored).format()


def test_the_parts_of_the_format() -> None:
    """Pepper id, normalisation and cost can be read off."""
    known = StoredHash.parse(MANAGER.hash("word"))

    assert ("k1", Normalisation.NFC, 4, False) == (known.pepper, known.normalisation, known.cost, known.is_legacy)
    assert "$2b$" not in repr(known)


def test_the_first_stored_hash_of_version_one_still_verifies() -> None:
    """A golden hash: whoever changes the format locks everybody out, and learns it here."""
    golden = quick_passwords(peppers=PepperRing({"k1": bytes(range(1, 250, 7)) + b"!"}, active="k1"))
    stored = "$ca1$p=k1,n=nfc$2b$04$......................BBPPMQQ.nABfbEUz/fYBFehh21a8I6K"

    assert OK == golden.verify("Grüße aus Köln", stored)
    assert OK == golden.verify(unicodedata.normalize("NFD", "Grüße aus Köln"), stored)
    assert not golden.verify("Gruße aus Köln", stored).ok


UNUSABLE = {
    "2x": raw(b"right", b"2x"),
    "2": raw(b"right", b"2"),
    "empty": "",
    "truncated": raw(b"right")[:-1],
    "too long": raw(b"right") + "a",
    "line end": raw(b"right") + "\n",
    "cost 3": raw(b"right").replace("$04$", "$03$"),
    "cost 16": raw(b"right").replace("$04$", "$16$"),
    "cost 31": raw(b"right").replace("$04$", "$31$"),
    "cost without digits": raw(b"right").replace("$04$", "$ab$"),
    "stray bits in the salt": raw(b"right").replace("stuu", "stuv"),
    "argon2": "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo",
    "plain text": "right",
    "unknown pepper": MANAGER.hash("right").replace("p=k1", "p=k9"),
    "no normalisation": MANAGER.hash("right").replace(",n=nfc", ""),
    "unknown normalisation": MANAGER.hash("right").replace("nfc", "nfd"),
    "2y inside ours": MANAGER.hash("right").replace("$2b$", "$2y$"),
    "not ASCII": raw(b"right").replace("$04$", "$0٤$"),
}


@pytest.mark.parametrize("password", ["right", "wrong", "", pytest.param("x" * 10_000, id="10,000 characters")])
@pytest.mark.parametrize("stored", UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_hash_is_an_error_and_never_a_silent_no(stored: str, password: str) -> None:
    """Damaged, foreign and pepperless hashes are told to the operator, in the same way for every password (P4)."""
    with pytest.raises(HashUnsupported) as refused:
        MANAGER.verify(password, stored)

    assert refused.value.reason
    assert not stored or stored not in str(refused.value)


@pytest.mark.parametrize("version", [b"2a", b"2b", b"2y"])
def test_raw_hashes_of_other_systems_are_imported(version: bytes) -> None:
    """They verify, and a login asks for a hash of our own."""
    assert VerifyResult(True, needs_rehash=True) == MANAGER.verify("right", raw(b"right", version))
    assert WRONG == MANAGER.verify("wrong", raw(b"right", version))


def test_a_raw_hash_does_not_match_by_repetition() -> None:
    """Raw bcrypt takes ``a`` and ``a\\0a`` for one password; an imported hash does not."""
    assert bcrypt.checkpw(b"a\0a", raw(b"a").encode())
    assert WRONG == MANAGER.verify(b"a\0a", raw(b"a"))


@pytest.mark.parametrize(
    ("truncation", "verdict"),
    [("reject", VerifyResult(False, reason="too_long")), ("truncate", VerifyResult(True, needs_rehash=True))],
)
def test_a_raw_hash_of_more_than_72_bytes(truncation: str, verdict: VerifyResult) -> None:
    """Old systems hashed the first 72 bytes; whether these are enough is a setting (P5)."""
    manager = quick_passwords(legacy_truncation=truncation)

    assert verdict == manager.verify(b"a" * 72 + b"tail", raw(b"a" * 72))
    assert manager.verify(b"a" * 72, raw(b"a" * 72)).ok


@settings(max_examples=80, deadline=None)
@given(st.text(st.characters(), max_size=300) | st.binary(max_size=1200))
@example("\ud800")
@example("ok\udfff")
@example("x" * 257)
@example(b"x" * 1025)
@example("é" * 256)
def test_no_password_makes_verify_raise(password: str | bytes) -> None:
    """Whatever a client sends, the answer is a verdict (P6)."""
    assert not MANAGER.verify(password, STORED).ok


STORED = MANAGER.hash("the one that hypothesis will not guess")


def test_ten_megabytes_are_cut_before_any_work() -> None:
    """A huge password costs no more than a usual one: only the first 256 code points or 1,024 bytes are looked at."""
    assert VerifyResult(False, reason="too_long") == MANAGER.verify("x" * 10_000_000, STORED)
    assert VerifyResult(False, reason="too_long") == MANAGER.verify(b"x" * 10_000_000, STORED)
    assert VerifyResult(False, reason="too_long") == MANAGER.verify("x" * 257, MANAGER.hash("x" * 256))


def test_what_is_no_text_does_not_match() -> None:
    """A caller's mistake is a refusal like any other."""
    assert VerifyResult(False, reason="not_text") == MANAGER.verify(None, STORED)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("password", "code"), [("x" * 257, "too_long"), (b"x" * 1025, "too_long"), ("\udcff", "not_unicode")]
)
def test_what_could_never_match_is_not_hashed(password: str | bytes, code: str) -> None:
    """``hash`` refuses what ``verify`` would never accept."""
    with pytest.raises(PolicyViolation) as refused:
        MANAGER.hash(password)

    assert (code,) == refused.value.codes


def test_surrogates_do_not_match_the_bytes_they_would_become() -> None:
    """Text that is no Unicode does not slip in through its encoding."""
    stored = MANAGER.hash("\ud800".encode("utf-8", "surrogatepass"))

    assert VerifyResult(False, reason="not_unicode") == MANAGER.verify("\ud800", stored)


def manager_at(**options: object) -> PasswordManager:
    """Build a manager with the peppers ``k1`` and ``k2``."""
    peppers = {"k1": PEPPER, "k2": PEPPER[::-1]}
    active = str(options.pop("active", "k1"))
    return quick_passwords(peppers=PepperRing(peppers, active=active), **options)  # type: ignore[arg-type]


REHASH = {
    "lower cost": (manager_at(cost=4), manager_at(cost=5), True),
    "old pepper": (manager_at(active="k1"), manager_at(active="k2"), True),
    "other normalisation": (manager_at(), manager_at(normalisation=Normalisation.NONE), True),
    "no pepper": (UNPEPPERED, manager_at(), True),
    "current": (manager_at(), manager_at(), False),
    "higher cost": (manager_at(cost=6), manager_at(cost=5), False),
}


@pytest.mark.parametrize(("then", "now", "wanted"), REHASH.values(), ids=REHASH)
def test_when_a_hash_is_to_be_made_anew(then: PasswordManager, now: PasswordManager, wanted: bool) -> None:
    """A lower cost, another pepper or normalisation, or a legacy scheme asks for it; a higher cost never does (P7)."""
    stored = then.hash("word")

    assert VerifyResult(True, needs_rehash=wanted) == now.verify("word", stored)
    assert wanted == now.needs_rehash(stored)
    assert WRONG == now.verify("other", stored)


def test_composed_and_decomposed_letters_match() -> None:
    """Two keyboards that type one letter in two ways log in to one account (P20)."""
    composed, decomposed = "caf\u00e9", "cafe\u0301"

    assert OK == MANAGER.verify(decomposed, MANAGER.hash(composed))
    assert OK == MANAGER.verify(composed, MANAGER.hash(decomposed))


NORMALISED = [
    (Normalisation.NONE, "caf\u00e9", "cafe\u0301", False),
    (Normalisation.NFC, "caf\u00e9", "cafe\u0301", True),
    (Normalisation.NFC, "\u2460", "1", False),
    (Normalisation.NFKC, "\u2460", "1", True),
    (Normalisation.NFKC, "caf\u00e9", "cafe\u0301", True),
]


@pytest.mark.parametrize(("form", "one", "other", "match"), NORMALISED)
def test_the_normalisation_can_be_chosen(form: Normalisation, one: str, other: str, match: bool) -> None:
    """``none`` takes passwords exactly as received, ``nfkc`` also matches look-alikes."""
    manager = quick_passwords(normalisation=form)

    assert match == manager.verify(other, manager.hash(one)).ok
    assert f",n={form.value}$" in manager.hash(one)


def test_bytes_are_never_normalised() -> None:
    """What comes as bytes is hashed as it is."""
    composed, decomposed = "é".encode(), "e\u0301".encode()

    assert WRONG == MANAGER.verify(decomposed, MANAGER.hash(composed))
    assert OK == MANAGER.verify("é", MANAGER.hash(composed))


def test_an_old_normalisation_still_verifies() -> None:
    """The stored form carries it, so that changing the setting locks nobody out."""
    then, now = manager_at(normalisation=Normalisation.NONE), manager_at()
    stored = then.hash("cafe\u0301")

    assert VerifyResult(True, needs_rehash=True) == now.verify("cafe\u0301", stored)


def test_without_pepper_a_hash_says_so() -> None:
    """``p=-`` marks it, a manager with a pepper verifies it, and one without refuses what needs a pepper."""
    assert UNPEPPERED.hash("word").startswith("$ca1$p=-,n=nfc$2b$")
    assert MANAGER.verify("word", UNPEPPERED.hash("word")).needs_rehash
    with pytest.raises(HashUnsupported):
        UNPEPPERED.verify("word", MANAGER.hash("word"))


def test_unpeppered_digests_of_other_systems_are_of_no_use() -> None:
    """A leaked list of SHA-384 digests cannot be tried against the hash (shucking)."""
    stored = UNPEPPERED.hash("word").removeprefix("$ca1$p=-,n=nfc").encode()

    assert not bcrypt.checkpw(base64.b64encode(hashlib.sha384(b"word").digest()), stored)


def test_the_manager_is_a_password_hasher() -> None:
    """It fits the protocol through which the data layer hashes."""
    hasher: PasswordHasher = MANAGER

    assert hasher.verify("word", hasher.hash("word")).ok
