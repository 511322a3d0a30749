"""What fine-tuning can buy on a person's own pictures, before anything is trained: where to cut, and which network to take."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from desktop_ft.api import Backbone
from desktop_ft.core.advice import Advice, BackboneScore, Evidence, PlanOption, ProbeScore, Ranking, worth_trying
from desktop_ft.core.backbone import resize_rule
from desktop_ft.core.dataset import DatasetManifest, Sample, Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.freezing import preset_of_depth
from desktop_ft.core.language import tr, tr_n
from desktop_ft.core.offers import Speed
from desktop_ft.core.recipe import BackboneChoice, Recipe
from desktop_ft.data.health import listed
from desktop_ft.jobs.backbones import is_local, known_speed, measure_speeds
from desktop_ft.jobs.building import looked_at
from desktop_ft.jobs.forecasting import forecast
from desktop_ft.jobs.running import Warn, silent
from desktop_ft.jobs.surveying import one_picture, survey
from desktop_ft.jobs.trial import tried
from desktop_ft.plugin_manager import Plugins

_TURNS = 3
MOST, FEWEST = 2000, 5
"""Training pictures that are looked at, of more a part; and of each class at least, where it has so many: one a fold."""
Told = Callable[[str, int, int | None], None]


def advise(
    recipe: Recipe,
    plugins: Plugins,
    manifest: DatasetManifest | None = None,
    *,
    told: Told | None = None,
    warn: Warn = silent,
    cancel: threading.Event | None = None,
) -> Advice:
    """Where to cut the network of `recipe` for its pictures: a probe at each depth, and measured costs. Imports torch.

    The head alone, the last block with it and the cut that the probe tells are tried, and the best is recommended: how far what
    learns comes is a matter of the recipe, which no probe knows.

    Only training pictures are looked at, so that what validation says later is as honest as ever.

    Args:
        manifest: of the recipe's folder; None: it is scanned.
        told: told what is being done, how much of it, of how much.

    Raises:
        UserError: as training would; or the weights are not on this machine. Cancelled: as asked.
    """
    from desktop_ft.evaluation.probing import probe
    from desktop_ft.evaluation.ridge import one_of_each

    tell = told or _nobody
    manifest = looked_at(recipe, plugins, manifest, lambda *done: tell(tr("Looking at the pictures"), *done), cancel)
    looked = drawn(manifest, recipe.seed)
    samples = looked.samples
    labels = [sample.label for sample in samples]
    seen = survey(
        recipe, plugins, manifest, samples, warn=warn, progress=lambda *done: tell(tr("Asking the network"), *done), cancel=cancel
    )
    groups = one_picture(manifest, samples, seen.last, cancel, progress=lambda *done: tell(tr("Comparing the pictures"), *done))
    different = int(one_of_each(len(samples), groups).sum())
    probes = {
        depth: probe(features, labels, groups, seed=recipe.seed)
        for depth, features in zip(seen.depths, seen.features, strict=True)
    }
    best = max(probes, key=lambda depth: (probes[depth].accuracy.value, depth))
    scores = tuple(
        ProbeScore(depth=depth, accuracy=each.accuracy, against=each.against(probes[best])) for depth, each in probes.items()
    )
    depths = worth_trying(scores, seen.blocks, different)
    options, probed = [], Evidence(right=int(probes[seen.blocks].right.sum()), judged=different)
    for number, depth in enumerate(depths):
        tell(tr("Measuring what it takes"), number, len(depths))
        preset = preset_of_depth(depth, seen.blocks)
        options.append(_option(recipe, plugins, manifest, preset, depth, probed, cancel))
    won = 0
    if len(options) > 1:
        evidence, won = tried(
            [_planned(recipe, option.preset) for option in options],
            plugins,
            manifest,
            samples,
            groups,
            progress=lambda plan, *done: tell(tr("Trying {plan}", plan=plan.freeze.preset), *done),
            cancel=cancel,
        )
        options = [replace(option, evidence=each) for option, each in zip(options, evidence, strict=True)]
    return Advice(
        backbone=recipe.backbone.name,
        blocks=seen.blocks,
        pictures=len(samples),
        different=different,
        training=len(manifest.of(Subset.TRAIN)),
        scores=scores,
        options=tuple(options),
        recommended=options[won].preset,
        notes=_notes(manifest, looked, groups),
    )


def rank_backbones(
    recipe: Recipe,
    plugins: Plugins,
    manifest: DatasetManifest | None = None,
    *,
    told: Told | None = None,
    warn: Warn = silent,
    cancel: threading.Event | None = None,
) -> Ranking:
    """What each network whose weights are on this machine makes of the pictures of `recipe`, and how fast. Imports torch.

    The networks are asked at the recipe's picture size; one that cannot take it is left out, with the reason. Only training
    pictures are looked at.

    Args, Raises:
        As `advise`; also a UserError where no weights are on this machine, or none of the networks can be asked.
    """
    from desktop_ft.evaluation.probing import Probe, logme, probe

    tell = told or _nobody
    here = [backbone for backbone in plugins.backbones if is_local(backbone)]
    if not here:
        raise UserError(
            tr("The weights of no network are on this machine."), tr("Fetch some: `desktop-ft backbones --download NAME`.")
        )
    manifest = looked_at(recipe, plugins, manifest, lambda *done: tell(tr("Looking at the pictures"), *done), cancel)
    looked = drawn(manifest, recipe.seed)
    samples = looked.samples
    labels = [sample.label for sample in samples]
    asked, left_out, groups = list[tuple[Backbone, Probe, float]](), list[UserError](), list[tuple[int, ...]]()
    size = recipe.backbone.image_size
    for number, backbone in enumerate(here):
        tell(tr("Asking the networks"), number, len(here))
        choice = BackboneChoice(name=backbone.spec.name, image_size=size)
        own = recipe.model_copy(update={"backbone": choice})
        try:
            features = survey(own, plugins, manifest, samples, every_depth=False, warn=warn, cancel=cancel).last
        except UserError as error:
            left_out.append(error)
            continue
        groups = (
            groups
            if asked
            else one_picture(
                manifest, samples, features, cancel, progress=lambda *done: tell(tr("Comparing the pictures"), *done)
            )
        )
        asked.append((backbone, probe(features, labels, groups, seed=recipe.seed), logme(features, labels)))
    if not asked:
        raise left_out[0]
    speeds = _speeds([backbone for backbone, *_ in asked], size, lambda *done: tell(tr("Measuring what it takes"), *done), cancel)
    asked.sort(key=lambda each: (each[1].accuracy.value, each[2]), reverse=True)
    best = asked[0][1]
    scores = tuple(
        BackboneScore(
            name=backbone.spec.name,
            accuracy=told_by.accuracy,
            logme=evidence,
            side=resize_rule(backbone.spec, size).crop,
            speed=speeds[backbone.spec.name],
            against=told_by.against(best),
        )
        for backbone, told_by, evidence in asked
    )
    return Ranking(
        scores=scores, pictures=len(samples), left_out=tuple(map(str, left_out)), notes=_notes(manifest, looked, groups)
    )


def _speeds(
    backbones: Sequence[Backbone], size: int, progress: Callable[[int, int | None], None], cancel: threading.Event | None
) -> dict[str, Speed]:
    """How fast each answers; where one was not measured yet all are, so that they are compared as of one time."""
    known = {backbone.spec.name: known_speed(backbone, image_size=size) for backbone in backbones}
    if all(known.values()):
        return {name: speed for name, speed in known.items() if speed is not None}
    return measure_speeds(backbones, image_size=size, turns=_TURNS, progress=progress, cancel=cancel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Training pictures to look at.

    Attributes:
        samples: no two of the same bytes, in the manifest's order.
        contested: paths of those whose bytes lie in another class too: nobody knows what they show, and none is among `samples`.
    """

    samples: tuple[Sample, ...]
    contested: tuple[str, ...]


def drawn(manifest: DatasetManifest, seed: int) -> Drawn:
    """Training pictures of `manifest`: the same ones for the same `seed`.

    Of more than `MOST` each class gives its share, but as many as there are folds at least, so that a rare one is judged too.
    Copies would be known from the one that was learned, and count as if they were told.

    Raises:
        UserError: fewer than two classes have `FEWEST`.
    """
    training, classes = manifest.of(Subset.TRAIN), dict[str, set[int]]()
    for sample in training:
        classes.setdefault(sample.sha256, set()).add(sample.label)
    contested = tuple(sample.path for sample in training if len(classes[sample.sha256]) > 1)
    different = tuple({sample.sha256: sample for sample in training if len(classes[sample.sha256]) == 1}.values())
    by_class: dict[int, list[Sample]] = {}
    for sample in different:
        by_class.setdefault(sample.label, []).append(sample)
    if sum(len(samples) >= FEWEST for samples in by_class.values()) < 2:
        raise UserError(
            tr(
                "There are too few pictures to advise on: fewer than two classes have {n} different ones to learn from.", n=FEWEST
            ),
            tr("Add some. One that lies in two classes counts in neither: keep it in the one that is right."),
        )
    chance, taken = random.Random(seed), set[str]()  # noqa: S311 (chance, not secrecy)
    for samples in by_class.values():
        share = MOST * len(samples) // max(MOST, len(different))
        taken.update(each.sha256 for each in chance.sample(samples, min(len(samples), max(FEWEST, share))))
    return Drawn(samples=tuple(sample for sample in different if sample.sha256 in taken), contested=contested)


def _notes(manifest: DatasetManifest, looked: Drawn, groups: Sequence[Sequence[int]]) -> tuple[str, ...]:
    """What the probes could not judge, in sentences. Pictures of one group count as one."""
    again = {number for group in groups for number in group[1:]}
    count = Counter(sample.label for number, sample in enumerate(looked.samples) if number not in again)
    rare = [name for label, name in enumerate(manifest.classes) if count[label] < FEWEST]
    found = []
    if rare:
        found.append(
            tr_n(
                "{n:,} class has fewer than {fewest} different pictures among those looked at, too few to judge by: {names}.",
                "{n:,} classes have fewer than {fewest} different pictures among those looked at, too few to judge by: {names}.",
                n=len(rare),
                fewest=FEWEST,
                names=listed(rare),
            )
        )
    if looked.contested:
        found.append(
            tr_n(
                "{n:,} training picture has a copy in another class, and is not looked at: {names}.",
                "{n:,} training pictures have a copy in another class, and are not looked at: {names}.",
                n=len(looked.contested),
                names=listed(looked.contested),
            )
        )
    return tuple(found)


def _option(
    recipe: Recipe,
    plugins: Plugins,
    manifest: DatasetManifest,
    preset: str,
    depth: int,
    evidence: Evidence,
    cancel: threading.Event | None,
) -> PlanOption:
    """What the plan `preset` costs; exceptions that the recipe's own plan has are none of it."""
    told = forecast(_planned(recipe, preset), plugins, manifest, cancel=cancel)
    seconds, memory = told.seconds(recipe.optimisation.views), told.memory.of(recipe.optimisation.batch_size)
    return PlanOption(preset=preset, depth=depth, evidence=evidence, seconds=seconds, memory=memory)


def _planned(recipe: Recipe, preset: str) -> Recipe:
    return recipe.model_copy(update={"freeze": recipe.freeze.with_preset(preset), "changes": ()})


def _nobody(what: str, done: int, total: int | None) -> None:
    return
