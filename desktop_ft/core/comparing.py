"""What fine-tuning is compared with, as data: a plan gives the recipes of its runs, and their figures make one value."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, product
from typing import Self

from pydantic import Field, field_validator, model_validator

from desktop_ft.core.errors import UserError
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.language import marked, tr, tr_n
from desktop_ft.core.metrics import Interval
from desktop_ft.core.recipe import Recipe
from desktop_ft.core.values import Described
from desktop_ft.core.words import duration

SURE = 0.05
"""A p below which a difference is more than chance explains: the usual one in twenty, for all tests together."""
ALL = 0
"""In place of a number of pictures: all there are."""
_MOST_LETTERS = 60
MOST_EPOCHS = 100
"""However much time there is: more looks at a few pictures teach little, and each is one more chance to pick a lucky epoch."""


class Strategy(Described):
    """A way to train that is compared with others.

    Attributes:
        name: its preset of what learns, by which the command line and files call it.
        title, text: for a person; English, to be looked up where they are shown.
    """

    name: str
    title: str
    text: str

    def recipe(self, base: Recipe) -> Recipe:
        """`base`, trained this way: what learns and what it starts from are the strategy's, all else stays."""
        plan = FreezePlan(preset=self.name, backbone_rate=base.freeze.backbone_rate, batch_norm=base.freeze.batch_norm)
        backbone = base.backbone if plan.pretrained else base.backbone.model_copy(update={"weights": ""})
        return base.model_copy(update={"freeze": plan, "backbone": backbone, "changes": ()})


SCRATCH = Strategy(
    name="scratch",
    title=marked("from scratch"),
    text=marked("No pre-trained weights: the whole network learns from your pictures alone."),
)
STRATEGIES = (
    SCRATCH,
    Strategy(
        name="head", title=marked("head only"), text=marked("The pre-trained network stays as it is; only a new head learns.")
    ),
    Strategy(name="last:2", title=marked("last blocks"), text=marked("The head and the last two blocks learn.")),
    Strategy(
        name="all", title=marked("all"), text=marked("Everything learns, the pre-trained layers more slowly than the head.")
    ),
    Strategy(
        name="discriminative",
        title=marked("discriminative"),
        text=marked("Everything learns, the more slowly the nearer to the input."),
    ),
)
"""Those that are compared by default; any other preset of `FreezePlan` that stays the same throughout is one, too."""


class Variant(Strategy):
    """The recipe as it is, but for some of its augmentation.

    Attributes:
        without: the transforms that are left out, wherever they stand.
    """

    without: tuple[str, ...] = ()

    def recipe(self, base: Recipe) -> Recipe:
        """`base` without them."""
        kept = tuple(spec for spec in base.augmentation if spec.transform not in self.without)
        return base.model_copy(update={"augmentation": kept, "changes": ()})


AS_IT_IS = Variant(name="as-it-is", title=marked("as it is"), text=marked("With all of its augmentation."))
_WITHOUT = "without:"


def without(*transforms: str) -> Variant:
    """The recipe as it is, without `transforms`."""
    named = ", ".join(transforms)
    return Variant(
        name=_WITHOUT + "+".join(transforms),
        title=tr("without {transforms}", transforms=named),
        text=tr("As it is, but for {transforms}.", transforms=named),
        without=transforms,
    )


def augmentation_strategies(base: Recipe) -> tuple[str, ...]:
    """What tells the worth of each transform of `base`: all of them, all but each in turn, and none.

    Raises:
        UserError: there is none.
    """
    transforms = tuple(dict.fromkeys(spec.transform for spec in base.augmentation))
    if not transforms:
        raise UserError(
            tr("There is no augmentation whose worth could be told."),
            tr("Choose some first, on the page Augment or with --augment."),
        )
    nothing = (without(*transforms).name,) if len(transforms) > 1 else ()
    return (AS_IT_IS.name, *(without(each).name for each in transforms), *nothing)


def strategy(name: str) -> Strategy:
    """The strategy called `name`.

    Raises:
        UserError: there is none.
    """
    known = {each.name: each for each in STRATEGIES}
    if name in known:
        return known[name]
    if name == AS_IT_IS.name:
        return AS_IT_IS
    if name.startswith(_WITHOUT):
        return without(*name.removeprefix(_WITHOUT).split("+"))
    try:
        plan = FreezePlan(preset=name)
    except ValueError:
        plan = None
    if plan is None or plan.changes_over_time:
        raise UserError(
            tr("'{name}' cannot be compared.", name=name),
            tr("Take some of {names}, another last:N, or another discriminative:FACTOR.", names=", ".join(known)),
        )
    return Strategy(name=name, title=name, text=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """One run of a comparison.

    Attributes:
        images: training pictures of each class; `ALL`: all there are.
        folder: the name of its folder.
    """

    strategy: str
    images: int
    seed: int
    recipe: Recipe

    @property
    def folder(self) -> str:
        """The name of its folder, which every disk takes."""
        number = "all" if self.images == ALL else f"{self.images:04}"
        named = self.strategy.replace(":", "-")
        if len(named) > _MOST_LETTERS:
            named = f"{named[:_MOST_LETTERS]}-{hashlib.sha256(named.encode()).hexdigest()[:8]}"
        return f"{named}, {number} of each, seed {self.seed}"

    @property
    def words(self) -> str:
        """What it is, in a few words."""
        return tr(
            "{strategy}, {images}, seed {seed}",
            strategy=tr(strategy(self.strategy).title),
            images=images_words(self.images),
            seed=self.seed,
        )


def images_words(images: int) -> str:
    """So many training pictures of each class, in words."""
    return tr("all pictures") if images == ALL else tr_n("{n:,} picture of each class", "{n:,} pictures of each class", n=images)


class Comparison(Described):
    """What is compared: each strategy, with each number of pictures, from each seed, is one run with the same budget.

    The runs of one seed and number of pictures learn from the very same pictures, and all runs are judged on the same ones.
    """

    base: Recipe
    strategies: tuple[str, ...] = Field(
        tuple(each.name for each in STRATEGIES), description="What is compared: presets of what learns."
    )
    seeds: int = Field(3, ge=1, le=100, description="How often each is trained, each time from another seed.")
    images: tuple[int, ...] = Field(
        (5, 10, 20, 50, ALL), min_length=1, description="Training pictures of each class, in turns; 0: all there are."
    )
    seconds: float = Field(
        0.0,
        ge=0,
        le=10_000_000,
        description="Seconds that each run may train, the pass through its frozen layers included: "
        f"as many epochs as are expected to fit, {MOST_EPOCHS} at most. 0: each run has the epochs of the recipe.",
    )

    @field_validator("strategies")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            try:
                strategy(name)
            except UserError as error:
                raise ValueError(str(error)) from error
        different = tuple(dict.fromkeys(names))
        if len(different) < 2:
            raise ValueError(tr("must name two at least"))
        return different

    @model_validator(mode="after")
    def _of_the_base(self) -> Self:
        known = {spec.transform for spec in self.base.augmentation}
        for each in map(strategy, self.strategies):
            if isinstance(each, Variant) and (unknown := set(each.without) - known):
                raise ValueError(tr("The augmentation has no '{transform}' to leave out", transform=min(unknown)))
        return self

    @field_validator("images")
    @classmethod
    def _rising(cls, images: tuple[int, ...]) -> tuple[int, ...]:
        if any(number < 0 for number in images):
            raise ValueError(tr("holds a number of pictures below zero"))
        return tuple(sorted(set(images), key=lambda number: (number == ALL, number)))

    def within(self, most: int) -> "Comparison":
        """The same without numbers of pictures that no class has, of which the largest has `most`."""
        images = tuple(number for number in self.images if number == ALL or number < most)
        if ALL not in images and len(images) < len(self.images):
            images = (*images, ALL)
        return self.model_copy(update={"images": images})

    @property
    def words(self) -> str:
        """How many runs it makes, of what, and where each has its seconds how long they train at most, in a sentence."""
        runs = len(self.strategies) * len(self.images) * self.seeds
        each = (
            tr_n("{n:,} way", "{n:,} ways", n=len(self.strategies)),
            tr_n("{n:,} number of pictures", "{n:,} numbers of pictures", n=len(self.images)),
            tr_n("{n:,} seed", "{n:,} seeds", n=self.seeds),
        )
        told = tr_n("{n:,} run: {each}", "{n:,} runs: {each}", n=runs, each=" × ".join(each))
        if not self.seconds:
            return tr("{runs}; each has the recipe's epochs.", runs=told)
        return tr(
            "{runs}; about {time} of training, more where a single epoch takes longer.",
            runs=told,
            time=duration(runs * self.seconds),
        )

    @property
    def pairs(self) -> tuple[tuple[str, str, int], ...]:
        """What is tested, as two strategies and a number of pictures: each against the first at every number of pictures, and
        all others against each other with the most.
        """
        reference = SCRATCH.name if SCRATCH.name in self.strategies else self.strategies[0]
        others = [name for name in self.strategies if name != reference]
        among = combinations(others, 2) if reference != AS_IT_IS.name else ()
        return (
            *((name, reference, images) for images in self.images for name in others),
            *((second, first, self.images[-1]) for first, second in among),
        )

    def cannot_show(self, pictures: int) -> str:
        """In a sentence, that so many pictures to judge on can show nothing, whatever the runs answer; "" where they can.

        Even where one way is right on all of them and the other on none, the exact test gives 2 ** (1 - pictures), and the
        correction for all tests multiplies that by their number.
        """
        least = math.floor(math.log2(len(self.pairs) / SURE)) + 2
        if pictures >= least:
            return ""
        return tr_n(
            "There is only {n} picture to judge on: whatever the runs answer, chance could explain it, and no difference can be "
            "shown. Hold out {least} at least.",
            "There are only {n} pictures to judge on: whatever the runs answer, chance could explain it, and no difference can "
            "be shown. Hold out {least} at least.",
            n=pictures,
            least=least,
        )

    def recipe(self, name: str, images: int, seed: int) -> Recipe:
        """What the run of strategy `name` with so many pictures and the seed numbered `seed` (from 0) follows."""
        start = (self.base.seed + seed) % 2**32
        drawn = {"images_per_class": images, "draw": start if images else 0}
        made = strategy(name).recipe(self.base)
        # One process: several would keep and measure for themselves, and their times could not be told apart.
        return made.model_copy(update={"processes": 1, "seed": start, "dataset": self.base.dataset.model_copy(update=drawn)})

    def runs(self, epochs: Mapping[tuple[str, int], int]) -> tuple[PlannedRun, ...]:
        """All runs in the order in which they are made: seed by seed, all pictures first, each strategy first in its turn.

        Args:
            epochs: by strategy and number of pictures, where that is not what the recipe says.
        """
        made = []
        for seed, images in product(range(self.seeds), reversed(self.images)):
            first = seed % len(self.strategies)
            for name in (*self.strategies[first:], *self.strategies[:first]):
                recipe = self.recipe(name, images, seed)
                if (own := epochs.get((name, images))) is not None:
                    recipe = recipe.with_optimisation(epochs=own)
                made.append(PlannedRun(strategy=name, images=images, seed=recipe.seed, recipe=recipe))
        return tuple(made)


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """How well a run judged the validation pictures after an epoch.

    Attributes:
        seconds: of training until then, with the whole pass through the frozen layers.
    """

    epoch: int
    seconds: float
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigures:
    """What one run of a comparison came to.

    Attributes:
        images: as planned. training: pictures that it learned from.
        wrong: which of the comparison's pictures its best model got wrong, by their number.
        seconds: of training, with the whole pass through the frozen layers.
        preparation: of these, that pass.
        reused: share of the frozen layers' answers that an earlier run had left; its time is counted all the same.
    """

    run: str
    strategy: str
    images: int
    seed: int
    training: int
    epochs: int
    accuracy: float
    wrong: tuple[int, ...]
    seconds: float
    preparation: float
    reused: float
    curve: tuple[CurvePoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How a strategy fared with a number of pictures, over its seeds.

    Attributes:
        per_class: training pictures of a class, on average.
        accuracy: mean over seeds, with its 95 % interval. seconds: mean over seeds.
    """

    strategy: str
    images: int
    per_class: float
    seeds: int
    accuracy: Interval
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTest:
    """How much better `strategy` is than `than`, on the same pictures, from the same seeds.

    Attributes:
        difference: of the accuracies, with its 95 % interval.
        only_first, only_second: answers (a picture, a seed) that only the one or the other got right.
        p: of the exact paired test. corrected: the same, Holm's correction for all tests of the comparison included.
    """

    strategy: str
    than: str
    images: int
    seeds: int
    difference: Interval
    only_first: int
    only_second: int
    p: float
    corrected: float

    @property
    def is_sure(self) -> bool:
        """Whether the difference is more than chance explains.

        The test is about the pictures, the interval about the seeds as well: both must say so.
        """
        return self.corrected < SURE and (self.difference.low > 0 or self.difference.high < 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What a strategy needs to be as good as the best from scratch.

    Attributes:
        seconds: of training, mean over the seeds that got there; None: none did.
        reached: how many of `seeds` did.
        at_once: whether each that did was as good after its first epoch already: no more can be said than "at most".
        images: of each class; None: as good with none of the numbers tried.
        fewest: whether the smallest number tried was enough: no more can be said than "at most".
    """

    strategy: str
    seconds: float | None
    reached: int
    seeds: int
    at_once: bool
    images: float | None
    fewest: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """All that a comparison found.

    Attributes:
        subset: which pictures it was judged on; `pictures`: their paths.
        planned: how many runs it has; `runs`: those that are complete. failed: runs that failed, and why.
        to_match: the best from scratch, mean over seeds, and how long that took; None where scratch was not compared.
        verdict: what was gained, in sentences.
    """

    comparison: Comparison
    device: str
    dataset: str
    classes: tuple[str, ...]
    subset: str
    pictures: tuple[str, ...]
    planned: int
    runs: tuple[RunFigures, ...]
    failed: tuple[tuple[str, str], ...]
    scores: tuple[Score, ...]
    tests: tuple[PairedTest, ...]
    to_match: CurvePoint | None
    matches: tuple[Match, ...]
    verdict: tuple[str, ...]
