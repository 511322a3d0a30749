"""Run as `python -m desktop_ft.data.inspect_child`: decodes one picture after another, apart from the application.

Reads a JSON line `{"path": …}` for each picture and answers with one: its facts, or `{"kind", "reason", "cure", "values"}`, in
English and with places for the values. Memory and computing time are limited where the system can; when a picture breaks the
limits, this process dies and the picture is known.
"""

import io
import json
import os
import sys
from typing import Any, BinaryIO

from desktop_ft.data import decode
from desktop_ft.data.files import sha256
from desktop_ft.data.picture_file import UnreadablePicture, open_picture

MEMORY_LIMIT = 1 << 30
SECONDS_LIMIT = 20

# One white pixel (PNG): what cannot decode this must not judge pictures.
_SOUND = (
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8ffff3f0005fe02fe0def46b80000000049454e44ae"
    "426082"
)


def main() -> None:
    """Answer until the input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    decode.examine(io.BytesIO(bytes.fromhex(_SOUND)))
    _silence()  # before the first answer: whoever asked may be gone by now, and nobody wants to read that
    _send(answers, {"ready": True})
    _limit_memory()
    for line in sys.stdin.buffer:
        _limit_seconds()
        _send(answers, _look_at(json.loads(line)["path"]))


def _look_at(path: str) -> dict[str, Any]:
    try:
        with open_picture(path) as file:
            stat = os.fstat(file.fileno())
            digest = sha256(file) if 0 < stat.st_size <= decode.BYTE_LIMIT else ""
            facts = decode.examine(file)
    except UnreadablePicture as error:
        return {"kind": error.kind, "reason": error.said, "cure": error.remedy, "values": error.values}
    return {
        "sha256": digest,
        "width": facts.width,
        "height": facts.height,
        "bytes": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "format": facts.format,
        "frames": facts.frames,
        "notes": facts.notes,
    }


def _send(answers: BinaryIO, value: dict[str, Any]) -> None:
    answers.write(json.dumps(value).encode() + b"\n")
    answers.flush()


def _silence() -> None:
    """C libraries print about damaged pictures; only our own answers may leave this process."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _limit_memory() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_seconds() -> None:
    """Computing time for the next picture; the parent watches the clock on the wall."""
    if sys.platform != "win32":
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        allowed = int(used.ru_utime + used.ru_stime) + SECONDS_LIMIT + 1
        resource.setrlimit(resource.RLIMIT_CPU, (allowed, resource.getrlimit(resource.RLIMIT_CPU)[1]))


if __name__ == "__main__":
    main()
