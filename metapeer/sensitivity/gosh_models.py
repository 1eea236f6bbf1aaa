"""The door to GOSH, a graphical display of study heterogeneity: a meta-analysis of every subset of the studies."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.errors import MetapeerError
from metapeer.formatting import count
from metapeer.pooling.batch_fit import BatchOptions, Engine, batch_options, fit_sets
from metapeer.pooling.batch_sets import sets_from_matrix
from metapeer.pooling.models import Effects, Model, read_effects
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.gosh_results import GOSH_COLUMNS, GoshResult
from metapeer.sensitivity.influence_refits import effects_of, fit_of

__all__ = ["gosh"]

_MOST = 2**20
"""Subsets that are computed unless more are asked for; all of them up to 20 studies."""
_BLOCK = 2**16
_WIDEST = 63
"""Studies whose subsets can be written as the bits of one integer."""


def gosh(
    data: "MetaAnalysisResult | pd.DataFrame",
    *,
    model: Model | None = None,
    tau2_method: str | None = None,
    subsets: int | None = None,
    seed: int = 1,
    engine: Engine = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> GoshResult:
    """Pool every subset of the studies, or very many of them.

    Where all studies estimate one thing, the estimates of subsets lie in one heap. Two heaps, or a long arm, say that
    some studies pull the others apart; `GoshResult.clusters` finds the heaps, and which studies make them.

    Parameters
    ----------
    data : MetaAnalysisResult or DataFrame
        A fit, whose model and estimator are then used, or a table of effects.
    model : {"random", "common"}, optional
        The model; that of the fit, or "random".
    tau2_method : str, optional
        Estimator of tau2; that of the fit, or REML.
    subsets : int, optional
        How many to draw at random, each study taking part with probability one half, when there are more than so many;
        1,048,576 when left out, which are all of up to 20 studies.
    seed : int, default 1
        For the drawing.
    engine : {"auto", "numpy", "numba"}, default "auto"
        As in `meta_analysis_batch`.
    progress : callable, optional
        Called now and then with how many subsets are done, and how many there are.

    Returns
    -------
    GoshResult
        Estimate, tau2, I² and Q of each subset, and who is in it.

    Raises
    ------
    MetapeerError
        If there are fewer than 3 studies, or more than 63, or the fit rests on more than effects and their variances.
    DataError
        If the table cannot be pooled.

    References
    ----------
    Olkin, Dahabreh & Trikalinos (2012), Res Synth Methods 3:214-223.

    Examples
    --------
    >>> table = pd.DataFrame({"study_id": list("abcd"), "yi": [0.1, 0.2, 0.3, 2.0], "vi": [0.02, 0.03, 0.02, 0.03]})
    >>> found = gosh(table, tau2_method="DL")
    >>> with_d, without_d = found.with_study("d")["estimate"], found.without_study("d")["estimate"]
    >>> len(found), round(float(with_d.min()), 2), round(float(without_d.max()), 2)
    (15, 0.65, 0.3)
    """
    effects, options = _read(data, model, tau2_method, engine)
    k = effects.yi.size
    if k < 3:
        raise MetapeerError(f"subsets of {count(k, 'study', 'studies')} show nothing; three or more are needed")
    if k > _WIDEST:
        raise MetapeerError(f"{k} studies are too many: subsets are kept as 63 bits; pool fewer, or average per trial")
    most = _MOST if subsets is None else subsets
    if most < 1:
        raise MetapeerError(f"subsets {most} is not a number of subsets; give 1 or more")
    everything = 2**k - 1 <= most
    members = np.arange(1, 2**k, dtype=np.uint64) if everything else _draw(k, most, seed)
    columns = _fit(effects, members, options, progress)
    return GoshResult(
        measure=effects.measure,
        labels=effects.labels,
        trials=effects.trial_count,
        members=members,
        columns=columns,
        complete=everything,
        model=options.model,
        tau2_method=options.tau2_method,
        seed=None if everything else seed,
    )


def _read(
    data: "MetaAnalysisResult | pd.DataFrame", model: Model | None, tau2_method: str | None, engine: Engine
) -> tuple[Effects, BatchOptions]:
    if isinstance(data, MetaAnalysisResult):
        effects = effects_of(fit_of(data, {}, stacklevel=2))
        chosen = model or data.model
        estimator = tau2_method or (data.tau2_method if chosen == "random" else None) or None
    elif isinstance(data, pd.DataFrame):
        effects, chosen, estimator = read_effects(data), model or "random", tau2_method
    else:
        raise MetapeerError(f"data is a {type(data).__name__}; give a fit or a table of effects")
    k = effects.yi.size
    options = batch_options(model=chosen, tau2_method=estimator, ci_method="z", engine=engine, sets=2 ** min(k, 20))
    return effects, options


def _draw(k: int, number: int, seed: int) -> NDArray[np.uint64]:
    """Draw subsets, each study with probability one half; never an empty one, and none twice."""
    rng = np.random.default_rng(seed)
    if number > 2 ** (k - 1):  # drawing until the last ones are met would take for ever
        return rng.permutation(np.arange(1, 2**k, dtype=np.uint64))[:number]
    found = np.empty(0, dtype=np.uint64)
    while found.size < number:
        more = rng.integers(1, 2**k, size=math.ceil(1.1 * (number - found.size)) + 16, dtype=np.uint64)
        both = np.concatenate([found, more])
        _, first = np.unique(both, return_index=True)
        found = both[np.sort(first)]
    return found[:number]


def _fit(
    effects: Effects,
    members: NDArray[np.uint64],
    options: BatchOptions,
    progress: Callable[[int, int], None] | None,
) -> dict[str, FloatArray]:
    """Fit the subsets block by block, so that memory does not grow with their number."""
    k, total = effects.yi.size, members.size
    columns = {name: np.empty(total) for name in GOSH_COLUMNS}
    source = {name: "I2_Q" if name == "I2" and options.model == "common" else name for name in GOSH_COLUMNS}
    bits = np.uint64(1) << np.arange(k, dtype=np.uint64)
    for begin in range(0, total, _BLOCK):
        block = slice(begin, min(begin + _BLOCK, total))
        there = (members[block, None] & bits) > 0
        shape = there.shape
        sets = sets_from_matrix(np.broadcast_to(effects.yi, shape), np.broadcast_to(effects.vi, shape), there)
        found = fit_sets(sets, options, columns=tuple(source.values()))
        for name in GOSH_COLUMNS:
            columns[name][block] = found[source[name]]
        if progress is not None:
            progress(block.stop, total)
    for values in columns.values():
        values.setflags(write=False)
    members.setflags(write=False)
    return columns
