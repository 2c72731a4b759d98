"""Imports point down only: a package imports from rows below its own, never from its own row or above."""

import ast
from fnmatch import fnmatch
from pathlib import Path

import pytest

APP = Path(__file__).parent.parent / "app"
# docs/decisions.md says why cli and service have rows of their own.
ROWS = (
    {"__main__"},
    {"cli"},
    {
        "worker",
        "validate_files",
        "sync_commands",
        "export_command",
        "load_command",
        "access_commands",
        "audit_commands",
        "keeping_commands",
    },
    {"main"},
    {"routers", "working"},
    {"service"},
    {"sync", "export", "guide", "rights"},
    {"intake"},
    {"store", "validation", "mapping", "security", "views"},
    {"terminology"},
    {"pain"},
    {"fhir"},
    {"profiles", "settings", "outbound", "logs", "starting", "console"},
)
ROW = {name: row for row, names in enumerate(ROWS) for name in names}
MODULES = sorted(path for path in APP.rglob("*.py") if path != APP / "__init__.py")


def package_of(path: Path) -> str:
    return path.relative_to(APP).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The packages of ours a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "app":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("app."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("app.")}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(APP)))
def test_imports_point_down(path: Path) -> None:
    own = package_of(path)

    wrong = {name for name in imported(path) - {own} if ROW[name] <= ROW[own]}

    assert wrong == set()


ONLY_HERE = {
    "fhir.resources": ["fhir/resources.py"],
    "httpx": ["outbound/*", "sync/*"],
    "obstore": ["export/s3.py"],
    "sqlalchemy": ["store/**"],
}


@pytest.mark.parametrize("library", ONLY_HERE)
def test_a_library_is_imported_where_it_belongs(library: str) -> None:
    users = {
        str(path.relative_to(APP))
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        if name == library or name.startswith(f"{library}.")
    }

    strangers = {user for user in users if not any(fnmatch(user, place) for place in ONLY_HERE[library])}

    assert users
    assert strangers == set()


def test_only_settings_reads_the_environment() -> None:
    readers = {path.name for path in MODULES if "os.environ" in path.read_text("utf-8")}

    assert readers == {"settings.py"}
