"""Parses XML into plain elements: no document type, no entities, bounded depth; the narrative as it was written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from app.fhir.outcomes import Issue, Refused
from app.fhir.scan import place

FHIR = "http://hl7.org/fhir"
XHTML = "http://www.w3.org/1999/xhtml"
XML = "http://www.w3.org/XML/1998/namespace"
MAX_DEPTH = 200


@dataclass(slots=True)
class Element:
    """One element. attributes: by name, with the namespace and a space in front where it has one.

    xhtml: the text of the whole element, of the outermost of the XHTML namespace.
    """

    namespace: str
    name: str
    attributes: Mapping[str, str]
    line: int
    column: int
    children: list["Element"] = field(default_factory=list)
    has_text: bool = False
    xhtml: str = ""


def parse(text: bytes) -> Element:
    """The root element of UTF-8 text. Raises Refused for what is no XML or may not be sent (R4 2.6.1.0)."""
    reader = _Reader(text)
    try:
        # The parser would take UTF-16 too, by its byte order mark.
        text.decode("utf-8")
        reader.parser.Parse(text, True)
    except UnicodeDecodeError as error:
        told = f"The body is not UTF-8 at byte {error.start}."
        raise _refused(told, *place(text[: error.start].decode("utf-8"), None), "dmt-json-encoding") from None
    except expat.ExpatError as error:
        told = (
            f"The body is not XML: {expat.ErrorString(error.code)} at line {error.lineno}, column {error.offset + 1}."
        )
        raise _refused(told, error.lineno, error.offset + 1, "dmt-xml") from None
    return reader.root


class _Reader:
    def __init__(self, text: bytes) -> None:
        self.text = text
        self.open: list[Element] = []
        # The narrative that is open: how deep it began, at which byte, and its text as put together here.
        self.narrative: tuple[int, int] | None = None
        self.parts: list[str] = []
        self.parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.XmlDeclHandler = self.declaration
        self.parser.StartDoctypeDeclHandler = self.refuse_doctype
        self.parser.EntityDeclHandler = self.refuse_doctype
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.characters

    def declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding and encoding.lower() not in ("utf-8", "utf8"):
            self.stop("XML is exchanged in UTF-8; the declaration names another encoding.", "dmt-xml-encoding")

    def refuse_doctype(self, *_: object) -> None:
        self.stop("XML with a document type or entities is not read.", "dmt-xml-doctype")

    def start(self, full_name: str, attributes: dict[str, str]) -> None:
        if len(self.open) >= MAX_DEPTH:
            self.stop(f"The body is nested deeper than {MAX_DEPTH} levels.", "dmt-json-depth")
        namespace, _, name = full_name.rpartition(" ")
        line, column = self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1
        element = Element(namespace, name, attributes, line, column)
        if self.narrative is None and self.open:
            self.open[-1].children.append(element)
        if self.narrative is None and namespace == XHTML:
            self.narrative, self.parts = (len(self.open), self.parser.CurrentByteIndex), []
        if self.narrative is not None:
            self.parts.append(_opened(element, is_outermost=self.narrative[0] == len(self.open)))
        self.open.append(element)

    def end(self, full_name: str) -> None:
        element = self.open.pop()
        if self.narrative is not None:
            self.parts.append(f"</{element.name}>")
            depth, start = self.narrative
            if depth == len(self.open):
                element.xhtml = self.as_written(start) or "".join(self.parts)
                self.narrative = None
        if not self.open:
            self.root = element

    def characters(self, text: str) -> None:
        if self.narrative is not None:
            self.parts.append(escape(text))
        elif text.strip():
            self.open[-1].has_text = True

    def as_written(self, start: int) -> str:
        """The narrative as it stands in the text, if it would mean the same by itself; else ""."""
        end = self.text.find(b">", self.parser.CurrentByteIndex) + 1
        written = self.text[start:end].decode("utf-8")
        alone = expat.ParserCreate(namespace_separator=" ")
        names: list[str] = []
        alone.StartElementHandler = lambda name, _: names.append(name)
        try:
            alone.Parse(written, True)
        except expat.ExpatError:
            return ""
        return written if names and names[0] == f"{XHTML} div" and written.startswith("<div") else ""

    def stop(self, told: str, rule: str) -> NoReturn:
        raise _refused(told, self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1, rule)


def _opened(element: Element, *, is_outermost: bool) -> str:
    """The start of an element of the narrative, without prefixes: they may be declared outside of it."""
    attributes = {name.replace(f"{XML} ", "xml:"): value for name, value in element.attributes.items()}
    if is_outermost or element.namespace != XHTML:
        attributes = {"xmlns": element.namespace} | attributes
    told = "".join(f" {name.rpartition(' ')[2]}={quoteattr(value)}" for name, value in attributes.items())
    return f"<{element.name}{told}>"


def _refused(told: str, line: int, column: int, rule: str) -> Refused:
    return Refused([Issue("structure", told, rule=rule, line=line, column=column)])
