"""What a row may hold: every table of a review, column by column.

This is the one definition. Reading checks against it, each ``datapackage.json`` carries it, and the data dictionary
in the documentation is written from it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

__all__ = [
    "ARMS",
    "CLAIMS",
    "EXTRACTION",
    "EXTRA_TABLES",
    "IMPLEMENTATION",
    "INSTRUMENTS",
    "OUTCOMES",
    "OVERRIDES",
    "PUBLISHED",
    "TABLES",
    "TRIALS",
    "Field",
    "Table",
]

FieldType = Literal["string", "integer", "number", "digits"]

FORMATS = ("one_to_one", "group", "mixed")
OUTCOME_CLASSES = ("psychosocial", "clinical", "service_use", "other")
DIRECTIONS = ("higher_better", "lower_better")
TIMEPOINTS = ("end_of_treatment", "follow_up")
STATISTICS = ("post", "change", "adjusted")
CLAIM_TYPES = ("benefit", "no_effect", "no_evidence", "larger", "moderation")
ARMS = ("arm1", "arm2")
IMPLEMENTED = ("yes", "partly", "no")
# The five factors of Mirbahaeddin & Chreim (2022), doi 10.1007/s10488-021-01186-8.
IMPLEMENTATION = {
    "impl_role_description": "the peers' role was described: its tasks, and its limits beside other staff",
    "impl_training": "peers were trained for the role; a certificate as peer worker alone is partly",
    "impl_team_preparation": "the team or service was prepared for working with peers",
    "impl_shared_expectations": "peers, team and managers agreed on what to expect of the role",
    "impl_supervision": "peers had supervision and support in their work",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One column.

    Parameters
    ----------
    name : str
        The header.
    description : str
        What the cell means, with its unit.
    type : {"string", "integer", "number", "digits"}
        ``"digits"`` is a number kept as the text that was printed, so that 0.10 does not become 0.1.
    required : bool
        Whether a cell must be filled.
    categories : tuple of str
        The only values allowed; empty when any will do.
    minimum, maximum : float, optional
        Inclusive bounds of a number.
    above, below : float, optional
        Exclusive bounds of a number.
    """

    name: str
    description: str
    type: FieldType = "string"
    required: bool = False
    categories: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One kind of table.

    Parameters
    ----------
    name : str
        The file's stem.
    description : str
        What one row is.
    fields : tuple of Field
        The columns, in the order they are written.
    key : tuple of str
        The columns that together name a row.
    references : dict
        Column to the ``(table, column)`` where its values must stand.
    """

    name: str
    description: str
    fields: tuple[Field, ...]
    key: tuple[str, ...]
    references: dict[str, tuple[str, str]]

    def __getitem__(self, name: str) -> Field:
        """Return the column called `name`."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The headers, in order."""
        return tuple(field.name for field in self.fields)


def _arm(number: int) -> tuple[Field, ...]:
    who = "peer support arm" if number == 1 else "comparison arm"
    return (
        Field(name=f"n{number}", type="integer", minimum=2, description=f"participants analysed in the {who}"),
        Field(name=f"mean{number}", type="number", description=f"mean of the {who}, in the instrument's units"),
        Field(
            name=f"sd{number}",
            type="number",
            above=0,
            description=f"standard deviation (not standard error) of the {who}, in the instrument's units",
        ),
    )


def _events(number: int) -> tuple[Field, ...]:
    who = "peer support arm" if number == 1 else "comparison arm"
    return (
        Field(
            name=f"events{number}",
            type="integer",
            minimum=0,
            description=f"participants with the event in the {who}; at most total{number}",
        ),
        Field(name=f"total{number}", type="integer", minimum=1, description=f"participants at risk in the {who}"),
    )


def _implementation() -> Iterator[Field]:
    for name, statement in IMPLEMENTATION.items():
        yield Field(
            name=name,
            categories=IMPLEMENTED,
            description=f"whether {statement}; empty when the source does not say",
        )
        yield Field(
            name=f"{name}_words",
            description=f"what the source says of it, in its own words; needed where {name} is filled",
        )
    yield Field(
        name="impl_source", description="where the words on implementation were read; needed where there are any"
    )


_SOURCE = (
    Field(name="source", required=True, description="the document the row was read in, with table or page"),
    Field(name="source_url", description="where that document can be found"),
    Field(name="note", description="anything a reader must know to trust the row"),
)

OUTCOMES = Table(
    name="outcomes",
    description="One comparison of two arms, on one outcome, by one instrument, at one time point. "
    "Arm 1 is peer support.",
    key=("row_id",),
    references={"study_id": ("trials", "study_id"), "instrument": ("instruments", "instrument")},
    fields=(
        Field(name="row_id", required=True, description="name of the row, unique in its file: study_id.number"),
        Field(name="study_id", required=True, description="the trial: first author and year; a letter if needed"),
        Field(name="comparison", description="which arms are compared, when a trial has more than two"),
        Field(
            name="arm1",
            description="name of the peer support arm within its trial; rows of a trial that name the same arm share "
            "its participants; empty when not recorded",
        ),
        Field(
            name="arm2",
            description="name of the comparison arm within its trial; rows that name the same one have a control "
            "group in common",
        ),
        Field(name="format", categories=FORMATS, description="how peer support was delivered"),
        Field(name="comparator", description="what the comparison arm received, in the source's code"),
        Field(name="outcome_group", description="the heading under which the review pooled the row"),
        Field(
            name="outcome",
            required=True,
            description="what was measured; other:... where no common name exists",
        ),
        Field(
            name="outcome_class",
            required=True,
            categories=OUTCOME_CLASSES,
            description="the kind of outcome the row counts as",
        ),
        Field(
            name="instrument",
            required=True,
            description="the scale or event, as the source names it; its direction stands in instruments.csv",
        ),
        Field(name="timepoint", categories=TIMEPOINTS, description="when it was measured"),
        Field(
            name="timepoint_months",
            type="number",
            minimum=0,
            description="when it was measured, in months since randomisation",
        ),
        Field(
            name="statistic",
            categories=STATISTICS,
            description="post: scores at the time point; change: change from baseline; adjusted: from a model",
        ),
        *_arm(1),
        *_arm(2),
        *_events(1),
        *_events(2),
        Field(name="es_type", description="kind of a ready-made effect, in the source's words"),
        Field(name="es", type="number", description="ready-made effect, with the source's sign"),
        Field(name="es_se", type="number", above=0, description="its standard error"),
        Field(name="es_ci_low", type="number", description="lower limit of its 95% confidence interval"),
        Field(name="es_ci_high", type="number", description="upper limit of its 95% confidence interval"),
        Field(name="p_value", type="digits", description="p value as printed, with any < sign"),
        Field(
            name="review_yi",
            type="number",
            description="the effect that the review itself pooled for this row; positive favours peer support",
        ),
        Field(
            name="review_sei",
            type="number",
            above=0,
            description="the standard error that the review used with it",
        ),
        Field(
            name="exclusion_reason",
            description="why the row must not be pooled as it stands; empty when it can be",
        ),
        *_SOURCE,
    ),
)

TRIALS = Table(
    name="trials",
    description="One randomised trial.",
    key=("study_id",),
    references={},
    fields=(
        Field(name="study_id", required=True, description="the trial: first author and year; a letter if needed"),
        Field(name="citation", required=True, description="full reference"),
        Field(name="doi", description="digital object identifier of the report"),
        Field(name="year", type="integer", minimum=1900, maximum=2100, description="year of the report"),
        Field(name="country", description="where the trial was done, as the source writes it"),
        Field(
            name="n_intervention",
            description="participants randomised to peer support, as the source writes it",
        ),
        Field(name="n_control", description="participants randomised to the comparison, as the source writes it"),
        Field(name="population", description="who took part"),
        Field(name="intervention", description="what the peer support arm received"),
        Field(name="comparator", description="what the comparison arm received"),
        Field(name="peer_support_type", description="format and delivery in the source's words"),
        Field(
            name="follow_up_months",
            description="times of measurement in months; several are parted by a semicolon",
        ),
        Field(name="disorder", description="the review's broad diagnostic group"),
        Field(name="perinatal", categories=("Yes", "No"), description="whether participants were perinatal"),
        Field(name="recruitment", description="where participants were recruited"),
        Field(name="percent_women", type="number", minimum=0, maximum=100, description="women, in per cent"),
        Field(name="mean_age", type="number", minimum=0, maximum=120, description="mean age in years"),
        Field(name="delivery", description="in person, at a distance, or both"),
        Field(name="structure", description="whether the peer support followed a manual or curriculum"),
        Field(
            name="design",
            categories=("parallel", "cluster", "crossover"),
            description="who was randomised: people to one arm each, whole clusters of people, or people to an order "
            "of treatments; empty when the source does not say",
        ),
        Field(
            name="mean_cluster_size",
            type="number",
            minimum=1,
            description="of a cluster trial, the mean number of analysed participants of a cluster",
        ),
        Field(
            name="icc",
            type="number",
            minimum=-1,
            maximum=1,
            description="of a cluster trial, the intracluster correlation of the outcome, where a source gives it",
        ),
        *_implementation(),
        *(
            Field(name=f"rob_d{i}", description=f"risk of bias (RoB 2), domain {i}: {name}")
            for i, name in enumerate(
                (
                    "randomisation process",
                    "deviations from the intended interventions",
                    "missing outcome data",
                    "measurement of the outcome",
                    "selection of the reported result",
                ),
                start=1,
            )
        ),
        Field(name="rob_overall", description="risk of bias (RoB 2), overall judgement"),
        Field(
            name="risk_of_bias",
            description="risk of bias in the source's words, where it is not RoB 2 by domain",
        ),
        Field(name="review_membership", description="the reviews that included the trial, and how sure that is"),
        Field(name="eligibility_doubt", description="why the trial may not belong to the question asked"),
        *_SOURCE,
    ),
)

_PRINTED = "as printed, digits kept"
PUBLISHED = Table(
    name="published",
    description="One pooled result, as a review printed it.",
    key=("published_id",),
    references={},
    fields=(
        Field(name="published_id", required=True, description="name of the result, unique in its file"),
        Field(name="review", required=True, description="the review that printed it"),
        Field(name="doi", description="digital object identifier of the review"),
        Field(name="outcome", required=True, description="what was pooled, in the review's words"),
        Field(name="outcome_class", required=True, categories=OUTCOME_CLASSES, description="the kind of outcome"),
        Field(name="subgroup", description="which trials, where not all"),
        Field(name="timepoint", description="when, in the review's words"),
        Field(name="k", type="digits", description=f"studies pooled, {_PRINTED}"),
        Field(name="n", type="digits", description=f"participants, {_PRINTED}"),
        Field(name="es_type", description="effect measure"),
        Field(name="model", description="common or random effects, where stated"),
        Field(name="es", type="digits", description=f"pooled estimate, {_PRINTED}"),
        Field(
            name="ci_low",
            type="digits",
            description=f"lower limit of the 95% confidence interval, {_PRINTED}",
        ),
        Field(
            name="ci_high",
            type="digits",
            description=f"upper limit of the 95% confidence interval, {_PRINTED}",
        ),
        Field(name="z", type="digits", description=f"test statistic, {_PRINTED}"),
        Field(name="p", type="digits", description=f"p value, {_PRINTED}"),
        Field(name="i2", type="digits", description=f"I² in per cent, {_PRINTED}"),
        Field(name="i2_ci_low", type="digits", description=f"lower limit of its 95% interval, {_PRINTED}"),
        Field(name="i2_ci_high", type="digits", description=f"upper limit of its 95% interval, {_PRINTED}"),
        Field(name="tau2", type="digits", description=f"between-study variance, {_PRINTED}"),
        Field(name="q", type="digits", description=f"Cochran's Q, {_PRINTED}"),
        Field(name="q_df", type="digits", description="its degrees of freedom"),
        Field(name="q_p", type="digits", description=f"its p value, {_PRINTED}"),
        Field(name="direction_note", description="which sign favours peer support, in words"),
        Field(name="via", description="the paper that quotes the number, when the review itself was not read"),
        *_SOURCE,
    ),
)

INSTRUMENTS = Table(
    name="instruments",
    description="One scale or event, and which way is good.",
    key=("instrument",),
    references={},
    fields=(
        Field(name="instrument", required=True, description="the scale or event, as the source names it"),
        Field(name="construct", description="what it measures"),
        Field(name="outcome", required=True, description="the outcome it is counted under"),
        Field(name="outcome_class", required=True, categories=OUTCOME_CLASSES, description="the kind of outcome"),
        Field(
            name="direction",
            categories=DIRECTIONS,
            description="which way is good for the participant; empty when unknown, and then nothing is pooled",
        ),
        Field(name="min", type="number", description="lowest possible score, where a source gives it"),
        Field(name="max", type="number", description="highest possible score, where a source gives it"),
        Field(name="source", required=True, description="who coded the direction"),
        Field(name="note", description="anything a reader must know"),
    ),
)

CLAIMS = Table(
    name="claims",
    description="One finding that a review states in words.",
    key=("claim_id",),
    references={},
    fields=(
        Field(name="claim_id", required=True, description="name of the claim"),
        Field(
            name="review",
            required=True,
            description="the review or reviews that make it; several are parted by ;",
        ),
        Field(name="doi", description="their digital object identifiers, in the same order"),
        Field(name="format", categories=FORMATS, description="the format of peer support it speaks of"),
        Field(name="population", description="whom it speaks of"),
        Field(name="outcome", description="the outcome it speaks of; empty when it speaks of a whole class"),
        Field(name="outcome_class", description="the kind of outcome; a>b for a claim that compares two kinds"),
        Field(name="claim", required=True, categories=CLAIM_TYPES, description="what is claimed, in one word"),
        Field(name="statement", required=True, description="the finding, in words close to the source's"),
        Field(name="source", required=True, description="where in the review"),
    ),
)

OVERRIDES = Table(
    name="overrides",
    description="One cell of outcomes.csv that may be wrong, and what to use instead when the correction is asked for.",
    key=("row_id", "column"),
    references={"row_id": ("outcomes", "row_id")},
    fields=(
        Field(
            name="override_id",
            required=True,
            description="name of the correction; rows that share it go together",
        ),
        Field(name="row_id", required=True, description="the row of outcomes.csv"),
        Field(name="column", required=True, description="the column of outcomes.csv"),
        Field(name="raw", description="the cell as it stands; must agree with outcomes.csv"),
        Field(name="value", description="what to use instead; empty clears the cell"),
        Field(
            name="status",
            required=True,
            categories=("suspected", "confirmed"),
            description="suspected: from the numbers alone; confirmed: seen in the primary paper",
        ),
        Field(name="reason", required=True, description="why"),
        Field(name="source", required=True, description="on what evidence"),
        Field(name="author", description="who recorded the correction"),
        Field(name="date", description="when it was recorded, as year-month-day"),
    ),
)

_EFFECT = (
    Field(
        name="direction",
        categories=DIRECTIONS,
        description="which way the instrument is good for the participant, where instruments.csv does not know it",
    ),
    Field(name="measure", description='effect measure of yi, in metafor\'s code, such as "SMD"'),
    Field(name="yi", type="number", description="a ready-made effect, log for ratios"),
    Field(name="vi", type="number", above=0, description="its sampling variance"),
    Field(name="sei", type="number", above=0, description="its standard error, the square root of vi"),
)

# Events in person-time, log-rank statistics and single groups: no bundled review has them, a table of one's own may.
_RATES_AND_GROUPS = (
    Field(name="time1", type="number", above=0, description="person-time of the peer support arm, in any one unit"),
    Field(name="time2", type="number", above=0, description="person-time of the comparison arm, in the same unit"),
    Field(
        name="oe",
        type="number",
        description="observed minus expected events of the peer support arm, by a log-rank test",
    ),
    Field(name="v", type="number", above=0, description="variance of oe"),
    Field(name="events", type="integer", minimum=0, description="events in a single group; at most total"),
    Field(name="total", type="integer", minimum=1, description="participants of a single group at risk"),
    Field(name="time", type="number", above=0, description="person-time of a single group"),
    Field(name="mean", type="number", description="mean of a single group"),
    Field(name="sd", type="number", above=0, description="standard deviation of a single group"),
    Field(name="r", type="number", minimum=-1, maximum=1, description="correlation in a single group"),
    Field(name="n", type="integer", minimum=2, description="participants behind mean and sd, or behind r"),
)

EXTRACTION = Table(
    name="extraction",
    description="One row of a table of your own: the columns of outcomes and, beside them, those of trials, "
    "each of them optional but study_id and one way to an effect.",
    key=("row_id",),
    references={},
    fields=tuple(
        replace(field, required=field.name == "study_id")
        for field in (
            *OUTCOMES.fields,
            *_EFFECT,
            *_RATES_AND_GROUPS,
            *(field for field in TRIALS.fields if field.name not in OUTCOMES.names),
        )
    ),
)

TABLES = {table.name: table for table in (TRIALS, OUTCOMES, PUBLISHED, OVERRIDES, INSTRUMENTS, CLAIMS)}


def _unfinished(table: Table, name: str, description: str) -> Table:
    """Give a table's columns to rows that are not finished: only what names them must be filled."""
    fields = tuple(replace(field, required=field.name in table.key) for field in table.fields)
    return Table(name=name, description=description, fields=fields, key=table.key, references={})


EXTRA_TABLES = {
    "derived_counts": _unfinished(
        OUTCOMES,
        "derived_counts",
        "Event counts that no source prints: the only whole numbers that give a printed ratio and both its limits. "
        "They never enter an analysis unasked.",
    ),
    "transcription": _unfinished(
        PUBLISHED,
        "transcription",
        "Pooled results still to be typed in from the review; the columns of published.",
    ),
    "worklist": Table(
        name="worklist",
        description="What is missing before a result can be computed, and where to look for it.",
        key=(),
        references={},
        fields=(
            Field(name="study_id", description="the trial; empty where it is not known which trials are meant"),
            Field(name="outcome", description="the outcome"),
            Field(name="needed", required=True, description="what is missing"),
            Field(name="where_to_look", required=True, description="the document that should have it"),
            Field(name="note", description="what is known already"),
        ),
    ),
    "implementation_factors": Table(
        name="implementation_factors",
        description="What a narrative review says makes peer support work; words, not numbers.",
        key=(),
        references={},
        fields=(
            Field(name="factor", required=True, description="the factor, in a few words"),
            Field(name="statement", required=True, description="the finding, in words close to the source's"),
            Field(name="source", required=True, description="where in the review"),
        ),
    ),
}
