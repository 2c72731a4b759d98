"""What is hidden of a table of counts cannot be computed from what is told of it."""

from fractions import Fraction
from math import comb, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pain.cohort.content import cohort_content
from app.pain.cohort.suppression import TOTAL, Cell, hidden

_ROWS, _COLUMNS = ("a", "b", "c", "d"), ("x", "y", "z")
_CELLS = st.dictionaries(
    st.tuples(st.sampled_from(_ROWS), st.sampled_from(_COLUMNS)), st.integers(1, 40), min_size=1, max_size=12
)


def with_totals(cells: dict[Cell, int]) -> dict[Cell, int]:
    table: dict[Cell, int] = {}
    for (row, column), count in cells.items():
        for cell in ((row, column), (row, TOTAL), (TOTAL, column), (TOTAL, TOTAL)):
            table[cell] = table.get(cell, 0) + count
    return table


def computable(table: dict[Cell, int], unseen: frozenset[Cell]) -> set[Cell]:
    """The hidden cells that the equations of the rows and columns determine, by elimination."""
    names = sorted(unseen)
    rows, columns = ({cell[place] for cell in table} | {TOTAL} for place in (0, 1))
    lines = [[(row, column) for column in columns] for row in rows]
    lines += [[(row, column) for row in rows] for column in columns]
    # The sign of a total is the other one; which numbers are told has no part in what they determine.
    matrix = [[Fraction(_sign(name, line)) if name in line else Fraction(0) for name in names] for line in lines]
    return {names[place] for place in _determined(matrix, len(names))}


def _sign(cell: Cell, line: list[Cell]) -> int:
    is_row = len({each[0] for each in line}) == 1
    return -1 if cell[1 if is_row else 0] == TOTAL else 1


def _determined(matrix: list[list[Fraction]], width: int) -> list[int]:
    """The columns that have a row of their own in reduced row echelon form."""
    done = 0
    for column in range(width):
        pivot = next((row for row in range(done, len(matrix)) if matrix[row][column]), None)
        if pivot is None:
            continue
        matrix[done], matrix[pivot] = matrix[pivot], matrix[done]
        first = matrix[done][column]
        matrix[done] = [value / first for value in matrix[done]]
        for row in range(len(matrix)):
            if row != done and (factor := matrix[row][column]):
                matrix[row] = [a - factor * b for a, b in zip(matrix[row], matrix[done], strict=True)]
        done += 1
    alone = [[place for place, value in enumerate(row) if value] for row in matrix]
    return [places[0] for places in alone if len(places) == 1]


@given(_CELLS, st.integers(1, 12))
def test_no_hidden_count_can_be_computed_from_those_that_are_told(cells: dict[Cell, int], least: int) -> None:
    table = with_totals(cells)

    unseen = hidden(table, least)

    assert {cell for cell, count in table.items() if 0 < count < least} <= unseen
    assert computable(table, unseen) == set()


@given(_CELLS)
def test_nothing_is_hidden_where_every_group_is_large_enough(cells: dict[Cell, int]) -> None:
    assert hidden(with_totals(cells), 1) == frozenset()


def test_a_lone_small_cell_takes_as_few_with_it_as_it_can() -> None:
    table = with_totals({("a", "x"): 3, ("a", "y"): 20, ("b", "x"): 30, ("b", "y"): 40})

    unseen = hidden(table, 5)

    assert ("a", "x") in unseen
    assert len(unseen) == 4
    assert (TOTAL, TOTAL) not in unseen


@pytest.mark.parametrize("n", [*range(6, 60), 500, 937])
def test_the_interval_of_a_median_covers_it_as_often_as_it_says(n: int) -> None:
    z = cohort_content().z

    below, above = round(n / 2 - z * sqrt(n) / 2), round(1 + n / 2 + z * sqrt(n) / 2)

    # The true median lies between the values of these ranks unless fewer than `below` are beneath it, or beyond.
    covered = sum(comb(n, k) for k in range(below, above)) / 2**n
    assert covered >= 0.95
