"""Our .safetensors files are what the library reads, whatever the tensors are."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load

from desktop_ft.core.errors import UserError
from desktop_ft.models import tensor_file

TYPES = sorted(tensor_file._TYPES, key=str)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(lambda name: name != "__metadata__")
TENSORS = st.builds(
    lambda shape, dtype, chance: torch.randint(0, 100, shape, generator=torch.Generator().manual_seed(chance)).to(dtype),
    st.lists(st.integers(0, 4), max_size=4),
    st.sampled_from(TYPES),
    st.integers(0, 2**32),
)


@given(st.dictionaries(NAMES, TENSORS, max_size=6), st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3))
def test_the_library_reads_what_was_written(tensors, metadata):
    data = b"".join(tensor_file.parts(tensors, metadata))
    found = load(data)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype is tensor.dtype and found[name].shape == tensor.shape
        assert bytes(tensor_file.memory(found[name])) == bytes(tensor_file.memory(tensor))
    assert data == b"".join(tensor_file.parts(dict(reversed(tensors.items())), metadata))


def test_metadata_layouts_and_memory_that_is_shared(tmp_path):
    one = torch.randn(3, 4, 2, 2).to(memory_format=torch.channels_last)
    tensors = {"a": one, "b": one, "turned": torch.arange(6).view(2, 3).T, "part": torch.arange(9)[3:5]}
    path = tmp_path / "it.safetensors"
    path.write_bytes(b"".join(tensor_file.parts(tensors, {"said": "ü", "more": "x"})))
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"said": "ü", "more": "x"}
        assert all(torch.equal(file.get_tensor(name), tensor) for name, tensor in tensors.items())


def test_a_tensor_as_the_format_wants_it_is_not_copied():
    tensor = torch.zeros(5)
    view = tensor_file.memory(tensor)
    tensor[1] = 1
    assert torch.frombuffer(view, dtype=torch.float32)[1] == 1


def test_what_the_format_does_not_know_is_refused():
    with pytest.raises(UserError, match="'c' is of a type"):
        list(tensor_file.parts({"c": torch.zeros(1, dtype=torch.complex128)}, {}))
