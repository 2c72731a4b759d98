"""Every setting of the service, read in one place. README.md lists them all."""

import difflib
import ipaddress
import os
import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

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
    postgresql_synchronous: Literal["on", "off"] = Field(
        "on",
        description="on: acknowledged is on disk, also where the server has synchronous_commit off. off: faster, a "
        "crash of the server may lose the last writes.",
    )
    audit_reads: Literal["before", "beside"] = Field(
        "before",
        description="When an access is noted. before: committed before the answer goes out. beside: within a moment; "
        "what is killed meanwhile is not noted.",
    )
    idempotency_days: float = Field(
        7, gt=0, le=3_650, description="How long the answer to an Idempotency-Key is kept and given again."
    )
    auth: Literal["off", "smart"] = Field(
        "off", description="Authentication: off, or bearer tokens with SMART scopes (`docs/access.md`)."
    )
    trusted_network: bool = Field(
        False, description="Allow an address other than loopback while authentication is off."
    )
    clients: Path | None = Field(
        None, description="TOML file of clients that get tokens from this service itself; unset: none do."
    )
    issuers: str = Field(
        "", description="Addresses of further identity servers (OpenID) whose tokens are believed, separated by commas."
    )
    audience: str = Field(
        "", description="Whom tokens of those must be meant for (`aud`), separated by commas; default: the FHIR base."
    )
    keys: Path = Field(
        Path("var/keys"), description="Folder for the keys this service makes for itself, readable by it alone."
    )
    token_seconds: int = Field(300, ge=30, le=3_600, description="How long a token of this service holds.")
    clock_leeway_seconds: int = Field(30, ge=0, le=300, description="By how much clocks of those who sign may differ.")
    open_docs: bool = Field(
        False, description="Whether `/docs` and `/openapi.json` are shown without a token while authentication is on."
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
    view_seconds: float = Field(
        600,
        gt=0,
        le=86_400,
        description="How long `$viewdefinition-run` may take, with the time in which its rows are read; then it is "
        "broken off. Tables that take longer are for `$viewdefinition-export`.",
    )
    changes_waiters: int = Field(
        64, ge=0, le=10_000, description="Clients that may wait for changes (`$changes` with `wait`) in one process."
    )
    query_seconds: float = Field(
        30, ge=0, le=3_600, description="How long the database may take for one statement of a request; 0: any time."
    )
    max_connections: int = Field(1_000, ge=1, description="Most connections open at once, of one process.")
    max_requests: int = Field(
        256, ge=1, description="Most requests answered at once by one process; a further one is answered 503."
    )
    requests_per_second: float | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="How many requests one client may send on and on; a further one is answered 429. 0: any number. "
        "Default: 100, and any number while authentication is off.",
    )
    request_burst: int = Field(
        200, ge=1, le=1_000_000, description="How many requests one client may send at once before that counts."
    )
    max_header_bytes: int = Field(65_536, ge=1_024, description="Longest request line and headers accepted.")
    header_seconds: float = Field(20, gt=0, le=3_600, description="How long these may take to arrive.")
    upload_seconds: float = Field(60, gt=0, le=3_600, description="How long a request body may take to arrive.")
    unread_seconds: float = Field(
        60, gt=0, le=3_600, description="How long a client that reads nothing of an answer is waited for."
    )
    max_bodies_bytes: int = Field(
        268_435_456, ge=1_024, description="Most bytes of request bodies held at once by one process."
    )
    max_export_jobs: int = Field(
        20, ge=1, le=10_000, description="Most exports that wait or go on at once; a further one is answered 429."
    )
    max_client_export_jobs: int = Field(
        4, ge=1, le=10_000, description="Most of these of one client; while authentication is off nobody is told apart."
    )
    cors_origins: str = Field(
        "", description="Origins whose pages may call this service from a browser (CORS), separated by commas."
    )
    hosts: str = Field(
        "",
        description="Further names under which clients call this service while it listens to this machine only and "
        "authentication is off, separated by commas.",
    )
    max_body_bytes: int = Field(8_388_608, ge=1024, description="Largest request body accepted.")
    max_body_values: int = Field(
        500_000, ge=1_000, description="Most values, at any depth, of one body: what it takes in memory."
    )
    max_body_depth: int = Field(
        100, ge=10, le=100, description="Most levels of a body, in JSON or XML, inside each other."
    )
    max_bundle_entries: int = Field(5_000, ge=1, description="Most entries of one batch or transaction.")
    page_size: int = Field(50, ge=1, le=1000, description="Search results per page when `_count` is not given.")
    max_page_size: int = Field(1_000, ge=1, description="Largest `_count`; a larger one is lowered to this.")
    max_search_parameters: int = Field(64, ge=1, le=1_000, description="Most parameters of one search.")
    max_search_values: int = Field(
        10_000, ge=1, le=100_000, description="Most values one search compares with, those of value sets among them."
    )
    max_search_links: int = Field(5, ge=0, le=10, description="Most links of one chained parameter, or of `_has`.")
    max_search_included: int = Field(
        2_000, ge=1, le=100_000, description="Most resources that `_include` and `_revinclude` add to one page."
    )
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

    @property
    def own_address(self) -> str:
        """The address of this service that others are told where no request says it."""
        return self.public_url or f"http://{self.host}:{self.port}"

    @field_validator("sync_targets", "clients")
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

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: str) -> str:
        for each in filter(None, map(str.strip, value.split(","))):
            parts = urlsplit(each)
            if parts.scheme not in ("http", "https") or each != f"{parts.scheme}://{parts.netloc}" or "*" in each:
                raise ValueError("must be origins such as https://app.example.org, without a path, separated by commas")
        return value

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
    problems += _of_access(settings)
    if settings.export_s3_endpoint and not S3_ADDRESS.fullmatch(settings.export_files):
        problems.append("DERMATOME_EXPORT_S3_ENDPOINT: DERMATOME_EXPORT_FILES names no bucket (s3://BUCKET)")
    if problems:
        raise WrongSettings("\n".join(problems))
    return settings


def _of_access(settings: Settings) -> list[str]:
    """What would let in others than those who are meant."""
    problems = []
    is_reached = not is_loopback(settings.host)
    if settings.auth == "off" and is_reached and not settings.trusted_network:
        problems.append(
            f"HOST: {settings.host} can be reached by others and authentication is off; set DERMATOME_AUTH=smart, "
            "use a loopback address, or set DERMATOME_TRUSTED_NETWORK=true if everyone who can reach it may read "
            "and write everything"
        )
    if settings.auth == "smart" and not settings.public_url and (is_reached or not settings.port):
        problems.append(
            "DERMATOME_PUBLIC_URL: tokens name this server by the address that clients use, so with "
            "DERMATOME_AUTH=smart it must be set"
        )
    given = {"CLIENTS": settings.clients, "ISSUERS": settings.issuers, "AUDIENCE": settings.audience}
    if settings.auth == "off" and (unused := [f"{PREFIX}{name}" for name, value in given.items() if value]):
        problems.append(f"{', '.join(unused)}: only used with DERMATOME_AUTH=smart, and it is off")
    return problems


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
