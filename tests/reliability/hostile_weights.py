"""Weights files that want to run code, that hold tensors which are none, or whose header lies."""

import gzip
import io
import json
import pickle
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import save

from tests.models.test_weights import HOSTILE, payloads
from tests.models.tiny import tiny_network

Files = dict[str, bytes]
"""What a file holds, by its name."""


def wanting_to_run(marker: Path, script: Path) -> Files:
    """Files of many kinds, each of which makes `marker` (where it can say so) if anything in it is run.

    `script` is a program that makes it, for what runs a file.
    """
    script.write_text(f"open({str(marker)!r}, 'w')")
    wraps = [("bare", _bare), ("zip", torch_zip), ("old", _old), ("nested", _in_state_dict), ("renamed", _bare)]
    found = {}
    for number, (name, pickled) in enumerate(_calls(marker, script).items()):
        kind, wrap = wraps[number % len(wraps)]
        found[f"{name}, {kind}{'.safetensors' if kind == 'renamed' else '.pth'}"] = wrap(pickled)
    for name, pickled in _opcodes(f"touch {marker}").items():
        found[f"opcode {name}.pth"] = torch_zip(pickled)
        found[f"opcode {name}, bare.pt"] = pickled
    for number, payload in enumerate(payloads(marker)):
        found[f"reduce {number}.pth"] = _saved(payload)
    return found | _containers(_call("os", "system", f"touch {marker}"), marker)


def hostile_tensors() -> Files:
    """Files of tensors that are none, have no room for what they say, or are not this network's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {f"{name}.pth": _saved(make()) for name, make in HOSTILE.items()}
    for name, pickled in _rebuilt().items():
        found[f"{name}.pth"] = torch_zip(pickled, {"data/0": bytes(64)})
    right = tiny_network().state_dict()
    found["one value for many, where it would fit.pth"] = _saved(right | {"6.weight": torch.ones(1).expand(10, 8)})
    for name, change in _UNFIT.items():
        changed = {key: tensor.clone() for key, tensor in right.items()}
        change(changed)
        found[f"{name}.safetensors"] = save({key: tensor for key, tensor in changed.items() if isinstance(key, str)})
        found[f"{name}.pth"] = _saved(changed)
    return found


def hostile_headers() -> Files:
    """.safetensors files whose header lies, or is no header."""
    one = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    headers: dict[str, object] = {
        "overlap": {"a": one, "b": one | {"data_offsets": [4, 12]}},
        "the same place twice": {"a": one, "b": one},
        "a hole": {"a": one, "b": one | {"data_offsets": [12, 20]}},
        "beyond the end": {"a": one | {"data_offsets": [8, 1 << 40]}},
        "backwards": {"a": one | {"data_offsets": [8, 0]}},
        "negative offset": {"a": one | {"data_offsets": [-8, 0]}},
        "a fraction": {"a": one | {"data_offsets": [0.5, 8.5]}},
        "one offset": {"a": one | {"data_offsets": [0]}},
        "2^60 elements": {"a": one | {"shape": [1 << 60]}},
        "sizes that overflow": {"a": one | {"shape": [1 << 32, 1 << 32]}},
        "sizes that overflow to fit": {"a": one | {"shape": [1 << 63, 2, 2]}},
        "negative size": {"a": one | {"shape": [-2]}},
        "size of text": {"a": one | {"shape": ["2"]}},
        "deep shape": {"a": one | {"shape": [[[2]]]}},
        "65,000 dimensions": {"a": one | {"shape": [1] * 65_000 + [2]}},
        "unknown type": {"a": one | {"dtype": "PyObject"}},
        "type of code": {"a": one | {"dtype": "os.system"}},
        "no type": {"a": {"shape": [2], "data_offsets": [0, 8]}},
        "a list": [one],
        "nothing": {},
        "names alone": {"a": None},
        "metadata of numbers": {"__metadata__": {"a": 1}, "a": one},
        "metadata alone": {"__metadata__": {"checkpoint": "x"}},
        "deep metadata": {"__metadata__": {"a": [[[[]]]]}, "a": one},
        "100,000 entries": {f"{n}": one | {"data_offsets": [8 * n, 8 * n + 8]} for n in range(100_000)},
        "100,000 empty entries": {f"{n}": one | {"shape": [0], "data_offsets": [0, 0]} for n in range(100_000)},
        "a name of a megabyte": {"n" * (1 << 20): one},
        "a name of another folder": {"../../../../etc/passwd": one},
        "a name with NUL": {"a\0b": one},
        "a name to be shown right to left": {"\u202egnp.exe": one},
    }
    found = {name: _headed(json.dumps(header).encode(), bytes(24)) for name, header in headers.items()}
    plain = json.dumps({"a": one}).encode()
    raw = {
        "twice the same name": b'{"a":' + json.dumps(one).encode() + b',"a":' + json.dumps(one).encode() + b"}",
        "deep": b'{"a":' * 100_000,
        "deep lists": b'{"a":' + b"[" * 100_000,
        "not UTF-8": b'{"\xff\xfe":1}',
        "not a number": b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}',
        "a large number": b'{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,8]}}',
        "many digits": b'{"a":{"dtype":"F32","shape":[' + b"9" * 100_000 + b'],"data_offsets":[0,8]}}',
        "cut": plain[:-3],
        "more behind it": plain + b"{}",
        "comments": b"{/* */}",
        "a pickle inside": b"{" + _call("os", "system", "true"),
    }
    found |= {name: _headed(header, bytes(8)) for name, header in raw.items()}
    for name, length in {"8 EiB": (1 << 63) - 1, "all ones": (1 << 64) - 1, "none": 0, "one": 1, "4 GiB": 1 << 32}.items():
        found[f"header of {name}"] = struct.pack("<Q", length) + plain + bytes(8)
    for name, size in {"no data": 0, "a byte less": 7, "a byte more": 9}.items():
        found[name] = _headed(plain, bytes(size))
    return {f"{name}.safetensors": content for name, content in found.items()}


def damaged(content: bytes, chance) -> bytes:
    """`content` with a few of its bytes changed, mostly near its beginning, or cut off."""
    made = bytearray(content)
    for _ in range(chance.randrange(1, 6)):
        place = min(int(chance.expovariate(1 / 200)), len(made) - 1)
        made[place] = chance.choice(
            (chance.randrange(256), made[place] ^ 1 << chance.randrange(8), ord(chance.choice('{}[]",:0-9')))
        )
    if chance.random() < 0.2:
        del made[chance.randrange(len(made)) :]
    return bytes(made)


def sound() -> Files:
    """Files that are what they should be."""
    return {"sound.safetensors": save(tiny_network().state_dict()), "sound.pth": _saved(tiny_network().state_dict())}


def torch_zip(pickled: bytes, records: dict[str, bytes] | None = None, kind: int = zipfile.ZIP_STORED) -> bytes:
    """What torch saves today, with `pickled` as the content."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", kind) as archive:
        for name, content in {"data.pkl": pickled, "byteorder": b"little", **(records or {}), "version": b"3\n"}.items():
            archive.writestr(f"archive/{name}", content)
    return packed.getvalue()


def _saved(content: object) -> bytes:
    made = io.BytesIO()
    torch.save(content, made)
    return made.getvalue()


def _headed(header: bytes, data: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + data


def _bare(pickled: bytes) -> bytes:
    return pickled


def _old(pickled: bytes) -> bytes:
    """What torch saved before it saved archives."""
    facts = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    before = [0x1950A86A20F9469CFC6C, 1001, facts]
    return b"".join(pickle.dumps(each, 2) for each in before) + pickled + pickle.dumps([], 2)


def _in_state_dict(pickled: bytes) -> bytes:
    """One level down, beside a sound value."""
    return torch_zip(b"}(V" + b"state_dict\n}V6.weight\n" + pickled.removesuffix(b".") + b"sVepoch\nI3\nu.")


def _call(module: str, function: str, *values: object) -> bytes:
    """A pickle that calls `function` of `module`."""
    return f"c{module}\n{function}\n".encode() + b"(" + b"".join(map(_value, values)) + b"tR."


def _value(value: object) -> bytes:
    """The opcodes that make `value`; bytes are opcodes themselves."""
    return value.removesuffix(b".") if isinstance(value, bytes) else pickle.dumps(value, 0).removesuffix(b".")


def _calls(marker: Path, script: Path) -> Files:
    """Ways to run something, each as a pickle."""
    shell, code, named = f"touch {marker}", f"open({str(marker)!r}, 'w')", str(marker)
    system = b"cos\nsystem\n"
    plain: list[tuple] = [
        ("os", "system", shell),
        ("posix", "system", shell),
        ("nt", "system", shell),
        ("os", "popen", shell),
        ("os", "spawnlp", 0, "touch", "touch", named),
        ("os", "execlp", "touch", "touch", named),
        ("os", "mkdir", named),
        ("os", "symlink", "/etc", named),
        ("os", "_exit", 0),
        ("os", "abort"),
        ("os", "kill", 1, 0),
        ("subprocess", "Popen", ["touch", named]),
        ("subprocess", "run", ["touch", named]),
        ("subprocess", "check_output", ["touch", named]),
        ("subprocess", "getoutput", shell),
        ("_posixsubprocess", "fork_exec"),
        ("pty", "spawn", ["touch", named]),
        ("builtins", "eval", code),
        ("builtins", "exec", code),
        ("__builtin__", "eval", code),
        ("builtins", "__import__", "antigravity"),
        ("builtins", "compile", code, "x", "exec"),
        ("builtins", "open", named, "w"),
        ("builtins", "getattr", b"cos\nsystem\n", "__call__"),
        ("builtins", "breakpoint"),
        ("builtins", "input"),
        ("io", "open", named, "w"),
        ("_io", "FileIO", named, "w"),
        ("pathlib", "Path.touch", b"cpathlib\nPath\n(" + _value(named) + b"tR"),
        ("importlib", "import_module", "this"),
        ("importlib.util", "module_from_spec"),
        ("imp", "load_source", "x", str(script)),
        ("runpy", "run_path", str(script)),
        ("runpy", "_run_code", code, {}),
        ("code", "InteractiveInterpreter"),
        ("webbrowser", "open", "https://example.org"),
        ("timeit", "timeit", code),
        ("cProfile", "run", code),
        ("profile", "run", code),
        ("pdb", "run", code),
        ("bdb", "Bdb"),
        ("trace", "Trace"),
        ("doctest", "debug_script", code),
        ("shutil", "copy", str(script), named),
        ("shutil", "rmtree", named),
        ("ctypes", "CDLL", "libc.so.6"),
        ("ctypes", "string_at", 0),
        ("logging.config", "listen", 0),
        ("socket", "create_connection", ("127.0.0.1", 9)),
        ("urllib.request", "urlopen", "http://127.0.0.1:9"),
        ("http.server", "test"),
        ("smtplib", "SMTP", "127.0.0.1"),
        ("multiprocessing.process", "BaseProcess"),
        ("asyncio", "create_subprocess_shell", shell),
        ("sys", "exit", 0),
        ("signal", "raise_signal", 9),
        ("venv", "create", named),
        ("pip", "main", ["install", "x"]),
        ("ensurepip", "_run_pip", ["x"]),
        ("marshal", "loads", b"C\x01N"),
        ("pickle", "loads", b"cbuiltins\nbytes\n(tR"),
        ("_pickle", "loads", b"cbuiltins\nbytes\n(tR"),
        ("shelve", "open", named),
        ("torch", "load", str(script)),
        ("torch.storage", "_load_from_bytes", b"cbuiltins\nbytes\n(tR"),
        ("torch.jit", "load", str(script)),
        ("torch.hub", "load", "x/y", "z"),
        ("torch.utils.cpp_extension", "load_inline", "x", code),
        ("torch._utils", "_import_dotted_name", "os.system"),
        ("torch.serialization", "add_safe_globals", [1]),
        ("torch._inductor.codecache", "compile_file", code),
        ("numpy.testing._private.utils", "runstring", code, {}),
        ("numpy.f2py.crackfortran", "getlincoef", code, {}),
        ("numpy.load", "__call__", str(script)),
        ("pydoc", "pipepager", "x", shell),
        ("platform", "popen", shell),
        ("commands", "getoutput", shell),
        ("functools", "partial", system, shell),
        ("functools", "reduce", system, [shell]),
        ("operator", "methodcaller", "system", shell),
        ("operator", "attrgetter", "system"),
        ("builtins", "map", system, [shell]),
        ("itertools", "starmap", system, [(shell,)]),
        ("collections", "UserDict"),
        ("types", "FunctionType"),
        ("copyreg", "_reconstructor", b"cos\nsystem\n", b"cbuiltins\nobject\n", None),
        ("copyreg", "add_extension", "os", "system", 1),
        ("weakref", "finalize", b"cbuiltins\nset\n(tR", system, shell),
        ("threading", "Thread", None, system),
    ]
    found = {f"{module}.{function}": _call(module, function, *values) for module, function, *values in plain}
    chained = b"coperator\nmethodcaller\n(" + _value("system") + _value(shell) + b"tR(cos\n__name__\ntR."
    return found | {
        "a partial that is called": b"cfunctools\npartial\n(" + system + _value(shell) + b"tR(tR.",
        "a method caller that is called": chained,
        "eval by getattr": b"cbuiltins\ngetattr\n(cbuiltins\n__dict__\nVget\ntR(Veval\ntR(" + _value(code) + b"tR.",
    }


def _opcodes(shell: str) -> Files:
    """The call of one function by every way that the pickle machine knows, and abuse of the machine itself."""
    text = b"X" + struct.pack("<I", len(shell)) + shell.encode()
    system = b"cos\nsystem\n"
    return {
        "INST": b"(" + text + b"ios\nsystem\n.",
        "OBJ": b"(" + system + text + b"o.",
        "NEWOBJ": b"\x80\x02" + system + text + b"\x85\x81.",
        "NEWOBJ_EX": b"\x80\x04" + system + text + b"\x85}\x92.",
        "STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x06system\x93" + text + b"\x85R.",
        "STACK_GLOBAL in a frame": b"\x80\x04\x95\xff\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x8c\x06system\x93" + text + b"\x85R.",
        "EXT1": b"\x80\x02\x82\x01" + text + b"\x85R.",
        "EXT2": b"\x80\x02\x83\x01\x00" + text + b"\x85R.",
        "EXT4": b"\x80\x02\x84\x01\x00\x00\x00" + text + b"\x85R.",
        "BUILD": b"ccollections\nOrderedDict\n)R}V__setstate__\n" + system + b"sb" + text + b"b.",
        "BUILD of a torch parameter": b"ctorch\nSize\n(tR}V__class__\n" + system + b"sb.",
        "memo": system + b"p0\n0g0\n(" + text + b"tR.",
        "memo, long": system + b"r\xff\xff\xff\x7f0j\xff\xff\xff\x7f(" + text + b"tR.",
        "memo that is empty": b"g9\n.",
        "memo, MEMOIZE": b"\x80\x04" + system + b"\x940h\x00" + text + b"\x85R.",
        "a stack that is empty": b"R.",
        "a mark that is missing": b"tR.",
        "POP of marks": b"((((1111" + system + text + b"\x85R.",
        "DUP": system + b"2" + text + b"\x85R.",
        "PERSID": b"Pstorage\n.",
        "BINPERSID of a call": system + text + b"\x85RQ.",
        "BINPERSID of a place": b"(Vstorage\nctorch\nFloatStorage\nV../../../etc/passwd\nVcpu\nI2\ntQ.",
        "BYTEARRAY8 of 8 EiB": b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7f.",
        "LONG4 of 2 GiB": b"\x80\x02\x8b\xff\xff\xff\x7f.",
        "BINBYTES8 of 8 EiB": b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
        "NEXT_BUFFER": b"\x80\x05\x97.",
        "protocol 255": b"\x80\xff" + system + text + b"\x85R.",
        "two pickles": b"}." + system + text + b"\x85R.",
        "deep lists": b"(" * 200_000 + b"l" * 200_000 + b".",
        "a list that holds itself": b"]p0\ng0\na.",
        "a dict in its own keys": b"}p0\n(g0\nI1\nu.",
        "many of one another": b"]p0\n" + b"".join(b"(g%d\ng%d\nlp%d\n" % (n, n, n + 1) for n in range(40)) + b".",
        "a name with dots": b"\x80\x04\x8c\x08builtins\x8c\x0d__import__.x\x93.",
        "a name with a line": b"cos\nsystem\r\n(" + text + b"tR.",
        "nothing behind it": b"cos",
    }


def _containers(pickled: bytes, marker: Path) -> Files:
    """One such pickle in what other programs make."""
    inner = torch_zip(pickled)
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w") as archive:
        for name in ("storages", "tensors", "pickle"):
            entry = tarfile.TarInfo(name)
            entry.size = len(pickled)
            archive.addfile(entry, io.BytesIO(pickled))
    return {
        "old tar.pth": tarred.getvalue(),
        "zip in a zip.pth": _zipped({"model.pth": inner}),
        "zip in a torch zip.pth": torch_zip(inner),
        "zip behind a picture.pth": b"\x89PNG\r\n\x1a\n" + inner,
        "zip behind a header.safetensors": _headed(b"{}", inner),
        "gzip.pth": gzip.compress(inner),
        "packed zip.pth": torch_zip(pickled + bytes(1 << 20), kind=zipfile.ZIP_DEFLATED),
        "bomb.pth": torch_zip(bytes(1 << 26), kind=zipfile.ZIP_DEFLATED),
        "zip with two.pth": _zipped({"archive/data.pkl": pickled, "other/data.pkl": pickled, "archive/version": b"3"}),
        "zip with a way out.pth": _zipped({"../archive/data.pkl": pickled, "../archive/version": b"3"}),
        "zip of nothing.pth": _zipped({}),
        "constants.pth": _zipped({"archive/data.pkl": b"}.", "archive/constants.pkl": pickled, "archive/version": b"3"}),
        "Keras.keras": _zipped({"config.json": b'{"class_name": "Lambda"}', "model.weights.h5": b"\x89HDF\r\n\x1a\n"}),
        "HDF5.h5": b"\x89HDF\r\n\x1a\n" + pickled,
        "numpy.npy": b"\x93NUMPY\x01\x00v\x00"
        + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117)
        + b"\n"
        + pickled,
        "joblib.pkl": b"\x80\x04\x95" + struct.pack("<Q", len(pickled)) + pickled,
        "a program.pth": f"import os; os.system('touch {marker}')\n".encode(),
        "a script.pth": f"#!/bin/sh\ntouch {marker}\n".encode(),
        "a library.pt": b"\x7fELF\x02\x01\x01" + bytes(57),
        "TorchScript.pt": _torchscript(),
        "TorchScript, cut.pt": _torchscript()[:-40],
        "exported program.pt2": _exported(pickled),
        "7z.pth": b"7z\xbc\xaf\x27\x1c" + bytes(90),
    }


def _zipped(entries: Files) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _torchscript() -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = io.BytesIO()
        torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), made)
    return made.getvalue()


def _exported(pickled: bytes) -> bytes:
    """What `torch.export.save` writes, by its names."""
    names = ("models/model.json", "data/weights/model.pt", "data/sample_inputs/model.pt", "data/constants/model.pt")
    entries = {f"model/{name}": torch_zip(pickled) for name in names}
    return _zipped({"model/archive_format": b"pt2", "model/archive_version": b"0", **entries, "model/version": b"3"})


def _rebuilt() -> Files:
    """Tensors as their pickles describe them, of 64 bytes that are there."""

    def tensor(
        sizes: object, strides: object, offset: object = 0, *, count: int = 16, key: str = "0", where: str = "cpu"
    ) -> bytes:
        storage = b"(" + _value("storage") + b"ctorch\nFloatStorage\n" + b"".join(map(_value, (key, where, count))) + b"tQ"
        hooks = b"ccollections\nOrderedDict\n)R"
        values = storage + b"".join(map(_value, (offset, sizes, strides, False))) + hooks
        return _only(b"ctorch._utils\n_rebuild_tensor_v2\n(" + values + b"tR")

    other = {
        f"{name} by torch": _only(f"ctorch._utils\n{name}\n(tR".encode())
        for name in (
            "_rebuild_sparse_tensor",
            "_rebuild_nested_tensor",
            "_rebuild_meta_tensor_no_storage",
            "_rebuild_qtensor",
            "_rebuild_wrapper_subclass",
            "_rebuild_device_tensor_from_numpy",
        )
    }
    return other | {
        "stride 0 over all": tensor((1 << 20,), (0,)),
        "stride 0 over 2^60": tensor((1 << 60,), (0,)),
        "2^60 elements": tensor((1 << 60,), (1,)),
        "2^60 in two sizes": tensor((1 << 31, 1 << 31), (1, 1)),
        "more than there is": tensor((17,), (1,)),
        "more than there is, and says so": tensor((1 << 40,), (1,), count=1 << 40),
        "an offset beyond the end": tensor((4,), (1,), 1000),
        "an offset before the beginning": tensor((4,), (1,), -4),
        "a negative stride": tensor((4,), (-1,), 3),
        "a negative size": tensor((-4,), (1,)),
        "strides that overlap": tensor((8, 8), (1, 1)),
        "strides of other sizes": tensor((4,), (1, 1)),
        "sizes of text": tensor(("4",), (1,)),
        "sizes of fractions": tensor((1.5,), (1,)),
        "a record that is not there": tensor((4,), (1,), key="7"),
        "a record of another folder": tensor((4,), (1,), key="../../../etc/passwd"),
        "a record by its whole path": tensor((4,), (1,), key="/etc/passwd"),
        "on a graphics card": tensor((4,), (1,), where="cuda:9"),
        "without data": tensor((4,), (1,), where="meta"),
        "nowhere": tensor((4,), (1,), where="https://example.org"),
        "a storage that counts backwards": tensor((4,), (1,), count=-16),
    }


def _only(value: bytes) -> bytes:
    return b"}(" + _value("0.weight") + value + b"u."


def _renamed(state: dict) -> None:
    state["1.weights"] = state.pop("1.weight")


def _nan(state: dict) -> None:
    state["0.weight"][0] = float("nan")


def _infinite(state: dict) -> None:
    state["3.bias"][-1] = float("-inf")


def _reshaped(state: dict) -> None:
    state["3.weight"] = state["3.weight"].flatten(1)


def _turned(state: dict) -> None:
    state["0.weight"] = state["0.weight"].transpose(0, 1).contiguous()


_UNFIT: dict[str, Callable[[dict], None]] = {
    "not a number": _nan,
    "infinite": _infinite,
    "another shape": _reshaped,
    "sizes changed over": _turned,
    "another name": _renamed,
    "one too many": lambda state: state.update({"7.weight": torch.ones(1)}),
    "one too few": lambda state: state.pop("3.bias"),
    "a name of a method": lambda state: state.update({"forward": torch.ones(1)}),
    "a name of a class": lambda state: state.update({"__class__": torch.ones(1)}),
    "no element": lambda state: state.update({"0.weight": torch.empty(0)}),
}


def by_name(folder: Path, files: Files, some: Callable[[list], list]) -> Iterator[tuple[str, Path]]:
    """Each of `some` of the files, written into a folder of its own."""
    for number, (name, content) in enumerate(some(list(files.items()))):
        path = folder / str(number) / name.replace("/", "_")
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        yield name, path
