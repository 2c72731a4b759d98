"""Looks for keys, tokens and passwords in everything that is, or could be, committed.

    python -m tools.secret_scan [--renew]

Fails on what .secrets.baseline does not hold. The baseline names what was looked at and is none (examples, digests);
--renew writes it anew, and the change of it is what is to be reviewed. Nothing found is ever sent anywhere. A file
found to hold nothing is not read again until it or the scanner changes: var/secret-scan.json remembers.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path

from detect_secrets.core import baseline
from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import default_settings

BASELINE = Path(".secrets.baseline")
_EMPTY = Path("var/secret-scan.json")
# Digests by the hundred and no place for a secret: hashes of packages, verdicts named by the digest of a resource, and
# what earlier releases answered.
_LEFT_OUT = (
    "requirements.lock",
    "requirements-dev.lock",
    "requirements-examples.lock",
    "tests/validation/data/oracle.jsonl",
    "tests/kept/releases/*.json",
)
_SCANNER = f"detect-secrets {version('detect-secrets')}"


def files() -> list[str]:
    """Everything git keeps here, or would keep with the next commit."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], capture_output=True, check=True
    )
    names = listed.stdout.decode().split("\0")
    left_out = (*_LEFT_OUT, str(BASELINE))
    return sorted(name for name in names if Path(name).is_file() and not any(fnmatch(name, one) for one in left_out))


def found(names: Iterable[str]) -> SecretsCollection:
    """What looks like a secret in these files, to every detector there is."""
    secrets = SecretsCollection()
    with default_settings():
        secrets.scan_files(*names, num_processors=os.cpu_count() or 1)
    return secrets


def _looked_at() -> tuple[SecretsCollection, int]:
    """What all files hold that looks like a secret, and how many were read for it: not those known to hold nothing."""
    empty = _remembered()
    digests = {name: hashlib.sha256(_SCANNER.encode() + Path(name).read_bytes()).hexdigest() for name in files()}
    unknown = [name for name, digest in digests.items() if empty.get(name) != digest]
    secrets = found(unknown)
    holding = {name for name, _ in secrets}
    _EMPTY.parent.mkdir(exist_ok=True)
    kept = {name: digest for name, digest in digests.items() if name not in holding}
    _EMPTY.write_text(json.dumps(kept), "utf-8")
    return secrets, len(unknown)


def _remembered() -> dict[str, str]:
    try:
        return dict(json.loads(_EMPTY.read_text("utf-8")))
    except (OSError, ValueError):
        return {}


def _renew() -> int:
    secrets, _ = _looked_at()
    with default_settings():
        text = json.dumps(baseline.format_for_output(secrets) | {"generated_at": ""}, indent=2)
    BASELINE.write_text(text + "\n", "utf-8")
    count = sum(1 for _ in secrets)
    print(f"{BASELINE}: {count} places held to be no secrets; review the change before it is committed")
    return 0


def _scan() -> int:
    secrets, read = _looked_at()
    places = list(secrets - baseline.load(json.loads(BASELINE.read_text("utf-8"))))
    for name, secret in places:
        told = f"if it is none, tell so in {BASELINE} (python -m tools.secret_scan --renew)"
        print(f"{name}:{secret.line_number}: {secret.type}: {told}")
    print(f"secrets: {read} files read, {len(places)} places to look at")
    return int(bool(places))


if __name__ == "__main__":
    sys.exit(_renew() if "--renew" in sys.argv[1:] else _scan())
