"""Which networks the cards show, and which one suits whose pictures."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from desktop_ft.core.backbone import BackboneSpec, Interpolation, ResizeRule, WeightsOrigin, WeightsSource
from desktop_ft.core.offers import (
    LONGEST_LOOK_S,
    MOST_GFLOPS,
    MOST_WORK_GFLOPS,
    NEAR_ENOUGH,
    Aim,
    Offer,
    PictureFacts,
    Speed,
    picks,
    recommend,
)


def offer(
    name: str,
    gflops: float | None,
    top1: float | None,
    *,
    local: bool = False,
    commercial: bool = True,
    origin: WeightsOrigin = WeightsOrigin.DOWNLOAD,
    speed: float = 0.0,
    side: int = 224,
) -> Offer:
    return Offer(
        spec=BackboneSpec(
            name=name,
            family="F",
            parameters=1000,
            gflops=gflops,
            top1=top1,
            resize=ResizeRule(crop=side, resize=side, interpolation=Interpolation.BILINEAR),
            mean=(0, 0, 0),
            std=(1, 1, 1),
            head="fc",
            weights=WeightsSource(origin=origin, licence="L", commercial_use=commercial, bytes=5_000_000),
            source="S",
        ),
        local=local,
        speed=Speed(pictures_per_second=speed, device="CPU") if speed else None,
    )


SMALL, MIDDLE, LARGE = offer("small", 0.3, 70.0, local=True), offer("middle", 4.0, 80.0), offer("large", 40.0, 86.0)
THREE = (SMALL, MIDDLE, LARGE)
NAMED = {Aim.SPEED: "small", Aim.BALANCE: "middle", Aim.ACCURACY: "large"}


def names(*offers: Offer) -> dict[Aim, str]:
    return {aim: chosen.spec.name for aim, chosen in picks(offers).items()}


def test_each_aim_has_the_most_accurate_network_within_its_work() -> None:
    assert names(*THREE, offer("slow and bad", 45.0, 60.0), offer("worse", 0.2, 65.0)) == NAMED


def test_what_is_unknown_or_may_not_be_used_by_everybody_is_not_picked() -> None:
    others = (
        offer("secret", 1.0, None),
        offer("unmeasured", None, 99.0),
        offer("not for business", 0.1, 99.0, commercial=False),
        offer("no weights", 0.1, 99.0, origin=WeightsOrigin.NONE),
        offer("fetched by hand", 0.1, 99.0, origin=WeightsOrigin.BY_HAND),
    )
    assert names(*THREE, *others) == NAMED
    assert picks(others) == {}


def test_what_is_on_this_machine_goes_before_a_little_more_accuracy() -> None:
    better = offer("better", 0.3, 70.0 + NEAR_ENOUGH)
    assert names(*THREE, better)[Aim.SPEED] == "small"
    much_better = replace(better, spec=replace(better.spec, top1=70.1 + NEAR_ENOUGH))
    assert names(*THREE, much_better)[Aim.SPEED] == "better"


def test_one_network_is_not_shown_twice() -> None:
    assert names(SMALL) == {Aim.SPEED: "small"}
    assert names(MIDDLE, offer("large and worse", 50.0, 75.0)) == {Aim.BALANCE: "middle"}


def advice(count: int, side: int = 500, *, accelerated: bool = False, offers: tuple[Offer, ...] = THREE) -> tuple[Aim, str]:
    told = recommend(picks(offers), PictureFacts(count=count, side=side), accelerated=accelerated)
    assert told is not None
    return told.aim, told.reason


def test_the_more_pictures_the_less_work_for_each() -> None:
    assert [advice(count)[0] for count in (100, 1000, 10_000)] == [Aim.ACCURACY, Aim.BALANCE, Aim.SPEED]
    assert advice(10_000, accelerated=True)[0] is Aim.ACCURACY
    assert "4,000 GFLOPs" in advice(1000)[1] and "The more accurate large needs 40,000 GFLOPs" in advice(1000)[1]
    assert "The least work" in advice(10**6)[1] and "on this machine" in advice(10**6)[1]
    assert "a download of 5.0 MB" in advice(100)[1]


def test_what_was_measured_goes_before_what_is_reckoned() -> None:
    fast = (SMALL, MIDDLE, offer("large", 40.0, 86.0, speed=1000.0))
    assert advice(1000, offers=fast)[0] is Aim.ACCURACY and "1 s to look at all once, as measured" in advice(1000, offers=fast)[1]
    slow = (SMALL, offer("middle", 4.0, 80.0, speed=0.1), LARGE)
    assert advice(1000, offers=slow)[0] is Aim.SPEED


def test_small_pictures_are_not_blown_up() -> None:
    large = (SMALL, MIDDLE, offer("large", 40.0, 86.0, side=480))
    assert advice(100, 240, offers=large)[0] is Aim.ACCURACY
    aim, reason = advice(100, 239, offers=large)
    assert aim is Aim.BALANCE and "only enlarge them from 239 to 480 pixels" in reason
    assert advice(1, 28, offers=large)[0] is Aim.SPEED  # there must be one


def test_without_pictures_or_networks_nothing_is_recommended() -> None:
    assert recommend(picks(THREE), PictureFacts(count=0, side=0), accelerated=False) is None
    assert recommend({}, PictureFacts(count=10, side=100), accelerated=False) is None


@given(
    st.lists(
        st.tuples(
            st.floats(0.01, 500), st.floats(30, 95), st.booleans(), st.sampled_from([0.0, 0.5, 50.0]), st.integers(32, 600)
        ),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 10**6),
    st.integers(1, 3000),
    st.booleans(),
)
def test_what_is_recommended_can_be_afforded_or_is_the_least(
    drawn: list[tuple[float, float, bool, float, int]], count: int, side: int, accelerated: bool
) -> None:
    offers = [offer(f"n{k}", g, t, local=here, speed=v, side=s) for k, (g, t, here, v, s) in enumerate(drawn)]
    chosen = picks(offers)
    assert all((each.spec.gflops or 0) <= MOST_GFLOPS[aim] for aim, each in chosen.items())
    told = recommend(chosen, PictureFacts(count=count, side=side), accelerated=accelerated)
    assert told is not None and told.aim in chosen
    taken = chosen[told.aim]
    if taken.speed is not None:
        affordable = count / taken.speed.pictures_per_second <= LONGEST_LOOK_S
    else:
        affordable = (taken.spec.gflops or 0) * count <= MOST_WORK_GFLOPS[accelerated]
    least = next(aim for aim in Aim if aim in chosen)
    assert told.aim is least or (affordable and taken.spec.resize.crop <= 2 * side)
