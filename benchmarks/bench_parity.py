"""Every network that can be chosen: trained, exported by the application's own door, and compared. A line of JSON each.

    python -m benchmarks.bench_parity FOLDER [--pictures N] [--memory GB] [--limit SECONDS] [--at-once N] [--keep]
                                             [--backbones NAME…]

FOLDER holds train/ and val/. Networks whose weights alone differ count once, and of timm the smallest of each family. Each has a
process of its own, which may take so much memory and time; from the one that computes least to the one that computes most. What
is told is kept in parity.jsonl, and docs/exports.md made from it; asked again, it goes on with what is missing there at the same
state of the code, or did not fit within less.

What is too large for one ONNX file is exported as a PyTorch program.

Weights that are not on this machine are drawn at random, so that every layer has its say (see `stirred`).
"""

import argparse
import json
import math
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import parity_page
from desktop_ft.api import Backbone, Exporter
from desktop_ft.core.errors import UserError
from desktop_ft.core.exporting import ExportSettings
from desktop_ft.engine import process
from desktop_ft.export.verify import TOLERANCE
from desktop_ft.plugin_manager import Plugins, load_module, turn
from plugins import timm_backbones

if TYPE_CHECKING:
    from torch import nn

    from desktop_ft.core.metrics import ExportReport
    from desktop_ft.core.recipe import Recipe

ROOT = Path(__file__).parents[1]
DECIDES = ("desktop_ft", "plugins", "benchmarks/bench_parity.py", "requirements")
"""What the figures come from: they hold until one of these changes."""
TRAINING = {"epochs": 10, "batch_size": 8, "lr": 0.01}
_SHARES = {0.3: 1.0, 2.0: 0.4, 100.0: 0.2, math.inf: 0.1}
"""Networks of up to so many GFLOPs are asked about this share of the pictures."""
_BATCHES, _BATCH = 3, 8
"""The pictures whose passage gives BatchNorm its statistics, where weights are drawn at random."""
_DRAWS = 5
_LEAST_SPREAD = 100 * TOLERANCE
"""Answers that lie closer together may be alike by chance: a head whose ReLU is dead says 0 of every photo."""
_GB = 10**9
_ONE_ONNX_FILE = 2**31 - 1
"""Bytes that it may have."""
_OUT_OF_MEMORY = re.compile("MemoryError|bad_alloc|allocate|map segment|enough memory|out of memory", re.IGNORECASE)

Line = dict[str, Any]


def everything() -> Plugins:
    """The plugins that are on, and timm's networks."""
    return load_module(timm_backbones.__name__)


def networks(backbones: Iterable[Backbone]) -> dict[str, list[str]]:
    """The networks to try, by name, from the one that computes least on; with those that have other weights and nothing else."""
    alike: dict[tuple[object, ...], list[Backbone]] = {}
    for backbone in sorted(backbones, key=lambda each: (each.spec.parameters, each.spec.name)):
        spec = backbone.spec
        own = (spec.name.partition(".")[0], spec.resize.crop, spec.parameters)
        key = (spec.family,) if spec.plugin == "timm_backbones" else own
        alike.setdefault((spec.plugin, *key), []).append(backbone)
    ordered = sorted(alike.values(), key=lambda same: (same[0].spec.gflops or 0, same[0].spec.name))
    return {
        first.spec.name: [] if first.spec.plugin == "timm_backbones" else [other.spec.name for other in others]
        for first, *others in ordered
    }


def share_for(backbone: Backbone) -> float:
    """The share of the pictures that `backbone` is asked about."""
    return next(share for most, share in _SHARES.items() if (backbone.spec.gflops or 0) <= most)


def stirred(module: "nn.Module", largest: float = 1.0) -> "nn.Module":
    """`module` without the numbers that silence what they belong to.

    Scales of layers and branches that begin at 0 or 1e-6 keep what is in those branches from the logits, and so do matrices that
    are drawn small; shifts of 0 and scales of 1 could be left out of a file unseen. Draws from torch's own generator: scales
    between half of `largest` and `largest`.
    """
    import torch

    with torch.no_grad():
        for name, held in module.named_parameters():
            first = held.flatten()[0]
            if not bool((held == first).all()):
                if held.ndim > 1:  # at least as large as keeps the size of what passes through
                    held.mul_(((held.numel() / held.shape[0]) ** -0.5 / held.std()).clamp(min=1))
            elif (name.endswith("bias") and first == 0) or (first == 0 and held.ndim > 1):
                held.normal_(std=0.1)
            elif first == 0 or (held.numel() > 1 and first.abs() <= 1):
                held.uniform_(largest / 2, largest)
    return module


def drawn(backbone: Backbone, pictures: Sequence[Path], file: Path, seed: int = 0) -> Path:
    """Weights for `backbone` drawn at random from `seed`, with the statistics that BatchNorm sees on `pictures`.

    From each further seed they are calmer: large scales make near ties in the softmaxes of attention, which rounding decides.
    """
    import torch
    from safetensors.torch import save_file
    from torch import nn
    from torch.optim.swa_utils import update_bn

    from desktop_ft.data.decode import network_input
    from desktop_ft.models.network import Network

    torch.manual_seed(seed)
    spec, module = backbone.spec, stirred(backbone.build(), 0.5**seed)
    if any(isinstance(each, nn.modules.batchnorm._BatchNorm) for each in module.modules()):
        seen = [network_input(path, spec.resize).copy() for path in pictures[: _BATCHES * _BATCH]]
        tensors = [torch.from_numpy(picture).permute(2, 0, 1) for picture in seen]
        batches = [torch.stack(tensors[first : first + _BATCH]) for first in range(0, len(tensors), _BATCH)]
        update_bn(batches, Network(module, spec.head, spec.mean, spec.std))
    save_file({name: tensor.clone().contiguous() for name, tensor in module.state_dict().items()}, file)
    return file


def measured(name: str, folder: Path, place: Path) -> Line:
    """Train, export and compare in `place`; with other weights where those that were drawn are unstable.

    Raises:
        UserError: it cannot be trained, or not be exported, or its file answers otherwise.
    """
    from desktop_ft.jobs.backbones import is_local

    plugins = everything()
    backbone = plugins.backbones.get(name)
    if is_local(backbone):
        return {"weights": "pre-trained", "draws": 0} | _exported(_recipe(folder, name), place, plugins)
    # Of each class some: sorted by their own names, the pictures of all classes come mixed.
    pictures = sorted(folder.glob("train/*/*"), key=lambda path: path.name)
    for seed in range(_DRAWS):
        (own := place / str(seed)).mkdir()
        weights = drawn(backbone, pictures, own / "drawn.safetensors", seed)
        try:
            line = _exported(_recipe(folder, name, weights), own, plugins)
        except UserError as error:
            # Two that are each so far from the exact answer may be twice as far from each other.
            if not (own / "run").exists() or (rounding := _rounding(own / "run", plugins)) <= TOLERANCE / 2:
                raise
            refused = f"{error.what} In PyTorch itself float32 is off by {rounding:.1e} from float64."
        else:
            if line["spread"] >= _LEAST_SPREAD:  # not so where it is no number either
                return {"weights": "random", "draws": seed + 1} | line
            refused = "It answers all photos alike, so that nothing would be compared."
    raise UserError(
        f"{_DRAWS} draws of weights were unstable, or told nothing apart. Of the last: {refused}", "Try pre-trained weights."
    )


def _recipe(folder: Path, name: str, weights: Path | None = None) -> "Recipe":
    from desktop_ft.core.recipe import Recipe

    data = {
        "dataset": {"folder": os.fspath(folder)},
        "backbone": {"name": name, "weights": os.fspath(weights or "")},
        "freeze": {"preset": "head"},
        "optimisation": TRAINING,
        "precision": "fp32",
    }
    return Recipe.from_data(data, "The benchmark")


def _exported(recipe: "Recipe", place: Path, plugins: Plugins) -> Line:
    import torch

    from benchmarks.machine import cpu
    from desktop_ft.jobs.exporting import export_run

    began = time.perf_counter()
    run = _trained(recipe, place / "run", plugins)
    trained = time.perf_counter()
    if too_large := 4 * plugins.backbones.get(recipe.backbone.name).spec.parameters > _ONE_ONNX_FILE:
        turn(plugins, "torch_export", on=True)
    exporter = plugins.exporters.get("torch" if too_large else "onnx")
    report = export_run(run, place / f"model{exporter.suffix}", plugins, settings=ExportSettings(format=exporter.name))
    exported = time.perf_counter()
    return {
        **_told(report, exporter, sorted(Path(recipe.dataset.folder).glob("val/*/*"))),
        "format": exporter.suffix,
        "train_s": round(trained - began, 1),
        "export_s": round(exported - trained, 1),
        "machine": f"{os.cpu_count()} cores of {cpu()}, torch {torch.__version__}",
    }


def _rounding(run: Path, plugins: Plugins) -> float:
    """How far the run's network is in float32 from itself in float64, as files are compared with it: no file can be nearer."""
    import numpy as np

    from desktop_ft.jobs.exporting import to_compare
    from desktop_ft.jobs.running import logits_of, open_run, trained

    opened = open_run(run, plugins)
    network = trained(opened).network
    paths = [Path(opened.manifest.root) / sample.path for sample in to_compare(opened)]
    plain = logits_of(network, paths, opened.rule)
    exact = logits_of(network.double(), paths, opened.rule)
    return float(np.abs(plain - exact).max() / np.abs(plain).max())


def _trained(recipe: "Recipe", run: Path, plugins: Plugins) -> Path:
    from desktop_ft.core.events import RunStatus
    from desktop_ft.engine.control import RunControl
    from desktop_ft.jobs.training import train

    ended = train(recipe, run, plugins, lambda event: None, RunControl())
    if ended.status is not RunStatus.COMPLETED:
        raise UserError(f"The run did not complete: {ended.error or ended.status}", "Look at its log.")
    return run


def _told(report: "ExportReport", exporter: Exporter, held_out: Sequence[Path]) -> Line:
    """What the report says, and how far the file's own answers for pictures that were not learned from lie apart."""
    import numpy as np

    from desktop_ft.export.answering import answers
    from desktop_ft.export.metadata import read_metadata
    from desktop_ft.export.onnx_model import OnnxModel

    file = Path(report.file)
    model = (exporter.open or OnnxModel)(file)
    facts = read_metadata(model.metadata, file.name)
    logits = np.array([answer.logits for answer in answers(model.run, facts.prepared, held_out, facts.batch)])
    return {
        "pictures": report.compared,
        "difference": report.largest_difference,
        "largest_logit": round(float(np.abs(logits).max()), 3),
        "spread": float(logits.std(axis=0).mean() / np.abs(logits).max()),
        "classes_answered": len(np.unique(logits.argmax(axis=1))),
        "classes": logits.shape[1],
        "changed": report.changed_answers,
        "accuracy": report.accuracy,
        "bytes": report.bytes,
    }


def told_by_one(name: str, folder: Path, place: Path, memory: float) -> Line:
    """What becomes of `name` in this process and those that it starts, each of which may take `memory` GB."""
    process.prepare()
    resource.setrlimit(resource.RLIMIT_DATA, (int(memory * _GB),) * 2)
    try:
        line = measured(name, folder, place)
    except (UserError, RuntimeError, MemoryError, ValueError, TypeError) as error:
        why = error.what if isinstance(error, UserError) else f"{type(error).__name__}: {error}".splitlines()[0]
        why = why.replace(f"{folder}{os.sep}", "")
        line = {"problem": f"does not fit: {memory:g} GB of memory" if _OUT_OF_MEMORY.search(why) else why}
    used = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return line | {"memory_gb": round(used * 1024 / _GB, 1)}


def in_a_process(name: str, asked: argparse.Namespace, folder: Path) -> Line:
    """As `told_by_one`, in a process of its own that is ended after a while."""
    with tempfile.TemporaryDirectory() as place:
        own = {"DESKTOP_FT_HOME": place, "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // asked.at_once))}
        command = [sys.executable, "-m", "benchmarks.bench_parity", os.fspath(folder), "--one", name, "--place", place]
        with subprocess.Popen(
            [*command, "--memory", str(asked.memory)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | own,
            cwd=ROOT,
            start_new_session=True,  # so that what it starts ends with it
        ) as child:
            try:
                told, complaints = child.communicate(timeout=asked.limit)
            except subprocess.TimeoutExpired:
                return {"problem": f"does not fit: {asked.limit} s"}
            finally:
                with suppress(ProcessLookupError):  # it ended, and all that it started
                    os.killpg(child.pid, signal.SIGKILL)
    if child.returncode == 0:
        line: Line = json.loads(told.splitlines()[-1])
        return line
    last = (complaints.strip().splitlines() or [f"it ended with code {child.returncode}"])[-1]
    killed = child.returncode in (-signal.SIGKILL, -signal.SIGABRT) or _OUT_OF_MEMORY.search(last)
    return {"problem": f"does not fit: {asked.memory:g} GB of memory" if killed else last}


def state_of_code() -> str:
    """The last commit that changed what the figures come from; with a plus where there is more than is committed."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words, "--", *DECIDES], check=True, capture_output=True, text=True, cwd=ROOT
        ).stdout.strip()

    return git("log", "-1", "--format=%h") + ("+" if git("status", "--porcelain") else "")


def is_settled(line: Line, asked: argparse.Namespace, state: str) -> bool:
    """Whether `line` need not be measured again, now that the code is in `state`."""
    problem = line.get("problem", "")
    if line["code"] != state:
        return asked.keep and not problem
    within = line["memory_limit_gb"] >= asked.memory and line["limit_s"] >= asked.limit
    return within or not problem.startswith("does not fit")


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--memory", type=float, default=12, help="GB that a process may take")
    parser.add_argument("--limit", type=int, default=600, help="seconds that a network may take")
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep what went well at another state of the code")
    parser.add_argument("--backbones", nargs="*", default=())
    parser.add_argument("--one", default="", help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Try them all, or be the process that tries one."""
    asked = _asked()
    if asked.one:
        print(json.dumps(told_by_one(asked.one, asked.folder, asked.place, asked.memory), allow_nan=False))
        return
    from benchmarks.bench_depths import fewer

    backbones, state = everything().backbones, state_of_code()
    wanted = networks(backbones)
    limits = {"memory_limit_gb": asked.memory, "limit_s": asked.limit, "at_once": asked.at_once}

    def known(name: str) -> Line:
        spec = backbones.get(name).spec
        facts = {fact: getattr(spec, fact) for fact in ("plugin", "family", "parameters", "gflops")}
        return {"benchmark": "parity", "backbone": name, **facts, "side": spec.resize.crop, "also": wanted.get(name, [])}

    kept = parity_page.read()
    new = wanted.keys() - {line["backbone"] for line in kept}
    parity_page.keep([known(name) | {"problem": parity_page.UNTRIED, "code": ""} for name in new], list(wanted))
    left = [
        name
        for name in asked.backbones or wanted
        if not any(line["backbone"] == name and is_settled(line, asked, state) for line in kept)
    ]
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(asked.at_once) as pool:
        shares = {share: Path(place) / str(share) for share in _SHARES.values()}
        for share, folder in shares.items():
            fewer(asked.folder.absolute(), round(asked.pictures * share), folder)
        turns = {pool.submit(in_a_process, name, asked, shares[share_for(backbones.get(name))]): name for name in left}
        for turn in as_completed(turns):
            line = known(turns[turn]) | turn.result() | limits | {"code": state}
            print(json.dumps(line), flush=True)
            parity_page.keep([line], list(wanted))


if __name__ == "__main__":
    main()
