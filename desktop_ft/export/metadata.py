"""What an exported file carries along, as text by key. No torch here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

import desktop_ft
from desktop_ft.core.backbone import BackboneSpec, ResizeRule
from desktop_ft.core.errors import UserError
from desktop_ft.core.exporting import AS_IT_IS, ExportSettings, FileInput
from desktop_ft.core.language import marked, tr
from desktop_ft.core.recipe import Recipe
from desktop_ft.core.values import from_json, plain_json, to_json
from desktop_ft.core.words import printable
from desktop_ft.data.decode import load, network_input
from desktop_ft.data.files import Source
from desktop_ft.export.answering import BATCH, WHOLE_BATCH

VERSION = "desktop_ft.version"
CLASSES = "desktop_ft.classes"
RESIZE = "desktop_ft.resize"
RECIPE = "desktop_ft.recipe"
RECIPE_SHA256 = "desktop_ft.recipe_sha256"
BACKBONE = "desktop_ft.backbone"
WEIGHTS_LICENCE = "desktop_ft.weights_licence"
THRESHOLD = "desktop_ft.threshold"
INPUT = "desktop_ft.input"
PRECISION = "desktop_ft.precision"
CHECKPOINT = "desktop_ft.checkpoint"

_LARGEST = 1 << 12
"""No network here takes pictures this large; a resize rule that asks for more would only fill the memory."""

_USUAL_SIDE = 384
"""Pixels a side up to which a whole batch is asked about at a time."""

_ANEW = marked("Export the run again with `desktop-ft export`.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What the application itself needs of an exported file's metadata.

    Attributes:
        threshold: how sure an answer must be, 0 to 1; a less sure one is *don't know*. 0: it answers always.
        input: whether the rule is followed before the file, or in it.
    """

    classes: tuple[str, ...]
    rule: ResizeRule
    threshold: float = 0.0
    input: FileInput = FileInput.TENSOR

    @property
    def batch(self) -> int:
        """How many pictures are asked about at a time; fewer where they are large, as what is computed of them takes memory."""
        if self.input is FileInput.PICTURE:
            return WHOLE_BATCH
        return max(1, min(BATCH, BATCH * _USUAL_SIDE**2 // self.rule.crop**2))

    def prepared(self, path: Source) -> np.ndarray:
        """The picture at `path` as the file takes it: uint8 (S, S, 3), or (H, W, 3) of any size.

        Raises:
            UnreadablePicture: there is no picture in it.
        """
        return load(path) if self.input is FileInput.PICTURE else network_input(path, self.rule)


def build_metadata(
    recipe: Recipe,
    classes: tuple[str, ...],
    rule: ResizeRule,
    spec: BackboneSpec,
    threshold: float = 0.0,
    settings: ExportSettings = AS_IT_IS,
    checkpoint: str = "",
) -> dict[str, str]:
    """The metadata of a model trained by `recipe`. It names no path of this machine.

    Args:
        checkpoint: the name of the file of the run that it comes from; it carries that one's digest, so no other run has it.
    """
    told = {
        VERSION: desktop_ft.__version__,
        CLASSES: json.dumps(classes),
        RESIZE: to_json(rule).decode(),
        RECIPE: printable(recipe.portable().to_toml()),
        RECIPE_SHA256: recipe.digest(),
        BACKBONE: spec.name,
        WEIGHTS_LICENCE: spec.weights.licence,
        INPUT: settings.input,
        PRECISION: settings.precision,
    }
    named = {CHECKPOINT: checkpoint} if checkpoint else {}
    return told | named | ({THRESHOLD: repr(threshold)} if threshold else {})


def read_metadata(metadata: Mapping[str, str], where: str) -> ModelFacts:
    """The classes, the resize rule and the threshold that `metadata` tells; `where` names the file in errors.

    Raises:
        UserError: not written by Desktop FT, or damaged.
    """
    missing = [key for key in (VERSION, CLASSES, RESIZE) if key not in metadata]
    if missing:
        raise UserError(tr("{file} was not exported by Desktop FT: it does not say what its classes are.", file=where), tr(_ANEW))
    damaged = UserError(
        tr("{file} is damaged: what it says of its classes, its input or its threshold cannot be used.", file=where), tr(_ANEW)
    )
    try:
        classes, threshold = plain_json(metadata[CLASSES]), float(metadata.get(THRESHOLD, "0"))
        taken = FileInput(metadata.get(INPUT, FileInput.TENSOR))
    except ValueError as error:
        raise damaged from error
    if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
        raise damaged
    rule = from_json(ResizeRule, metadata[RESIZE], tr("the resize rule in {file}", file=where))
    if not (1 <= rule.crop <= _LARGEST and 1 <= rule.resize <= _LARGEST):
        raise damaged
    if not 0 <= threshold <= 1:
        raise damaged
    return ModelFacts(classes=tuple(classes), rule=rule, threshold=threshold, input=taken)
