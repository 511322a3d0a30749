"""What `make slow` has fetched for the programs of a bundle; a test that lacks it skips."""

import shutil
import subprocess
from pathlib import Path

import pytest

_PREPARED = Path(__file__).parents[2] / "build" / "programs"


def javascript(bundle: Path) -> list[str]:
    """The command of the JavaScript program in `bundle`, which gets its packages."""
    modules = _PREPARED / "javascript" / "node_modules"
    if shutil.which("node") is None or not (modules / "sharp").is_dir():
        pytest.skip("`make slow` fetches the JavaScript packages; they are not here")
    if not (bundle / "javascript" / "node_modules").exists():
        (bundle / "javascript" / "node_modules").symlink_to(modules)
    return ["node", str(bundle / "javascript" / "predict.mjs")]


def cpp(bundle: Path, into: Path) -> list[str]:
    """The command of the C++ program in `bundle`, which is built into the folder `into`."""
    runtime = _PREPARED / "onnxruntime"
    if shutil.which("cmake") is None or not (runtime / "include").is_dir():
        pytest.skip("`make slow` fetches the headers of ONNX Runtime; they are not here")
    for command in (["-S", str(bundle / "cpp"), "-B", str(into), f"-DONNXRUNTIME={runtime}"], ["--build", str(into)]):
        built = subprocess.run(["cmake", *command], capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stdout + built.stderr
    return [str(into / "predict"), str(bundle)]
