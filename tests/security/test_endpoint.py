"""The token endpoint without a server: who is given what, and the file of those who may ask."""

import json
import stat
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.outbound import Secrets
from app.security.clients import Clients, load_clients
from app.security.endpoint import ASSERTION_TYPE, Endpoint, OAuthError, read_form
from app.security.granting import granted
from app.security.signing import SigningKeys, rotate
from app.security.verifying import Expected, checked, unchecked
from app.settings import WrongSettings
from tests.security.signers import Documents, Json, assertion, key, public, signed

BASE = "https://pain.example.org"
TOKEN_URL = f"{BASE}/auth/token"
EHR = key("ehr", "RS384")
ELSEWHERE = key("elsewhere", "ES384")
KEYS_AT = "https://partner.example.org/jwks.json"


def clients_file(folder: Path, scopes: str = "system/*.rs") -> Path:
    """Two clients: one with its keys in the file, one that keeps them at an address."""
    file = folder / "clients.toml"
    told = "\n".join(
        [
            "[[client]]",
            'id = "ehr"',
            f'scopes = "{scopes}"',
            f"jwks.keys = [{_inline(public(EHR)['keys'][0])}]",
            "[[client]]",
            'id = "partner"',
            'scopes = "system/Observation.rs?category=survey system/Patient.r dermatome/metrics"',
            f'jwks_uri = "{KEYS_AT}"',
        ]
    )
    file.write_text(told)
    return file


def _inline(tree: Json) -> str:
    return "{" + ", ".join(f"{name} = {json.dumps(value)}" for name, value in tree.items()) + "}"


def endpoint(folder: Path, documents: Documents | None = None) -> Endpoint:
    """An endpoint with those clients, by the clock of now."""
    held = documents or Documents({KEYS_AT: public(ELSEWHERE)})
    return Endpoint(
        address=TOKEN_URL,
        issuer=BASE,
        audience=f"{BASE}/fhir",
        clients=Clients(clients_file(folder), lambda _: held, clock=lambda: time.monotonic() + 3_600),
        signing=SigningKeys(folder / "keys", Secrets(), clock=lambda: time.monotonic() + 3_600),
        clock=lambda: time.time_ns() // 1_000,
        new_id=lambda: uuid.uuid4().hex,
        seconds=300,
        leeway=30,
    )


def form(token: str, **changed: str | None) -> dict[str, str]:
    given = {
        "grant_type": "client_credentials",
        "scope": "system/*.rs",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": token,
    } | changed
    return {name: value for name, value in given.items() if value is not None}


def right(**changed: Any) -> str:
    return assertion("ehr", EHR, TOKEN_URL, **changed)


REFUSED: list[tuple[str, Callable[[], dict[str, str]], int, str]] = [
    ("no grant type", lambda: form(right(), grant_type=None), 400, "invalid_request"),
    ("another grant type", lambda: form(right(), grant_type="password"), 400, "unsupported_grant_type"),
    ("no assertion type", lambda: form(right(), client_assertion_type=None), 400, "invalid_request"),
    ("another assertion type", lambda: form(right(), client_assertion_type="saml"), 400, "invalid_request"),
    ("no assertion", lambda: form(right(), client_assertion=None), 400, "invalid_request"),
    ("an assertion that is none", lambda: form("not-a-jwt"), 401, "invalid_client"),
    ("unknown client", lambda: form(assertion("who", EHR, TOKEN_URL)), 401, "invalid_client"),
    ("another's client id", lambda: form(right(), client_id="partner"), 401, "invalid_client"),
    ("another's key", lambda: form(assertion("ehr", ELSEWHERE, TOKEN_URL, "ES384")), 401, "invalid_client"),
    ("another's key by our id", lambda: form(_forged()), 401, "invalid_client"),
    ("an algorithm that is weak here", lambda: form(assertion("ehr", EHR, TOKEN_URL, "RS256")), 401, "invalid_client"),
    ("subject is not issuer", lambda: form(right(sub="partner")), 401, "invalid_client"),
    ("another audience", lambda: form(right(aud=f"{BASE}/fhir")), 401, "invalid_client"),
    ("expired", lambda: form(right(exp=int(time.time()) - 60)), 401, "invalid_client"),
    ("too long", lambda: form(right(exp=int(time.time()) + 600)), 401, "invalid_client"),
    ("no end", lambda: form(right(exp=None)), 401, "invalid_client"),
    ("no jti", lambda: form(right(jti=None)), 401, "invalid_client"),
    ("an empty jti", lambda: form(right(jti="")), 401, "invalid_client"),
    ("a jti that is no text", lambda: form(right(jti=7)), 401, "invalid_client"),
    ("a huge jti", lambda: form(right(jti="x" * 256)), 401, "invalid_client"),
    ("no scope", lambda: form(right(), scope=None), 400, "invalid_scope"),
    ("no scope that may be had", lambda: form(right(), scope="system/*.c openid"), 400, "invalid_scope"),
]


def _forged() -> str:
    told = {"iss": "ehr", "sub": "ehr", "aud": TOKEN_URL, "exp": int(time.time()) + 60, "jti": "x"}
    return signed(key("thief", "RS384"), told, "RS384", kid="ehr")


@pytest.mark.parametrize(("made", "status", "code"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED])
async def test_a_request_that_is_not_right_gets_no_token(
    tmp_path: Path, made: Callable[[], dict[str, str]], status: int, code: str
) -> None:
    one, asked = endpoint(tmp_path), made()

    with pytest.raises(OAuthError) as refused:
        one.token((await one.asserted(asked)).client, asked.get("scope"))

    assert (refused.value.status, refused.value.code) == (status, code)


async def test_a_client_gets_a_token_that_we_believe(tmp_path: Path) -> None:
    one = endpoint(tmp_path)

    asserted = await one.asserted(form(right()))
    answer = one.token(asserted.client, "system/Patient.read system/*.cud openid")

    token = str(answer.pop("access_token"))
    assert answer == {"token_type": "bearer", "expires_in": 300, "scope": "system/Patient.read"}
    told = unchecked(token)
    by = await one.signing.key(told.kid, told.algorithm)
    assert by
    found = checked(token, by, told.algorithm, Expected(BASE, (f"{BASE}/fhir",), int(time.time()), 0))
    assert (found["sub"], found["client_id"], found["scope"]) == ("ehr", "ehr", "system/Patient.read")


async def test_keys_at_an_address_are_fetched_and_kept(tmp_path: Path) -> None:
    documents = Documents({KEYS_AT: public(ELSEWHERE)})
    one = endpoint(tmp_path, documents)

    for _ in range(3):
        found = await one.asserted(form(assertion("partner", ELSEWHERE, TOKEN_URL, "ES384")))

    assert found.client.id == "partner"
    assert documents.asked == [KEYS_AT]


@pytest.mark.parametrize(
    ("asked", "allowed", "given"),
    [
        ("system/*.rs", "system/*.cruds", "system/*.rs"),
        ("system/*.read", "system/*.rs", "system/*.read"),
        ("system/*.*", "system/*.rs", "system/*.rs"),
        ("system/*.cruds", "system/Observation.rs system/Patient.r", "system/Observation.rs system/Patient.r"),
        ("system/Patient.read system/Group.read", "system/Patient.rs", "system/Patient.read"),
        ("system/Observation.rs", "system/Observation.rs?category=survey", "system/Observation.rs?category=survey"),
        ("system/Observation.rs?status=final", "system/*.rs", "system/Observation.rs?status=final"),
        ("system/Observation.r?a=1", "system/Observation.rs?b=2", "system/Observation.r?a=1&b=2"),
        ("system/*.cruds", "system/AuditEvent.rs", ""),
        ("system/AuditEvent.rs", "system/*.cruds", ""),
        ("system/AuditEvent.r", "system/AuditEvent.rs", "system/AuditEvent.r"),
        ("dermatome/admin dermatome/metrics", "dermatome/metrics", "dermatome/metrics"),
        ("patient/*.rs user/*.rs launch openid", "system/*.cruds", ""),
        ("system/*.sr system/Nope", "system/*.cruds", ""),
        ("system/Patient.r system/Patient.r", "system/Patient.rs", "system/Patient.r"),
    ],
)
def test_a_client_gets_what_it_asks_for_and_may_have(asked: str, allowed: str, given: str) -> None:
    assert granted(asked, allowed) == given


@pytest.mark.parametrize(
    ("body", "told"),
    [(b"scope=a&scope=b", "more than once: scope"), (b"\xff=1", "no form"), (b"&".join([b"a=1"] * 21), "no form")],
)
def test_a_body_that_is_no_such_form_is_refused(body: bytes, told: str) -> None:
    with pytest.raises(OAuthError) as refused:
        read_form(body)

    assert (refused.value.status, refused.value.code) == (400, "invalid_request")
    assert told in refused.value.told


def test_a_client_that_is_taken_out_of_the_file_is_not_known_any_more(tmp_path: Path) -> None:
    at = [0.0]
    file = clients_file(tmp_path)
    clients = Clients(file, lambda _: Documents(), clock=lambda: at[0])
    assert clients.find("ehr")

    file.write_text('[[client]]\nid = "x"')
    at[0] = 10
    kept = clients.find("ehr")
    file.write_text("")
    at[0] = 20

    # A file that is wrong changes nothing; the log says so.
    assert kept
    assert clients.find("ehr") is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("not toml", "cannot be read as TOML"),
        ("clients = 1", "clients"),
        ('[[client]]\nid = "a"\nscopes = "system/*.rs"', "either jwks or jwks_uri"),
        ('[[client]]\nid = "a"\nscopes = "system/*.sr"\njwks_uri = "https://x/y"', "system/*.sr"),
        ('[[client]]\nid = "a"\nscopes = "patient/*.rs"\njwks_uri = "https://x/y"', "patient/*.rs"),
        ('[[client]]\nid = "a b"\nscopes = "system/*.rs"\njwks_uri = "https://x/y"', "client[0].id"),
        ('[[client]]\nid = "a"\nscopes = "system/*.rs"\njwks_uri = "https://me:pw@x/y"', "jwks_uri"),
        ('[[client]]\nid = "a"\nscopes = "system/*.rs"\njwks.keys = []', "no key for signatures"),
        ('[[client]]\nid = "a"\nscopes = "system/*.rs"\njwks.keys = [{kty = "EC", d = "AA"}]', "private key"),
        ('[[client]]\nid = "a"\nscopes = "system/*.rs"\njwks_uri = "https://x/y"\n' * 2, "two clients are named a"),
    ],
)
def test_a_wrong_clients_file_is_refused_with_the_reason(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "clients.toml"
    file.write_text(text)

    with pytest.raises(WrongSettings) as wrong:
        load_clients(file)

    assert told in str(wrong.value)


async def test_our_key_is_made_once_kept_for_us_alone_and_rotated(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    one, other = (SigningKeys(folder, Secrets(), clock=_passing()) for _ in range(2))
    (file,) = folder.iterdir()
    before = one.public["keys"]

    rotate(folder, Secrets())
    after = one.public["keys"]
    rotate(folder, Secrets())

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert other.public["keys"][0]["kid"] not in {each["kid"] for each in after}
    assert [each["kid"] for each in after][1:] == [each["kid"] for each in before]
    assert all("d" not in each for each in after)
    assert await one.key(before[0]["kid"], "ES256") is None
    assert await one.key(after[0]["kid"], "ES256") is not None


def _passing() -> Callable[[], float]:
    """A clock on which much time passes between two looks."""
    at = iter(range(0, 10_000, 100))
    return lambda: float(next(at))


@pytest.mark.parametrize("algorithm", ["RS384", "ES384"])
def test_the_operator_may_give_the_key(tmp_path: Path, algorithm: str) -> None:
    pem = key("given", algorithm).as_pem(private=True).decode()
    keys = SigningKeys(tmp_path / "keys", Secrets(given={"signing-key": pem}))

    assert keys.public["keys"][0]["alg"] == algorithm
    assert not (tmp_path / "keys").exists()
    with pytest.raises(WrongSettings):
        rotate(tmp_path / "keys", Secrets(given={"signing-key": pem}))


@pytest.mark.parametrize("given", ["nonsense", "{", "{}", '{"keys": []}', '{"kty": "oct", "k": "AAAA"}'])
def test_a_key_that_is_none_is_refused_without_being_told(tmp_path: Path, given: str) -> None:
    with pytest.raises(WrongSettings) as wrong:
        SigningKeys(tmp_path, Secrets(given={"signing-key": given}))

    assert "signing-key" in str(wrong.value)
    assert "AAAA" not in str(wrong.value)


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    SigningKeys(tmp_path, Secrets())
    (tmp_path / "signing-key.json").chmod(0o644)

    with pytest.raises(WrongSettings) as wrong:
        SigningKeys(tmp_path, Secrets())

    assert "chmod 600" in str(wrong.value)
