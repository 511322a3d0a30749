"""The pages by name. Each is made when it is first shown, so that the first window need not wait for all of them."""

from desktop_ft.gui.session import Session
from desktop_ft.gui.widgets import Page


def make_page(name: str, session: Session) -> Page:
    """The page `name`, new."""
    match name:
        case "data":
            from desktop_ft.gui.data_page import DataPage

            return DataPage(session)
        case "model":
            from desktop_ft.gui.model_page import ModelPage

            return ModelPage(session)
        case "layers":
            from desktop_ft.gui.layers_page import LayersPage

            return LayersPage(session)
        case "augment":
            from desktop_ft.gui.augment_page import AugmentPage

            return AugmentPage(session)
        case "train":
            from desktop_ft.gui.train_page import TrainPage

            return TrainPage(session)
        case "results":
            from desktop_ft.gui.results_page import ResultsPage

            return ResultsPage(session)
        case "export":
            from desktop_ft.gui.export_page import ExportPage

            return ExportPage(session)
        case "runs":
            from desktop_ft.gui.runs_page import RunsPage

            return RunsPage(session)
        case "plugins":
            from desktop_ft.gui.plugins_page import PluginsPage

            return PluginsPage(session)
        case _:
            raise ValueError(f"there is no page '{name}'")
