"""What people select transactions by at the command line, as the service is asked for it."""

from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
import typer
from pydantic import ValidationError
from typer.testing import CliRunner

from contracts.transaction import ListTransactions, TransactionFilter, TransactionStatus
from services.cli.exits import Exit
from services.cli.outcome import CliError
from services.cli.saga import listing, rebuild
from services.cli.saga.listing import selection


def select(  # noqa: PLR0917 - as many as there are filters
    status: Iterable[TransactionStatus] | None = None,
    saga_type: str | None = None,
    step: str | None = None,
    attribute: Iterable[str] | None = None,
    started_after: str | None = None,
    changed_before: str | None = None,
) -> dict[str, object]:
    """Select by some of the filters."""
    return selection(
        status=status,
        saga_type=saga_type,
        step=step,
        actor=None,
        correlation=None,
        attribute=attribute,
        started_after=started_after,
        started_before=None,
        changed_before=changed_before,
    )


def test_what_was_not_said_is_left_out() -> None:
    """The defaults are the service's own."""
    assert select() == {}


def test_what_was_said_is_a_filter() -> None:
    """Of lists and of orders to many alike; a time without an offset is UTC."""
    said = select(
        status=[TransactionStatus.FAILED, TransactionStatus.PAUSED],
        saga_type="sample_intake",
        step="reserve",
        attribute=["file:a.csv"],
        started_after="2026-01-31",
        changed_before="2026-02-01T08:00:00+02:00",
    )
    for kind in (TransactionFilter, ListTransactions):
        asked = kind.model_validate(said)
        assert asked.status == [TransactionStatus.FAILED, TransactionStatus.PAUSED]
        assert (asked.saga_type, asked.step) == ("sample_intake", "reserve")
        assert asked.attribute == ["file:a.csv"]
        assert asked.started_after == datetime(2026, 1, 31, tzinfo=UTC)
        assert asked.changed_before == datetime(2026, 2, 1, 6, tzinfo=UTC)


def test_lists_and_orders_to_many_know_the_same_filters() -> None:
    """Whatever can be listed can be ordered, and is named alike."""
    placed = {"min_seq", "page", "page_size"}
    assert set(ListTransactions.model_fields) - placed == set(TransactionFilter.model_fields)
    for name, field in TransactionFilter.model_fields.items():
        assert ListTransactions.model_fields[name].annotation == field.annotation


def test_a_filter_that_is_none_selects_nothing() -> None:
    """A misspelt one would otherwise select everything."""
    with pytest.raises(ValidationError, match="stauts"):
        TransactionFilter.model_validate({"stauts": ["failed"]})
    with pytest.raises(ValidationError, match="attribute"):
        TransactionFilter.model_validate({"attribute": ["file"]})


def test_a_time_that_is_none_is_refused() -> None:
    """Before anything is asked."""
    with pytest.raises(CliError, match="cannot be read") as caught:
        select(started_after="yesterday")
    assert caught.value.code is Exit.USAGE


@pytest.mark.parametrize("name", ["list", "rebuild"])
def test_the_commands_are_there(name: str) -> None:
    """Each says what it does."""
    group = typer.Typer()
    listing.register(group)
    rebuild.register(group)
    result = CliRunner().invoke(group, [name, "--help"])
    assert result.exit_code == 0
    assert "transactions" in result.stdout
