"""`dermatome access`: clients made and tried out, and the key of the token endpoint renewed."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from joserfc.jwk import ECKey
from pydantic import ValidationError

from app.outbound import NoToken, Secrets
from app.outbound.tokens import Registration, requested
from app.security import signing
from app.security.clients import Client
from app.settings import WrongSettings, bare_address, given_secrets, load_settings

app = typer.Typer(no_args_is_help=True, help="Who may ask: clients of the token endpoint, and its key.")
_ALGORITHM, _CURVE = "ES384", "P-384"
Id = Annotated[str, typer.Argument(metavar="CLIENT", help="The client_id.")]
Key = Annotated[Path, typer.Option(help="File of the client's private key (a JWK Set).")]


@app.command()
def client(
    name: Id,
    key: Key,
    scopes: Annotated[str, typer.Option(help="The most it may ask for, separated by spaces.")] = "system/*.rs",
) -> None:
    """Make a key pair: the private key goes into a new file, the lines for DERMATOME_CLIENTS to standard output."""
    made = ECKey.generate_key(_CURVE, {"use": "sig", "alg": _ALGORITHM}, auto_kid=True)
    public = made.as_dict(private=False)
    try:
        Client(id=name, scopes=scopes, jwks={"keys": [public]})
    except ValidationError as error:
        _stop("; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors()))
    private = {**made.as_dict(private=True), "key_ops": ["sign"]}
    try:
        descriptor = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        _stop(f"{key} cannot be made ({type(error).__name__})")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"keys": [private]}, file)
    inline = ", ".join(f"{part} = {json.dumps(value)}" for part, value in public.items())
    print(f"[[client]]\nid = {json.dumps(name)}\nscopes = {json.dumps(scopes)}\njwks.keys = [{{ {inline} }}]")


@app.command()
def token(
    name: Id,
    key: Key,
    url: Annotated[str, typer.Option(help="The FHIR base.")] = "http://127.0.0.1:8000/fhir",
    scope: Annotated[str, typer.Option(help="What is asked for.")] = "system/*.rs",
) -> None:
    """Get a token as a client does, and print it."""
    try:
        base = bare_address(url)
        (private,) = json.loads(key.read_text("utf-8"))["keys"]
    except (OSError, ValueError, KeyError, TypeError):
        _stop("--url must be an address, and --key a file with one key, as `dermatome access client` makes it")
    registration = Registration(
        base_url=base,
        client_id=name,
        key=json.dumps(private),
        kid=str(private.get("kid", "")),
        algorithm=str(private.get("alg", _ALGORITHM)),
        scope=scope,
    )
    try:
        print(asyncio.run(requested(registration, time.time)))
    except NoToken as error:
        _stop(str(error))


@app.command()
def rotate() -> None:
    """Sign tokens with a new key from now on. The one before is believed until the next rotation."""
    try:
        settings = load_settings()
        signing.rotate(settings.keys, Secrets(settings.secrets, given_secrets()))
    except WrongSettings as wrong:
        _stop(str(wrong))
    print("tokens are signed with a new key; those that were given still hold")


def _stop(told: str) -> NoReturn:
    typer.echo(told, err=True)
    raise typer.Exit(2)
