"""Counts what torch computes, in floating-point operations, by torch's own formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch has not typed it
    """Counts the floating-point operations in its block, as torch's own `FlopCounterMode` does of such blocks.

    That one loads torch's compiler with the first operation, to tell it to stay away: 800 modules, 1.5 s of a
    new process's first run.

    Attributes:
        total: counted so far. What torch knows no formula of (additions, normalisations) counts nothing.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total: int = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing here is ever compiled: it need not be told

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """What `func` gives; counted by its formula, or by those of the operations that it is made of."""
        kwargs = kwargs or {}
        formula = flop_registry.get(func._overloadpacket)
        if formula is None:
            with self:
                made = func.decompose(*args, **kwargs)
            if made is not NotImplemented:
                return made
        given = func(*args, **kwargs)
        if formula is not None:
            self.total += int(formula(*args, **kwargs, out_val=given))
        return given
