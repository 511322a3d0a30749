"""Figures as a person reads them: one wording for the window, the command line, reports and errors."""

from desktop_ft.core.language import tr, tr_n

_PLURALS = {"class": "classes", "entry": "entries"}


def count(number: int, noun: str) -> str:
    """`number` with the noun in its singular or plural."""
    return f"{number:,} {noun if number == 1 else _PLURALS.get(noun, noun + 's')}"


def epoch_count(number: int) -> str:
    """So many epochs, in the person's language."""
    return tr_n("{n:,} epoch", "{n:,} epochs", n=number)


def duration(seconds: float) -> str:
    """A length of time in words that fit its size: `42 s`, `3 min 20 s`, `2 h 05 min`; little is not called nothing."""
    whole = max(1 if seconds > 0 else 0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def short_duration(length: float) -> str:
    """A length of time that may be short: below ten seconds with a digit after the point, else as `duration`."""
    if length >= 9.95:
        return duration(length)
    return f"{length:.1f} s" if length >= 0.05 else tr("less than 0.1 s")


def printable(text: str) -> str:
    """`text` with bytes that are not UTF-8 as replacement signs: it can be drawn, and be kept where only UTF-8 may stand."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def percent(share: float) -> str:
    """A share of 1 in percent, with one digit after the point; little is not called nothing, nor nearly all all."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return "> 99.9 %" if 0.9995 <= share < 1 else f"{100 * share:.1f} %"


def size(amount: int) -> str:
    """Bytes in the decimal units that shops and browsers use: `999 B`, `13.4 MB`."""
    if amount < 1000:
        return f"{amount} B"
    value = float(amount)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 1000:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"
