"""The sections of a report, from the question to the hashes of what went in."""

import math
import warnings
from collections.abc import Sequence
from importlib.metadata import version as package_version

import pandas as pd

from metapeer.auditing.extraction import audit
from metapeer.auditing.published import audit_published
from metapeer.errors import DataWarning, MetapeerError
from metapeer.formatting import TextTable, count, format_interval, format_level, format_number, format_p
from metapeer.living.releasing_lock import LOCK, NEWS, bundled_hashes, input_hashes, other_hashes, read_lock, software
from metapeer.pooling.outcomes_names import outcome_words
from metapeer.pooling.results import measure_of
from metapeer.reporting.report_blocks import Block, Forest, Overview, Points, Pooled, Section, Sheet, Source, Words
from metapeer.reporting.report_material import Material
from metapeer.reporting.report_methods import methods_section, references_section
from metapeer.reporting.report_news import news_blocks
from metapeer.reporting.report_rows import row_labels, rows_section, trials_section
from metapeer.reporting.report_sensitivity import (
    class_section,
    result_blocks,
    sensitivity_section,
    source_of,
    subgroup_section,
)
from metapeer.reproduction.ledger import Ledger
from metapeer.reproduction.run import reproduce

__all__ = ["report_sections"]

FORMATS = {"one_to_one": "one-to-one", "group": "group", "mixed": "mixed"}


def report_sections(material: Material) -> tuple[Section, ...]:
    """Write all sections.

    Parameters
    ----------
    material : Material
        What the report is about.

    Returns
    -------
    tuple of Section
        In the order they are read.
    """
    ledger = None
    if material.given is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            ledger = reproduce(material.given)
    question = _question(material, ledger)
    records = [_ledger(ledger), _missing(material, ledger), _news(material)]
    closing = [references_section(material, material.pooled), _versions(material)]
    if not material.pooled:  # what is missing says more than sections without anything in them
        there = [
            trials_section(material) if len(material.trials) else None,
            rows_section(material) if len(material.rows) else None,
        ]
        found = [question, *records, there[0], _audit(material), there[1], *closing]
        return tuple(section for section in found if section is not None)
    found = [
        question,
        _in_brief(material),
        methods_section(material, [one.fit for one in material.pooled]),
        trials_section(material),
        _results(material),
        _heterogeneity(material),
        subgroup_section(material, ledger.questions if ledger else ()),
        class_section(material),
        sensitivity_section(material),
        _audit(material),
        *records,
        rows_section(material),
        *closing,
    ]
    return tuple(section for section in found if section is not None)


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _question(material: Material, ledger: Ledger | None) -> Section:
    blocks: list[Block] = []
    review = material.review
    known, rows = material.trials, material.usable
    if review is not None and review.note:
        blocks.append(Words(text=review.note))
    formats = dict.fromkeys(rows["format"].astype(str)) if "format" in rows else {}
    named = [FORMATS[name] for name in FORMATS if name in formats]
    what = f"{_listed(named)} peer support" if named else "peer support"
    if material.pooled and material.kind != "fits":
        outcomes = [one.title for one in material.pooled if not one.printed] or [p.title for p in material.pooled]
        blocks.append(
            Words(
                text=f"Asked here: what {what} (arm 1) does, beside the comparison (arm 2), on each of "
                f"{count(len(outcomes), 'outcome')}: {_listed([_lower(name) for name in outcomes])}."
                if len(outcomes) > 1
                else f"Asked here: what {what} (arm 1) does, beside the comparison (arm 2), on {_lower(outcomes[0])}."
            )
        )
    if len(rows):
        trials = rows["study_id"].nunique() if "study_id" in rows else len(rows)
        text = f"Pooled: {count(len(rows), 'row')} of {count(int(trials), 'trial')}"
        if material.datasets:
            mine = int(rows["mine"].astype(bool).sum())
            others = _listed(material.datasets)
            if mine == len(rows):
                text += f"; printed results are computed again from rows of {others}, too"
            else:
                own = f"{mine} of this review's own table, {len(rows) - mine} of" if mine else "none its own, all of"
                text += f"; {own} {others}"
        blocks.append(Words(text=f"{text}."))
    if ledger is not None and ledger.claims:
        said = [f"{claim.statement} ({claim.verdict})" for claim in ledger.claims]
        blocks.append(Words(text="Findings in words that are held against the evidence:"))
        blocks.append(Points(items=tuple(said)))
    if not len(rows):
        reason = f"{count(len(known), 'trial')} known by name" if len(known) else "no trial"
        blocks.append(
            Words(
                text=f"There is no row of a trial that can be pooled ({reason}). What is missing, and where to look, "
                "stands below.",
                tone="doubt",
            )
        )
    return Section(key="question", title="The question", blocks=blocks)


def _lower(words: str) -> str:
    return words if words[1:2].isupper() else words[:1].lower() + words[1:]


def _in_brief(material: Material) -> Section | None:
    """The forest of outcomes, by measure, printed results apart."""
    blocks: list[Block] = []
    kinds = ((True, "Results that the review printed, computed again"), (False, "Each outcome"))
    for printed, title in kinds:
        here = [one for one in material.pooled if one.printed == printed]
        groups: dict[tuple[str, str], list[Pooled]] = {}
        for one in here:
            groups.setdefault((one.fit.measure, one.fit.positive_favours), []).append(one)
        for number, ((code, _), members) in enumerate(groups.items()):
            shown = f"{title}: {measure_of(code).name}" if len(groups) > 1 else title
            key = f"overview-{'printed' if printed else 'outcomes'}{'' if not number else f'-{number + 1}'}"
            blocks.append(Overview(key=key, title=shown, pooled=tuple(members)))
    if not blocks:
        return None
    return Section(key="brief", title="The forest of outcomes", blocks=blocks)


def _results(material: Material) -> Section:
    if not material.pooled:
        return Section(key="results", title="Results", blocks=[Words(text="Nothing is pooled.")])
    labels = row_labels(material)
    parts = []
    for one in material.pooled:
        blocks: list[Block] = [Forest(pooled=one, rows=labels)]
        blocks += [Words(text=note, tone="note") for note in dict.fromkeys(one.fit.notes)]
        if one.fit.excluded:
            left = "; ".join(f"{label}: {reason}" for label, reason in one.fit.excluded)
            blocks.append(Words(text=f"{count(len(one.fit.excluded), 'row')} not pooled ({left})", tone="note"))
        title = f"Printed result: {one.title}" if one.printed else one.title
        parts.append(Section(key=one.key, title=title, blocks=blocks))
    return Section(key="results", title="Results", parts=parts)


def _heterogeneity(material: Material) -> Section:
    several = [one for one in material.pooled if one.fit.k > 1]
    title = "Heterogeneity"
    if not several:
        words = "No result pools more than one row, so that nothing can vary between trials."
        return Section(key="heterogeneity", title=title, blocks=[Words(text=words)])
    rows = []
    for one in several:
        fit = one.fit
        pi = fit.prediction_interval
        measure = measure_of(fit.measure)
        pi_low, pi_high = (math.nan, math.nan) if pi is None else (measure.display(end, fit.se**2) for end in pi)
        tau2 = "" if fit.tau2_ci is None or fit.tau2_ci.empty else format_interval(fit.tau2_ci.low, fit.tau2_ci.high, 4)
        rows.append(
            (
                one.title,
                str(fit.k),
                format_number(fit.tau2, 4) if fit.model == "random" else "none",
                tau2 or "NA",
                _percent(fit.I2),
                _percent(fit.I2_Q),
                f"{format_number(fit.Q)} ({fit.Q_df} df)",
                format_p(fit.Q_p),
                format_interval(pi_low, pi_high),
            )
        )
    levels = {one.fit.level for one in several}
    level = f"{format_level(levels.pop())} " if len(levels) == 1 else ""
    header = (
        "what is pooled",
        "k",
        "tau²",
        f"{level}CI of tau²",
        "I² (tau²)",
        "I² (Q)",
        "Q",
        "p of Q",
        f"{level}prediction interval",
    )
    note = (
        "Suspicious rows as printed, pooled by the first of the methods. tau² is in the units of the effects squared "
        "(logarithms for ratios); under a common effect there is none. I² is the share of the observed variance that "
        "is not sampling error; it grows with the size of the trials and does not say how much effects differ: the "
        "prediction interval does."
    )
    table = TextTable(title="How much effects vary between trials", header=header, rows=rows, notes=(note,))
    return Section(key="heterogeneity", title=title, blocks=[Sheet(table=table)])


def _percent(value: float) -> str:
    return "NA" if math.isnan(value) else f"{format_number(value, 0)}%"


def _audit(material: Material) -> Section:
    title = "Audit of the rows"
    blocks: list[Block] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        review = material.review
        try:
            if review is not None and len(review.outcomes):
                blocks += result_blocks(audit(review))
            elif review is None and material.kind == "table":
                data = material.rows.drop(columns=["pooled", "mine", "dataset", "key"])
                blocks += result_blocks(audit(data))
            if review is not None and len(review.published):
                blocks += _published_audit(review.published)
        except MetapeerError as error:
            blocks.append(Words(text=f"Not audited: {error}", tone="doubt"))
    if not blocks:
        blocks.append(Words(text="There is no row of its own, and no printed result, to audit."))
    return Section(key="audit", title=title, blocks=blocks)


def _published_audit(published: pd.DataFrame) -> list[Block]:
    return [
        Sheet(table=block.table, folded=True) if isinstance(block, Sheet) and len(block.table.rows) > 5 else block
        for block in result_blocks(audit_published(published))
    ]


def _ledger(ledger: Ledger | None) -> Section | None:
    if ledger is None:
        return None
    title = "Published and recomputed"
    blocks: list[Block] = []
    if ledger.entries:
        numbers = Ledger(titles=ledger.titles, entries=ledger.entries, claims=(), questions=())
        for block in result_blocks(numbers):
            if isinstance(block, Sheet):
                sources: list[Source] = []
                for entry in ledger.entries:
                    sources += [source_of(entry.published), *(Source() for _ in entry.variants)]
                block = Sheet(table=block.table, sources=tuple(sources))  # noqa: PLW2901
            blocks.append(block)
    if ledger.claims:
        claims = Ledger(titles=ledger.titles, entries=(), claims=ledger.claims, questions=())
        blocks += result_blocks(claims)
    if not blocks:
        blocks.append(
            Words(text="The review printed no pooled number that is recorded here, and no claim is recorded.")
        )
    return Section(key="ledger", title=title, blocks=blocks)


def _missing(material: Material, ledger: Ledger | None) -> Section:
    blocks: list[Block] = []
    review = material.review
    work = review.extras.get("worklist") if review is not None else None
    if work is not None and len(work):
        header = ("trial", "outcome", "needed", "where to look", "note")
        columns = ["study_id", "outcome", "needed", "where_to_look", "note"]
        frame = work.reindex(columns=columns, fill_value="").fillna("").astype(str)
        rows = [
            (trial or "all", outcome_words(outcome) if outcome else "", *rest)
            for trial, outcome, *rest in frame.to_numpy().tolist()
        ]
        blocks.append(Sheet(table=TextTable(title="Worklist", header=header, rows=rows)))
    if ledger is not None:
        cannot = [entry for entry in ledger.entries if entry.verdict == "cannot be recomputed"]
        if cannot:
            rows = [(entry.published_id, entry.explanation) for entry in cannot]
            title = f"{count(len(cannot), 'printed result')} that cannot be recomputed"
            blocks.append(
                Sheet(table=TextTable(title=title, header=("result", "because"), rows=rows), folded=len(rows) > 8)
            )
    if material.unpooled:
        table = TextTable(title="Not pooled", header=("outcome", "because"), rows=material.unpooled)
        blocks.append(Sheet(table=table))
    if len(material.rows):
        mine = material.rows[material.rows["mine"].astype(bool)]
        reasons = mine["exclusion_reason"].fillna("").astype(str)
        if (reasons != "").any():
            rows = list(zip(mine.loc[reasons != "", "row_id"].astype(str), reasons[reasons != ""], strict=True))
            title = f"{count(len(rows), 'row')} that cannot be pooled"
            blocks.append(
                Sheet(table=TextTable(title=title, header=("row", "because"), rows=rows), folded=len(rows) > 8)
            )
    if material.trials.shape[0]:
        known = set() if not len(material.rows) else set(material.rows["study_id"].astype(str))
        own = material.trials
        if review is not None:
            own = own[own["study_id"].isin(review.trials["study_id"])]
        silent = [name for name in own["study_id"].astype(str) if name not in known]
        if silent:
            words = f"{count(len(silent), 'trial')} without any row of results: {', '.join(silent)}."
            blocks.append(Words(text=words))
    if not blocks:
        blocks.append(Words(text="Nothing is known to be missing."))
    return Section(key="missing", title="What is missing", blocks=blocks)


def _news(material: Material) -> Section | None:
    contents = material.contents()
    if NEWS not in contents:
        return None
    blocks = news_blocks(contents[NEWS].decode("utf-8", "replace"))
    if LOCK in contents:
        lock = read_lock(contents[LOCK], LOCK)
        words = (
            f"Locked: version {lock.version} of {lock.date or 'an unknown day'}, {count(len(lock.results), 'result')}."
        )
        changed = [name for name, hashed in input_hashes(contents).items() if lock.inputs.get(name) != hashed]
        changed += [name for name in lock.inputs if name not in contents]
        tone = "doubt" if changed else ""
        words += f" Changed since: {', '.join(changed)}." if changed else " No file changed since."
        blocks.insert(0, Words(text=words, tone=tone))
    return Section(key="news", title="What's new", blocks=blocks)


def _versions(material: Material) -> Section:
    software_rows = list({**software(), "jinja2": package_version("jinja2")}.items())
    blocks: list[Block] = [
        Sheet(table=TextTable(title="Software", header=("package", "version"), rows=software_rows)),
    ]
    contents = material.contents()
    if contents:
        rows = [*input_hashes(contents).items(), *other_hashes(contents).items()]
        title = f"Files of {material.name}"
        blocks.append(Sheet(table=TextTable(title=title, header=("file", "hash"), rows=rows)))
        used = list(bundled_hashes(material.datasets).items())
        blocks.append(
            Sheet(table=TextTable(title="Bundled data that were used", header=("file", "hash"), rows=used), folded=True)
        )
    else:
        blocks.append(Words(text="A table or result in memory has no file to name by its hash."))
    if material.review is not None and material.review.licence:
        blocks.append(Words(text=f"Licence of the data: {material.review.licence}."))
    return Section(key="versions", title="Versions and hashes", blocks=blocks)
