"""What was done, in words: read from the results themselves, with a formula and a reference for each choice."""

from collections.abc import Sequence

from metapeer.effects.continuous import find_smd_variance
from metapeer.formatting import count, format_level
from metapeer.pooling.inference import CI_WORDS
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.reporting.report_blocks import Block, Points, Pooled, Section, Words
from metapeer.reporting.report_material import COMMON_WEIGHTS, Material
from metapeer.reproduction.plan import Method

__all__ = ["methods_section", "references_section"]

TAU2: dict[str, tuple[str, str, str]] = {
    "REML": (
        "restricted maximum likelihood",
        "the global maximum of -½ Σ ln(vᵢ + τ²) - ½ ln Σ 1/(vᵢ + τ²) - ½ Σ (yᵢ - μ̂)²/(vᵢ + τ²)",
        "Viechtbauer (2005), Journal of Educational and Behavioral Statistics 30:261-293",
    ),
    "ML": (
        "maximum likelihood",
        "the maximum of -½ Σ ln(vᵢ + τ²) - ½ Σ (yᵢ - μ̂)²/(vᵢ + τ²)",
        "Hardy & Thompson (1996), Statistics in Medicine 15:619-629",
    ),
    "DL": (
        "DerSimonian and Laird's moment estimator",
        "τ̂² = (Q - (k - 1)) / (Σ wᵢ - Σ wᵢ²/Σ wᵢ), not below zero",
        "DerSimonian & Laird (1986), Controlled Clinical Trials 7:177-188",
    ),
    "PM": (
        "Paule and Mandel's estimator",
        "the τ² at which Σ (yᵢ - μ̂)²/(vᵢ + τ²) = k - 1",
        "Paule & Mandel (1982), Journal of Research of the National Bureau of Standards 87:377-385",
    ),
    "HE": (
        "Hedges' estimator",
        "τ̂² = Σ (yᵢ - ȳ)²/(k - 1) - v̄, not below zero",
        "Hedges (1983), Psychological Bulletin 93:388-395",
    ),
    "EB": (
        "the empirical Bayes estimator",
        "the τ² at which Σ (yᵢ - μ̂)²/(vᵢ + τ²) = k - 1",
        "Morris (1983), Journal of the American Statistical Association 78:47-55",
    ),
    "SJ": (
        "Sidik and Jonkman's estimator",
        "τ₀² Σ ((yᵢ - μ̂₀)²/(vᵢ + τ₀²))/(k - 1), with τ₀² = Σ (yᵢ - ȳ)²/k",
        "Sidik & Jonkman (2005), Journal of the Royal Statistical Society C 54:367-384",
    ),
    "HS": ("Hunter and Schmidt's estimator", "τ̂² = (Q - k)/Σ wᵢ, not below zero", "Hunter & Schmidt (1990)"),
}
"""Estimator to its name, formula and reference; the others have their code and metapeer's page on methods."""

INTERVALS: dict[str, tuple[str, str]] = {
    "z": ("μ̂ ± z se₀, with se₀² = 1/Σ wᵢ*", ""),
    "t": ("μ̂ ± t(k - 1) se₀, with se₀² = 1/Σ wᵢ*", ""),
    "HK": (
        "μ̂ ± t(k - 1) √q se₀, with se₀² = 1/Σ wᵢ* and q = Σ wᵢ*(yᵢ - μ̂)²/(k - 1)",
        "Hartung & Knapp (2001), Statistics in Medicine 20:3875-3889",
    ),
    "HK_se": ("as Hartung-Knapp, with q not below 1", "Knapp & Hartung (2003), Statistics in Medicine 22:2693-2710"),
    "HK_ci": (
        "the wider of Hartung-Knapp's and the normal interval",
        "Jackson et al. (2017), Statistics in Medicine 36:3923-3934",
    ),
    "HC": (
        "μ̂ ± c se_w, with c from the distribution of μ̂ together with Q",
        "Henmi & Copas (2010), Statistics in Medicine 29:2969-2983",
    ),
    "IVhet": (
        "μ̂ ± z √(Σ wᵢ²(vᵢ + τ̂²))/Σ wᵢ",
        "Doi et al. (2015), Contemporary Clinical Trials 45:130-138",
    ),
    "KR": (
        "μ̂ ± t(ν) se_KR, both adjusted for the estimation of τ²",
        "Kenward & Roger (1997), Biometrics 53:983-997",
    ),
    "PL": (
        "every μ that the likelihood-ratio test does not reject",
        "Hardy & Thompson (1996), Statistics in Medicine 15:619-629",
    ),
}

PREDICTION: dict[str, tuple[str, str]] = {
    "V": ("μ̂ ± t(k - 1) √(τ̂² + se₀²)", "Veroniki et al. (2019), Research Synthesis Methods 10:23-43"),
    "HK": ("μ̂ ± t(k - 1) √(τ̂² + q se₀²)", "Partlett & Riley (2017), Statistics in Medicine 36:301-317"),
    "HTS": (
        "μ̂ ± t(k - 2) √(τ̂² + se₀²)",
        "Higgins, Thompson & Spiegelhalter (2009), Journal of the Royal Statistical Society A 172:137-159",
    ),
}

HETEROGENEITY = "Higgins & Thompson (2002), Statistics in Medicine 21:1539-1558 (I²)"
PROFILE = "Viechtbauer (2007), Statistics in Medicine 26:37-52 (Q-profile interval of τ²)"
AVERAGE = "Borenstein, Hedges, Higgins & Rothstein (2009), Introduction to Meta-Analysis, equation 24.4"
EVENTS = "Chinn (2000), Statistics in Medicine 19:3127-3131 (odds ratios as standardised mean differences)"
PREFER = {
    "arms": (
        "Effects are computed from what each trial printed of its arms; ready-made effects are used where a row has "
        "nothing else."
    ),
    "review": "The effects that the review itself computed are used where it gives them, as it used them; the others "
    "are computed from the arms.",
    "reported": "The effects that the trials reported are used where there are any; the others are computed from the "
    "arms.",
}


def methods_section(material: Material, fits: Sequence[MetaAnalysisResult]) -> Section:
    """Say how effects were computed and pooled.

    Parameters
    ----------
    material : Material
        What the report is about.
    fits : sequence of MetaAnalysisResult
        What was pooled, as planned.

    Returns
    -------
    Section
        Words that follow from the results, and from nothing else.
    """
    lines = [
        *_measure_lines(fits),
        *_effect_lines(material),
        *_pooling_lines(fits),
        *_interval_lines(fits),
        *_other_lines(fits),
    ]
    blocks: list[Block] = []
    if lines:
        blocks.append(Points(items=tuple(lines)))
    else:
        blocks.append(Words(text="Nothing could be pooled, so there is no method to describe."))
    if len(material.method_choices) > 1:
        others = "; ".join(choice.words for choice in material.method_choices)
        blocks.append(
            Words(
                text=f"Every pooled result was computed by each of these methods: {others}. The first is shown unless "
                "another is chosen at the top of the page. All were computed when the page was written.",
                tone="note",
            )
        )
    blocks += [Words(text=note, tone="note") for note in material.notes]
    return Section(key="methods", title="Methods", blocks=blocks)


def _measure_lines(fits: Sequence[MetaAnalysisResult]) -> list[str]:
    lines = []
    for code in dict.fromkeys(fit.measure for fit in fits):
        measure = measure_of(code)
        sides = {fit.positive_favours for fit in fits if fit.measure == code}
        words = f"Effect measure: {measure.name}{f' ({code})' if code else ''}"
        if sides == {"arm1"}:
            words += f"; above {measure.null:g} favours peer support"
        elif sides == {"arm2"}:
            words += f"; above {measure.null:g} favours the comparison"
        if measure.scale != "identity":
            words += f"; pooled on the {measure.scale} scale and turned back for display"
        lines.append(f"{words}.")
    return lines


def _effect_lines(material: Material) -> list[str]:
    """How effects were computed. A plan may say so of each result: a sentence that holds for some tells for which."""
    planned = [(one, one.method) for one in material.pooled if one.method is not None]
    computed = (_difference, _preference, _events) if "es_source" in material.rows else ()
    lines = []
    for sentence in (*computed, _dependence):
        said: dict[str, list[str]] = {}
        for one, method in planned:
            text = sentence(one, method)
            said.setdefault(text, []).append(f"the printed result {one.title}" if one.printed else one.title)
        # Where nothing is averaged there is nothing to be said of it; other sentences then hold for the rest only.
        partial = len(said) > (2 if sentence is _dependence and "" in said else 1)
        for text, names in said.items():
            if text:
                lines.append(f"For {', '.join(names)}: {text[0].lower()}{text[1:]}" if partial else text)
    return lines


def _difference(one: Pooled, method: Method) -> str:
    if one.fit.measure != "SMD":
        return ""
    formula = find_smd_variance(method.variance)
    return (
        f"Standardised mean differences are Hedges' g = J (x̄₁ - x̄₂)/s with the {formula.correction} correction J; "
        f"their sampling variance, where it is computed from the arms, is {formula.formula} ({formula.source})."
    )


def _preference(_: Pooled, method: Method) -> str:
    return PREFER[method.prefer]


def _events(one: Pooled, method: Method) -> str:
    if not method.events_to_smd or one.fit.measure != "SMD":
        return ""
    return "Rows with events only become standardised mean differences: g = J ln(OR) √3/π (Chinn 2000)."


def _dependence(one: Pooled, method: Method) -> str:
    """What was done with several effects of a trial, if there were any."""
    fit = one.fit
    if _averaged(fit):
        return (
            "Several effects of one trial on what is pooled together are averaged first, with an assumed correlation "
            f"of {method.rho:g} between their sampling errors: variance (Σ vᵢ + 2 ρ Σ √(vᵢ vⱼ))/m²."
        )
    if fit.k > fit.trials:
        return (
            "Several effects of one trial on what is pooled together are taken for independent, which makes intervals "
            "too narrow where they share participants."
        )
    return ""


def _averaged(fit: MetaAnalysisResult) -> bool:
    return fit.data is not None and "averaged" in fit.data and bool((fit.data["averaged"] > 1).any())


def _by_inverse_variance(fit: MetaAnalysisResult) -> bool:
    return fit.weighting in ("inverse variance", COMMON_WEIGHTS)


def _pooling_lines(fits: Sequence[MetaAnalysisResult]) -> list[str]:
    several = [fit for fit in fits if fit.k > 1]
    lines = []
    if any(fit.weighting == "inverse variance" for fit in several):
        lines.append("Pooled effect: μ̂ = Σ wᵢ* yᵢ / Σ wᵢ*, with wᵢ* = 1/(vᵢ + τ̂²); τ̂² is zero under a common effect.")
    fixed = dict.fromkeys(CI_WORDS[fit.ci_method] for fit in several if fit.weighting == COMMON_WEIGHTS)
    if fixed:
        lines.append(
            f"Pooled effect with {' and '.join(fixed)} intervals: μ̂ = Σ wᵢ yᵢ / Σ wᵢ with the weights of a common "
            "effect, wᵢ = 1/vᵢ; τ̂² bears on the interval only."
        )
    others = dict.fromkeys(fit.weighting for fit in several if not _by_inverse_variance(fit))
    lines += [f"Pooled effect: {words}." for words in others]
    for code in dict.fromkeys(fit.tau2_method for fit in several if fit.model == "random"):
        name, formula, source = TAU2.get(code, (code, "", ""))
        how = f": {formula}" if formula else "; its formula stands on metapeer's page on methods"
        lines.append(
            f"Random effects; between-study variance τ² by {name} ({code}){how}{f' ({source})' if source else ''}."
        )
    common = [fit for fit in several if fit.model == "common" and fit.weighting == "inverse variance"]
    if common:
        lines.append(f"Common effect for {count(len(common), 'result')}: wᵢ = 1/vᵢ.")
    return lines


def _interval_lines(fits: Sequence[MetaAnalysisResult]) -> list[str]:
    lines = []
    several = [fit for fit in fits if fit.k > 1]
    usual = [fit for fit in several if _by_inverse_variance(fit)]
    for code, level in dict.fromkeys((fit.ci_method, fit.level) for fit in usual):
        formula, source = INTERVALS.get(code, ("", ""))
        how = f": {formula}" if formula else ""
        ending = f" ({source})" if source else ""
        lines.append(f"{format_level(level)} confidence intervals: {CI_WORDS.get(code, code)}{how}{ending}.")
    for weighting, code, level in dict.fromkeys(
        (fit.weighting, fit.ci_method, fit.level) for fit in several if not _by_inverse_variance(fit)
    ):
        lines.append(
            f"{format_level(level)} confidence intervals: {CI_WORDS.get(code, code)}, with the standard error of that "
            f"way of pooling ({weighting})."
        )
    for code in dict.fromkeys(fit.prediction_method for fit in several if fit.prediction_interval is not None):
        formula, source = PREDICTION.get(code, (f"method {code}", ""))
        lines.append(
            "Prediction intervals, where the true effect of a new trial may lie: "
            f"{formula}{f' ({source})' if source else ''}."
        )
    if any(fit.weighting == COMMON_WEIGHTS and fit.prediction_interval is not None for fit in several):
        names = dict.fromkeys(CI_WORDS[fit.ci_method] for fit in several if fit.weighting == COMMON_WEIGHTS)
        lines.append(f"With {' and '.join(names)} intervals se₀ stands there for their own standard error.")
    singles = len(fits) - len(several)
    if singles:
        lines.append(f"{count(singles, 'result')} of a single trial: its own normal interval; nothing is pooled there.")
    return lines


def _other_lines(fits: Sequence[MetaAnalysisResult]) -> list[str]:
    several = [fit for fit in fits if fit.k > 1 and _by_inverse_variance(fit)]
    if not several:
        return []
    random = any(fit.model == "random" for fit in several)
    words = "Heterogeneity: Q = Σ wᵢ (yᵢ - μ̂)² with wᵢ = 1/vᵢ, about the common-effect mean; I² from "
    words += "τ² and from Q" if random else "Q; under a common effect no τ² is estimated"
    shown = dict.fromkeys(fit.tau2_ci.method for fit in several if fit.tau2_ci is not None)
    words += f"; intervals of τ²: {', '.join(shown)}" if shown else ""
    source = "; Viechtbauer 2007" if "Q-profile" in shown else ""
    return [f"{words} (Higgins & Thompson 2002{source})."]


def references_section(material: Material, pooled: Sequence[Pooled]) -> Section:
    """List the papers of the methods that were used, in any variant, and of the data.

    Parameters
    ----------
    material : Material
        What the report is about.
    pooled : sequence of Pooled
        What was pooled.

    Returns
    -------
    Section
        In alphabetical order.
    """
    fits = [fit for one in pooled for fit in one.fits.values() if fit.k > 1]
    found: set[str] = set()
    for fit in fits:
        if fit.model == "random":
            found.add(TAU2.get(fit.tau2_method, ("", "", ""))[2])
        if _by_inverse_variance(fit):
            found.add(INTERVALS.get(fit.ci_method, ("", ""))[1])
        if fit.prediction_interval is not None:
            found.add(PREDICTION.get(fit.prediction_method, ("", ""))[1])
    if fits:
        found.add(HETEROGENEITY)
    if any(fit.tau2_ci is not None and fit.tau2_ci.method == "Q-profile" for fit in fits):
        found.add(PROFILE)
    for one in pooled:
        found |= _effect_papers(one, computed="es_source" in material.rows)
    papers = sorted(found - {""})
    own = []
    if material.review is not None:
        own = [text for text in (material.review.citation, material.review.attribution) if text]
    blocks: list[Block] = []
    if own:
        blocks.append(Words(text=f"Data: {'; '.join(dict.fromkeys(own))}"))
    blocks.append(Points(items=tuple(papers)) if papers else Words(text="No method was used that needs a reference."))
    return Section(key="references", title="References", blocks=blocks)


def _effect_papers(one: Pooled, *, computed: bool) -> set[str]:
    found = {AVERAGE} if _averaged(one.fit) else set()
    if one.method is not None and computed and one.fit.measure == "SMD":
        found.add("Hedges (1981), Journal of Educational Statistics 6:107-128 (g and J)")
        found.add(find_smd_variance(one.method.variance).source)
        if one.method.events_to_smd:
            found.add(EVENTS)
    return found
