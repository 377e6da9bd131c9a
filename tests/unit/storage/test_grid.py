"""Positions: how they are spelt and in which order they are filled."""

import re

import pytest

from services.storage.domain.grid import labels, reading_order, row_letters


def test_the_first_position_is_a01_and_rows_are_filled_one_after_the_other() -> None:
    """A box of 2 x 3 reads A01 A02 A03, then B01 B02 B03."""
    assert labels(2, 3) == ("A01", "A02", "A03", "B01", "B02", "B03")


@pytest.mark.parametrize(("row", "letters"), [(0, "A"), (25, "Z"), (26, "AA"), (31, "AF")])
def test_rows_beyond_z_have_two_letters(row: int, letters: str) -> None:
    """AA follows Z, up to the 32nd row."""
    assert row_letters(row) == letters


def test_every_label_of_the_largest_box_is_spelt_as_the_contract_says_and_none_twice() -> None:
    """32 x 32 gives 1,024 different labels of one or two letters and two digits."""
    largest = labels(32, 32)

    assert len(set(largest)) == 1_024
    assert all(re.fullmatch(r"[A-Z]{1,2}[0-9]{2}", label) for label in largest)


def test_reading_order_is_the_order_of_the_grid() -> None:
    """Sorting labels gives them as a person reads the box."""
    largest = labels(32, 32)

    alphabetical = sorted(largest)

    assert alphabetical != list(largest)
    assert sorted(alphabetical, key=reading_order) == list(largest)
