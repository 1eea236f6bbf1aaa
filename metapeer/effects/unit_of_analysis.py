"""Who was randomised: formulas for trials whose participants are not independent, or stand in several comparisons.

- Clusters: people of one ward or clinic resemble one another, so that a trial that randomised wards knows less than its
  number of participants suggests: by the design effect.
- Several arms: groups are combined into one, or a shared control group is divided.
- Crossover: everybody had both treatments, so that the two means are correlated.

References
----------
Higgins, Eldridge & Li (2024), Including variants on randomized trials, Cochrane Handbook 6.5, chapter 23.
Cochrane Handbook 6.5, section 6.5.2.10 (combining groups).
Rao & Scott (1992), A simple method for the analysis of clustered binary data, Biometrics 48:577-585.
Donner & Klar (2002), Issues in the meta-analysis of cluster randomized trials, Stat Med 21:2971-2980.
Elbourne et al. (2002), Meta-analyses involving cross-over trials, Int J Epidemiol 31:140-149.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from metapeer.effects.arguments import Arguments, FloatArray, Numbers

__all__ = [
    "CombinedGroups",
    "CrossoverEffect",
    "combine_groups",
    "crossover_difference",
    "crossover_smd",
    "design_effect",
    "effective_sample_size",
]


def design_effect(*, mean_cluster_size: ArrayLike, icc: ArrayLike) -> Numbers:
    """How many times larger clusters make a sampling variance: 1 + (m - 1) ICC.

    Parameters
    ----------
    mean_cluster_size : array_like
        m, the mean number of participants of a cluster.
    icc : array_like
        Intracluster correlation. One below 0, which sampling error alone can bring about, is taken for 0, so that a
        cluster trial never counts for more than its participants.

    Returns
    -------
    float or array of shape (k,)
        The design effect, at least 1.

    Raises
    ------
    DataError
        If a cluster has less than one participant, or a correlation lies outside -1 and 1.

    References
    ----------
    Cochrane Handbook 6.5, section 23.1.4.

    Examples
    --------
    >>> round(design_effect(mean_cluster_size=29.8, icc=0.02), 3)
    1.576
    """
    arguments = Arguments("design_effect", mean_cluster_size=mean_cluster_size, icc=icc)
    arguments.require("mean_cluster_size", lambda m: m >= 1, "must be at least 1")
    arguments.require("icc", lambda icc: np.abs(icc) <= 1, "must be a correlation, from -1 to 1")
    arguments.check()
    return arguments.shaped(1 + (arguments["mean_cluster_size"] - 1) * np.maximum(arguments["icc"], 0.0))


def effective_sample_size(*, n: ArrayLike, design_effect: ArrayLike) -> Numbers:
    """How many independent participants those of a cluster trial are worth: n over the design effect, not rounded.

    Means and standard deviations stay as they are. Of events, both the count and the number at risk are divided
    (Rao & Scott 1992), so that the proportion stays.

    Parameters
    ----------
    n : array_like
        Participants, or events.
    design_effect : array_like
        From `design_effect`.

    Returns
    -------
    float or array of shape (k,)
        The effective number.

    Raises
    ------
    DataError
        If a number is negative, or a design effect is below 1.

    References
    ----------
    Cochrane Handbook 6.5, section 23.1.4.

    Examples
    --------
    >>> effective_sample_size(n=[295, 330], design_effect=1.576).round(1).tolist()
    [187.2, 209.4]
    """
    arguments = Arguments("effective_sample_size", n=n, design_effect=design_effect)
    arguments.require("n", lambda n: n >= 0, "must not be negative")
    arguments.require("design_effect", lambda d: d >= 1, "must be at least 1")
    arguments.check()
    return arguments.shaped(arguments["n"] / arguments["design_effect"])


@dataclass(frozen=True, slots=True, kw_only=True)
class CombinedGroups:
    """Several groups as one.

    Parameters
    ----------
    n, mean, sd : float
        Participants, mean and standard deviation, as if nobody had parted them.
    """

    n: float
    mean: float
    sd: float


def combine_groups(*, n: ArrayLike, mean: ArrayLike, sd: ArrayLike) -> CombinedGroups:
    """Combine groups: the mean and standard deviation that all their participants together have.

    The spread between the groups' means counts, too: the result is what one would compute from the participants, and
    larger than a pooled standard deviation.

    Parameters
    ----------
    n, mean, sd : array_like
        Participants, mean and standard deviation (with n - 1) of each group.

    Returns
    -------
    CombinedGroups
        Of all of them together. More than two groups are combined at once; two by two gives the same.

    Raises
    ------
    DataError
        If a number is missing, a group has less than one participant or all together less than two, or a standard
        deviation is negative.

    References
    ----------
    Cochrane Handbook 6.5, table 6.5.a.

    Examples
    --------
    >>> combine_groups(n=[2, 3], mean=[1.5, 4.0], sd=[0.5**0.5, 1.0])  # the scores 1, 2 and 3, 4, 5
    CombinedGroups(n=5.0, mean=3.0, sd=1.5811388300841898)
    """
    arguments = Arguments("combine_groups", n=n, mean=mean, sd=sd)
    for name in ("n", "mean", "sd"):
        if np.isnan(arguments[name]).any():
            arguments.fault("is missing in some group; a group without it cannot be combined", column=name)
    arguments.require("n", lambda n: n >= 1, "must be at least 1")
    arguments.require("sd", lambda sd: sd >= 0, "must not be negative")
    arguments.check()
    sizes, means, sds = arguments["n"], arguments["mean"], arguments["sd"]
    total = float(sizes.sum())
    if total < 2:
        arguments.fault("add up to less than 2; a standard deviation needs 2 participants", column="n")
        arguments.check()
    # about the first mean, so that large means close together keep their digits
    shift = means - means[0]
    centre = float(sizes @ shift) / total
    squares = float((sizes - 1) @ sds**2 + sizes @ (shift - centre) ** 2)
    return CombinedGroups(n=total, mean=centre + float(means[0]), sd=float(np.sqrt(squares / (total - 1))))


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossoverEffect:
    """An effect of a crossover trial.

    Parameters
    ----------
    yi, sei : float or array of shape (k,)
        The effect and its standard error.
    """

    yi: Numbers
    sei: Numbers


def _crossover(
    source: str, n: ArrayLike, mean1: ArrayLike, sd1: ArrayLike, mean2: ArrayLike, sd2: ArrayLike, r: ArrayLike
) -> tuple[Arguments, FloatArray]:
    """Read the arguments of a crossover trial; with them, the variance of a person's difference."""
    arguments = Arguments(source, n=n, mean1=mean1, sd1=sd1, mean2=mean2, sd2=sd2, r=r)
    arguments.require("n", lambda n: n >= 2, "must be at least 2")
    for name in ("sd1", "sd2"):
        arguments.require(name, lambda sd: sd > 0, "must be above 0, as a standard deviation is")
    arguments.require("r", lambda r: np.abs(r) < 1, "must lie between -1 and 1")
    arguments.check()
    one, two = arguments["sd1"], arguments["sd2"]
    return arguments, np.asarray((one - two) ** 2 + 2 * (1 - arguments["r"]) * one * two)


def crossover_difference(
    *, n: ArrayLike, mean1: ArrayLike, sd1: ArrayLike, mean2: ArrayLike, sd2: ArrayLike, r: ArrayLike
) -> CrossoverEffect:
    """Mean difference of a crossover trial, with a paired standard error.

    Parameters
    ----------
    n : array_like
        People, each of whom had both treatments.
    mean1, sd1, mean2, sd2 : array_like
        Under either treatment.
    r : array_like
        Correlation of a person's two scores: printed, from the standard deviation of the differences
        (`correlation_from_sds`), or assumed and varied.

    Returns
    -------
    CrossoverEffect
        mean1 - mean2, and √((sd1² + sd2² - 2 r sd1 sd2)/n).

    Raises
    ------
    DataError
        If a number is impossible.

    References
    ----------
    Cochrane Handbook 6.5, section 23.2.7.

    Examples
    --------
    >>> found = crossover_difference(n=10, mean1=7.0, sd1=2.38, mean2=6.5, sd2=2.21, r=0.68)
    >>> found.yi, round(found.sei, 3)
    (0.5, 0.583)
    """
    arguments, squared = _crossover("crossover_difference", n, mean1, sd1, mean2, sd2, r)
    return CrossoverEffect(
        yi=arguments.shaped(arguments["mean1"] - arguments["mean2"]),
        sei=arguments.shaped(np.sqrt(squared / arguments["n"])),
    )


def crossover_smd(
    *, n: ArrayLike, mean1: ArrayLike, sd1: ArrayLike, mean2: ArrayLike, sd2: ArrayLike, r: ArrayLike
) -> CrossoverEffect:
    """Standardised mean difference of a crossover trial, which can be pooled with those of parallel trials.

    It is standardised by the spread of scores between people, √((sd1² + sd2²)/2), and not by that of the differences;
    as the Handbook has it, without a correction for small samples.

    Parameters
    ----------
    n, mean1, sd1, mean2, sd2, r : array_like
        As in `crossover_difference`.

    Returns
    -------
    CrossoverEffect
        d, and √(1/n + d²/(2 n)) √(2 (1 - r)).

    Raises
    ------
    DataError
        If a number is impossible.

    References
    ----------
    Cochrane Handbook 6.5, section 23.2.7. Becker (1988), Br J Math Stat Psychol 41:257-278.

    Examples
    --------
    >>> found = crossover_smd(n=10, mean1=7.0, sd1=2.38, mean2=6.5, sd2=2.21, r=0.68)
    >>> round(found.yi, 3), round(found.sei, 3)
    (0.218, 0.256)
    """
    arguments, _ = _crossover("crossover_smd", n, mean1, sd1, mean2, sd2, r)
    people = arguments["n"]
    spread = np.sqrt((arguments["sd1"] ** 2 + arguments["sd2"] ** 2) / 2)
    d = (arguments["mean1"] - arguments["mean2"]) / spread
    sei = np.sqrt((1 / people + d**2 / (2 * people)) * 2 * (1 - arguments["r"]))
    return CrossoverEffect(yi=arguments.shaped(d), sei=arguments.shaped(sei))
