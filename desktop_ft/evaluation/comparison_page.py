"""The page of a comparison: what was gained, in plain words, with the figures and curves that say so. One HTML file."""

from collections.abc import Iterable, Mapping

import desktop_ft
from desktop_ft.core import language
from desktop_ft.core.comparing import ALL, AS_IT_IS, MOST_EPOCHS, Compared, Score, images_words, strategy
from desktop_ft.core.dataset import Subset
from desktop_ft.core.language import grouped, tr, tr_n
from desktop_ft.core.words import duration, short_duration
from desktop_ft.evaluation.charts import SERIES, Line, line_chart
from desktop_ft.evaluation.comparing import chance, mean_curve, title
from desktop_ft.evaluation.markup import facts, folded, interval, name, percent, section, table, text
from desktop_ft.evaluation.report import POLICY
from desktop_ft.evaluation.style import CSS

Allotted = Mapping[tuple[str, int], tuple[int, float]]


def page(found: Compared, allotted: Allotted) -> str:
    """The page as HTML.

    Args:
        allotted: by strategy and number of pictures: the epochs that the budget gave, and how long they were expected to take;
            empty where each run had the epochs of the recipe.
    """
    heading, headline = _headings(found)
    parts = [
        section(tr("What was gained"), _unfinished(found), *(f"<p>{text(said)}</p>" for said in found.verdict)),
        section(tr("Accuracy against time"), over_time(found), f'<p class="soft">{text(_time_note(found))}</p>'),
        section(tr("Accuracy against pictures"), over_images(found)),
        section(tr("Figures"), _scores(found, allotted), _matches(found)),
        section(tr("Whether it is chance"), f'<p class="soft">{text(_test_note(found))}</p>', _tests(found)),
        section(tr("How it was compared"), _how(found), _failed(found), _runs(found)),
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="{language.code()}"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(headline)}</title>\n"
        f"<style>{CSS}</style></head>\n<body>\n<header><h1>{heading}</h1></header>\n<main>{''.join(parts)}</main>\n"
        f"<footer>{text(tr('Written by Desktop FT {version}.', version=desktop_ft.__version__))}</footer>\n</body></html>\n"
    )


def _headings(found: Compared) -> tuple[str, str]:
    """What the page is about: as HTML, and as text."""
    if found.comparison.strategies[0] == AS_IT_IS.name:
        plain = tr("What augmentation is worth on {dataset}", dataset=found.dataset)
        return tr("What augmentation is worth on {dataset}", dataset=name(found.dataset)), plain
    what = {"network": found.comparison.base.backbone.name}
    plain = tr("What fine-tuning {network} gains on {dataset}", dataset=found.dataset, **what)
    return tr("What fine-tuning {network} gains on {dataset}", dataset=name(found.dataset), **what), plain


def over_time(found: Compared) -> str:
    """Validation accuracy against seconds of training, with all pictures."""
    most, lines = found.comparison.images[-1], []
    for role, each in zip(_roles(), found.comparison.strategies, strict=False):
        runs = [run for run in found.runs if run.strategy == each and run.images == most]
        points = tuple((point.seconds, point.accuracy) for point in mean_curve(runs))
        lines.append(Line(title(each), role, points))
    return line_chart(tr("Best validation accuracy so far"), tr("seconds of training"), tr("accuracy"), lines)


def over_images(found: Compared) -> str:
    """Accuracy against training pictures of each class, with its intervals."""
    places = list(found.comparison.images)
    if len(places) < 2:
        return f"<p>{text(tr('Only one number of pictures was tried.'))}</p>"
    lines = []
    count = len(found.comparison.strategies)
    for index, (role, each) in enumerate(zip(_roles(), found.comparison.strategies, strict=False)):
        beside = 0.04 * (index - (count - 1) / 2)  # so that whiskers do not hide each other
        own = [score for score in found.scores if score.strategy == each]
        points = tuple((places.index(score.images) + 0.5 + beside, score.accuracy.value) for score in own)
        lines.append(Line(title(each), role, points, tuple((score.accuracy.low, score.accuracy.high) for score in own)))
    named = [(at + 0.5, tr("all") if images == ALL else grouped(images)) for at, images in enumerate(places)]
    caption = tr("Accuracy, mean over seeds, and its 95 % interval")
    return line_chart(caption, tr("training pictures of each class"), tr("accuracy"), lines, named)


def _roles() -> Iterable[str]:
    while True:
        yield from SERIES


def _unfinished(found: Compared) -> str:
    if len(found.runs) == found.planned:
        return ""
    said = tr("{done} of {planned} runs are complete; what follows is about these.", done=len(found.runs), planned=found.planned)
    return f'<p class="bad">{text(said)}</p>'


def _time_note(found: Compared) -> str:
    return tr(
        "Seconds on {device}, of training alone: no start of the program, no look through the folder, no evaluation at the end. "
        "What frozen layers answer is computed once and shared by the runs of a strategy; each run is charged for all of it, as "
        "if it had been alone. Curves begin with the first epoch that was judged.",
        device=found.device,
    )


def _test_note(found: Compared) -> str:
    seeds = tr_n(
        "The exact McNemar test on the same pictures.",
        "The exact paired test on the same pictures, the right answers of {n} seeds taken together for each (McNemar's where "
        "there is one seed).",
        n=found.comparison.seeds,
    )
    holm = tr("p is corrected for all tests of this page together (Holm): below 0.05 counts as more than chance.")
    scope = tr("It tells whether these models would differ on other pictures; how much seeds vary is in the intervals.")
    return f"{seeds} {holm} {scope}"


def _scores(found: Compared, allotted: Allotted) -> str:
    head = [tr("Way"), tr("Pictures of each class"), tr("Accuracy"), tr("95 % interval"), tr("Seconds"), tr("Seeds")]
    head += [tr("Epochs"), tr("Expected seconds")] if allotted else []
    return table(head, [[*_score(score), *(_allotted(score, allotted) if allotted else ())] for score in found.scores])


def _allotted(score: Score, allotted: Allotted) -> tuple[str, str]:
    epochs, seconds = allotted[score.strategy, score.images]
    return str(epochs), f"{seconds:.1f}"


def _score(score: Score) -> list[str]:
    images = tr("all ({count:.0f})", count=score.per_class) if score.images == ALL else grouped(score.images)
    accuracy = (percent(score.accuracy.value), interval(score.accuracy))
    return [text(title(score.strategy)), text(images), *accuracy, f"{score.seconds:.1f}", str(score.seeds)]


def _matches(found: Compared) -> str:
    if found.to_match is None or not found.matches:
        return ""
    said = tr(
        "From scratch with the most pictures the best validation accuracy was {accuracy}, first reached after {seconds}. To be "
        "as good:",
        accuracy=percent(found.to_match.accuracy),
        seconds=short_duration(found.to_match.seconds),
    )
    never = tr("never within the budget")
    rows = []
    for match in found.matches:
        at_most = "≤ " if match.at_once else ""
        took = never if match.seconds is None else f"{at_most}{match.seconds:.1f}"
        needed = tr("not with those tried") if match.images is None else f"{'≤ ' if match.fewest else ''}{match.images:.0f}"
        rows.append([text(title(match.strategy)), text(took), f"{match.reached}/{match.seeds}", text(needed)])
    head = [tr("Way"), tr("Seconds of training"), tr("Runs that got there"), tr("Pictures of each class")]
    return f"<h3>{text(tr('To match the best from scratch'))}</h3><p>{text(said)}</p>{table(head, rows)}"


def _tests(found: Compared) -> str:
    rows = [
        [
            text(tr("{one} against {other}", one=title(test.strategy), other=title(test.than))),
            text(images_words(test.images)),
            f"{100 * test.difference.value:+.1f}",
            text(tr("{low:+.1f} to {high:+.1f}", low=100 * test.difference.low, high=100 * test.difference.high)),
            f"{test.only_first}/{test.only_second}",
            text(chance(test.corrected)),
        ]
        for test in found.tests
    ]
    head = [tr("What"), tr("With"), tr("Points"), tr("95 % interval"), tr("Only one right"), tr("Corrected p")]
    return table(head, rows, numbers_from=2)


def _how(found: Compared) -> str:
    plan = found.comparison
    epochs = plan.base.optimisation.epochs
    budget = tr_n("{n:,} epoch a run", "{n:,} epochs a run", n=epochs)
    if plan.seconds:
        budget = tr(
            "{time} of training a run, the pass through the frozen layers included: as many epochs as were expected to fit, "
            "{most} at most, so that the learning rate comes to its end within the budget",
            time=duration(plan.seconds),
            most=MOST_EPOCHS,
        )
    judged = tr("{count:,} pictures ({subset}), the same for all runs", count=len(found.pictures), subset=tr(found.subset))
    if found.subset == Subset.VAL:
        flattery = tr(
            "a run's best epoch is the one that judged these best, which flatters it, and the more the more epochs it has"
        )
        judged = f"{judged}; {flattery}"
    drawn = tr(
        "From the training pictures alone; runs of one seed learn from the same ones, and those of a smaller number are among "
        "those of a larger one"
    )
    strategies = "<br>".join(f"{text(title(each))}: {text(tr(strategy(each).text))}" for each in plan.strategies)
    return facts(
        [
            (tr("Strategies"), strategies),
            (tr("Budget"), text(budget)),
            (tr("Seeds"), text(plan.seeds)),
            (tr("Judged on"), text(judged)),
            (tr("Fewer pictures"), text(drawn)),
            (tr("Data"), "comparison.json"),
        ]
    )


def _failed(found: Compared) -> str:
    if not found.failed:
        return ""
    listed = "".join(f"<li>{text(what)}: {text(why)}</li>" for what, why in found.failed)
    return f"<h3>{text(tr('Runs that failed, and are left out'))}</h3><ul class='notes'>{listed}</ul>"


def _runs(found: Compared) -> str:
    head = [
        tr("Run"),
        tr("Training pictures"),
        tr("Epochs"),
        tr("Accuracy"),
        tr("Seconds"),
        tr("Of these frozen"),
        tr("From cache"),
    ]
    rows = [
        [
            text(run.run),
            grouped(run.training),
            str(run.epochs),
            percent(run.accuracy),
            f"{run.seconds:.1f}",
            f"{run.preparation:.1f}",
            percent(run.reused, 0),
        ]
        for run in found.runs
    ]
    return folded(tr("All runs"), table(head, rows))
