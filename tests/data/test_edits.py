"""What a recipe changes about a folder: names, what is left out, and where pictures belong."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop_ft.core.dataset import DatasetManifest, Problem, Severity, Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.recipe import LEFT_OUT, DatasetChoice, Part, Recipe
from desktop_ft.data import edits
from desktop_ft.data.doubles import duplicates
from desktop_ft.data.edits import (
    EMPTIED,
    NOT_DRAWN,
    STALE,
    classes_left_out,
    edited,
    moved,
    pictures_left_out,
    prepared,
    put_back,
    relabelled,
    renamed,
    repaired,
)
from desktop_ft.data.splits import split
from tests.data.test_splits import manifest, sample

PLAIN = DatasetChoice(folder="/d")
contents = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 2), st.sampled_from([None, None, *Subset]), st.sampled_from(["", "copy"])),
    min_size=1,
    max_size=40,
    unique=True,
)


@st.composite
def folders(draw: st.DrawFn) -> DatasetManifest:
    """Scans of three classes, with copies, contradictions and subsets that the folder names."""
    found = {(s := sample(n, label, subset, name)).path: s for n, label, subset, name in draw(contents)}
    met = sorted({s.label for s in found.values()})
    samples = [replace(s, label=met.index(s.label)) for s in found.values()]
    made = replace(manifest(samples), classes=tuple(str(label) for label in met))
    return replace(made, problems=tuple(duplicates(made.samples, made.classes)))


Verb = tuple[str, tuple[str, ...], object]
names = st.sampled_from(["0", "1", "2", "new", "not there"])
verbs = st.one_of(
    st.tuples(st.just("name"), st.lists(names, min_size=1, max_size=3).map(tuple), names | st.just(LEFT_OUT)),
    st.tuples(st.just("back"), st.lists(names, min_size=1, max_size=3).map(tuple), st.none()),
    st.tuples(
        st.just("move"),
        st.lists(st.integers(0, 45).map(lambda n: sample(n, 0).sha256), min_size=1, max_size=8).map(tuple),
        st.none() | st.sampled_from(Part),
    ),
    st.tuples(
        st.just("label"),
        st.lists(st.integers(0, 45).map(lambda n: sample(n, 0).sha256), min_size=1, max_size=8).map(tuple),
        st.none() | names,
    ),
)


def done(scanned: DatasetManifest, dataset: DatasetChoice, verb: Verb) -> DatasetChoice:
    kind, which, what = verb
    if kind == "name":
        return renamed(dataset, scanned.classes, which, str(what))
    if kind == "back":
        return put_back(dataset, which)
    if kind == "label":
        called = {dataset.rename.get(found, found) for found in scanned.classes}
        return relabelled(dataset, scanned, which, str(what)) if what in called else relabelled(dataset, scanned, which, None)
    return moved(dataset, which, what if isinstance(what, Part) else None)


@settings(max_examples=200, deadline=None)
@given(folders(), st.lists(verbs, max_size=6), st.floats(0.05, 0.6))
def test_any_edits_lose_no_picture_and_count_none_twice(scanned: DatasetManifest, asked: list[Verb], val: float) -> None:
    dataset = DatasetChoice(folder="/d", val=val)
    before = prepared(scanned, dataset)
    for verb in asked:
        dataset = done(scanned, dataset, verb)
    made = prepared(scanned, dataset, before)
    assert made == prepared(scanned, dataset)  # what is used again changes nothing
    called = {found: dataset.rename.get(found, found) for found in scanned.classes}
    by_path = {s.path: s for s in scanned.samples}
    assert len({s.path for s in made.samples}) == len(made.samples)
    for s in made.samples:
        first = by_path.pop(s.path)
        assert made.classes[s.label] == called[dataset.labels.get(s.sha256, scanned.classes[first.label])]
        assert replace(s, label=first.label, subset=first.subset) == first
        assert s.subset is not None
        part = dataset.pictures.get(s.sha256)
        assert part is None or part.value == s.subset.value
    out = {s.path for s in pictures_left_out(scanned, dataset)}
    for path, lost in by_path.items():
        given_or_found = dataset.labels.get(lost.sha256, scanned.classes[lost.label])
        assert path in out or given_or_found in classes_left_out(dataset)
    assert list(made.classes) == sorted({made.classes[s.label] for s in made.samples})
    assert sum(made.counts().values()) == len(made.samples)
    # Whatever was done can be taken back piece by piece, and a recipe keeps it all.
    recipe = Recipe(dataset=dataset)
    assert Recipe.from_toml(recipe.to_toml(), "recipe") == recipe
    back = relabelled(moved(put_back(dataset, dataset.rename), dataset.pictures, None), scanned, dataset.labels, None)
    assert back == DatasetChoice(folder="/d", val=val)
    assert prepared(scanned, back, made) == before == split(scanned, val)


@settings(max_examples=100, deadline=None)
@given(folders(), st.data(), st.floats(0.05, 0.6))
def test_moving_a_picture_moves_no_other(scanned: DatasetManifest, data: st.DataObject, val: float) -> None:
    dataset = DatasetChoice(folder="/d", val=val)
    sha = data.draw(st.sampled_from(scanned.samples)).sha256
    before = {s.path: s.subset for s in prepared(scanned, dataset).samples}
    after = prepared(scanned, moved(dataset, [sha], data.draw(st.sampled_from([Part.TRAIN, Part.VAL, Part.TEST]))))
    assert {s.path for s in after.samples if s.subset is not before[s.path]} <= {
        s.path for s in scanned.samples if s.sha256 == sha
    }


def test_a_picture_is_given_another_class_under_whatever_name_that_has() -> None:
    scanned = manifest([sample(n, n % 3) for n in range(30)])
    sha, plain = sample(3, 0).sha256, prepared(scanned, PLAIN)
    dataset = relabelled(renamed(PLAIN, scanned.classes, ["1"], "one"), scanned, [sha], "one")
    assert dict(dataset.labels) == {sha: "1"}
    made = prepared(scanned, dataset)
    assert next(made.classes[s.label] for s in made.samples if s.sha256 == sha) == "one"
    assert len(made.samples) == len(plain.samples) and made.counts()["one"] == plain.counts()["1"] + 1
    assert relabelled(dataset, scanned, [sha], "0").labels == {}, "back where it lies it is no edit"
    with pytest.raises(UserError, match="no class 'cat'"):
        relabelled(PLAIN, scanned, [sha], "cat")


def test_a_class_or_picture_that_is_gone_makes_its_change_a_problem_and_no_error() -> None:
    scanned = manifest([sample(n, n % 3) for n in range(20)])
    dataset = PLAIN.model_copy(update={"labels": {sample(0, 0).sha256: "gone", sample(99, 0).sha256: "1"}})
    made = prepared(scanned, dataset)
    assert [problem.kind for problem in made.problems] == [STALE, STALE]
    assert made.samples == prepared(scanned, PLAIN).samples


def test_the_same_picture_in_two_classes_is_no_contradiction_once_it_has_one() -> None:
    twins = [sample(1, 0), replace(sample(1, 1), path="1/twin.jpg"), *(sample(n, n % 3) for n in range(12, 24))]
    scanned = manifest(twins)
    scanned = replace(scanned, problems=tuple(duplicates(scanned.samples, scanned.classes)))
    assert "contradicting-label" in [problem.kind for problem in prepared(scanned, PLAIN).problems]
    right = prepared(scanned, relabelled(PLAIN, scanned, [twins[1].sha256], "0"))
    assert not right.problems and right.counts()["0"] == 6


groups_of = st.lists(st.lists(st.integers(0, 40), min_size=2, max_size=5, unique=True), max_size=6)


@settings(max_examples=150, deadline=None)
@given(folders(), groups_of, st.floats(0.05, 0.6), st.floats(0.05, 0.6))
def test_a_repaired_split_leaves_no_group_torn(
    scanned: DatasetManifest, numbers: list[list[int]], val: float, later: float
) -> None:
    dataset, seen = DatasetChoice(folder="/d", val=val), set[str]()
    before = prepared(scanned, dataset)
    groups = []
    for own in numbers:
        shas = {sample(number, 0).sha256 for number in own} - seen
        seen |= shas
        groups.append([s for s in before.samples if s.sha256 in shas])
    mended = repaired(dataset, groups)
    torn = [group for group in groups if len({s.subset for s in group}) > 1]
    after = {s.path: s.subset for s in prepared(scanned, mended).samples}
    for group in torn:
        (subset,) = {after[s.path] for s in group}
        assert subset is (Subset.TRAIN if any(s.subset is Subset.TRAIN for s in group) else Subset.VAL)
    held = {s.sha256 for group in torn for s in group}
    assert set(mended.pictures) == held
    assert all(after[s.path] is s.subset for s in before.samples if s.sha256 not in held), "no other moved"
    again = {s.path: s.subset for s in prepared(scanned, mended.model_copy(update={"val": later})).samples}
    assert all(len({again[s.path] for s in group}) == 1 for group in torn), "nor does another share tear them"
    assert moved(mended, held, None) == dataset


def test_merging_keeps_every_picture_on_its_side() -> None:
    scanned = manifest([sample(n, n % 3) for n in range(300)])
    before = {s.path: s.subset for s in prepared(scanned, PLAIN).samples}
    merged = prepared(scanned, renamed(PLAIN, scanned.classes, ["0", "1"], "2"))
    assert merged.classes == ("2",)
    assert {s.path: s.subset for s in merged.samples} == before


def test_a_merged_class_can_be_renamed_and_taken_apart_again() -> None:
    found = ("a", "b", "c")
    merged = renamed(PLAIN, found, ["a"], "b")
    again = renamed(merged, found, ["b"], "d")
    assert dict(again.rename) == {"a": "d", "b": "d"}
    assert dict(put_back(again, ["a"]).rename) == {"b": "d"}
    assert renamed(put_back(again, ["a"]), found, ["d"], "b") == PLAIN  # called as it is found: no edit


def test_the_pictures_that_the_folder_holds_out_stay_so_when_all_of_them_are_moved() -> None:
    scanned = manifest([sample(n, n % 3, Subset.TRAIN) for n in range(30)] + [sample(99, 0, Subset.VAL)])
    made = prepared(scanned, moved(PLAIN, [sample(99, 0).sha256], Part.TRAIN))
    assert not made.of(Subset.VAL), "no share was asked for: the folder says what is held out"
    assert not prepared(scanned, moved(PLAIN, [sample(99, 0).sha256], Part.LEFT_OUT)).of(Subset.VAL)


def kinds(made: DatasetManifest) -> list[str]:
    return [problem.kind for problem in made.problems]


def test_what_edits_mend_is_no_problem_any_more() -> None:
    both = [sample(1, 0, Subset.TRAIN), sample(1, 1, Subset.VAL, "again"), sample(2, 2, Subset.TRAIN), sample(3, 2, Subset.VAL)]
    scanned = manifest(both)
    found = Problem(path="2/2.png", class_name="2", kind="cmyk", severity=Severity.NOTE, reason="Is.", cure="")
    scanned = replace(scanned, problems=(*duplicates(scanned.samples, scanned.classes), found))
    assert sorted(kinds(scanned)) == ["cmyk", "contradicting-label", "duplicate-across-subsets"]
    assert kinds(prepared(scanned, renamed(PLAIN, scanned.classes, ["0"], "1"))) == ["duplicate-across-subsets", "cmyk"]
    assert kinds(prepared(scanned, moved(PLAIN, [both[0].sha256], Part.VAL))) == ["contradicting-label", "cmyk"]
    assert "cmyk" not in kinds(prepared(scanned, renamed(PLAIN, scanned.classes, ["2"], LEFT_OUT)))
    (kept,) = [p for p in prepared(scanned, renamed(PLAIN, scanned.classes, ["2"], "two")).problems if p.kind == "cmyk"]
    assert kept.class_name == "two"


def test_edits_that_find_nothing_are_told() -> None:
    scanned = manifest([sample(n, n % 3) for n in range(9)])
    stale = DatasetChoice(folder="/d", rename={"gone": "x", "lost": ""}, pictures={"0" * 64: Part.VAL})
    told = [problem.reason for problem in prepared(scanned, stale).problems if problem.kind == STALE]
    assert ["renames the class 'gone' to 'x'" in told[0], "leaves out the class 'lost'" in told[1], "a picture" in told[2]] == [
        True
    ] * 3
    emptied = prepared(scanned, moved(PLAIN, [s.sha256 for s in scanned.samples if s.label == 1], Part.LEFT_OUT))
    assert kinds(emptied) == [EMPTIED] and emptied.classes == ("0", "2")


def test_what_is_not_edited_is_not_touched() -> None:
    scanned = manifest([sample(n, n % 3) for n in range(9)])
    assert edited(scanned, PLAIN) is scanned
    before = prepared(scanned, PLAIN)
    after = prepared(scanned, moved(PLAIN, [scanned.samples[0].sha256], Part.TEST), before)
    assert sum(one is other for one, other in zip(before.samples, after.samples, strict=True)) == 8


@pytest.mark.parametrize("name", [" a", "a\nb", "a\x07", "\udcff"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UserError):
        renamed(PLAIN, ["a"], ["a"], name)


def test_what_is_moved_is_counted() -> None:
    shas = [sample(n, 0).sha256 for n in range(5)]
    assert edits.tally(moved(moved(PLAIN, shas, Part.TEST), shas[:2], Part.LEFT_OUT)) == {"test": 3, "left_out": 2}


def test_a_recipe_that_takes_few_pictures_of_each_class_takes_them_from_training_alone_and_says_so() -> None:
    scanned = manifest([sample(n, n % 3, Subset.VAL if n % 5 == 0 else Subset.TRAIN) for n in range(90)])
    whole, few = prepared(scanned, PLAIN), prepared(scanned, PLAIN.model_copy(update={"images_per_class": 4}))
    assert few.of(Subset.VAL) == whole.of(Subset.VAL)
    assert set(few.counts(Subset.TRAIN).values()) == {4} and set(few.of(Subset.TRAIN)) < set(whole.of(Subset.TRAIN))
    (note,) = few.problems
    assert note.kind == NOT_DRAWN and note.severity is Severity.NOTE and "60 others" in note.reason
    assert prepared(scanned, PLAIN.model_copy(update={"images_per_class": 1000})) == whole  # there are no more: nothing to say


def test_a_recipe_that_takes_all_pictures_is_written_as_before_they_could_be_fewer() -> None:
    assert "images_per_class" not in Recipe(dataset=PLAIN).to_toml()
    few = Recipe(dataset=PLAIN.model_copy(update={"images_per_class": 5, "draw": 2}))
    assert Recipe.from_toml(few.to_toml(), "it") == few and few.digest() != Recipe(dataset=PLAIN).digest()
