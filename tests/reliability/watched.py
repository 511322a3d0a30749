"""Opens strangers' files in a process of its own (`reader`), with every call watched that reaches beyond the file.

That process may read the file it is told of, and what the application itself is made of: what else it opens, writes, runs or
talks to is found in what `strace` tells of it.
"""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PATIENCE_S = 60.0
_CALLS = "execve,execveat,socket,connect,bind,listen,sendto,open,openat,openat2,unlink,unlinkat,rename,renameat,renameat2"
_OPENED = re.compile(r'open(?:at2?)?\((?:AT_FDCWD, )?"((?:[^"\\]|\\.)*)", (?:\{flags=)?([A-Z_|]+)')
_RUN = re.compile(r"^\d+ +(?:execve|execveat|socket|connect|bind|listen|sendto)\(.*", re.MULTILINE)
_NAMED = re.compile(r"^\d+ +(?:unlink|rename)\w*\((.*)\) += 0$", re.MULTILINE)
_MADE = ("/dev/null", "/dev/shm/", "/proc/self/")
_PRIVATE = ("/etc/passwd", "/etc/shadow", "/etc/hostname", "/root/", "/home/")


@dataclass(frozen=True)
class Answer:
    """What came of a file: `refused` and `cure` are sentences, `read` what it was taken for, `fault` what must not be."""

    refused: str = ""
    cure: str = ""
    read: str = ""
    fault: str = ""
    peak: int = 0

    def must_be_told(self) -> None:
        """The file was refused, in a sentence that says what to do."""
        assert not self.fault, self.fault
        assert self.refused and self.cure.endswith("."), f"it was taken for a {self.read}" if self.read else repr(self)
        assert "Traceback" not in self.refused and "\n" not in self.refused

    def must_be_ours(self) -> None:
        """The file was read or refused, and nothing else came of it."""
        assert not self.fault, self.fault


@dataclass
class Watched:
    """A reader, begun anew where a file has killed it.

    Attributes:
        folder: where the files lie; whatever else lies there is none of the reader's business.
        most: bytes of memory that a file may take beyond what the reader had at its beginning.
    """

    folder: Path
    most: int = 1 << 29
    _process: subprocess.Popen | None = None
    _told: int = 0
    _began: int = 0
    _log: Path = field(init=False)

    def __post_init__(self) -> None:
        self._log = self.folder / "calls"
        self._here = self.folder / "here"
        self._scratch = self.folder / "scratch"
        for made in (self._here, self._scratch):
            made.mkdir()

    def open(self, kind: str, path: Path, *, may_write: bool = False) -> Answer:
        """Have the reader open `path`. Raises AssertionError where it died, or reached beyond the file."""
        if self._process is None:
            self._begin()
        before = self._log.stat().st_size
        try:
            self._process.stdin.write(json.dumps({"kind": kind, "path": str(path)}).encode() + b"\n")
            answer = self._hear()
        except (OSError, AssertionError):
            self.close()
            raise
        self._judge(before, path, may_write)
        used = answer.peak - self._began
        if used > self.most:
            self.close()  # the next one is not to be judged by it
            raise AssertionError(f"it took {used >> 20} MB of memory")
        return answer

    def close(self) -> None:
        """Let the reader go."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)  # strace alone would leave the reader running
            self._process.communicate()
            self._process = None

    def _begin(self) -> None:
        self._log.unlink(missing_ok=True)
        tracer = ["strace", "-f", "-qq", "--seccomp-bpf", "-s", "4096", "-o", str(self._log), "-e"]
        tracer += [f"trace={_CALLS}", "-e", "signal=none"]
        environment = os.environ | {
            "PYTHONPATH": str(_ROOT),
            "OMP_NUM_THREADS": "1",
            "TMPDIR": str(self._scratch),
            "DESKTOP_FT_HOME": str(self.folder / "home"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        with (self.folder / "complaints").open("wb") as complaints:
            self._process = subprocess.Popen(
                [*tracer, sys.executable, "-P", "-m", "tests.reliability.reader"],
                cwd=self._here,
                env=environment,
                bufsize=0,
                start_new_session=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
            )
        self._began = self._hear().peak

    def _hear(self) -> Answer:
        ready = select.select([self._process.stdout], [], [], _PATIENCE_S)[0]
        line = self._process.stdout.readline() if ready else b""
        if not line:
            how = "ended" if ready else "hung"
            complaints = (self.folder / "complaints").read_bytes().decode(errors="replace").strip().splitlines()[-1:]
            raise AssertionError(f"its reader {how} {''.join(complaints)}")
        told = json.loads(line)
        return Answer(**{name: value for name, value in told.items() if name != "ready"})

    def _judge(self, before: int, path: Path, may_write: bool) -> None:
        with self._log.open("rb") as file:
            file.seek(before)
            told = file.read().decode("utf-8", "replace")
        ran = _RUN.search(told)
        assert ran is None, f"it ran or called {ran[0][:200]}"
        for name, flags in _OPENED.findall(told):
            reached = Path(os.path.normpath(self._here / _unquoted(name)))
            if self._scratch in reached.parents:
                continue  # torch looks whether it could write there
            inside = path.parent in reached.parents or reached == path.parent
            if re.search("O_WRONLY|O_RDWR|O_CREAT", flags):
                assert (inside and may_write) or str(reached).startswith(_MADE), f"it wrote to {reached}"
            own = reached == path or (inside and may_write) or reached == path.parents[1] / "picture.png"
            assert own or self.folder not in reached.parents, f"it read {reached}"
            assert own or not str(reached).startswith(_PRIVATE) or _is_installed(reached), f"it read {reached}"
        for names in _NAMED.findall(told):
            mine = str(self._scratch) in names or (may_write and (str(path.parent) in names or "/" not in names))
            assert mine, f"it changed {names[:200]}"
        left = [each.name for each in self._scratch.iterdir()]
        assert not left, f"it left {left}"


def _unquoted(name: str) -> str:
    """As strace writes it: with the bytes that cannot be printed in octal."""
    return name.encode("latin-1", "backslashreplace").decode("unicode_escape", "replace")


def _is_installed(path: Path) -> bool:
    return any(str(path).startswith((root, os.path.realpath(root))) for root in (sys.prefix, sys.base_prefix, str(_ROOT)))


@contextlib.contextmanager
def watched(folder: Path, **how: int) -> Iterator[Watched]:
    """A reader for the files in `folder`."""
    made = Watched(folder, **how)
    try:
        yield made
    finally:
        made.close()
