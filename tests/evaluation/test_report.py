"""The report holds what it should, shows strangers' names literally, and needs nothing outside itself."""

import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from desktop_ft.core.augmentation import AugmentationSpec
from desktop_ft.core.dataset import DatasetManifest, Layout, Problem, Sample, Severity, Subset
from desktop_ft.core.events import EpochDone, RunEnded, RunStarted, RunStatus, StepDone, Warned
from desktop_ft.core.metrics import ExportReport, MetricHistory
from desktop_ft.core.recipe import DatasetChoice, Recipe
from desktop_ft.evaluation.charts import thinned, ticks
from desktop_ft.evaluation.report import render
from desktop_ft.evaluation.score import evaluate, softmax

HOSTILE = (
    "<img src=http://evil.example/x onerror=alert(1)>",
    "a\"'b & </style><script>x</script>",
    "caf\udce9\x00",
    "\u202egnp.exe",
)
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Tags must close in order; keeps the text and every attribute."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(document)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def sample(path: str, label: int, subset: Subset = Subset.VAL) -> Sample:
    return Sample(path=path, label=label, subset=subset, sha256="", width=9, height=9, bytes=1, mtime_ns=0)


def manifest(root, classes, samples, problems=()) -> DatasetManifest:
    return DatasetManifest(
        root=str(root), source=str(root), layout=Layout.CLASS_FOLDERS, classes=classes, samples=tuple(samples), problems=problems
    )


def history(epochs: int = 3, loss: float = 0.5) -> MetricHistory:
    told = MetricHistory()
    told.add(
        RunStarted(
            epochs=3, steps_per_epoch=2, first_epoch=0, first_step=0, device="CPU", precision="fp32", learning_share=0.25, time=0
        )
    )
    for epoch in range(epochs):
        for step in range(2):
            told.add(StepDone(epoch=epoch, step=step, loss=loss, lr=0.001 * step, seconds=2.0 * epoch + step))
        told.add(
            EpochDone(
                epoch=epoch,
                train_loss=loss,
                train_accuracy=0.8,
                val_loss=0.6,
                val_accuracy=0.7,
                seconds=2.0 * epoch,
                best=epoch == 1,
            )
        )
    return told


def report(root, classes, samples, probabilities=None, told=None, problems=(), exports=(), recipe=None):
    evaluation = None
    if probabilities is not None:
        evaluation = evaluate(probabilities, samples, classes, dataset="toys", subset="val")
    recipe = recipe or Recipe(dataset=DatasetChoice(folder=str(root)))
    return render(recipe, manifest(root, classes, samples, problems), told or history(), evaluation, exports, root)


def test_tells_what_was_asked_learned_missed_and_proven(tmp_path):
    classes, samples = ("ant", "bee"), [sample(f"ant/{i}.png", 0) for i in range(4)]
    for one in samples:
        (tmp_path / one.path).parent.mkdir(exist_ok=True)
        Image.new("RGB", (60, 40), "red").save(tmp_path / one.path)
    (tmp_path / samples[1].path).unlink()
    told = history()
    told.add(Warned(message="The card was not used."))
    told.add(RunEnded(status=RunStatus.STOPPED))
    problem = Problem(
        path="ant/bad.jpg",
        class_name="ant",
        kind="truncated",
        severity=Severity.LEFT_OUT,
        reason="Cut off.",
        cure="Copy it again.",
    )
    proof = ExportReport(
        file=str(tmp_path / "m.onnx"),
        bytes=2_500_000,
        compared=256,
        largest_difference=3e-7,
        changed_answers=0,
        worst_path="x",
        accepted=True,
        judged=10,
        accuracy=0.9,
    )
    recipe = Recipe(dataset=DatasetChoice(folder=str(tmp_path)), augmentation=(AugmentationSpec(transform="horizontal_flip"),))
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4]])
    html = report(tmp_path, classes, samples, probabilities, told, (problem,), (proof,), recipe)
    page = Page(html)
    for words in (
        "efficientnet_lite0",
        "horizontal flip",
        "50.0\u00a0%",
        "interval 15.0\u00a0to\u00a085.0\u00a0%",
        "stopped early",
        "epoch 2",
        "The card was not used.",
        "ant/bad.jpg",
        "Cut off. Copy it again.",
        "m.onnx",
        "90.0\u00a0% (59.6\u00a0to\u00a098.2\u00a0%)",
        "2.5\u00a0MB",
        "3.0e-07",
        "2 of 4 answers are wrong",
    ):
        assert words in page.text, words
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == 1, "one of the two mistakes is gone from the disk, and said to be"
    assert "Is not there any more." in page.text
    assert str(tmp_path) not in html, "a place on this machine is nobody else's business"
    assert sum(tag == "svg" for tag, _ in page.tags) == 5


def test_strangers_names_are_shown_literally_and_load_nothing(tmp_path):
    samples = [sample(f"{name}/{name}.jpg", 0) for name in HOSTILE]
    problem = Problem(
        path=HOSTILE[1], class_name=HOSTILE[0], kind="x", severity=Severity.NOTE, reason=HOSTILE[0], cure=HOSTILE[1]
    )
    wrong = np.tile([0.0, 1.0, 0.0, 0.0], (4, 1))
    told = history()
    told.add(RunEnded(status=RunStatus.FAILED, error=HOSTILE[1]))
    html = report(tmp_path / HOSTILE[3], HOSTILE, samples, wrong, told, (problem,))
    html.encode("utf-8")
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "link", "object", "base", "form"}
    for tag, attributes in page.tags:
        assert not any(key.startswith("on") or key in {"href", "srcset"} for key in attributes), (tag, attributes)
        assert attributes.get("src", "data:").startswith("data:")
    assert "url(" not in html
    assert HOSTILE[0] in page.text
    assert HOSTILE[1] in page.text


def test_no_message_tells_where_the_pictures_lie(tmp_path):
    told = history()
    told.add(Warned(message=f"{tmp_path}/ant/1.png is odd."))
    told.add(RunEnded(status=RunStatus.FAILED, error=f"The picture {tmp_path}/ant/2.png has changed."))
    noted = Problem(
        path="labels.csv:2",
        class_name=None,
        kind="outside-folder",
        severity=Severity.LEFT_OUT,
        reason=f"Names {tmp_path}/ant/3.png and {Path.home()}/4.png.",
        cure="",
    )
    page = report(tmp_path, ("ant", "bee"), [sample("ant/1.png", 0)], told=told, problems=[noted])
    assert str(tmp_path) not in page
    assert str(Path.home()) + "/" not in page
    for number in (1, 2, 3):
        assert f"{tmp_path.name}/ant/{number}.png" in page
    assert "~/4.png" in page


def test_at_most_24_thumbnails_and_small(tmp_path):
    samples = [sample(f"{i}.png", 0) for i in range(40)]
    noise = np.random.default_rng(0).integers(0, 256, (300, 900, 3), dtype=np.uint8)
    for one in samples:
        Image.fromarray(noise).save(tmp_path / one.path)
    html = report(tmp_path, ("a", "b"), samples, np.tile([0.1, 0.9], (40, 1)))
    assert html.count("data:image/jpeg;base64,") == 24
    assert len(html) < 24 * 40_000 + 100_000


@pytest.mark.parametrize(("epochs", "loss"), [(0, 1.0), (1, 0.5), (3, math.nan), (3, 0.0), (3, 1e30)])
def test_any_course_of_a_run_gives_a_page(tmp_path, epochs, loss):
    html = report(tmp_path, ("a", "b"), [sample("a/1.jpg", 0)], told=history(epochs, loss))
    Page(html)
    assert not re.search(r'(d|cx|cy|x|y)="[^"]*(nan|inf)', html)


def test_a_run_that_has_only_begun(tmp_path):
    assert "Nothing was learned yet." in report(tmp_path, ("a", "b"), [sample("a/1.jpg", 0)], told=MetricHistory())


def test_many_classes_are_told_by_pairs_not_by_a_huge_matrix(tmp_path):
    classes = tuple(f"class {i}" for i in range(300))
    samples = [sample(f"{i}.jpg", i) for i in range(300)]
    logits = np.random.default_rng(0).normal(size=(300, 300))
    html = report(tmp_path, classes, samples, softmax(logits))
    assert "matrix" not in html.split("</style>")[1]
    assert "pairs more" in html
    assert "among the first five" in html


def test_ticks_are_round_and_inside():
    assert ticks(0, 1) == pytest.approx((0, 0.2, 0.4, 0.6, 0.8, 1))
    assert ticks(0.13, 0.58) == pytest.approx((0.2, 0.3, 0.4, 0.5))
    assert ticks(0, 3e-5)[1] == pytest.approx(1e-5)


def test_long_curves_are_thinned_to_means():
    points = thinned((float(i), float(i % 2)) for i in range(10_000))
    assert len(points) <= 500
    assert all(y == pytest.approx(0.5) for _, y in points)
    assert thinned([(0, math.inf), (1, 2)]) == ((1, 2),)
