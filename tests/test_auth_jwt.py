"""JSON Web Tokens: what a token must be to prove who somebody is, and which keys may say so."""

import base64
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import jwt
import pytest
import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from clients import FakeClock
from xinflight.auth import Authenticator, Credentials, Grant, create_authenticator
from xinflight.errors import RateLimited, StoreUnusable, TokenExpired, Unauthorised
from xinflight.settings import BadSettings, Settings

NOW = FakeClock().time()
SECRET = b"0123456789abcdef" * 4
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
EC = {name: ec.generate_private_key(curve) for name, curve in CURVES.items()}
CLAIMS = {"sub": "ann", "aud": "art", "iss": "https://login.example", "exp": NOW + 600}

HOSTS = itertools.count(1)


def octets(secret: bytes, **fields: str) -> dict[str, Any]:
    return {"kty": "oct", "k": base64.urlsafe_b64encode(secret).rstrip(b"=").decode(), **fields}


def public(key: Any, **fields: str) -> dict[str, Any]:
    """Return the JWK of a public key, as a provider publishes it."""
    algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), "key_ops": ["verify"], **fields}


KEYS = [
    octets(SECRET, kid="secret"),
    public(RSA, kid="rsa", use="sig"),
    public(OTHER_RSA, kid="pss", alg="PS256"),
    *(public(key, kid=name, alg=name) for name, key in EC.items()),
    {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "okp"},
    public(OTHER_RSA, kid="for encryption", use="enc"),
]


def write_keys(folder: Path, *keys: dict[str, Any]) -> Path:
    path = folder / "keys.json"
    path.write_text(json.dumps({"keys": keys}))
    return path


def sign(key: Any = SECRET, algorithm: str = "HS256", kid: str | None = "secret", **claims: Any) -> str:
    """Return a token with the claims of everybody, and those given; None leaves one out."""
    merged = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    return jwt.encode(merged, key, algorithm, headers={} if kid is None else {"kid": kid})


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def opened(tmp_path: Path, clock: FakeClock) -> Authenticator:
    """Give an authenticator for the audience `art`."""
    settings = Settings(
        auth="jwt",
        jwt_keys=str(write_keys(tmp_path, *KEYS)),
        jwt_audience="art",
        jwt_issuer="https://login.example",
        admins=("root",),
    )
    authenticator = create_authenticator(settings, clock)
    await authenticator.open()
    return authenticator


async def present(authenticator: Authenticator, token: str) -> Grant:
    return await authenticator.authenticate(Credentials(remote="192.0.2.1", bearer=[token]))


async def refusal(authenticator: Authenticator, token: str) -> str:
    """Present a token that must be refused, from an address without failures; return the logged reason."""
    with structlog.testing.capture_logs() as logs, pytest.raises(Unauthorised):
        await authenticator.authenticate(Credentials(remote=f"198.51.100.{next(HOSTS)}", bearer=[token]))
    return str(logs[-1]["reason"])


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [
        (SECRET, "HS256", "secret"),
        (SECRET, "HS512", "secret"),
        (RSA, "RS256", "rsa"),
        (RSA, "RS512", "rsa"),
        (RSA, "PS384", "rsa"),
        (OTHER_RSA, "PS256", "pss"),
        *((EC[name], name, name) for name in EC),
    ],
)
async def test_every_type_of_key(opened: Authenticator, key: Any, algorithm: str, kid: str) -> None:
    identity = (await present(opened, sign(key, algorithm, kid))).identity
    assert (identity.id, identity.admin, identity.weight, identity.expires) == ("ann", False, 1.0, NOW + 660)


async def test_admins_and_weights(opened: Authenticator) -> None:
    weight: dict[str, Any] = {"xinflight:weight": 3}
    assert (await present(opened, sign(sub="root"))).identity.admin
    assert (await present(opened, sign(scope="openid xinflight:admin"))).identity.admin
    assert (await present(opened, sign(scope=["xinflight:admin"]))).identity.admin
    assert not (await present(opened, sign(scope="xinflight:administrator"))).identity.admin
    assert (await present(opened, sign(**weight))).identity.weight == 3.0
    assert (await present(opened, sign(aud=["x", "art"]))).identity.id == "ann"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": None}, "missing"),
        ({"sub": None}, "missing"),
        ({"aud": None}, "missing"),
        ({"exp": "soon"}, "wrong type"),
        ({"exp": 1e300}, "wrong type"),
        ({"aud": "another gateway"}, "wrong audience"),
        ({"aud": ["another", "gateway"]}, "wrong audience"),
        ({"aud": []}, "wrong audience"),
        ({"iss": "https://evil.example"}, "wrong issuer"),
        ({"iss": None}, "wrong issuer"),
        ({"nbf": NOW + 61}, "not valid yet"),
        ({"sub": "a" * 10_240}, "not a JWT"),
        ({"sub": "a" * 129}, "printable"),
        ({"sub": "ann\n"}, "printable"),
        ({"sub": "a\x1b[31m"}, "printable"),
        ({"sub": ""}, "printable"),
        ({"xinflight:weight": 1000}, "weight"),
        ({"xinflight:weight": 0}, "weight"),
    ],
)
async def test_claims_that_are_refused(opened: Authenticator, claims: dict[str, Any], reason: str) -> None:
    assert reason in await refusal(opened, sign(**claims))


def unsigned(header: dict[str, Any]) -> str:
    parts = (json.dumps(part).encode() for part in (header, CLAIMS))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


def with_public_key_as_secret() -> str:
    """Return a token that is signed by HMAC with the text of the public RSA key, which everybody knows."""
    pem = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signer = jwt.PyJWS()
    signing_input = unsigned({"alg": "HS256", "kid": "rsa"}).rstrip(".")
    signature = signer.get_algorithm_by_name("HS256").sign(signing_input.encode(), pem)
    return f"{signing_input}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (unsigned({"alg": "none"}), "unknown kid"),
        (unsigned({"alg": "none", "kid": "secret"}), "does not allow this algorithm"),
        (unsigned({"alg": "None", "kid": "rsa"}), "does not allow this algorithm"),
        (with_public_key_as_secret(), "does not allow this algorithm"),
        (sign(OTHER_RSA, "RS256", "pss"), "does not allow this algorithm"),
        (sign(OTHER_RSA, "RS256", "rsa"), "InvalidSignatureError"),
        (sign(b"x" * 32), "InvalidSignatureError"),
        (sign(kid="nobody"), "unknown kid"),
        (sign(kid=None), "unknown kid"),
        (sign(OTHER_RSA, "RS256", "for encryption"), "unknown kid"),
        (sign()[:-4] + "AAAA", "InvalidSignatureError"),
        (sign() + ".x", "not a JWT"),
        ("", "not a JWT"),
        ("a.b", "not a JWT"),
        ("a.b.c", "not a JWT"),
        ("s\udce9cret", "not a JWT"),
        (base64.urlsafe_b64encode(b"[" * 5000).decode() + ".e30.x", "not a JWT"),
        (unsigned({"alg": 1}), "not a JWT"),
        (unsigned({"alg": "HS256", "kid": {}}), "not a JWT"),
        (unsigned({"alg": "HS256", "kid": "secret", "b64": False, "crit": ["b64"]}), "not a JWT"),
        (unsigned({"alg": "HS256", "kid": "secret", "crit": ["exp"]}), "not a JWT"),
    ],
)
async def test_tokens_that_are_refused(opened: Authenticator, token: str, reason: str) -> None:
    assert reason in await refusal(opened, token)


async def test_a_clock_that_is_off_by_a_minute(opened: Authenticator, clock: FakeClock) -> None:
    """Both ways, for the token as for what comes of it; not for longer."""
    token = sign(nbf=NOW + 59)
    assert (await present(opened, token)).identity.id == "ann"
    clock.now += 659
    grant = await present(opened, token)
    session = opened.create_session(grant)
    assert session is not None
    assert (session.expires, grant.identity.expires) == (NOW + 660, NOW + 660)
    resumed = await opened.authenticate(Credentials(session=session.value))
    assert resumed.identity == grant.identity
    clock.now += 1
    for credentials in (Credentials(remote="192.0.2.1", bearer=[token]), Credentials(session=session.value)):
        with pytest.raises(TokenExpired):
            await opened.authenticate(credentials)


async def test_a_session_is_for_the_audience_of_its_token(tmp_path: Path, clock: FakeClock) -> None:
    """Another gateway may have the same data folder later, or the same key by a copy of it."""
    keys = str(write_keys(tmp_path, *KEYS))
    first, second = (
        create_authenticator(Settings(auth="jwt", jwt_keys=keys, jwt_audience=each, data_dir=str(tmp_path)), clock)
        for each in ("art", "another")
    )
    await first.open()
    await second.open()
    session = first.create_session(await present(first, sign()))
    assert session is not None
    assert (await first.authenticate(Credentials(session=session.value))).identity.id == "ann"
    with pytest.raises(Unauthorised):
        await second.authenticate(Credentials(session=session.value))


async def test_an_expired_token_is_no_guess(opened: Authenticator) -> None:
    """A page that comes back after a night must not lock its address out."""
    for _ in range(30):
        with pytest.raises(TokenExpired):
            await present(opened, sign(exp=NOW - 3600))
    for _ in range(10):
        with pytest.raises(Unauthorised):
            await present(opened, "wrong")
    with pytest.raises(RateLimited):
        await present(opened, sign())


async def test_keys_are_replaced_while_the_server_runs(
    opened: Authenticator, tmp_path: Path, clock: FakeClock
) -> None:
    """A token with a new `kid` is looked for at once; a damaged or deleted file changes nothing."""
    write_keys(tmp_path, octets(b"n" * 32, kid="new"))
    assert (await present(opened, sign(b"n" * 32, kid="new"))).identity.id == "ann"
    assert await refusal(opened, sign()) == "unknown kid"
    for damage in (lambda path: path.write_text("{"), lambda path: path.write_text('{"keys": []}'), Path.unlink):
        damage(tmp_path / "keys.json")
        with structlog.testing.capture_logs() as logs:
            for _ in range(2):
                with pytest.raises(Unauthorised):
                    await present(opened, sign())
        assert [entry["file"] for entry in logs if entry["log_level"] == "error"] == ["keys.json"]
        assert (await present(opened, sign(b"n" * 32, kid="new"))).identity.id == "ann"
    write_keys(tmp_path, *KEYS)
    assert (await present(opened, sign())).identity.id == "ann"


async def test_a_single_key_needs_no_kid(tmp_path: Path, clock: FakeClock) -> None:
    keys = write_keys(tmp_path, octets(SECRET), {"kty": "OKP", "crv": "Ed25519", "x": "AA"})
    settings = Settings(auth="jwt", jwt_keys=str(keys), jwt_audience="art")
    authenticator = create_authenticator(settings, clock)
    await authenticator.open()
    assert (await present(authenticator, sign(kid=None, iss=None))).identity.id == "ann"
    assert await refusal(authenticator, sign(kid="any")) == "unknown kid"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        ("{", "truncated"),
        ("[]", "Expected `object`"),
        ('{"x":' + "[" * 100_000, "recursion"),
        ('{"keys": []}', "no key for signatures"),
        (json.dumps({"keys": [KEYS[-1]]}), "no key for signatures"),
        (json.dumps({"keys": [octets(b"short")]}), "32 bytes"),
        (json.dumps({"keys": [octets(b"x" * 40, alg="HS512")]}), "64 bytes"),
        (json.dumps({"keys": [{"kty": "RSA", "n": "AQAB"}]}), "it has no e"),
        (json.dumps({"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}), "2048|InvalidKeyError"),
        (json.dumps({"keys": [{"kty": "oct", "k": "\u0661"}]}), "key 1 of 1"),
        (json.dumps({"keys": [KEYS[0], KEYS[0]]}), "kid of another"),
    ],
)
async def test_keys_that_can_not_be_used(tmp_path: Path, content: str | None, reason: str) -> None:
    """The server does not start, and says why; it never shows a key."""
    path = tmp_path / "keys.json"
    if content is not None:
        path.write_text(content)
    authenticator = create_authenticator(Settings(auth="jwt", jwt_keys=str(path), jwt_audience="art"), FakeClock())
    with pytest.raises(StoreUnusable, match=reason) as raised:
        await authenticator.open()
    assert str(path) in str(raised.value)
    assert KEYS[0]["k"] not in str(raised.value)


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("xinflight.auth.json_web")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "jwt", None)
    settings = Settings(auth="jwt", jwt_keys=str(write_keys(tmp_path, *KEYS)), jwt_audience="art")
    with pytest.raises(BadSettings, match=r"pip install 'xinflight\[jwt\]'"):
        create_authenticator(settings, FakeClock())


async def test_a_private_key_in_the_file_is_used_for_its_public_half(tmp_path: Path, clock: FakeClock) -> None:
    private = {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA)), "kid": "rsa"}
    assert "d" in private
    keys = write_keys(tmp_path, private)
    authenticator = create_authenticator(Settings(auth="jwt", jwt_keys=str(keys), jwt_audience="art"), clock)
    await authenticator.open()
    assert (await present(authenticator, sign(RSA, "RS256", "rsa"))).identity.id == "ann"
