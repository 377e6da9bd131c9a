"""What is asked for and what is held: the same answer here as the store would give."""

import pytest

from infra.store.wanted import EVERYWHERE, HIGHEST, LOWEST, AllOf, AnyOf, Span, condition, fits


@pytest.mark.parametrize(
    ("held", "wanted", "answer"),
    [
        ("red", "red", True),
        ("red", "blue", False),
        (None, "red", False),
        (["red", "blue"], "blue", True),
        (("red", "blue"), "green", False),
        ("red", AnyOf(("blue", "red")), True),
        (["green"], AnyOf(("blue", "red")), False),
        (["a:1", "b:2", "c:3"], AllOf(("a:1", "c:3")), True),
        (["a:1", "b:2"], AllOf(("a:1", "c:3")), False),
        (5, Span(5, 6), True),
        (6, Span(5, 6), False),
        (4, Span(5, 6), False),
        (None, EVERYWHERE, False),
        ("5", EVERYWHERE, False),
    ],
)
def test_what_is_held_fits_what_is_wanted(held: object, wanted: object, answer: object) -> None:
    """One value, one of several, all of several, a range that ends before its end."""
    assert fits(held, wanted) is answer


def test_a_store_is_asked_in_its_own_words() -> None:
    """Ranges are closed on both sides; of several values that must all be there, one is asked."""
    assert condition("red") == "red"
    assert condition(AnyOf(("red",))) == "red"
    assert condition(AnyOf(("red", "blue"))) == {"$in": ["red", "blue"]}
    assert condition(AllOf(("a:1", "b:2"))) == "a:1"
    assert condition(Span(below=9)) == {"$gte": LOWEST, "$lt": 9}
    assert condition(Span(low=9)) == {"$gte": 9, "$lt": HIGHEST}
