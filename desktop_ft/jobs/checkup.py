"""A check-up of the pictures before training: what is double, wrongly labelled or odd, and what more pictures would bring."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from desktop_ft.core.backbone import resize_rule
from desktop_ft.core.checkup import Checkup, Fault, Inflation, NearDoubles, PictureFault, Weight
from desktop_ft.core.dataset import DatasetManifest, Sample, Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.core.recipe import Recipe
from desktop_ft.jobs.building import heeding
from desktop_ft.jobs.running import Warn, silent
from desktop_ft.jobs.scanning import scan_dataset
from desktop_ft.jobs.surveying import survey
from desktop_ft.plugin_manager import Plugins

if TYPE_CHECKING:
    import numpy as np

Phase = Callable[[str, int, int | None], None]
_NEIGHBOURS = 10
_WIDESPREAD = 0.5
"""Share of the pictures from which on what they have is their kind, and no fault of each."""
_FEWEST = 4
_WEIGHTS = list(Weight)


def check_up(
    recipe: Recipe,
    plugins: Plugins,
    manifest: DatasetManifest | None = None,
    *,
    with_map: bool = False,
    warn: Warn = silent,
    progress: Phase | None = None,
    cancel: threading.Event | None = None,
) -> Checkup:
    """Look at the pictures of `recipe` as its backbone sees them, without training it. Imports torch.

    Args:
        manifest: of the recipe's folder, with subsets; None: it is scanned.
        with_map: whether the places of a map are computed, too.
        progress: told the phase in words, how much of it is done, and of how much.

    Raises:
        UserError: there are too few pictures or classes, one cannot be read any more, or as `survey`. Cancelled: as asked.
    """
    tell = progress or (lambda *_: None)
    if manifest is None:
        manifest = scan_dataset(recipe.dataset, progress=_in(tell, tr("Looking at the pictures")), cancel=cancel)
    samples, classes = manifest.samples, len(manifest.classes)
    if classes < 2 or len(samples) < _FEWEST:
        raise UserError(
            tr("There are too few pictures to check: it takes two classes and {n} pictures.", n=_FEWEST), tr("Add some more.")
        )
    heed = heeding(cancel)
    from desktop_ft.data.looks import look_at

    shown = resize_rule(plugins.backbones.get(recipe.backbone.name).spec, recipe.backbone.image_size).crop
    looks = look_at(Path(manifest.root), samples, shown, _in(tell, tr("Comparing the pictures")), heed)
    asking = _in(tell, tr("Asking the network"))
    features = survey(recipe, plugins, manifest, samples, every_depth=False, warn=warn, progress=asking, cancel=cancel).last
    tell(tr("Judging"), 0, None)
    return _judged(manifest, features, looks.greys, looks.faults, seed=recipe.seed, with_map=with_map, heed=heed)


def _judged(
    manifest: DatasetManifest,
    features: np.ndarray,
    greys: np.ndarray,
    faults: Sequence[frozenset[Fault]],
    *,
    seed: int,
    with_map: bool,
    heed: Callable[[], None],
) -> Checkup:
    import numpy as np

    from desktop_ft.data.near_doubles import grouped, near_doubles, neighbours, unit_rows
    from desktop_ft.evaluation import suspicions
    from desktop_ft.evaluation.layout import laid_out
    from desktop_ft.evaluation.learning_curve import learning_curve
    from desktop_ft.evaluation.out_of_fold import out_of_fold, reduced

    samples, classes = manifest.samples, len(manifest.classes)
    nearest, cosines = neighbours(unit_rows(features), _NEIGHBOURS, heed)
    groups = grouped([*near_doubles(nearest, greys, heed), *_same_bytes(samples)])
    rows, labels = reduced(features), np.array([sample.label for sample in samples], np.int64)
    heed()
    probabilities = out_of_fold(rows, labels, classes, groups, seed, heed)
    widespread = _widespread(faults)
    doubles = (NearDoubles(samples=tuple(samples[number] for number in group)) for group in groups)
    return Checkup(
        classes=manifest.classes,
        samples=samples,
        doubles=tuple(sorted(doubles, key=lambda group: (_WEIGHTS.index(group.weight), group.samples[0].path))),
        inflation=_inflation(samples, groups, rows, labels, classes),
        suspects=suspicions.suspect_labels(samples, probabilities),
        outliers=suspicions.outliers(samples, cosines),
        faults=tuple(
            PictureFault(sample=sample, fault=fault)
            for fault in Fault
            if fault not in widespread
            for sample, own in zip(samples, faults, strict=True)
            if fault in own
        ),
        widespread=widespread,
        confused=suspicions.confused_classes(samples, probabilities),
        curve=learning_curve(rows, labels, classes, groups, seed, heed),
        places=tuple((float(x), float(y)) for x, y in laid_out(rows, seed)) if with_map else (),
    )


def _in(tell: Phase, what: str) -> Callable[[int, int | None], None]:
    return lambda done, total: tell(what, done, total)


def _same_bytes(samples: Sequence[Sample]) -> list[tuple[int, int]]:
    first: dict[str, int] = {}
    found = ((first.setdefault(sample.sha256, number), number) for number, sample in enumerate(samples))
    return [(one, other) for one, other in found if one != other]


def _widespread(faults: Sequence[frozenset[Fault]]) -> tuple[Fault, ...]:
    count = Counter(fault for own in faults for fault in own)
    return tuple(fault for fault in Fault if count[fault] > _WIDESPREAD * len(faults))


def _inflation(
    samples: Sequence[Sample], groups: Sequence[Sequence[int]], rows: np.ndarray, labels: np.ndarray, classes: int
) -> Inflation:
    """What a probe of the training pictures knows of the validation pictures, with and without those it has met."""
    import numpy as np

    from desktop_ft.evaluation.out_of_fold import learned

    train = np.array([sample.subset is Subset.TRAIN for sample in samples])
    val = np.array([sample.subset is Subset.VAL for sample in samples])
    met = np.zeros(len(samples), bool)
    for group in groups:
        if train[list(group)].any():
            met[list(group)] = True
    twins = int((val & met).sum())
    everything = without = None
    if twins and train.sum() > 1:
        probe = learned(rows[train], labels[train], classes)
        everything = probe.accuracy(rows[val], labels[val])
        without = probe.accuracy(rows[val & ~met], labels[val & ~met]) if (val & ~met).any() else None
    return Inflation(twins=twins, judged=int(val.sum()), everything=everything, without=without)
