"""Changes made to pictures while training, as data. What a transform does is a plugin's."""

from collections.abc import Mapping

from pydantic import Field

from desktop_ft.core.values import Described


class AugmentationSpec(Described):
    """One transform by name, with its parameters; a policy is a tuple of them, applied in order.

    Which names there are, and each one's parameters with bounds, is known to the plugin that brings the transform.
    """

    transform: str = Field(description="Name of the transform, such as horizontal_flip.")
    parameters: Mapping[str, bool | int | float | str] = Field(
        default_factory=dict, description="The parameters that differ from the transform's defaults."
    )
