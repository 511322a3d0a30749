"""What a person may ask of an exported file."""

from enum import StrEnum

from pydantic import Field

from desktop_ft.core.values import Described


class FileInput(StrEnum):
    """What an exported file takes: pictures that are ready for the network, or one as it was decoded."""

    TENSOR = "tensor"
    PICTURE = "picture"


class FilePrecision(StrEnum):
    """The numbers that an exported file computes with."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"


class ExportSettings(Described):
    """How a model becomes a file."""

    format: str = Field("onnx", description="Which exporter writes the file.")
    input: FileInput = Field(
        FileInput.TENSOR,
        description="tensor: pictures that were resized and cropped before. picture: a decoded picture of any size, resized and "
        "cropped inside the file.",
    )
    precision: FilePrecision = Field(
        FilePrecision.FLOAT32,
        description="float32: exactly the model. float16: half the size. int8: a third of the size or less, often faster on a "
        "processor, fitted on your training photos.",
    )
    largest_drop: float = Field(
        1.0,
        ge=0,
        le=20,
        description="How many percentage points of the accuracy on the validation photos the file may lose; one that loses more "
        "is refused.",
    )

    @property
    def exact(self) -> bool:
        """Whether the file computes just what the trained model does, so that no answer may change."""
        return self.input is FileInput.TENSOR and self.precision is FilePrecision.FLOAT32

    def file_name(self, suffix: str) -> str:
        """What a file of these settings is called where nobody says, ending in `suffix`: the exact one is simply the model."""
        # Another format with the suffix of ours must not write over it.
        name = "model" if self.format in suffix.split(".") else f"model-{self.format}"
        usual = (FilePrecision.FLOAT32, FileInput.TENSOR)
        return "-".join([name, *(part for part in (self.precision, self.input) if part not in usual)]) + suffix


BUNDLE_SUFFIX = ".zip"
BUNDLE_FILES = frozenset({"model.onnx", "MODEL_CARD.md", "export.json"})
"""What a bundle is known by, whatever somebody has put in besides."""

AS_IT_IS = ExportSettings()
"""The exact model, as ONNX."""
