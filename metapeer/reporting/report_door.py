"""The door of reports: a review, a folder, a table or results come in, a report leaves."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from metapeer.pooling.results import MetaAnalysisResult
from metapeer.records.review import Review
from metapeer.reporting.report_material import Material
from metapeer.reporting.report_result import Report, check_form
from metapeer.reporting.report_sections import report_sections
from metapeer.reporting.report_source import read_source

__all__ = ["report"]


def report(
    source: str | Path | Review | pd.DataFrame | MetaAnalysisResult | Mapping[str, MetaAnalysisResult],
    *,
    output: str | Path | None = None,
    title: str = "",
    by: str = "outcome",
    measure: str = "SMD",
) -> Report:
    """Write a report: the question, the methods in words, every forest plot, the checks, and the source of each number.

    Everything is computed here: each pooled result with suspicious rows as printed, left out and corrected, and by
    several methods, so that the page only chooses what is shown.

    Parameters
    ----------
    source : str, Path, Review, DataFrame, MetaAnalysisResult or mapping of str to MetaAnalysisResult
        A data set from `list_datasets`, a review's folder, a CSV file of rows, a table of rows or of effects, or
        results of `meta_analysis`, several by name.
    output : str or Path, optional
        A file to write at once: ``.html``, ``.md`` or ``.docx``. The page is made for printing to PDF.
    title : str, optional
        Of the report; the review's when left out.
    by : str, default "outcome"
        Column that tells outcomes apart.
    measure : str, default "SMD"
        Effect measure of a table that has no column ``yi``; a review has its own in its plan.

    Returns
    -------
    Report
        With ``to_html()``, ``to_markdown()``, ``to_docx(path)`` and ``save(path)``.

    Raises
    ------
    ChoiceError
        If there is no data set of that name.
    DataError
        If the rows are faulty; every fault is listed.
    MetapeerError
        If the source is none of these, or the file cannot be written.

    References
    ----------
    Page et al. (2021), BMJ 372:n71 (what a report of a review says).

    Examples
    --------
    >>> found = report("chien2019")
    >>> found.title
    'Chien et al. 2019: peer support (Cochrane CD010880)'
    >>> page = found.to_html()
    >>> page.startswith("<!DOCTYPE html>"), "<script src" in page
    (True, False)
    """
    if output is not None:
        check_form(output)
    material = read_source(source, by=by, measure=measure, title=title)
    found = Report(
        title=material.title,
        about=_about(material),
        sections=report_sections(material),
        pooled=material.pooled,
        row_choices=material.row_choices,
        method_choices=material.method_choices,
    )
    if output is not None:
        found.save(output)
    return found


def _about(material: Material) -> tuple[str, ...]:
    review = material.review
    if review is None:
        return ()
    lines = [review.citation]
    if review.doi and review.doi not in review.citation:
        lines.append(f"doi {review.doi}")
    return tuple(line for line in lines if line)
