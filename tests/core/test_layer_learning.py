"""What is said of how the layers of a run learn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_ft.core.events import LayerSeen, LayersSeen
from desktop_ft.core.layer_learning import CURES, LayerState, Sign, remarks, share, states, together


def look(epoch: int, **layers: tuple[float, float, float | None]) -> LayersSeen:
    told = tuple(LayerSeen(path=path, gradient=g, update=u, drift=d) for path, (g, u, d) in layers.items())
    return LayersSeen(epoch=epoch, layers=told)


@pytest.mark.parametrize(
    ("first", "second", "sign"),
    [
        ((1.0, 1e-3, 0.01), (1.0, 0.0, 0.02), None),  # the schedule's last steps move nothing
        ((1.0, 1e-3, None), (1.0, 1e-3, None), None),
        ((1.0, 1e-7, 1e-5), (1.0, 1e-8, 1e-5), Sign.STILL),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), Sign.NO_GRADIENT),
        ((1.0, 1e-2, 0.05), (1.0, 1e-2, 0.2), Sign.FORGETS),
    ],
)
def test_what_is_wrong_with_a_layer(
    first: tuple[float, float, float | None], second: tuple[float, float, float | None], sign: Sign | None
) -> None:
    found = states([look(0, layer=first), look(1, layer=second)])["layer"]
    assert found.sign is sign
    assert (found.gradient, found.update, found.drift) == second


def test_one_epoch_is_too_few_to_say_that_a_layer_does_not_learn() -> None:
    assert states([look(0, layer=(1.0, 0.0, 0.0))])["layer"].sign is None


def test_only_what_learned_last_is_told_of() -> None:
    assert set(states([look(0, old=(1.0, 0.1, None)), look(1, new=(1.0, 0.1, None))])) == {"new"}
    assert states([]) == {}


def test_each_sign_is_told_once_with_what_to_do() -> None:
    found = {f"layer{number}": LayerState(gradient=1.0, update=0.0, drift=0.0, sign=Sign.STILL) for number in range(5)}
    found["good"] = LayerState(gradient=1.0, update=0.1, drift=0.0)
    (said,) = remarks(found)
    assert said.startswith("layer0, layer1, layer2 …: does not learn.") and said.endswith(CURES[Sign.STILL])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0 %"),
        (1e-9, "< 0.0001 %"),
        (3.456e-6, "0.0003 %"),
        (0.00354, "0.35 %"),
        (0.0234, "2.3 %"),
        (0.14, "14 %"),
        (1.7, "170 %"),
    ],
)
def test_shares_as_people_read_them(value: float, said: str) -> None:
    assert share(value) == said


shares = st.floats(0, 10)
a_state = st.builds(LayerState, gradient=shares, update=shares, drift=shares | st.none(), sign=st.sampled_from([*Sign, None]))


@given(st.lists(a_state, min_size=1))
def test_a_part_is_as_bad_as_its_worst_layer(parts: list[LayerState]) -> None:
    whole = together(parts)
    assert whole is not None
    assert whole.gradient == pytest.approx(sum(part.gradient**2 for part in parts) ** 0.5)
    assert whole.update == max(part.update for part in parts)
    assert (whole.sign is None) is all(part.sign is None for part in parts)
    assert (whole.drift is None) is all(part.drift is None for part in parts)
    assert together([]) is None
