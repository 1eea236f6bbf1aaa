"""How much a pooled result rests on single rows, on doubtful numbers, and on who published: the report's checks."""

import warnings
from collections.abc import Callable, Iterator

from metapeer.errors import DataWarning, MetapeerError
from metapeer.formatting import Printable, TextTable, count, format_interval, format_number, format_p
from metapeer.pooling.dependence_description import describe_dependence
from metapeer.pooling.outcome_classes import contrast_outcome_classes
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.pooling.subgroups import SubgroupAnalysisResult, subgroup_analysis
from metapeer.reporting.report_blocks import Block, Funnel, Points, Pooled, Section, Sheet, Source, Words
from metapeer.reporting.report_material import Material
from metapeer.reproduction.entries import QuestionEntry
from metapeer.reproduction.plan import Method
from metapeer.sensitivity.asymmetry_models import egger_test
from metapeer.sensitivity.deletion_models import leave_one_out
from metapeer.sensitivity.trim_fill_models import trim_and_fill

__all__ = ["class_section", "estimate_words", "result_blocks", "sensitivity_section", "subgroup_section"]

ENOUGH = 10
"""Studies below which tests of asymmetry say nothing (Sterne et al. 2011, BMJ 343:d4002)."""


def estimate_words(fit: MetaAnalysisResult, digits: int = 2) -> str:
    """Write a pooled effect with its interval, for display.

    Parameters
    ----------
    fit : MetaAnalysisResult
        The result.
    digits : int, default 2
        Decimals.

    Returns
    -------
    str
        Such as ``"0.19 (0.11 to 0.27)"``.
    """
    measure = measure_of(fit.measure)
    low, high = (measure.display(end, fit.se**2) for end in fit.ci)
    estimate = format_number(measure.display(fit.estimate, fit.se**2), digits)
    return f"{estimate} ({format_interval(low, high, digits=digits)})"


def result_blocks(result: Printable, *, folded: bool = False) -> list[Block]:
    """Take over what a result says of itself.

    Parameters
    ----------
    result : Printable
        Any result.
    folded : bool, default False
        Whether its tables are closed at first.

    Returns
    -------
    list of Block
        Its tables, and its notes where it has no table.
    """
    blocks: list[Block] = []
    for table in result.text_tables():
        if table.rows and len(table.header) > 1:
            blocks.append(Sheet(table=table, folded=folded))
            continue
        if table.rows:  # one column is a list
            blocks += [Words(text=f"{table.title}:")] if table.title else []
            blocks.append(Points(items=tuple(row[0] for row in table.rows)))
            blocks += [Words(text=note, tone="note") for note in table.notes]
            continue
        words = [f"{table.title}." if table.title else "", *table.notes]
        blocks += [Words(text=text) for text in words if text]
    return blocks


def _tried(make: Callable[[], list[Block]]) -> list[Block]:
    """Compute something, or say why it cannot be computed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # the same stands in the notes
        try:
            return make()
        except MetapeerError as error:
            return [Words(text=f"Not computed: {error}", tone="doubt")]


def _method_options(method: Method | None) -> dict[str, object]:
    if method is None:
        return {}
    options: dict[str, object] = {"model": method.model}
    if method.model == "random":
        options["tau2_method"] = method.tau2_method
    if method.ci_method:
        options["ci_method"] = method.ci_method
    return options


def subgroup_section(material: Material, questions: tuple[QuestionEntry, ...]) -> Section:
    """Set formats of peer support beside one another, and answer the plan's questions.

    Parameters
    ----------
    material : Material
        What the report is about.
    questions : tuple of QuestionEntry
        Of the plan.

    Returns
    -------
    Section
        A part for each question and each outcome with at least two formats of two trials.
    """
    parts = []
    for number, question in enumerate(questions, 1):
        blocks = result_blocks(question.result)
        if question.note:
            blocks.append(Words(text=question.note, tone="doubt"))
        parts.append(Section(key=f"question-{number}", title=question.title, blocks=blocks))
    for one in material.pooled:
        found = _formats(material, one)
        if found is not None:
            title = f"{one.title}, by format of peer support"
            parts.append(Section(key=f"format-{one.key}", title=title, blocks=found))
    words = (
        "A difference between subgroups is judged by its test, not by which intervals exclude no effect."
        if parts
        else "No outcome has trials of two formats of peer support, at least two of each, and no question is planned."
    )
    return Section(key="subgroups", title="Subgroups: format of peer support", blocks=[Words(text=words)], parts=parts)


def _formats(material: Material, one: Pooled) -> list[Block] | None:
    data = one.fit.data
    if one.printed or data is None or "format" not in data or one.fit.weighting != "inverse variance":
        return None
    cells = data["format"].fillna("").astype(str)
    data = data[(cells != "") & ~cells.str.contains(";")]
    trials = data["study_id"].astype(str) if "study_id" in data else data.index.astype(str)
    sizes = {name: len(set(trials[data["format"].astype(str) == name])) for name in dict.fromkeys(data["format"])}
    if sum(size > 1 for size in sizes.values()) < 2:
        return None

    def make() -> list[Block]:
        found: SubgroupAnalysisResult = subgroup_analysis(
            data,
            by="format",
            measure=one.fit.measure or None,
            **_method_options(material.method),  # type: ignore[arg-type]  # from a plan that was checked
        )
        return result_blocks(found)

    return _tried(make)


def class_section(material: Material) -> Section:
    """Ask whether psychosocial outcomes are moved more than clinical ones.

    Parameters
    ----------
    material : Material
        What the report is about.

    Returns
    -------
    Section
        The contrast with its sensitivity analyses; or what is missing for it.
    """
    title = "Psychosocial and clinical outcomes"
    rows = material.usable
    blocks: list[Block]
    measures = set() if not len(rows) else set(rows["measure"].astype(str)) if "measure" in rows else {""}
    classes = set(rows["outcome_class"].astype(str)) if "outcome_class" in rows else set()
    if not {"psychosocial", "clinical"} <= classes:
        there = ", ".join(sorted(classes - {""})) or "none"
        blocks = [Words(text=f"No comparison: it needs rows of both classes, and there are rows of {there}.")]
    elif measures != {"SMD"}:
        named = ", ".join(sorted(measures - {""})) or "of no stated measure"
        blocks = [Words(text=f"No comparison: it needs standardised mean differences; the effects are {named}.")]
    else:
        data = rows.drop(columns=["pooled", "mine", "key", "sei"], errors="ignore").reset_index(drop=True)
        for column in ("yi", "vi", "n1", "n2", "total1", "total2", "timepoint_months"):
            if column in data:
                data[column] = data[column].astype(float)
        blocks = _tried(lambda: result_blocks(contrast_outcome_classes(data, arm_sizes="equal")))
        blocks += _tried(lambda: [_folded(sheet) for sheet in result_blocks(describe_dependence(data))])
    return Section(key="classes", title=title, blocks=blocks)


def _folded(block: Block) -> Block:
    return Sheet(table=block.table, folded=True) if isinstance(block, Sheet) else block


def sensitivity_section(material: Material) -> Section:
    """Leave rows out, correct them, change the method, and look for small-study effects.

    Parameters
    ----------
    material : Material
        What the report is about.

    Returns
    -------
    Section
        A part for each kind of check.
    """
    parts = [
        _corrections(material),
        _methods(material),
        _left_out(material),
        _small_studies(material),
    ]
    return Section(key="sensitivity", title="Sensitivity", parts=parts)


def _corrections(material: Material) -> Section:
    title = "Suspicious rows"
    if not len(material.corrections):
        words = "No correction is recorded for the rows of this report (overrides.csv), so that nothing is left out."
        return Section(key="suspicious", title=title, blocks=[Words(text=words)])
    wanted = ["override_id", "row_id", "column", "raw", "value", "status", "reason", "source"]
    frame = material.corrections.reindex(columns=wanted, fill_value="").fillna("").astype(str)
    header = ("correction", "row", "column", "as printed", "corrected", "status", "reason", "checked in")
    listed = TextTable(title="Recorded corrections", header=header, rows=frame.to_numpy().tolist())
    blocks: list[Block] = [
        Words(
            text="A suspicious row is used as it is printed unless the reader chooses otherwise at the top of the page."
        ),
        Sheet(table=listed, folded=True),
    ]
    rows = []
    for one in material.pooled:
        cells = [
            estimate_words(one.fits[choice.code, ""]) + f", k {one.fits[choice.code, ''].k}"
            if (choice.code, "") in one.fits
            else "nothing left"
            for choice in material.row_choices
        ]
        if len(set(cells)) > 1:
            rows.append((one.title, *cells))
    columns = ("what is pooled", *(choice.words for choice in material.row_choices))
    if rows:
        blocks.append(
            Sheet(
                table=TextTable(title="Pooled results with suspicious rows treated in turn", header=columns, rows=rows)
            )
        )
    else:
        blocks.append(Words(text="No pooled result changes, to two decimals, when they are left out or corrected."))
    return Section(key="suspicious", title=title, blocks=blocks)


def _methods(material: Material) -> Section:
    several = [one for one in material.pooled if one.fit.k > 1 and len(one.fits) > 1]
    title = "Other methods of pooling"
    if not several:
        words = "No result pools more than one row, so that the method makes no difference."
        if any(one.fit.k > 1 for one in material.pooled):
            words = "No result is pooled by inverse variance, so that no other method is set beside it."
        return Section(key="other-methods", title=title, blocks=[Words(text=words)])
    header = ("what is pooled", "k", *(choice.words for choice in material.method_choices))
    rows = [
        (
            one.title,
            str(one.fit.k),
            *(
                estimate_words(one.fits["", c.code]) if ("", c.code) in one.fits else ""
                for c in material.method_choices
            ),
        )
        for one in several
    ]
    table = TextTable(title="Pooled results by method, suspicious rows as printed", header=header, rows=rows)
    return Section(key="other-methods", title=title, blocks=[Sheet(table=table)])


def _left_out(material: Material) -> Section:
    title = "One row left out in turn"
    blocks: list[Block] = []
    summary = []
    for one in material.pooled:
        if one.fit.k < 3 or one.fit.weighting != "inverse variance":
            continue
        found = _tried(lambda fit=one.fit: result_blocks(leave_one_out(fit), folded=True))  # type: ignore[misc]
        sheets = [block for block in found if isinstance(block, Sheet)]
        for block in found:
            if isinstance(block, Sheet):
                named = TextTable(
                    title=f"{one.title}: {block.table.title}",
                    header=block.table.header,
                    rows=block.table.rows,
                    notes=block.table.notes,
                )
                blocks.append(Sheet(table=named, folded=True))
            else:
                blocks.append(block)
        if sheets and sheets[0].table.notes:
            summary.append((one.title, str(one.fit.k), sheets[0].table.notes[0]))
    if not blocks:
        return Section(
            key="left-out", title=title, blocks=[Words(text="No result pools three rows or more by inverse variance.")]
        )
    table = TextTable(title="What leaving out one row changes", header=("what is pooled", "k", ""), rows=summary)
    return Section(key="left-out", title=title, blocks=[*([Sheet(table=table)] if summary else []), *blocks])


def _small_studies(material: Material) -> Section:
    title = "Small-study effects"
    tested = [one for one in material.pooled if one.fit.k >= ENOUGH and one.fit.weighting == "inverse variance"]
    few = sum(one.fit.k < ENOUGH for one in material.pooled)
    rest = len(material.pooled) - len(tested) - few
    blocks: list[Block] = []
    if rest:
        words = f"{count(rest, 'result')} not pooled by inverse variance: not tested here."
        blocks.append(Words(text=words, tone="note"))
    if few:
        words = f"{count(few, 'result')} of fewer than {ENOUGH} rows: a test of asymmetry would say nothing."
        blocks.append(Words(text=words, tone="note"))
    rows: list[tuple[str, ...]] = []
    for one in tested:
        rows += _tried_rows(one)
    if rows:
        header = ("what is pooled", "k", "Egger: t", "p", "with trim-and-fill", "studies filled in")
        note = (
            "Egger's regression of effects on standard errors (Egger et al. 1997, BMJ 315:629-634); trim-and-fill by "
            "L0 (Duval & Tweedie 2000, Biometrics 56:455-463). For standardised mean differences the standard error "
            "depends on the effect, and the test errs too often."
        )
        table = TextTable(title="Tests of asymmetry", header=header, rows=rows, notes=(note,))
        blocks.append(Sheet(table=table))
    blocks += [Funnel(pooled=one) for one in tested]
    return Section(key="small-studies", title=title, blocks=blocks or [Words(text="Nothing is pooled.")])


def _tried_rows(one: Pooled) -> Iterator[tuple[str, ...]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        try:
            test = egger_test(one.fit)
            cells = [format_number(test.statistic), format_p(test.p_value)]
        except MetapeerError as error:
            cells = ["NA", str(error)]
        try:
            filled = trim_and_fill(one.fit)
            cells += [estimate_words(filled.filled), str(filled.k0)]
        except MetapeerError as error:
            cells += ["NA", str(error)]
    yield (one.title, str(one.fit.k), *cells)


def source_of(row: object) -> Source:
    """Take the source from a row of a table.

    Parameters
    ----------
    row : mapping
        With ``source`` and ``source_url``, where they are known.

    Returns
    -------
    Source
        Empty where nothing is known.
    """
    cells = {name: row.get(name) for name in ("source", "source_url")} if hasattr(row, "get") else {}
    text, url = (value if isinstance(value, str) else "" for value in (cells.get("source"), cells.get("source_url")))
    return Source(text=text, url=url)
