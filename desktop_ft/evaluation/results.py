"""The report's part on what the model gets right and wrong."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from desktop_ft.core.backbone import Interpolation
from desktop_ft.core.metrics import Answer, Evaluation, Interval, Threshold
from desktop_ft.data.decode import UnreadablePicture, load
from desktop_ft.evaluation.calibration import reliability
from desktop_ft.evaluation.certainty import ClassFigures, Figures, figures
from desktop_ft.evaluation.charts import coverage_chart, reliability_chart
from desktop_ft.evaluation.markup import bar, folded, interval, name, percent, section, table, text
from desktop_ft.evaluation.selective import caveat, coverage_curve, select

_SHOWN_MISTAKES = 24
_LISTED_MISTAKES = 500
_MATRIX_CLASSES = 30
_CONFUSED_PAIRS = 30
_SIDE = 128
_QUALITY = 78


def results(evaluation: Evaluation, root: Path | None, threshold: Threshold | None = None) -> str:
    """Accuracy, classes, confusions, calibration and mistakes; thumbnails where `root` is given."""
    told = figures(evaluation)
    return (
        section("How well it does", _figures(evaluation, told), _classes(told.per_class))
        + section("What it takes for what", _confusion(evaluation))
        + section("How sure it is", _calibration(evaluation, told), _selection(evaluation, threshold))
        + section("Mistakes", _mistakes(evaluation, root))
    )


def _figures(evaluation: Evaluation, told: Figures) -> str:
    shown = [
        (percent(told.accuracy.value), f"accuracy; 95 % interval {interval(told.accuracy)}"),
        (str(len(evaluation.answers)), f"pictures ({evaluation.subset}), {len(evaluation.mistakes)} answered wrongly"),
        (f"{told.macro_f1.value:.3f}", f"mean F1 of the classes; {told.macro_f1.low:.3f} to {told.macro_f1.high:.3f}"),
    ]
    if told.top5 is not None:
        shown.append((percent(told.top5.value), f"right class among the first five; {interval(told.top5)}"))
    return (
        '<div class="figures">' + "".join(f"<div><strong>{v}</strong><span>{text(w)}</span></div>" for v, w in shown) + "</div>"
    )


def _classes(scores: Sequence[ClassFigures]) -> str:
    rows = [(name(score.name), *map(_share, (score.precision, score.recall, score.f1)), str(score.support)) for score in scores]
    explained = (
        '<p class="soft">Precision: of the pictures called so, the share that is. Recall: of the pictures that are, the share '
        "that was called so. F1: the harmonic mean of both. Each with its 95 % interval: the fewer the pictures, the wider.</p>"
    )
    return '<div class="short">' + table(("Class", "Precision", "Recall", "F1", "Pictures"), rows) + "</div>" + explained


def _share(figure: Interval | None) -> str:
    if figure is None:
        return "–"
    return bar(figure.value, f"{figure.value:.3f}") + f' <span class="soft">{figure.low:.2f} to {figure.high:.2f}</span>'


def _confusion(evaluation: Evaluation) -> str:
    pairs = sorted(
        (-count, i, j) for i, row in enumerate(evaluation.confusion) for j, count in enumerate(row) if count and i != j
    )
    if len(evaluation.classes) <= _MATRIX_CLASSES:
        return _matrix(evaluation)
    if not pairs:
        return "<p>No class was taken for another.</p>"
    rows = [(name(evaluation.classes[i]), name(evaluation.classes[j]), str(-count)) for count, i, j in pairs[:_CONFUSED_PAIRS]]
    more = len(pairs) - len(rows)
    rest = f'<p class="soft">And {more} pairs more; all are in evaluation.json.</p>' if more else ""
    return '<div class="short">' + table(("Is", "Was called", "Pictures"), rows, numbers_from=2) + "</div>" + rest


def _matrix(evaluation: Evaluation) -> str:
    head = "".join(f'<th scope="col" title="{text(title)}">{name(title)}</th>' for title in evaluation.classes)
    body = ""
    for i, (title, row) in enumerate(zip(evaluation.classes, evaluation.confusion, strict=True)):
        whole = max(1, sum(row))
        cells = "".join(_cell(i == j, count, whole) for j, count in enumerate(row))
        body += f'<tr><th scope="row" title="{text(title)}">{name(title)}</th>{cells}</tr>\n'
    explained = (
        '<p class="soft">Rows are what the pictures are, columns what they were called; colour tells the share of a row.</p>'
    )
    top = f"<thead><tr><td></td>{head}</tr></thead>"
    return f'{explained}<div class="scroll"><table class="matrix">{top}<tbody>\n{body}</tbody></table></div>'


def _cell(right: bool, count: int, whole: int) -> str:
    if not count:
        return '<td class="none">0</td>'
    # Even one mistake in a large class is to be seen.
    return f'<td class="{"right" if right else "wrong"}" style="--share:{0.25 + 0.75 * count / whole:.3f}">{count}</td>'


def _calibration(evaluation: Evaluation, told: Figures) -> str:
    confidence = np.array([answer.confidence for answer in evaluation.answers])
    right = np.array([answer.predicted == answer.label for answer in evaluation.answers])
    sure, accuracy = told.confidence, told.accuracy
    apart = abs(sure.value - accuracy.value)
    if accuracy.low <= sure.value <= accuracy.high:
        verdict = "no more apart than chance explains."
    else:
        gap = "over" if sure.value > accuracy.value else "under"
        verdict = f"it {gap}estimates itself{' a little' if apart < 0.1 else ''}."
    said = (
        f"<p>Expected calibration error {percent(told.calibration_error.value)} ({interval(told.calibration_error)}): by so much "
        f"its confidence is off on average. It is {percent(sure.value)} sure ({interval(sure)}) and {percent(accuracy.value)} "
        f"right ({interval(accuracy)}): {verdict}</p>"
    )
    return said + reliability_chart("Right answers by confidence", reliability(confidence, right))


def _selection(evaluation: Evaluation, threshold: Threshold | None) -> str:
    chart = coverage_chart("Right answers by share answered, the surest first", coverage_curve(evaluation))
    if threshold is None:
        return "<p>No threshold was picked: it answers always, however unsure it is.</p>" + chart
    chosen = select(evaluation, threshold.value)
    answered = f"{chosen.answered} of {chosen.of} pictures ({percent(chosen.coverage.value)}; {interval(chosen.coverage)})"
    of_those = f"{percent(chosen.accuracy.value)} is right ({interval(chosen.accuracy)})"
    said = (
        f"<p>Answers less sure than {percent(threshold.value)} are <i>don't know</i>: {answered} are answered, and of those "
        f"{of_those if chosen.answered else 'nothing can be said'}; {len(chosen.mistakes)} of {len(evaluation.mistakes)} "
        "mistakes remain.</p>"
    )
    warned = caveat(threshold, evaluation)
    return said + (f"<p>{text(warned)}</p>" if warned else "") + chart


def _mistakes(evaluation: Evaluation, root: Path | None) -> str:
    wrong = evaluation.mistakes
    if not wrong:
        return "<p>None: every answer is right.</p>"
    said = f"<p>{len(wrong)} of {len(evaluation.answers)} answers are wrong; the most confident come first.</p>"
    shown = wrong[:_SHOWN_MISTAKES] if root else ()
    gallery = "".join(_card(evaluation, answer, root) for answer in shown if root)
    rows = [
        (
            name(answer.path),
            name(evaluation.classes[answer.label]),
            name(evaluation.classes[answer.predicted]),
            percent(answer.confidence),
        )
        for answer in wrong[:_LISTED_MISTAKES]
    ]
    more = len(wrong) - len(rows)
    rest = f'<p class="soft">And {more} more; all are in evaluation.json.</p>' if more else ""
    listed = table(("File", "Is", "Was called", "Confidence"), rows, numbers_from=3) + rest
    return said + (f'<ul class="gallery">{gallery}</ul>' + folded("As a list", listed) if gallery else listed)


def _card(evaluation: Evaluation, answer: Answer, root: Path) -> str:
    is_, called = evaluation.classes[answer.label], evaluation.classes[answer.predicted]
    return (
        f'<li>{_thumbnail(root / answer.path, is_)}<span class="bad">{name(called)}</span> {percent(answer.confidence, 0)}<br>'
        f'is <span class="good">{name(is_)}</span> {percent(answer.probabilities[answer.label], 0)}<br>'
        f'<span class="file">{name(answer.path.rpartition("/")[2])}</span></li>\n'
    )


def _thumbnail(path: Path, described: str) -> str:
    try:
        picture = load(path, _SIDE, Interpolation.BILINEAR)
    except UnreadablePicture as error:
        return f'<span class="lost">{text(error.reason)}</span>'
    except OSError as error:
        return f'<span class="lost">{text(error.strerror or error)}</span>'
    # A panorama would fill the file, not the card: its middle is enough.
    height, width = picture.shape[:2]
    high, wide = min(height, _SIDE * 3 // 2), min(width, _SIDE * 3 // 2)
    top, left = (height - high) // 2, (width - wide) // 2
    stored = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture[top : top + high, left : left + wide])).save(stored, "JPEG", quality=_QUALITY)
    return f'<img alt="{text(described)}" src="data:image/jpeg;base64,{base64.b64encode(stored.getvalue()).decode()}">'
