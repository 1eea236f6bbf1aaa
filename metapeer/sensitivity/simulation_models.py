"""The door to simulation: how well estimators and intervals do where the truth is known, over a grid of cases."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from metapeer.errors import ChoiceError, MetapeerError
from metapeer.pooling.batch_fit import BatchOptions, batch_options, fit_sets
from metapeer.pooling.batch_sets import sets_from_matrix
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.simulation_draws import Draw, Generator, draw_effects, draw_smds
from metapeer.sensitivity.simulation_results import SimulationResult

__all__ = ["simulation_study"]

_GENERATORS: dict[str, Generator] = {"effects": draw_effects, "smd": draw_smds}
_CELLS = 2_000_000
"""Effects that are drawn at a time: 16 MB for each array of them."""
_OPTIONS = ("model", "tau2_method", "ci_method", "prediction_method", "level")
_NEEDED = ("estimate", "se", "ci_low", "ci_high", "p_value", "pi_low", "pi_high", "tau2", "I2")


def simulation_study(
    *,
    grid: Mapping[str, Sequence[Any]],
    methods: Mapping[str, Mapping[str, Any]] | None = None,
    draw: "str | Generator" = "effects",
    repetitions: int = 10_000,
    seed: int = 1,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SimulationResult:
    """Draw meta-analyses whose truth is known, fit them in every way, and count how often that goes well.

    Parameters
    ----------
    grid : dict of sequences
        Values of the arguments of `draw`; every combination is a cell. For "effects": ``k``, ``mean``, ``tau2``,
        ``shape`` ("normal", "exponential" or "two groups"), ``variance``, ``spread``. For "smd": ``k``, ``mean``,
        ``tau2``, ``shape``, ``n``, ``spread``, ``variance``. See `metapeer.sensitivity.simulation_draws`.
    methods : dict of dicts, optional
        A name for each way to fit, with the options that `meta_analysis_batch` takes: ``model``, ``tau2_method``,
        ``ci_method``, ``prediction_method``, ``level``. REML with z and with HK, and DL with z, when left out. All fit
        the same draws.
    draw : {"effects", "smd"} or callable, default "effects"
        Effects with known variances; trials with two arms; or a function of a Generator, the number of repetitions
        and the arguments of `grid` that returns a `metapeer.sensitivity.simulation_draws.Draw`.
    repetitions : int, default 10,000
        Meta-analyses in each cell.
    seed : int, default 1
        Each cell has its own stream of random numbers, so that adding a cell at the end changes no other.
    workers : int, optional
        As in `meta_analysis_batch`.
    progress : callable, optional
        Called after each cell with how many are done, and how many there are.

    Returns
    -------
    SimulationResult
        A row for each cell and method: bias, root mean squared error, coverage, power and more, each with its Monte
        Carlo standard error.

    Raises
    ------
    MetapeerError
        If the grid does not fit the function that draws.
    ChoiceError
        If an option is unknown.

    References
    ----------
    Morris, White & Crowther (2019), Stat Med 38:2074-2102 (performance measures and their Monte Carlo errors);
    Langan et al. (2019), Res Synth Methods 10:83-98 (estimators of tau2 compared in this way).

    Examples
    --------
    >>> found = simulation_study(grid={"k": [5], "tau2": [0.0, 0.1]}, repetitions=500)
    >>> frame = found.to_frame()
    >>> frame[["k", "tau2", "method", "repetitions"]].head(3)
       k  tau2   method  repetitions
    0  5   0.0  REML, z          500
    1  5   0.0  REML, HK          500
    2  5   0.0    DL, z          500
    >>> bool(frame["coverage"].between(0.75, 1.0).all())
    True
    """
    function = _generator(draw)
    options = _methods(methods)
    if not grid or any(len(values) == 0 for values in grid.values()):
        raise MetapeerError("grid is empty; give at least the numbers of studies: grid={'k': [5, 10]}")
    if repetitions < 2:
        raise MetapeerError(f"repetitions {repetitions} is too few; give 2 or more")
    cells = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    rows: list[dict[str, Any]] = []
    for number, cell in enumerate(cells):
        rng = np.random.default_rng([seed, number])
        rows += [
            {**cell, "method": name, **measures}
            for name, measures in _one_cell(function, cell, options, repetitions, rng, workers).items()
        ]
        if progress is not None:
            progress(number + 1, len(cells))
    return SimulationResult(
        table=pd.DataFrame(rows),
        arguments=tuple(grid),
        methods=tuple(options),
        repetitions=repetitions,
        seed=seed,
        drawn=draw if isinstance(draw, str) else getattr(draw, "__name__", "a function"),
    )


def _generator(draw: "str | Generator") -> Generator:
    if callable(draw):
        return draw
    if draw not in _GENERATORS:
        raise ChoiceError(f"draw {draw!r} is unknown. Known: {', '.join(_GENERATORS)}, or a function of your own")
    return _GENERATORS[draw]


def _methods(methods: Mapping[str, Mapping[str, Any]] | None) -> dict[str, BatchOptions]:
    """Check the options of every method before anything is drawn."""
    asked = methods or {
        "REML, z": {"ci_method": "z"},
        "REML, HK": {"ci_method": "HK"},
        "DL, z": {"tau2_method": "DL", "ci_method": "z"},
    }
    found = {}
    for name, options in asked.items():
        unknown = [option for option in options if option not in _OPTIONS]
        if unknown:
            raise ChoiceError(f"method {name!r} has the option {unknown[0]!r}. Known: {', '.join(_OPTIONS)}")
        found[str(name)] = batch_options(**options, sets=10**9)
    return found


def _draw(function: Generator, cell: dict[str, Any], rng: np.random.Generator, number: int) -> Draw:
    try:
        return function(rng, number, **cell)
    except TypeError as error:
        raise MetapeerError(f"the cell {cell} cannot be drawn: {error}") from None


def _one_cell(
    function: Generator,
    cell: dict[str, Any],
    options: dict[str, BatchOptions],
    repetitions: int,
    rng: np.random.Generator,
    workers: int | None,
) -> dict[str, dict[str, float]]:
    """Draw block by block, so that memory does not grow with the repetitions, and sum up."""
    block = max(1, _CELLS // max(1, int(cell.get("k", 10))))
    kept: dict[str, list[dict[str, FloatArray]]] = {name: [] for name in options}
    truths: list[Draw] = []
    for begin in range(0, repetitions, block):
        drawn = _draw(function, cell, rng, min(block, repetitions - begin))
        sets = sets_from_matrix(drawn.yi, drawn.vi, np.isfinite(drawn.vi))
        truths.append(drawn)
        for name, how in options.items():
            kept[name].append(fit_sets(sets, how, columns=_NEEDED, workers=workers))
    new = np.concatenate([drawn.new for drawn in truths])
    return {
        name: _measures(
            {column: np.concatenate([part[column] for part in parts]) for column in _NEEDED},
            truths[0].mean,
            truths[0].tau2,
            new,
            options[name].level,
        )
        for name, parts in kept.items()
    }


def _measures(
    found: dict[str, FloatArray], mean: float, tau2: float, new: FloatArray, level: float
) -> dict[str, float]:
    """Performance measures and their Monte Carlo standard errors (Morris et al. 2019, table 6)."""
    n = found["estimate"].size
    error = found["estimate"] - mean
    squared = error**2
    mse = float(squared.mean())
    rmse = math.sqrt(mse)
    empirical = float(error.std(ddof=1))
    covered = (found["ci_low"] <= mean) & (mean <= found["ci_high"])
    rejected = found["p_value"] < 1.0 - level
    predicted = (found["pi_low"] <= new) & (new <= found["pi_high"])
    there = np.isfinite(found["pi_low"])
    away = found["tau2"] - tau2

    def share(events: "np.typing.NDArray[np.bool_]") -> tuple[float, float]:
        p = float(events.mean()) if events.size else math.nan
        return p, math.sqrt(p * (1.0 - p) / events.size) if events.size else math.nan

    coverage, coverage_error = share(covered)
    power, power_error = share(rejected)
    pi_coverage, pi_error = share(predicted[there])
    return {
        "repetitions": n,
        "bias": float(error.mean()),
        "bias_mcse": empirical / math.sqrt(n),
        "empirical_se": empirical,
        "empirical_se_mcse": empirical / math.sqrt(2.0 * (n - 1)),
        "rmse": rmse,
        # The delta method carries the error of the mean square over to its root.
        "rmse_mcse": float(squared.std(ddof=1)) / math.sqrt(n) / (2.0 * rmse) if rmse > 0 else 0.0,
        "mean_se": float(found["se"].mean()),
        "coverage": coverage,
        "coverage_mcse": coverage_error,
        "width": float((found["ci_high"] - found["ci_low"]).mean()),
        "rejected": power,
        "rejected_mcse": power_error,
        "pi_coverage": pi_coverage,
        "pi_coverage_mcse": pi_error,
        "tau2_bias": float(away.mean()),
        "tau2_bias_mcse": float(away.std(ddof=1)) / math.sqrt(n),
        "tau2_rmse": math.sqrt(float((away**2).mean())),
        "tau2_zero": float((found["tau2"] == 0).mean()),
        "mean_I2": float(found["I2"].mean()),
    }
