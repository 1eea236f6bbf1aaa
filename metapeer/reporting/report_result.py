"""A report: the page, the text and the document, all written from the same sections."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from metapeer.errors import MetapeerError
from metapeer.formatting import Printable, TextTable, count, format_interval, format_level, format_number
from metapeer.pooling.results import measure_of
from metapeer.reporting.report_blocks import (
    Block,
    Choice,
    Forest,
    Funnel,
    Overview,
    Points,
    Pooled,
    Section,
    Sheet,
    Words,
)

__all__ = ["Report"]

FORMS = (".html", ".md", ".docx")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Report(Printable):
    """The result of `report`.

    Parameters
    ----------
    title : str
        Of the report.
    about : tuple of str
        Whose work it is.
    sections : tuple of Section
        What it says.
    pooled : tuple of Pooled
        What was pooled, in every variant.
    row_choices, method_choices : tuple of Choice
        The variants; the first of each is what is shown first.
    """

    title: str
    about: tuple[str, ...]
    sections: tuple[Section, ...]
    pooled: tuple[Pooled, ...]
    row_choices: tuple[Choice, ...]
    method_choices: tuple[Choice, ...]

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the report in words.

        Returns
        -------
        sequence of TextTable
            What was pooled, and the sections.
        """
        rows = [overview_row(one) for one in self.pooled]
        notes = [f"sections: {', '.join(section.title for section in self.sections)}"]
        variants = len(self.row_choices) * len(self.method_choices)
        notes.append(f"{count(variants, 'variant')} of each pooled result in the page")
        return [TextTable(title=self.title, header=OVERVIEW, rows=rows, notes=notes)]

    def _repr_html_(self) -> str:
        return "\n".join(table.to_html() for table in self.text_tables())

    def to_html(self) -> str:
        """Write the report as one HTML page that needs nothing else.

        Returns
        -------
        str
            The page; the same for the same report.
        """
        from metapeer.reporting.page_html import page_html

        return page_html(
            title=self.title,
            about=self.about,
            sections=self.sections,
            rows=self.row_choices,
            methods=self.method_choices,
            pooled=bool(self.pooled),
        )

    def to_markdown(self) -> str:
        """Write the report as Markdown, suspicious rows as printed and the method as planned.

        Returns
        -------
        str
            CommonMark with tables; what was typed stays text.
        """
        from metapeer.reporting.report_markdown import report_markdown

        return report_markdown(self)

    def to_docx(self, path: str | Path) -> Path:
        """Write the report as a Word document, with figures.

        Parameters
        ----------
        path : str or Path
            The file.

        Returns
        -------
        Path
            The same.

        Raises
        ------
        MetapeerError
            If python-docx is not installed, or the file cannot be written.
        """
        from metapeer.reporting.report_docx import report_docx

        return _write(Path(path), report_docx(self))

    def save(self, path: str | Path) -> Path:
        """Write the report to a file; its suffix says how.

        Parameters
        ----------
        path : str or Path
            A name that ends with ``.html``, ``.md`` or ``.docx``. For PDF, print the page.

        Returns
        -------
        Path
            The same.

        Raises
        ------
        MetapeerError
            If the suffix is another, or the file cannot be written.
        """
        path = check_form(path)
        if path.suffix.lower() == ".docx":
            return self.to_docx(path)
        text = self.to_html() if path.suffix.lower() == ".html" else self.to_markdown()
        return _write(path, text.encode("utf-8", "replace"))


def check_form(path: str | Path) -> Path:
    """Refuse a file whose suffix says nothing, before anything is computed.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    Path
        The same.

    Raises
    ------
    MetapeerError
        If the suffix is not one of a report.
    """
    if not isinstance(path, str | Path):
        raise MetapeerError(f"the file is a {type(path).__name__}; give its name, such as report.html")
    path = Path(path)
    if path.suffix.lower() not in FORMS:
        pdf = "; for PDF, print the page from a browser" if path.suffix.lower() == ".pdf" else ""
        raise MetapeerError(f"{path.name}: give a file that ends with {', '.join(FORMS)}{pdf}")
    return path


def _write(path: Path, content: bytes) -> Path:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise MetapeerError(f"{path} cannot be written: {error.strerror}") from error
    return path


OVERVIEW = ("what is pooled", "effects", "trials", "measure", "estimate", "interval", "level")


def overview_row(one: Pooled) -> tuple[str, ...]:
    """Write a pooled result as a row of a table.

    Parameters
    ----------
    one : Pooled
        The result.

    Returns
    -------
    tuple of str
        The cells of `OVERVIEW`.
    """
    fit = one.fit
    measure = measure_of(fit.measure)
    low, high = (measure.display(end, fit.se**2) for end in fit.ci)
    return (
        f"{one.title} (printed result)" if one.printed else one.title,
        str(fit.k),
        str(fit.trials),
        fit.measure or "effect",
        format_number(measure.display(fit.estimate, fit.se**2)),
        format_interval(low, high),
        format_level(fit.level),
    )


def plain_blocks(blocks: Sequence[Block]) -> Iterator[Words | Points | Sheet | Forest]:
    """Turn plots of several variants into tables of the first, for forms that do not switch.

    Parameters
    ----------
    blocks : sequence of Block
        Of a section.

    Yields
    ------
    Words, Points, Sheet or Forest
        A forest plot is followed by the table of its studies; a funnel plot is left out, and an overview is a table.
    """
    for block in blocks:
        if isinstance(block, Forest):
            yield block
            yield Sheet(table=_studies(block))
        elif isinstance(block, Overview):
            yield Sheet(
                table=TextTable(title=block.title, header=OVERVIEW, rows=[overview_row(one) for one in block.pooled])
            )
        elif not isinstance(block, Funnel):
            yield block


def _studies(block: Forest) -> TextTable:
    fit = block.pooled.fit
    measure = measure_of(fit.measure)
    frame = fit.studies()
    rows = []
    for (label, low, yi, high, weight), vi in zip(
        frame[["label", "ci_low", "yi", "ci_high", "weight"]].itertuples(index=False, name=None),
        fit.vi.tolist(),
        strict=True,
    ):
        shown = [measure.display(value, vi) for value in (low, yi, high)]
        rows.append(
            (
                str(label),
                format_number(shown[1]),
                format_interval(shown[0], shown[2]),
                f"{format_number(weight, 1)}%",
            )
        )
    low, high = (measure.display(end, fit.se**2) for end in fit.ci)
    estimate = format_number(measure.display(fit.estimate, fit.se**2))
    rows.append(
        (f"{'Pooled' if fit.k > 1 else 'One study'}, {fit.ci.method}", estimate, format_interval(low, high), "100%")
    )
    if fit.prediction_interval is not None:
        low, high = (measure.display(end, fit.se**2) for end in fit.prediction_interval)
        rows.append(("Prediction interval", "", format_interval(low, high), ""))
    header = ("study", fit.measure or "effect", f"{format_level(fit.level)} CI", "weight")
    return TextTable(title=block.pooled.title, header=header, rows=rows)
