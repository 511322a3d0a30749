"""The command line and the window as processes of their own, with every call watched that could reach a network.

They belong to a person whose home, name and machine are told apart from everything else, so that they are found where they should
not be.
"""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Optimisation, Recipe
from tests.e2e.conftest import shapes

_ROOT = Path(__file__).parents[2]
_PATIENCE_S = 280
HOME, USER, HOST, FOLDER = "home-of-a-person-4711", "person-4711", "machine-4711", "private-4711"
_LOUD = re.compile(
    r"^\d+ +(?:(?:socket|socketpair)\((?!AF_UNIX|AF_LOCAL|AF_NETLINK).*|listen\(.*|(?:connect|bind|sendto)\(.*)", re.MULTILINE
)
_KEPT = ("desktop-ft", "fontconfig", "torch", "matplotlib", "qtshadercache-x86_64-little_endian-lp64")
_WITHIN = ("sa_family=AF_UNIX", "sa_family=AF_NETLINK")


@dataclass(frozen=True)
class Person:
    """Somebody with pictures.

    Attributes:
        place: all that is theirs lies below it.
    """

    place: Path

    @property
    def home(self) -> Path:
        return self.place / HOME

    @property
    def photos(self) -> Path:
        return self.home / FOLDER / "pets"

    @property
    def run(self) -> Path:
        return self.home / "runs" / "one"

    @property
    def exported(self) -> Path:
        return self.home / "model.onnx"

    def recipe(self) -> Path:
        """A short run, in a file."""
        path = self.home / "short.toml"
        short = Recipe(
            dataset=DatasetChoice(folder=str(self.photos), val=0.3),
            backbone=BackboneChoice(image_size=32),
            optimisation=Optimisation(epochs=1, batch_size=8),
        )
        path.write_text(short.to_toml())
        return path

    def does(self, *command: object) -> str:
        """Run `python COMMAND` as this person; returns the first call that reaches beyond the machine, "" if none does."""
        log = self.place / "calls"
        traced = "trace=socket,socketpair,connect,bind,listen,sendto"
        tracer = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", str(log), "-e", traced, "-e", "signal=none"]
        around = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "DESKTOP_FT"))}
        around |= {"HOME": str(self.home), "USER": USER, "LOGNAME": USER, "USERNAME": USER, "HOSTNAME": HOST}
        scratch = self.place / "scratch"
        scratch.mkdir(exist_ok=True)
        around |= {"TMPDIR": str(scratch)}
        around |= {"PYTHONPATH": str(_ROOT), "QT_QPA_PLATFORM": "offscreen", "PYTHONDONTWRITEBYTECODE": "1"}
        named = f'hostname {HOST} && exec "$0" "$@"'
        ended = subprocess.run(
            ["unshare", "--uts", "sh", "-c", named, *tracer, sys.executable, *map(str, command)],
            cwd=self.home,
            env=around,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
        assert ended.returncode == 0, f"it ended with {ended.returncode}: {ended.stderr.strip()[-500:]}"
        # What keeps its messages until later, to be sent when there is time, is found by where it keeps them.
        kept = [path for path in (*scratch.glob(".ses"), *self.home.glob(".cache/*")) if path.name not in _KEPT]
        assert not kept, f"it left {kept[0]}"
        return next((line for line in _LOUD.findall(log.read_text()) if not any(kind in line for kind in _WITHIN)), "")


@contextlib.contextmanager
def person() -> Iterator[Person]:
    """Somebody with pictures, who has trained, exported and asked nothing yet."""
    with tempfile.TemporaryDirectory() as place:
        made = Person(Path(place))
        made.home.mkdir()
        shapes(made.photos, pictures=6)
        yield made
