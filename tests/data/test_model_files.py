"""Bundles and exports for other runtimes are told of as what they are, whatever they are called."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desktop_ft.cli import main
from desktop_ft.core.errors import UserError
from desktop_ft.data.model_files import not_opened
from desktop_ft.data.scan import scan
from tests.archives import packed

BUNDLE = packed(("model.onnx", b"x"), ("labels.txt", b"a\n"), ("MODEL_CARD.md", b"x"), ("export.json", b"{}"))
EXPORTS = {
    "PyTorch": packed(("archive/archive_format", b"pt2"), ("archive/archive_version", b"0")),
    "ncnn": packed(("desktop_ft.json", b"{}"), ("model.ncnn.bin", b"x"), ("model.ncnn.param", b"x")),
    "OpenVINO": packed(("model.bin", b"x"), ("model.xml", b"x")),
    "Core ML": packed(("m.mlpackage/Manifest.json", b"{}"), ("m.mlpackage/Data/com.apple.CoreML/model.mlmodel", b"x")),
}
SAID = {"is a bundle of Desktop FT. Unpack it, and open the file model.onnx in it.": BUNDLE} | {
    f"is an export for {what}; Desktop FT opens ONNX files.": content for what, content in EXPORTS.items()
}


@pytest.mark.parametrize("said", list(SAID))
@pytest.mark.parametrize("name", ["model.zip", "model.onnx", "model.pt2"])
def test_it_is_told_of_where_pictures_and_where_models_are_opened(
    tmp_path: Path, said: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (path := tmp_path / name).write_bytes(SAID[said])
    told = f"{name} {said}"
    with pytest.raises(UserError) as caught:
        scan(path)
    assert str(caught.value).startswith(told)
    if name == "model.onnx":  # a process of its own looks at each
        assert main(["card", str(path)]) == 2
        assert told in capsys.readouterr().err


def test_photos_beside_a_model_are_photos(tmp_path: Path) -> None:
    (path := tmp_path / "photos.zip").write_bytes(packed(("ants/1.png", b"x"), ("model.xml", b"x"), ("model.onnx", b"x")))
    assert not_opened(path) is None
    path.write_bytes(packed(("model.onnx", b"x"), ("MODEL_CARD.md", b"x")))
    assert not_opened(path) is None, "what anybody may give away with a model is no bundle"
    assert not_opened(tmp_path) is None and not_opened(tmp_path / "gone.zip") is None


def test_an_archive_of_very_many_files_is_not_looked_through(tmp_path: Path) -> None:
    names = [f"ants/{number:040}.png" for number in range(14_000)]
    (path := tmp_path / "photos.zip").write_bytes(
        packed(("model.xml", b"x"), ("model.bin", b"x"), *((name, b"") for name in names))
    )
    assert not_opened(path) is None
    path.write_bytes(packed(("model.xml", b"x"), ("model.bin", b"x"), *((name, b"") for name in names[:2000])))
    assert "OpenVINO" in str(not_opened(path))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cut=st.integers(0, len(BUNDLE)), noise=st.binary(max_size=60))
def test_no_bytes_make_it_stumble(tmp_path: Path, cut: int, noise: bytes) -> None:
    (path := tmp_path / "any.zip").write_bytes(BUNDLE[:cut] + noise + BUNDLE[cut + len(noise) :])
    told = not_opened(path)
    assert told is None or (told.what and told.cure)
