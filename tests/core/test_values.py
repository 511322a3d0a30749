from hypothesis import given
from hypothesis import strategies as st
from pytest import raises

from desktop_ft.core.dataset import DatasetManifest, Layout, Problem, Sample, Severity, Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.values import from_json, to_json

file_names = st.binary(min_size=1, max_size=20).map(lambda name: name.decode("utf-8", "surrogateescape"))


@given(file_names)
def test_any_file_name_survives(name):
    sample = Sample(path=name, label=0, subset=Subset.VAL, sha256="ab", width=1, height=2, bytes=3, mtime_ns=4)
    problem = Problem(path=name, class_name=name, kind="empty", severity=Severity.LEFT_OUT, reason="r", cure="c")
    manifest = DatasetManifest(
        root="/x", source="/x", layout=Layout.LABELS_CSV, classes=(name,), samples=(sample,), problems=(problem,)
    )
    assert from_json(DatasetManifest, to_json(manifest), "it") == manifest


def test_every_byte_of_a_name_survives():
    for byte in set(range(1, 256)) - {ord("/")}:
        sample = Sample(
            path=bytes([97, byte]).decode("utf-8", "surrogateescape"),
            label=0,
            subset=None,
            sha256="",
            width=1,
            height=1,
            bytes=1,
            mtime_ns=1,
        )
        assert from_json(Sample, to_json(sample), "it") == sample


def test_text_that_is_no_such_value_is_told_in_a_sentence():
    for text in (b"", b"{", b"[]", b"\xff\xfe\x00", b"[" * 100_000, b'{"path": 3}'):
        with raises(UserError, match=r"^manifest\.json is not valid: "):
            from_json(Sample, text, "manifest.json")
