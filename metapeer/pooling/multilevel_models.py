"""The door to multilevel and multivariate models: a table of effects and its random effects in, a result out."""

import math
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from metapeer.errors import ChoiceError, DataError, Fault, MetapeerError, check_choice
from metapeer.formatting import count
from metapeer.pooling.covariance import SamplingCovariance, covariance_from_matrix, covariance_from_variances
from metapeer.pooling.intervals import check_level, chi2_tail
from metapeer.pooling.models import Effects, Notes
from metapeer.pooling.multilevel_comparison import RandomTerm
from metapeer.pooling.multilevel_fit import Certificate, MixedFit, Problem, fit_mixed, make_problem
from metapeer.pooling.multilevel_inference import linear, statistics_of, wald
from metapeer.pooling.multilevel_likelihood import Block, Term
from metapeer.pooling.multilevel_results import MultilevelResult
from metapeer.pooling.regression import orthonormal
from metapeer.pooling.regression_models import prepare, tell_size
from metapeer.pooling.structures import STRUCTURES, make_structure
from metapeer.pooling.weighted import FloatArray

__all__ = ["multilevel_meta_analysis"]

METHODS = ("REML", "ML")
CI_METHODS = ("contain", "t", "z")
ROW = "row"
"""What stands for a random effect of every row, in a table without a column of this name."""
LARGEST_BLOCK = 3000
"""Rows that may hang together through random effects; their covariance is a dense matrix of that size."""
MOST_LEVELS = 300
"""Levels of an inner column, whose covariance is a dense matrix with a derivative for every parameter."""
FEW_GROUPS = 5
"""Groups below which a variance between them rests on too little (as `subgroups.FEW_STUDIES`)."""

HARDLY_TOLD_APART = 1e-6
"""Curvature, as a share of what each parameter has by itself, below which components share one piece of information."""

ALMOST_ZERO = 1e-6
"""A variance, as a share of the variance of an effect, that says little because it is small."""
NOTHING = 1e-8
"""Observed information, relative to a parameter's own size, that counts as none."""

IntArray = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """Random effects as they were asked for: columns, nested from the outside in, and the inner column if any."""

    outer: tuple[str, ...]
    inner: str

    @property
    def name(self) -> str:
        groups = "/".join(self.outer)
        return f"{self.inner} | {groups}" if self.inner else groups


def _parse(text: str) -> list[_Asked]:
    """Read random effects written as ``~ 1 | a/b`` or ``~ inner | outer``."""
    example = "'~ 1 | study_id/row' or '~ outcome | study_id'"
    if not isinstance(text, str):
        raise ChoiceError(f"random must be a text such as {example}, or several of them, not {text!r}")
    match = re.fullmatch(r"\s*~?\s*([^|~]+?)\s*\|\s*([^|~]+?)\s*", text)
    if match is None:
        raise ChoiceError(f"random {text!r} cannot be read; write it as {example}")
    inner, groups = match[1], tuple(part.strip() for part in match[2].split("/"))
    if not all(groups):
        raise ChoiceError(f"random {text!r} names an empty column; write it as {example}")
    if inner != "1":
        if len(groups) > 1:
            raise ChoiceError(f"random {text!r}: an inner column goes with one outer column; write {example}")
        return [_Asked(outer=groups, inner=inner)]
    return [_Asked(outer=groups[: i + 1], inner="") for i in range(len(groups))]


def _asked(random: str | Sequence[str], struct: str | Sequence[str] | None) -> list[tuple[_Asked, str]]:
    """Pair random effects with covariance structures."""
    for name, given in (("random", random), ("struct", () if struct is None else struct)):
        if not isinstance(given, str | Sequence):
            raise ChoiceError(f"{name} must be a text, or a list of them, not {given!r}")
    texts = [random] if isinstance(random, str) else list(random)
    found = [asked for text in texts for asked in _parse(text)]
    names = [asked.name for asked in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ChoiceError(f"random names {', '.join(twice)} more than once")
    structured = [asked for asked in found if asked.inner]
    structs = [struct] if isinstance(struct, str) else list(struct or ())
    for code in structs:
        check_choice("struct", code, STRUCTURES)
    if structs and not structured:
        raise ChoiceError("struct has no effect: no random effects have an inner column, as in '~ outcome | study_id'")
    if len(structs) == 1:
        structs *= len(structured)
    if not structs:
        structs = ["CS"] * len(structured)
    if len(structs) != len(structured):
        raise ChoiceError(f"struct has {len(structs)} entries for {count(len(structured), 'inner column')}")
    queue = iter(structs)
    return [(asked, next(queue) if asked.inner else "") for asked in found]


def _labels(data: pd.DataFrame, column: str, names: Sequence[str], faults: list[Fault]) -> list[str]:
    """The group of each row, as words; empty cells are faults."""
    if column == ROW and column not in data:
        return [str(i) for i in range(1, len(data) + 1)]
    cells = data[column]
    blank = cells.isna() | (cells.astype(str).str.strip() == "")
    for name, empty in zip(names, blank.tolist(), strict=True):
        if empty:
            faults.append(Fault(row=name, column=column, message="is empty; every row needs a group"))
    return [str(cell) for cell in cells]


def _levels(data: pd.DataFrame, column: str, struct: str, words: Sequence[str]) -> tuple[list[str], FloatArray | None]:
    """Levels of an inner column in order, and where they stand in time if the structure asks."""
    found = list(dict.fromkeys(words))
    if struct in ("AR", "HAR", "CAR"):
        numbers = pd.to_numeric(pd.Series(found), errors="coerce").to_numpy(np.float64)
        if not np.isfinite(numbers).all():
            raise DataError("the table", [Fault(column=column, message=f"must hold numbers for struct {struct!r}")])
        order = np.argsort(numbers)
        times = numbers[order]
        if struct != "CAR" and (times % 1.0 != 0.0).any():
            raise DataError(
                "the table",
                [Fault(column=column, message=f"must hold whole numbers for struct {struct!r}; use 'CAR'")],
            )
        return [found[i] for i in order], times
    if column not in data:
        return found, None
    if isinstance(data[column].dtype, pd.CategoricalDtype):
        rank = {str(category): i for i, category in enumerate(data[column].cat.categories)}
        return sorted(found, key=lambda level: rank[level]), None
    return sorted(found), None


def _codes(words: Sequence[Hashable], order: Sequence[Hashable]) -> IntArray:
    place = {word: i for i, word in enumerate(order)}
    return np.array([place[word] for word in words], dtype=np.intp)


def _make_terms(
    effects: Effects, asked: Sequence[tuple[_Asked, str]], source: str
) -> tuple[list[Term], list[RandomTerm]]:
    """Turn columns into random effects; every fault is listed."""
    data = effects.data
    assert data is not None  # noqa: S101  a table was given
    columns = dict.fromkeys(name for one, _ in asked for name in (*one.outer, *([one.inner] if one.inner else [])))
    absent = [name for name in columns if name not in data and name != ROW]
    if absent:
        raise DataError(source, [Fault(column=name, message="there is no such column") for name in absent])
    faults: list[Fault] = []
    words = {name: _labels(data, name, effects.labels, faults) for name in columns}
    if faults:
        raise DataError(source, faults)
    terms, described = [], []
    for one, struct in asked:
        groups = list(zip(*(words[name] for name in one.outer), strict=True))
        order = list(dict.fromkeys(groups))
        levels: list[str] = []
        times = None
        if one.inner:
            levels, times = _levels(data, one.inner, struct, words[one.inner])
        inner = _codes(words[one.inner], levels) if one.inner else np.zeros(len(groups), dtype=np.intp)
        if len(levels) > MOST_LEVELS:
            raise DataError(
                source,
                [
                    Fault(
                        column=one.inner,
                        message=f"has {len(levels)} levels; random effects of at most {MOST_LEVELS} can be correlated. "
                        f"For rows that only differ write '~ 1 | {one.outer[0]}/{one.inner}'",
                    )
                ],
            )
        structure = make_structure(struct or "ID", max(1, len(levels)), times=times)
        terms.append(Term(outer=_codes(groups, order), inner=inner, structure=structure))
        described.append(
            RandomTerm(
                name=one.name,
                outer="/".join(one.outer),
                inner=one.inner,
                struct=struct,
                levels=tuple(levels),
                group_names=tuple(" / ".join(parts) for parts in order),
            )
        )
    _check_terms(terms, described, source)
    return terms, described


def _partition(term: Term) -> bytes:
    """What tells apart how a random intercept groups the rows."""
    _, first = np.unique(term.outer, return_index=True)
    place = {int(term.outer[i]): int(i) for i in first}
    return np.array([place[int(group)] for group in term.outer]).tobytes()


def _check_terms(terms: Sequence[Term], described: Sequence[RandomTerm], source: str) -> None:
    """Refuse random effects that cannot be estimated at all."""
    faults: list[Fault | str] = []
    seen: dict[bytes, str] = {}
    for term, about in zip(terms, described, strict=True):
        if about.groups == 1:
            faults.append(
                Fault(column=about.outer, message="holds one group only; a variance between groups needs two or more")
            )
        if not about.inner:
            key = _partition(term)
            if key in seen and about.groups > 1:
                faults.append(
                    f"{seen[key]} and {about.name} group the rows alike, so that their variances cannot be told apart; "
                    f"leave one out, as in random='~ 1 | {seen[key].split('/')[0]}'"
                )
            seen.setdefault(key, about.name)
        elif len(about.levels) > 1 and about.struct not in ("ID", "DIAG"):
            order = np.argsort(term.outer, kind="stable")
            together = {
                (int(a), int(b))
                for inside in np.split(term.inner[order], np.flatnonzero(np.diff(term.outer[order])) + 1)
                for a, b in combinations(np.unique(inside), 2)
            }
            apart = [
                f"{about.levels[a]} and {about.levels[b]}"
                for a, b in combinations(range(len(about.levels)), 2)
                if (a, b) not in together
            ]
            if not together:
                faults.append(
                    Fault(
                        column=about.inner,
                        message=f"no group of {about.outer} has two different values, so that no correlation can be "
                        "estimated; use struct='DIAG' or 'ID'",
                    )
                )
            elif apart and about.struct == "UN":
                faults.append(
                    Fault(
                        column=about.inner,
                        message=f"no group has both {'; nor '.join(apart)}, so that their correlation cannot be "
                        "estimated; use struct='HCS' or 'DIAG'",
                    )
                )
    if faults:
        raise DataError(source, faults)


def _covariance(
    V: SamplingCovariance | ArrayLike | None, effects: Effects, kept: IntArray, size: int, source: str
) -> SamplingCovariance:
    """The sampling covariance of the rows that are used, whose diagonal must be their sampling variances."""
    if V is None:
        return covariance_from_variances(effects.vi)
    found = V if isinstance(V, SamplingCovariance) else covariance_from_matrix(V)
    if found.k != size:
        raise MetapeerError(
            f"V is for {count(found.k, 'row')}, but the table has {count(size, 'row')} that can be pooled; make it "
            "from the same table"
        )
    chosen = found if kept.size == size else found.rows(kept)
    off = np.flatnonzero(~np.isclose(chosen.diagonal(), effects.vi, rtol=1e-6, atol=0.0)).tolist()
    if off:
        raise DataError(
            source,
            [
                Fault(
                    row=effects.labels[i],
                    message=f"V has the variance {chosen.diagonal()[i]:.6g} and the table vi = {effects.vi[i]:.6g}; "
                    "make V from the same rows in the same order",
                )
                for i in off
            ],
        )
    return chosen


def _contained(X: FloatArray, terms: Sequence[Term], k: int) -> FloatArray:
    """Degrees of freedom by containment: the fewest groups within which a column is constant, less coefficients."""
    p = X.shape[1]
    found = np.full(p, float(k))
    for term in terms:
        groupings = [term.outer]
        if term.structure.q > 1:
            groupings.append(term.outer * term.structure.q + term.inner)
        for grouping in groupings:
            names, place = np.unique(grouping, return_inverse=True)
            for j in range(p):
                low, high = np.full(names.size, math.inf), np.full(names.size, -math.inf)
                np.minimum.at(low, place, X[:, j])
                np.maximum.at(high, place, X[:, j])
                if (low == high).all():
                    found[j] = min(found[j], float(names.size))
    return np.asarray(np.maximum(found - p, 1.0))


def _typical(problem: Problem) -> tuple[float, float]:
    """Typical sampling variance (Higgins & Thompson 2002) and Cochran's Q, from the whole sampling covariance."""
    k, p = problem.X.shape
    q, trace, through = 0.0, 0.0, np.zeros((p, p))
    information, score = np.zeros((p, p)), np.zeros(p)
    weights = []
    for rows, block in problem.blocks:
        W = np.linalg.inv(block)
        F = W @ problem.X[rows]
        weights.append(W)
        information += problem.X[rows].T @ F
        score += F.T @ problem.yi[rows]
        trace += float(np.trace(W))
        through += F.T @ F
    beta = np.linalg.solve(information, score)
    for (rows, _), W in zip(problem.blocks, weights, strict=True):
        gap = problem.yi[rows] - problem.X[rows] @ beta
        q += float(gap @ W @ gap)
    trace -= float(np.trace(np.linalg.solve(information, through)))
    return (k - p) / trace * problem.unit**2, q


def _certificate(fit: MixedFit, described: Sequence[RandomTerm]) -> Certificate:
    """What the derivatives at the maximum, and the other starts, say of it."""
    curvature = math.inf
    if fit.free.size:
        size = np.sqrt(np.maximum(-np.diag(fit.peak.hessian), 1e-300))
        seen = fit.peak.inner & (-np.diag(fit.peak.hessian) > 1e-9)
        if seen.any():
            scaled = -fit.peak.hessian[np.ix_(seen, seen)] / np.outer(size[seen], size[seen])
            curvature = float(np.linalg.eigvalsh(scaled)[0])
    edges = []
    parts = fit.problem.model().parts(fit.free)
    for about, term, part in zip(described, fit.problem.terms, parts, strict=True):
        for component in term.structure.components:
            value = term.structure.value(component, part)
            width = min(1.0, component.high - component.low)
            if not math.isnan(value) and min(value - component.low, component.high - value) < 1e-7 * width:
                name = about.component_name(component)
                edges.append(f"{component.kind} {about.name}" + (f" ({name})" if name else ""))
    return Certificate(
        gradient=fit.peak.length,
        curvature=curvature,
        starts=fit.starts,
        agreeing=fit.agreeing,
        other_maxima=fit.other_maxima,
        boundary=tuple(edges),
        profiles=False,
    )


def _flat(fit: MixedFit, described: Sequence[RandomTerm]) -> list[str]:
    """Name the variances and correlations, other than zero, on which the likelihood does not depend at all."""
    found = []
    at = 0
    for about, term in zip(described, fit.problem.terms, strict=True):
        structure = term.structure
        part = fit.free[at : at + structure.size]
        for component in structure.components:
            if structure.code == "UN" and component.kind == "correlation":
                continue  # its pair of levels occurs together, or the model was refused
            j = component.levels[0] if structure.code == "UN" and component.levels else component.parameter
            # What the data say of a standard deviation, relative to its size; of an angle, as it is.
            size = part[j] ** 2 if component.kind == "variance" else 1.0
            value = structure.value(component, part)
            small = component.kind == "variance" and value < ALMOST_ZERO
            if not (small or math.isnan(value)) and abs(fit.peak.hessian[at + j, at + j]) * size < NOTHING:
                name = about.component_name(component)
                found.append(f"{component.kind} of {about.name}" + (f" ({name})" if name else ""))
        at += structure.size
    return found


def _tell(certificate: Certificate, flat: Sequence[str], described: Sequence[RandomTerm], notes: Notes) -> None:
    for about in described:
        if about.groups < FEW_GROUPS:
            notes.say(f"{about.name}: a variance between {count(about.groups, 'group')} is very uncertain")
    for edge in certificate.boundary:
        kind = "zero" if edge.startswith("variance") else "the end of its range"
        notes.say(f"{edge} is at {kind}")
    if certificate.other_maxima:
        drops = ", ".join(f"{drop:.2g}" for drop in certificate.other_maxima)
        notes.doubt(f"the likelihood has other maxima, lower by {drops}; the highest is reported")
    for name in flat:
        notes.doubt(
            f"the likelihood does not depend on the {name}, so that its estimate means nothing; leave it out, or use "
            "another struct"
        )
    if certificate.curvature < HARDLY_TOLD_APART:
        notes.doubt(
            "the likelihood is flat along some variances or correlations: the effects can hardly tell them apart; "
            "read variance_components() with their intervals, or use fewer"
        )


def multilevel_meta_analysis(
    data: pd.DataFrame,
    *,
    random: str | Sequence[str] = f"~ 1 | study_id/{ROW}",
    struct: str | Sequence[str] | None = None,
    V: SamplingCovariance | ArrayLike | None = None,
    moderators: str | Sequence[str] | None = None,
    formula: str | None = None,
    reference: Mapping[str, str] | None = None,
    method: str = "REML",
    ci_method: str = "contain",
    level: float = 0.95,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
) -> MultilevelResult:
    """Pool effects that depend on one another, with random effects on several levels or for several outcomes.

    Parameters
    ----------
    data : DataFrame
        A table with ``yi`` and ``vi`` or ``sei``, as `effect_size` returns it, the columns that group its rows, and
        the moderators. Rows with an ``exclusion_reason`` or without a moderator are not used; the result lists them.
    random : str or sequence of str, default "~ 1 | study_id/row"
        Random effects. ``"~ 1 | a/b"`` is nested: one effect for each ``a``, and one for each ``b`` within ``a``.
        ``["~ 1 | a", "~ 1 | b"]`` is crossed. ``"~ outcome | study_id"`` gives each trial a random effect for each
        outcome, with the covariance `struct`. ``row`` stands for every row by itself. An empty sequence is a
        common-effect model with the sampling covariance `V`.
    struct : str or sequence of str, optional
        Covariance of random effects with an inner column: CS (compound symmetry, the default), HCS (heteroscedastic),
        UN (unstructured), DIAG, ID, AR, HAR or CAR (autoregressive); one for all, or one for each in their order.
    V : SamplingCovariance or array of shape (k, k), optional
        Covariance of the sampling errors of the rows that can be pooled, as `sampling_covariance` makes it from the
        same table. Errors are taken as independent when left out.
    moderators, formula, reference
        As in `meta_regression`; a pooled effect alone when both are left out. ``formula="0 + outcome"`` gives a
        coefficient to every outcome.
    method : {"REML", "ML"}, default "REML"
        Restricted or full maximum likelihood.
    ci_method : {"contain", "t", "z"}, default "contain"
        Tests of the coefficients: t with degrees of freedom from the groups within which a moderator is constant, t
        with ``k - p``, or normal. Inference that does not rest on the model being right comes from `cluster_robust`.
    level : float, default 0.95
        Level of every interval.
    labels, measure
        As in `meta_analysis`.

    Returns
    -------
    MultilevelResult
        Coefficients, variance components with their certificate, and methods to profile, predict, compare and test.

    Raises
    ------
    DataError
        If the table cannot be used; every fault is listed.
    ChoiceError
        If an option is unknown or has no effect.
    ConvergenceError
        If the variance components did not converge from any start.

    Warns
    -----
    DataWarning
        If the likelihood has several maxima, or is flat.

    References
    ----------
    Konstantopoulos (2011), Res Synth Methods 2:61-76 (three levels); Berkey et al. (1998), Stat Med 17:2537-2550
    (multivariate); Van den Noortgate et al. (2013), Behav Res Methods 45:576-594; Pustejovsky & Tipton (2022), Prev Sci
    23:425-438 (working models).

    Examples
    --------
    >>> import pandas as pd
    >>> from metapeer.pooling.multilevel_models import multilevel_meta_analysis
    >>> table = pd.DataFrame({"study_id": list("aaabbbcccddd"), "vi": [0.02, 0.03, 0.04] * 4,
    ...                       "yi": [0.1, 0.5, 0.0, 0.6, 1.1, 0.8, 0.2, -0.3, 0.1, 0.9, 0.5, 0.4]})
    >>> fit = multilevel_meta_analysis(table)
    >>> round(fit.estimate, 3), [round(end, 3) for end in fit.ci]
    (0.414, [-0.183, 1.01])
    >>> fit.variance_components(ci=False)[["term", "groups", "estimate"]].round(4)
               term  groups  estimate
    0      study_id       4    0.1167
    1  study_id/row      12    0.0423
    """
    check_choice("method", method, METHODS)
    check_choice("ci_method", ci_method, CI_METHODS)
    check_level(level)
    asked = _asked(random, struct)
    if isinstance(data, pd.DataFrame) and not data.columns.is_unique:
        twice = dict.fromkeys(str(name) for name in data.columns[data.columns.duplicated()])
        raise DataError(
            str(data.attrs.get("source", "the table")),
            [Fault(column=name, message="there are several columns of this name; keep one") for name in twice],
        )
    if moderators is None and formula is None:
        moderators = []
    ready = prepare(data, [("moderators", moderators, formula)], reference=reference, labels=labels, measure=measure)
    effects, (design,), source = ready.effects, ready.designs, ready.source
    notes = Notes()
    terms, described = _make_terms(effects, asked, source)
    sampling = _covariance(V, effects, ready.kept, ready.size, source)
    tell_size(effects, design, notes)
    k, p = design.X.shape
    basis = orthonormal(design.X)
    blocks: tuple[Block, ...] = sampling.blocks
    problem = make_problem(effects.yi, basis, blocks, terms, restricted=method == "REML")
    largest = max(stack.rows.shape[1] for stack in problem.model().stacks)
    if largest > LARGEST_BLOCK:
        raise DataError(
            source,
            [f"{largest} rows hang together through random effects or sampling errors; at most {LARGEST_BLOCK} can"],
        )
    fit = fit_mixed(problem)
    certificate = _certificate(fit, described)
    _tell(certificate, _flat(fit, described), described, notes)

    back = np.linalg.solve(basis.T @ design.X, np.eye(p))
    beta = back @ fit.beta
    covariance = back @ fit.covariance @ back.T
    covariance = 0.5 * (covariance + covariance.T)
    if ci_method == "contain":
        df = _contained(design.X, terms, k)
    else:
        df = np.full(p, float(k - p) if ci_method == "t" else math.nan)
    typical, QE = _typical(problem)
    spreads = [np.diag(matrix) for matrix in fit.matrices()]
    even = all(np.ptp(spread) == 0.0 for spread in spreads)
    total = sum(float(spread[0]) for spread in spreads)
    words = list(sampling.words)
    if V is None:
        words = ["sampling errors are taken as independent; V=sampling_covariance(...) says how they hang together"]
        if len(set(effects.trials)) == k:
            words = ["sampling errors are independent: one effect from each trial"]
    elif not words:
        words = ["sampling covariance V as given"]
    each, _ = linear(beta, covariance, df, np.eye(p), level=level)
    for array in (beta, covariance, df, each.se, each.low, each.high, each.statistic, each.p_value):
        array.setflags(write=False)
    assert effects.data is not None  # noqa: S101
    notes.warn(stacklevel=2)
    return MultilevelResult(
        measure=effects.measure,
        formula=design.words,
        random=tuple(described),
        method=method,
        k=k,
        trials=len(set(effects.trials)) if effects.trials else k,
        names=design.names,
        beta=beta,
        se=each.se,
        ci_low=each.low,
        ci_high=each.high,
        statistic=each.statistic,
        df=df,
        p_value=each.p_value,
        covariance=covariance,
        ci_method=ci_method,
        omnibus=wald(beta, covariance, df, design.tested) if design.tested else None,
        I2=100.0 * total / (total + typical) if even and terms else math.nan,
        typical_variance=typical,
        QE=QE,
        QE_df=k - p,
        QE_p=chi2_tail(QE, k - p),
        statistics=statistics_of(fit, p, method),
        certificate=certificate,
        sampling="; ".join(words),
        level=level,
        positive_favours=effects.positive_favours,
        labels=effects.labels,
        trial_of=effects.trials,
        yi=effects.yi,
        vi=effects.vi,
        excluded=effects.excluded,
        notes=tuple(notes.said),
        design=design,
        data=effects.data,
        fit=fit,
    )
