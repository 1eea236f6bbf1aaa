"""The door to the test of excess significance: a fit or effects in, an `ExcessSignificanceResult` out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from metapeer.errors import ChoiceError, check_choice
from metapeer.formatting import Printable, TextTable, format_number
from metapeer.pooling.models import Notes
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.excess_significance_counts import excess_p, limit_effect, powers, significant
from metapeer.sensitivity.p_values_input import (
    check_alpha,
    choose_side,
    common_effect,
    p_words,
    read_evidence,
    side_words,
    size_words,
    tell_few,
    tell_heterogeneity,
    tell_shared,
)

__all__ = ["ExcessSignificanceResult", "excess_significance_test"]

TESTS = {"exact": "Poisson binomial", "binomial": "binomial, mean power", "chi2": "chi-squared, 1 df, one-sided"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ExcessSignificanceResult(Printable):
    """The result of `excess_significance_test`.

    Parameters
    ----------
    measure : str
        Effect measure; empty when it was not given.
    k : int
        Studies.
    observed : int
        Of them significant.
    expected : float
        How many should be: the sum of `power`.
    test : str
        Code of the test.
    statistic : float
        chi-squared of ``test="chi2"``; NaN for the others, which have none.
    p_value : float
        One-sided: of as many significant studies or more.
    theta, tau2 : float
        Mean and variance of true effects that the powers suppose.
    limit : float
        The effect nearest to no effect at which the excess is no longer significant at `tes_alpha`; NaN when there is
        none.
    tes_alpha : float
        That level.
    favoured : str
        ``"positive"``, ``"negative"`` or ``"both"``: which effects count as significant.
    alpha : float
        Level of the tests of single studies.
    null : float
        The effect that they test.
    labels : tuple of str
        Studies.
    power : array of shape (k,)
        Probability that each is significant; read-only.
    significant : array of bool of shape (k,)
        Which are; read-only.
    notes : tuple of str
        What a reader must know.
    size : str
        How many there are, in words.
    """

    measure: str
    k: int
    observed: int
    expected: float
    test: str
    statistic: float
    p_value: float
    theta: float
    tau2: float
    limit: float
    tes_alpha: float
    favoured: str
    alpha: float
    null: float
    labels: tuple[str, ...]
    power: FloatArray
    significant: NDArray[np.bool_]
    notes: tuple[str, ...]
    size: str

    def studies(self) -> pd.DataFrame:
        """List the studies with their power.

        Returns
        -------
        DataFrame
            ``label``, ``power`` and ``significant``.
        """
        return pd.DataFrame({"label": self.labels, "power": self.power, "significant": self.significant})

    def to_frame(self) -> pd.DataFrame:
        """Put the result in one row.

        Returns
        -------
        DataFrame
            One row; effects stay on the scale of analysis.
        """
        names = ["measure", "k", "observed", "expected", "test", "statistic", "p_value", "theta", "tau2", "limit"]
        names += ["tes_alpha", "favoured", "alpha", "null"]
        return pd.DataFrame([{name: getattr(self, name) for name in names}])

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table: counts, the test, the limit, and the notes.
        """
        entry = measure_of(self.measure)
        name = self.measure or "effect"
        model = "one true effect" if self.tau2 == 0.0 else f"true effects with tau² = {self.tau2:.4g}"
        chi2 = f"X² = {self.statistic:.2f}; " if self.test == "chi2" else ""
        shown = format_number(entry.display(self.theta), 3)
        rows = [
            ("significant", str(self.observed), f"of {self.k} at alpha = {self.alpha:g}, {side_words(self.favoured)}"),
            ("expected", format_number(self.expected, 2), f"if {name} = {shown}; {model}"),
            ("test of excess", "", f"{chi2}{p_words(self.p_value)}; {TESTS[self.test]}"),
        ]
        if not math.isnan(self.limit):
            words = f"{name} from which on the excess is not significant at {self.tes_alpha:g}"
            rows.append(("limit estimate", format_number(entry.display(self.limit), 3), words))
        title = f"Test of excess significance: {self.size}"
        return (TextTable(title=title, header=("", "", ""), rows=rows, notes=self.notes),)


def excess_significance_test(
    data: MetaAnalysisResult | pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    favoured: Literal["positive", "negative", "both"] = "both",
    theta: float | None = None,
    null: float = 0.0,
    alpha: float = 0.05,
    test: Literal["exact", "binomial", "chi2"] = "exact",
    tes_alpha: float = 0.1,
) -> ExcessSignificanceResult:
    """Test whether more studies are significant than their power allows.

    From a random-effects fit the powers suppose its mean and tau²; from a common-effect fit, a table or arrays, one
    true effect, estimated with the inverses of the variances as weights.

    Parameters
    ----------
    data : MetaAnalysisResult or DataFrame, optional
        A fit, or a table of effects as `effect_size` returns it.
    yi, vi, sei, labels, measure
        As in `meta_analysis`, instead of a fit.
    favoured : {"both", "positive", "negative"}, default "both"
        Which effects count when they are significant. With one sign the tests of studies are one-sided.
    theta : float, optional
        A true effect to suppose instead of the estimate, on the scale of analysis.
    null : float, default 0.0
        The effect that the studies tested, on the scale of analysis.
    alpha : float, default 0.05
        Level of the tests of studies.
    test : {"exact", "binomial", "chi2"}, default "exact"
        The Poisson binomial distribution of the number of significant studies; a binomial with the mean power; or
        Pearson's chi-squared.
    tes_alpha : float, default 0.1
        Level that the limit estimate refers to.

    Returns
    -------
    ExcessSignificanceResult
        Counts, p value and limit estimate.

    Raises
    ------
    DataError
        If the effects cannot be used; every fault is listed.
    ChoiceError
        If an option makes no sense.

    Warns
    -----
    DataWarning
        If studies are few, share trials, or differ more than the supposed tau² allows.

    References
    ----------
    Ioannidis & Trikalinos (2007), Clin Trials 4:245-253; Francis (2013), J Math Psychol 57:153-169; Stanley,
    Doucouliagos, Ioannidis & Carter (2021), Res Synth Methods 12:776-795 (on heterogeneity).

    Examples
    --------
    >>> found = excess_significance_test(yi=[0.5, 0.6, 0.7, 0.5, 0.62, 0.58, 0.55, 0.61, 0.51, 0.6], vi=[0.06] * 10)
    >>> found.observed, round(found.expected, 2), round(found.p_value, 4)
    (10, 6.54, 0.0143)
    """
    evidence = read_evidence(
        data, yi=yi, vi=vi, sei=sei, labels=labels, measure=measure, level=None, method="the test of excess"
    )
    check_choice("test", test, TESTS)
    alpha, tes_alpha = check_alpha("alpha", alpha), check_alpha("tes_alpha", tes_alpha)
    for name, value in (("theta", theta), ("null", null)):
        if value is not None and not (isinstance(value, int | float | np.number) and math.isfinite(value)):
            raise ChoiceError(f"{name} must be a finite number on the scale of analysis, not {value!r}")
    notes = Notes()
    side = choose_side(favoured, evidence, notes, more=("both",))
    tau2 = evidence.fit.tau2 if evidence.fit is not None and not math.isnan(evidence.fit.tau2) else 0.0
    if theta is not None:
        supposed = float(theta)
    else:
        supposed = evidence.fit.estimate if evidence.fit is not None else common_effect(evidence.yi, evidence.vi)
    found = significant(evidence.yi, evidence.vi, null=float(null), alpha=alpha, side=side)
    chances = powers(evidence.vi, theta=supposed, tau2=tau2, null=float(null), alpha=alpha, side=side)
    observed = int(found.sum())
    z, p = excess_p(chances, observed, test)
    limit = limit_effect(
        evidence.yi,
        evidence.vi,
        tau2=tau2,
        null=float(null),
        alpha=alpha,
        side=side,
        test=test,
        tes_alpha=tes_alpha,
        toward=supposed,
    )
    tell_few(evidence.effects.trial_count, "study", notes)
    tell_shared(evidence, notes)
    if tau2 == 0.0:
        tell_heterogeneity(
            evidence,
            notes,
            what="one true effect is supposed, and effects that differ make significant studies that are no excess; "
            "give a random-effects fit",
        )
    notes.say("an excess may also come from effects that differ, and does not say which studies are at fault")
    notes.warn(stacklevel=2)
    for array in (chances, found):
        array.setflags(write=False)
    return ExcessSignificanceResult(
        measure=evidence.effects.measure,
        k=evidence.k,
        observed=observed,
        expected=float(chances.sum()),
        test=test,
        statistic=z * z if test == "chi2" else math.nan,
        p_value=p,
        theta=supposed,
        tau2=tau2,
        limit=limit,
        tes_alpha=tes_alpha,
        favoured=side,
        alpha=alpha,
        null=float(null),
        labels=evidence.effects.labels,
        power=chances,
        significant=found,
        notes=tuple(notes.said),
        size=size_words(evidence),
    )
