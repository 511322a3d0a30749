"""The figures of an evaluation, each with its interval: a column each for the classes, and in words for the whole."""

from collections.abc import Callable

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
        help=f"{explained} In brackets its 95 % interval: the fewer the photos, the wider.",
    )


CLASS_COLUMNS = (
    Column(title="Class", text=lambda figures: words.printable(figures.name)),
    _share("Recall", lambda figures: figures.recall, "Of the photos that are of this class, the share that was called so."),
    _share("Precision", lambda figures: figures.precision, "Of the photos that were called this class, the share that is."),
    _share("F1", lambda figures: figures.f1, "Harmonic mean of precision and recall."),
    Column(title="Photos", text=lambda f: f"{f.support:,}", sort=lambda f: f.support, number=True, width=9),
)


def figures_in_words(told: Figures) -> list[str]:
    """What there is to say of the whole besides its accuracy."""
    top5 = [f"right class among the first five: {words.interval(told.top5)}"] if told.top5 else []
    error = f"confidence off by {words.interval(told.calibration_error)} on average"
    return [f"mean F1 {words.interval(told.macro_f1)}", *top5, error]


def threshold_in_words(evaluation: Evaluation, kept: Threshold | None) -> list[str]:
    """What the threshold that is kept comes to; nothing where there is none."""
    if kept is None:
        return []
    chosen = select(evaluation, kept.value)
    right = f", of those right {words.interval(chosen.accuracy)}" if chosen.answered else ""
    return [f"below {words.percent(kept.value)} it says don't know: answers {words.interval(chosen.coverage)}{right}"]
