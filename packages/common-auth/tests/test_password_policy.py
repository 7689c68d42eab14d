"""Which new passwords are taken (auth P16, P17)."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.auth.exceptions import ConfigurationError, PolicyViolation
from common.auth.security.blocklist import Blocklist, bundled_blocklist, folded
from common.auth.security.password_policy import PasswordPolicy
from common.auth.testing import quick_passwords

POLICY = PasswordPolicy(context=("exchange", "Initech"))
USER = ("maria.lopez@example.com", "Maria López")

TAKEN = [
    "violetwindowmumblessonnet",
    "839201746520183",
    "a quiet tractor hums along",
    "wrench oboe lamp tulip",
    "QXJKVWZYBFPGHTL",
    "пароль для проверки связи",
    "my dog is the best dog ever",
    "🦊 jumps over 🐢 and 🐇 too",
    "k" + "yx7Qm2" * 10,
    "maria likes grilled aubergine",
]


@pytest.mark.parametrize("password", TAKEN)
def test_long_passwords_pass_whatever_they_are_made_of(password: str) -> None:
    """No digits, no capitals, no symbols are asked for; spaces and every script are welcome."""
    assert POLICY.report(password, context=USER).ok


REFUSED = {
    "passwordpassword1": {"listed_word", "number"},
    "qwertyuiopasdfgh": {"listed_word", "sequence"},
    "lopez2026lopez": {"too_short", "context_word", "number"},
    "marialopez2026marialopez": {"context_word", "number"},
    "exchange-initech-2026": {"context_word", "number"},
    "Initech Initech!!": {"context_word"},
    "PASSWORDPASSWORD": {"listed_password"},
    "P@ssw0rd-P@ssw0rd": {"listed_word"},
    "dr4g0nm0nkeysh4d0w": {"listed_word"},
    "correct horse battery staple": {"listed_word"},
    "correcthorsebatterystaple": {"listed_password"},
    "abcdefghijklmnopq": {"sequence"},
    "zyxwvutsrqponmlkj": {"sequence"},
    "1qaz-2wsx-3edc-4rfv": {"sequence"},
    "qwertzuiopasdfghjkl": {"sequence"},
    "azertyuiopqsdfghjklm": {"sequence"},
    "aaaaaaaaaaaaaaaaa": {"repetition"},
    "               ": {"repetition"},
    "abcxyzabcxyzabcxyz": {"repetition"},
    "19870314 maria 1987": {"context_word", "number"},
    "iloveyou14021990iloveyou": {"listed_word", "number"},
}


@pytest.mark.parametrize(("password", "codes"), REFUSED.items())
def test_what_everybody_tries_first_is_refused(password: str, codes: set[str]) -> None:
    """Repeated or joined words, years, sequences, keyboard walks and names from the context make no password."""
    assert codes == set(POLICY.report(password, context=USER).codes)


@pytest.mark.parametrize(
    ("length", "mfa", "ok"),
    [(14, False, False), (15, False, True), (7, True, False), (8, True, True), (64, False, True), (256, False, True)],
)
def test_the_length_counts_in_code_points(length: int, mfa: bool, ok: bool) -> None:
    """15 alone, 8 beside a second factor (NIST SP 800-63B-4); at least 64 are allowed (ASVS 6.2.9)."""
    password = (
        ("кцзяюъэ🦊" * 32)[:length] if length <= 8 else "".join(chr(0x4E00 + 97 * at % 5000) for at in range(length))
    )

    assert ok == POLICY.report(password, mfa=mfa).ok


def test_a_composed_letter_counts_once() -> None:
    """Typing accents as two code points makes no password longer."""
    decomposed = "e\u0301a\u0300i\u0302o\u0308u\u0301y\u0301n\u0303c\u0327"

    assert ("too_short",) == POLICY.report(decomposed).codes


@pytest.mark.parametrize(("password", "code"), [("x" * 257, "too_long"), ("\ud800" * 20, "not_unicode")])
def test_what_cannot_be_hashed_is_refused(password: str, code: str) -> None:
    """The policy takes nothing that hashing would refuse."""
    assert (code,) == POLICY.report(password).codes


def test_the_bundled_list_is_large_enough_and_obeys_the_length_rule() -> None:
    """ASVS 6.2.4 asks for 3,000 entries that the other rules would let through."""
    passwords = bundled_blocklist().passwords

    assert len(passwords) >= 3000
    assert all(len(entry) >= 15 and entry == folded(entry) for entry in passwords)


@given(st.sampled_from(sorted(bundled_blocklist().passwords)))
def test_every_entry_of_the_list_is_refused(entry: str) -> None:
    """In any case."""
    assert ("listed_password",) == POLICY.report(entry.upper()).codes


@given(st.text(max_size=300), st.lists(st.text(max_size=40), max_size=3))
def test_every_text_gets_a_report(password: str, context: list[str]) -> None:
    """No text makes the policy raise, and codes are never repeated."""
    codes = POLICY.report(password, context=context).codes

    assert len(codes) == len(set(codes))


def test_a_service_adds_words_of_its_own() -> None:
    """An operator's words are looked for like the bundled ones."""
    own = PasswordPolicy(blocklist=bundled_blocklist().with_words("Zaphod", "Beeblebrox"))

    assert ("listed_word",) == own.report("zaphodbeeblebrox").codes
    assert PasswordPolicy().report("zaphodbeeblebrox").ok


def test_a_service_may_bring_a_whole_list() -> None:
    """The bundled list is a default, not a necessity."""
    own = PasswordPolicy(blocklist=Blocklist.of(["vogon", "poetry"]))

    assert ("listed_password",) == own.report("vogonvogonvogon").codes
    assert own.report("a password on a boat").ok


def test_there_are_no_composition_rules() -> None:
    """Options such as require_digit, expiry or hints do not exist."""
    names = {field.name for field in dataclasses.fields(PasswordPolicy)}

    assert {"min_length", "min_length_with_mfa", "max_length", "context", "blocklist"} == names


@pytest.mark.parametrize(
    "limits",
    [{"min_length": 14}, {"min_length_with_mfa": 7}, {"max_length": 63}, {"max_length": 257}, {"min_length": 300}],
)
def test_a_policy_is_never_laxer_than_its_sources(limits: dict[str, int]) -> None:
    """Such a policy cannot be made."""
    with pytest.raises(ConfigurationError):
        PasswordPolicy(**limits)  # type: ignore[arg-type]


def test_a_report_becomes_an_error_on_demand() -> None:
    """``require`` raises the codes, and nothing of the password."""
    report = quick_passwords().validate_strength("passwordpassword1")

    with pytest.raises(PolicyViolation) as refused:
        report.require()
    assert report.codes == refused.value.codes
    assert "password1" not in str(refused.value)


def test_a_good_password_is_required_in_silence() -> None:
    """``require`` does nothing where all is well."""
    quick_passwords().validate_strength("violetwindowmumblessonnet").require()


def test_the_manager_passes_context_and_second_factor_on() -> None:
    """``validate_strength`` is the policy's report."""
    manager = quick_passwords(policy=POLICY)

    assert manager.validate_strength("tulip-oboe", mfa=True).ok
    assert not manager.validate_strength("tulip-oboe").ok
    assert not manager.validate_strength("marialopez2026marialopez", context=USER).ok
