"""ValueSet/$expand and $validate-code, over value sets known by URL, posted or stored (R4 valueset-operations.html)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.fhir.instants import instant
from app.fhir.outcomes import Issue, NotFound, Refused
from app.routers.operations import coding, held
from app.routers.operations.call import Call, answer
from app.routers.operations.code_systems import verdict
from app.routers.operations.coding import Coded, Finding
from app.store.idempotency import Answer
from app.terminology import Answer as Verdict
from app.terminology import Terminology
from app.terminology.expansion import ValueSet
from app.terminology.grammars import GRAMMARS
from app.terminology.listing import Listed, chosen, listing
from app.terminology.registry import composed

# R4: the expansion is not complete, and cannot be made so.
_UNCLOSED = "http://hl7.org/fhir/StructureDefinition/valueset-unclosed"
_MOST = 10_000
# Elements of a ValueSet that an expansion shows even without its definition (R4, $expand, includeDefinition).
_HEAD = ("resourceType", "id", "url", "version", "name", "title", "status", "experimental", "date", "publisher")


@dataclass(frozen=True, slots=True)
class _Known:
    """A value set: its resource as far as there is one, its definition, and the codes that can be told."""

    head: Mapping[str, Any]
    compose: Mapping[str, Any]
    codes: ValueSet

    @property
    def unclosed(self) -> list[str]:
        """The code systems of which it cannot be told which codes belong."""
        return sorted(self.codes.open_systems)


async def _known(call: Call, terminology: Terminology) -> _Known:
    """The value set asked about. Raises NotFound for a URL nobody knows."""
    match held.require_one(call, "url", "valueSet"):
        case "url":
            return _by_url(terminology, call.given.one("url"), call.given.one("valueSetVersion", ""))
        case "valueSet":
            resource = await held.posted(call, "valueSet")
        case _:
            resource = await held.stored(call)
    return _Known(resource, composed(resource), terminology.expanded(resource))


def _by_url(terminology: Terminology, canonical: str, version: str) -> _Known:
    url, _, named = canonical.partition("|")
    wanted = version or named
    found = terminology.value_set(f"{url}|{wanted}" if wanted else url)
    if found is None:
        told = "No value set of this url" + (" and version" if wanted else "") + " is known here."
        raise NotFound([Issue("not-found", told, "url")])
    # Of base R4 nothing but the definition is kept, so its status cannot be told.
    head = terminology.resource(url) or {"resourceType": "ValueSet", "url": url, "status": "unknown"}
    return _Known(head, terminology.compose(url) or {}, found)


async def validate_code(call: Call) -> Answer:
    """Whether a value set has a code. Raises Unprocessable where that cannot be told."""
    terminology = await held.terminology(call)
    known = await _known(call, terminology)
    findings = []
    for coded in coding.read(call, version="systemVersion"):
        coding.require_version(terminology, coded)
        findings.append(_found(terminology, known, coded))
    # Only a value set that others can know by its URL can be asked about elsewhere.
    is_public = bool(call.given.values.get("url"))
    server = call.service.terminology_server if is_public else None
    url = known.codes.url
    return verdict(coding.decided(await coding.asked_outside(server, findings, url)))


def _found(terminology: Terminology, known: _Known, coded: Coded) -> Finding:
    name = known.codes.url or "the value set"
    answer_ = terminology.among(known.codes, coded.system or None, coded.code)
    if answer_ is Verdict.VALID and not coded.system:
        coded = _with_system(known.codes, coded)
    message = {
        Verdict.INVALID: f"The code is not in {name}.",
        Verdict.UNCHECKED: f"Which codes of {', '.join(known.unclosed) or 'other systems'} are in {name} is not known.",
    }
    return coding.with_display(terminology, Finding(coded, answer_, message.get(answer_, "")))


def _with_system(codes: ValueSet, coded: Coded) -> Coded:
    """A code that was given bare, with the only system of the value set that has it."""
    systems = [system for system, held_codes in codes.codes.items() if coded.code in held_codes]
    if len(systems) > 1:
        told = f"The value set has this code of several code systems: {', '.join(systems)}."
        raise Refused([Issue("required", told, "system")])
    return Coded(coded.code, systems[0] if systems else "", coded.version, coded.display)


async def expand(call: Call) -> Answer:
    """The expansion. Raises Unprocessable where not even a part of it can be told."""
    terminology = await held.terminology(call)
    known = await _known(call, terminology)
    _require_told(known)
    listed = listing(known.codes, known.compose, terminology.code_system, terminology.compose)
    listed = _wanted(call, terminology, listed)
    offset, count = _page(call)
    if count is None and len(listed) - offset > _MOST:
        told = (
            f"The expansion has {len(listed)} codes; more than {_MOST} are given page by page, with count and offset."
        )
        raise Refused([Issue("too-costly", told, "count")])
    shown = listed[offset : None if count is None else offset + count]
    expansion = {
        **({"extension": [{"url": _UNCLOSED, "valueBoolean": True}]} if known.unclosed or known.codes.is_open else {}),
        "identifier": f"urn:uuid:{call.service.new_id()}",
        "timestamp": instant(call.service.clock()),
        "total": len(listed),
        "offset": offset,
        "parameter": _parameters(call, known),
        "contains": [_contained(call, terminology, each) for each in shown],
    }
    tree = {**_head(call, known), "expansion": {name: value for name, value in expansion.items() if value != []}}
    return answer(tree)


def _require_told(known: _Known) -> None:
    """Refuse to expand what cannot be told at all, or not as a list."""
    if any(known.codes.codes.values()) or not (known.unclosed or known.codes.is_open):
        return
    if known.codes.is_open:
        raise coding.unanswerable("the value set is made of what is not held here")
    if all(system in GRAMMARS for system in known.unclosed):
        told = f"The codes of {', '.join(known.unclosed)} are made by a grammar: there is no end of them."
        raise Refused([Issue("too-costly", told, "url")])
    raise coding.unanswerable(f"the codes of {', '.join(known.unclosed)} are not held here")


def _wanted(call: Call, terminology: Terminology, listed: list[Listed]) -> list[Listed]:
    given = call.given
    excluded = {each.partition("|")[0] for each in given.all("exclude-system")}
    listed = [each for each in listed if each.system not in excluded]
    if given.one("activeOnly"):
        listed = _active(terminology, listed)
    return chosen(listed, given.one("filter", ""))


def _active(terminology: Terminology, listed: list[Listed]) -> list[Listed]:
    told = [(each, terminology.is_active(each.system, each.code)) for each in listed]
    if untold := sorted({each.system for each, found in told if found is Verdict.UNCHECKED}):
        raise coding.unanswerable(f"which codes of {', '.join(untold)} are active is not held here")
    return [each for each, found in told if found is Verdict.VALID]


def _page(call: Call) -> tuple[int, int | None]:
    offset, count = call.given.one("offset", 0), call.given.one("count")
    wrong = [name for name, value in (("offset", offset), ("count", count)) if value is not None and value < 0]
    if wrong:
        raise Refused(Issue("value", f"{name} must be a number of 0 or more.", name) for name in wrong)
    return offset, count


def _parameters(call: Call, known: _Known) -> list[dict[str, Any]]:
    """What the expansion was made with, and what it is not closed over."""
    types = {"boolean": "valueBoolean", "integer": "valueInteger", "code": "valueCode", "string": "valueString"}
    made = [
        {"name": name, types.get(parameter.type, "valueUri"): value}
        for name, parameter in call.operation.parameters.items()
        if parameter.is_primitive and name not in ("url", "valueSetVersion")
        for value in call.given.all(name)
    ]
    made += [{"name": "unclosed-system", "valueUri": system} for system in known.unclosed]
    return [*made, *([{"name": "unclosed-import", "valueBoolean": True}] if known.codes.is_open else [])]


def _head(call: Call, known: _Known) -> dict[str, Any]:
    if call.given.one("includeDefinition"):
        if not {"compose", "expansion"} & set(known.head):
            raise coding.unanswerable("of this value set of base R4 the definition is not kept as it was written")
        return dict(known.head)
    return {name: known.head[name] for name in _HEAD if name in known.head}


def _contained(call: Call, terminology: Terminology, listed: Listed) -> dict[str, Any]:
    language = call.given.one("displayLanguage", "")
    concept = terminology.concept(listed.system, listed.code)
    display = (concept.named(language) if concept and language else "") or listed.display
    made: dict[str, Any] = {"system": listed.system, "code": listed.code}
    if display:
        made["display"] = display
    if concept and concept.designations and call.given.one("includeDesignations"):
        made["designation"] = list(concept.designations)
    return made
