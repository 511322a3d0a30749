"""Inputs that are made ahead are those that would have been made later, and none is kept for longer than it is wanted."""

import gc
import threading
import weakref
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from desktop_ft.engine.ahead import Ahead
from tests.engine.test_stages import recurring
from tests.engine.tiny import RecurringTiny


@pytest.fixture
def batches() -> RecurringTiny:
    return recurring()


def test_what_is_made_ahead_is_what_is_asked_for(batches: RecurringTiny) -> None:
    keys = batches.training_keys or []
    ahead = Ahead(batches, keys)
    with ahead.making():
        torch.testing.assert_close(ahead.inputs(keys[:2]), batches.inputs(keys[:2]), rtol=0, atol=0)
    for some in (keys[2:9], keys[9:], keys):
        assert torch.equal(ahead.inputs(some), batches.inputs(some))


def test_it_is_made_while_the_block_runs_and_not_begun_after(batches: RecurringTiny, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = batches.training_keys or []
    begun, go_on = threading.Event(), threading.Event()
    made: list[str] = []

    def slowly(asked: Sequence[str]) -> Tensor:
        made.extend(asked)
        begun.set()
        go_on.wait()
        return RecurringTiny.inputs(batches, asked)

    monkeypatch.setattr(batches, "inputs", slowly)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)  # one makes inputs
    ahead = Ahead(batches, keys)
    with ahead.making():
        assert begun.wait(10)
        threading.Timer(0.01, go_on.set).start()  # the end waits for what is under way, and calls off the rest
    assert made[0] == keys[0] and len(made) < len(keys)
    assert torch.equal(ahead.inputs(keys), RecurringTiny.inputs(batches, keys))
    assert sorted(made) == sorted(keys)


def test_what_was_given_is_let_go_of(batches: RecurringTiny, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[weakref.ref[Tensor]] = []
    keys = batches.training_keys or []
    all_made = threading.Event()

    def watched(asked: Sequence[str]) -> Tensor:
        made = RecurringTiny.inputs(batches, asked)
        seen.append(weakref.ref(made))
        if len(seen) == len(keys):
            all_made.set()
        return made

    monkeypatch.setattr(batches, "inputs", watched)
    ahead = Ahead(batches, keys)
    with ahead.making():
        assert all_made.wait(10)
    ahead.inputs(keys)
    gc.collect()
    assert not any(made() is not None for made in seen)


def test_what_cannot_be_made_is_told_when_it_is_asked_for(batches: RecurringTiny, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = batches.training_keys or []

    def gone(asked: Sequence[str]) -> Tensor:
        if keys[1] in asked:
            raise FileNotFoundError(keys[1])
        return RecurringTiny.inputs(batches, asked)

    monkeypatch.setattr(batches, "inputs", gone)
    ahead = Ahead(batches, keys)
    with ahead.making():
        pass
    ahead.inputs(keys[:1])
    with pytest.raises(FileNotFoundError):
        ahead.inputs(keys[1:3])
