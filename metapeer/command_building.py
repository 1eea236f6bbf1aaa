"""How options reach a command: dataclasses of options are taken apart for typer, and put together again for us."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

import typer
from typer.core import TyperCommand

__all__ = ["command"]

GROUPS = (
    *("Arguments", "Plan", "Rows", "Effects", "Moderators", "Trial", "Looks", "Pooling", "Findings", "Output", "Other"),
)

Function = TypeVar("Function", bound=Callable[..., None])


class _GroupedCommand(TyperCommand):
    """A command whose help lists its options in groups."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {name: [] for name in GROUPS}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                usual = "Arguments" if param.param_type_name == "argument" else "Other"
                groups[getattr(param, "rich_help_panel", None) or usual].append(record)
        for name, records in groups.items():
            if not records:
                continue
            with formatter.section(name):
                formatter.write_dl(records)


def command(app: typer.Typer, name: str | None = None, **about: Any) -> Callable[[Function], Function]:
    """Register a command; a parameter that is a dataclass stands for one option for each of its fields.

    Parameters
    ----------
    app : typer.Typer
        The program.
    name : str, optional
        The command; the function's name when left out.
    **about
        Passed on to typer, such as ``epilog``.

    Returns
    -------
    callable
        A decorator that leaves the function as it is.
    """

    def register(function: Function) -> Function:
        groups: dict[str, Any] = {}
        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(function).parameters.values():
            group: Any = parameter.annotation
            if not is_dataclass(group):
                parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
                continue
            groups[parameter.name] = group
            hints = get_type_hints(group, include_extras=True)
            for field in fields(group):
                default = inspect.Parameter.empty if field.default is MISSING else field.default
                parameters.append(
                    inspect.Parameter(
                        field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[field.name]
                    )
                )

        def run(**values: Any) -> None:
            for parameter, group in groups.items():
                values[parameter] = group(**{field.name: values.pop(field.name) for field in fields(group)})
            function(**values)

        run.__name__, run.__doc__ = function.__name__, function.__doc__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        # Left to itself click cuts the line in the list of commands after 45 characters.
        about.setdefault("short_help", (inspect.getdoc(function) or "").partition("\n")[0])
        app.command(name, cls=_GroupedCommand, **about)(run)
        return function

    return register
