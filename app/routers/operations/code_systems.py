"""CodeSystem/$lookup, $validate-code and $subsumes, over the code systems held here (R4 codesystem-operations.html)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.fhir.outcomes import Issue, NotFound, Refused
from app.routers.operations import coding, held
from app.routers.operations.call import Call, parameters, part, parts
from app.routers.operations.coding import Coded, Finding
from app.store.idempotency import Answer
from app.terminology import Answer as Verdict
from app.terminology import Terminology
from app.terminology.concepts import Concept, subsumption
from app.terminology.expansion import CodeSystem
from app.terminology.registry import system_of

_OWN_PROPERTIES = ("parent", "child", "definition")


async def lookup(call: Call) -> Answer:
    """What is known of a code. Raises NotFound for a code that does not exist, Unprocessable where that is unknown."""
    terminology = await held.terminology(call)
    (coded, *_) = codes = coding.read(call)
    coding.require_system(codes)
    coding.require_version(terminology, coded)
    concept = terminology.concept(coded.system, coded.code)
    if concept is None:
        raise _unknown(terminology, coded)
    known = terminology.code_system(coded.system)
    language = call.given.one("displayLanguage", "")
    return parameters(
        part("name", "String", terminology.name_of(coded.system)),
        part("version", "String", known.version if known else ""),
        part("display", "String", (concept.named(language) if language else "") or concept.display or concept.code),
        *(_designation(each) for each in concept.designations),
        *_properties(concept, call.given.all("property")),
    )


def _unknown(terminology: Terminology, coded: Coded) -> Refused:
    match terminology.has_code(coded.system, coded.code):
        case Verdict.INVALID:
            return NotFound([Issue("not-found", f"{coded.system} has no such code.")])
        case Verdict.VALID:
            return coding.unanswerable(f"{coded.system} has this code by its grammar, which says no more of it")
    return coding.unanswerable(_not_held(terminology, coded.system))


def _not_held(terminology: Terminology, system: str) -> str:
    if terminology.is_known(system):
        return f"of {system} only a part is held, and the code is not in it"
    return f"the code system {system} is not held here"


def _designation(said: Mapping[str, Any]) -> dict[str, Any]:
    inner = [part("language", "Code", said.get("language")), part("value", "String", said.get("value"))]
    if "use" in said:
        inner.insert(1, part("use", "Coding", said["use"]))
    return parts("designation", *inner)


def _properties(concept: Concept, wanted: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The properties asked for, all if none is named; `parent` and `child` are those of the hierarchy."""
    own = {"parent": concept.parents, "child": concept.children, "definition": [concept.definition]}
    for name in _OWN_PROPERTIES:
        type_ = "String" if name == "definition" else "Code"
        for value in own[name] if not wanted or name in wanted else ():
            if value:
                yield parts("property", part("code", "Code", name), part("value", type_, value))
    for each in concept.properties:
        if each["code"] not in _OWN_PROPERTIES and (not wanted or each["code"] in wanted):
            key = next(name for name in each if name.startswith("value"))
            yield parts("property", part("code", "Code", each["code"]), {"name": "value", key: each[key]})


async def validate_code(call: Call) -> Answer:
    """Whether a code system has a code. Raises Unprocessable where that cannot be told."""
    terminology = await held.terminology(call)
    system = await _system(call, "url", "codeSystem")
    if isinstance(system, CodeSystem):
        terminology = terminology.joined_by(system)
    url = system.url if isinstance(system, CodeSystem) else system
    codes = [_within(each, url) for each in coding.read(call)]
    findings = []
    for coded in codes:
        coding.require_version(terminology, coded)
        findings.append(_found(terminology, coded, url))
    server = None if isinstance(system, CodeSystem) else call.service.terminology_server
    return verdict(coding.decided(await coding.asked_outside(server, findings)))


def verdict(finding: Finding) -> Answer:
    """The answer of $validate-code."""
    return parameters(
        part("result", "Boolean", finding.answer is Verdict.VALID),
        part("message", "String", finding.message),
        part("display", "String", finding.display),
    )


def _within(coded: Coded, url: str) -> Coded:
    return coded if coded.system else Coded(coded.code, url, coded.version, coded.display)


def _found(terminology: Terminology, coded: Coded, url: str) -> Finding:
    if coded.system != url:
        return Finding(coded, Verdict.INVALID, f"The code is one of {coded.system}, not of {url}.")
    answer = terminology.has_code(url, coded.code)
    message = {
        Verdict.INVALID: f"{url} has no such code.",
        Verdict.UNCHECKED: f"This cannot be told here: {_not_held(terminology, url)}.",
    }
    return coding.with_display(terminology, Finding(coded, answer, message.get(answer, "")))


async def subsumes(call: Call) -> Answer:
    """How code A stands to code B. Raises Unprocessable where that cannot be told."""
    terminology = await held.terminology(call)
    asked = await _system(call, "system")
    (a, *_), (b, *_) = coding.read(call, ending="A"), coding.read(call, ending="B")
    url = asked.url if isinstance(asked, CodeSystem) else asked or a.system or b.system
    if not url:
        raise Refused([Issue("required", "Say of which code system the codes are.", "system")])
    if {each.system for each in (a, b)} - {"", url}:
        raise Refused([Issue("value", f"Both codes must be of {url}.", "Parameters.parameter")])
    system = asked if isinstance(asked, CodeSystem) else terminology.code_system(url)
    for each in (a, b):
        coding.require_version(terminology, _within(each, url))
    return parameters(part("outcome", "Code", _outcome(terminology, system, url, a.code, b.code)))


def _outcome(terminology: Terminology, system: CodeSystem | None, url: str, a: str, b: str) -> str:
    if system is None:
        raise coding.unanswerable(_not_held(terminology, url))
    if outcome := subsumption(system, a, b):
        return outcome
    if system.is_complete:
        raise NotFound([Issue("not-found", f"{url} does not have both codes.")])
    raise coding.unanswerable(_not_held(terminology, url))


async def _system(call: Call, *names: str) -> CodeSystem | str:
    """The code system asked about: stored or posted, or the URL of one, "" where a coding may say it."""
    if call.resource_id:
        held.require_one(call, *names)
        return _read(await held.stored(call))
    if "codeSystem" in names and call.given.values.get("codeSystem"):
        return _read(await held.posted(call, "codeSystem"))
    url: str = call.given.one(names[0], "")
    if not url and names[0] == "url":
        raise Refused([Issue("required", "Give one of the parameters url, codeSystem.", "url")])
    return url


def _read(resource: Mapping[str, Any]) -> CodeSystem:
    if "url" not in resource:
        raise coding.unanswerable("the CodeSystem has no url, so no code can be said to be of it")
    return system_of(resource)
