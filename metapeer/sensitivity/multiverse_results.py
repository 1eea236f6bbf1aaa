"""What a multiverse found: a row for each different specification, and what the curve of them says."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.effects.measures import MEASURES
from metapeer.errors import ChoiceError, check_choice
from metapeer.formatting import Printable, TextTable, count, format_interval, format_level, format_number
from metapeer.pooling.results import measure_of
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.multiverse_declare import Declaration, decision_words
from metapeer.sensitivity.multiverse_describe import Vibration, curve_anova, supports, vibration
from metapeer.sensitivity.multiverse_plan import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from metapeer.sensitivity.multiverse_null import MultiverseTest

__all__ = ["CAUTION", "MultiverseResult"]

IntArray = NDArray[np.intp]

CAUTION = (
    "a multiverse is no sample of analyses: it holds the choices that were declared, so that shares are not "
    "probabilities, and mean no more than the choices can be defended"
)
_INTERACTIONS = 3
_REASONS = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MultiverseResult(Printable):
    """The result of `multiverse`.

    Parameters
    ----------
    declaration : Declaration
        What was declared.
    plan : Plan
        What was fitted.
    chosen : array of int
        Places of the different specifications in the plan.
    representative : array of int of shape (n,)
        For each different specification the first declared one that it is.
    of : array of int of shape (m,)
        For each declared specification the different one that it is; -1 where it is impossible.
    options : array of int of shape (m, c)
        For each declared specification its option of each choice.
    columns : dict of array of shape (n,)
        ``estimate``, ``se``, ``ci_low``, ``ci_high``, ``df``, ``p_value``, ``tau2``, ``I2`` and ``k``; read-only.
    reasons : tuple of str
        For each declared specification why it is impossible; empty otherwise.
    measure : str
        Effect measure, when all specifications share one.
    measures : tuple of str
        All of them.
    positive_favours : str
        The arm that a positive effect favours; empty when unknown.
    doubts : tuple of str
        What a reader must know.
    """

    declaration: Declaration
    plan: Plan
    chosen: IntArray
    representative: IntArray
    of: IntArray
    options: IntArray
    columns: dict[str, FloatArray]
    reasons: tuple[str, ...]
    measure: str
    measures: tuple[str, ...]
    positive_favours: str
    doubts: tuple[str, ...]

    @property
    def declared(self) -> int:
        """Number of declared specifications: the product of the numbers of options."""
        return int(self.of.size)

    @property
    def different(self) -> int:
        """Number of different specifications."""
        return int(self.chosen.size)

    @property
    def duplicates(self) -> int:
        """Number of declared specifications that repeat the effects and options of an earlier one."""
        return int((self.of >= 0).sum()) - self.different

    @property
    def supporting(self) -> NDArray[np.bool_]:
        """For each different specification whether it supports the claim."""
        return supports(self.columns["ci_low"], self.columns["ci_high"], self.declaration.claim)

    @property
    def share(self) -> float:
        """Share of the different specifications that support the claim, each counted once."""
        return float(self.supporting.mean())

    @property
    def weighted_share(self) -> float:
        """Share of the declared and possible specifications that support the claim, by the weights of their options.

        NaN when no weights were declared. A duplicate has its own weight here: the weights belong to the options.
        """
        if not self.declaration.weights:
            return math.nan
        weight = np.ones(self.declared)
        for place, (name, choice) in enumerate(zip(self.declaration.names, self.declaration.choices, strict=True)):
            given = self.declaration.weights.get(name)
            if given is not None:
                weight *= np.array([given[label] for label in choice.labels])[self.options[:, place]]
        possible = self.of >= 0
        total = float(weight[possible].sum())
        return float((weight[possible] * self.supporting[self.of[possible]]).sum()) / total if total else math.nan

    @property
    def ratio(self) -> bool:
        """Whether estimates are logarithms of ratios."""
        return bool(self.measures) and all(
            code in MEASURES and measure_of(code).scale == "log" for code in self.measures
        )

    @property
    def vibration(self) -> Vibration:
        """How far estimates and p values spread over the different specifications."""
        return vibration(self.columns["estimate"], self.columns["p_value"], ratio=self.ratio)

    def to_frame(self) -> pd.DataFrame:
        """Put the different specifications in rows.

        Returns
        -------
        DataFrame
            ``specification``, its number among the declared ones; a column for each choice with the label of the
            option; ``k`` (effects pooled; in a contrast over all trials those of both classes), ``estimate``, ``se``,
            ``ci_low``, ``ci_high``, ``p_value``, ``tau2`` and ``I2`` (NaN in a contrast over all trials, which has one
            of each class), ``supports``, and ``repeated``, how many declared specifications are this one. Ratios are on
            the log scale. Choices without a part in a specification show the first option that gives it.
        """
        frame = self._labels(self.representative)
        frame.insert(0, "specification", self.representative + 1)
        frame["k"] = self.columns["k"].astype(np.int64)
        for name in ("estimate", "se", "ci_low", "ci_high", "p_value", "tau2", "I2"):
            frame[name] = self.columns[name]
        frame["supports"] = self.supporting
        frame["repeated"] = np.bincount(self.of[self.of >= 0], minlength=self.different)
        return frame

    def impossible(self) -> pd.DataFrame:
        """List the declared specifications that cannot be fitted.

        Returns
        -------
        DataFrame
            ``specification``, a column for each choice, and ``reason``.
        """
        places = np.flatnonzero(self.of < 0)
        frame = self._labels(places)
        frame.insert(0, "specification", places + 1)
        frame["reason"] = [self.reasons[i] for i in places.tolist()]
        return frame

    def _labels(self, places: IntArray) -> pd.DataFrame:
        found = {}
        for name in self.declaration.shown:
            i = self.declaration.names.index(name)
            labels = pd.Index(self.declaration.choices[i].labels, dtype=object)
            found[name] = pd.Categorical.from_codes(self.options[places, i], labels)
        return pd.DataFrame(found)

    def anova(self) -> pd.DataFrame:
        """Share out the variation of the estimates among choices and pairs of choices.

        Returns
        -------
        DataFrame
            ``term``, ``other`` (empty for a main effect) and ``eta2``, the largest first, and last what is left. Over
            all declared specifications that are possible: a description of the design as it was declared, no test.
        """
        possible = self.of >= 0
        names = self.declaration.names
        main, pairs, rest = curve_anova(
            self.options[possible], self.declaration.shape, self.columns["estimate"][self.of[possible]]
        )
        rows = [(name, "", float(share)) for name, share in zip(names, main, strict=True)]
        rows += [(names[j], names[i], float(pairs[i, j])) for i in range(len(names)) for j in range(i)]
        rows.sort(key=lambda row: -row[2])
        return pd.DataFrame([*rows, ("higher order", "", rest)], columns=["term", "other", "eta2"])

    def _reached(self, place: int, option: int) -> NDArray[np.bool_]:
        """Tell which different specifications can be reached with an option of a choice."""
        mine = (self.of >= 0) & (self.options[:, place] == option)
        reached = np.zeros(self.different, dtype=np.bool_)
        reached[self.of[mine]] = True
        return reached

    def options_frame(self) -> pd.DataFrame:
        """Describe the specifications with each option.

        Returns
        -------
        DataFrame
            ``choice``, ``decision``, ``option``; ``different``, how many different specifications take the option (one
            that can be reached with several options counts for each), and ``share`` of them that support the claim;
            ``mean`` estimate over the declared specifications with the option, in which the other choices are as
            balanced as they were declared, ``shift`` (that mean minus the median of all different specifications), and
            ``low`` and ``high`` (least and largest estimate).
        """
        possible = self.of >= 0
        estimate = self.columns["estimate"][self.of[possible]]
        middle = float(np.median(self.columns["estimate"]))
        rows = []
        for name in self.declaration.shown:
            i = self.declaration.names.index(name)
            choice = self.declaration.choices[i]
            for option, label in enumerate(choice.labels):
                reached = self._reached(i, option)
                values = estimate[self.options[possible, i] == option]
                some = values.size > 0
                mean = float(values.mean()) if some else math.nan
                ends = (float(values.min()), float(values.max())) if some else (math.nan, math.nan)
                share = float(self.supporting[reached].mean()) if some else math.nan
                rows.append((name, choice.decision, label, int(reached.sum()), share, mean, mean - middle, *ends))
        names = ["choice", "decision", "option", "different", "share", "mean", "shift", "low", "high"]
        return pd.DataFrame(rows, columns=names)

    def share_by(self, *names: str) -> pd.DataFrame:
        """Describe the curve for each combination of options of some choices.

        Parameters
        ----------
        *names : str
            Choices; all that were declared not equivalent ("N") when left out.

        Returns
        -------
        DataFrame
            A column for each of the choices; ``different``, how many different specifications can be reached;
            ``k_low`` and ``k_high``, effects in them; ``median``, ``low`` and ``high`` of their estimates; ``share``
            that supports the claim, and ``above`` and ``below``, shares whose interval lies above or below no effect.
            Ratios are on the log scale.

        Raises
        ------
        ChoiceError
            If there is no such choice, or none was declared not equivalent.

        Examples
        --------
        >>> from metapeer.sensitivity.multiverse_choices import choose_where
        >>> from metapeer.sensitivity.multiverse_models import multiverse
        >>> rows = pd.DataFrame({"study_id": list("abcd"), "yi": [0.2, 0.5, 0.4, 0.3], "vi": 0.05})
        >>> rows["kind"] = list("xxyy")
        >>> found = multiverse(rows, choices={"kind": choose_where({"all": None, "x": "kind=x"}), "ci_method": ["z"]})
        >>> found.share_by("kind")[["kind", "different", "median"]].round(2)
          kind  different  median
        0  all          1    0.35
        1    x          1    0.35
        """
        declared = self.declaration
        chosen = names or tuple(
            name for name in declared.shown if declared.choices[declared.names.index(name)].decision == "N"
        )
        if not chosen:
            raise ChoiceError("no choice was declared not equivalent; name the choices to tell apart")
        places = [declared.names.index(check_choice("choice", name, declared.names)) for name in chosen]
        rows = []
        for index in np.ndindex(*(declared.shape[i] for i in places)):
            mine = self.of >= 0
            for place, option in zip(places, index, strict=True):
                mine = mine & (self.options[:, place] == option)
            which = np.unique(self.of[mine])
            if not which.size:
                continue
            labels = [declared.choices[i].labels[option] for i, option in zip(places, index, strict=True)]
            k, estimate = self.columns["k"][which], self.columns["estimate"][which]
            rows.append(
                (
                    *labels,
                    which.size,
                    int(k.min()),
                    int(k.max()),
                    float(np.median(estimate)),
                    float(estimate.min()),
                    float(estimate.max()),
                    float(self.supporting[which].mean()),
                    float((self.columns["ci_low"][which] > 0).mean()),
                    float((self.columns["ci_high"][which] < 0).mean()),
                )
            )
        numbers = ["different", "k_low", "k_high", "median", "low", "high", "share", "above", "below"]
        return pd.DataFrame(rows, columns=[*chosen, *numbers])

    def _show(self, value: float) -> str:
        return format_number(math.exp(value) if self.ratio else value, 3)

    def _estimand(self) -> str:
        declared = self.declaration
        what = ", ".join(MEASURES[code].name if code in MEASURES else code for code in self.measures) or "effect"
        if declared.contrast:
            return f"{declared.contrast[0]} minus {declared.contrast[1]}, {what}"
        return f"pooled effect, {what}"

    def _headline(self) -> TextTable:
        declared, estimate = self.declaration, self.columns["estimate"]
        spread = self.vibration
        claim = {"positive": "above", "negative": "below", "nonzero": "different from"}[declared.claim]
        no_effect = "1" if self.ratio else "0"
        n, supporting = self.different, int(self.supporting.sum())
        rows = [
            ("declared specifications", f"{self.declared:,}"),
            ("impossible", f"{int((self.of < 0).sum()):,}"),
            ("duplicates, counted once", f"{self.duplicates:,}"),
            ("different specifications", f"{n:,}"),
            ("effects pooled, least and most", f"{int(self.columns['k'].min())} to {int(self.columns['k'].max())}"),
            ("median estimate", self._show(spread.median)),
            ("least and largest estimate", f"{self._show(estimate.min())} to {self._show(estimate.max())}"),
            ("1st to 99th percentile", f"{self._show(spread.low)} to {self._show(spread.high)}"),
        ]
        if self.ratio:
            rows.append(("99th over 1st percentile", format_number(spread.relative, 2)))
        else:
            rows.append(("99th minus 1st percentile", format_number(spread.spread, 3)))
        rows += [
            ("-log10 p, 1st to 99th percentile", format_interval(spread.p_low, spread.p_high, 2)),
            (f"claim: {claim} {no_effect}", f"supported by {supporting:,} of {n:,} ({_percent(supporting, n)})"),
        ]
        if declared.claim != "nonzero":
            against = int(
                supports(
                    self.columns["ci_low"],
                    self.columns["ci_high"],
                    "negative" if declared.claim == "positive" else "positive",
                ).sum()
            )
            on_side = int(((estimate > 0) if declared.claim == "positive" else (estimate < 0)).sum())
            rows.append(("estimate on the claimed side", f"{on_side:,} of {n:,} ({_percent(on_side, n)})"))
            rows.append(("interval on the other side", f"{against:,} of {n:,} ({_percent(against, n)})"))
        if declared.weights:
            rows.append(("share by declared weights", f"{100.0 * self.weighted_share:.1f}%"))
        notes = []
        if self.positive_favours and not declared.contrast:
            notes.append(f"positive favours {'peer support' if self.positive_favours == 'arm1' else 'the comparison'}")
        where = "" if declared.claim == "nonzero" else " on the claimed side"
        notes.append(f"support: the {format_level(declared.level)} interval excludes no effect{where}")
        if spread.janus:
            notes.append("the 1st and the 99th percentile of the estimates lie on different sides of no effect")
        if len(self.measures) > 1:
            notes.append(f"measures differ ({', '.join(self.measures)}): estimates are not the same quantity")
        notes += [CAUTION, *self.doubts]
        return TextTable(title=f"Multiverse: {self._estimand()}", header=("", ""), rows=rows, notes=notes)

    def _choices(self, anova: pd.DataFrame) -> TextTable:
        frame = self.options_frame()
        eta = _main_effects(anova)
        rows = []
        for name in self.declaration.shown:
            choice = self.declaration.choices[self.declaration.names.index(name)]
            mine = frame[frame["choice"] == name]
            for at, row in enumerate(mine.to_dict("records")):
                first = at == 0
                rows.append(
                    (
                        name if first else "",
                        decision_words(choice) if first else "",
                        f"{100.0 * eta[name]:.1f}" if first else "",
                        str(row["option"]),
                        f"{int(row['different']):,}",
                        format_number(100.0 * float(row["share"]), 1),
                        self._show(float(row["mean"])),
                        format_number(float(row["shift"]), 3),
                    )
                )
        pairs = anova[anova["other"] != ""].head(_INTERACTIONS)
        notes = ["eta²: per cent of the variation of the estimates that a choice explains; a description, no test"]
        told = [
            f"{term} with {other} {100.0 * eta2:.1f}%"
            for term, other, eta2 in zip(pairs["term"], pairs["other"], pairs["eta2"].tolist(), strict=True)
            if eta2 >= 0.0005
        ]
        if told:
            notes.append(f"largest interactions of two choices: {'; '.join(told)}")
        notes.append(
            "support: of the different specifications with the option; mean: over the declared ones; shift: that minus "
            f"the median of all different ones{', on the log scale' if self.ratio else ''}"
        )
        kinds = Counter(choice.decision for choice in self.declaration.choices)
        if kinds["N"]:
            notes.append(
                "N: options that are not equivalent answer different questions or differ in merit; read their shares "
                "one by one (share_by), not averaged"
            )
        if kinds["U"]:
            notes.append(
                "U: whether the options are equivalent is uncertain, so that a share over them may be inflated by poor "
                "ones"
            )
        header = ("choice", "decision", "eta² %", "option", "different", "support %", "mean", "shift")
        return TextTable(title="What the estimate hangs on", header=header, rows=rows, notes=notes)

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the multiverse in words.

        Returns
        -------
        sequence of TextTable
            The whole, the choices, and why specifications are impossible.
        """
        tables = [self._headline(), self._choices(self.anova())]
        reasons = Counter(reason for reason in self.reasons if reason)
        if reasons:
            rows = [(reason, f"{n:,}") for reason, n in reasons.most_common(_REASONS)]
            more = len(reasons) - len(rows)
            notes = [f"and {count(more, 'more reason')}, see impossible()"] if more else []
            tables.append(
                TextTable(title="Impossible specifications", header=("reason", "specs"), rows=rows, notes=notes)
            )
        return tables

    def plot(self, *, test: "MultiverseTest | None" = None, **options: Any) -> "Figure":
        """Draw the specification curve.

        Parameters
        ----------
        test : MultiverseTest, optional
            From `multiverse_test`: its band of curves under the null hypothesis is drawn behind.
        **options
            Anything that `specification_curve_plot` takes: ``title``, ``notes``,
            ``width`` and ``height`` (inches, ``"single"``, ``"double"`` or such as ``"120 mm"``), and others.

        Returns
        -------
        Figure
            A new figure; save it with `save_figure`.
        """
        from metapeer.plots.specification_curve import specification_curve_plot

        anova = self.anova()
        eta = _main_effects(anova)
        # A specification shows every option by which it can be reached.
        order = sorted(self.declaration.shown, key=lambda name: -eta[name])
        tiles = []
        for name in order:
            i = self.declaration.names.index(name)
            for option, label in enumerate(self.declaration.choices[i].labels):
                tiles.append((name, label, self._reached(i, option)))
        table = pd.DataFrame(
            {name: self.columns[name] for name in ("estimate", "ci_low", "ci_high")} | {"supports": self.supporting}
        )
        what = self._estimand()
        usual: dict[str, Any] = {
            "label": what[:1].upper() + what[1:],
            "ratio": self.ratio,
            "level": self.declaration.level,
            "shares": eta,
        }
        if test is not None:
            usual["band"] = (test.band_low, test.band_high)
        return specification_curve_plot(table, tiles=tiles, **(usual | options))


def _main_effects(anova: pd.DataFrame) -> dict[str, float]:
    """Eta squared of each choice."""
    main = anova[anova["other"] == ""]
    return dict(zip(main["term"].tolist(), main["eta2"].astype(float).tolist(), strict=True))


def _percent(part: int, whole: int) -> str:
    return f"{100.0 * part / whole:.1f}%"
