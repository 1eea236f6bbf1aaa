"""What `metapeer influence`, `gosh` and `bias` do with what was typed: what a conclusion hangs on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import metapeer as mp
from metapeer.command_input import doubts_told_once
from metapeer.command_options import Given, ModelChoice, Tau2Method, option
from metapeer.command_output import PICTURES, check_place, progress_bar
from metapeer.errors import ChoiceError, DataError, check_choice
from metapeer.formatting import TextTable

__all__ = [
    "BiasFound",
    "BiasOptions",
    "GoshFound",
    "GoshOptions",
    "InfluenceFound",
    "InfluenceOptions",
    "find_bias",
    "find_gosh",
    "find_influence",
]

TRIAL = "study_id"
HEAPS = ("kmeans", "gmm", "dbscan")


def _check_pictures(options: Given) -> None:
    """Refuse pictures that cannot be written, before anything is computed."""
    for name, path in options.given().items():
        if isinstance(path, Path):
            check_place(path, PICTURES, f"--{name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluenceOptions(Given):
    """What is left out, and what is drawn."""

    by: Annotated[
        str | None,
        option(
            "--by",
            group="Rows",
            metavar="COLUMN",
            text="Leave out all rows that share a value of a column at once: trial, or a column; by default each row "
            "in turn.",
        ),
    ] = None
    figure: Annotated[
        Path | None,
        option(
            "--figure",
            group="Output",
            metavar="FILE",
            text="Draw every diagnostic, or with --by what is left after each deletion: .png, .svg or .pdf.",
        ),
    ] = None
    baujat: Annotated[
        Path | None,
        option(
            "--baujat",
            group="Output",
            metavar="FILE",
            text="Draw what each study adds to heterogeneity against what it does to the result: .png, .svg or .pdf.",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluenceFound:
    """The result without each study, and how far each lies from the others.

    Parameters
    ----------
    leave_one_out : LeaveOneOutResult
        The deletions.
    diagnostics : InfluenceResult or None
        Of each row; None where rows were left out together.
    """

    leave_one_out: "mp.LeaveOneOutResult"
    diagnostics: "mp.InfluenceResult | None"

    def text_tables(self) -> list[TextTable]:
        """Describe both in words.

        Returns
        -------
        list of TextTable
            First the deletions.
        """
        more = () if self.diagnostics is None else self.diagnostics.text_tables()
        return [*self.leave_one_out.text_tables(), *more]

    def everything(self) -> dict[str, Any]:
        """Put everything in a dictionary.

        Returns
        -------
        dict
            Tables as frames, and what changes the conclusion.
        """
        shown = self.diagnostics
        return {
            "by": self.leave_one_out.by,
            "leave_one_out": self.leave_one_out.to_frame(),
            "changing": self.leave_one_out.changing,
            "diagnostics": None if shown is None else shown.to_frame(),
            "cutoffs": None if shown is None else shown.cutoffs,
            "all": self.leave_one_out.fit,
        }


def find_influence(fit: "mp.MetaAnalysisResult", options: InfluenceOptions, *, notes_shown: bool) -> InfluenceFound:
    """Leave out each study in turn, and draw what was asked for.

    Parameters
    ----------
    fit : MetaAnalysisResult
        The result that is asked about.
    options : InfluenceOptions
        What was typed.
    notes_shown : bool
        Whether the notes of the result are printed.

    Returns
    -------
    InfluenceFound
        Deletions and diagnostics.

    Raises
    ------
    MetapeerError
        If a picture cannot be written, or there is nothing to leave out.
    """
    _check_pictures(options)
    if options.by is not None and options.baujat is not None:
        raise ChoiceError("--baujat has no effect with --by: the diagnostics are those of single rows; leave one out")
    by = TRIAL if options.by == "trial" else options.by
    with doubts_told_once(notes_shown=notes_shown):
        without = mp.leave_one_out(fit, by=by)
        shown = mp.influence(fit) if by is None else None
    if options.figure is not None:
        mp.save_figure(without.plot() if shown is None else shown.plot(), options.figure)
    if options.baujat is not None and shown is not None:
        mp.save_figure(shown.plot_baujat(), options.baujat)
    return InfluenceFound(leave_one_out=without, diagnostics=shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoshOptions(Given):
    """Which subsets, and what is shown of them."""

    model: ModelChoice = None
    tau2_method: Tau2Method = None
    subsets: Annotated[
        int | None,
        option(
            "--subsets",
            group="Pooling",
            metavar="NUMBER",
            text="Subsets to draw at random where there are more; 1,048,576 by default, which are all of 20 studies.",
        ),
    ] = None
    seed: Annotated[
        int | None, option("--seed", group="Pooling", metavar="NUMBER", text="For the drawing; 1 by default.")
    ] = None
    study: Annotated[
        str | None,
        option(
            "--study",
            group="Output",
            metavar="NAME",
            text="Give the subsets that hold this study a colour of their own in the figure.",
        ),
    ] = None
    clusters: Annotated[
        str | None,
        option(
            "--clusters",
            group="Output",
            metavar="METHOD",
            text="Look for heaps of subsets: kmeans, gmm or dbscan. Needs scikit-learn.",
        ),
    ] = None
    figure: Annotated[
        Path | None,
        option(
            "--figure",
            group="Output",
            metavar="FILE",
            text="Draw estimate against I² of every subset: .png, .svg or .pdf.",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GoshFound:
    """Every subset, and heaps of them.

    Parameters
    ----------
    gosh : GoshResult
        The subsets.
    clusters : GoshClusters or None
        Heaps, where they were asked for.
    """

    gosh: "mp.GoshResult"
    clusters: "mp.GoshClusters | None"

    def text_tables(self) -> list[TextTable]:
        """Describe both in words.

        Returns
        -------
        list of TextTable
            First the subsets.
        """
        more = () if self.clusters is None else self.clusters.text_tables()
        return [*self.gosh.text_tables(), *more]

    def everything(self) -> dict[str, Any]:
        """Put what there is of studies in a dictionary; the subsets themselves are for Python.

        Returns
        -------
        dict
            The studies, how subsets were made, and the heaps.
        """
        names = ("measure", "complete", "model", "tau2_method", "seed")
        return {
            **{name: getattr(self.gosh, name) for name in names},
            "subsets": len(self.gosh),
            "studies": self.gosh.studies(),
            "clusters": self.clusters,
        }


def find_gosh(fit: "mp.MetaAnalysisResult", options: GoshOptions) -> GoshFound:
    """Pool every subset, and draw what was asked for.

    Parameters
    ----------
    fit : MetaAnalysisResult
        Of all studies.
    options : GoshOptions
        What was typed.

    Returns
    -------
    GoshFound
        Subsets and heaps.

    Raises
    ------
    MetapeerError
        If a picture cannot be written, a study is unknown, or an option has no effect.
    """
    _check_pictures(options)
    if options.study is not None and options.figure is None:
        raise ChoiceError("--study has no effect without --figure; leave it out")
    if options.study is not None:
        check_choice("--study", options.study, fit.labels)
    if options.clusters is not None:
        check_choice("--clusters", options.clusters, HEAPS)
    choices: dict[str, Any] = options.given("model", "tau2_method", "study", "clusters", "figure")
    with progress_bar("subsets") as progress:
        found = mp.gosh(fit, progress=progress, **choices)
    heaps = None if options.clusters is None else found.clusters(method=options.clusters)
    if options.figure is not None:
        mp.save_figure(found.plot(study=options.study), options.figure)
    return GoshFound(gosh=found, clusters=heaps)


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasOptions(Given):
    """What is asked about small-study effects and publication bias."""

    method: Annotated[
        str | None,
        option(
            "--method",
            group="Output",
            metavar="NAME",
            text="Print this method in full, as Python calls it: egger_test, begg_test, trim_and_fill, pet_peese, "
            "selection_model, copas_model, ...",
        ),
    ] = None
    favoured: Annotated[
        str | None,
        option(
            "--favoured",
            group="Pooling",
            metavar="SIDE",
            text="Results that are supposed to be favoured for publication: positive or negative. Default: the side of "
            "the common-effect estimate.",
        ),
    ] = None
    figure: Annotated[
        Path | None,
        option(
            "--figure",
            group="Output",
            metavar="FILE",
            text="Draw the contour-enhanced funnel: .png, .svg or .pdf.",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasFound:
    """What all methods say, or one of them in full.

    Parameters
    ----------
    summary : BiasSummary
        All methods.
    method : str or None
        The one that was asked for.
    """

    summary: "mp.BiasSummary"
    method: str | None

    @property
    def shown(self) -> Any:
        """The result that is printed."""
        return self.summary if self.method is None else self.summary[self.method]

    def text_tables(self) -> list[TextTable]:
        """Describe it in words.

        Returns
        -------
        list of TextTable
            Its own.
        """
        return [*self.shown.text_tables()]

    def to_frame(self) -> Any:
        """Put its numbers in rows.

        Returns
        -------
        DataFrame
            A row for each method, or what the method gives.
        """
        return self.shown.to_frame()

    def everything(self) -> dict[str, Any]:
        """Put it in a dictionary.

        Returns
        -------
        dict
            What is supposed to be favoured, the rows, and the notes.
        """
        shown = self.shown
        about = {"favoured": self.summary.favoured or None} if self.method is None else {"method": self.method}
        return {**about, "rows": shown.to_frame(), "notes": shown.notes}


def find_bias(fit: "mp.MetaAnalysisResult", options: BiasOptions, *, notes_shown: bool) -> BiasFound:
    """Apply every method for small-study effects and publication bias, and draw what was asked for.

    Parameters
    ----------
    fit : MetaAnalysisResult
        The result that is asked about.
    options : BiasOptions
        What was typed.
    notes_shown : bool
        Whether notes are printed.

    Returns
    -------
    BiasFound
        All methods, or the one that was asked for.

    Raises
    ------
    MetapeerError
        If a picture cannot be written, or the method is unknown or cannot be applied.
    """
    _check_pictures(options)
    favoured: Any = options.favoured
    with doubts_told_once(notes_shown=notes_shown):
        found = mp.bias_summary(fit, favoured=favoured, methods=options.method)
        if options.figure is not None:
            mp.save_figure(found.plot(), options.figure)
    if options.method is not None and options.method in found.not_applied:
        label, reason = found.not_applied[options.method]
        raise DataError(label, [f"cannot be applied here: {reason}"])
    return BiasFound(summary=found, method=options.method)
