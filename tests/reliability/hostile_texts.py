"""Recipes, projects, settings and queues by a stranger's hand, and what chance makes of sound ones."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from desktop_ft.core.augmentation import AugmentationSpec
from desktop_ft.core.events import EpochDone, RunEnded, RunStarted, RunStatus, StepDone
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Optimisation, Recipe
from desktop_ft.core.values import to_json
from desktop_ft.runs import seals

_DEEP = 100_000
_TOKENS = (
    *(b"nan", b"inf", b"-1", b"1e999", b"0x7fffffffffffffff", b"9" * 5000, b"true", b"null", b"[[", b"]]", b"{", b"}", b"'''"),
    *(b'"""',),
    *(b"\\u0000", b"\\ud800", b"\xff\xfe", b"\0", b"\r", b"\n", b"..", b"../../../etc/passwd", b"/dev/zero", b"="),
    *(b"__import__('os')",),
    *(b"# ", b"[a]\n", b"a.b.c.d = 1\n", b"[[" * 2000, b'{"a":' * 2000, b"a." * 2000, b"'", b'"', b",", b"2026-13-45", b"-0.0"),
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        kind: how the reader calls it.
        name: of the file, in a folder of its own.
        sound: what may stand in it.
        refusable: whether what is wrong with it is told; what only remembers sizes of windows is left out instead.
    """

    kind: str
    name: str
    sound: bytes
    refusable: bool = True


def kinds() -> list[Kind]:
    """All that is read of a person's own files, and of a run's."""
    recipe = Recipe(
        dataset=DatasetChoice(folder="/photos of/pets", rename={"cat": "Cat", "odd": ""}, pictures={f"{7:064}": "val"}),
        backbone=BackboneChoice(image_size=64),
        freeze=FreezePlan(preset="last:2", overrides={"blocks.0": 0.5, "head": 1.0}),
        augmentation=(AugmentationSpec(transform="flip", parameters={"chance": 0.5}),),
        optimisation=Optimisation(epochs=3, lr=0.01),
    )
    data = recipe.model_dump(mode="json", exclude_none=True)
    queue = {
        "last": 2,
        "waiting": [{"number": n, "name": "pets", "run": "", "error": "", "broken_off": 0, "recipe": data} for n in (1, 2)],
    }
    settings = {
        "theme": "dark",
        "language": "de",
        "geometry": "AdnQywADAAAAAAAA",
        "splitters": {"data": [200, 300]},
        "last_folder": "/photos",
        "recent": ["/photos", "/more"],
        "lesson": {"open": True, "step": 3},
        "layout": {"runs": {"columns": [1, 2]}},
        "windows": {"log": "AdnQ"},
        "detached": {"plots": True},
        "notify": True,
    }
    events = [
        RunStarted(
            epochs=1, steps_per_epoch=1, first_epoch=0, first_step=0, device="CPU", precision="fp32", learning_share=0.5, time=1.0
        ),
        StepDone(epoch=0, step=0, loss=0.5, lr=0.01, seconds=0.1),
        EpochDone(epoch=0, train_loss=0.5, train_accuracy=0.5, val_loss=0.5, val_accuracy=0.5, seconds=0.2, best=True),
        RunEnded(status=RunStatus.COMPLETED),
    ]
    return [
        Kind("recipe", "recipe.toml", recipe.to_toml().encode()),
        Kind("project", "project.toml", recipe.to_toml().encode()),
        Kind("project", "project.run.json", b'"/runs/one"', refusable=False),
        Kind("run", "recipe.toml", seals.seal_text(recipe.to_toml().encode())),
        Kind("queue", "queue.toml", tomli_w.dumps(queue).encode()),
        Kind("settings", "window.json", json.dumps(settings, indent=1).encode(), refusable=False),
        Kind("events", "events.jsonl", b"".join(seals.seal_line(to_json(event)) + b"\n" for event in events), refusable=False),
        Kind("events", "events.jsonl", b"".join(to_json(event) + b"\n" for event in events), refusable=False),
        Kind("known", "known_runs.jsonl", b'"/runs/one"\n"/runs/two"\n', refusable=False),
        Kind("plan", "plan.txt", b'[freeze]\npreset = "last:2"\n\n[freeze.overrides]\n"blocks.0" = 0.5\n'),
        Kind("plan", "plan.txt", b"desktop-ft train x --freeze head --rate blocks.0=0.5"),
        Kind("plugins", "plugins.json", b'{"enabled": ["mine"]}'),
    ]


def by_hand() -> dict[str, tuple[str, str, bytes]]:
    """Files that want something, or cannot be, by what they are: the reader's kind, the file's name and what it holds."""
    bare = b"[dataset]\nfolder = 'x'\n"
    recipes: dict[str, bytes] = {
        "nothing": b"",
        "bytes of chance": random.Random(0).randbytes(5000),
        "a pickle": b"cos\nsystem\n(Vtrue\ntR.",
        "a program": b"import os\nos.system('true')\n",
        "a list nested 10^5 deep": b"a = " + b"[" * _DEEP,
        "tables nested 10^5 deep": b"a = " + b"{b = " * _DEEP,
        "a key of 10^5 parts": b"a." * _DEEP + b"b = 1",
        "a title of 10^5 parts": b"[" + b"a." * _DEEP + b"b]",
        "quoted keys of 10^5 parts": b"'a' . \"b\" . " * _DEEP + b"b = 1",
        "a number of 10^5 digits": bare + b"[optimisation]\nepochs = " + b"9" * _DEEP,
        "a number beyond all": bare + b"[optimisation]\nlr = 1e999",
        "not a number": bare + b"[optimisation]\nlr = nan",
        "epochs without end": bare + b"[optimisation]\nepochs = 9223372036854775807",
        "text for a number": bare + b"[optimisation]\nepochs = '__import__(\"os\")'",
        "code for a class": bare + b"[optimisation]\noptimizer = 'os.system'",
        "a field to run": bare + b"[hooks]\non_open = 'touch marker'",
        "a field of Python's": bare + b"__class__ = 'Recipe'",
        "a field of pydantic's": bare + b"model_config = {extra = 'allow'}",
        "dataset as a list": b"dataset = ['x']",
        "a folder that is a number": b"[dataset]\nfolder = 7",
        "an empty folder": b"[dataset]\nfolder = ''",
        "a name with a line": bare + b"[dataset.rename]\ncat = \"a\\nb\"",
        "a picture by its path": bare + b"[dataset.pictures]\n'../../etc/passwd' = 'val'",
        "the same field twice": bare + b"seed = 1\nseed = 2",
        "a newer version": b"version = 99\n" + bare,
        "a version of text": b"version = 'new'\n" + bare,
        "a negative seed": bare + b"seed = -1",
        "processes without end": b"processes = 1000000\n" + bare,
        "a freeze preset of chance": bare + b"[freeze]\npreset = 'last:" + b"9" * 5000 + b"'",
        "changes out of order": bare + b"[[changes]]\nepoch = 5\nlr = 0.1\n[[changes]]\nepoch = 2\nlr = 0.1",
        "a date that is none": b"a = 2026-13-45",
        "a text without an end": b"a = '''" + b"x" * _DEEP,
        "NUL": bare + b"\0",
        "another encoding": "[dataset]\nfolder = 'x'".encode("utf-16"),
    }  # fmt: skip
    jsons = {
        "nested 10^5 deep": b"[" * _DEEP,
        "objects 10^5 deep": b'{"a":' * _DEEP,
        "a number of 10^5 digits": b"9" * _DEEP,
        "a list": b"[]",
        "null": b"null",
        "bytes of chance": random.Random(1).randbytes(5000),
        "every value of another kind": b'{"theme": [], "splitters": 7, "recent": {}, "lesson": [], "geometry": null, '
        b'"windows": 1}',
        "values within of another kind": b'{"splitters": {"data": ["x", {}]}, "recent": [1, {}], "lesson": '
        b'{"open": 1, "step": "x"}, '
        b'"windows": {"log": [1]}, "detached": {"plots": "yes"}, "language": "../../x", "theme": "../x"}',
    }
    found = {f"recipe: {name}": ("recipe", "recipe.toml", content) for name, content in recipes.items()}
    found |= {f"project: {name}": ("project", "project.toml", content) for name, content in list(recipes.items())[4:10]}
    found |= {f"plan: {name}": ("plan", "plan.txt", content) for name, content in list(recipes.items())[4:10]}
    found |= {f"queue: {name}": ("queue", "queue.toml", content) for name, content in list(recipes.items())[1:10]}
    found |= {f"settings: {name}": ("settings", "window.json", content) for name, content in jsons.items()}
    found |= {f"open run: {name}": ("project", "project.run.json", content) for name, content in jsons.items()}
    found |= {f"list of runs: {name}": ("known", "known_runs.jsonl", content + b"\n") for name, content in jsons.items()}
    found |= {f"curves: {name}": ("events", "events.jsonl", content + b"\n") for name, content in jsons.items()}
    found |= {f"pictures: {name}": ("manifest", "manifest.json", content) for name, content in jsons.items()}
    found |= {f"plugins: {name}": ("plugins", "plugins.json", content) for name, content in jsons.items()}
    return found | {
        "plugins: a number": ("plugins", "plugins.json", b'{"enabled": 7}'),
        "queue: numbers for texts": (
            "queue",
            "queue.toml",
            b"last = 1\n[[waiting]]\nnumber = 'x'\nname = 3\n[waiting.recipe]\na = 1",
        ),
        "queue: a recipe that is a list": ("queue", "queue.toml", b"last = 1\n[[waiting]]\nnumber = 1\nname = 'x'\nrecipe = [1]"),
        "queue: a last number of text": ("queue", "queue.toml", b"last = 'x'\nwaiting = []"),
        "queue: infinitely many": ("queue", "queue.toml", b"last = inf\nwaiting = []"),
    }


MUST_BE_TOLD = ("recipe", "queue", "manifest")
"""Of these every file by hand is refused; of the rest what cannot be used may be left out."""


def mutated(content: bytes, chance: random.Random) -> bytes:
    """`content` with a few changes."""
    made = content
    for _ in range(chance.randrange(1, 5)):
        start = chance.randrange(len(made) + 1)
        end = min(len(made), start + chance.randrange(1, 40))
        made = chance.choice(_WAYS)(made, start, end, chance)
    return made


def _flipped(made: bytes, start: int, end: int, chance: random.Random) -> bytes:
    return made[:start] + bytes([chance.randrange(256)]) + made[start + 1 :]


def _inserted(made: bytes, start: int, end: int, chance: random.Random) -> bytes:
    return made[:start] + chance.choice(_TOKENS) + made[start:]


def _replaced(made: bytes, start: int, end: int, chance: random.Random) -> bytes:
    return made[:start] + chance.choice(_TOKENS) + made[end:]


def _left_out(made: bytes, start: int, end: int, chance: random.Random) -> bytes:
    return made[:start] + made[end:]


def _repeated(made: bytes, start: int, end: int, chance: random.Random) -> bytes:
    return made[:end] + made[start:end] * chance.choice((1, 2, 50)) + made[end:]


def _value_changed(made: bytes, start: int, end: int, chance: random.Random) -> bytes:
    """What stands behind the next sign that a value follows."""
    place = max(made.find(b"=", start), made.find(b":", start))
    stop = min((found for found in (made.find(sign, place) for sign in (b"\n", b",", b"}")) if found >= 0), default=len(made))
    return made if place < 0 else made[: place + 1] + b" " + chance.choice(_TOKENS) + made[stop:]


_WAYS: tuple[Callable[[bytes, int, int, random.Random], bytes], ...] = (
    *(_flipped, _inserted, _replaced, _left_out, _repeated, _value_changed),
)


def placed(folder: Path, name: str, content: bytes) -> Path:
    """`content` as the file `name` of a folder where it is looked for: `data`, and a run's own."""
    path = folder / "data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
