"""Whatever process dies, whenever: every submission ends, and nothing is lost or doubled."""

import os
from pathlib import Path

import pytest

from infra.ids import new_id
from tests.faults.figures import harm_of, in_words
from tests.faults.kills import kill_at_random
from tests.fixtures.ledger import expect_consistent

ROUNDS = 20
"""`./dev faults` makes more of them, and says how soon work goes on."""


@pytest.mark.timeout(600)
async def test_killing_any_process_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Twenty kills at random moments: all submissions end as they should."""
    seed = int(os.environ.get("TRACSEQ_TEST_SEED", new_id().int % 2**32))
    print(f"TRACSEQ_TEST_SEED={seed}")  # noqa: T201 - how to see the same run again
    outcome = await kill_at_random(tmp_path, rounds=ROUNDS, seed=seed, say=print)
    print(in_words(outcome, seed))  # noqa: T201 - measured figures
    expect_consistent(outcome.ledger, outcome.expected)
    assert harm_of(outcome).none
