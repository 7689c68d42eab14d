"""The published examples of JSON Web Signatures, and agreement with two other implementations (auth T5, T11)."""

import base64
import json
import random
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from common.auth.exceptions import TokenError, WeakKey
from common.auth.security.algorithms import ALGORITHMS
from common.auth.security.jwk import public_members
from common.auth.security.keys import KeyRing, SigningKey, VerificationKey
from common.auth.security.secrets import SecretBytes
from common.auth.security.token_format import TokenReader
from common.auth.testing import ISSUER, MOMENT, access_claims, forge, token_manager
from common.core.utils.clock import FrozenClock

# RFC 9864 renames the algorithm of RFC 8037; PyJWT and most issuers still write the old name.
pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated:joserfc.errors.SecurityWarning")

JOE = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
FRODO = (
    "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5k"
    "IGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4"
)
BILBO_RSA = {
    "kty": "RSA",
    "kid": "bilbo",
    "e": "AQAB",
    "n": "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwG"
    "U_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC"
    "0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw",
}

# Standard and section: the key, its algorithm, the token in three parts.
EXAMPLES: dict[str, tuple[dict[str, Any], str, tuple[str, str, str]]] = {
    "RFC 7515 A.1": (
        {
            "kty": "oct",
            "kid": "a1",
            "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
        },
        "HS256",
        ("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", JOE, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
    ),
    "RFC 7515 A.2": (
        {
            "kty": "RSA",
            "kid": "a2",
            "e": "AQAB",
            "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZ"
            "S-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2Cap"
            "Hg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4F"
            "RWyuXpoQ",
        },
        "RS256",
        (
            "eyJhbGciOiJSUzI1NiJ9",
            JOE,
            (
                "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1"
                "dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzD"
                "wusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe7"
                "7Rw"
            ),
        ),
    ),
    "RFC 7515 A.3": (
        {
            "kty": "EC",
            "kid": "a3",
            "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        },
        "ES256",
        (
            "eyJhbGciOiJFUzI1NiJ9",
            JOE,
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
    ),
    "RFC 7515 A.4": (
        {
            "kty": "EC",
            "kid": "a4",
            "crv": "P-521",
            "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
            "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
        },
        "ES512",
        (
            "eyJhbGciOiJFUzUxMiJ9",
            "UGF5bG9hZA",
            (
                "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCP"
                "EX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn"
            ),
        ),
    ),
    "RFC 8037 A.4": (
        {"kty": "OKP", "kid": "a4", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        "EdDSA",
        (
            "eyJhbGciOiJFZERTQSJ9",
            "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ),
    "RFC 7520 4.1": (
        BILBO_RSA,
        "RS256",
        (
            "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
            FRODO,
            (
                "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA7"
                "8185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdL"
                "uW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDq"
                "uDg"
            ),
        ),
    ),
    "RFC 7520 4.2": (
        BILBO_RSA,
        "PS384",
        (
            "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
            FRODO,
            (
                "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbU"
                "rhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImU"
                "jvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72"
                "Eaw"
            ),
        ),
    ),
    "RFC 7520 4.3": (
        {
            "kty": "EC",
            "kid": "bilbo",
            "crv": "P-521",
            "x": "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt",
            "y": "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1",
        },
        "ES512",
        (
            "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
            FRODO,
            (
                "AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXP"
                "n7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2"
            ),
        ),
    ),
    "RFC 7520 4.4": (
        {"kty": "oct", "kid": "018c0ae5", "k": "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg"},
        "HS256",
        (
            "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9",
            FRODO,
            "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0",
        ),
    ),
}


def octets(segment: str) -> bytes:
    """Decode base64url."""
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


@pytest.mark.parametrize(("jwk", "alg", "token"), EXAMPLES.values(), ids=EXAMPLES)
def test_published_signatures_verify(jwk: dict[str, Any], alg: str, token: tuple[str, str, str]) -> None:
    """Typed in from their standards; with one bit changed, in message or signature, none of them does."""
    key = VerificationKey.from_jwk(jwk, alg=alg)
    message, signature = ".".join(token[:2]).encode(), octets(token[2])

    assert key.verify(message, signature)
    assert not key.verify(message[:-1] + bytes([message[-1] ^ 1]), signature)
    for at in (0, len(signature) // 2, len(signature) - 1):
        assert not key.verify(message, signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1 :])


@pytest.mark.parametrize(("jwk", "alg", "token"), EXAMPLES.values(), ids=EXAMPLES)
def test_published_tokens_are_no_access_tokens(jwk: dict[str, Any], alg: str, token: tuple[str, str, str]) -> None:
    """Under a good signature they still lack the type that every token of ours has."""
    keys = KeyRing([VerificationKey.from_jwk(jwk, alg=alg)], issuer="joe", algorithms=[alg], allow_symmetric=True)

    with pytest.raises(TokenError):
        TokenReader(keys=keys, typ="at+jwt").read(".".join(token))


def test_the_unsecured_example_is_refused() -> None:
    """RFC 7515, appendix A.5."""
    with pytest.raises(TokenError):
        token_manager(clock=FrozenClock(MOMENT)).validate(f"eyJhbGciOiJub25lIn0.{JOE}.")


ALGS = sorted(ALGORITHMS)
KEYS = {alg: SigningKey.generate(alg, kid="k1") for alg in ALGS if ALGORITHMS[alg].kty != "RSA"}
_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_RSA_JWK: dict[str, Any] = {**jwt.algorithms.RSAAlgorithm.to_jwk(_RSA, as_dict=True), "kid": "k1"}
_RSA_JWK.pop("key_ops")
KEYS |= {alg: SigningKey.from_jwk(_RSA_JWK, alg=alg) for alg in ALGS if ALGORITHMS[alg].kty == "RSA"}


def ring(alg: str) -> KeyRing:
    """Build a ring with the key of *alg*."""
    return KeyRing([KEYS[alg]], issuer=ISSUER, algorithms=[alg], allow_symmetric=True, clock=FrozenClock(MOMENT))


def joserfc_key(alg: str) -> Any:
    """Give joserfc the verifying half of the key."""
    material = KEYS[alg].verification.material
    if isinstance(material, SecretBytes):
        return OctKey.import_key(material.reveal())
    members: Any = public_members(material)
    kinds: dict[str, Any] = {"OKP": OKPKey, "EC": ECKey, "RSA": RSAKey}
    return kinds[members["kty"]].import_key(members)


def pyjwt_key(alg: str) -> Any:
    """Give PyJWT the verifying half of the key."""
    material = KEYS[alg].verification.material
    return material.reveal() if isinstance(material, SecretBytes) else material


def read_by_joserfc(token: str, alg: str) -> Any:
    """Verify as joserfc does; ``None`` where it refuses."""
    try:
        return json.loads(jws.deserialize_compact(token, joserfc_key(alg), algorithms=[alg]).payload)
    except (JoseError, ValueError):
        return None


def read_by_pyjwt(token: str, alg: str) -> Any:
    """Verify as PyJWT does by default, without the claims that depend on the time; ``None`` where it refuses."""
    unchecked: Any = {f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}
    try:
        return jwt.decode(token, pyjwt_key(alg), algorithms=[alg], options=unchecked)
    except (jwt.PyJWTError, UnicodeEncodeError):
        return None


def read_by_us(token: str, alg: str) -> Any:
    """Verify as we do; ``None`` where we refuse."""
    try:
        return TokenReader(keys=ring(alg), typ="at+jwt").read(token)
    except TokenError:
        return None


@pytest.mark.parametrize("alg", ALGS)
def test_others_read_our_tokens(alg: str) -> None:
    """What we write is what the standard says: two other implementations find the same claims."""
    token = forge(KEYS[alg], access_claims(name="Zoë 🦊"))

    assert read_by_us(token, alg) == read_by_joserfc(token, alg) == read_by_pyjwt(token, alg) != None


@pytest.mark.parametrize("alg", [alg for alg in ALGS if ALGORITHMS[alg].kty in {"OKP", "EC", "oct"}])
def test_we_read_the_tokens_of_others(alg: str) -> None:
    """What joserfc writes, with our header, is accepted."""
    material = KEYS[alg].verification.material
    if isinstance(material, SecretBytes):
        key: Any = OctKey.import_key(material.reveal())
    else:
        curve: Any = ALGORITHMS[alg].curve
        key = (OKPKey if ALGORITHMS[alg].kty == "OKP" else ECKey).generate_key(curve)
    header = {"alg": alg, "kid": "k1", "typ": "at+jwt"}
    token = jws.serialize_compact(header, json.dumps(access_claims()).encode(), key, algorithms=[alg])
    jwk = {**key.as_dict(private=False), "kid": "k1"} if not isinstance(material, SecretBytes) else key.as_dict()
    verifying = VerificationKey.from_jwk({**jwk, "kid": "k1"}, alg=alg)
    keys = KeyRing([verifying], issuer=ISSUER, algorithms=[alg], allow_symmetric=True)

    assert access_claims() == TokenReader(keys=keys, typ="at+jwt").read(token)


def mutants(token: str, count: int, chance: random.Random) -> list[str]:
    """Change *token* at random: characters exchanged, left out, added, doubled, segments swapped and emptied."""
    made = []
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n\0é\ud800"
    for _ in range(count):
        at = chance.randrange(len(token))
        character = chance.choice(alphabet)
        segments = token.split(".")
        chance.shuffle(segments)
        made.append(
            chance.choice(
                [
                    token[:at] + character + token[at + 1 :],
                    token[:at] + token[at + 1 :],
                    token[:at] + character + token[at:],
                    token[:at] + token[at] + token[at:],
                    token[:at] + token[at].swapcase() + token[at + 1 :],
                    token[:at],
                    ".".join(segments),
                    token[:-1] + character,
                ]
            )
        )
    return made


@pytest.mark.thorough
@pytest.mark.parametrize("alg", ["EdDSA", "HS256", "RS256", "ES256"])
def test_ten_thousand_mutants_are_refused(alg: str) -> None:
    """Every accepted mutant is the token itself, and nothing but a token error escapes (T5)."""
    manager = token_manager(KEYS[alg], clock=FrozenClock(MOMENT))
    token = forge(KEYS[alg])
    accepted = set()
    for mutant in mutants(token, 10_000, random.Random(20261124)):
        try:
            manager.validate(mutant)
        except TokenError:
            continue
        accepted.add(mutant)

    assert accepted <= {token}


@pytest.mark.parametrize("alg", ["EdDSA", "HS256", "ES256"])
def test_what_we_accept_others_accept(alg: str) -> None:
    """Strictness only takes away: no mutant, and no odd form of a header or of claims, is accepted by us alone."""
    chance = random.Random(7515)
    odd: list[str] = [forge(KEYS[alg]), *mutants(forge(KEYS[alg]), 100, chance)]
    for text in (
        b'{"sub":"a"}',
        b'{"sub":"a","sub":"b"}',
        b"[]",
        b"null",
        b'{"a":1e400}',
        b'{"a":NaN}',
        "{}".encode("utf-16"),
    ):
        odd.append(forge(KEYS[alg], text))
    extra: list[dict[str, Any]] = [{"crit": ["b64"]}, {"crit": []}, {"zip": "DEF"}, {"typ": "JWT"}, {"b64": True}]
    odd += [forge(KEYS[alg], **members) for members in extra]
    ours = [token for token in odd if read_by_us(token, alg) is not None]

    assert forge(KEYS[alg]) in ours or alg == "ES256"
    assert ours
    for token in ours:
        assert read_by_us(token, alg) == read_by_joserfc(token, alg) == read_by_pyjwt(token, alg)


def roca_key() -> rsa.RSAPublicKey:
    """Build a public key with the fingerprint of CVE-2017-15361."""
    primorial = 1
    for prime in (p for p in range(2, 702) if all(p % q for q in range(2, p))):
        primorial *= prime
    modulus = (1 << 2047) // primorial * primorial + primorial + pow(65537, 4242, primorial)
    return rsa.RSAPublicNumbers(65537, modulus).public_key()


def test_plain_pyjwt_takes_keys_that_we_refuse() -> None:
    """Wrong ``use`` and ``key_ops``, ROCA moduli and mixed sets: the reasons for rules of our own."""
    members: dict[str, Any] = dict(public_members(KEYS["EdDSA"].verification.material))  # type: ignore[arg-type]
    secret = {"kty": "oct", "alg": "HS256", "k": "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg", "kid": "k2"}
    roca: Any = public_members(roca_key())
    bad: list[dict[str, Any]] = [
        {**members, "use": "enc"},
        {**members, "key_ops": ["encrypt"]},
        {**roca, "alg": "RS256"},
    ]
    for jwk in bad:
        assert jwt.PyJWK.from_dict(jwk).algorithm_name in {"EdDSA", "RS256"}
        with pytest.raises(WeakKey):
            VerificationKey.from_jwk(jwk)

    mixed: dict[str, Any] = {"keys": [{**members, "kid": "k1", "alg": "EdDSA"}, secret]}
    assert 2 == len(jwt.PyJWKSet.from_dict(mixed).keys)
    with pytest.raises(Exception, match="one ring"):
        KeyRing.from_jwks(mixed, issuer=ISSUER)


FORMS = {
    "flattened JSON": jws.serialize_json(
        {"protected": {"alg": "HS256"}}, b"{}", OctKey.generate_key(256), algorithms=["HS256"]
    ),
    "general JSON": jws.serialize_json(
        [{"protected": {"alg": "HS256"}}], b"{}", OctKey.generate_key(256), algorithms=["HS256"]
    ),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_json_serialisations_are_refused(form: Any) -> None:
    """As text and as the object itself."""
    for shown in (form, json.dumps(form)):
        with pytest.raises(TokenError):
            token_manager(clock=FrozenClock(MOMENT)).validate(shown)
