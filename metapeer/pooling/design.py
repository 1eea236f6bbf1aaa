"""Design matrices: from columns of a table, or from a formula, to numbers; and the same coding again for new rows.

Numbers are taken as they are. Text and categories become treatment contrasts: one column for each level but the
reference, which is the first category, or the first in alphabetical order. Coefficients are named as formulaic does,
``format[T.group]``, whichever way the design was asked for.
"""

import ast
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from metapeer.errors import ChoiceError, DataError, Fault, MetapeerError, check_choice
from metapeer.formatting import count
from metapeer.pooling.weighted import FloatArray

__all__ = [
    "Column",
    "Design",
    "Term",
    "check_rank",
    "dependent_column",
    "encode_rows",
    "formula_columns",
    "make_design",
    "missing_moderators",
]

INTERCEPT = "Intercept"
_DEPENDENT = 1e-11
"""A column whose part independent of the others is a smaller share of it than this is called dependent. Rounding makes
shares of about 1e-15; the cube of a publication year, uncentred, is still independent by 1e-8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A moderator as a column of the table.

    Parameters
    ----------
    name : str
        The column.
    levels : tuple of str or None
        Of a categorical moderator, the reference first; None for numbers.
    """

    name: str
    levels: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A term of the model.

    Parameters
    ----------
    name : str
        As written, such as ``"year"`` or ``"year:format"``.
    columns : tuple of int
        Its columns in the design matrix.
    """

    name: str
    columns: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Design:
    """A coded design and the way to code more rows alike.

    Parameters
    ----------
    X : array of shape (k, p)
        The design matrix.
    names : tuple of str
        Names of its columns.
    terms : tuple of Term
        Its terms but the intercept.
    intercept : int or None
        Position of the intercept.
    columns : tuple of Column
        The moderators used.
    words : str
        The model as a formula.
    code : callable
        From rows that `encode_rows` has checked to their part of a design matrix.
    """

    X: FloatArray
    names: tuple[str, ...]
    terms: tuple[Term, ...]
    intercept: int | None
    columns: tuple[Column, ...]
    words: str
    code: Callable[[pd.DataFrame], FloatArray]

    @property
    def references(self) -> dict[str, str]:
        """Levels that have no coefficient of their own although all others of their moderator have."""
        found = {}
        for column in self.columns:
            named = {
                level
                for level in column.levels or ()
                if any(column.name in name and f"[T.{level}]" in name for name in self.names)
            }
            missing = [level for level in column.levels or () if level not in named]
            if len(missing) == 1 and named:
                found[column.name] = missing[0]
        return found

    @property
    def tested(self) -> tuple[int, ...]:
        """Columns other than the intercept."""
        return tuple(j for j in range(len(self.names)) if j != self.intercept)


def _blank(values: "pd.Series[Any]") -> "pd.Series[bool]":
    """Which cells are missing: NaN, None, or text without a letter."""
    blank = values.isna()
    if not types.is_numeric_dtype(values.dtype):
        blank |= values.astype(str).str.strip() == ""
    return blank.astype(bool)


def _require(data: pd.DataFrame, names: Sequence[str], source: str) -> None:
    twice = sorted({name for name in names if list(data.columns).count(name) > 1})
    absent = [name for name in dict.fromkeys(names) if name not in data]
    if absent or twice:
        raise DataError(
            source,
            [Fault(column=name, message="there is no such column") for name in absent]
            + [Fault(column=name, message="stands in the table more than once") for name in twice],
        )


def missing_moderators(data: pd.DataFrame, names: Sequence[str], *, source: str = "the table") -> list[str]:
    """Say for each row which moderators it lacks.

    Parameters
    ----------
    data : DataFrame
        The rows.
    names : sequence of str
        Columns that the model uses.
    source : str, default "the table"
        What to call the table in an error.

    Returns
    -------
    list of str
        Reasons to leave the row out; empty texts for complete rows.

    Raises
    ------
    DataError
        If a column does not exist.

    Examples
    --------
    >>> missing_moderators(pd.DataFrame({"year": [2001, None], "format": ["group", ""]}), ["year", "format"])
    ['', 'year and format are missing']
    """
    _require(data, names, source)
    blank = {name: _blank(data[name]).tolist() for name in names}
    reasons = []
    for i in range(len(data)):
        lacks = [name for name in names if blank[name][i]]
        reasons.append(f"{' and '.join(lacks)} {'is' if len(lacks) == 1 else 'are'} missing" if lacks else "")
    return reasons


def _is_number(values: "pd.Series[Any]") -> bool:
    if types.is_object_dtype(values.dtype):
        return all(isinstance(value, int | float | np.number) for value in values)
    return bool(types.is_numeric_dtype(values.dtype)) and not types.is_complex_dtype(values.dtype)


def _numbers(values: "pd.Series[Any]") -> FloatArray:
    return np.asarray(pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan))


def _read_column(values: "pd.Series[Any]", name: str, reference: str | None, faults: list[Fault]) -> Column:
    """Tell numbers from categories in rows without missing cells."""
    if _is_number(values):
        if reference is not None:
            raise ChoiceError(f"reference: {name} holds numbers, which have no reference level")
        if not np.isfinite(_numbers(values)).all():
            faults.append(Fault(column=name, message="holds an infinite number"))
        return Column(name=name, levels=None)
    if types.is_datetime64_any_dtype(values.dtype) or types.is_timedelta64_dtype(values.dtype):
        faults.append(Fault(column=name, message="holds dates; use a number, such as the year"))
    if types.is_complex_dtype(values.dtype):
        faults.append(Fault(column=name, message="holds complex numbers"))
    present = set(values.astype(str))
    order = sorted(present)
    if isinstance(values.dtype, pd.CategoricalDtype):
        order = [str(level) for level in values.cat.categories if str(level) in present]
    if reference is not None:
        first = check_choice(f"reference of {name}", str(reference), order)
        order = [first, *(level for level in order if level != first)]
    return Column(name=name, levels=tuple(order))


def _prepare(data: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    """Numbers as floats, and categories with the reference first."""
    ready: dict[str, Any] = {}
    for column in columns:
        values = data[column.name]
        if column.levels is None:
            ready[column.name] = _numbers(values)
        else:
            ready[column.name] = pd.Categorical(values.astype(str), categories=list(column.levels))
    return pd.DataFrame(ready, index=range(len(data)))


def encode_rows(design: Design, rows: pd.DataFrame) -> FloatArray:
    """Code new rows as the design was coded.

    Parameters
    ----------
    design : Design
        From `make_design`.
    rows : DataFrame
        With every moderator; other columns do not matter.

    Returns
    -------
    array of shape (m, p)
        Their part of a design matrix.

    Raises
    ------
    DataError
        If a moderator or a cell is missing, a number is not one, or a level was not in the data; all faults are listed.
    """
    source = "the new rows"
    faults = [
        Fault(column=column.name, message="is missing; every moderator of the model is needed")
        for column in design.columns
        if column.name not in rows
    ]
    if faults:
        raise DataError(source, faults)
    for column in design.columns:
        cells = rows[column.name]
        blank = _blank(cells).to_numpy()
        numbers = _numbers(cells) if column.levels is None else np.zeros(len(rows))
        for i, cell in enumerate(cells):
            if blank[i]:
                faults.append(Fault(row=f"row {i + 1}", column=column.name, message="is missing"))
            elif column.levels is None and not math.isfinite(numbers[i]):
                faults.append(Fault(row=f"row {i + 1}", column=column.name, message=f"{cell!r} is not a finite number"))
            elif column.levels is not None and str(cell) not in column.levels:
                known = ", ".join(column.levels)
                message = f"{str(cell)!r} is not a level that the studies have ({known})"
                faults.append(Fault(row=f"row {i + 1}", column=column.name, message=message))
    if faults:
        raise DataError(source, faults)
    X = design.code(_prepare(rows, design.columns))
    if not np.isfinite(X).all():
        bad = [design.names[j] for j in np.flatnonzero(~np.isfinite(X).all(axis=0)).tolist()]
        raise DataError(source, [Fault(column=name, message="has no finite value there") for name in bad])
    return X


def _code_columns(columns: Sequence[Column], rows: pd.DataFrame) -> FloatArray:
    parts = [np.ones((len(rows), 1))]
    for column in columns:
        if column.levels is None:
            parts.append(rows[column.name].to_numpy(np.float64)[:, None])
        else:
            cells = rows[column.name].astype(str).to_numpy()
            parts.append(np.stack([(cells == level).astype(np.float64) for level in column.levels[1:]], axis=1))
    return np.hstack(parts)


def _column_design(data: pd.DataFrame, columns: Sequence[Column]) -> Design:
    names, terms = [INTERCEPT], []
    for column in columns:
        own = [column.name] if column.levels is None else [f"{column.name}[T.{level}]" for level in column.levels[1:]]
        terms.append(Term(name=column.name, columns=tuple(range(len(names), len(names) + len(own)))))
        names += own
    chosen = tuple(columns)
    words = [name if name.isidentifier() else f"`{name}`" for name in (column.name for column in chosen)]
    return Design(
        X=_code_columns(chosen, _prepare(data, chosen)),
        names=tuple(names),
        terms=tuple(terms),
        intercept=0,
        columns=chosen,
        words=" + ".join(words) or "1",
        code=lambda rows: _code_columns(chosen, rows),
    )


def _parse(formula: str) -> Any:
    from formulaic import Formula  # type: ignore[import-untyped]
    from formulaic.errors import FormulaicError  # type: ignore[import-untyped]
    from formulaic.formula import SimpleFormula  # type: ignore[import-untyped]

    if not isinstance(formula, str):
        raise MetapeerError(f"formula is a {type(formula).__name__}, not a text such as 'year + C(format)'")
    try:
        parsed = Formula(formula)
    except (FormulaicError, SyntaxError) as error:
        message = re.sub("\x1b\\[[0-9;]*m|⧛|⧚", "", str(error)).split("\n")[0]
        raise MetapeerError(f"formula {formula!r} cannot be read: {message}") from None
    if not isinstance(parsed, SimpleFormula):
        raise MetapeerError(
            f"formula {formula!r} must name moderators only, such as 'year + C(format)': no left side and no '|'"
        )
    return parsed


def formula_columns(formula: str, known: Sequence[str]) -> list[str]:
    """Find the columns of a table that a formula uses.

    Parameters
    ----------
    formula : str
        Moderators only, such as ``"year + C(format)"``.
    known : sequence of str
        Columns of the table.

    Returns
    -------
    list of str
        In the order of the table.

    Raises
    ------
    MetapeerError
        If the formula cannot be read.

    Examples
    --------
    >>> formula_columns("np.log(year) * C(format)", ["study_id", "format", "year"])
    ['format', 'year']
    """
    used: set[str] = set()
    for term in _parse(formula):
        for factor in term.factors:
            expression = str(factor.expr)
            used |= {expression, *re.findall(r"`([^`]+)`", expression)}
            try:
                tree = ast.parse(re.sub(r"`[^`]+`", "_", expression), mode="eval")
            except SyntaxError:
                continue
            used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return [name for name in known if name in used]


def _formula_design(data: pd.DataFrame, columns: Sequence[Column], formula: str, source: str) -> Design:
    import warnings

    from formulaic.errors import FormulaicError

    chosen = tuple(columns)
    try:
        # An empty context: a formula sees the table and nothing of the caller.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # log(0) and the like are reported as faults below
            matrix = _parse(formula).get_model_matrix(_prepare(data, chosen), context={}, na_action="ignore")
    except FormulaicError as error:
        raise DataError(source, [f"formula {formula!r} cannot be worked out: {str(error).splitlines()[0]}"]) from None
    except Exception as error:  # noqa: BLE001  a formula is Python of the user's: it can fail in any way
        raise DataError(source, [f"formula {formula!r} cannot be worked out: {error}"]) from None
    spec = matrix.model_spec
    names = tuple(str(name) for name in matrix.columns)
    X = np.asarray(matrix, dtype=np.float64).reshape(len(data), len(names))
    bad = np.flatnonzero(~np.isfinite(X).all(axis=0)).tolist()
    if bad:
        raise DataError(source, [Fault(column=names[j], message="is not finite in every row") for j in bad])
    terms = [
        Term(name=str(term), columns=tuple(range(place.start, place.stop))) for term, place in spec.term_slices.items()
    ]

    def code(rows: pd.DataFrame) -> FloatArray:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                warnings.simplefilter("error", UserWarning)
                return np.asarray(spec.get_model_matrix(rows, context={}), dtype=np.float64).reshape(
                    len(rows), len(names)
                )
        except Exception as error:  # noqa: BLE001
            message = str(error).splitlines()[0]
            raise DataError("the new rows", [f"formula {formula!r} cannot be worked out: {message}"]) from None

    return Design(
        X=X,
        names=names,
        terms=tuple(term for term in terms if term.name != "1" and term.columns),
        intercept=names.index(INTERCEPT) if INTERCEPT in names else None,
        columns=chosen,
        words=str(formula).strip().removeprefix("~").strip(),
        code=code,
    )


def make_design(
    data: pd.DataFrame,
    *,
    moderators: Sequence[str] | None = None,
    formula: str | None = None,
    reference: Mapping[str, str] | None = None,
    source: str = "the table",
) -> Design:
    """Code moderators as numbers.

    Parameters
    ----------
    data : DataFrame
        Rows without missing moderators.
    moderators : sequence of str, optional
        Columns to use, each as it is.
    formula : str, optional
        Or a formula in Wilkinson's notation. It may call functions, so do not pass on text from strangers.
    reference : mapping of str to str, optional
        The reference level of categorical columns.
    source : str, default "the table"
        What to call the table in an error.

    Returns
    -------
    Design
        Not yet checked for rank: see `check_rank`.

    Raises
    ------
    DataError
        If a column does not exist, cannot be coded, or has a single level; all faults are listed.

    Examples
    --------
    >>> table = pd.DataFrame({"year": [2001, 2005, 2003], "format": ["group", "one_to_one", "group"]})
    >>> make_design(table, moderators=["year", "format"]).names
    ('Intercept', 'year', 'format[T.one_to_one]')
    >>> make_design(table, formula="0 + format").names
    ('format[group]', 'format[one_to_one]')
    """
    if formula is not None:
        names = formula_columns(formula, [str(column) for column in data.columns])
    else:
        names = list(moderators or ())
    _require(data, names, source)
    references = dict(reference or {})
    for name in references:
        check_choice("reference: the column", name, names)
    faults: list[Fault] = []
    columns = [_read_column(data[name], name, references.get(name), faults) for name in names]
    faults += [
        Fault(column=column.name, message=f"is {column.levels[0]!r} in every row; there is nothing to compare")
        for column in columns
        if column.levels is not None and len(column.levels) == 1
    ]
    if faults:
        raise DataError(source, faults)
    if formula is not None:
        return _formula_design(data, columns, formula, source)
    return _column_design(data, columns)


def dependent_column(X: FloatArray) -> tuple[int, tuple[int, ...]] | None:
    """Find the first column that is a linear combination of those before it.

    Parameters
    ----------
    X : array of shape (k, p)
        A matrix.

    Returns
    -------
    tuple of int and tuple of int, or None
        The column, and the earlier ones it is made of; None when all are independent.

    Examples
    --------
    >>> dependent_column(np.array([[1.0, 2.0, 5.0, 1.0], [1.0, 3.0, 7.0, 0.0], [1.0, 4.0, 9.0, 0.0]]))
    (2, (0, 1))
    """
    basis: list[FloatArray] = []
    size = np.sqrt(np.einsum("ij,ij->j", X, X))
    for j in range(X.shape[1]):
        rest = X[:, j] / size[j] if size[j] > 0 else X[:, j]
        for _ in range(2):  # once more removes what rounding left behind
            for direction in basis:
                rest = rest - (direction @ rest) * direction
        length = math.sqrt(float(rest @ rest))
        if length <= _DEPENDENT:
            if size[j] == 0 or not j:
                return j, ()
            shares, *_ = np.linalg.lstsq(X[:, :j] / size[:j], X[:, j] / size[j], rcond=None)
            return j, tuple(np.flatnonzero(np.abs(shares) > math.sqrt(_DEPENDENT)).tolist())
        basis.append(rest / length)
    return None


def check_rank(design: Design, *, source: str = "the table") -> None:
    """Make sure that every coefficient can be estimated, with something left to judge it by.

    Parameters
    ----------
    design : Design
        From `make_design`.
    source : str, default "the table"
        What to call the table in an error.

    Raises
    ------
    DataError
        If there are not more rows than coefficients, or columns depend on each other; the columns are named.

    Examples
    --------
    >>> table = pd.DataFrame({"year": [2001.0, 2005, 2003, 2010], "age": [1.0, 5.0, 3.0, 10.0]})
    >>> check_rank(make_design(table, moderators=["year", "age"]))
    Traceback (most recent call last):
    metapeer.errors.DataError: the table has 1 problem
      age: is a linear combination of Intercept, year; leave one of them out
    """
    k, p = design.X.shape
    if p == 0:
        raise DataError(source, ["the model has no coefficients"])
    if k <= p:
        message = (
            f"{count(k, 'row')} cannot carry {count(p, 'coefficient')} ({', '.join(design.names)}): no residual "
            "degrees of freedom; use fewer moderators or levels"
        )
        raise DataError(source, [message])
    found = dependent_column(design.X)
    if found is not None:
        j, others = found
        name = design.names[j]
        if others == (design.intercept,):
            raise DataError(source, [Fault(column=name, message="is the same in every row")])
        if not others:
            raise DataError(source, [Fault(column=name, message="is zero in every row")])
        listed = ", ".join(design.names[i] for i in others)
        message = f"is a linear combination of {listed}; leave one of them out"
        raise DataError(source, [Fault(column=name, message=message)])
