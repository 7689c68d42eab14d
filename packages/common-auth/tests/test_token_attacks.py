"""The attack table: what is known to break verifiers of JSON Web Tokens, each row tried on ours (auth, section 2.4).

Tests are named ``test_row_NN_…`` after the rows. Row 35, an access token after logout, is in
``sessions/test_revocation.py``, and refresh tokens have attacks of their own beside it.
"""

import base64
import hashlib
import hmac
import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwe
from joserfc.jwk import OctKey

import common.auth.exceptions
from common.auth.exceptions import ConfigurationError, TokenError, TokenExpired, TokenInvalid, TokenNotYetValid, WeakKey
from common.auth.security.jwk import base64url, public_members
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.security.token_manager import TokenManager, TokenProfile
from common.auth.testing import AUDIENCE, ISSUER, MOMENT, access_claims, forge, token_manager
from common.core.utils.clock import FrozenClock

NOW = int(MOMENT.timestamp())
KEY = SigningKey.generate("EdDSA", kid="k1")
RSA_KEY = SigningKey.generate("RS256", kid="k1")
EC_KEY = SigningKey.generate("ES256", kid="k1")
HMAC_KEY = SigningKey.generate("HS256", kid="k1")
HEADER = {"alg": "EdDSA", "kid": "k1", "typ": "at+jwt"}
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def manager(key: SigningKey = KEY) -> TokenManager:
    """Return what is attacked."""
    return token_manager(key, clock=FrozenClock(MOMENT))


def refused(token: str | bytes, key: SigningKey = KEY, kind: type[TokenError] = TokenInvalid) -> str:
    """Return the reason why *token* was refused."""
    with pytest.raises(kind) as raised:
        manager(key).validate(token)
    return raised.value.reason


def unpad(token: str, part: int) -> bytes:
    """Return the octets of one segment."""
    segment = token.split(".")[part]
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def swap(token: str, part: int, segment: str) -> str:
    """Exchange one segment of *token*."""
    segments = token.split(".")
    segments[part] = segment
    return ".".join(segments)


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", "NONE", "", None, ..., ["none"], ["EdDSA"], {"a": 1}, 0, True])
@pytest.mark.parametrize("signature", ["", "AA", None])
def test_row_01_algorithm_none_in_every_spelling(alg: Any, signature: str | None) -> None:
    """Rejected before any key is sought, with the signature cut off, changed or genuine."""
    token = forge(KEY, alg=alg)
    shown = token if signature is None else swap(token, 2, signature)

    assert refused(shown) in {"algorithm_not_permitted", "not_compact"}


def test_row_02_none_on_the_list_of_algorithms() -> None:
    """No ring can be made that permits it."""
    for algorithms in (["none"], ["EdDSA", "none"], ["None"], [None]):
        with pytest.raises(ConfigurationError):
            KeyRing([KEY], issuer=ISSUER, algorithms=algorithms)  # type: ignore[arg-type]


def forms_of_the_public_key() -> Iterator[tuple[str, bytes]]:
    """Yield what an attacker might use as HMAC secret: all texts under which the RSA public key is known."""
    material = RSA_KEY.verification.material
    assert isinstance(material, rsa.RSAPublicKey)
    yield "PEM", material.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    yield "PEM without line end", material.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip()
    yield "PKCS1", material.public_bytes(Encoding.PEM, PublicFormat.PKCS1)
    yield "DER", material.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    yield "PKCS1 DER", material.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    yield "JWK", json.dumps(public_members(material)).encode()


PUBLIC_FORMS = tuple(forms_of_the_public_key())


@pytest.mark.parametrize(("form", "secret"), PUBLIC_FORMS, ids=[row[0] for row in PUBLIC_FORMS])
def test_row_03_the_public_key_as_hmac_secret(form: str, secret: bytes) -> None:
    """RS256 changed to HS256: an invalid token, not an error of the library, and no such secret can be configured."""
    signing_input = forge(RSA_KEY, alg="HS256").rpartition(".")[0]
    mac = base64url(hmac.digest(secret, signing_input.encode(), hashlib.sha256))

    assert "wrong_algorithm" == refused(f"{signing_input}.{mac}", RSA_KEY)
    if "DER" not in form:
        with pytest.raises(WeakKey):
            SigningKey.from_secret(secret, kid="k1")


@pytest.mark.parametrize("member", ["jwk", "x5c"])
def test_row_04_a_key_inside_the_token(member: str) -> None:
    """An attacker's own key beside a signature by it: the member alone is enough to refuse."""
    attacker = SigningKey.generate("EdDSA", kid="k1")
    material: Any = attacker.verification.material
    value: Any = public_members(material) if member == "jwk" else ["MIIB"]

    assert "header_member_not_permitted" == refused(forge(attacker, **{member: value}))
    assert "header_member_not_permitted" == refused(forge(KEY, **{member: value}))


@pytest.mark.parametrize("member", ["jku", "x5u"])
def test_row_05_an_address_of_keys(member: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused even under a good signature, and nothing is fetched."""

    def connected(*arguments: object) -> None:
        raise AssertionError("a connection was made")

    with monkeypatch.context() as patched:
        patched.setattr(socket.socket, "connect", connected)
        assert "header_member_not_permitted" == refused(
            forge(KEY, header={**HEADER, member: "http://169.254.169.254/keys"})
        )


@pytest.mark.parametrize(
    "kid",
    [
        "../../dev/null",
        "k1' OR '1'='1",
        "k1\0",
        1,
        None,
        ["k1"],
        pytest.param("k" * 400, id="400 bytes"),
        pytest.param("x" * 65_000, id="64 KB"),
    ],
)
def test_row_06_hostile_key_ids(kid: Any) -> None:
    """Paths, queries, numbers and huge ones (see also K4 in ``test_keys.py``)."""
    assert refused(forge(KEY, kid=kid)) in {"malformed_kid", "header_too_long", "too_long"}


@pytest.mark.parametrize("exp", [..., None])
def test_row_07_no_expiry(exp: Any) -> None:
    """Absent or null."""
    assert "missing_exp" == refused(forge(KEY, access_claims(exp=exp)))


@pytest.mark.parametrize(
    "exp",
    [
        '"123"',
        '"1795521900"',
        '"١٧٩٥٥٢١٩٠٠"',
        '"1795521_900"',
        "true",
        "1e400",
        "1e20",
        "Infinity",
        "NaN",
        "-Infinity",
        "[1]",
    ],
)
def test_row_08_expiry_that_is_no_number(exp: str) -> None:
    """Text, digits of another script, underscores, truth values, infinities and numbers beyond reason."""
    claims = json.dumps(access_claims(exp="@")).replace('"@"', exp).encode()

    assert refused(forge(KEY, claims)) in {"malformed_exp", "claims_not_json"}


def test_row_09_expiry_now() -> None:
    """At leeway 0 a token is over at its exp."""
    strict = token_manager(KEY, clock=FrozenClock(MOMENT), profile=TokenProfile(leeway=timedelta(0)))
    with pytest.raises(TokenExpired):
        strict.validate(forge(KEY, access_claims(exp=NOW)))


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_row_10_from_the_future(claim: str) -> None:
    """Issued or valid from a time beyond the leeway."""
    assert "not_yet_valid" == refused(forge(KEY, access_claims() | {claim: NOW + 60}), kind=TokenNotYetValid)


@pytest.mark.parametrize("crit", [["x"], ["exp"], ["b64"], [], None, "exp", {"exp": 1}, 1])
def test_row_11_critical_extensions(crit: Any) -> None:
    """Whatever is called critical, known or not, well-formed or not."""
    assert "header_member_not_permitted" == refused(forge(KEY, crit=crit, exp=1))
    assert "header_member_not_permitted" == refused(forge(KEY, crit=crit))


@pytest.mark.parametrize("b64", [False, True, None, 0, "false"])
@pytest.mark.parametrize("crit", [..., ["b64"]])
def test_row_12_unencoded_payload(b64: Any, crit: Any) -> None:
    """RFC 7797 is not spoken here, with or without ``crit``."""
    assert "header_member_not_permitted" == refused(forge(KEY, b64=b64, crit=crit))


@pytest.mark.parametrize("members", [{"zip": "DEF"}, {"cty": "JWT"}, {"cty": "JWT", "zip": "DEF"}, {"enc": "A256GCM"}])
def test_row_13_compression_and_nesting(members: dict[str, Any]) -> None:
    """A header that asks for more than a signature check is refused."""
    assert "header_member_not_permitted" == refused(forge(KEY, **members))


@pytest.mark.parametrize("twice", ['{"sub":"admin",', '{"exp":1,', '{"\\u0073ub":"admin",', '{"aud":"users",'])
def test_row_14_claims_that_occur_twice(twice: str) -> None:
    """Also where one spelling is escaped: two readers could read two tokens."""
    claims = json.dumps(access_claims()).replace("{", twice, 1).encode()

    assert "claims_not_json" == refused(forge(KEY, claims))


@pytest.mark.parametrize("twice", ['{"alg":"none",', '{"k\\u0069d":"k2",', '{"typ":"at+jwt",'])
def test_row_14_header_members_that_occur_twice(twice: str) -> None:
    """First or last, equal or not."""
    header = '{"alg":"EdDSA","kid":"k1","typ":"at+jwt"}'.replace("{", twice, 1).encode()

    assert "header_not_json" == refused(forge(KEY, header=header))


def test_row_14_nested_members_that_occur_twice() -> None:
    """Deep inside a claim too."""
    claims = json.dumps(access_claims(tenant="@")).replace('"@"', '{"id":1,"id":2}').encode()

    assert "claims_not_json" == refused(forge(KEY, claims))


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("padding", ["=", "==", "===", "%3D"])
def test_row_15_padding(part: int, padding: str) -> None:
    """Every segment is base64url without padding (RFC 7515, section 2)."""
    token = forge(KEY)

    assert "not_compact" == refused(swap(token, part, token.split(".")[part] + padding))


@pytest.mark.parametrize("key", [KEY, EC_KEY, RSA_KEY, HMAC_KEY], ids=lambda key: key.alg)
def test_row_16_unused_bits_of_the_last_character(key: SigningKey) -> None:
    """Of the 64 last characters of a signature one is accepted: a token has one spelling."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = forge(key)
    accepted = []
    for character in alphabet:
        try:
            manager(key).validate(token[:-1] + character)
        except TokenError:
            continue
        accepted.append(character)

    assert [token[-1]] == accepted


@pytest.mark.parametrize("spoil", ["+", "/", "\n", " ", "\t", "\r\n", "\x0b", "\0", ",", "\u2028"])
@pytest.mark.parametrize("at", [0, 20, -1])
def test_row_17_characters_outside_the_alphabet(spoil: str, at: int) -> None:
    """The standard alphabet, white space and line ends are not skipped."""
    token = forge(KEY)
    spoiled = token + spoil if at == -1 else token[:at] + spoil + token[at:]

    assert refused(spoiled) in {"not_compact", "not_ascii"}


def test_row_18_the_other_signature_of_ecdsa() -> None:
    """(r, n - s) verifies too, inherently; both have one token id, which is what revocation is keyed by."""
    token = forge(EC_KEY)
    signature = unpad(token, 2)
    r, s = signature[:32], int.from_bytes(signature[32:], "big")
    twin = swap(token, 2, base64url(r + (P256_ORDER - s).to_bytes(32, "big")))

    assert twin != token
    assert manager(EC_KEY).validate(token) == manager(EC_KEY).validate(twin)


def bad_ecdsa_signatures() -> Iterator[tuple[str, bytes]]:
    """Yield signatures that are none, or not in the form of JWS."""
    signature = unpad(forge(EC_KEY), 2)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    other = SigningKey.generate("ES384", kid="k1")
    yield "all zero", bytes(64)
    yield "r is zero", bytes(32) + signature[32:]
    yield "s is zero", signature[:32] + bytes(32)
    yield "r is the order", P256_ORDER.to_bytes(32, "big") + signature[32:]
    yield "all ones", b"\xff" * 64
    yield "DER", encode_dss_signature(r, s)
    yield "63 bytes", signature[:-1]
    yield "65 bytes", signature + b"\0"
    yield "of a larger curve", unpad(forge(other), 2)
    yield "one byte", b"\0"


BAD_SIGNATURES = tuple(bad_ecdsa_signatures())


@pytest.mark.parametrize(("name", "signature"), BAD_SIGNATURES, ids=[row[0] for row in BAD_SIGNATURES])
def test_row_19_signatures_that_are_none(name: str, signature: bytes) -> None:
    """Zeros (CVE-2022-21449), DER, and the form of another curve."""
    assert "bad_signature" == refused(swap(forge(EC_KEY), 2, base64url(signature)), EC_KEY)


@pytest.mark.parametrize("length", [1, 8, 16, 31])
def test_row_20_a_shortened_mac(length: int) -> None:
    """A prefix of the right MAC is not the MAC."""
    token = forge(HMAC_KEY)

    assert "bad_signature" == refused(swap(token, 2, base64url(unpad(token, 2)[:length])), HMAC_KEY)


def other_serialisations() -> Iterator[tuple[str, str]]:
    """Yield the same content in forms that are not the compact one of a signature."""
    token = forge(KEY)
    protected, payload, signature = token.split(".")
    yield "two segments", f"{protected}.{payload}"
    yield "four segments", token + ".AA"
    yield "five segments", token + ".AA.AA"
    yield "detached", f"{protected}..{signature}"
    yield "no signature", f"{protected}.{payload}."
    yield "flattened JSON", json.dumps({"protected": protected, "payload": payload, "signature": signature})
    yield (
        "general JSON",
        json.dumps({"payload": payload, "signatures": [{"protected": protected, "signature": signature}]}),
    )
    yield "encrypted", jwe.encrypt_compact({"alg": "dir", "enc": "A128GCM"}, b"{}", OctKey.generate_key(128))
    yield "with scheme", f"Bearer {token}"
    yield "twice", f"{token} {token}"


SERIALISATIONS = tuple(other_serialisations())


@pytest.mark.parametrize(("name", "token"), SERIALISATIONS, ids=[row[0] for row in SERIALISATIONS])
def test_row_21_other_serialisations(name: str, token: str) -> None:
    """Four and five segments, JWE, and the JSON forms of JWS."""
    assert "not_compact" == refused(token)


@pytest.mark.parametrize("size", [8193, 1 << 20, 5_000_000])
def test_row_22_huge_tokens(size: int) -> None:
    """Refused by their length alone: nothing of them is decoded, scanned or copied."""
    token = "A" * (size - 4) + ".A.A"

    assert size == len(token)
    assert "too_long" == refused(token)
    assert "too_long" == refused(token.encode())


@pytest.mark.parametrize(
    "claims",
    [b"[" * 5000, b'{"a":' * 1000, b'{"exp":' + b"9" * 5000 + b"}", b"[" * 3000 + b"]" * 3000],
    ids=["open lists", "open objects", "5,000 digits", "3,000 lists"],
)
def test_row_23_deep_nesting_and_long_numbers(claims: bytes) -> None:
    """What exhausts stacks and multiplications elsewhere is no JSON here."""
    assert refused(forge(KEY, claims)) in {"claims_not_json", "claims_too_long"}
    assert refused(forge(KEY, header=b"[" * 300)) == "header_not_json"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "utf-7", "latin-1"])
def test_row_24_other_encodings(encoding: str) -> None:
    """Claims are UTF-8 without mark, and nothing is guessed."""
    text = json.dumps(access_claims(name="Zoë +" if encoding in {"utf-7", "latin-1"} else "Zoe"), ensure_ascii=False)
    written = text.encode(encoding)
    header = json.dumps({"alg": "EdDSA", "kid": "k1", "typ": "at+jwt"}).encode(
        "utf-16" if "16" in encoding else "utf-8-sig"
    )

    if encoding != "utf-7":  # ASCII throughout: the very same claims
        assert "claims_not_json" == refused(forge(KEY, written))
    assert "header_not_json" == refused(forge(KEY, header=header))


@pytest.mark.parametrize("spoil", ["\ud800", "é", "\u202e", "İ", "ſ", "𝐀"])
def test_row_25_surrogates_and_look_alikes_in_the_token(spoil: str) -> None:
    """Refused as a token; no ``UnicodeEncodeError`` escapes."""
    token = forge(KEY)

    assert "not_ascii" == refused(token[:-1] + spoil)
    assert "not_ascii" == refused(spoil)


@pytest.mark.parametrize(
    "sub", ['"\\ud800"', '"u\\u0000"', '"u\\u202e1"', '"\\ud83e\\udd8a"', '"u 1"', '"u\\n1"', '"\\udcff\\ud800"']
)
def test_row_26_hostile_subjects(sub: str) -> None:
    """Lone surrogates, NUL, text direction marks, line ends."""
    claims = json.dumps(access_claims(sub="@")).replace('"@"', sub).encode()

    assert refused(forge(KEY, claims)) in {"malformed_sub", "claims_not_json"}


def test_row_26_surrogates_in_any_claim() -> None:
    """A claim that no log, header or database could encode does not come in."""
    claims = json.dumps(access_claims(name="@")).replace('"@"', '"a\\ud800b"').encode()

    assert "claims_not_json" == refused(forge(KEY, claims))
    good = json.dumps(access_claims(name="\U0001f98a")).encode()
    assert "\U0001f98a" == manager().validate(forge(KEY, good)).members["name"]


@pytest.mark.parametrize("sub", ["", 0, 1, None, ["u-1"], {}, False])
def test_row_27_subjects_that_are_no_text(sub: Any) -> None:
    """Empty or of another type."""
    assert refused(forge(KEY, access_claims(sub=sub))) in {"missing_sub", "malformed_sub"}


@pytest.mark.parametrize(
    "aud", [["evil", AUDIENCE], [AUDIENCE, "evil"], [AUDIENCE, AUDIENCE], "evil", [], f"{AUDIENCE} evil"]
)
def test_row_28_several_audiences(aud: Any) -> None:
    """A token for others too is refused by default."""
    assert refused(forge(KEY, access_claims(aud=aud))) in {"wrong_aud", "missing_aud"}


@pytest.mark.parametrize(
    "iss", [ISSUER[:-1], ISSUER + "/", [ISSUER], [ISSUER, "x"], {ISSUER: 1}, ISSUER.upper(), "", " " + ISSUER]
)
def test_row_29_issuers_that_nearly_match(iss: Any) -> None:
    """Substrings, lists and other spellings."""
    assert refused(forge(KEY, access_claims(iss=iss))) in {"wrong_iss", "missing_iss"}


@pytest.mark.parametrize(
    "typ", [..., None, "", "jwt", "JWT", "AT+JWT", "at+JWT", "application/at+jwt", "at+jwt ", ["at+jwt"], 1]
)
def test_row_30_types_that_nearly_match(typ: Any) -> None:
    """Absent, or anything but exactly ``at+jwt``."""
    assert "wrong_type" == refused(forge(KEY, typ=typ), kind=TokenError)


def test_row_31_one_key_id_at_two_issuers() -> None:
    """The token of another issuer that we trust for its own tokens is not taken for ours, though the ids are equal."""
    other = SigningKey.generate("EdDSA", kid=KEY.kid)

    assert "bad_signature" == refused(forge(other))
    assert "wrong_iss" == refused(forge(KEY, access_claims(iss="https://other.example")))
    with pytest.raises(ConfigurationError):
        TokenManager(issuer=ISSUER, audience=AUDIENCE, keys=KeyRing([other], issuer="https://other.example"))


@pytest.mark.parametrize(
    "change", [{"use": "enc"}, {"key_ops": ["encrypt"]}, {"key_ops": ["wrapKey", "verify"]}, {"use": ""}]
)
def test_row_32_keys_that_are_not_for_signatures(change: dict[str, Any]) -> None:
    """Refused when the set is loaded, with all others in it; see also ``test_key_material.py``."""
    material: Any = KEY.verification.material
    jwk = {**public_members(material), "kid": "k1", **change}

    for keys in ([jwk], [{**public_members(material), "kid": "k2"}, jwk], [jwk, jwk]):
        with pytest.raises(ConfigurationError):
            KeyRing.from_jwks({"keys": keys}, issuer=ISSUER)


def test_row_33_a_private_key_that_verifies() -> None:
    """It is made public when it is loaded, and verifies RS256 like any other."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(private, as_dict=True)
    signing = SigningKey.from_jwk({**jwk, "key_ops": ["sign"]}, alg="RS256", kid="k1")
    ring = KeyRing.from_jwks({"keys": [{**jwk, "kid": "k1", "key_ops": ["sign"]}]}, issuer=ISSUER, alg="RS256")
    verifying = TokenManager(issuer=ISSUER, audience=AUDIENCE, keys=ring, clock=FrozenClock(MOMENT))

    assert "u-1" == verifying.validate(forge(signing)).subject
    assert not hasattr(ring.find("k1", "RS256").material, "private_numbers")


@pytest.mark.parametrize(
    "secret", [b"", b" " * 32, b"secret", b"secret" * 8, b"your-256-bit-secret" * 2, b"k" * 64, b"0123456789abcdef" * 2]
)
def test_row_34_known_secrets(secret: bytes) -> None:
    """Blank, short, repeated, or from somebody's documentation; see also ``test_key_material.py``."""
    with pytest.raises(WeakKey):
        SigningKey.from_secret(secret, kid="k1")


def test_row_36_tokens_in_the_address() -> None:
    """The token is an argument; nothing of common-auth reads a query, a form or a cookie to find it."""
    security = Path(common.auth.exceptions.__file__).parent / "security"
    readers = ("query_string", "parse_qs", "QUERY_STRING", "access_token=", "SimpleCookie")

    assert not [source for source in security.glob("token_*.py") if any(word in source.read_text() for word in readers)]


def test_good_tokens_of_every_algorithm_are_taken() -> None:
    """The table refuses attacks, not tokens."""
    for key in (KEY, RSA_KEY, EC_KEY, HMAC_KEY, SigningKey.generate("PS256", kid="k1")):
        assert "u-1" == manager(key).validate(forge(key)).subject
