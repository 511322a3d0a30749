"""Each fault is tried a few times; `make reliability` tries it as often as is promised."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reliability.suite import FAULTS
from tests.reliability.trial import Fault, Shared, attempted

pytestmark = pytest.mark.skipif(os.name == "nt", reason="children are forked and killed by signal")


@pytest.fixture(scope="module")
def shared() -> Iterator[Shared]:
    with Shared() as made:
        yield made


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_a_fault_costs_nothing(fault: Fault, shared: Shared, tmp_path: Path) -> None:
    outcome = attempted(fault, tmp_path, shared, whole=False)
    assert not outcome.trial.verdict
