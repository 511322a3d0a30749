"""The figures of an evaluation, each with its interval: a column each for the classes, and in words for the whole."""

from collections.abc import Callable

from desktop_ft.core.language import grouped, marked, tr
from desktop_ft.core.metrics import Evaluation, Interval, Threshold
from desktop_ft.evaluation.certainty import ClassFigures, Figures
from desktop_ft.evaluation.selective import select
from desktop_ft.gui import words
from desktop_ft.gui.table import Column


def _interval(figure: Interval | None) -> str:
    return "–" if figure is None else words.interval(figure)


def _share(title: str, of: Callable[[ClassFigures], Interval | None], explained: str) -> Column:
    """A column of shares with their intervals."""

    def value(figures: ClassFigures) -> float:
        figure = of(figures)
        return -1.0 if figure is None else figure.value

    return Column(
        title=title,
        text=lambda figures: _interval(of(figures)),
        sort=value,
        bar=lambda figures: max(0.0, value(figures)),
        number=True,
        width=23,
        help=explained,
    )


CLASS_COLUMNS = (
    Column(title=marked("Class"), text=lambda figures: words.printable(figures.name)),
    _share(
        marked("Recall"),
        lambda figures: figures.recall,
        marked(
            "Of the photos that are of this class, the share that was called so. In brackets its 95 % interval: the fewer the "
            "photos, the wider."
        ),
    ),
    _share(
        marked("Precision"),
        lambda figures: figures.precision,
        marked(
            "Of the photos that were called this class, the share that is. In brackets its 95 % interval: the fewer the photos, "
            "the wider."
        ),
    ),
    _share(
        marked("F1"),
        lambda figures: figures.f1,
        marked("Harmonic mean of precision and recall. In brackets its 95 % interval: the fewer the photos, the wider."),
    ),
    Column(title=marked("Photos"), text=lambda f: grouped(f.support), sort=lambda f: f.support, number=True, width=9),
)


def figures_in_words(told: Figures) -> list[str]:
    """What there is to say of the whole besides its accuracy."""
    mean = tr("mean F1 {share}", share=words.interval(told.macro_f1))
    top5 = [tr("right class among the first five: {share}", share=words.interval(told.top5))] if told.top5 else []
    error = tr("confidence off by {share} on average", share=words.interval(told.calibration_error))
    return [mean, *top5, error]


def threshold_in_words(evaluation: Evaluation, kept: Threshold | None) -> list[str]:
    """What the threshold that is kept comes to; nothing where there is none."""
    if kept is None:
        return []
    chosen = select(evaluation, kept.value)
    below, answers = words.percent(kept.value), words.interval(chosen.coverage)
    if not chosen.answered:
        return [tr("below {below} it says don't know: answers {answers}", below=below, answers=answers)]
    return [
        tr(
            "below {below} it says don't know: answers {answers}, of those right {right}",
            below=below,
            answers=answers,
            right=words.interval(chosen.accuracy),
        )
    ]
