"""Arbitrary answers to any instrument, complete or not."""

from typing import Any

from hypothesis import strategies as st

from app.pain.instruments.types import Answer, Instrument, Item

Answers = dict[str, Answer]


def answers(one: Instrument, *, complete: bool = False) -> st.SearchStrategy[Answers]:
    """Legal answers; at least one, unless they are complete."""
    each = {item.key: answer(item) for item in one.items}
    return st.fixed_dictionaries(each) if complete else st.fixed_dictionaries({}, optional=each).filter(bool)


def answer(item: Item) -> st.SearchStrategy[Any]:
    if item.kind == "choice":
        return st.sampled_from([option.key for option in item.options])
    return st.booleans() if item.kind == "boolean" else st.integers(item.low, item.high)
