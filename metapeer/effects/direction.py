"""Which arm a positive effect favours, and turning signs so that all rows agree.

Direction is data: an instrument is ``higher_better`` or ``lower_better``, and an event good or bad likewise. An effect
is arm 1 minus arm 2, so that its *sense* is +1 when positive favours arm 1 (peer support), -1 when it favours arm 2,
and 0 when nobody knows.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["DIRECTIONS", "favoured_arms", "is_mixed", "senses", "undecided"]

SenseArray = NDArray[np.int8]
BoolArray = NDArray[np.bool_]

DIRECTIONS = {"higher_better": 1, "lower_better": -1, "": 0}
_ARMS = np.array(["", "arm1", "arm2"], dtype=object)  # indexed by sense: 0, 1, -1


def senses(directions: NDArray[np.object_]) -> SenseArray:
    """Sense of an effect that is arm 1 minus arm 2, from the direction of its instrument.

    Parameters
    ----------
    directions : array of str, shape (k,)
        Keys of `DIRECTIONS`; empty where unknown.

    Returns
    -------
    array of int, shape (k,)
        +1, -1, or 0 where unknown.

    Examples
    --------
    >>> import numpy as np
    >>> senses(np.array(["lower_better", "", "higher_better"], dtype=object)).tolist()
    [-1, 0, 1]
    """
    return np.fromiter((DIRECTIONS[text] for text in directions), dtype=np.int8, count=len(directions))


def undecided(sense: SenseArray, usable: BoolArray) -> BoolArray:
    """Tell which usable rows have no known sense although others have one: pooling them would be a guess.

    Parameters
    ----------
    sense : array of int, shape (k,)
        As `senses` gives it.
    usable : array of bool, shape (k,)
        Rows that have an effect.

    Returns
    -------
    array of bool, shape (k,)
        All False when no usable row has a known sense.
    """
    unknown = usable & (sense == 0)
    return unknown if (usable & (sense != 0)).any() else np.zeros_like(unknown)


def is_mixed(sense: SenseArray, usable: BoolArray) -> bool:
    """Tell whether positive favours arm 1 in some usable rows and arm 2 in others.

    Parameters
    ----------
    sense : array of int, shape (k,)
        As `senses` gives it.
    usable : array of bool, shape (k,)
        Rows that have an effect.

    Returns
    -------
    bool
        True when the rows cannot be pooled as they are.
    """
    return bool((sense[usable] > 0).any() and (sense[usable] < 0).any())


def favoured_arms(sense: SenseArray) -> NDArray[np.object_]:
    """Name the arm that a positive effect favours.

    Parameters
    ----------
    sense : array of int, shape (k,)
        As `senses` gives it.

    Returns
    -------
    array of str, shape (k,)
        ``"arm1"``, ``"arm2"``, or empty where unknown.

    Examples
    --------
    >>> import numpy as np
    >>> favoured_arms(np.array([1, -1, 0], dtype=np.int8)).tolist()
    ['arm1', 'arm2', '']
    """
    return np.asarray(_ARMS[sense], dtype=object)
