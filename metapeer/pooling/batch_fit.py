"""Many meta-analyses at once: from effects and variances to every number of each, as arrays.

What is computed, and by which formula, is what `metapeer.pooling.models` does for one set; here each formula acts on
all sets of a piece. Only what goes through an exact distribution or a likelihood of the mean is left to the single fit.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtr, ndtri, stdtr, stdtrit

from metapeer.errors import ChoiceError, MetapeerError, check_choice
from metapeer.pooling.batch_likelihood import ManyMaxima, centred, dot_columns, without_absent
from metapeer.pooling.batch_sets import Piece, Sets, pieces
from metapeer.pooling.batch_tau2 import tau2_many
from metapeer.pooling.inference import CI_METHODS, GOES_WITH
from metapeer.pooling.intervals import check_level
from metapeer.pooling.prediction import PREDICTION_METHODS
from metapeer.pooling.tau2 import TAU2_METHODS, estimate_tau2
from metapeer.pooling.weighted import FloatArray, trace_p

__all__ = [
    "BATCH_CI_METHODS",
    "BATCH_PREDICTION_METHODS",
    "COLUMNS",
    "BatchOptions",
    "Engine",
    "batch_options",
    "fit_sets",
]

Engine = Literal["auto", "numpy", "numba"]
Columns = dict[str, "FloatArray | NDArray[np.intp] | NDArray[np.bool_]"]
Found = tuple[NDArray[np.intp], Columns]

BATCH_CI_METHODS = tuple(code for code in CI_METHODS if code not in GOES_WITH)
BATCH_PREDICTION_METHODS = ("V", "HTS", "HK", "HK-PR", "S")
COLUMNS = (
    "k",
    "estimate",
    "se",
    "ci_low",
    "ci_high",
    "statistic",
    "df",
    "p_value",
    "hk_q",
    "pi_low",
    "pi_high",
    "tau2",
    "I2",
    "I2_Q",
    "H2",
    "Q",
    "Q_df",
    "Q_p",
    "other_maxima",
    "certified",
    "narrow",
)
"""What is computed for each set. `df` is NaN where the distribution is normal; `narrow` tells that a Hartung-Knapp
interval is narrower than that of a common effect, as `meta_analysis` warns."""

_WORTH_COMPILING = 20_000
"""Sets below which loading the compiled search takes longer than it saves."""
_AHEAD = 8
_CANCELS = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """The options of a batch, checked; as those of `meta_analysis`.

    Parameters
    ----------
    model, tau2_method, ci_method, prediction_method, level
        As in `meta_analysis`, with every default filled in.
    engine : {"numpy", "numba"}
        What searches likelihoods.
    """

    model: str
    tau2_method: str
    ci_method: str
    prediction_method: str
    level: float
    engine: str = "numpy"


def batch_options(
    *,
    model: str = "random",
    tau2_method: str | None = None,
    ci_method: str | None = None,
    prediction_method: str | None = None,
    level: float = 0.95,
    engine: Engine = "auto",
    sets: int = 0,
) -> BatchOptions:
    """Check the options of a batch and fill in the defaults, which are those of `meta_analysis`.

    Parameters
    ----------
    model, tau2_method, ci_method, prediction_method, level, engine
        As in `meta_analysis_batch`.
    sets : int, default 0
        How many sets there will be, by which "auto" chooses.

    Returns
    -------
    BatchOptions
        Complete.

    Raises
    ------
    ChoiceError
        If an option is unknown, has no effect with the others, or is one that only single fits have.

    Examples
    --------
    >>> batch_options(ci_method="PL")
    Traceback (most recent call last):
    metapeer.errors.ChoiceError: ci_method 'PL' is not made for many sets at once; use meta_analysis() set by set, or
    one of z, t, HK, HK_se, HK_ci, HK_IQWiG6
    """
    check_choice("model", model, ("random", "common"))
    if model == "common":
        for name, value in (("tau2_method", tau2_method), ("prediction_method", prediction_method)):
            if value is not None:
                raise ChoiceError(f"{name} has no effect with model='common', which has no tau²; leave it out")
    known = {"z": None, "t": None} if model == "common" else dict.fromkeys(BATCH_CI_METHODS)
    chosen = ci_method or ("z" if model == "common" else "HK")
    if chosen in CI_METHODS and chosen not in known:
        why = (
            "belongs to the random-effects model; a common effect takes "
            if model == "common"
            else "is not made for many sets at once; use meta_analysis() set by set, or one of "
        )
        raise ChoiceError(f"ci_method {chosen!r} {why}{', '.join(known)}")
    check_choice("ci_method", chosen, known)
    default = "HK" if chosen.startswith("HK") else "V"
    prediction = prediction_method or default
    if prediction in PREDICTION_METHODS and prediction not in BATCH_PREDICTION_METHODS:
        raise ChoiceError(
            f"prediction_method {prediction!r} is not made for many sets at once; use meta_analysis() set by set, or "
            f"one of {', '.join(BATCH_PREDICTION_METHODS)}"
        )
    return BatchOptions(
        model=model,
        tau2_method="" if model == "common" else check_choice("tau2_method", tau2_method or "REML", TAU2_METHODS),
        ci_method=chosen,
        prediction_method=""
        if model == "common"
        else check_choice("prediction_method", prediction, BATCH_PREDICTION_METHODS),
        level=check_level(level),
        engine=_choose_engine(engine, tau2_method or "REML", sets),
    )


def _choose_engine(engine: str, tau2_method: str, sets: int) -> str:
    check_choice("engine", engine, ("auto", "numpy", "numba"))
    if engine == "auto" and (tau2_method not in ("REML", "ML") or sets < _WORTH_COMPILING):
        return "numpy"
    if engine == "numpy":
        return engine
    try:
        from metapeer.pooling import batch_compiled  # noqa: F401  whether it can be loaded is the question
    except Exception as error:  # noqa: BLE001  not installed, installed badly, or without a folder to keep its code in
        if engine == "auto":
            return "numpy"
        raise MetapeerError(
            f"engine='numba' cannot be used ({error}); pip install 'metapeer[fast]', and set NUMBA_CACHE_DIR to a "
            "folder that can be written to"
        ) from None
    return "numba"


def _tau2(piece: Piece, yi: FloatArray, vi: FloatArray, options: BatchOptions) -> ManyMaxima:
    """Estimate tau2 of the sets of a piece, by whichever engine was chosen."""
    method = options.tau2_method
    if options.engine != "numba" or method not in ("REML", "ML"):
        return tau2_many(yi, vi, method)
    from metapeer.pooling.batch_compiled import maximise_rows

    tau2, others = maximise_rows(piece.yi, piece.vi, piece.sizes, restricted=method == "REML")
    certified = np.ones(tau2.size, dtype=np.bool_)
    for row in np.flatnonzero(others < 0).tolist():
        alone = estimate_tau2(*without_absent(yi, vi, row), method)
        tau2[row], others[row], certified[row] = alone.tau2, len(alone.other_maxima), alone.certified
    return ManyMaxima(tau2, others, certified)


@dataclass(frozen=True, slots=True, eq=False)
class _Mean:
    """Weighted means with their classic standard errors and weighted sums of squares."""

    estimate: FloatArray
    se: FloatArray
    q: FloatArray


def _mean(yi: FloatArray, residuals: FloatArray, w: FloatArray) -> _Mean:
    s1 = np.add.reduce(w, axis=0)
    shift = dot_columns(w, residuals) / s1
    away = residuals - shift
    # Deviations were taken from the plain mean, so that large effects close together keep their digits.
    return _Mean(yi[0] - residuals[0] + shift, 1.0 / np.sqrt(s1), dot_columns(w * away, away))


def _typical_variance(vi: FloatArray, w: FloatArray, df: FloatArray) -> FloatArray:
    """Higgins and Thompson's typical sampling variance of each set."""
    s1 = np.add.reduce(w, axis=0)
    trace = s1 - dot_columns(w, w) / s1
    for column in np.flatnonzero(~(trace > _CANCELS * s1)).tolist():
        trace[column] = trace_p(1.0 / vi[np.isfinite(vi[:, column]), column])
    return np.asarray(df / trace)


def _quantiles(level: float, df: FloatArray) -> FloatArray:
    """Half-widths in standard errors of t intervals; few different degrees of freedom occur."""
    different, where = np.unique(df, return_inverse=True)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(different > 0, stdtrit(different, 0.5 + 0.5 * level), np.nan)[where])


def _fit_piece(piece: Piece, options: BatchOptions) -> Columns:
    """Fit sets of two or more studies."""
    yi, vi = np.ascontiguousarray(piece.yi.T), np.ascontiguousarray(piece.vi.T)
    n = yi.shape[1]
    df = piece.sizes.astype(np.float64) - 1.0
    residuals = centred(yi, vi)
    w = 1.0 / vi
    typical = _typical_variance(vi, w, df)
    common = _mean(yi, residuals, w)
    q = common.q
    none = np.full(n, np.nan)
    if options.model == "common":
        mean, hk_q = common, none
        found = ManyMaxima(np.zeros(n), np.zeros(n, dtype=np.intp), np.ones(n, dtype=np.bool_))
    else:
        found = _tau2(piece, yi, vi, options)
        mean = _mean(yi, residuals, 1.0 / (vi + found.tau2))
        hk_q = mean.q / df
    tau2 = found.tau2
    normal, t = float(ndtri(0.5 + 0.5 * options.level)), _quantiles(options.level, df)
    se, half, used = _spread(options.ci_method, mean.se, hk_q, df, normal, t, vi, yi)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(se > 0, mean.estimate / se, np.nan)
        below = -np.abs(statistic)
        p_value = 2.0 * (ndtr(below) if options.ci_method == "z" else stdtr(used, below))
        if options.ci_method == "HK_ci":
            p_value = np.where(np.isnan(used), 2.0 * ndtr(below), p_value)
        h2_q = q / df
        h2 = tau2 / typical + 1.0 if options.model == "random" else none
        i2 = 100.0 * (h2 - 1.0) / h2
        i2_q = np.where(h2_q > 0, np.maximum(0.0, 100.0 * (h2_q - 1.0) / h2_q), 0.0)
    reach = _reach(options, tau2, mean.se, se, hk_q, df, normal)
    return {
        "k": piece.sizes,
        "estimate": mean.estimate,
        "se": se,
        "ci_low": mean.estimate - half,
        "ci_high": mean.estimate + half,
        "statistic": statistic,
        "df": used,
        "p_value": p_value,
        "hk_q": hk_q,
        "pi_low": mean.estimate - reach,
        "pi_high": mean.estimate + reach,
        "tau2": tau2,
        "I2": np.where(np.isinf(h2), 100.0, i2),
        "I2_Q": i2_q,
        "H2": h2,
        "Q": q,
        "Q_df": df,
        "Q_p": chdtrc(df, q),
        "other_maxima": found.others,
        "certified": found.certified,
        "narrow": (half < common.se * normal) if options.ci_method == "HK" else np.zeros(n, dtype=np.bool_),
    }


def _spread(
    method: str,
    classic: FloatArray,
    hk_q: FloatArray,
    df: FloatArray,
    normal: float,
    t: FloatArray,
    vi: FloatArray,
    yi: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Standard errors, half-widths and degrees of freedom of the intervals; formulas as in `infer`."""
    none = np.full(df.size, np.nan)
    if method == "z":
        return classic, classic * normal, none
    if method == "t":
        return classic, classic * t, df
    knapp = classic * np.sqrt(hk_q)
    if method == "HK_se":
        knapp = classic * np.sqrt(np.maximum(1.0, hk_q))
    elif method == "HK_ci":
        wider = classic * normal > knapp * t
        return np.where(wider, classic, knapp), np.where(wider, classic * normal, knapp * t), np.where(wider, none, df)
    elif method == "HK_IQWiG6":
        dl = tau2_many(yi, vi, "DL").tau2
        dl_se = 1.0 / np.sqrt(np.add.reduce(1.0 / (vi + dl), axis=0))
        narrow = knapp * t < dl_se * normal
        knapp = np.where(narrow, classic * np.sqrt(np.maximum(1.0, hk_q)), knapp)
    return knapp, knapp * t, df


def _reach(
    options: BatchOptions,
    tau2: FloatArray,
    classic: FloatArray,
    se: FloatArray,
    hk_q: FloatArray,
    df: FloatArray,
    normal: float,
) -> FloatArray:
    """Half-widths of the prediction intervals; NaN where there are no degrees of freedom."""
    if options.model == "common":
        return np.full(df.size, np.nan)
    method = options.prediction_method
    if method == "S":
        return np.asarray(normal * np.sqrt(tau2 + classic**2))
    own = df if method in ("V", "HK") else df - 1.0
    knapp = se if options.ci_method.startswith("HK") else classic * np.sqrt(hk_q)
    error = knapp if method.startswith("HK") else classic
    return np.asarray(_quantiles(options.level, own) * np.sqrt(tau2 + error**2))


def _fit_singles(piece: Piece, options: BatchOptions) -> Columns:
    """Sets of one study pool to themselves; nothing can be said of how studies differ."""
    estimate, se = piece.yi[:, 0], np.sqrt(piece.vi[:, 0])
    n = se.size
    none = np.full(n, np.nan)
    half = se * float(ndtri(0.5 + 0.5 * options.level))
    statistic = estimate / se
    return dict.fromkeys(COLUMNS, none) | {
        "k": piece.sizes,
        "estimate": estimate,
        "se": se,
        "ci_low": estimate - half,
        "ci_high": estimate + half,
        "statistic": statistic,
        "p_value": 2.0 * ndtr(-np.abs(statistic)),
        "tau2": np.zeros(n) if options.model == "common" else none,
        "I2_Q": none,
        "Q": np.zeros(n),
        "Q_df": np.zeros(n),
        "other_maxima": np.zeros(n),
        "certified": np.ones(n),
        "narrow": np.zeros(n),
    }


def _in_order(pool: ThreadPoolExecutor, work: Callable[[Piece], Found], waiting: Iterator[Piece]) -> Iterator[Found]:
    """Run a few pieces ahead of what has been taken, so that memory does not grow with their number."""
    ahead: deque[Future[Found]] = deque()
    for piece in waiting:
        ahead.append(pool.submit(work, piece))
        if len(ahead) >= _AHEAD:
            yield ahead.popleft().result()
    while ahead:
        yield ahead.popleft().result()


def fit_sets(
    sets: Sets,
    options: BatchOptions,
    *,
    chosen: "NDArray[np.bool_] | None" = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    columns: tuple[str, ...] = COLUMNS,
) -> dict[str, FloatArray]:
    """Fit every set.

    Parameters
    ----------
    sets : Sets
        Effects that passed every check.
    options : BatchOptions
        How.
    chosen : array of bool of shape (n,), optional
        Which sets to fit; the numbers of others are NaN, and so are those of sets without a study.
    workers : int, optional
        Threads; as many as there are cores when left out.
    progress : callable, optional
        Called with the number of sets done and of all sets, now and then.
    columns : tuple of str, default COLUMNS
        Which numbers to keep.

    Returns
    -------
    dict of array of shape (n,)
        A column for each of `columns`.

    Examples
    --------
    >>> from metapeer.pooling.batch_sets import sets_from_matrix
    >>> sets = sets_from_matrix(np.array([[0.1, 0.3, 0.8]]), np.array([[0.02, 0.03, 0.04]]))
    >>> found = fit_sets(sets, batch_options())
    >>> found["estimate"].round(3).tolist(), found["tau2"].round(4).tolist()
    ([0.381], [0.0949])
    """
    sizes = sets.sizes
    total = sizes.size
    able = (sizes > 0) if chosen is None else chosen & (sizes > 0)
    table = {name: np.full(total, np.nan) for name in columns}
    done = 0

    def work(piece: Piece) -> Found:
        fit = _fit_singles if int(piece.sizes.max()) == 1 else _fit_piece
        return piece.sets, fit(piece, options)

    def keep(fitted: Found) -> None:
        nonlocal done
        which, found = fitted
        for name in columns:
            table[name][which] = found[name]
        done += which.size
        if progress is not None:
            progress(done, total)

    waiting = (
        piece
        for group in (np.flatnonzero(able & (sizes == 1)), np.flatnonzero(able & (sizes > 1)))
        for piece in pieces(sets, group)
    )
    threads = workers or os.cpu_count() or 1
    if threads == 1 or options.engine != "numba" or total < _WORTH_COMPILING:
        for piece in waiting:
            keep(work(piece))
        return table
    with ThreadPoolExecutor(threads) as pool:
        for fitted in _in_order(pool, work, waiting):
            keep(fitted)
    return table
