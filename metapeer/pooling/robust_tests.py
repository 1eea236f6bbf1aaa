"""What cluster-robust tests say of themselves: doubts, words, and the result of a wild bootstrap."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from metapeer.formatting import Printable, TextTable, count, format_number, format_p
from metapeer.pooling.models import Notes
from metapeer.pooling.regression_comparisons import p_equals
from metapeer.pooling.robust_sandwich import Sandwich
from metapeer.pooling.robust_wald import RobustLinear, RobustWald

__all__ = ["FEWEST_DF", "ROUNDING", "WildBootstrapTest", "tell_coefficients", "wald_in_words"]

FEWEST_DF = 4.0
"""Below this, p values from Satterthwaite's approximation are not to be trusted: Tipton (2015), Psychol Methods
20:375-393."""

ROUNDING = 1e-9  # five equal clusters have four degrees of freedom, give or take this share

_PARTLY = 1e-6
"""A share of the variance below this that no residual tells is not worth a word."""


def tell_coefficients(fit: Sandwich, found: RobustLinear, names: Sequence[str], test: str, notes: Notes) -> None:
    """Note which tests cannot be trusted, and why.

    Parameters
    ----------
    fit : Sandwich
        What was computed.
    found : RobustLinear
        The combinations.
    names : sequence of str
        Their names.
    test : str
        Their test, as in `robust_linear`.
    notes : Notes
        Takes the notes.
    """
    clusters = ", ".join(dict.fromkeys(name for name, _ in fit.alone))
    whose = f"cluster {clusters} alone decides" if "," not in clusters else f"clusters {clusters} each alone decide"
    without = [name for name, se in zip(names, found.se.tolist(), strict=True) if math.isnan(se)]
    if without:
        notes.doubt(f"{', '.join(without)}: no robust variance, since {whose} it and no residual tells how it varies")
    partly = [
        f"{name} ({'under 1' if share < 0.01 else f'{100 * share:.0f}'}% of its variance)"
        for name, share, se in zip(names, found.alone.tolist(), found.se.tolist(), strict=True)
        if share > _PARTLY and not math.isnan(se)
    ]
    if partly:
        notes.doubt(
            f"{whose} part of {', '.join(partly)}: no residual shows how that part varies, and standard errors may "
            "leave it out"
        )
    exact = [name for name, se in zip(names, found.se.tolist(), strict=True) if se == 0.0]
    if exact:
        notes.doubt(f"{', '.join(exact)}: the robust standard error is zero, since the model fits the effects exactly")
    few = [
        f"{name} ({df:.1f})"
        for name, df in zip(names, found.df.tolist(), strict=True)
        if test == "Satterthwaite" and df < FEWEST_DF * (1.0 - ROUNDING)
    ]
    if few:
        notes.doubt(f"fewer than 4 degrees of freedom, p value and interval not trustworthy: {', '.join(few)}")


def wald_in_words(found: RobustWald) -> str:
    """Say what a cluster-robust Wald test found.

    Parameters
    ----------
    found : RobustWald
        The test.

    Returns
    -------
    str
        Such as ``"HTZ: F = 4.06, df = 2 and 7.3, p = 0.066"``.

    Examples
    --------
    >>> wald_in_words(RobustWald(test="HTZ", statistic=4.06, df1=2.0, df2=7.31, p_value=0.0655))
    'HTZ: F = 4.06, df = 2 and 7.3, p = 0.066'
    """
    value = format_number(found.statistic, 2)
    if math.isinf(found.df2):
        return f"{found.test}: chi-squared = {value}, df = {found.df1:g}, p {p_equals(found.p_value)}"
    return f"{found.test}: F = {value}, df = {found.df1:g} and {found.df2:.1f}, p {p_equals(found.p_value)}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class WildBootstrapTest(Printable):
    """A test by cluster wild bootstrap, from `ClusterRobustResult.wild_bootstrap`.

    Parameters
    ----------
    what : str
        What was tested to be zero.
    constraints : int
        How many combinations of coefficients that is.
    statistic : float
        F of the effects as they are: Wald's statistic over `constraints`.
    p_value : float
        Share of the replicates with a statistic at least as large.
    exact : bool
        Whether all patterns of signs were gone through.
    replicates : int
        How many were computed.
    seed : int or None
        Of the draws; None when all patterns were gone through.
    clusters : int
        Clusters given signs.
    vcov, residuals : str
        Corrections for few clusters in the statistic and of the residuals.
    """

    what: str
    constraints: int
    statistic: float
    p_value: float
    exact: bool
    replicates: int
    seed: int | None
    clusters: int
    vcov: str
    residuals: str

    def to_frame(self) -> pd.DataFrame:
        """Put the test in one row.

        Returns
        -------
        DataFrame
            One row.
        """
        names = ("what", "constraints", "statistic", "p_value", "exact", "replicates", "seed", "clusters", "vcov")
        return pd.DataFrame([{name: getattr(self, name) for name in (*names, "residuals")}])

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the test in words.

        Returns
        -------
        sequence of TextTable
            One table.
        """
        how = "all patterns of signs" if self.exact else f"seed {self.seed}"
        rows = [
            ("F", format_number(self.statistic, 3), f"{count(self.constraints, 'constraint')}, {self.vcov}"),
            ("p", format_p(self.p_value), f"{count(self.replicates, 'replicate')}, {how}"),
        ]
        return (
            TextTable(
                title=f"Cluster wild bootstrap: {self.what} = 0; {count(self.clusters, 'cluster')}",
                header=("", "", ""),
                rows=rows,
                notes=[f"Residuals under the hypothesis: {self.residuals}; weights and variances as fitted."],
            ),
        )
