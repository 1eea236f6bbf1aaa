"""What a sequential analysis found: a row for each look, boundaries, and a conclusion that is computed from them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from metapeer.formatting import Printable, TextTable, format_interval, format_level, format_number
from metapeer.living.sequential_information import RequiredInformation
from metapeer.living.sequential_words import CAUTIONS, LABEL, conclusion_words
from metapeer.pooling.intervals import normal_quantile
from metapeer.pooling.results import measure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["SequentialLook", "SequentialResult"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialLook:
    """One look at the evidence.

    Parameters
    ----------
    value : str
        Of the column ordered by.
    added : tuple of str
        Trials that came in.
    k : int
        Trials so far.
    participants : int or None
        People in them; None unless all are known.
    estimate, se, z : float
        Pooled effect, its standard error, and their ratio.
    tau2 : float
        Variance between trials that it was pooled with.
    information : float
        On the scale of the horizontal axis.
    fraction : float or None
        As a share of what is required; None where nothing is.
    boundary : float or None
        For the absolute z: infinite where too little error may be spent yet, None where no test is made.
    futility : float or None
        Inner boundary; None where there is none.
    """

    value: str
    added: tuple[str, ...]
    k: int
    participants: int | None
    estimate: float
    se: float
    z: float
    tau2: float
    information: float
    fraction: float | None
    boundary: float | None
    futility: float | None

    @property
    def interval(self) -> tuple[float, float]:
        """The repeated interval, ``estimate ± boundary * se``; NaN where no test is made."""
        if self.boundary is None:
            return math.nan, math.nan
        return self.estimate - self.boundary * self.se, self.estimate + self.boundary * self.se

    @property
    def crossed(self) -> str:
        """The boundary that z lies beyond: "upper", "lower", "futility", or none."""
        if self.boundary is not None and abs(self.z) >= self.boundary:
            return "upper" if self.z > 0 else "lower"
        return "futility" if self.futility is not None and abs(self.z) < self.futility else ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SequentialResult(Printable):
    """The result of `trial_sequential_analysis`, `sequential_meta_analysis` or `law_of_iterated_logarithm`.

    Parameters
    ----------
    method : str
        Which of them, in words.
    design : str
        What was chosen, in words.
    measure, positive_favours : str
        Of the effects; empty when unknown.
    order : str
        The column that looks were ordered by.
    scale : str
        What information is measured in.
    looks : tuple of SequentialLook
        In order of time.
    alpha : float
        Two-sided error.
    required : RequiredInformation or None
        What is required, and for which effect; None where nothing is.
    end : float or None
        The required information on the scale of the looks.
    attained_power : float or None
        Power of these looks, with a last one at the required size if they do not reach it, none stopped for futility;
        where it is computed.
    curve : tuple of (float, float, float)
        Information, boundary and futility boundary (NaN for none) to draw lines through.
    notes : tuple of str
        What a reader must know of these data.
    """

    method: str
    design: str
    measure: str
    positive_favours: str
    order: str
    scale: str
    looks: tuple[SequentialLook, ...]
    alpha: float
    required: RequiredInformation | None
    end: float | None
    attained_power: float | None
    curve: tuple[tuple[float, float, float], ...]
    notes: tuple[str, ...]

    @property
    def title(self) -> str:
        """Name of the method, and that it is a sensitivity analysis only."""
        return f"{self.method} by {self.order} ({LABEL})"

    @property
    def crossed_at(self) -> int | None:
        """Position of the look on which the verdict rests, from 0; None without a conclusion."""
        for i, look in enumerate(self.looks):
            if look.crossed or (look.fraction is not None and look.fraction >= 1.0):
                return i
        return None

    @property
    def verdict(self) -> str:
        """What was crossed first: "upper", "lower", "futility"; or "required information reached", "no conclusion"."""
        at = self.crossed_at
        return "no conclusion" if at is None else self.looks[at].crossed or "required information reached"

    @property
    def conclusion(self) -> str:
        """The verdict in words: which boundary was crossed, and when."""
        effect, miss = "", math.nan
        if self.required is not None:
            shown = format_number(measure_of(self.measure).display(self.required.effect), 2)
            effect = f"{self.measure or 'effect'} {shown}"
            miss = 1.0 - (self.required.power if self.attained_power is None else self.attained_power)
        return conclusion_words(
            self.looks, self.verdict, self.crossed_at, self.order, self.positive_favours, effect, miss
        )

    def to_frame(self) -> pd.DataFrame:
        """Put the looks in rows.

        Returns
        -------
        DataFrame
            ``added``, ``value``, ``k``, ``participants``, ``estimate``, ``se``, ``tau2``, ``z``, ``penalised_z`` (z by
            its boundary, times the usual one), ``information``, ``fraction``, ``boundary``, ``futility``, ``ci_low``
            and ``ci_high`` (the repeated interval), ``crossed``; ratios on the log scale.
        """
        usual = normal_quantile(1.0 - self.alpha)
        rows = []
        for look in self.looks:
            boundary = math.nan if look.boundary is None else look.boundary
            low, high = look.interval
            rows.append(
                {
                    "added": "; ".join(look.added),
                    "value": look.value,
                    "k": look.k,
                    "participants": math.nan if look.participants is None else float(look.participants),
                    "estimate": look.estimate,
                    "se": look.se,
                    "tau2": look.tau2,
                    "z": look.z,
                    "penalised_z": look.z / boundary * usual,
                    "information": look.information,
                    "fraction": math.nan if look.fraction is None else look.fraction,
                    "boundary": boundary,
                    "futility": math.nan if look.futility is None else look.futility,
                    "ci_low": low,
                    "ci_high": high,
                    "crossed": look.crossed,
                }
            )
        return pd.DataFrame(rows)

    def text_tables(self) -> Sequence[TextTable]:
        """Describe looks, design and conclusion in words.

        Returns
        -------
        sequence of TextTable
            The looks; what was required; the conclusion with its cautions.
        """
        measure = measure_of(self.measure)
        shares = any(look.fraction is not None for look in self.looks)
        inner = any(look.futility is not None for look in self.looks)
        rows = []
        for look in self.looks:
            low, high = (measure.display(end, look.se**2) for end in look.interval)
            whole = look.boundary is not None and math.isinf(look.boundary)
            cells = [
                f"+ {'; '.join(look.added)}",
                look.value,
                str(look.k),
                format_number(look.information, 0 if look.information >= 1000 or self.scale == "participants" else 1),
                *(["" if look.fraction is None else f"{100 * look.fraction:.1f}%"] if shares else []),
                format_number(measure.display(look.estimate, look.se**2), 3),
                "" if look.boundary is None else "all" if whole else format_interval(low, high, 3),
                format_number(look.z, 2),
                "" if look.boundary is None else "none yet" if whole else format_number(look.boundary, 2),
                *(["" if look.futility is None else format_number(look.futility, 2)] if inner else []),
                look.crossed,
            ]
            rows.append(cells)
        header = [
            "added",
            self.order,
            "k",
            self.scale,
            *(["of required"] if shares else []),
            self.measure or "effect",
            f"repeated {format_level(1.0 - self.alpha)} CI",
            "z",
            "boundary",
            *(["futility"] if inner else []),
            "crossed",
        ]
        facts = [("method", self.design)]
        if self.required is not None:
            facts += self.required.rows()
        if self.attained_power is not None:
            done = any(look.fraction is not None and look.fraction >= 1.0 for look in self.looks)
            name = "power with these looks" if done else "power with these looks and one at the end"
            facts.append((name, f"{self.attained_power:.3g}"))
        return (
            TextTable(title=self.title, header=header, rows=rows),
            TextTable(header=("", ""), rows=facts),
            TextTable(header=("",), rows=[], notes=[f"Conclusion: {self.conclusion}", *self.notes, *CAUTIONS]),
        )

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw the path of z against information, with boundaries, the usual line and the required information.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure when left out.
        **options
            Anything that `sequential_plot` takes: ``title``, ``notes``,
            ``width`` and ``height`` (inches, ``"single"``, ``"double"`` or such as ``"120 mm"``), and others.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.
        """
        from metapeer.plots.sequential import sequential_plot

        table = self.to_frame()[["information", "z"]]
        boundary = pd.DataFrame(self.curve, columns=["information", "boundary", "futility"])
        words = {"participants": "Participants", "information": "Information (1 / squared standard error)"}
        chosen: dict[str, Any] = {
            "required": self.end,
            "conventional": normal_quantile(1.0 - self.alpha),
            "x_label": words[self.scale],
            "title": self.title,
            "notes": [self.conclusion],
        }
        return sequential_plot(table, boundary=boundary, ax=ax, **(chosen | options))
