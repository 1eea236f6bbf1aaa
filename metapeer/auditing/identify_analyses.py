"""The door to identification: an extraction table and a paper's printed numbers in, the analyses that give them out."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from metapeer.auditing.findings import Finding
from metapeer.auditing.identify_effects import Setting, read_settings
from metapeer.auditing.identify_numbers import SLOW
from metapeer.auditing.identify_printed import read_prints
from metapeer.auditing.identify_repair import search_changes
from metapeer.auditing.identify_results import Fitting, Identification, SmallChange
from metapeer.auditing.identify_search import Progress, Search, exclusions, fitting_groups, make_axes, nearest_miss
from metapeer.auditing.identify_space import check_measure, check_space, choice_words
from metapeer.errors import MetapeerError, check_choice
from metapeer.formatting import count
from metapeer.pooling.intervals import check_level

__all__ = ["identify"]


def identify(
    data: pd.DataFrame | Mapping[str, pd.DataFrame],
    printed: Mapping[str, str] | Mapping[str, Mapping[str, str]],
    *,
    published_as: str | None = None,
    space: Mapping[str, Sequence[str]] | None = None,
    findings: Sequence[Finding] | Mapping[str, Sequence[Finding]] = (),
    changes: bool = True,
    level: float = 0.95,
    progress: Progress | None = None,
) -> Identification:
    """Find every analysis of a table that gives every number a paper printed.

    Effects from each source the table offers, by each formula; each way to treat rows of one trial; each estimator of
    tau², interval, prediction interval and form of I²: all are computed, and those are kept that agree with each
    printed digit as the ledger has it, a tie either way. Of several outcomes one and the same analysis must give all.

    Parameters
    ----------
    data : DataFrame or mapping of str to DataFrame
        An extraction table with what `effect_size` takes: means, events, reported or ready-made effects
        (``yi`` with ``vi`` or ``sei``); ``study_id`` tells which rows share a trial. Or the tables of several outcomes
        by name.
    printed : mapping of str to str, or mapping of str to such mappings
        The printed numbers as text, their digits kept: ``estimate``, ``ci_low``, ``ci_high``, ``se``, ``z``, ``p``
        (also ``"<.001"``), ``k``, ``tau2``, ``tau``, ``Q``, ``Q_df``, ``Q_p``, ``I2``, ``I2_ci_low``, ``I2_ci_high``,
        ``pi_low``, ``pi_high``; or a row of published.csv. With several outcomes, one mapping for each by the same
        names.
    published_as : str, optional
        The measure that was printed, such as ``"SMD"`` or ``"RR"``, where it is known; else every measure that the
        table allows is searched.
    space : mapping of str to sequence of str, optional
        Restricts choices, such as ``{"tau2_method": ["REML", "DL"]}``; the choices and their values are those of the
        attributes of `Analysis`.
    findings : sequence of Finding, or mapping of str to sequence of Finding, optional
        What the audit suspects: analyses without the rows of errors and suspicions are searched too, and its
        corrections when nothing fits. By outcome when there are several.
    changes : bool, default True
        Whether, when nothing fits, single changes of rows are searched.
    level : float, default 0.95
        Level of the printed intervals.
    progress : callable, optional
        Called with how many sets of effects, or of changes, are done, and how many there are.

    Returns
    -------
    Identification
        All analyses that fit, what speaks against each other choice, and when none fits how near the nearest came and
        which single change of a row would do.

    Raises
    ------
    DataError
        If there are no rows, a printed number cannot be read, or no effect can be computed.
    ChoiceError
        If a printed quantity, a choice or its value is unknown.
    MetapeerError
        If the arguments do not go together.

    References
    ----------
    Langan et al. (2019), Res Synth Methods 10:83-98, and Veroniki et al. (2016), Res Synth Methods 7:55-79 (how far
    estimators of tau² differ on the same data).

    Examples
    --------
    >>> import pandas as pd
    >>> from metapeer import identify
    >>> trials = pd.DataFrame({"yi": [0.1, 0.3, 0.35, 0.65, 0.45, 0.15], "vi": [0.03, 0.03, 0.05, 0.01, 0.05, 0.02]})
    >>> found = identify(trials, {"estimate": "0.346", "ci_low": "0.114", "ci_high": "0.579", "tau2": "0.033"})
    >>> found.fitting("tau2_method"), found.fitting("ci_method")[0]
    (('REML',), 'HK')
    >>> print(found.excluded_by("ci_method", "z")[0])
    ci_high 0.545 against 0.579 printed
    """
    check_level(level)
    frames, numbers = read_prints(data, printed)
    chosen = check_space(space)
    suspected = _findings(findings, frames)
    settings, notes = read_settings(frames, chosen, published_as=check_measure(published_as), findings=suspected)
    axes = make_axes(settings, numbers, chosen)
    with np.errstate(all="ignore"):  # what overflows has no number, and agrees with no print
        search = Search(settings, numbers, axes, level=level, progress=progress)
    untold = search.untold
    fits = fitting_groups(search, untold)
    tried = 0
    changed: tuple[SmallChange, ...] = ()
    near = None
    if not fits:
        near = nearest_miss(search, untold)
        slow = [method for method in axes.ci_method if method in SLOW]
        if slow:
            words = "were made only where no other number speaks against them, and not with changed rows"
            notes.append(f"The intervals {', '.join(slow)} take long: they {words}.")
        if changes:
            with np.errstate(all="ignore"):
                tried, changed = search_changes(search, list(suspected.values()), untold, progress)
    notes += _partial(settings, fits)
    return Identification(
        outcomes=tuple(frames),
        printed={(o, q): text.text for o, texts in numbers.items() for q, text in texts.items()},
        searched=search.searched + search.excluded_by_k,
        excluded_by_k=search.excluded_by_k,
        fits=fits,
        exclusions=exclusions(search, fits, untold) if fits else (),
        untold=untold,
        nearest=near,
        changes=changed,
        changes_searched=tried,
        notes=tuple(notes),
    )


def _partial(settings: Sequence[Setting], fits: Sequence[Fitting]) -> list[str]:
    """Say which fitting effects exist for some of the rows only; a printed k would tell."""
    fitting = {(analysis.effects, analysis.measure) for fit in fits for analysis in fit.analyses}
    few: dict[tuple[str, str], str] = {}
    for setting in (one for first in settings for one in (first, *first.same)):
        key = (setting.choices["effects"], setting.choices["measure"])
        used = sum(int(source.usable.sum()) for source in setting.sources)
        rows = sum(len(source.names) for source in setting.sources)
        if key in fitting and used < rows:
            words = f"{choice_words('effects', key[0])}, {key[1]}"
            few.setdefault(key, f"Only {used} of {count(rows, 'row')} can be used with: {words}.")
    return list(few.values())


def _findings(given: object, frames: Mapping[str, pd.DataFrame]) -> dict[str, Sequence[Finding]]:
    if isinstance(given, Mapping):
        for name in given:
            check_choice("outcome in findings", name, frames)
        by_name = {name: list(given.get(name, ())) for name in frames}
    elif len(frames) > 1 and given:
        raise MetapeerError("with several outcomes, give findings by outcome")
    else:
        by_name = {name: list(given) for name in frames}  # type: ignore[call-overload]
    strange = [one for found in by_name.values() for one in found if not isinstance(one, Finding)]
    if strange:
        raise MetapeerError(f"findings holds a {type(strange[0]).__name__}, not findings of the audit")
    return by_name  # type: ignore[return-value]
