"""What the page Model says of a network: the columns of its table, and its facts."""

from desktop_ft.core.backbone import BackboneSpec, WeightsOrigin
from desktop_ft.core.language import grouped, marked, tr
from desktop_ft.core.offers import Offer
from desktop_ft.gui import words
from desktop_ft.gui.table import Column


def _figure(value: float | None, unit: str = "") -> str:
    return "–" if value is None else f"{value:.1f}{unit}"


def availability(offer: Offer) -> str:
    """Whether the weights are here, or how large they are."""
    weights = offer.spec.weights
    if weights.origin is WeightsOrigin.NONE:
        return tr("no weights")
    if offer.local:
        return tr("on this machine")
    if weights.origin is WeightsOrigin.BY_HAND:
        return tr("fetched by hand")
    return words.size(weights.bytes) if weights.bytes else tr("to download")


def weights(offer: Offer) -> str:
    """As `availability`, in few words."""
    return tr("on disk") if offer.local else availability(offer)


def licence(spec: BackboneSpec) -> str:
    """The weights' licence, with a warning where business use is not allowed."""
    name = spec.weights.licence
    return name if spec.weights.commercial_use else tr("{licence} (non-commercial)", licence=name)


def speed(offer: Offer) -> str:
    """How fast it answers here and on what; "" where that was not measured."""
    known = offer.speed
    if known is None:
        return ""
    device = words.printable(known.device)
    return tr("{rate:.3g} pictures a second on {device}", rate=known.pictures_per_second, device=device)


def probed(offer: Offer) -> str:
    """How well it tells the person's classes before it is trained; "" where that is unknown."""
    known = offer.probe
    if known is None:
        return ""
    return tr(
        "{share} ({low} to {high})",
        share=words.percent(known.value),
        low=words.percent(known.low),
        high=words.percent(known.high),
    )


COLUMNS = (
    Column(title=marked("Network"), text=lambda o: o.spec.name, width=18),
    Column(
        title=marked("Params"),
        text=lambda o: words.millions(o.spec.parameters),
        sort=lambda o: o.spec.parameters,
        number=True,
        width=7,
        help=marked("Parameters: how many numbers are learned. More can hold more, and takes more memory and time."),
    ),
    Column(
        title=marked("GFLOPs"),
        text=lambda o: _figure(o.spec.gflops),
        sort=lambda o: o.spec.gflops or 0.0,
        number=True,
        width=7,
        help=marked("Work for one picture. Time grows with it."),
    ),
    Column(
        title=marked("Top-1"),
        text=lambda o: _figure(o.spec.top1, " %"),
        sort=lambda o: o.spec.top1 or 0.0,
        number=True,
        width=6,
        help=marked("Share of ImageNet pictures it names rightly, as published."),
    ),
    Column(
        title=marked("On yours"),
        text=lambda o: "–" if o.probe is None else words.percent(o.probe.value),
        tip=probed,
        sort=lambda o: o.probe.value if o.probe else 0.0,
        number=True,
        width=8,
        help=marked("Probe accuracy on your data: how well your classes are told before anything is trained."),
    ),
    Column(
        title=marked("Speed"),
        text=lambda o: "–" if o.speed is None else f"{o.speed.pictures_per_second:.3g}/s",
        tip=lambda o: speed(o) or tr("Not measured here yet."),
        sort=lambda o: o.speed.pictures_per_second if o.speed else 0.0,
        number=True,
        width=7,
        help=marked("Pictures it answers in a second on this machine, where that was measured: the button Measure speed."),
    ),
    Column(
        title=marked("Input"),
        text=lambda o: f"{o.spec.resize.crop} px",
        sort=lambda o: o.spec.resize.crop,
        number=True,
        width=6,
        help=marked("Side of the square picture it was trained on."),
    ),
    Column(
        title=marked("Weights"),
        text=weights,
        tip=availability,
        sort=lambda o: (not o.local, o.spec.weights.origin is not WeightsOrigin.DOWNLOAD, o.spec.weights.bytes),
        width=8,
        among=("on disk",),
        help=marked("Whether the pre-trained weights are on this machine, or how large the download is."),
    ),
    Column(title=marked("Licence"), text=lambda o: licence(o.spec), width=13, help=marked("Licence of the weights.")),
    Column(title=marked("Family"), text=lambda o: o.spec.family, width=14, help=marked("Networks of one design.")),
)
PROBE = next(number for number, column in enumerate(COLUMNS) if column.tip is probed)
SPEED = PROBE + 1
LICENCE = len(COLUMNS) - 2
"""It has what room the others leave, so that it is never out of sight."""


def facts(offer: Offer) -> list[tuple[str, str]]:
    """All that is known of a network, in words: name and value."""
    spec = offer.spec
    return [
        (tr("Family"), spec.family),
        (tr("Parameters"), words.millions(spec.parameters)),
        (tr("Work a picture"), _figure(spec.gflops, " GFLOPs")),
        (tr("ImageNet top-1"), _figure(spec.top1, " %")),
        *([(tr("ImageNet top-5"), _figure(spec.top5, " %"))] if spec.top5 is not None else []),
        *([(tr("On your pictures"), probed(offer))] if offer.probe else []),
        *([(tr("Speed here"), speed(offer))] if offer.speed else []),
        (tr("Input"), tr("{side} × {side} pixels", side=spec.resize.crop)),
        *([(tr("Trained on"), spec.trained_on)] if spec.trained_on else []),
        *([(tr("Classes"), grouped(spec.classes))] if spec.classes else []),
        (tr("Weights"), availability(offer)),
        *([(tr("Fetch from"), spec.weights.url)] if spec.weights.origin is WeightsOrigin.BY_HAND else []),
        (tr("Licence"), licence(spec)),
        (tr("From"), tr("{source} · plugin {plugin}", source=spec.source, plugin=spec.plugin) if spec.plugin else spec.source),
    ]
