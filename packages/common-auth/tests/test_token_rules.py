"""What the rules of claims are where nobody says anything: each is the strict one (auth T3, X3)."""

import base64
import contextlib
from datetime import timedelta

import pytest

from common.auth.exceptions import ConfigurationError, InvalidClaim, TokenExpired, TokenInvalid
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.security.token_claims import ClaimRules
from common.auth.security.token_format import MAX_CLAIMS, MAX_TOKEN, TokenReader, write_token
from common.auth.testing import AUDIENCE, ISSUER, MOMENT, access_claims, forge

NOW = MOMENT.timestamp()


def rules(**changes: object) -> ClaimRules:
    """Make rules for access tokens, with nothing said that need not be."""
    options: dict[str, object] = {
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "required": frozenset(),
        "max_ttl": timedelta(minutes=5),
    }
    return ClaimRules(**{**options, **changes})  # type: ignore[arg-type]


def test_clocks_may_differ_by_ten_seconds() -> None:
    """A token counts until ten seconds after its end, and not at the tenth."""
    over = int(NOW) + 300

    rules().check(access_claims(), over + 9.999)
    with pytest.raises(TokenExpired):
        rules().check(access_claims(), over + 10)


def test_a_token_for_others_too_is_refused() -> None:
    """A list that names others is taken on demand alone."""
    shared = access_claims(aud=["billing", AUDIENCE])

    with pytest.raises(TokenInvalid, match="wrong_aud"):
        rules().check(shared, NOW)
    rules(accept_audience_lists=True).check(shared, NOW)


def test_no_source_is_permitted() -> None:
    """A claim ``azp`` is refused until its value is listed."""
    with pytest.raises(TokenInvalid, match="foreign_azp"):
        rules().check(access_claims(azp="orders"), NOW)
    rules(sources=frozenset({"orders"})).check(access_claims(azp="orders"), NOW)


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "exp", "iat"])
def test_some_claims_are_required_whatever_is_said(claim: str) -> None:
    """An empty list of required claims leaves out none of these."""
    with pytest.raises(TokenInvalid, match=f"missing_{claim}"):
        rules().check(access_claims(**{claim: ...}), NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"leeway": timedelta(seconds=60.001)},
        {"leeway": timedelta(microseconds=-1)},
        {"max_ttl": timedelta(0)},
        {"issuer": ""},
        {"audience": ""},
    ],
)
def test_limits_end_where_they_end(changes: dict[str, object]) -> None:
    """The first value outside is refused, the last inside is not."""
    with pytest.raises(ConfigurationError):
        rules(**changes)
    rules(leeway=timedelta(seconds=60), max_ttl=timedelta(microseconds=1))
    rules(leeway=timedelta(0))


def test_the_longest_life_counts_to_the_second() -> None:
    """Five minutes are five minutes; a token that ends before it begins is none."""
    issued = int(NOW)

    rules().check(access_claims(exp=issued + 300), NOW)
    rules().check(access_claims(exp=issued), NOW)
    for ends in (issued + 301, issued - 1):
        with pytest.raises(TokenInvalid, match="too_long_lived"):
            rules().check(access_claims(exp=ends), NOW)


def test_whatever_can_be_written_can_be_read() -> None:
    """The longest token that is issued is the longest that is taken, to the last characters of base64url."""
    key = SigningKey.generate("EdDSA", kid="k1")
    reader = TokenReader(keys=KeyRing([key], issuer=ISSUER), typ="at+jwt")
    written = []
    for length in range(5900, MAX_CLAIMS):
        with contextlib.suppress(InvalidClaim):
            written.append(write_token({"x": "a" * length}, typ="at+jwt", key=key))

    assert MAX_TOKEN - 2 <= len(written[-1]) <= MAX_TOKEN
    assert len(written) < MAX_CLAIMS - 5900
    assert {"x"} == set(reader.read(written[-1]))


def test_claims_are_written_in_ascii() -> None:
    """A letter beyond ASCII becomes an escape, which every reader takes alike."""
    token = write_token({"x": "é"}, typ="at+jwt", key=SigningKey.generate("EdDSA", kid="k1"))

    assert b'{"x":"\\u00e9"}' == base64.urlsafe_b64decode(token.split(".")[1] + "==")


def test_a_number_beyond_every_double_is_no_json() -> None:
    """Not even in a claim that means nothing here: it would become infinite."""
    key = SigningKey.generate("EdDSA", kid="k1")
    reader = TokenReader(keys=KeyRing([key], issuer=ISSUER), typ="at+jwt")

    assert {"x": 1e300} == reader.read(forge(key, b'{"x":1e300}'))
    with pytest.raises(TokenInvalid, match="claims_not_json"):
        reader.read(forge(key, b'{"x":1e400}'))


def test_a_reader_may_take_as_many_claims_as_token_and_no_more() -> None:
    """The limits may be equal."""
    ring = KeyRing([SigningKey.generate("EdDSA", kid="k1")], issuer=ISSUER)

    TokenReader(keys=ring, typ="at+jwt", max_length=1 << 16, max_claims=1 << 16)
    TokenReader(keys=ring, typ="at+jwt", max_length=1, max_claims=1)
    with pytest.raises(ConfigurationError):
        TokenReader(keys=ring, typ="at+jwt", max_length=100, max_claims=101)
