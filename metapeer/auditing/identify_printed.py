"""What a paper printed, read with its digits, and the tables it is held against."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from metapeer.auditing.identify_numbers import QUANTITIES
from metapeer.auditing.rounding import Printed, read_printed
from metapeer.errors import DataError, Fault, MetapeerError, check_choice
from metapeer.records.schema import PUBLISHED

__all__ = ["read_numbers", "read_prints"]

_PUBLISHED_NAMES = {"es": "estimate", "i2": "I2", "i2_ci_low": "I2_ci_low", "i2_ci_high": "I2_ci_high", "q": "Q"}
_PUBLISHED_NAMES |= {"q_df": "Q_df", "q_p": "Q_p"}
_NOT_SEARCHED = {"line", *(field.name for field in PUBLISHED.fields)} - set(_PUBLISHED_NAMES) - set(QUANTITIES)
_WHOLE = ("k", "Q_df")


def read_numbers(printed: object, source: str) -> dict[str, Printed]:
    """Read what a paper printed.

    Parameters
    ----------
    printed : mapping of str to str
        From quantities to the text that was printed; or a row of published.csv.
    source : str
        What to call it in messages.

    Returns
    -------
    dict of str to Printed
        By the names of `QUANTITIES`.

    Raises
    ------
    ChoiceError
        If a quantity is unknown.
    DataError
        If a text is no number, or nothing but k was printed.
    """
    if isinstance(printed, pd.Series):
        printed = dict(printed.items())
    if not isinstance(printed, Mapping):
        raise MetapeerError(f"printed is a {type(printed).__name__}; give a mapping such as {{'estimate': '0.19'}}")
    found: dict[str, Printed] = {}
    faults: list[Fault | str] = []
    a_row = "published_id" in printed
    for key, value in printed.items():
        if a_row and key in _NOT_SEARCHED:
            continue
        name = check_choice("printed number", _PUBLISHED_NAMES.get(str(key), key), QUANTITIES)
        missing = value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))
        if missing or (isinstance(value, str) and not value.strip()):
            continue
        if isinstance(value, bool) or not isinstance(value, str | int | np.integer):
            text = f"{value!r} is a {type(value).__name__}; give the text that was printed, such as '0.10', since its "
            faults.append(Fault(column=str(key), message=text + "digits say how it was rounded"))
            continue
        one = read_printed(str(value).strip().removesuffix("%"))
        if one is None:
            faults.append(Fault(column=str(key), message=f"{value!r} is no number as papers print them"))
        elif name in _WHOLE and (one.value != int(one.value) or one.value < 1):
            faults.append(Fault(column=str(key), message=f"{value!r} is no count"))
        elif name in found:
            faults.append(Fault(column=str(key), message=f"gives {name} a second time"))
        else:
            found[name] = one
    if not faults and not set(found) - {"k"}:
        faults.append("no number was printed that depends on an analysis; k alone tells none from another")
    if faults:
        raise DataError(source, faults)
    return found


def read_prints(data: object, printed: object) -> tuple[dict[str, pd.DataFrame], dict[str, dict[str, Printed]]]:
    """Read one table with its print, or several by name.

    Parameters
    ----------
    data : DataFrame or mapping of str to DataFrame
        Extraction tables.
    printed : mapping
        As `read_numbers` takes it; with several tables, one such mapping for each of their names.

    Returns
    -------
    tables : dict of str to DataFrame
        By outcome; its name is empty when there is only one.
    numbers : dict of str to dict of str to Printed
        What was printed of each.

    Raises
    ------
    MetapeerError
        If tables and printed numbers are of other types, or do not belong together.
    DataError
        If a table has no rows or a printed number cannot be read.
    """
    if isinstance(data, pd.DataFrame):
        tables, prints = {"": data}, {"": printed}
    elif isinstance(data, Mapping):
        tables = {str(name): table for name, table in data.items()}
        if not isinstance(printed, Mapping) or {str(name) for name in printed} != set(tables):
            names = ", ".join(repr(name) for name in tables)
            raise MetapeerError(f"with several tables, printed must have numbers for each by the same names: {names}")
        prints = {str(name): numbers for name, numbers in printed.items()}
    else:
        raise MetapeerError(f"data is a {type(data).__name__}; give a DataFrame, or a mapping of names to DataFrames")
    if not tables:
        raise MetapeerError("data has no table")
    frames, numbers = {}, {}
    for name, table in tables.items():
        if not isinstance(table, pd.DataFrame):
            raise MetapeerError(f"the table of outcome {name!r} is a {type(table).__name__}, not a DataFrame")
        if table.empty:
            raise DataError(str(table.attrs.get("source", name or "the table")), ["has no rows"])
        frames[name] = table.reset_index(drop=True)
        numbers[name] = read_numbers(prints[name], f"the printed numbers of {name}" if name else "printed")
    return frames, numbers
