"""The servers that are told of what is written here, asked for what is written there, or both: as data."""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from app.settings import WrongSettings, bare_address
from app.sync.conflicts.rules import Rule, problem_of

# A secret is named, never written down: what is behind the name is read by app/outbound/secrets.py.
Secret = Annotated[str, Field(pattern="^[a-z0-9-]{1,64}$", description="The name of a secret.")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NoAuth(_Part):
    """Nothing is sent that says who asks."""

    kind: Literal["none"] = "none"


class Basic(_Part):
    """HTTP Basic. secret: the password."""

    kind: Literal["basic"]
    username: str = Field(min_length=1, max_length=255, pattern="^[^:\x00-\x1f]+$")
    secret: Secret


class Bearer(_Part):
    """A token that does not change by itself."""

    kind: Literal["bearer"]
    secret: Secret


class Smart(_Part):
    """SMART Backend Services: client credentials with private_key_jwt.

    key: the private key, as PEM or JWK; token_url: "" for the one the target names at .well-known/smart-configuration.
    """

    kind: Literal["smart"]
    client_id: str = Field(min_length=1, max_length=255)
    key: Secret
    kid: str = Field("", max_length=255)
    algorithm: Literal["RS384", "ES384"] = "RS384"
    scope: str = Field("system/*.cruds", min_length=1, max_length=2000)
    token_url: str = ""

    @field_validator("token_url")
    @classmethod
    def _address(cls, value: str) -> str:
        return bare_address(value) if value else value


class Tls(_Part):
    """Secrets in PEM. ca: whom the target's certificate must come from, unset: whom the system trusts; certificate and
    key: who we are. The target's certificate is always checked."""

    ca: Secret | None = None
    certificate: Secret | None = None
    key: Secret | None = None

    @model_validator(mode="after")
    def _pair(self) -> "Tls":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key come together")
        return self


class Conflict(_Part):
    """Who wins where both sides changed an element. elements: path -> rule, the longest path decides."""

    default: Rule = "newest"
    elements: Mapping[str, Rule] = Field(default_factory=dict)

    @field_validator("elements")
    @classmethod
    def _known(cls, value: Mapping[str, Rule]) -> Mapping[str, Rule]:
        if problems := [problem for path in value if (problem := problem_of(path))]:
            raise ValueError("; ".join(problems))
        return value


class Target(_Part):
    """One FHIR server.

    What it is told of: types, filters (searches such as "Observation?category=survey") and profiles choose; empty means
    everything. references: whether what a chosen resource refers to is sent as well, or the reference is kept only.
    ids: whether a resource has the same id there, or is found by a business identifier of its own.
    """

    name: str = Field(pattern="^[a-z0-9-]{1,64}$", description="Stands in the ledger, so it does not change later.")
    base_url: str = Field(description="The FHIR base of the other server.")
    direction: Literal["push", "pull", "both"] = "push"
    types: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    references: Literal["send", "keep"] = "send"
    auth: NoAuth | Basic | Bearer | Smart = Field(default_factory=NoAuth, discriminator="kind")
    tls: Tls = Field(default_factory=Tls)
    delivery: Literal["transaction", "batch", "single"] = "transaction"
    batch_size: int = Field(50, ge=1, le=500, description="Most entries of one Bundle.")
    ids: Literal["same", "identifier"] = "same"
    conflict: Conflict = Field(default_factory=Conflict)
    concurrency: int = Field(4, ge=1, le=16, description="Requests of one worker at a time.")
    requests_per_second: float | None = Field(None, gt=0, le=10_000, description="Of one worker; unset: no limit.")
    timeout_seconds: float = Field(30, ge=1, le=600)
    pull_seconds: float = Field(60, ge=1, le=86_400, description="How often it is asked for what is new.")
    overlap_seconds: float = Field(300, ge=0, le=86_400, description="How far each window reaches back.")
    page_size: int = Field(200, ge=1, le=1000)
    notify_secret: Secret | None = Field(None, description="What a notification of the target must carry.")
    dead_letter_alarm: int = Field(1, ge=1, description="From how many dead letters on the alarm sounds.")
    read_capabilities: bool = Field(True, description="Whether its CapabilityStatement decides how it is told.")

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str) -> str:
        return bare_address(value)

    @field_validator("filters")
    @classmethod
    def _searches(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [each for each in value if not all(each.partition("?")[::2])]:
            raise ValueError(f"{', '.join(wrong)}: a filter is Type?parameter=value")
        return value

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @property
    def secrets(self) -> list[tuple[str, str]]:
        """The secrets it names: (where, name)."""
        parts = {"auth": self.auth, "tls": self.tls}
        named = [
            (f"{part}.{field}", getattr(value, field))
            for part, value in parts.items()
            for field in ("secret", "key", "ca", "certificate")
            if getattr(value, field, None)
        ]
        return [*named, *([("notify_secret", self.notify_secret)] if self.notify_secret else [])]

    @property
    def is_pushed(self) -> bool:
        return self.direction != "pull"

    @property
    def is_pulled(self) -> bool:
        return self.direction != "push"

    @property
    def chosen_types(self) -> frozenset[str]:
        """The types that may be wanted; empty: any."""
        return frozenset([*self.types, *(each.partition("?")[0] for each in self.filters)])

    def is_told_of(self, resource_type: str) -> bool:
        """Whether a write of this type is noted for it. What is wanted of it is judged when it is sent."""
        if not self.is_pushed:
            return False
        # What others refer to may have to be sent whatever its type.
        return self.references == "send" or not self.chosen_types or resource_type in self.chosen_types


# What is wrong with a search on a type, "" if nothing is; what is in the way of working with a target: (where, why).
JudgeFilter = Callable[[str], str]
JudgeTarget = Callable[[Target], list[tuple[str, str]]]


def problems(target: Target, known_types: frozenset[str], judge: JudgeFilter) -> list[tuple[str, str]]:
    """What is wrong with a target beside its form: (where, why)."""
    found = [
        (f"types[{place}]", f"{name[:64]} is no R4 resource type")
        for place, name in enumerate(target.types)
        if name not in known_types
    ]
    for place, each in enumerate(target.filters):
        name = each.partition("?")[0]
        why = judge(each) if name in known_types else f"{name[:64]} is no R4 resource type"
        if why:
            found.append((f"filters[{place}]", why))
    return found


class _File(_Part):
    """The whole targets file."""

    target: tuple[Target, ...] = ()


def load_targets(
    path: Path | None,
    known_types: frozenset[str],
    judge: JudgeFilter = lambda _: "",
    more: JudgeTarget = lambda _: [],
) -> tuple[Target, ...]:
    """The targets of a TOML file, one `[[target]]` block each. Raises WrongSettings naming what is wrong."""
    if path is None:
        return ()
    try:
        targets = _File.model_validate(tomllib.loads(path.read_text("utf-8"))).target
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongSettings(f"{path.name}: not TOML: {error}") from None
    except ValidationError as error:
        told = [f"{path.name}: {where}: {why}" for where, why in told_of(error)]
        raise WrongSettings("\n".join(told)) from None
    names = [target.name for target in targets]
    wrong = [f"{path.name}: two targets are named {name}" for name in {n for n in names if names.count(n) > 1}]
    wrong += [
        f"{path.name}: {target.name}: {where}: {why}"
        for target in targets
        for where, why in problems(target, known_types, judge) + more(target)
    ]
    if wrong:
        raise WrongSettings("\n".join(wrong))
    return targets


def told_of(error: ValidationError) -> list[tuple[str, str]]:
    """Each problem of a definition: (where, why)."""
    return [(_where(each["loc"]), each["msg"].removeprefix("Value error, ")) for each in error.errors()]


def _where(loc: tuple[Any, ...]) -> str:
    """A path such as target[0].auth.secret; the kind of a credential stands in the definition, not in the path."""
    found = ""
    for each in loc:
        if isinstance(each, int):
            found += f"[{each}]"
        elif each not in ("none", "basic", "bearer", "smart"):
            found += f".{each}" if found else str(each)
    return found
