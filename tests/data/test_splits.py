"""Which side a picture is on, and that it stays there."""

import hashlib
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from desktop_ft.core.dataset import DatasetManifest, Layout, Sample, Subset
from desktop_ft.data.splits import drawn, place, split


def sample(content: int, label: int, subset: Subset | None = None, name: str = "") -> Sample:
    sha = hashlib.sha256(str(content).encode()).hexdigest()
    path = f"{label}/{name}{content}.png"
    return Sample(path=path, label=label, subset=subset, sha256=sha, width=4, height=4, bytes=9, mtime_ns=0)


def manifest(samples: list[Sample], classes: int = 3) -> DatasetManifest:
    names = tuple(str(number) for number in range(classes))
    return DatasetManifest(
        root="/d", source="/d", layout=Layout.CLASS_FOLDERS, classes=names, samples=tuple(samples), problems=()
    )


def sides(samples: list[Sample], val: float) -> dict[str, Subset | None]:
    return {s.path: s.subset for s in split(manifest(samples), val).samples}


def one_sided(samples: list[Sample], val: float) -> set[int]:
    """Classes that the threshold alone leaves without a picture on one side."""
    both: dict[int, set[bool]] = {}
    for s in samples:
        both.setdefault(s.label, set()).add(place(s.sha256) < val)
    return {label for label, seen in both.items() if len(seen) == 1}


contents = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 2)), max_size=60, unique_by=lambda item: item[0])
shares = st.floats(0.05, 0.6)


@settings(max_examples=200, deadline=None)
@given(contents, contents, shares)
def test_adding_pictures_moves_no_other(first: list[tuple[int, int]], more: list[tuple[int, int]], val: float) -> None:
    known = {content for content, _ in first}
    start = [sample(*item) for item in first]
    grown = start + [sample(*item) for item in more if item[0] not in known]
    before, after = sides(start, val), sides(sorted(grown, key=lambda s: s.path, reverse=True), val)
    moved = [s for s in start if before[s.path] is not after[s.path]]
    small = one_sided(start, val)
    assert all(s.label in small for s in moved)
    assert len(moved) <= len({s.label for s in moved})


@settings(max_examples=200, deadline=None)
@given(contents, shares)
def test_every_class_has_both_sides_where_it_can(items: list[tuple[int, int]], val: float) -> None:
    samples = [sample(*item) for item in items]
    done = split(manifest(samples), val)
    train, held_out = done.counts(Subset.TRAIN), done.counts(Subset.VAL)
    for name, count in done.counts().items():
        assert bool(train[name]) == (count > 0)
        assert bool(held_out[name]) == (count > 1)


@settings(max_examples=100, deadline=None)
@given(contents, shares)
def test_equal_bytes_are_on_one_side(items: list[tuple[int, int]], val: float) -> None:
    twice = [sample(content, label, name=name) for content, label in items for name in ("", "copy")]
    done = split(manifest(twice), val)
    by_content: dict[str, set[Subset | None]] = {}
    for s in done.samples:
        by_content.setdefault(s.sha256, set()).add(s.subset)
    assert all(len(subsets) == 1 for subsets in by_content.values())


def test_the_share_held_out_is_near_what_was_asked_for_in_each_class() -> None:
    done = split(manifest([sample(n, n % 3) for n in range(6000)]), 0.2)
    assert all(340 < count < 460 for count in done.counts(Subset.VAL).values())


def test_what_the_folder_says_is_kept() -> None:
    named = [sample(1, 0, Subset.TRAIN), sample(2, 1, Subset.VAL), sample(3, 0, Subset.TEST), sample(4, 1)]
    assert [s.subset for s in split(manifest(named), 0.9).samples] == [Subset.TRAIN, Subset.VAL, Subset.TEST, Subset.TRAIN]


def test_a_folder_without_validation_gives_it_some_of_its_training_pictures() -> None:
    named = [sample(n, n % 3, Subset.TRAIN) for n in range(300)] + [sample(1000 + n, n % 3, Subset.TEST) for n in range(30)]
    done = split(manifest(named), 0.3)
    assert len(done.of(Subset.TEST)) == 30
    assert 60 < len(done.of(Subset.VAL)) < 120


@settings(max_examples=200, deadline=None)
@given(contents, contents, st.integers(0, 20), st.integers(0, 20), st.integers(0, 3))
def test_what_fewer_take_is_among_what_more_take_and_of_each_class_no_more(
    items: list[tuple[int, int]], more: list[tuple[int, int]], one: int, other: int, draw: int
) -> None:
    samples = [sample(*item) for item in items]
    few, many = drawn(samples, min(one, other), draw), drawn(samples, max(one, other), draw)
    assert set(few) <= set(many) <= set(samples)
    sizes = Counter(s.label for s in samples)
    assert Counter(s.label for s in many) == Counter({label: min(size, max(one, other)) for label, size in sizes.items()})
    known = {content for content, _ in items}
    grown = [*samples, *(sample(*item) for item in more if item[0] not in known)]
    assert set(drawn(grown[::-1], one, draw)) & set(samples) <= set(drawn(samples, one, draw))


def test_another_draw_takes_others_and_the_same_draw_the_same() -> None:
    samples = [sample(content, 0) for content in range(50)]
    draws = {drawn(samples, 10, draw) for draw in range(5)}
    assert len(draws) == 5 and drawn(samples, 10, 3) in draws
