"""The grammar of positions: row letters and a two-digit column, row by row from A01.

Boxes have at most 32 rows, so that AA follows Z. It knows nothing of what a position holds.
"""

from functools import lru_cache

LETTERS = 26
SHAPES_MAX = 64
"""Box shapes whose labels are remembered; a laboratory uses a handful."""


def row_letters(row: int) -> str:
    """Give the letters of a row, counted from 0: A to Z, then AA."""
    return chr(ord("A") + row) if row < LETTERS else "A" + chr(ord("A") + row - LETTERS)


@lru_cache(maxsize=SHAPES_MAX)
def labels(rows: int, columns: int) -> tuple[str, ...]:
    """Give every label of a box, row by row: A01, A02 ... B01 ..."""
    return tuple(
        f"{row_letters(row)}{column:02d}" for row in range(rows) for column in range(1, columns + 1)
    )


def reading_order(label: str) -> tuple[int, str]:
    """Sort labels as a person reads a box: row by row, Z before AA."""
    return len(label), label
