"""metapeer: re-compute and update meta-analyses of peer support in mental health.

Pool effects (`effect_size`, `meta_analysis`, `subgroup_analysis`), re-run published reviews and set every printed
number beside its recomputation (`reproduce`), and read the bundled data (`load_dataset`), where every number has a
source. Names are loaded when first used, so that importing the package costs next to nothing.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metapeer.effects.table import effect_size
    from metapeer.errors import ChoiceError, ConvergenceError, DataError, DataWarning, MetapeerError
    from metapeer.plots.forest import forest_plot
    from metapeer.plots.style import save_figure
    from metapeer.pooling.dependent import average_within_trial
    from metapeer.pooling.intervals import Interval
    from metapeer.pooling.models import meta_analysis
    from metapeer.pooling.results import MetaAnalysisResult
    from metapeer.pooling.subgroups import SubgroupAnalysisResult, subgroup_analysis
    from metapeer.records.catalog import (
        Review,
        datasets_root,
        list_datasets,
        load_claims,
        load_dataset,
        load_instruments,
    )
    from metapeer.records.csvfile import read_outcomes
    from metapeer.records.overrides import apply_overrides
    from metapeer.reproduction.ledger import Ledger
    from metapeer.reproduction.run import reproduce
    from metapeer.reproduction.transcribe import check_transcription, write_transcription_template

_HOMES = {
    "ChoiceError": "errors",
    "ConvergenceError": "errors",
    "DataError": "errors",
    "DataWarning": "errors",
    "Interval": "pooling.intervals",
    "Ledger": "reproduction.ledger",
    "MetaAnalysisResult": "pooling.results",
    "MetapeerError": "errors",
    "Review": "records.catalog",
    "SubgroupAnalysisResult": "pooling.subgroups",
    "apply_overrides": "records.overrides",
    "average_within_trial": "pooling.dependent",
    "check_transcription": "reproduction.transcribe",
    "datasets_root": "records.catalog",
    "effect_size": "effects.table",
    "forest_plot": "plots.forest",
    "list_datasets": "records.catalog",
    "load_claims": "records.catalog",
    "load_dataset": "records.catalog",
    "load_instruments": "records.catalog",
    "meta_analysis": "pooling.models",
    "read_outcomes": "records.csvfile",
    "reproduce": "reproduction.run",
    "save_figure": "plots.style",
    "subgroup_analysis": "pooling.subgroups",
    "write_transcription_template": "reproduction.transcribe",
}

__all__ = [
    "ChoiceError",
    "ConvergenceError",
    "DataError",
    "DataWarning",
    "Interval",
    "Ledger",
    "MetaAnalysisResult",
    "MetapeerError",
    "Review",
    "SubgroupAnalysisResult",
    "__version__",
    "apply_overrides",
    "average_within_trial",
    "check_transcription",
    "datasets_root",
    "effect_size",
    "forest_plot",
    "list_datasets",
    "load_claims",
    "load_dataset",
    "load_instruments",
    "meta_analysis",
    "read_outcomes",
    "reproduce",
    "save_figure",
    "subgroup_analysis",
    "write_transcription_template",
]

__version__ = version("metapeer")


def __getattr__(name: str) -> object:
    """Load a name of the front door when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'metapeer' has no attribute {name!r}")
    value = getattr(import_module(f"metapeer.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
