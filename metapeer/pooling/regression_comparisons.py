"""What comes of setting a meta-regression beside another one, or beside rearrangements of its own data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from metapeer.formatting import Printable, TextTable, format_number, format_p
from metapeer.pooling.regression import FitStatistics
from metapeer.pooling.weighted import FloatArray

__all__ = ["ModelComparison", "PermutationTest", "p_equals"]


def p_equals(p: float) -> str:
    """Write a p value as it stands after the letter.

    Parameters
    ----------
    p : float
        The p value.

    Returns
    -------
    str
        Such as ``"= 0.034"`` or ``"<0.001"``.

    Examples
    --------
    >>> p_equals(0.0343), p_equals(1e-9)
    ('= 0.034', '<0.001')
    """
    text = format_p(p)
    return text if text.startswith("<") else f"= {text}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ModelComparison(Printable):
    """Two models of the same effects, set side by side by their likelihoods.

    Parameters
    ----------
    full, reduced : str
        The models as formulas; `full` has more coefficients.
    LRT : float
        Twice the difference of the log-likelihoods, both maximised; NaN when the models are not nested.
    df : int
        Its degrees of freedom.
    p_value : float
        From the chi-squared distribution.
    full_statistics, reduced_statistics : FitStatistics
        Log-likelihood (ML) and information criteria.
    full_tau2, reduced_tau2 : float
        Between-study variances by ML; zero under a common effect.
    R2 : float
        Share of the reduced model's tau2 that the full model accounts for, in per cent; NaN where it has no meaning.
    notes : tuple of str
        What a reader must know.
    """

    full: str
    reduced: str
    LRT: float
    df: int
    p_value: float
    full_statistics: FitStatistics
    reduced_statistics: FitStatistics
    full_tau2: float
    reduced_tau2: float
    R2: float
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Put the two models in rows.

        Returns
        -------
        DataFrame
            One row for each model, the test in the row of the full one.
        """
        rows = []
        for model, found, tau2 in (
            (self.full, self.full_statistics, self.full_tau2),
            (self.reduced, self.reduced_statistics, self.reduced_tau2),
        ):
            rows.append(
                {
                    "model": model,
                    "parameters": found.parameters,
                    "log_likelihood": found.log_likelihood,
                    "AIC": found.AIC,
                    "BIC": found.BIC,
                    "AICc": found.AICc,
                    "tau2": tau2,
                }
            )
        frame = pd.DataFrame(rows)
        frame["LRT"], frame["df"], frame["p_value"] = [self.LRT, math.nan], [float(self.df), math.nan], math.nan
        frame.loc[0, "p_value"] = self.p_value
        return frame

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the comparison in words.

        Returns
        -------
        sequence of TextTable
            One table with a row for each model and the test below.
        """
        frame = self.to_frame()
        numbers = ("log_likelihood", "AIC", "BIC", "AICc")
        rows = [
            (
                str(row["model"]),
                str(row["parameters"]),
                *(format_number(float(row[name]), 2) for name in numbers),
                format_number(float(row["tau2"]), 4),
            )
            for _, row in frame.iterrows()
        ]
        notes = list(self.notes)
        if not math.isnan(self.LRT):
            notes.insert(0, f"Likelihood ratio test: {self.LRT:.2f}, df = {self.df}, p {p_equals(self.p_value)}")
        header = ("model", "parameters", "log-likelihood", "AIC", "BIC", "AICc", "tau²")
        return (TextTable(title="Models compared by maximum likelihood", header=header, rows=rows, notes=notes),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PermutationTest(Printable):
    """Permutation tests of the coefficients and of all moderators together.

    Parameters
    ----------
    names : tuple of str
        The coefficients.
    p_values : array of shape (p,)
        By permutation.
    parametric : array of shape (p,)
        As the model has them.
    omnibus_p, omnibus_parametric : float
        For all moderators together.
    exact : bool
        Whether every arrangement was tried.
    number : int
        Arrangements tried, the observed one among them.
    seed : int or None
        Of the draws; None when exact.
    what : str
        What was permuted, in words.
    """

    names: tuple[str, ...]
    p_values: FloatArray
    parametric: FloatArray
    omnibus_p: float
    omnibus_parametric: float
    exact: bool
    number: int
    seed: int | None
    what: str

    def to_frame(self) -> pd.DataFrame:
        """Put the tests in rows.

        Returns
        -------
        DataFrame
            One row for each coefficient and one called "omnibus".
        """
        return pd.DataFrame(
            {
                "coefficient": [*self.names, "omnibus"],
                "p_permutation": [*self.p_values.tolist(), self.omnibus_p],
                "p_value": [*self.parametric.tolist(), self.omnibus_parametric],
            }
        )

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the tests in words.

        Returns
        -------
        sequence of TextTable
            One table.
        """
        how = "all of them" if self.exact else f"drawn at random with seed {self.seed}, the observed one included"
        rows = [
            (str(row["coefficient"]), format_p(float(row["p_permutation"])), format_p(float(row["p_value"])))
            for _, row in self.to_frame().iterrows()
        ]
        title = f"Permutation test: {self.number:,} arrangements of {self.what}, {how}"
        return (TextTable(title=title, header=("coefficient", "p by permutation", "p of the model"), rows=rows),)
