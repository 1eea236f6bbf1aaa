"""Who moved a pooled number, and by how much: the change between two states of a review, shared out so that it adds up.

The change is made in four stages, each from where the last one ended, so that the stages add up by themselves:

1. *corrections*: the same rows under the same method, with the cells that were corrected. First, for they say what the
   earlier state should have shown.
2. *selection*: rows that the plan takes now and did not take, or no longer takes.
3. *method*: the options of the computation, on the evidence that was known before: what a new estimator alone does.
4. *new trials*: last, so that each is judged in the analysis as it is now.

Within a stage several things happen at once: five trials are added, say. How much each of them moves the estimate
depends on which others are in already, since weights and tau² change with every one. Shapley's value takes the mean
over all orders of entry: it is the only rule by which the shares add up to the whole, a trial that changes nothing gets
nothing, two trials that do the same get the same, and shares of sums are sums of shares (Shapley 1953). The mean over
all orders is exact for up to ten (1,024 subsets); beyond, orders are drawn with a seed, each with its reverse, and
still the shares add up exactly, for within every single order they do.

References
----------
Shapley (1953), A value for n-person games, Contributions to the Theory of Games II, 307-317.
Castro, Gómez & Tejada (2009), Computers & Operations Research 36:1726-1730 (sampling of orders).
"""

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from metapeer.pooling.weighted import FloatArray

__all__ = ["MOST_EXACT", "QUANTITIES", "STAGES", "shapley"]

STAGES = ("correction", "selection", "method", "new trial")
QUANTITIES = ("estimate", "ci_low", "ci_high", "tau2")
MOST_EXACT = 10
"""Players whose every subset is pooled: 1,024 meta-analyses take a fraction of a second."""


def shapley(
    value: Callable[[int], FloatArray], players: int, *, orders: int = 200, seed: int = 0
) -> tuple[FloatArray, bool]:
    """Share out what a set of players brings.

    Parameters
    ----------
    value : callable
        Given a set of players as a whole number whose bit i stands for player i, the quantities of that set; NaN where
        one is not defined.
    players : int
        How many there are.
    orders : int, default 200
        Orders of entry to draw, for more than ten players; half of them, rounded up, and the reverse of each.
    seed : int, default 0
        Of the drawing.

    Returns
    -------
    shares : array of shape (players, quantities)
        They add up to the value of all players minus the value of none. A quantity that some set of players leaves
        undefined has no shares: NaN.
    exact : bool
        Whether the mean was taken over all orders.

    Examples
    --------
    >>> worth = {0: 0.0, 1: 1.0, 2: 2.0, 3: 6.0}
    >>> shares, exact = shapley(lambda chosen: np.array([worth[chosen]]), 2)
    >>> shares.ravel().tolist(), exact
    ([2.5, 3.5], True)
    """
    worth = cache(value)
    with np.errstate(invalid="ignore"):  # infinite limits have no shares
        if players <= MOST_EXACT:
            return _over_subsets(worth, players), True
        return _over_orders(worth, players, orders, seed), False


def _over_subsets(worth: Callable[[int], FloatArray], players: int) -> FloatArray:
    """Weigh each set that a player may join by the share of orders in which it is what stands before the player."""
    shares = np.zeros((players, worth(0).size))
    everyone = math.factorial(players)
    weight = [math.factorial(size) * math.factorial(players - size - 1) / everyone for size in range(players)]
    for player in range(players):
        bit = 1 << player
        for chosen in range(1 << players):
            if not chosen & bit:
                shares[player] += weight[chosen.bit_count()] * (worth(chosen | bit) - worth(chosen))
    return shares


def _over_orders(worth: Callable[[int], FloatArray], players: int, orders: int, seed: int) -> FloatArray:
    """Let the players enter in drawn orders, each also backwards, which balances who comes early and who late."""
    shares = np.zeros((players, worth(0).size))
    generator = np.random.default_rng(seed)
    drawn = (orders + 1) // 2
    for _ in range(drawn):
        order = generator.permutation(players).tolist()
        for way in (order, order[::-1]):
            chosen = 0
            for player in way:
                shares[player] += worth(chosen | 1 << player) - worth(chosen)
                chosen |= 1 << player
    return shares / (2 * drawn)
