"""Places are given in turns, and none is ever lost."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from desktop_ft.serving.turns import Turns


def test_who_wants_one_waits_for_nobody_who_wants_many() -> None:
    async def served() -> list[str]:
        turns, order = Turns(2), list[str]()

        async def work(whose: str) -> None:
            async with turns.place(whose):
                order.append(whose)
                await asyncio.sleep(0)

        await asyncio.gather(*map(work, [*("many",) * 100, "one", "two"]))
        return order

    order = asyncio.run(served())
    assert len(order) == 102 and max(order.index("one"), order.index("two")) < 6


@given(st.integers(1, 3), st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.booleans()), max_size=30))
def test_no_more_than_there_are_are_taken_and_all_come_back(places: int, clients: list[tuple[str, int, bool]]) -> None:
    async def all_of_them() -> int:
        turns, held, most = Turns(places), 0, 0

        async def work(whose: str, turns_of_the_loop: int) -> None:
            nonlocal held, most
            async with turns.place(whose):
                held += 1
                most = max(most, held)
                try:
                    for _ in range(turns_of_the_loop):
                        await asyncio.sleep(0)
                finally:
                    held -= 1

        tasks = [asyncio.create_task(work(whose, long)) for whose, long, _ in clients]
        for number, (_, long, leaves) in enumerate(clients):
            await asyncio.sleep(0)
            if leaves:
                tasks[(number * 7 + long) % len(tasks)].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(5):
            await asyncio.gather(*(work("after", 3) for _ in range(places)))
        return most

    assert asyncio.run(all_of_them()) == places or len(clients) < places
