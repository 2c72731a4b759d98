"""Every setting of the service, read in one place. README.md lists them all."""

import difflib
import ipaddress
import os
import re
from pathlib import Path
from typing import Literal

from pydantic import AnyHttpUrl, Field, TypeAdapter, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "DERMATOME_"
# DERMATOME_SECRET_REGISTRY_KEY is the secret registry-key.
SECRET = f"{PREFIX}SECRET_"
_DATABASE = re.compile(r"sqlite\+aiosqlite:///[^:?].*|postgresql\+asyncpg://([^/@]*@)?[^/:@]*(:\d+)?/.+")
S3_ADDRESS = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(/(?P<prefix>[A-Za-z0-9_/-]+?))?/*")
_ADDRESS = TypeAdapter(AnyHttpUrl)


class WrongSettings(Exception):
    """Settings that cannot be used; the message names each one and says what is allowed."""


class Settings(BaseSettings):
    """Settings of one process, from the environment: `HOST`, `PORT` and `DERMATOME_*`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    host: str = Field("127.0.0.1", validation_alias="HOST", description="Address the service listens on.")
    port: int = Field(8000, ge=0, le=65535, validation_alias="PORT", description="Port the service listens on.")
    public_url: str = Field("", description="Address clients use, behind a proxy; default: the request's own.")
    database_url: str = Field(
        "sqlite+aiosqlite:///var/dermatome.db",
        description="`sqlite+aiosqlite:///path` or `postgresql+asyncpg://user:password@host/database`.",
    )
    sqlite_synchronous: Literal["FULL", "NORMAL"] = Field(
        "FULL", description="FULL: acknowledged is on disk. NORMAL: faster, a power loss may lose the last writes."
    )
    auth: Literal["off"] = Field("off", description="Authentication; only `off` is offered in this version.")
    trusted_network: bool = Field(
        False, description="Allow an address other than loopback while authentication is off."
    )
    packages: Path | None = Field(
        None,
        description="Folder of FHIR packages (`.tgz`, unpacked, or loose JSON) that hold further definitions.",
    )
    unknown_profiles: Literal["warning", "error"] = Field(
        "warning", description="What it is for a resource to claim a profile that is not known here."
    )
    cache: Path = Field(
        Path("var/cache"), description="Folder for compiled validation rules; only used if nobody else can write to it."
    )
    terminology_server: str = Field(
        "", description="FHIR R4 terminology server that $validate asks about codes not held here; unset: nobody."
    )
    sync_targets: Path | None = Field(None, description="TOML file of sync targets; unset: nothing is synced.")
    worker: Literal["embedded", "separate"] = Field(
        "embedded", description="Deliver inside the service, or only in `dermatome worker` processes."
    )
    sync_lease_seconds: float = Field(
        30, ge=1, le=3600, description="How long a target stays with a worker that died before another takes over."
    )
    private_networks: str = Field(
        "",
        description="Private networks and hosts, separated by commas, that targets and Subscriptions may name by API. "
        "While HOST is a loopback address, loopback is among them.",
    )
    secrets: Path | None = Field(
        None, description="Folder of secrets that targets name, a file each; else `DERMATOME_SECRET_<NAME>`."
    )
    subscription_attempts: int = Field(
        8, ge=1, le=100, description="Failed notifications in a row after which a Subscription is in error."
    )
    subscription_event_days: float = Field(
        30, ge=0, le=36_500, description="How long delivered events of Subscriptions can be asked for again."
    )
    export_files: str = Field(
        "var/exports",
        description="Where the files of exports lie: a folder, or `s3://bucket/prefix`; all processes need the same.",
    )
    export_s3_endpoint: str = Field(
        "", description="Address of the S3 server that has the bucket; unset: that of Amazon for the region."
    )
    export_s3_region: str = Field("us-east-1", min_length=1, description="Region of the bucket.")
    export_file_resources: int = Field(
        50_000, ge=1, le=1_000_000, description="Most resources of one export file; it also ends at 64 MB."
    )
    export_keep_hours: float = Field(
        24, gt=0, le=8_760, description="How long the files of a finished export can be fetched."
    )
    export_patience_seconds: float = Field(
        60, gt=0, le=86_400, description="How long a client that reads nothing of an export file is waited for."
    )
    changes_waiters: int = Field(
        64, ge=0, le=10_000, description="Clients that may wait for changes (`$changes` with `wait`) in one process."
    )
    max_body_bytes: int = Field(8_388_608, ge=1024, description="Largest request body accepted.")
    max_bundle_entries: int = Field(5_000, ge=1, description="Most entries of one batch or transaction.")
    page_size: int = Field(50, ge=1, le=1000, description="Search results per page when `_count` is not given.")
    max_page_size: int = Field(1_000, ge=1, description="Largest `_count`; a larger one is lowered to this.")
    page_link_minutes: int = Field(
        60, ge=1, le=10_080, description="How long the links to further pages of a search answer."
    )
    search_handling: Literal["lenient", "strict"] = Field(
        "lenient", description="Unknown search parameters: reported and ignored, or refused."
    )
    update_as_create: bool = Field(True, description="Whether a PUT to an id that is not here creates the resource.")
    conditional_delete: Literal["single", "multiple"] = Field(
        "single", description="A conditional delete that matches several resources: refused, or deletes them all."
    )
    dangling_references: Literal["profiles", "strict", "off"] = Field(
        "profiles",
        description="References to what is not here: refused in what our profiles constrain, everywhere, or never.",
    )
    delete_referred: Literal["refuse", "allow"] = Field(
        "refuse", description="Deleting what other resources refer to: refused, or allowed."
    )
    extract: Literal["on", "off"] = Field(
        "on", description="Whether responses to our instruments that come in by FHIR are scored, as Observations."
    )
    instruments_off: str = Field(
        "", description="Ids of instruments that are not offered, separated by commas; unset: all are offered."
    )
    icd_11: Literal["on", "off"] = Field(
        "on", description="Whether codes of ICD-11 are written, shown and mapped to; those that are sent stay as sent."
    )
    guideline: str = Field(
        "neupsig-2025", description="Guideline edition that plans are judged by when they name none."
    )
    jurisdiction: str = Field(
        "us", description="Whose renal dose tables plans are judged by when they name none, e.g. `us` or `uk`."
    )
    smallest_cell: int = Field(
        5, ge=1, le=1_000, description="Least number of patients whose outcome a cohort summary tells; 1: any."
    )
    cohort_seconds: float = Field(
        60, gt=0, le=3_600, description="How long the database may take for a cohort summary."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe log line shown.")

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if not _DATABASE.fullmatch(value):
            raise ValueError("must be sqlite+aiosqlite:///FILE or postgresql+asyncpg://USER:PASSWORD@HOST/DATABASE")
        return value

    @field_validator("sync_targets")
    @classmethod
    def _readable(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("is not a readable file")
        return value

    @field_validator("packages", "secrets")
    @classmethod
    def _folder(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise ValueError("is not a readable folder")
        return value

    @field_validator("export_files")
    @classmethod
    def _place(cls, value: str) -> str:
        if "://" in value and not S3_ADDRESS.fullmatch(value):
            raise ValueError("must be a folder, or s3://BUCKET or s3://BUCKET/PREFIX with letters, digits, - and _")
        if "://" not in value and Path(value).exists() and not Path(value).is_dir():
            raise ValueError("is there and is no folder")
        return value

    @field_validator("terminology_server", "export_s3_endpoint")
    @classmethod
    def _bare(cls, value: str) -> str:
        return bare_address(value) if value else value

    @field_validator("public_url")
    @classmethod
    def _absolute(cls, value: str) -> str:
        if value:
            _ADDRESS.validate_python(value)
        return value.rstrip("/")


def bare_address(value: str) -> str:
    """An address of another server, without a slash at the end. Raises ValueError for one with more than a path."""
    address = _ADDRESS.validate_python(value)
    if address.username or address.password or address.query or address.fragment:
        raise ValueError("is an address with more than host and path: credentials and parameters are not sent")
    return value.rstrip("/")


def load_settings() -> Settings:
    """The settings of the environment. Raises WrongSettings naming every wrong or unknown one."""
    problems = _unknown()
    try:
        settings = Settings()
    except ValidationError as error:
        problems += [f"{_variable(str(e['loc'][0]))}: {_sentence(e['msg'])}" for e in error.errors()]
        raise WrongSettings("\n".join(problems)) from None
    if not settings.trusted_network and not is_loopback(settings.host):
        problems.append(
            f"HOST: {settings.host} can be reached by others and authentication is off; "
            "use a loopback address, or set DERMATOME_TRUSTED_NETWORK=true if everyone who can reach it may read "
            "and write everything"
        )
    if settings.export_s3_endpoint and not S3_ADDRESS.fullmatch(settings.export_files):
        problems.append("DERMATOME_EXPORT_S3_ENDPOINT: DERMATOME_EXPORT_FILES names no bucket (s3://BUCKET)")
    if problems:
        raise WrongSettings("\n".join(problems))
    return settings


def given_secrets() -> dict[str, str]:
    """The secrets that stand in the environment, by their names."""
    return {
        name.removeprefix(SECRET).lower().replace("_", "-"): value
        for name, value in os.environ.items()
        if name.startswith(SECRET) and name != SECRET
    }


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens at a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def documented() -> list[tuple[str, str, str]]:
    """Every setting as (variable, default, description), for the README and its test."""
    return [
        (_variable(name), "" if field.default is None else str(field.default), field.description or "")
        for name, field in Settings.model_fields.items()
    ]


def _variable(name: str) -> str:
    alias = Settings.model_fields[name].validation_alias if name in Settings.model_fields else name
    return str(alias) if alias else f"{PREFIX}{name.upper()}"


def _unknown() -> list[str]:
    known = [variable for variable, _, _ in documented()]
    given = [name for name in os.environ if name.startswith(PREFIX) and not name.startswith((f"{PREFIX}TEST_", SECRET))]
    return [f"{name}: no such setting{_nearest(name, known)}" for name in sorted(given) if name not in known]


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]}?" if near else ""


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ")
