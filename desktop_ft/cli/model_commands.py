"""`backbones` and `layers`."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from desktop_ft.cli.terminal import Terminal
from desktop_ft.core.backbone import WeightsOrigin, is_found_by
from desktop_ft.core.errors import UserError
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.layer_learning import LayerState, blocks, remarks, share, states
from desktop_ft.core.layers import LayerNode
from desktop_ft.core.offers import Offer, PictureFacts, picks, recommend
from desktop_ft.core.plan_comparison import compare
from desktop_ft.core.plan_text import plan_in
from desktop_ft.data.scan import scan
from desktop_ft.jobs.backbones import download, layers, measure_speeds, offers
from desktop_ft.jobs.devices import accelerated
from desktop_ft.jobs.replanning import current
from desktop_ft.plugin_manager import Plugins, load_plugins
from desktop_ft.runs import atomic, seals
from desktop_ft.runs.run_folder import RunFolder


def add_model_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands that look at networks."""
    parser = commands.add_parser(
        "backbones",
        help="list the pre-trained networks, measure or recommend some, or fetch the weights of one",
        description="List the pre-trained networks with their facts. Nothing is downloaded unless --download asks for it.",
        epilog='Examples: desktop-ft backbones resnet; desktop-ft backbones "vit imagenet-21k 384px apache"',
    )
    parser.add_argument("search", nargs="?", default="", metavar="TEXT", help="only those with each word of TEXT in their facts")
    parser.add_argument("--local", action="store_true", help="only those whose weights are on this machine")
    parser.add_argument("--download", metavar="NAME", help="fetch the weights of NAME, checked against their publisher's hash")
    parser.add_argument(
        "--measure", nargs="+", metavar="NAME", help="measure how many pictures a second each NAME answers here, and remember it"
    )
    parser.add_argument("--recommend", type=Path, metavar="FOLDER", help="say which of three networks suits the pictures there")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.set_defaults(run=_backbones)

    parser = commands.add_parser(
        "layers",
        help="show a network's layers as a tree, or how those of a run learned",
        description="The layers of a network: path, type, parameters, and the shape of what comes out; or in which of them two\n"
        "plans of what learns differ. Of a run: the gradient of each layer that learns, how far a step moves it, how far it has\n"
        "drifted from what it was pre-trained to, and which layers do not learn, or forget.",
        epilog="Examples: desktop-ft layers resnet18; desktop-ft layers run --every",
    )
    parser.add_argument("name", metavar="NAME", help="a backbone, see `desktop-ft backbones`; or a run, by its folder")
    parser.add_argument("--image-size", type=int, default=0, help="side of the input in pixels (default: the network's own)")
    parser.add_argument(
        "--compare",
        nargs=2,
        metavar="PLAN",
        help="say in which layers two plans differ: each a preset such as last:2, options such as '--freeze all --rate fc=2', "
        "a recipe file, or a run",
    )
    parser.add_argument("--every", action="store_true", help="of a run show each layer by itself, not those of a block as one")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output, of a run with each layer")
    parser.set_defaults(run=_layers)


def _backbones(arguments: argparse.Namespace, terminal: Terminal) -> int:
    plugins = load_plugins()
    for trouble in plugins.troubles:
        terminal.note(trouble)
    if arguments.download:
        backbone = plugins.backbones.get(arguments.download)
        with terminal.progress(f"Fetching {arguments.download}") as progress:
            path = download(backbone, progress=progress)
        terminal.document({"name": arguments.download, "file": str(path)})
        terminal.say(f"The weights of {arguments.download} are on this machine: {path}")
        return 0
    if arguments.measure:
        return _measure(arguments.measure, plugins, terminal)
    if arguments.recommend:
        return _recommend(arguments.recommend, plugins, terminal)
    found = [each for each in offers(plugins) if is_found_by(each.spec, arguments.search) and (each.local or not arguments.local)]
    if terminal.json:
        terminal.document([backbone_document(offer) for offer in found])
        return 0
    rows = [
        [
            offer.spec.name,
            offer.spec.family,
            f"{offer.spec.parameters / 1e6:.1f} M",
            "" if offer.spec.gflops is None else f"{offer.spec.gflops:.2f}",
            "" if offer.spec.top1 is None else f"{offer.spec.top1:.1f}",
            "" if offer.speed is None else f"{offer.speed.pictures_per_second:.3g}",
            str(offer.spec.resize.crop),
            offer.spec.weights.licence,
            where_weights_are(offer),
        ]
        for offer in found
    ]
    titles = ["name", "family", "parameters", "GFLOPs", "top-1 %", "pictures/s", "pixels", "licence of the weights", "weights"]
    terminal.table(titles, rows, right=(2, 3, 4, 5, 6))
    if not found:
        terminal.say(f"No backbone has '{arguments.search}' in its name, family, data, licence or size.")
    return 0


def _measure(names: Sequence[str], plugins: Plugins, terminal: Terminal) -> int:
    wanted = [plugins.backbones.get(name) for name in names]
    with terminal.progress("Measuring") as progress:
        found = measure_speeds(wanted, progress=progress)
    terminal.document(
        [
            {"name": name, "pictures_per_second": speed.pictures_per_second, "device": speed.device}
            for name, speed in found.items()
        ]
    )
    rows = [[name, f"{speed.pictures_per_second:.3g}", speed.device] for name, speed in found.items()]
    terminal.table(["name", "pictures/s", "on"], rows, right=(1,))
    return 0


def _recommend(folder: Path, plugins: Plugins, terminal: Terminal) -> int:
    with terminal.progress("Looking at the pictures") as progress:
        pictures = PictureFacts.of(scan(folder, fewest_classes=1, progress=progress))
    chosen = picks(offers(plugins))
    suits = recommend(chosen, pictures, accelerated=accelerated())
    if suits is None:
        raise UserError("There is nothing to recommend.", "Name a folder of pictures, and turn on a plugin that brings networks.")
    names = {aim.value: offer.spec.name for aim, offer in chosen.items()}
    terminal.document({"picks": names, "recommended": names[suits.aim], "reason": suits.reason})
    rows = [
        [
            aim.value,
            offer.spec.name,
            f"{offer.spec.top1:.1f}",
            f"{offer.spec.gflops:.2f}",
            where_weights_are(offer),
            "recommended" if aim is suits.aim else "",
        ]
        for aim, offer in chosen.items()
    ]
    terminal.table(["for", "name", "top-1 %", "GFLOPs", "weights", ""], rows, right=(2, 3))
    terminal.say(suits.reason)
    return 0


def where_weights_are(offer: Offer) -> str:
    """`on this machine`, the download's size, or what a person has to do."""
    source = offer.spec.weights
    if offer.local:
        return "on this machine"
    if source.origin is WeightsOrigin.DOWNLOAD:
        return f"{source.bytes / 1e6:.0f} MB to fetch" if source.bytes else "to fetch"
    if source.origin is WeightsOrigin.BY_HAND:
        return "to fetch by hand"
    if source.origin is WeightsOrigin.PACKAGE:
        return f"needs {source.package}"
    return "none"


def backbone_document(offer: Offer) -> dict[str, object]:
    """What `backbones --json` prints of each."""
    spec, speed = offer.spec, offer.speed
    return {
        "name": spec.name,
        "family": spec.family,
        "parameters": spec.parameters,
        "gflops": spec.gflops,
        "top1": spec.top1,
        "top5": spec.top5,
        "input_size": spec.resize.crop,
        "resized_to": spec.resize.resize,
        "interpolation": spec.resize.interpolation,
        "mean": spec.mean,
        "std": spec.std,
        "classes": spec.classes,
        "trained_on": spec.trained_on,
        "licence": spec.weights.licence,
        "commercial_use": spec.weights.commercial_use,
        "weights": spec.weights.origin,
        "weights_url": spec.weights.url,
        "download_bytes": spec.weights.bytes,
        "on_this_machine": offer.local,
        "pictures_per_second": None if speed is None else speed.pictures_per_second,
        "plugin": spec.plugin,
    }


def _layers(arguments: argparse.Namespace, terminal: Terminal) -> int:
    if arguments.name not in (known := load_plugins().backbones) and Path(arguments.name).is_dir():
        if arguments.compare or arguments.image_size:
            raise UserError("Of a run --compare and --image-size tell nothing.", "Leave them out, or name a backbone.")
        return _learned(RunFolder.open(Path(arguments.name)), arguments.every, terminal)
    if arguments.every:
        raise UserError("--every is for a run.", "Leave it out: of a network each layer is shown.")
    backbone = known.get(arguments.name)
    tree = layers(backbone, arguments.image_size)
    if arguments.compare:
        return _compare(arguments.compare, tree, backbone.spec.head, terminal)
    terminal.document(layer_document(tree))
    terminal.say(tree.render())
    return 0


def _learned(run: RunFolder, every: bool, terminal: Terminal) -> int:
    found = states(run.history().layers)
    if not found:
        raise UserError(
            f"The run '{run.name}' does not tell how its layers learned.",
            "It has not finished an epoch, or is from before this was looked at.",
        )
    terminal.document({"layers": {path: asdict(state) for path, state in found.items()}, "remarks": remarks(found)})
    titles, shown = ("layer", "gradient", "step", "drift", "remark"), found if every else blocks(found)
    terminal.table(titles, [_learned_row(path, state) for path, state in shown.items()], right=(1, 2, 3))
    terminal.say(
        "gradient: its length when last looked at; step: by what share of their length it moved the weights; drift: how far they "
        "are from what they were pre-trained to, as a share of their length then."
    )
    if len(shown) < len(found):
        terminal.say("Of a block's layers the largest step and drift; --every shows each layer.")
    for remark in remarks(found):
        terminal.say(remark)
    return 0


def _learned_row(path: str, state: LayerState) -> list[str]:
    drift = "" if state.drift is None else share(state.drift)
    return [path, f"{state.gradient:.2g}", share(state.update), drift, state.sign.value if state.sign else ""]


def _compare(names: Sequence[str], tree: LayerNode, head: str, terminal: Terminal) -> int:
    plan, other = map(_plan, names)
    for each in (plan, other):
        if unknown := each.unknown_overrides(tree):
            raise UserError(
                f"The network has no layer '{unknown[0]}'.", "`desktop-ft layers NAME` shows the paths of its layers."
            )
    told, mine = compare(plan, other, names[1], tree, head), plan.rates(tree, head)
    rows = [(path, mine[path], told.rates[path]) for path in told.differing]
    terminal.document({"learning": (told.learning, told.others), "differing": rows})
    terminal.say(told.words)
    if rows:
        shown = [[path, *(f"{rate:.3g}" if rate else "frozen" for rate in rates)] for path, *rates in rows]
        terminal.table(["layer", *names], shown, right=(1, 2))
    return 0


def _plan(said: str) -> FreezePlan:
    if said.lstrip().startswith("-"):  # options, however long: no name of a file
        return plan_in(said)
    path = Path(said)
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except OSError:  # too long for a name, or not to be reached
        is_folder = is_file = False
    if is_folder:
        return current(RunFolder.open(path)).freeze
    if is_file:
        return plan_in(seals.open_text(atomic.read(path), said).decode("utf-8", "replace"))
    return plan_in(f"--freeze {said}")


def layer_document(node: LayerNode) -> dict[str, object]:
    """What `layers --json` prints: the tree, nested."""
    return {
        "path": node.path,
        "type": node.type,
        "parameters": node.parameters,
        "output_shape": node.output_shape,
        "children": [layer_document(child) for child in node.children],
    }
