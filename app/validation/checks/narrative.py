"""Whether narrative is safe, well-formed XHTML with content (R4 section 2.4.0.1: txt-1, txt-2)."""

import re
from collections.abc import Iterator
from xml.parsers import expat

XHTML = "http://www.w3.org/1999/xhtml"
_ELEMENTS = """
    p br div h1 h2 h3 h4 h5 h6 a span b em i strong small big tt dfn q var abbr acronym cite blockquote hr
    address bdo kbd sub sup ul ol li dl dt dd pre table caption colgroup col thead tr tfoot tbody th td code
    samp img map area
"""
_ATTRIBUTES = """
    title style class ID id idref lang xml:lang xml:space dir accesskey tabindex span width align valign char
    charoff abbr axis headers scope rowspan colspan
"""
_ALLOWED_ELEMENTS = frozenset(_ELEMENTS.split())
_ALLOWED_ATTRIBUTES = frozenset(_ATTRIBUTES.split())
_ATTRIBUTES_OF = {
    "a": ["href", "name", "charset", "type", "hreflang", "rel", "rev", "shape", "coords"],
    "img": ["src", "alt", "border", "longdesc", "height", "usemap", "ismap"],
    "map": ["name"],
    "area": ["shape", "coords", "href", "nohref", "alt"],
    "table": ["summary", "border", "frame", "rules", "cellspacing", "cellpadding"],
    "blockquote": ["cite"],
    "q": ["cite"],
    "td": ["nowrap"],
    "th": ["nowrap"],
    "pre": ["space"],
}
_LINKS = frozenset({"href", "src", "cite", "longdesc"})
_TEXT = re.compile(r"(?:^|>)[^<>]*[^<>\s]")
_MARK = re.compile(r"[<>&]")
# Links by which a browser runs what they hold, or shows it as a page of its own.
_UNSAFE = ("javascript:", "vbscript:", "livescript:", "data:")
# A picture that lies in its address is none of them.
_PICTURE = "data:image/"
# Styles by which old browsers run code, and other style sheets.
_STYLES = re.compile(r"expression\(|javascript:|vbscript:|behaviou?r:|-moz-binding|@import")
_STYLE_ESCAPE = re.compile(r"/\*.*?\*/|\\([0-9a-f]{1,6})\s?|\\", re.DOTALL | re.IGNORECASE)


_START, _END = f'<div xmlns="{XHTML}">', "</div>"
_LEAF = re.compile(r"<(p|b|i|em|strong|span|div|ul|ol|li|h[1-6]|table|thead|tbody|tr|td|th)>[^<>&]*</\1>")
_LONGEST = 10_000


def is_plain(text: str) -> bool:
    """Whether a div is surely fine: plain text in elements without attributes. Says no where it is not obvious."""
    if not (text.startswith(_START) and text.endswith(_END)) or len(text) > _LONGEST:
        return False
    inner = text[len(_START) : -len(_END)]
    if not inner.replace("\n", " ").isprintable() or not _TEXT.search(inner):
        return False
    count = 1
    while count:
        # What is left when the innermost elements are taken out, again and again.
        inner, count = _LEAF.subn("", inner)
    return not _MARK.search(inner)


class _Stop(Exception):
    pass


def _runs(link: str, *, is_picture: bool) -> bool:
    """Whether a browser that follows a link runs what it holds. Spaces and controls in it are skipped, as there."""
    plain = "".join(mark for mark in link if mark > " " and mark.isprintable()).lower()
    return plain.startswith(_UNSAFE) and not (is_picture and plain.startswith(_PICTURE))


def _unescaped(style: str) -> str:
    """A style as it is understood: without comments, `\\65` as e."""
    return _STYLE_ESCAPE.sub(lambda found: chr(min(int(found[1], 16), 0x10FFFF)) if found[1] else "", style)


def narrative_flaws(text: str) -> Iterator[tuple[str, str]]:
    """What is wrong with a div, as (rule, sentence); nothing if it is fine."""
    reader = _Reader()
    try:
        reader.read(text)
    except _Stop as stop:
        yield "txt-1", str(stop)
        return
    except (expat.ExpatError, ValueError):
        yield "txt-1", "The narrative is not well-formed XHTML"
        return
    for flaw in dict.fromkeys(reader.flaws):
        yield "txt-1", flaw
    if not reader.has_content:
        yield "txt-2", "The narrative must have content other than spaces"


class _Reader:
    """Follows the parser's events. No document type and so no entity of its own is accepted."""

    def __init__(self) -> None:
        self.flaws: list[str] = []
        self.has_content = False
        self.depth = 0

    def read(self, text: str) -> None:
        parser = expat.ParserCreate()
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.characters
        parser.StartDoctypeDeclHandler = self.refuse
        parser.EntityDeclHandler = self.refuse
        parser.ProcessingInstructionHandler = self.refuse
        parser.Parse(text, True)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > 200:
            raise _Stop("The narrative is nested too deeply")
        if self.depth == 1:
            self.check_root(name, attributes)
        elif name not in _ALLOWED_ELEMENTS:
            self.flaws.append("The narrative may hold only basic XHTML elements")
        if name == "img":
            self.has_content = True
        allowed = _ATTRIBUTES_OF.get(name, ())
        for attribute, value in attributes.items():
            self.check_attribute(attribute, value, allowed)

    def check_root(self, name: str, attributes: dict[str, str]) -> None:
        if name != "div":
            self.flaws.append("The narrative must be one div element")
        if attributes.get("xmlns") != XHTML:
            self.flaws.append(f"The div must be in the namespace {XHTML}")

    def check_attribute(self, name: str, value: str, allowed: object) -> None:
        if name.startswith("xmlns"):
            return
        if name not in _ALLOWED_ATTRIBUTES and name not in allowed:  # type: ignore[operator]
            self.flaws.append("The narrative may hold only basic XHTML attributes, and no event handler")
        elif name in _LINKS and _runs(value, is_picture=name == "src"):
            self.flaws.append("The narrative must not hold links that run code")
        elif name == "style" and _STYLES.search("".join(_unescaped(value).split()).lower()):
            self.flaws.append("The narrative must not hold styles that run code or load other styles")

    def end(self, name: str) -> None:
        self.depth -= 1

    def characters(self, text: str) -> None:
        if not self.has_content and text.strip():
            self.has_content = True

    def refuse(self, *_: object) -> None:
        raise _Stop("The narrative must not declare a document type, entities or processing instructions")
