"""Full text: the same words are found on both databases."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlmodel import col

from app.store.audit.rows import Agent
from app.store.database import Database
from app.store.index.columns import tsvector
from app.store.index.fulltext import LENGTH, check, matches, text_row, words_of
from app.store.parameters import load_parameters
from app.store.repository import Change, Stored, save
from app.store.tables import Version

RESOURCES: dict[str, dict[str, Any]] = {
    "burning": {"resourceType": "Condition", "code": {"text": "Burning pain, Füße (both)"}},
    "numb": {"resourceType": "Condition", "note": [{"text": "Numbness; no pain at night"}]},
    "told": {
        "resourceType": "Condition",
        "text": {"status": "generated", "div": '<div><p title="a > b">Tingling&#160;toes &amp; feet</p></div>'},
    },
}
FOUND = [
    ("_content", "pain", {"burning", "numb"}),
    ("_content", "PAIN Burning", {"burning"}),
    ("_content", "fusse", {"burning"}),
    ("_content", "Füße", {"burning"}),
    ("_content", '"burning pain"', {"burning"}),
    ("_content", '"pain burning"', set()),
    ("_content", "numb", set()),
    ("_content", "numb*", {"numb"}),
    ("_content", "(burning OR night) AND pain", {"burning", "numb"}),
    ("_content", "pain NOT night", {"burning"}),
    ("_content", "burning or tingling", {"burning", "told"}),
    ("_content", "p", set()),
    ("_content", "title", set()),
    ("_text", "toes feet", {"told"}),
    ("_text", "pain", set()),
]


@pytest.fixture
async def database(bare_database_url: str) -> AsyncIterator[Database]:
    async with Database(bare_database_url) as database:
        await database.migrate()
        changes = [Change(Stored("Condition", name, 1, "PUT", 0, b"{}"), tree) for name, tree in RESOURCES.items()]
        async with database.writing() as connection:
            parameters = load_parameters()
            await save(connection, changes, parameters=parameters, agent=Agent("", ""), base="")
        yield database


async def test_words_are_found(database: Database) -> None:
    found = {}
    async with database.reading() as connection:
        for where, text, _ in FOUND:
            statement = select(col(Version.id)).where(matches(where, text, col(Version.vid)))
            found[where, text] = set((await connection.execute(statement)).scalars())

    assert found == {(where, text): names for where, text, names in FOUND}


REFUSED = [
    ("", "at least one word"),
    ("!?", "at least one word"),
    ("NOT pain", "beside what must not be there"),
    ("(NOT a) b", "beside what must not be there"),
    ("a OR", "both sides of OR"),
    ("OR a", "both sides of OR"),
    ("a OR NOT b", "after something"),
    ("a NOT", "after NOT"),
    ("(a", "other half"),
    ("a)", "other half"),
    ("(" * 30 + "a" + ")" * 30, "too many parentheses"),
    ("a " * 120, "at most"),
]


@pytest.mark.parametrize(("text", "reason"), REFUSED, ids=[each[0][:12] for each in REFUSED])
def test_a_query_that_asks_for_nothing_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as raised:
        check(text)

    assert reason in str(raised.value)


async def test_every_query_that_is_accepted_can_be_run(database: Database) -> None:
    """Whatever is typed either gets a reason or an answer, also from the engine."""
    parts = [
        "pain",
        '"',
        "(",
        ")",
        "OR",
        "AND",
        "NOT",
        "*",
        "a-b*",
        "'",
        ":",
        "&",
        "|",
        "!",
        "\\",
        "<->",
        "ü",
        "{",
        "^",
    ]
    texts = [f"{a} {b} {c}" for a in parts for b in parts for c in parts]
    async with database.reading() as connection:
        for text in texts[::7]:
            try:
                wanted = matches("_content", text, col(Version.vid))
            except ValueError:
                continue
            await connection.execute(select(col(Version.id)).where(wanted))


@given(text=st.text(max_size=200))
def test_words_hold_letters_and_digits_only(text: str) -> None:
    words = words_of(text)

    assert all(word.isalnum() for word in words)
    assert len(tsvector(" ".join(words)).split()) == len(set(words))


def test_a_very_long_text_is_indexed_from_its_beginning() -> None:
    made = text_row({"resourceType": "Basic", "language": "de", "code": {"text": "wort " * LENGTH}})

    assert made["content"].startswith("de wort wort")
    assert LENGTH - 10 < len(made["content"]) <= LENGTH
