"""Reads the classes of medicines, and the names by which a medicine told in words is recognised."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from app.pain.reading import squeezed
from app.pain.rules.medicines import Form, MedicineClass, Pharmacy

if TYPE_CHECKING:
    from app.pain.content import Listing

_OPTIONS = {"label", "codings", "prefixes", "drugs", "names", "classes", "form", "unsaid"}
_OPTIONS |= {"unsaid-routes", "other-forms", "without"}


def medicine_classes(rows: Mapping[str, Any], systems: Mapping[str, str], drugs: "Listing") -> dict[str, MedicineClass]:
    """Classes by name; one may take in others that stand before it. Raises ValueError where a name is not known."""
    found: dict[str, MedicineClass] = {}
    for name, row in rows.items():
        listed = {*row.get("drugs", ()), *row.get("unsaid", ()), *row.get("without", ())}
        listed |= {drug for form in row.get("form", ()) for drug in form["drugs"]}
        problems = [f"unknown option {key}" for key in sorted(set(row) - _OPTIONS)]
        problems += [f"class {one} does not stand before it" for one in row.get("classes", ()) if one not in found]
        problems += [f"unknown drug {one}" for one in sorted(listed - set(drugs.rows))]
        if problems:
            raise ValueError(f"guidelines: class {name}: {'; '.join(problems)}")
        found[name] = _class(row, systems, drugs, [found[one] for one in row.get("classes", ())])
    return found


def pharmacy(drugs: "Listing", atc: str, classes: Mapping[str, MedicineClass]) -> Pharmacy:
    """Recognises medicines by every name of the list and of the classes."""
    own = {name: name for one in classes.values() for name in one.drugs if name not in drugs.rows}
    return Pharmacy(drugs, atc, {**own, **drugs.names}, frozenset(key for one in classes.values() for key in one.keys))


def _class(
    row: Mapping[str, Any], systems: Mapping[str, str], drugs: "Listing", parts: list[MedicineClass]
) -> MedicineClass:
    codes = [(systems[one["system"]], one["code"]) for one in row.get("codings", ())]
    groups = [one["code"] for one in row.get("codings", ()) if one["system"] == "atc"]
    names = (drugs.names.get(squeezed(one), squeezed(one)) for one in row.get("names", ()))
    return MedicineClass(
        label=row["label"],
        drugs=frozenset([*row.get("drugs", ()), *names]).union(*(part.drugs for part in parts)),
        atc=(*groups, *(one["prefix"] for one in row.get("prefixes", ())), *(p for part in parts for p in part.atc)),
        keys=frozenset(key for key in codes if key[0] != systems["atc"]).union(*(part.keys for part in parts)),
        forms=(*(_form(one) for one in row.get("form", ())), *(form for part in parts for form in part.forms)),
        unsaid=frozenset(row.get("unsaid", ())).union(*(part.unsaid for part in parts)),
        unsaid_routes=frozenset(row.get("unsaid-routes", ())).union(*(part.unsaid_routes for part in parts)),
        other_forms=tuple(
            dict.fromkeys([*row.get("other-forms", ()), *(w for part in parts for w in part.other_forms)])
        ),
        without=frozenset(row.get("without", ())),
    )


def _form(row: Mapping[str, Any]) -> Form:
    return Form(frozenset(row["drugs"]), frozenset(row.get("routes", ())), tuple(row.get("words", ())))
