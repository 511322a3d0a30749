"""torch's generators are the whole process's: what draws from them in one thread does not meddle with another."""

import threading

import torch

from desktop_ft.models.chance import chance_put_back, seeded


def test_a_step_and_what_is_built_meanwhile_draw_as_they_would_alone() -> None:
    with seeded(3, torch.device("cpu")):
        wanted = torch.rand(200)
    drawn: list[torch.Tensor] = []
    midway, go_on = threading.Event(), threading.Event()

    def step() -> None:
        with seeded(3, torch.device("cpu")):
            first = torch.rand(100)
            midway.set()
            go_on.wait(0.2)  # the other one would draw now, if it could
            drawn.append(torch.cat([first, torch.rand(100)]))

    def build() -> None:
        midway.wait()
        with chance_put_back():
            torch.default_generator.manual_seed(1)
            torch.rand(50)
        go_on.set()

    threads = [threading.Thread(target=work) for work in (step, build)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torch.equal(drawn[0], wanted)


def test_the_generator_is_put_back() -> None:
    before = torch.get_rng_state()
    with chance_put_back():
        torch.rand(5)
    assert torch.equal(before, torch.get_rng_state())
