"""How far what was advised is behind the best of many that were tried."""

from collections.abc import Mapping

import numpy as np

from desktop_ft.evaluation.paired import Right


def behind_on_others(right: Mapping[str, Right], advised: Right) -> float:
    """How much less often `advised` is right than the best of those tried, `right`, on pictures that did not show which that is.

    The best of many is partly the luckiest on the pictures that judge them, and on those alone. So each tenth of the
    pictures is told by the one that is best on the others, the cheapest of equal ones; the mean over ten divisions in tenths.
    """
    chance, pictures, lost = np.random.default_rng(0), advised.shape[1], 0.0
    for _ in range(10):
        for tenth in np.array_split(chance.permutation(pictures), 10):
            others = {plan: np.delete(each, tenth, axis=1).mean() for plan, each in right.items()}
            best = max(others, key=others.__getitem__)
            lost += float((right[best][:, tenth].mean(axis=0) - advised[:, tenth].mean(axis=0)).sum())
    return float(lost / (10 * pictures))
