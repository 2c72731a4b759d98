"""Links to patients: those of Patient.link, and the references of whatever resource."""

from collections.abc import Mapping
from typing import Any

from app.fhir.references import local, rewrite
from app.rights.person import PATIENT

Tree = dict[str, Any]
REPLACED, REPLACES = "replaced-by", "replaces"


def others(patient: Tree, kind: str) -> list[str]:
    """The ids of the patients that one has links of a kind to, "" for whoever is not told by a reference."""
    return [_other(each) for each in patient.get("link", ()) if each.get("type") == kind]


def linked(patient: Tree, other: str, kind: str) -> list[Any]:
    """The links of a patient, and that one."""
    known = list(patient.get("link", ()))
    new = {"other": {"reference": f"{PATIENT}/{other}"}, "type": kind}
    return known if other in others(patient, kind) else [*known, new]


def unlinked(patient: Tree, other: str, kind: str) -> Tree:
    """The patient without that link."""
    kept = [each for each in patient.get("link", ()) if (each.get("type"), _other(each)) != (kind, other)]
    rest = {name: value for name, value in patient.items() if name != "link"}
    return rest | ({"link": kept} if kept else {})


def pointed(text: bytes, old: str, new: str, base: str) -> bytes:
    """The text with its references to the one patient as it is now, whichever that is, to the other."""

    def replaced(link: str) -> str:
        return link.replace(f"{PATIENT}/{old}", f"{PATIENT}/{new}") if _is_to(link, old, base) else link

    return rewrite(text, replaced)


def mentions(text: bytes, patient: str, base: str) -> int:
    """How many references a text has to a patient as it is now, whichever that is."""
    found: list[str] = []

    def seen(link: str) -> str:
        found.append(link)
        return link

    rewrite(text, seen)
    return sum(_is_to(link, patient, base) for link in found)


def _is_to(link: str, patient: str, base: str) -> bool:
    return local(link, base) == (PATIENT, patient, "")


def _other(link: Mapping[str, Any]) -> str:
    found = local(str(link.get("other", {}).get("reference", "")).rpartition(f"/{PATIENT}/")[2], "")
    return found[1] if found else ""
