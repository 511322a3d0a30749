"""The report's part on what the model gets right and wrong."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from desktop_ft.core.backbone import Interpolation
from desktop_ft.core.language import marked, tr
from desktop_ft.core.metrics import Answer, Evaluation, Interval, Threshold
from desktop_ft.data.decode import load
from desktop_ft.data.picture_file import UnreadablePicture
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
_LITTLE = 0.1
_SELECTED = marked(
    "Answers less sure than {threshold} are <i>don't know</i>: {answered} of {all} pictures ({coverage}; {coverage_interval}) "
    "are answered, and of those {accuracy} is right ({accuracy_interval}); {remaining} of {mistakes} mistakes remain."
)
_NONE_SELECTED = marked(
    "Answers less sure than {threshold} are <i>don't know</i>: {answered} of {all} pictures ({coverage}; {coverage_interval}) "
    "are answered, and of those nothing can be said; {remaining} of {mistakes} mistakes remain."
)


def results(evaluation: Evaluation, root: Path | None, threshold: Threshold | None = None) -> str:
    """Accuracy, classes, confusions, calibration and mistakes; thumbnails where `root` is given."""
    told = figures(evaluation)
    return (
        section(tr("How well it does"), _figures(evaluation, told), _classes(told.per_class))
        + section(tr("What it takes for what"), _confusion(evaluation))
        + section(tr("How sure it is"), _calibration(evaluation, told), _selection(evaluation, threshold))
        + section(tr("Mistakes"), _mistakes(evaluation, root))
    )


def _figures(evaluation: Evaluation, told: Figures) -> str:
    shown = [
        (percent(told.accuracy.value), tr("accuracy; 95 % interval {interval}", interval=interval(told.accuracy))),
        (
            str(len(evaluation.answers)),
            tr("pictures ({subset}), {wrong} answered wrongly", subset=tr(evaluation.subset), wrong=len(evaluation.mistakes)),
        ),
        (
            f"{told.macro_f1.value:.3f}",
            tr("mean F1 of the classes; {low:.3f} to {high:.3f}", low=told.macro_f1.low, high=told.macro_f1.high),
        ),
    ]
    if told.top5 is not None:
        shown.append((percent(told.top5.value), tr("right class among the first five; {interval}", interval=interval(told.top5))))
    return (
        '<div class="figures">' + "".join(f"<div><strong>{v}</strong><span>{text(w)}</span></div>" for v, w in shown) + "</div>"
    )


def _classes(scores: Sequence[ClassFigures]) -> str:
    rows = [(name(score.name), *map(_share, (score.precision, score.recall, score.f1)), str(score.support)) for score in scores]
    explained = tr(
        "Precision: of the pictures called so, the share that is. Recall: of the pictures that are, the share that was called "
        "so. F1: the harmonic mean of both. Each with its 95 % interval: the fewer the pictures, the wider."
    )
    head = (tr("Class"), tr("Precision"), tr("Recall"), "F1", tr("Pictures"))
    return f'<div class="short">{table(head, rows)}</div><p class="soft">{text(explained)}</p>'


def _share(figure: Interval | None) -> str:
    if figure is None:
        return "–"
    return (
        bar(figure.value, f"{figure.value:.3f}")
        + f' <span class="soft">{tr("{low:.2f} to {high:.2f}", low=figure.low, high=figure.high)}</span>'
    )


def _confusion(evaluation: Evaluation) -> str:
    pairs = sorted(
        (-count, i, j) for i, row in enumerate(evaluation.confusion) for j, count in enumerate(row) if count and i != j
    )
    if len(evaluation.classes) <= _MATRIX_CLASSES:
        return _matrix(evaluation)
    if not pairs:
        return f"<p>{text(tr('No class was taken for another.'))}</p>"
    rows = [(name(evaluation.classes[i]), name(evaluation.classes[j]), str(-count)) for count, i, j in pairs[:_CONFUSED_PAIRS]]
    more = len(pairs) - len(rows)
    rest = (
        f'<p class="soft">{tr("And {count} pairs more; all are in {file}.", count=more, file="evaluation.json")}</p>'
        if more
        else ""
    )
    return '<div class="short">' + table((tr("Is"), tr("Was called"), tr("Pictures")), rows, numbers_from=2) + "</div>" + rest


def _matrix(evaluation: Evaluation) -> str:
    head = "".join(f'<th scope="col" title="{text(title)}">{name(title)}</th>' for title in evaluation.classes)
    body = ""
    for i, (title, row) in enumerate(zip(evaluation.classes, evaluation.confusion, strict=True)):
        whole = max(1, sum(row))
        cells = "".join(_cell(i == j, count, whole) for j, count in enumerate(row))
        body += f'<tr><th scope="row" title="{text(title)}">{name(title)}</th>{cells}</tr>\n'
    explained = tr("Rows are what the pictures are, columns what they were called; colour tells the share of a row.")
    top = f"<thead><tr><td></td>{head}</tr></thead>"
    said = f'<p class="soft">{text(explained)}</p>'
    return f'{said}<div class="scroll"><table class="matrix">{top}<tbody>\n{body}</tbody></table></div>'


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
        verdict = tr("no more apart than chance explains.")
    elif sure.value > accuracy.value:
        verdict = tr("it overestimates itself a little.") if apart < _LITTLE else tr("it overestimates itself.")
    else:
        verdict = tr("it underestimates itself a little.") if apart < _LITTLE else tr("it underestimates itself.")
    said = tr(
        "Expected calibration error {error} ({error_interval}): by so much its confidence is off on average. It is {sure} sure "
        "({sure_interval}) and {right} right ({right_interval}): {verdict}",
        error=percent(told.calibration_error.value),
        error_interval=interval(told.calibration_error),
        sure=percent(sure.value),
        sure_interval=interval(sure),
        right=percent(accuracy.value),
        right_interval=interval(accuracy),
        verdict=verdict,
    )
    return f"<p>{said}</p>" + reliability_chart(tr("Right answers by confidence"), reliability(confidence, right))


def _selection(evaluation: Evaluation, threshold: Threshold | None) -> str:
    chart = coverage_chart(tr("Right answers by share answered, the surest first"), coverage_curve(evaluation))
    if threshold is None:
        return f"<p>{text(tr('No threshold was picked: it answers always, however unsure it is.'))}</p>{chart}"
    chosen = select(evaluation, threshold.value)
    figures = {
        "threshold": percent(threshold.value),
        "answered": chosen.answered,
        "all": chosen.of,
        "coverage": percent(chosen.coverage.value),
        "coverage_interval": interval(chosen.coverage),
        "accuracy": percent(chosen.accuracy.value),
        "accuracy_interval": interval(chosen.accuracy),
        "remaining": len(chosen.mistakes),
        "mistakes": len(evaluation.mistakes),
    }
    said = tr(_SELECTED if chosen.answered else _NONE_SELECTED, **figures)
    warned = caveat(threshold, evaluation)
    return f"<p>{said}</p>" + (f"<p>{text(warned)}</p>" if warned else "") + chart


def _mistakes(evaluation: Evaluation, root: Path | None) -> str:
    wrong = evaluation.mistakes
    if not wrong:
        return f"<p>{text(tr('None: every answer is right.'))}</p>"
    said = tr("{wrong} of {all} answers are wrong; the most confident come first.", wrong=len(wrong), all=len(evaluation.answers))
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
    rest = f'<p class="soft">{tr("And {count} more; all are in {file}.", count=more, file="evaluation.json")}</p>' if more else ""
    listed = table((tr("File"), tr("Is"), tr("Was called"), tr("Confidence")), rows, numbers_from=3) + rest
    shown_first = f'<ul class="gallery">{gallery}</ul>' + folded(tr("As a list"), listed) if gallery else listed
    return f"<p>{said}</p>{shown_first}"


def _card(evaluation: Evaluation, answer: Answer, root: Path) -> str:
    is_, called = evaluation.classes[answer.label], evaluation.classes[answer.predicted]
    right = f'<span class="good">{name(is_)}</span>'
    return (
        f'<li>{_thumbnail(root / answer.path, is_)}<span class="bad">{name(called)}</span> {percent(answer.confidence, 0)}<br>'
        f"{tr('is {name} {share}', name=right, share=percent(answer.probabilities[answer.label], 0))}<br>"
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
