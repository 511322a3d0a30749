"""Makes docs/benchmarks.md from results.jsonl, so that no figure on that page is typed by hand.

page.py     writes the page; a test checks that it is what the results say
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from desktop_ft.core.layer_learning import share

RESULTS = Path(__file__).parent / "results.jsonl"
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"

Line = dict[str, Any]


_PEERS = """## Peers: {what}, {epochs} epochs, {seen}

`benchmarks/bench_peers.py`, {data}, EfficientNet-Lite0 with the same ImageNet weights, {rounds} rounds of one seed
each, every contender in a process of its own; peers as their guides show them, with bf16 for the head alone, batches of
32 and two workers.{ours} Accuracy: mean of the best of each seed, with its 95 % interval. Measured on {day}, {cpu}.{remark}

"""
_RECIPE = """## {what}, {epochs} epochs, against the floor

`desktop-ft bench photos --rounds {rounds}`: {pictures} photos, {backbone}, no augmentation; steps in {precision},
frozen layers in {frozen}. The floor decodes every photo once ({decoding} s), lets the frozen layers answer once
({passing} s) and makes the bare steps of what learns on tensors in memory ({stepping} s).

"""
_DEPTHS = """## Every freeze depth against its own floor

`benchmarks/bench_depths.py`. Where the published weights were not on the machine they were drawn at random:
the time does not depend on them. The floor is the plain way: whole batches, all threads in each. Of the bare speed: samples a
second that the first run learns from after its first step, validations left out, as a share of the floor's bare steps'.

"""
_ADVICE = """## What the advice where to cut is worth

`benchmarks/bench_advisor.py`: EfficientNet-Lite0, {epochs} epochs; photos at {photo_size} pixels, digits at {digit_size}. The
pictures of each folder are dealt into {folds} parts; each in turn is held out, advice is asked for the others, and {plans} plans
learn from them, in each part from another seed. So every picture judges every plan: the validation photos of such folders are
too few for plans that differ by 3 points. Best is the one plan with the best accuracy (of each run its best epoch's, which the
pictures that judge it have chosen: of all plans alike). The best of so many is partly the luckiest on these pictures: so the
points that the advised plans are behind it are also told with their 95 % interval (pictures drawn anew), and on pictures that
did not choose it (ten times, each tenth of them told by the plan that is best on the other nine). Told in the try is what the
advice shows of its plan: a share of training pictures kept from it (where they are too few to try, what a probe tells), and no
forecast. Times are the processor's, of one part: the advice, and these plans.{remark}

"""
_RANKING = """## What the ranking of networks is worth

`benchmarks/bench_ranking.py`: every network whose weights ship, ranked before anything is trained, then trained ({plan},
{epochs} epochs, {side} pixels, mean of {seeds} seeds). How much less often the network that is chosen is right than the one
that trying them all shows to be the best: in points, with the 95 % interval, and, as above, on photos that did not choose the
best. Recommended is the fastest of those that the probe does not tell apart.{remark}

"""
_WORTH = """## Whether the worth of a transform is told rightly

`benchmarks/bench_worth.py`: the shipped digits, {pictures} of each class to learn from, at {side} pixels; {plan},
{views} views, {epochs} epochs, {seeds} seeds; held-out pictures ({judged}) as they are, tilted, or mirrored, so
that it is known which transform helps. Told is what having the transform gains, in points, with the 95 % interval; *sure* is
what is said to be.{remark}

"""
_SHOWN_PLANS = ("head", "last:1", "last:2", "last:4", "last:9", "all")
_GROWTH = """## Growth

`benchmarks/bench_growth.py`: drawn pictures, MobileNetV3-S with a new head, fp32; where not said otherwise {pictures}
pictures (4,000 for the classes), {classes} classes, {size} pixels, {epochs} epochs; answers of the frozen layers held
in at most {budget} MB of memory. Memory is the process's own at its highest, over what it had when training began. The
exponent e fits time ~ size^e.

"""
_DRIFT = """## Layers that forget

`benchmarks/bench_drift.py`, {epochs} epochs of {backbone}: how far the layers of the backbone drift from what they were
pre-trained to, and how many of those that learn are marked.

"""
_ETA = """## The time left

`benchmarks/bench_eta.py`, {epochs} epochs of {backbone}, {rounds} rounds: by how much the time left that is told at the end
of an epoch differs from what it then takes, as a share of it.

"""
_COMPARE = """## What fine-tuning gains: {dataset}

`benchmarks/bench_compare.py`: {backbone} at {image_size} pixels, {budget_words}, {seeds} seeds, judged on {judged} photos;
accuracy with its 95 % interval over seeds and photos, seconds of training on {device}{remark}. {said}

"""
_HEAD = """# Benchmarks

Made by `make bench FOLDER=photos` (over an hour on two cores) from `benchmarks/results.jsonl`. Absolute times belong to
the machine; the ratios are the point. Contenders take turns, and a ratio is the median of the rounds' own ratios. The
time is the training's alone, from its first event to its last: no import, no scan, no building of the network, no evaluation.

Measured on {day}: {cores} cores of {cpu}, torch {torch}; GPU: {gpu}.{missing}{remark}"""
_NO_GPU = " **No GPU was at hand**; what one did on another day is in [gpu.md](gpu.md)."
_GPU = """## Full fine-tuning on a GPU

`benchmarks/bench_gpu.py`, pictures a second. The raw step is made on one batch that lies on the device.

"""
_GAPS = """## Whether the window answers at once

`benchmarks/bench_window.py gaps photos`, the whole application's own window ({platform}), asked for a turn of its event loop
every 5 ms; a gap is the time between two of them, in milliseconds.

"""
_WALL = """## The wall of {photos:,} photos

`benchmarks/bench_wall.py` ({platform}), in milliseconds: how long until it is painted, and how long the window could not answer
meanwhile. The photos in sight are decoded {decoded_in_sight_ms:.0f} ms after the wall is shown.

"""
_PAINT = """## The first window

`benchmarks/bench_window.py paint` ({platform}), {rounds} rounds, from the start of the process, with everything compiled and in
the disk's cache: an empty window of Qt is painted after {bare_s:.2f} s, ours after {window_s:.2f} s, its first page after
{page_s:.2f} s. Of torch, torchvision, numpy, Pillow, pyqtgraph, onnxruntime and http it has imported: {imported}."""
_POINTS = """## A million steps in the curves

`benchmarks/bench_window.py points` ({platform}): {points:,} steps are drawn in {first_drawn_ms} ms, one more in
{one_more_point_ms} ms; panned they are painted {frames_per_s:.0f} times a second, the slowest time in {slowest_frame_ms} ms."""
_PACE = """## A run in the window, and from the command line

`benchmarks/bench_window.py pace photos` ({platform}), {rounds} rounds in turns: 10 epochs of EfficientNet-Lite0, last two
blocks, frozen layers answered before, take {window_s:.2f} s in the window and {command_line_s:.2f} s from the command line: the
window's run goes at {share:.0%} of the other's speed (median of the rounds)."""
_CYCLES = """## Opened, trained, closed, {cycles:,} times

`benchmarks/bench_window.py cycles` ({platform}), one process: from a tenth of the cycles on it has grown by {grown_mb:.1f} MB.
{left} Memory of its own in MB, after every tenth: {memory}."""


_CHECKUP = """## What the check-up of the data finds

`benchmarks/bench_checkup.py`, EfficientNet-Lite0, in copies with {planted} planted faults, {rounds} rounds of other faults. Wrong
labels: share of them in the first 60 that are shown, and share of them that are told as suspicious; *of these planted* is
the share of all that is told so (the folders have doubtful labels of their own). Near doubles: made smaller, compressed again, or
cut by a tenth of each side, in turn; false are pairs that were neither planted nor found in the untouched folder, over all
pictures; *there* are the groups found in the untouched folder. Forecast: how far the accuracy that half of the pictures forecast
for all of them is off, in points, on average and at most of {forecast_rounds} halves, and how often it lies within the interval
that was told.

"""
_LESSON = """## The lesson

`benchmarks/bench_lesson.py`: its five steps on the shipped {sample}, {epochs} epochs a run; accuracy on held-out pictures, and
seconds of the whole step, the looking at the pictures and the judging included.{remark}

"""


def rendered(lines: Sequence[Line]) -> str:
    """The page that tells `lines`, the results of one `make bench`."""
    by_kind: dict[str, list[Line]] = {}
    for line in lines:
        by_kind.setdefault(line["benchmark"], []).append(line)
    (machine,) = by_kind["machine"]
    parts = [
        _HEAD.format(**{"remark": ""} | machine, missing=_NO_GPU if machine["gpu"] == "none" else ""),
        *map(_recipe, by_kind.get("recipe", ())),
        *(_peers({"cpu": machine["cpu"], "day": machine["day"]} | line) for line in by_kind.get("peers", ())),
        *_depths(by_kind.get("depths", ()), machine),
        *map(_advice, by_kind.get("advisor", ())),
        *map(_ranking, by_kind.get("ranking", ())),
        *map(_growth, by_kind.get("growth", ())),
        *map(_compare, by_kind.get("compare", ())),
        *map(_worth, by_kind.get("worth", ())),
        *_checkup(by_kind.get("checkup", ())),
        *map(_lesson, by_kind.get("lesson", ())),
        *_gpu(by_kind.get("gpu", ())),
        *_drift(by_kind.get("drift", ())),
        *_eta(by_kind.get("eta", ())),
        *map(_gaps, by_kind.get("window gaps", ())),
        *map(_wall, by_kind.get("wall", ())),
        *map(_paint, by_kind.get("window paint", ())),
        *(_POINTS.format(**line) for line in by_kind.get("window points", ())),
        *(_PACE.format(**line) for line in by_kind.get("window pace", ())),
        *map(_cycles, by_kind.get("window cycles", ())),
    ]
    return "\n\n".join(parts) + "\n"


def write() -> None:
    """Write the page anew."""
    PAGE.write_text(rendered(read()), encoding="utf-8")


def read() -> list[Line]:
    """The results."""
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown; all columns but the first hold numbers."""
    lines = [titles, ["---", *["---:"] * (len(titles) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _recipe(line: Line) -> str:
    best = {timing["name"]: timing["accuracy"] for timing in line["timings"]}
    rows = [
        [name, f"{seconds:.2f}", f"{line['over_floor'][name]:.2f}", f"{max(best[name]):.3f}" if best[name] else ""]
        for name, seconds in line["median_seconds"].items()
    ]
    told = {name: f"{seconds:.2f}" for name, seconds in line["floor_parts"]}
    rounds, frozen = len(line["timings"][0]["seconds"]), line["frozen_precision"] or "no arithmetic: there are none"
    head = _RECIPE.format(**line, **told, what=_learns(line["freeze"]), rounds=rounds, frozen=frozen)
    return head + table(["what", "seconds", "times the floor", "best accuracy"], rows)


def _peers(line: Line) -> str:
    ours = ""
    if line["views"]:
        ours = f" Desktop FT shows {line['views']} views of each photo in turn; the others make new ones every epoch."
    if "fastai" in line["contenders"]:
        ours += " fastai has a head and an augmentation of its own, and begins with an epoch of the head alone."
    rows = []
    for name, told in line["contenders"].items():
        low, high = told["accuracy_interval"]
        spread = f" ({low:.3f} to {high:.3f})" if line["rounds"] > 1 else ""
        rows.append([name, f"{told['seconds']:.1f}", f"{told['times_ours']:.1f}", f"{told['accuracy']:.3f}{spread}"])
    head = _PEERS.format(
        **{"remark": ""} | line,
        what="everything learns" if line["full"] else "the head learns",
        seen="random crops and flips" if line["augmented"] else "no augmentation",
        ours=ours,
    )
    return head + table(["who", "seconds", "times Desktop FT", "accuracy"], rows)


def _depths(lines: Sequence[Line], machine: Line) -> list[str]:
    if not lines:
        return []
    rows = [
        [
            line["backbone"],
            freeze,
            f"{line['pictures']} x {line['epochs']}",
            line["rounds"],
            *(f"{told[name]:.2f}" for name in ("decoding_s", "passing_s", "stepping_s", "first_run_s", "first_run_over_floor")),
            f"{told['next_run_s']:.2f}",
            f"{told['of_bare_speed']:.2f}" if told.get("of_bare_speed") else "",
            told["steps_in"],
            line.get("cpu", machine["cpu"]),
            line.get("day", machine["day"]),
        ]
        for line in lines
        for freeze, told in line["depths"].items()
    ]
    parts = ["floor: decoding, s", "frozen layers, s", "steps, s"]
    titles = [
        "network",
        "learns",
        "photos x epochs",
        "rounds",
        *parts,
        "first run, s",
        "times the floor",
        "next run, s",
        "of the bare speed",
        "steps in",
        "processor",
        "day",
    ]
    return [_DEPTHS + table(titles, rows)]


def _lesson(line: Line) -> str:
    def told(run: Line) -> str:
        return f"{run['title']}: {100 * run['accuracy']:.1f} % in {run['seconds']:.1f} s"

    rows = [[step["step"], "; ".join(map(told, step["runs"])), f"{step['seconds']:.1f}"] for step in line["steps"]]
    return _LESSON.format(**{"remark": ""} | line) + table(["step", "runs", "seconds"], rows)


def _advice(line: Line) -> str:
    tried = {plan for told in line["folders"] for plan in told["accuracy"]}
    plans = [plan for plan in _SHOWN_PLANS if plan in tried]
    rows = [
        [
            told["folder"],
            told["pictures"],
            *(f"{100 * told['accuracy'][plan]:.1f}" if plan in told["accuracy"] else "" for plan in plans),
            ", ".join(f"{plan} ({count})" for plan, count in Counter(told["recommended"]).most_common()),
            f"{100 * told['told']:.1f}",
            f"{100 * told['reached']:.1f}",
            told["best"],
            f"{100 * told['accuracy'][told['best']]:.1f}",
            "the best" if {*told["recommended"]} == {told["best"]} else _points(told["regret_points"], *told["regret_interval"]),
            f"{told['regret_on_others']:.1f}",
            f"{told['advice_cpu_s']:.1f}",
            f"{told['tried_cpu_s']:.1f}" if told["tried_cpu_s"] else "",
        ]
        for told in line["folders"]
    ]
    titles = ["folder", "to learn from", *(f"{plan}, %" for plan in plans)]
    advised = [
        "advised",
        "told in the try, %",
        "reached, %",
        "best",
        "best, %",
        "points behind it",
        "on other photos",
        "advice, processor s",
        "trying these plans, processor s",
    ]
    return _ADVICE.format(**{"remark": ""} | line, plans=len(tried)) + table([*titles, *advised], rows)


def _ranking(line: Line) -> str:
    networks = sorted({name for told in line["folders"] for name in told["networks"]})
    rows = [
        [
            told["folder"],
            *("{probe:.3f}, {logme:.2f}, {accuracy:.3f}".format(**told["networks"][name]) for name in networks),
            *(_chosen(told[how], told["best"]) for how in ("probe", "logme", "recommended")),
        ]
        for told in line["folders"]
    ]
    titles = [
        "folder",
        *(f"{name}: probe, LogME, trained" for name in networks),
        "first by the probe",
        "first by LogME",
        "recommended",
    ]
    return _RANKING.format(**{"remark": ""} | line) + table(titles, rows)


def _chosen(told: dict[str, Any], best: str) -> str:
    return f"{told['name']}: " + (f"the best, {told['on_others']:.1f}" if told["name"] == best else _behind(told))


def _behind(told: dict[str, Any]) -> str:
    return f"{_points(*told['behind'])}, {told['on_others']:.1f}"


def _worth(line: Line) -> str:
    transforms = list(line["cases"][0]["gains"])
    rows = [
        [case["held_out"], case["helps"] or "none", *(_gained(case["gains"][name]) for name in transforms)]
        for case in line["cases"]
    ]
    return _WORTH.format(**{"remark": ""} | line) + table(["held-out pictures", "helps", *transforms], rows)


def _gained(gain: dict[str, Any]) -> str:
    return _points(gain["points"], *gain["interval"]) + (", sure" if gain["sure"] else "")


def _points(value: float, low: float, high: float) -> str:
    return f"{value:.1f} ({low:.1f} to {high:.1f})"


def _growth(line: Line) -> str:
    tables = []
    names = ("scan_s", "pass_s", "epochs_s", "evaluation_s", "memory_mb", "disk_mb")
    for axis, found in line["axes"].items():
        titles = [axis, "scan, s", "frozen layers, s", "epochs, s", "evaluation, s", "memory, MB", "disk, MB"]
        rows = [[f"{point['at']:,}", *(f"{point[name]:.1f}" for name in names)] for point in found["points"]]
        rows.append(["exponent", *(f"{found['exponents'][name]:.2f}" if name in found["exponents"] else "" for name in names)])
        tables.append(table(titles, rows))
    return _GROWTH.format(**line["usual"], budget=round(line["memory_budget_mb"])) + "\n\n".join(tables)


def _compare(line: Line) -> str:
    sizes = sorted({score["images"] for score in line["scores"]}, key=lambda images: (images == 0, images))
    rows = []
    for name in dict.fromkeys(score["strategy"] for score in line["scores"]):
        own = {score["images"]: score for score in line["scores"] if score["strategy"] == name}
        cells = [_accuracy(own[images]) if images in own else "" for images in sizes]
        match = line["matches"].get(name)
        rows.append([name, *cells, f"{own[sizes[-1]]['seconds']:.1f}", *(_needed(match) if match else ("", ""))])
    titles = [f"{images} of each class" if images else "all photos" for images in sizes]
    told = {"remark": "", **line, "said": " ".join(line["verdict"][:1]).replace("\u00a0", " ")}
    told["budget_words"] = f"{line['budget']:g} s a run" if line["budget"] else f"{line['epochs']} epochs a run"
    head = ["learns", *titles, "seconds, all photos", "seconds to match scratch", "photos of each class to match it"]
    return _COMPARE.format(**told) + table(head, rows)


def _accuracy(score: Line) -> str:
    low, high = score["interval"]
    return f"{score['accuracy']:.3f} ({low:.3f} to {high:.3f})"


def _needed(match: Line) -> tuple[str, str]:
    seconds, images = match["seconds"], match["images"]
    return (
        "never" if seconds is None else f"{'at most ' if match['at_once'] else ''}{seconds:.1f}",
        "more than there are" if images is None else f"{'at most ' if match['fewest'] else ''}{images}",
    )


def _checkup(lines: Sequence[Line]) -> list[str]:
    if not lines:
        return []
    titles = [
        "data",
        "pictures",
        "wrong labels found",
        "told as suspicious",
        "of these planted",
        "near doubles found",
        "false",
        "there",
        "off, points",
        "at most",
        "within",
    ]
    rows = []
    for line in lines:
        names, forecast = ("labels_found", "labels_clear", "clear_right", "doubles_found", "false_doubles"), line["forecast"]
        found = [line[name] for name in names]
        shares = [f"{100 * sum(each) / len(each):.1f} %" for each in found]
        off = [f"{forecast['points_off']:.1f}", f"{forecast['most_off']:.1f}", f"{100 * forecast['within_interval']:.0f} %"]
        rows.append([line["data"], f"{line['pictures']:,}", *shares, line["doubles_there"], *off, f"{line['seconds']:.1f}"])
    head = _CHECKUP.format(**lines[0], forecast_rounds=lines[0]["forecast"]["rounds"])
    return [head + table([*titles, "seconds"], rows)]


def _gpu(lines: Sequence[Line]) -> list[str]:
    if not lines:
        return []
    kinds = ("unchanged", "cropped")
    rows = [
        [line["backbone"], line["batch_size"], line["raw"]]
        + [cell for kind in kinds for cell in (line[kind], f"{line[f'{kind}_over_raw']:.2f}", line[f"{kind}_gpu_busy"] or "")]
        for line in lines
    ]
    told = [title for kind in kinds for title in (f"{kind} pictures", "share of raw", "GPU busy")]
    return [_GPU + table(["network", "batch", "raw step", *told], rows)]


def _eta(lines: Sequence[Line]) -> list[str]:
    if not lines:
        return []
    rows = [[f"{line['folder']}, {plan}", *map(share, told.values())] for line in lines for plan, told in line["plans"].items()]
    titles = ["photos, what learns", "after the first epoch", "most after the first epoch", "after any"]
    return [_ETA.format(**lines[0]) + table(titles, rows)]


def _drift(lines: Sequence[Line]) -> list[str]:
    if not lines:
        return []
    rows = [
        [
            f"{line['folder']}, {plan}",
            f"{told['accuracy']:.3f}",
            *("" if told[name] is None else share(told[name]) for name in ("drift_median", "drift_most")),
            ", ".join(f"{count} of {told['layers']}: {sign}" for sign, count in told["marked"].items()),
        ]
        for line in lines
        for plan, told in line["plans"].items()
    ]
    titles = ["photos, what learns", "best accuracy", "median drift", "largest drift", "marked"]
    return [_DRIFT.format(**lines[0]) + table(titles, rows)]


def _gaps(line: Line) -> str:
    rows = [
        [what, told["ticks"], told["p50_ms"], told["p99_ms"], told["most_ms"], told["over_100_ms"]]
        for what, told in line.items()
        if isinstance(told, dict)
    ]
    return _GAPS.format(**line) + table(["meanwhile", "turns", "median", "99th of 100", "longest", "over 100"], rows)


def _wall(line: Line) -> str:
    names = ("ms", "gap_p99_ms", "gap_max_ms", "busy_max_ms")
    rows = [
        [what.replace("_", " "), *(told.get(name, "") for name in names)] for what, told in line.items() if isinstance(told, dict)
    ]
    return _WALL.format(**line) + table(["what", "until painted", "99th of 100 gaps", "longest gap", "of it busy"], rows)


def _paint(line: Line) -> str:
    return _PAINT.format(**line | {"imported": ", ".join(line["imported"]) or "none"})


def _cycles(line: Line) -> str:
    left = ", ".join(f"{what} {', '.join(line[what])}" for what in ("threads", "processes") if line[what])
    memory = ", ".join(map(str, line["memory_mb"]))
    return _CYCLES.format(**line, left=f"Left are {left}." if left else "No process is left.", memory=memory)


def _learns(preset: str) -> str:
    return {"head": "Head only", "all": "Everything learns"}.get(preset, preset)


if __name__ == "__main__":
    write()
