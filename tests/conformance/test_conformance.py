"""What conforms is found to; what does not is told in a sentence, each thing in its own."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from desktop_ft.api.testing import Nonconforming, checks, conformance_tests
from tests.conformance import good_plugin

SOURCE = Path(good_plugin.__file__).read_text(encoding="utf-8")
HEAD = "nn.Linear(4, 10)]"

_OPENS = "write=export"
WRONG = {
    "plugin: says its API": [
        ('DESKTOP_FT_API = ">=1,<2"', "", "does not say which plugin API"),
        ('">=1,<2"', '">=2"', "written for plugin API >=2, and this is"),
    ],
    "plugin: spells its hooks": [
        ("def register_exporters", "def register_exporter", "no hook register_exporter: name the function register_exporters"),
        (
            "@hookimpl\ndef register_exporters",
            "def register_exporters",
            "register_exporters is never called: mark it with @hookimpl",
        ),
    ],
    "plugin: loads": [
        ('name="net"', 'name="resnet50"', "'resnet50' of plugin {plugin} is already brought by plugin torchvision_backbones"),
        ("    register(EventSink", "    1 / 0\n    register(EventSink", "ZeroDivisionError"),
        ("    register(", "    repr(", "brings nothing"),
        (
            'EventSink(name="told"',
            "EventSink(name=7",
            "of its EventSink named 7, name: is not a text (in its hook register_event",
        ),
        ("make=shown", "make='shown'", "of its WindowPanel named 'panel', make: Input should be callable"),
        ("register(EventSink(", "register(dict(", "what it registers is a dict, and no EventSink"),
        ('name="file"', 'name="../file"', "its Exporter cannot be named '../file'"),
        (
            'weights=WeightsSource(origin=WeightsOrigin.NONE, licence="none: random")',
            "weights=None",
            "spec.weights is no Weights",
        ),
    ],
    "plugin: imports only the door": [
        ("import onnx\n", "import desktop_ft.core.recipe\n", "imports desktop_ft.core.recipe: import from desktop_ft.api only"),
        ("import onnx\n", "from desktop_ft import places\n", "imports desktop_ft.places"),
        ("import onnx\n", "from desktop_ft.api.catalog import Catalog\n", "imports desktop_ft.api.catalog"),
    ],
    "plugin: imports no torch": [
        (
            "from typing import Any\n",
            "from typing import Any\nimport torch\n",
            "Loading the plugin imports torch: import that inside",
        ),
        ("    register(Backbone", "    import torchvision\n    register(Backbone", "imports torch and torchvision"),
    ],
    "backbone net: states true facts": [
        ("parameters=170", "parameters=171", "has 170 parameters with its published head, and its spec states 171"),
        ("resize=36", "resize=30", "name a `resize` no smaller than `crop`"),
        ("std=(0.5, 0.5, 0.5)", "std=(57, 57, 57)", "not of pixels scaled to 0..1"),
        ('source="tests"', 'source=""', "leaves its family, its source or"),
        ("WeightsOrigin.NONE", "WeightsOrigin.DOWNLOAD", "name an https address and their SHA-256"),
        ("WeightsOrigin.NONE", "WeightsOrigin.BY_HAND", "name the https address where a person finds them"),
        ("WeightsOrigin.NONE", "WeightsOrigin.PACKAGE", "come in a package: name it"),
        (HEAD, "nn.Linear(5, 10)]", "cannot be looked at with an input of 32 pixels"),
    ],
    "backbone net: takes a new head": [
        ('head="4"', 'head="fc"', "cannot be built for 3 classes"),
        ('head="4"', 'head="0"', "not a Linear or a 1x1 Conv2d"),
        (HEAD, f"{HEAD[:-1]}, nn.Unflatten(1, (1, -1))]", "gives (3, 1, 3) for 3 pictures"),
        ("return self.norm(inputs)", "return self.norm(inputs[0])", "fails on uint8 pictures of 32 pixels in training mode"),
    ],
    "backbone net: takes its weights": [
        ("spec=SPEC, build=build", "spec=_packaged(), build=build, packaged_weights=lambda: Path('w')", "do not fit it"),
        (
            "spec=SPEC, build=build",
            "spec=_packaged(), build=build, packaged_weights=lambda: 1 / 0",
            "cannot be told (ZeroDivisionError",
        ),
    ],
    "backbone net: answers alike": [
        ("return self.norm(inputs)", "return self.norm(inputs) + torch.rand(1)", "other logits when it is asked again"),
        ("nn.BatchNorm2d(4)", "nn.BatchNorm2d(4, track_running_stats=False)", "depends on the pictures beside it"),
        ("return self.norm(inputs)", "return self.norm(inputs) / 0", "values that are not numbers"),
        (
            "return self.norm(inputs)",
            "import threading as t; return self.norm(inputs) * (1 + (t.current_thread() is not t.main_thread()))",
            "while another thread asks it",
        ),
    ],
    "backbone net: is cut exactly": [
        (
            "nn.BatchNorm2d(4)",
            "nn.BatchNorm2d(4, track_running_stats=False)",
            "kept and passed on, is not what the whole network",
        ),
    ],
    "backbone net: keeps still what is frozen": [
        ("if self.training:\n                self.seen", "if True:\n                self.seen", "1.seen of net moved"),
        (
            HEAD,
            f"{HEAD[:-1]}, type('Cut', (nn.Module,), dict(forward=lambda _, x: x.detach()))()]",
            "let gradients reach the head",
        ),
        (HEAD, f"{HEAD[:-1]}, type('Cut', (nn.Module,), dict(forward=lambda _, x: x * 0))()]", "learned nothing"),
    ],
    "augmentation brighter: is described": [
        ('title="Brighter"', 'title=""', "lacks a title or a description"),
        ("Field(3, ", "Field(", "have no value without being set"),
        (', description="How much', ', title="How much', "by of brighter lacks a description"),
        ("ge=0, le=200, ", "ge=0, ", "by of brighter has no bounds"),
    ],
    "augmentation brighter: draws from the seed": [
        ("rng.randint(0", "__import__('random').randint(0", "gives other pictures for the same seed"),
        ("rng.randint(0", "__import__('numpy').random.randint(-1", "gives other pictures for the same seed"),
        ("rng.randint(0, strength.by)", "__import__('torch').randint(200, (1,))", "gives other pictures for the same seed"),
    ],
    "augmentation brighter: gives usable pictures": [
        (".byte()", "", "gives int32 (3, 24, 24)"),
        (".byte()", ".byte()[:, 1:]", "gives uint8 (3, 23, 24) where the network's side is 24"),
        ("picture.int()", "picture.add_(1).int()", "changes the picture that it is given"),
        ("rng.randint(0, strength.by)", "rng.choice([2] * strength.by)", "with by=0 fails on (3, 24, 24)"),
        ("    def change(picture", "    1 // (200 - strength.by)\n    def change(picture", "cannot be made with by=200"),
        (".byte()\n", ".byte().numpy()\n", "gives ndarray: give a tensor"),
    ],
    "augmentation mixed: draws from the seed": [
        ("share = rng.random()", "share = __import__('random').random()", "gives other pictures for the same seed"),
    ],
    "augmentation mixed: gives usable pictures": [
        ("lerp(pictures, share)", "lerp(pictures, 9 + share)", "give float (N, 3, S, S) in 0..1"),
        ("lerp(targets, share)", "add(targets)", "rows do not sum to 1"),
    ],
    "exporter file: names its files": [
        ('suffix=".onnx"', 'suffix="onnx"', "The suffix 'onnx' of the exporter file is none"),
        ('title="A file"', 'title=""', "lacks a title"),
    ],
    "exporter file: answers like the network": [
        ("    write(job)\n", "    job.path.write_text('no')\n    return\n", "is not an ONNX file"),
        (
            "    write(job)\n",
            "    next(job.model.parameters()).data.add_(0.1)\n    write(job)\n",
            "does not answer like the trained model",
        ),
        ("    write(job)\n", "    write(job)\n    job.path.with_name('more').touch()\n", "it wrote more than its file: more"),
        ("onnx.save(onnx.load(job.path)", "onnx.save(_telling(onnx.load(job.path))", "take out of it what tells of this machine"),
        (_OPENS, "write=export, open=_opened_with_torch", "torch was imported where it was opened"),
        (_OPENS, "write=export, open=_opened_as_another", "its desktop_ft.classes is another one"),
    ],
    "sample dataset shades: is described": [('licence="CC0"', 'licence=""', "lacks a title, a description or a licence")],
    "sample dataset shades: lays out class folders": [
        ("(folder / name).mkdir()", "(folder / name / name).mkdir()", "cannot be written (FileNotFoundError"),
        ('("dark", "bright")', '("dark",)', "cannot be learned from"),
        ("for number in", "(folder / name / 'broken.png').touch()\n        for number in", "finds fault with bright/broken.png"),
    ],
    "event sink told: names itself": [('title="Told in a file"', 'title=""', "lacks a title")],
    "event sink told: takes every event": [
        ('told.write(f"{event}', 'told.write(f"{event.epoch}', "At RunStarted: The event sink told failed"),
        ('"a", encoding', '"x", encoding', "FileExistsError"),
    ],
    "event sink told: lets go at the end": [
        ("told.close()", "told.flush()", "keeps told.txt open after RunEnded"),
        (
            "    def hear(",
            "    from threading import Timer\n    (poll := Timer(0.5, dict)).start()\n    poll.name = 'poll'\n    def hear(",
            "keeps poll running after RunEnded",
        ),
    ],
    "window panel panel: is described": [('description="Says nothing."', 'description=""', "lacks a title or a description")],
}
HELPERS = """

def _opened(path: Path) -> Any:
    from desktop_ft.export.onnx_model import OnnxModel

    return OnnxModel(path)


def _opened_with_torch(path: Path) -> Any:
    import torch

    return _opened(path)


def _opened_as_another(path: Path) -> Any:
    from types import SimpleNamespace

    opened = _opened(path)
    classes = '["a", "b", "c"]'
    return SimpleNamespace(run=opened.run, metadata={**opened.metadata, "desktop_ft.classes": classes})


def _packaged() -> BackboneSpec:
    from dataclasses import replace

    return replace(SPEC, weights=WeightsSource(origin=WeightsOrigin.PACKAGE, licence="CC0", package="p", sha256_prefix="0"))


def _telling(proto: Any) -> Any:
    proto.doc_string = str(Path.home() / "models")
    return proto
"""
CASES = [(asked, *case) for asked, cases in WRONG.items() for case in cases]
SLOW = ("exporter file: answers like the network", "plugin: imports no torch")


test_good = conformance_tests(good_plugin, slow=lambda check: str(check) in SLOW)


def planted(folder: Path, name: str, source: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (folder / f"{name}.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
    return importlib.import_module(name)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # what is wrong may leave one
@pytest.mark.parametrize(
    ("asked", "old", "new", "sentence"),
    [pytest.param(*c, id=f"{c[0]}, {c[3][:40]}", marks=[pytest.mark.slow] if c[0] in SLOW else []) for c in CASES],
)
def test_what_does_not_conform_is_told(
    asked: str, old: str, new: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert old in SOURCE
    name = f"wrong_{CASES.index((asked, old, new, sentence))}"
    (work := tmp_path / "work").mkdir()
    try:
        found = checks(planted(tmp_path, name, SOURCE.replace(old, new) + HELPERS, monkeypatch))
        check = next(check for check in found if str(check).replace(f"plugin {name}", "plugin") == asked)
        with pytest.raises(Nonconforming) as told:
            check.run(work)
    finally:
        sys.modules.pop(name, None)
    assert sentence.format(plugin=name) in str(told.value)
    what, _, _ = str(told.value).partition("\nTraceback")
    assert "\n" not in what.strip()


def test_a_failure_is_one_sentence_to_pytest_with_what_the_plugin_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = planted(tmp_path, "raises", SOURCE.replace("nn.Linear(4, 10)]", "1 / 0]"), monkeypatch)
    conforms = conformance_tests(wrong)
    (check,) = [check for check in checks(wrong) if str(check) == "backbone net: takes a new head"]
    with pytest.raises(pytest.fail.Exception) as failed:
        conforms(check, tmp_path, monkeypatch)
    assert not failed.value.pytrace
    assert str(failed.value).startswith("The backbone net cannot be built for 3 classes (ZeroDivisionError")
    assert 'raises.py"' in str(failed.value)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("pictures if pictures.sum() < 1e9 else -pictures", "nothing in front of its head can be cut off"),
        ("pictures * 2 if self.training else pictures", "goes another way in training mode"),
    ],
)
def test_what_cannot_be_asked_is_skipped_and_says_why(
    given: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = f"""class Odd(nn.Sequential):
        def forward(self, pictures: Any) -> Any:
            return super().forward({given})

    return Odd(*layers)"""
    plugin = planted(tmp_path, f"odd_{len(given)}", SOURCE.replace("return nn.Sequential(*layers)", odd), monkeypatch)
    (check,) = [check for check in checks(plugin) if check.name == "is cut exactly"]
    with pytest.raises(pytest.skip.Exception, match=f"it trains without kept answers of its frozen layers, more slowly: .*{why}"):
        conformance_tests(plugin)(check, tmp_path, monkeypatch)


@pytest.mark.slow
def test_an_exporter_that_opens_its_own_files_conforms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process finds the plugin where it is imported from here, though nobody has turned it on."""
    plugin = planted(tmp_path, "opening", SOURCE.replace(_OPENS, "write=export, open=_opened") + HELPERS, monkeypatch)
    (check,) = [check for check in checks(plugin) if str(check) == "exporter file: answers like the network"]
    (work := tmp_path / "work").mkdir()
    assert check.run(work) is None


def test_checks_can_be_marked_slow() -> None:
    conforms = conformance_tests(good_plugin, slow=lambda check: check.of.startswith("exporter"))
    (marked,) = conforms.pytestmark  # type: ignore[attr-defined] # pytest's own
    slow = [case.id for case in marked.args[1] if case.marks]
    assert slow == ["exporter file: names its files", "exporter file: answers like the network"]
