"""What a plugin has replaced of Python and of libraries while it was imported. It is told, not undone: none is sandboxed."""

import sys
from pathlib import Path

_WATCHED = (
    *(f"builtins.{name}" for name in ("open", "print", "eval", "exec", "compile", "__import__", "isinstance", "input")),
    *(f"json.{name}" for name in ("load", "loads", "dump", "dumps")),
    *(f"os.{name}" for name in ("open", "replace", "rename", "unlink", "fsync", "system", "_exit")),
    *(f"sys.{name}" for name in ("excepthook", "unraisablehook", "exit")),
    "hashlib.sha256",
    "importlib.import_module",
    "logging.Logger.handle",
    "pathlib.Path.open",
    "random.Random.random",
    "signal.signal",
    "socket.socket",
    "ssl.create_default_context",
    "subprocess.Popen",
    "threading.excepthook",
    "threading.Thread.start",
    "numpy.load",
    "PIL.Image.open",
    "torch.load",
    "torch.save",
    "torch.manual_seed",
    "torch.nn.Module.__call__",
    "torch.nn.Module.load_state_dict",
    "torchvision.transforms.functional.normalize",
    "safetensors.torch.load_file",
    "onnxruntime.InferenceSession",
    "desktop_ft.runs.atomic.write",
    "desktop_ft.core.values.from_json",
    "desktop_ft.core.values.to_json",
)


_SEVERAL_HOMES = frozenset({"builtins", "os", "sys", "hashlib", "random"})
"""Whose own things come from libraries of other names, such as `nt` and `_hashlib`."""


def watched() -> dict[str, object]:
    """By name, each of what is watched and imported already, as it is now."""
    found = {}
    for name in _WATCHED:
        parts = name.split(".")
        for end in range(len(parts) - 1, 0, -1):
            thing: object = sys.modules.get(".".join(parts[:end]))
            if thing is not None:
                for part in parts[end:]:
                    thing = getattr(thing, part, None)
                found[name] = thing
                break
    return found


def replaced(before: dict[str, object]) -> list[str]:
    """Names of what is another thing than `before`; of what was not imported then, what is not its own library's."""
    return [name for name, thing in watched().items() if _is_replaced(name, thing, before)]


def _is_replaced(name: str, thing: object, before: dict[str, object]) -> bool:
    if name not in before:
        return _is_foreign(name, thing)
    return thing is not before[name] and not _is_torchs(thing)


def _is_torchs(thing: object) -> bool:
    """Whether torch itself wrote it: while one thread traces a network, torch replaces some of its own, for all threads."""
    code, file = getattr(thing, "__code__", None), getattr(sys.modules.get("torch"), "__file__", None)
    return code is not None and file is not None and Path(code.co_filename).is_relative_to(Path(file).parent)


def _is_foreign(name: str, thing: object) -> bool:
    home = str(getattr(thing, "__module__", None) or name)
    return name.partition(".")[0] not in _SEVERAL_HOMES and home.partition(".")[0] != name.partition(".")[0]
