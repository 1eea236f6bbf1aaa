"""What other software does unless told otherwise, so that one word re-computes a result of theirs.

A preset sets the defaults of `meta_analysis` and `subgroup_analysis`; an argument that is given overrides it. The
variance formula of an effect size is chosen where effects are computed, under the same name: ``effect_size(...,
variance="revman5")``.
"""

from dataclasses import dataclass

__all__ = ["PRESETS", "Preset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """The defaults of one program.

    Parameters
    ----------
    tau2_method, ci_method, prediction_method : str
        As in `meta_analysis`.
    source : str
        Where the defaults were read.
    unverified : str
        What could not be checked; empty when nothing.
    """

    tau2_method: str
    ci_method: str
    prediction_method: str
    source: str
    unverified: str = ""


PRESETS: dict[str, Preset] = {
    "revman5": Preset(
        tau2_method="DL",
        ci_method="z",
        prediction_method="V",
        source="Deeks & Higgins (2010), Statistical algorithms in Review Manager 5",
        unverified="RevMan 5 prints no prediction interval",
    ),
    "revman": Preset(
        tau2_method="REML",
        ci_method="HK",
        prediction_method="HK",
        source="Cochrane Methods, random-effects methods in RevMan (January 2025)",
        unverified="its prediction interval's degrees of freedom, and when it falls back from Hartung-Knapp",
    ),
    "metafor": Preset(
        tau2_method="REML", ci_method="z", prediction_method="S", source="metafor 5.0-1, rma.uni() and predict()"
    ),
    "meta": Preset(
        tau2_method="REML", ci_method="z", prediction_method="V", source="R meta 8.3-0, metagen() (settings.meta())"
    ),
    "stata": Preset(
        tau2_method="REML",
        ci_method="z",
        prediction_method="HTS",
        source="Stata 19 Meta-Analysis Reference Manual, meta summarize",
        unverified="not run; defaults as the manual is quoted",
    ),
    "cma": Preset(
        tau2_method="DL",
        ci_method="z",
        prediction_method="HTS",
        source="Borenstein, Hedges, Higgins & Rothstein (2009), chapters 12 and 17",
        unverified="not run; defaults as its authors' book computes",
    ),
    "metapsy": Preset(
        tau2_method="REML",
        ci_method="HK",
        prediction_method="HK",
        source="metapsyTools 1.0.14, runMetaAnalysis()",
        unverified="its prediction interval's degrees of freedom",
    ),
}
