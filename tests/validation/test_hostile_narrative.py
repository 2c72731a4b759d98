"""Narrative that would do something in the browser of whoever reads it (R4 2.4.0.1, txt-1): none is stored."""

import httpx
import pytest

from app.validation.checks.narrative import narrative_flaws
from tests.answers import count, issues

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">%s</div>'
HOSTILE = (
    *(
        "<script>alert(1)</script>",
        "<p onclick='x()'>a</p>",
        "<img src='x' onerror='x()'/>",
        "<svg onload='x()'>a</svg>",
    ),
    *("<iframe src='https://x.org'>a</iframe>", "<object data='x'>a</object>", "<embed src='x'/>", "<form>a</form>"),
    *(
        "<input value='a'/>",
        "<button>a</button>",
        "<base href='https://x.org'/>",
        "<meta charset='x'/>",
        "<style>a</style>",
    ),
    *("<link rel='stylesheet' href='x'/>", "<math>a</math>", "<template>a</template>", "<video src='x'>a</video>"),
    *("<a href='javascript:x()'>a</a>", "<a href=' java\nscript:x()'>a</a>", "<a href='JAVASCRIPT:x()'>a</a>"),
    *(
        "<a href='&#106;avascript:x()'>a</a>",
        "<a href='java&#x9;script:x()'>a</a>",
        "<a href='java&#x200b;script:x()'>a</a>",
    ),
    *("<a href='vbscript:x'>a</a>", "<a href='data:text/html,x'>a</a>", "<a href='data:image/svg+xml,x'>a</a>"),
    *(
        "<img src='javascript:x()'/>",
        "<img src='data:text/html,x'/>",
        "<blockquote cite='javascript:x()'>a</blockquote>",
    ),
    *(
        "<p style='width: expression(x())'>a</p>",
        "<p style='w: e\\78pression(x)'>a</p>",
        "<p style='w: ex/**/pression(x)'>a</p>",
    ),
    *(
        "<p style='background: url(javascript:x())'>a</p>",
        "<p style='behavior: url(x)'>a</p>",
        "<p style='-moz-binding: url(x)'>a</p>",
    ),
    *(
        "<p xlink:href='x' xmlns:xlink='http://www.w3.org/1999/xlink'>a</p>",
        "<x:script xmlns:x='http://www.w3.org/1999/xhtml'>a</x:script>",
    ),
    *(
        "<p formaction='x'>a</p>",
        "<p srcdoc='x'>a</p>",
        "<a target='_blank' href='x'>a</a>",
        "<?php x ?>a",
        "&nbsp;&x;",
    ),
)
FINE = (
    *(
        "<p style='color: red; background: url(tbl_bck0.png)'>a</p>",
        "<a href='https://x.org'>a</a>",
        "<a href='#x'>a</a>",
    ),
    *(
        "<img src='data:image/png;base64,AAAA' alt='a'/>",
        "<a name='a'>b</a>",
        "<a href='Patient/1'>a</a>",
        "a &lt;script&gt;",
    ),
)


@pytest.mark.parametrize("inner", HOSTILE)
def test_what_would_run_in_a_browser_is_a_flaw(inner: str) -> None:
    assert list(narrative_flaws(DIV % inner))


@pytest.mark.parametrize("inner", FINE)
def test_what_only_looks_like_it_is_none(inner: str) -> None:
    assert not list(narrative_flaws(DIV % inner))


ENTITIES = (
    '<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><div xmlns="http://www.w3.org/1999/xhtml">&b;</div>'
)


@pytest.mark.parametrize(
    "div", [*(DIV % each for each in HOSTILE[:4]), ENTITIES, DIV % ("<p>" * 5_000 + "</p>" * 5_000)]
)
async def test_none_of_it_is_stored(client: httpx.AsyncClient, div: str) -> None:
    text = {"status": "generated", "div": div}
    inside = {"resourceType": "Patient", "id": "a", "text": text}

    answers = [
        await client.post("/fhir/Patient", json={"resourceType": "Patient", "text": text}),
        await client.put("/fhir/Patient/one", json={"resourceType": "Patient", "id": "one", "contained": [inside]}),
        await client.post(
            "/fhir/Patient",
            json={"resourceType": "Patient", "contained": [inside], "generalPractitioner": [{"reference": "#a"}]},
        ),
    ]

    assert {each.status_code for each in answers} <= {400, 422}
    assert "txt-1" in {issue["details"]["coding"][0]["code"] for issue in issues(answers[0])}
    assert await count(client, "Patient") == 0
