"""The servers to be told of what is written here, as data."""

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from app.settings import WrongSettings


class Target(BaseModel):
    """One FHIR server that is told of writes. types: only these resource types; empty: all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern="^[a-z0-9-]{1,64}$")
    base_url: str = Field(pattern="^https?://[^?#]+[^/?#]$")
    types: tuple[str, ...] = ()
    delivery: Literal["transaction", "single"] = "transaction"
    batch_size: int = Field(50, ge=1, le=500)

    @field_validator("base_url", mode="before")
    @classmethod
    def _address(cls, value: object) -> object:
        if TypeAdapter(AnyHttpUrl).validate_python(value).username:
            raise ValueError("must not hold a user name or password: addresses are shown")
        return value.rstrip("/") if isinstance(value, str) else value

    def wants(self, resource_type: str) -> bool:
        return not self.types or resource_type in self.types


class _File(BaseModel):
    """The whole targets file."""

    model_config = ConfigDict(extra="forbid")

    target: tuple[Target, ...] = ()


def load_targets(path: Path | None, known_types: frozenset[str]) -> tuple[Target, ...]:
    """The targets of a TOML file, one `[[target]]` block each. Raises WrongSettings naming what is wrong."""
    if path is None:
        return ()
    try:
        targets = _File.model_validate(tomllib.loads(path.read_text("utf-8"))).target
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongSettings(f"{path.name}: not TOML: {error}") from None
    except ValidationError as error:
        told = [f"{path.name}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise WrongSettings("\n".join(told)) from None
    names = [target.name for target in targets]
    problems = [f"{path.name}: two targets are named {name}" for name in {n for n in names if names.count(n) > 1}]
    problems += [
        f"{path.name}: {target.name}: {name} is no R4 resource type"
        for target in targets
        for name in target.types
        if name not in known_types
    ]
    if problems:
        raise WrongSettings("\n".join(problems))
    return targets
