"""Narrative is safe XHTML or it is refused."""

import pytest

from app.validation.checks.narrative import narrative_flaws

XMLNS = 'xmlns="http://www.w3.org/1999/xhtml"'


@pytest.mark.parametrize(
    "div",
    [
        f"<div {XMLNS}>x</div>",
        f'<div {XMLNS}><table class="grid"><tr><td colspan="2">x</td></tr></table></div>',
        f'<div {XMLNS}><a href="https://example.org">x</a>&amp;&#160;</div>',
        f'<div {XMLNS}><img src="#p1" alt=""/></div>',
    ],
)
def test_basic_xhtml_is_fine(div: str) -> None:
    assert list(narrative_flaws(div)) == []


@pytest.mark.parametrize(
    ("div", "rule"),
    [
        ("<div>x</div>", "txt-1"),
        (f"<p {XMLNS}>x</p>", "txt-1"),
        (f"<div {XMLNS}>x", "txt-1"),
        (f"<div {XMLNS}>&nbsp;x</div>", "txt-1"),
        (f"<div {XMLNS}><script>x()</script></div>", "txt-1"),
        (f'<div {XMLNS} onclick="x()">x</div>', "txt-1"),
        (f'<div {XMLNS}><a href=" java\nscript:x()">x</a></div>', "txt-1"),
        (f'<!DOCTYPE d [<!ENTITY e "x">]><div {XMLNS}>&e;</div>', "txt-1"),
        (f"<?run x?><div {XMLNS}>x</div>", "txt-1"),
        (f"<div {XMLNS}> <p/> </div>", "txt-2"),
        ("\ud800", "txt-1"),
    ],
)
def test_anything_else_is_refused(div: str, rule: str) -> None:
    assert rule in [key for key, _ in narrative_flaws(div)]


def test_entity_bombs_are_not_expanded() -> None:
    entities = "".join(f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(20))
    bomb = f'<!DOCTYPE d [<!ENTITY a0 "x">{entities}]><div {XMLNS}>&a20;</div>'

    assert [key for key, _ in narrative_flaws(bomb)] == ["txt-1"]
