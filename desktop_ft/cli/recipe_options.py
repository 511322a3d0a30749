"""The options that make a recipe: each is a field of the recipe, and takes its help, choices and default from there."""

import argparse
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from desktop_ft.cli.terminal import Terminal
from desktop_ft.core.changes import Change
from desktop_ft.core.errors import UserError
from desktop_ft.core.freezing import PRESETS
from desktop_ft.core.plan_text import PLAN_OPTIONS, RATE_OPTION
from desktop_ft.core.recipe import LEFT_OUT, DatasetChoice, Part, Recipe
from desktop_ft.core.values import Described
from desktop_ft.data import files
from desktop_ft.data.scan import folder_of
from desktop_ft.jobs import augmenting
from desktop_ft.jobs.forecasting import with_fastest_batches
from desktop_ft.plugin_manager import load_plugins
from desktop_ft.runs import atomic
from desktop_ft.runs.recipe_file import read_recipe

OPTIONS = {
    "--backbone": "backbone.name",
    "--weights": "backbone.weights",
    "--image-size": "backbone.image_size",
    **{option: f"freeze.{field}" for option, field in PLAN_OPTIONS.items()},
    "--epochs": "optimisation.epochs",
    "--batch-size": "optimisation.batch_size",
    "--lr": "optimisation.lr",
    "--optimizer": "optimisation.optimizer",
    "--schedule": "optimisation.schedule",
    "--warmup": "optimisation.warmup",
    "--weight-decay": "optimisation.weight_decay",
    "--momentum": "optimisation.momentum",
    "--label-smoothing": "optimisation.label_smoothing",
    "--clip-norm": "optimisation.clip_norm",
    "--early-stopping": "optimisation.early_stopping",
    "--views": "optimisation.views",
    "--balance": "optimisation.balance",
    "--val": "dataset.val",
    "--images-per-class": "dataset.images_per_class",
    "--draw": "dataset.draw",
    "--seed": "seed",
    "--device": "device",
    "--precision": "precision",
    "--processes": "processes",
}
_PLAN, _RATE, _DATASET = "freeze.", "optimisation.lr", "dataset."
_MEASURED = {"--batch-size": "auto: measured here; larger where that makes the run a tenth shorter, smaller where it must fit"}
"""Options that may be `auto`: the recipe holds what was found."""


def add_recipe_options(parser: argparse.ArgumentParser, leave_out: Sequence[str] = ()) -> None:
    """Add the folder of pictures, `--recipe`, and an option for every field of a recipe that a person sets by hand.

    Args:
        leave_out: options that the command has no use for: they are not offered, and change nothing.
    """
    _add_source(parser)
    parser.add_argument("--save-recipe", type=Path, metavar="FILE", help="write the recipe of this run to FILE as well")
    group = parser.add_argument_group("recipe")
    for option, where in OPTIONS.items():
        if option in leave_out:
            parser.set_defaults(**{where: None})
        else:
            _add(group, option, where)
    if RATE_OPTION in leave_out:
        parser.set_defaults(rate=[])
    else:
        _add_rate(group)
    group.add_argument(
        "--augment", metavar="PRESET", help="none, light, standard or strong: how training pictures are changed (default none)"
    )
    _add_edits(group)


def add_dataset_options(parser: argparse.ArgumentParser) -> None:
    """Add the folder of pictures, `--recipe`, and the options for the recipe's dataset."""
    _add_source(parser)
    for option, where in OPTIONS.items():
        if where.startswith(_DATASET):
            _add(parser, option, where)
    _add_edits(parser)


def add_change_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for everything that can be changed while a run goes on: the learning rate, and the freeze plan's fields."""
    for option, where in OPTIONS.items():
        if where == _RATE or where.startswith(_PLAN):
            _add(parser, option, where, stays=True)
    _add_rate(parser)


def _add(group: argparse._ActionsContainer, option: str, where: str, *, stays: bool = False) -> None:
    add_field(group, option, where, _field(where), stays=stays)


def add_field(group: argparse._ActionsContainer, option: str, where: str, field: FieldInfo, *, stays: bool = False) -> None:
    """Add the option for one described field; `stays`: what is not named is as it was, whatever the default."""
    kind = field.annotation
    choices = [member.value for member in kind] if isinstance(kind, type) and issubclass(kind, StrEnum) else None
    default = field.get_default(call_default_factory=True)
    parts = (field.description, _MEASURED.get(option), "" if stays else f"(default {'none' if default == '' else default})")
    text = " ".join(filter(None, parts)).replace("%", "%%")
    metavar = None if choices else option[2:].replace("-", "_").upper()
    # Values stay text here: the check of the whole turns them into numbers, and says which bound is broken.
    group.add_argument(option, dest=where, choices=choices, metavar=metavar, help=text)


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", metavar="FOLDER", help="the pictures; needed unless --recipe names them")
    parser.add_argument("--recipe", type=Path, metavar="FILE", help="start from this recipe; the other options change it")


def _add_edits(group: argparse._ActionsContainer) -> None:
    """What changes classes and subsets without touching the folder; each option may be given several times."""
    several = "May be given several times."
    for option, metavar, text in (
        ("--rename", "OLD=NEW", _described(f"{_DATASET}rename")),
        ("--leave-out", "CLASS", "Leave out a class, by its name in the folder."),
        (
            "--move",
            "FILE=SUBSET",
            _described(f"{_DATASET}pictures") + " FILE lies in FOLDER; an empty SUBSET takes the move back.",
        ),
        (
            "--relabel",
            "FILE=CLASS",
            _described(f"{_DATASET}labels") + " FILE lies in FOLDER; an empty CLASS takes the change back.",
        ),
    ):
        group.add_argument(option, action="append", default=[], metavar=metavar, help=f"{text} {several}".replace("%", "%%"))


def _described(where: str) -> str:
    return _field(where).description or ""


def _add_rate(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        RATE_OPTION,
        action="append",
        default=[],
        metavar="PATH=MULTIPLIER",
        help="set a layer's own multiplier of the preset's rate: 0 freezes it; may be given several times",
    )


def freeze_help() -> str:
    """The freeze presets, a line each."""
    return "\n".join(f"  {name:<15} {text}" for name, text in PRESETS.items())


def recipe_from(arguments: argparse.Namespace, terminal: Terminal) -> Recipe:
    """The recipe that the options describe; what `auto` stands for is measured, and told.

    Raises:
        UserError: no folder named, or a value out of bounds.
    """
    data, where = _begun(arguments)
    if arguments.folder:
        _check_writable_name(arguments.folder)
        data["dataset"]["folder"] = str(Path(arguments.folder).absolute())
    _edit(data["dataset"], arguments)
    for dotted in OPTIONS.values():
        value = getattr(arguments, dotted)
        if value is not None and not _is_measured(arguments, dotted):
            # A recipe holds whole paths: it is used again from other folders.
            _set(data, dotted, str(Path(value).absolute()) if value and dotted == "backbone.weights" else value)
    if arguments.augment is not None:
        data["augmentation"] = [spec.model_dump() for spec in _augmentation(arguments.augment)]
    if arguments.rate:
        _set(data, "freeze.overrides", data.get("freeze", {}).get("overrides", {}) | _multipliers(arguments.rate))
    recipe = _checked(data, where)
    if _is_measured(arguments, OPTIONS["--batch-size"]):
        recipe = with_fastest_batches(recipe, load_plugins())
        terminal.note(f"Batch size {recipe.optimisation.batch_size}, as measured.")
    if arguments.save_recipe:
        atomic.write(arguments.save_recipe, recipe.to_toml().encode())
    return recipe


def dataset_from(arguments: argparse.Namespace) -> DatasetChoice:
    """The dataset that the options of `add_dataset_options` describe; its folder as it was named.

    Raises:
        UserError: no folder named, or a value out of bounds.
    """
    data, where = _begun(arguments)
    dataset = data["dataset"]
    _edit(dataset, arguments)
    for dotted in OPTIONS.values():
        if dotted.startswith(_DATASET) and (value := getattr(arguments, dotted)) is not None:
            _set(data, dotted, value)
    # A folder whose name is not UTF-8 can be looked at, though no recipe can hold it.
    folder = dataset.pop("folder")
    return _checked(data | {"dataset": dataset | {"folder": "."}}, where).dataset.model_copy(update={"folder": folder})


def _begun(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """What `--recipe` says, with the folder that is named; and where that comes from, for messages."""
    data: dict[str, Any] = {"dataset": {}}
    where = "The command line"
    if arguments.recipe:
        where = str(arguments.recipe)
        data = read_recipe(arguments.recipe).model_dump(mode="json")
    if arguments.folder:
        data["dataset"]["folder"] = arguments.folder
    if "folder" not in data["dataset"]:
        raise UserError("No pictures are named.", "Name a folder, or a recipe with --recipe.")
    return data, where


def _edit(dataset: dict[str, Any], arguments: argparse.Namespace) -> None:
    """Put the edits that the options ask for into a recipe's `dataset`, on top of those it has."""
    rename = dict(dataset.get("rename", {}))
    for text in arguments.rename:
        found, name = _pair("--rename", text, "Write OLD=NEW, such as --rename bee=insect.")
        rename[found] = name
    dataset["rename"] = rename | dict.fromkeys(arguments.leave_out, LEFT_OUT)
    pictures = dict(dataset.get("pictures", {}))
    for text in arguments.move:
        name, part = _pair("--move", text, "Write FILE=SUBSET, such as --move bees/12.jpg=test.")
        sha = _sha256(folder_of(Path(dataset["folder"])) / name)
        if not part:
            pictures.pop(sha, None)
        elif part in list(Part):
            pictures[sha] = part
        else:
            raise UserError(f"--move {text} names no subset.", f"Take one of {', '.join(Part)}.")
    dataset["pictures"] = pictures
    labels = dict(dataset.get("labels", {}))
    for text in arguments.relabel:
        name, label = _pair("--relabel", text, "Write FILE=CLASS, such as --relabel bees/12.jpg=ants.")
        labels[_sha256(folder_of(Path(dataset["folder"])) / name)] = label
    dataset["labels"] = {sha: label for sha, label in labels.items() if label}


def _pair(option: str, text: str, cure: str) -> tuple[str, str]:
    first, equals, second = text.rpartition("=")
    if not equals or not first:
        raise UserError(f"{option} {text} is not a pair.", cure)
    return first, second


def _sha256(path: Path) -> str:
    try:
        with files.open_regular(path) as file:
            return files.sha256(file)
    except (OSError, files.NotAFile) as error:
        why = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else "is no file"
        raise UserError(f"The picture {path} {why}.", "Name a picture as seen from FOLDER.") from error


def _is_measured(arguments: argparse.Namespace, dotted: str) -> bool:
    return getattr(arguments, dotted) == "auto" and any(OPTIONS[option] == dotted for option in _MEASURED)


def _augmentation(name: str) -> tuple[Any, ...]:
    known = augmenting.presets()
    if name not in known:
        raise UserError(f"There is no augmentation preset '{name}'.", f"Take one of {', '.join(known)}.")
    return known[name].specs


def _check_writable_name(folder: str) -> None:
    """A recipe is UTF-8 text: it cannot name a folder that is not."""
    try:
        folder.encode()
    except UnicodeEncodeError as error:
        raise UserError("The folder's own name is not UTF-8, so no recipe can hold it.", "Rename the folder.") from error


def _checked(data: dict[str, Any], where: str) -> Recipe:
    """The recipe in `data`; what is wrong with it is told by the options' names, not by the fields'."""
    try:
        return Recipe.from_data(data, where)
    except UserError as error:
        raise by_option(error, where, OPTIONS) from error


def by_option(error: UserError, where: str, options: Mapping[str, str]) -> UserError:
    """What `error` says of the values of `where`, told by the options' names."""
    what = error.what.replace(f"{where} is not valid: ", "")
    option = next((option for option, field in options.items() if what.startswith(field + ":")), None)
    if option is None:
        return error
    return UserError(f"{option}{what.removeprefix(options[option])}.".replace("..", "."), "Correct it and try again.")


def change_from(arguments: argparse.Namespace, recipe: Recipe) -> Change:
    """What the options say instead of what `recipe` does; another preset drops the exceptions to the one before.

    Raises:
        UserError: no option is given, or a value is out of bounds.
    """
    changes = {where: value for where in OPTIONS.values() if (value := getattr(arguments, where, None)) is not None}
    if not changes and not arguments.rate:
        raise UserError("Nothing is to be changed.", "Say what is to learn or how fast, such as --freeze last:2 or --lr 0.001.")
    data = recipe.model_dump(mode="json")
    for dotted, value in changes.items():
        _set(data, dotted, value)
    kept = {} if OPTIONS["--freeze"] in changes else data["freeze"]["overrides"]
    _set(data, "freeze.overrides", kept | _multipliers(arguments.rate))
    wanted, plan = _checked(data, "The command line"), set(changes) - {_RATE} or arguments.rate
    return Change(lr=wanted.optimisation.lr if _RATE in changes else None, freeze=wanted.freeze if plan else None)


def _multipliers(rates: list[str]) -> dict[str, str]:
    found = {}
    for rate in rates:
        path, equals, multiplier = rate.rpartition("=")
        if not equals:
            raise UserError(f"--rate {rate} has no multiplier.", "Write PATH=MULTIPLIER, such as --rate blocks.0=0.")
        found[path] = multiplier
    return found


def _field(dotted: str) -> FieldInfo:
    model: type[Described] = Recipe
    *parents, last = dotted.split(".")
    for parent in parents:
        model = model.model_fields[parent].annotation  # type: ignore[assignment]  # a section of the recipe is Described
    return model.model_fields[last]


def _set(data: dict[str, Any], dotted: str, value: Any) -> None:
    *parents, last = dotted.split(".")
    for parent in parents:
        data = data.setdefault(parent, {})
    data[last] = value
