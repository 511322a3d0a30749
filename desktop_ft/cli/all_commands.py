"""Every command but the window's: what they import, the window does not wait for."""

from typing import Any

from desktop_ft.cli.advise_command import add_advise_command
from desktop_ft.cli.bench_command import add_bench_command
from desktop_ft.cli.card_command import add_card_command
from desktop_ft.cli.checkup_command import add_checkup_command
from desktop_ft.cli.compare_command import add_compare_command
from desktop_ft.cli.data_commands import add_data_commands
from desktop_ft.cli.demo_command import add_demo_command
from desktop_ft.cli.explain_command import add_explain_command
from desktop_ft.cli.forecast_command import add_forecast_command
from desktop_ft.cli.help_command import add_help_command
from desktop_ft.cli.lesson_command import add_lesson_command
from desktop_ft.cli.model_commands import add_model_commands
from desktop_ft.cli.plugins_command import add_plugins_command
from desktop_ft.cli.predict_command import add_predict_command
from desktop_ft.cli.queue_command import add_queue_command
from desktop_ft.cli.rate_command import add_rate_command
from desktop_ft.cli.result_commands import add_result_commands
from desktop_ft.cli.run_commands import add_run_commands
from desktop_ft.cli.serve_command import add_serve_command
from desktop_ft.cli.system_commands import add_system_commands


def add_all_commands(commands: Any) -> None:
    """Add them to the parser's sub-commands, in the order in which the help lists them."""
    for add in (
        add_demo_command,
        add_lesson_command,
        add_data_commands,
        add_checkup_command,
        add_predict_command,
        add_run_commands,
        add_queue_command,
        add_result_commands,
        add_serve_command,
        add_card_command,
        add_explain_command,
        add_model_commands,
        add_advise_command,
        add_forecast_command,
        add_compare_command,
        add_rate_command,
        add_bench_command,
        add_help_command,
        add_plugins_command,
        add_system_commands,
    ):
        add(commands)
