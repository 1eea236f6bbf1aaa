"""What pooling every subset of the studies gives, and the heaps that the subsets form."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.errors import ChoiceError, MetapeerError, check_choice
from metapeer.formatting import Printable, TextTable, count, format_number
from metapeer.pooling.results import measure_of
from metapeer.pooling.weighted import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["GOSH_COLUMNS", "GoshClusters", "GoshResult"]

GOSH_COLUMNS = ("k", "estimate", "tau2", "I2", "Q")
CLUSTER_METHODS = ("gmm", "dbscan", "kmeans")
_MOST_CLUSTERED = 20_000
"""Subsets that are clustered: a random part of more, for DBSCAN compares every one with every other."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class GoshResult(Printable):
    """Meta-analyses of subsets of the studies.

    Parameters
    ----------
    measure : str
        Effect measure; empty when unknown.
    labels : tuple of str
        The studies, or effects.
    trials : int
        Different trials among them.
    members : array of uint64 of shape (n,)
        The subsets: bit i is set when study i takes part.
    columns : dict of array of shape (n,)
        ``k``, ``estimate``, ``tau2``, ``I2`` (in per cent, from tau2; under a common effect from Q) and ``Q``.
    complete : bool
        Whether these are all subsets there are.
    model, tau2_method : str
        How they were pooled.
    seed : int or None
        Of the drawing; None when nothing was drawn.
    """

    measure: str
    labels: tuple[str, ...]
    trials: int
    members: NDArray[np.uint64]
    columns: dict[str, FloatArray]
    complete: bool
    model: str
    tau2_method: str
    seed: int | None

    def __len__(self) -> int:
        return int(self.members.size)

    def has(self, label: str) -> NDArray[np.bool_]:
        """Tell in which subsets a study is.

        Parameters
        ----------
        label : str
            A study.

        Returns
        -------
        array of bool of shape (n,)
            True where it takes part.

        Raises
        ------
        ChoiceError
            If there is no such study, or several rows have that name.
        """
        check_choice("label", label, self.labels)
        rows = self.labels.count(label)
        if rows > 1:
            raise ChoiceError(f"{rows} effects are called {label!r}; give them labels= of their own, and pool again")
        return self._holds(self.labels.index(label))

    def _holds(self, place: int) -> NDArray[np.bool_]:
        return np.asarray((self.members >> np.uint64(place)) & np.uint64(1) == 1)

    def with_study(self, label: str) -> pd.DataFrame:
        """Rows of the subsets that a study is in.

        Parameters
        ----------
        label : str
            A study.

        Returns
        -------
        DataFrame
            As `to_frame`.
        """
        return self.to_frame()[self.has(label)].reset_index(drop=True)

    def without_study(self, label: str) -> pd.DataFrame:
        """Rows of the subsets that a study is not in.

        Parameters
        ----------
        label : str
            A study.

        Returns
        -------
        DataFrame
            As `to_frame`.
        """
        return self.to_frame()[~self.has(label)].reset_index(drop=True)

    def to_frame(self) -> pd.DataFrame:
        """Put the subsets in rows.

        Returns
        -------
        DataFrame
            ``subset`` (an integer whose bit i tells whether study i is in), ``k``, ``estimate``, ``tau2``, ``I2`` and
            ``Q``; a subset of one study has no tau2 and no I².
        """
        return pd.DataFrame({"subset": self.members, **self.columns}).astype({"k": "int64"})

    def studies(self) -> pd.DataFrame:
        """Say what the presence of each study does.

        Returns
        -------
        DataFrame
            ``label``; the median ``estimate`` and ``I2`` of subsets of two or more studies ``_with`` and ``_without``
            it; sorted by how far apart the estimates lie.
        """
        several = self.columns["k"] > 1
        rows = []
        for place, label in enumerate(self.labels):
            there = self._holds(place)
            row: dict[str, object] = {"label": label}
            for name in ("estimate", "I2"):
                row[f"{name}_with"] = _median(self.columns[name][several & there])
                row[f"{name}_without"] = _median(self.columns[name][several & ~there])
            rows.append(row)
        frame = pd.DataFrame(rows)
        apart = (frame["estimate_with"] - frame["estimate_without"]).abs()
        return frame.loc[apart.sort_values(ascending=False, kind="stable").index].reset_index(drop=True)

    def clusters(self, *, method: str = "gmm", clusters: int = 2, seed: int = 1) -> "GoshClusters":
        """Find heaps of subsets in the plane of estimate and I², by scikit-learn.

        Parameters
        ----------
        method : {"gmm", "dbscan", "kmeans"}, default "gmm"
            Gaussian mixtures, density-based clusters, or k-means.
        clusters : int, default 2
            How many; DBSCAN finds the number by itself.
        seed : int, default 1
            For the starts, and for the subsets that are looked at when there are more than 20,000.

        Returns
        -------
        GoshClusters
            The heaps, and which studies are in one more often than in another.

        Raises
        ------
        MetapeerError
            If scikit-learn is not installed, or there are too few subsets.
        ChoiceError
            If the method is unknown.

        References
        ----------
        Harrer, Cuijpers, Furukawa & Ebert (2021), Doing Meta-Analysis with R, section 5.4.3 (the use of clusters).
        """
        check_choice("method", method, CLUSTER_METHODS)
        if clusters < 2:
            raise ChoiceError(f"clusters {clusters} is not a number of heaps; give 2 or more")
        usable = np.flatnonzero((self.columns["k"] > 1) & np.isfinite(self.columns["I2"]))
        if usable.size < 10 * clusters:
            raise MetapeerError(f"{count(usable.size, 'subset')} are too few to look for {clusters} heaps")
        rng = np.random.default_rng(seed)
        if usable.size > _MOST_CLUSTERED:
            usable = np.sort(rng.choice(usable, _MOST_CLUSTERED, replace=False))
        points = np.column_stack([self.columns["estimate"][usable], self.columns["I2"][usable]])
        spread = points.std(axis=0)
        scaled = (points - points.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        heap = _cluster(scaled, method, clusters, seed)
        bits = (self.members[usable, None] >> np.arange(len(self.labels), dtype=np.uint64)) & np.uint64(1)
        rows, sizes = [], []
        for which in sorted(set(heap.tolist()) - {-1}):
            inside = heap == which
            sizes.append(
                {
                    "cluster": which + 1,
                    "subsets": int(inside.sum()),
                    "share": float(inside.mean()),
                    "estimate": _median(points[inside, 0]),
                    "I2": _median(points[inside, 1]),
                }
            )
            rows.append(bits[inside].mean(axis=0) - bits[~inside].mean(axis=0) if (~inside).any() else bits[0] * np.nan)
        table = pd.DataFrame({"label": self.labels})
        for row, excess in zip(sizes, rows, strict=True):
            table[f"cluster {row['cluster']}"] = excess
        return GoshClusters(
            measure=self.measure,
            method=method,
            sizes=pd.DataFrame(sizes),
            excess=table,
            looked_at=int(usable.size),
            noise=int((heap == -1).sum()),
        )

    def plot(self, *, study: str | None = None, **options: Any) -> "Figure":
        """Draw estimate against I² of every subset.

        Parameters
        ----------
        study : str, optional
            A study whose subsets are shown in a colour of their own.
        **options
            Anything that `metapeer.plots.gosh_cloud.draw_gosh` takes: ``title``, ``notes``,
            ``width`` and ``height`` (inches, ``"single"``, ``"double"`` or such as ``"120 mm"``), and others.

        Returns
        -------
        Figure
            A matplotlib figure.
        """
        from metapeer.plots.gosh_cloud import draw_gosh

        several = self.columns["k"] > 1
        table = self.to_frame()[several].reset_index(drop=True)
        if study is not None:
            table["member"] = self.has(study)[several]
            options.setdefault("member", study)
        scale = measure_of(self.measure).scale
        options.setdefault("log_scale", scale == "log")
        options.setdefault("y_label", f"I² from {'Q' if self.model == 'common' else 'tau²'}, per cent")
        if self.measure and scale == "identity":
            options.setdefault("x_label", f"Pooled {self.measure}")
        return draw_gosh(table, measure=self.measure, **options)

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the subsets in words.

        Returns
        -------
        sequence of TextTable
            One table: the studies whose presence moves the estimate most.
        """
        k, shown = len(self.labels), self.studies().head(5)
        rows = [
            [
                str(row["label"]),
                *(_shown(float(row[name]), self.measure) for name in ("estimate_with", "estimate_without")),
            ]
            + [format_number(float(row[name]), 0) for name in ("I2_with", "I2_without")]
            for row in shown.to_dict("records")
        ]
        notes = []
        if self.trials < k:
            notes.append(
                f"{count(k, 'effect')} from {count(self.trials, 'trial')}: subsets are of effects, which are pooled as "
                "if independent; average_within_trial() makes one effect of each trial"
            )
        which = "all" if self.complete else f"{len(self):,} drawn at random (seed {self.seed}) of the"
        how = "common effect, I² from Q"
        if self.model != "common":
            how = f"random effects, tau² by {self.tau2_method}, I² from tau²"
        return [
            TextTable(
                title=f"GOSH: {which} {2**k - 1:,} subsets of "
                f"{count(k, 'study', 'studies') if self.trials == k else count(k, 'effect')}",
                header=("medians over subsets", f"{_name(self.measure)} with", "without", "I² with", "without"),
                rows=rows,
                notes=(
                    f"{how}; subsets of two or more studies; the studies whose presence moves the estimate most",
                    "a description of the data, not a test: no study is wrong because it differs",
                    *notes,
                ),
            )
        ]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class GoshClusters(Printable):
    """Heaps of subsets, and the studies that make them.

    Parameters
    ----------
    measure : str
        Effect measure; empty when unknown.
    method : str
        How they were found.
    sizes : DataFrame
        A row for each heap: ``cluster``, ``subsets``, ``share``, median ``estimate`` and ``I2``.
    excess : DataFrame
        A row for each study: ``label``, and for each heap the share of its subsets that hold the study, minus that
        share among all other subsets. Zero for a study that has nothing to do with it.
    looked_at : int
        Subsets that were clustered.
    noise : int
        Subsets that belong to no heap (DBSCAN).
    """

    measure: str
    method: str
    sizes: pd.DataFrame
    excess: pd.DataFrame
    looked_at: int
    noise: int

    def to_frame(self) -> pd.DataFrame:
        """Put the studies in rows.

        Returns
        -------
        DataFrame
            As `excess`.
        """
        return self.excess.copy()

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the heaps in words.

        Returns
        -------
        sequence of TextTable
            The heaps, and the studies that are unevenly spread over them.
        """
        heaps = TextTable(
            title=f"heaps of subsets by {self.method}: {len(self.sizes)}",
            header=("cluster", "subsets", "share", _name(self.measure), "I²"),
            rows=[
                [
                    str(row["cluster"]),
                    f"{row['subsets']:,}",
                    f"{100 * row['share']:.0f}%",
                    _shown(row["estimate"], self.measure),
                    f"{row['I2']:.0f}%",
                ]
                for row in self.sizes.to_dict("records")
            ],
            notes=(f"{self.looked_at:,} subsets looked at, {self.noise:,} in no heap",),
        )
        names = [name for name in self.excess.columns if name != "label"]
        most = self.excess[names].abs().max(axis=1).sort_values(ascending=False, kind="stable").index[:5]
        studies = TextTable(
            title="studies by how unevenly they are spread over the heaps",
            header=("study", *names),
            rows=[
                [str(self.excess.loc[i, "label"]), *(format_number(float(self.excess.loc[i, name])) for name in names)]
                for i in most
            ],
            notes=("share of the heap's subsets that hold the study, minus that share among other subsets",),
        )
        return [heaps, studies]


def _name(measure: str) -> str:
    """What estimates are called: ratios are shown as ratios, and others on the scale on which they are pooled."""
    scale = measure_of(measure).scale
    return (measure if scale in ("identity", "log") else f"{scale} {measure}") or "estimate"


def _shown(estimate: float, measure: str) -> str:
    entry = measure_of(measure)
    return format_number(entry.display(estimate) if entry.scale == "log" else estimate, 3)


def _median(values: FloatArray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")


def _cluster(points: FloatArray, method: str, clusters: int, seed: int) -> NDArray[np.intp]:
    """Give the number of a heap to each point; -1 for none."""
    try:
        from sklearn.cluster import DBSCAN, KMeans
        from sklearn.mixture import GaussianMixture
    except ImportError:
        raise MetapeerError("clusters are found by scikit-learn: pip install 'metapeer[clusters]'") from None
    if method == "gmm":
        found = GaussianMixture(clusters, random_state=seed, n_init=5).fit_predict(points)
    elif method == "kmeans":
        found = KMeans(clusters, random_state=seed, n_init=10).fit_predict(points)
    else:
        found = DBSCAN(eps=0.15, min_samples=max(5, len(points) // 200)).fit_predict(points)
    return np.asarray(found, dtype=np.intp)
