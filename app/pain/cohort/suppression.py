"""Which cells of a table of counts must not be told, so that nobody in a small group can be made out.

The threshold rule: a count from 1 to less than the threshold is not told (Federal Committee on Statistical
Methodology, Statistical Policy Working Paper 22, 2005, where thresholds of 3 and 5 are usual; CMS uses 11; both stated
from the publications, not re-read). Totals are cells as well.
Complementary suppression: the totals of a row and of a column are the sums of their cells, so a lone hidden cell could
be computed. The hidden cells are the edges of a graph between rows and columns: the sums determine a cell exactly
where its edge is a bridge, i.e. on no cycle. Cells are hidden until there is none.
"""

from collections.abc import Mapping, Set
from typing import Any

Cell = tuple[str, str]  # (row, column); "" is the total
TOTAL = ""


def hidden(counts: Mapping[Cell, int], least: int) -> frozenset[Cell]:
    """The cells that are not told. counts: those of a whole table with its totals; a cell that is not there is 0.

    Further cells are hidden where they are needed: the smallest first, and those with nobody in them last.
    """
    table = _whole(counts)
    found = {cell for cell, count in table.items() if 0 < count < least}
    while lone := _bridges(found):
        found.add(min(table.keys() - found, key=lambda cell: _harm(cell, table, found, lone)))
    return frozenset(found)


def _harm(cell: Cell, table: Mapping[Cell, int], found: Set[Cell], lone: Set[Cell]) -> tuple[Any, ...]:
    """The less, the sooner a cell is hidden: one that closes a cycle, else one beside a lone cell, and no total."""
    closes = _connected(found, ("row", cell[0]), ("column", cell[1]))
    is_near = any(cell[0] == row or cell[1] == column for row, column in lone)
    return table[cell] == 0, not closes, not is_near, TOTAL in cell, table[cell], cell


def _whole(counts: Mapping[Cell, int]) -> dict[Cell, int]:
    rows, columns = ({cell[place] for cell in counts} | {TOTAL} for place in (0, 1))
    return {(row, column): counts.get((row, column), 0) for row in sorted(rows) for column in sorted(columns)}


def _bridges(edges: Set[Cell]) -> set[Cell]:
    """The edges on no cycle: without them their ends are not connected."""
    return {edge for edge in edges if not _connected(edges - {edge}, ("row", edge[0]), ("column", edge[1]))}


def _connected(edges: Set[Cell], start: tuple[str, str], end: tuple[str, str]) -> bool:
    reached, waiting = {start}, [start]
    while waiting:
        kind, name = waiting.pop()
        place, other = (0, "column") if kind == "row" else (1, "row")
        for edge in edges:
            node = (other, edge[1 - place])
            if edge[place] == name and node not in reached:
                reached.add(node)
                waiting.append(node)
    return end in reached
