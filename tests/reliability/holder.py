"""A process that holds a lock while it is told to; it imports next to nothing, so that many can be begun.

Lines on standard input: `hold FILE` is answered by `held`, or `refused SENTENCE`; `release` by `released`.
"""

import sys
from contextlib import ExitStack
from pathlib import Path

from desktop_ft.core.errors import UserError
from desktop_ft.runs import lock


def main() -> None:
    """Do as told until standard input ends."""
    held = ExitStack()
    for line in sys.stdin:
        verb, _, path = line.rstrip("\n").partition(" ")
        if verb == "release":
            held.close()
            said = "released"
        else:
            try:
                held.enter_context(lock.held(Path(path)))
                said = "held"
            except UserError as error:
                said = f"refused {error}"
        sys.stdout.write(f"{said}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
