"""Which bearer tokens are believed, and what they let one do."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.security.grants import Grant
from app.security.remote import (
    AGAIN_SECONDS,
    FRESH_SECONDS,
    KEPT_SECONDS,
    SOON_SECONDS,
    Discovered,
    RemoteKeys,
    Unreachable,
)
from app.security.tokens import Issuer, Tokens
from app.security.verifying import MOST_CHARACTERS, Invalid
from tests.security.signers import (
    AUDIENCE,
    ISSUER,
    NOW,
    Documents,
    claims,
    key,
    provider,
    public,
    signed,
    with_public_key,
)

OTHER = "https://other.example.org"
RIGHT = key("one")


class World:
    """Two identity servers, a service that believes both, and a clock."""

    def __init__(self) -> None:
        self.documents, self.seconds = Documents(), float(NOW)
        provider(self.documents, ISSUER, RIGHT, key("rsa", "RS256"))
        provider(self.documents, OTHER, key("two"))
        issuers = {name: self.issuer(name) for name in (ISSUER, OTHER)}
        self.tokens = Tokens(issuers, lambda: int(self.seconds * 1_000_000), leeway=30)

    def issuer(self, name: str) -> Issuer:
        clock = self.clock
        found = Discovered(name, self.documents, clock)
        return Issuer(name, RemoteKeys(f"the keys of {name}", found.keys_at, self.documents, clock), (AUDIENCE,))

    def clock(self) -> float:
        return self.seconds

    async def refusal(self, token: str) -> str:
        """Why a token is not believed, "" if it is."""
        try:
            await self.tokens.principal(token)
        except Invalid as error:
            return str(error)
        return ""


def tampered(token: str) -> str:
    head, _, signature = token.split(".")
    payload = json.dumps(claims(scope="system/*.cruds dermatome/admin")).encode()
    return f"{head}.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}.{signature}"


def unsigned(algorithm: str) -> str:
    parts = [json.dumps(each).encode() for each in ({"alg": algorithm, "kid": "one"}, claims())]
    return ".".join([*(base64.urlsafe_b64encode(each).decode().rstrip("=") for each in parts), ""])


WRONG: list[tuple[str, Callable[[], str], str]] = [
    ("expired", lambda: signed(RIGHT, claims(exp=NOW - 31)), "has expired"),
    ("not yet", lambda: signed(RIGHT, claims(nbf=NOW + 31)), "nbf"),
    ("made in the future", lambda: signed(RIGHT, claims(iat=NOW + 31)), "iat"),
    ("without an end", lambda: signed(RIGHT, claims(exp=None)), "lacks exp"),
    ("an end that is no time", lambda: signed(RIGHT, claims(exp="tomorrow")), "exp"),
    ("an end that never comes", lambda: signed(RIGHT, claims(exp=float("nan"))), "exp"),
    ("another audience", lambda: signed(RIGHT, claims(aud="https://elsewhere.example.org")), "aud"),
    ("other audiences", lambda: signed(RIGHT, claims(aud=["account", "web"])), "aud"),
    ("no audience", lambda: signed(RIGHT, claims(aud=None)), "lacks aud"),
    ("another issuer", lambda: signed(RIGHT, claims(iss="https://nobody.example.org")), "not trusted"),
    ("no issuer", lambda: signed(RIGHT, claims(iss=None)), "iss"),
    ("the key of the other issuer", lambda: signed(key("two"), claims()), "kid"),
    ("the other issuer with our key id", lambda: signed(key("two"), claims(), kid="one"), "signature"),
    ("an unknown key", lambda: signed(key("nobody"), claims()), "kid"),
    ("no key id", lambda: signed(RIGHT, claims(), kid=None), "kid"),
    ("unsigned", lambda: unsigned("none"), "signed JWT"),
    ("unsigned, with something", lambda: unsigned("none") + "AA", "not signed with one of"),
    ("a signature that is none", lambda: unsigned("ES256") + "AA", "signature"),
    ("the public key as a secret", lambda: with_public_key(RIGHT, claims()), "not signed with one of"),
    ("an algorithm the key is not for", lambda: signed(key("rsa", "RS256"), claims(), "RS256", kid="one"), "kid"),
    ("changed after it was signed", lambda: tampered(signed(RIGHT, claims())), "signature"),
    ("what must be understood", lambda: signed(RIGHT, claims(), crit=["x"], x=1), "signature"),
    ("an identity token", lambda: signed(RIGHT, claims(nonce="n")), "not one for access"),
    ("an identity token of Keycloak", lambda: signed(RIGHT, claims(typ="ID")), "not one for access"),
    ("without a subject", lambda: signed(RIGHT, claims(sub=None)), "lacks sub"),
    ("a subject that breaks lines", lambda: signed(RIGHT, claims(sub="a\nb")), "sub"),
    ("a patient that is no id", lambda: signed(RIGHT, claims(patient="../1")), "patient"),
    ("huge", lambda: signed(RIGHT, claims(more="x" * MOST_CHARACTERS)), "longer than"),
    ("a huge header", lambda: signed(RIGHT, claims(), x5t="x" * 4_000), "signature"),
    ("of two parts", lambda: "a.b", "signed JWT"),
    ("of five parts", lambda: "a.b.c.d.e", "signed JWT"),
    ("nested without end", lambda: f"{base64.urlsafe_b64encode(b'[' * 9_000).decode()}.e30.AA", "signed JWT"),
    ("an algorithm that is a list", lambda: _headed({"alg": ["ES256"], "kid": "one"}), "not signed with one of"),
]


def _headed(header: dict[str, Any]) -> str:
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    return f"{head}.{signed(RIGHT, claims()).partition('.')[2]}"


@pytest.mark.parametrize(("token", "told"), [each[1:] for each in WRONG], ids=[each[0] for each in WRONG])
async def test_a_wrong_token_is_refused_with_the_reason(token: Callable[[], str], told: str) -> None:
    world = World()
    assert await world.refusal(signed(RIGHT, claims(jti="right"))) == ""

    refusal = await world.refusal(token())

    assert told in refusal


@pytest.mark.parametrize(
    "changed",
    [{"exp": NOW - 29}, {"nbf": NOW + 29}, {"aud": ["account", AUDIENCE]}, {"nbf": None}],
    ids=["leeway at the end", "leeway at the beginning", "one of several audiences", "no beginning"],
)
async def test_what_is_within_the_rules_is_believed(changed: dict[str, Any]) -> None:
    assert await World().refusal(signed(RIGHT, claims(**changed))) == ""


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda each: each.hex()))
def test_whatever_comes_as_a_token_is_refused_in_a_sentence(text: str) -> None:
    parts = [base64.urlsafe_b64encode(each.encode("utf-8", "replace")).decode().rstrip("=") for each in (text, text)]
    for token in (text, f"{parts[0]}.{parts[1]}.AA"):
        coroutine = World().tokens.principal(token)
        with pytest.raises(Invalid):
            coroutine.send(None)


@pytest.mark.parametrize(
    ("given_", "grants"),
    [
        ({"scope": "openid patient/Observation.rs"}, (Grant("patient", "Observation", frozenset("rs")),)),
        ({"scope": None, "scp": ["system/*.r", "offline"]}, (Grant("system", "*", frozenset("r")),)),
        ({"scope": None}, ()),
    ],
)
async def test_claims_become_a_principal(given_: dict[str, Any], grants: tuple[Grant, ...]) -> None:
    told = claims(patient="Patient/12", fhirUser="https://pain.example.org/fhir/Practitioner/3", **given_)

    found = await World().tokens.principal(signed(RIGHT, told))

    assert (found.subject, found.client_id, found.issuer, found.token_id) == ("u1", "app", ISSUER, "t1")
    assert (found.patient, found.fhir_user) == ("12", "https://pain.example.org/fhir/Practitioner/3")
    assert found.grants == grants


async def test_two_issuers_are_believed_each_with_its_own_keys() -> None:
    world = World()

    found = [
        await world.tokens.principal(signed(by, claims(iss=issuer)))
        for by, issuer in ((RIGHT, ISSUER), (key("two"), OTHER))
    ]

    assert [each.issuer for each in found] == [ISSUER, OTHER]


async def test_a_rotated_key_is_fetched_and_unknown_ones_only_so_often() -> None:
    world = World()
    await world.refusal(signed(RIGHT, claims()))
    world.documents.held[f"{ISSUER}/certs"] = public(key("three"))
    before = len(world.documents.asked)

    at_once = await world.refusal(signed(key("three"), claims(jti="t3")))
    world.seconds += AGAIN_SECONDS
    later = await world.refusal(signed(key("three"), claims(int(world.seconds), jti="t4")))
    for each in range(50):
        assert "kid" in await world.refusal(signed(key("nobody"), claims(int(world.seconds), jti=str(each))))

    assert "kid" in at_once
    assert later == ""
    assert len(world.documents.asked) == before + 1


async def test_a_key_that_was_taken_back_is_believed_for_a_while_only() -> None:
    world = World()
    await world.refusal(signed(RIGHT, claims()))
    world.documents.held[f"{ISSUER}/certs"] = public(key("three"))

    world.seconds += FRESH_SECONDS + 1
    refusal = await world.refusal(signed(RIGHT, claims(int(world.seconds))))

    assert "kid" in refusal


async def test_an_issuer_that_is_away_is_bridged_and_then_told() -> None:
    world = World()
    await world.refusal(signed(RIGHT, claims()))
    world.documents.is_away = True

    world.seconds += KEPT_SECONDS - 60
    bridged = await world.refusal(signed(RIGHT, claims(int(world.seconds))))
    world.seconds += 120

    assert bridged == ""
    with pytest.raises(Unreachable):
        await world.refusal(signed(RIGHT, claims(int(world.seconds))))


async def test_an_issuer_that_was_never_there_is_asked_again_soon() -> None:
    world = World()
    world.documents.is_away = True
    with pytest.raises(Unreachable):
        await world.refusal(signed(RIGHT, claims()))
    world.documents.is_away = False

    world.seconds += SOON_SECONDS

    assert await world.refusal(signed(RIGHT, claims(int(world.seconds)))) == ""


@pytest.mark.parametrize(
    "changed",
    [{"issuer": "https://evil.example.org"}, {"jwks_uri": "http://id.example.org/certs"}, {"jwks_uri": None}],
)
async def test_a_discovery_document_of_somebody_else_is_not_believed(changed: dict[str, Any]) -> None:
    world = World()
    world.documents.held[f"{ISSUER}/.well-known/openid-configuration"] |= changed

    with pytest.raises(Unreachable):
        await world.refusal(signed(RIGHT, claims()))


@pytest.mark.parametrize(
    "changed",
    [{"use": "enc"}, {"alg": "RS512"}, {"kid": None}, {"kty": "oct", "k": "AAAA"}, {"kty": "OKP"}, {"e": None}],
)
async def test_keys_for_something_else_sign_no_token(changed: dict[str, Any]) -> None:
    world = World()
    by = key("rsa", "RS256")
    other = public(key("two"))["keys"]
    world.documents.held[f"{ISSUER}/certs"] = {"keys": [{**by.as_dict(private=False), **changed}, "no key", *other]}

    assert "kid" in await world.refusal(signed(by, claims(), "RS256"))


async def test_a_believed_token_ends_when_it_says() -> None:
    world = World()
    token = signed(RIGHT, claims())

    before = await world.refusal(token)
    world.seconds += 331

    assert before == ""
    assert "expired" in await world.refusal(token)
