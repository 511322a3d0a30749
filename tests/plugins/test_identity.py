"""Pictures changed by another plugin, or by another version of it, are other pictures."""

from dataclasses import replace

from desktop_ft.core.augmentation import AugmentationSpec
from desktop_ft.jobs.augmenting import identity
from desktop_ft.plugin_manager import load_plugins


def test_the_identity_of_a_policy_holds_its_values_and_the_version_of_who_carries_it_out() -> None:
    plugins = load_plugins(safe_mode=True)
    flip = AugmentationSpec(transform="horizontal_flip", parameters={"probability": 0.5})
    before = identity(plugins, (flip,))
    assert before == identity(plugins, (flip,))
    assert before != identity(plugins, (flip.model_copy(update={"parameters": {"probability": 0.4}}),))
    author = plugins.augmentations.author("horizontal_flip")
    plugins.records[:] = [replace(each, version="another") if each.name == author else each for each in plugins.records]
    assert before != identity(plugins, (flip,))
    nothing = identity(plugins, ())
    plugins.records[:] = [replace(each, version="a third") for each in plugins.records]
    assert nothing == identity(plugins, ())  # who carries out nothing does not count
