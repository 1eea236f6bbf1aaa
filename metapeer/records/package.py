"""The ``datapackage.json`` of a folder: its descriptive part is written by people, its list of tables by this module.

The format is the Frictionless Data Package, version 2. Column types, bounds and categories come from
`metapeer.records.schema`, sizes and SHA-256 hashes from the files, so that a changed byte is seen.

``python -m metapeer.records.package FOLDER...`` writes the list of tables anew; with ``--check`` it only compares.
"""

import csv
import hashlib
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from metapeer.errors import DataError, Fault, MetapeerError
from metapeer.formatting import count
from metapeer.records.schema import EXTRA_TABLES, TABLES, Field, Table

__all__ = ["check_datapackage", "datapackage_resources", "read_datapackage", "refresh_datapackage"]

FILE_NAME = "datapackage.json"
PROFILE = "https://datapackage.org/profiles/2.0/datapackage.json"
DESCRIPTIVE = ("name", "title", "licenses", "sources")


def read_datapackage(folder: str | Path) -> dict[str, Any]:
    """Read the ``datapackage.json`` of a folder.

    Parameters
    ----------
    folder : str or Path
        The folder that holds it.

    Returns
    -------
    dict
        The descriptor as it stands.

    Raises
    ------
    DataError
        If there is none, or it is not a JSON object.
    """
    path = Path(folder) / FILE_NAME
    try:
        package = json.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        fault = f"does not exist; write one with {', '.join(DESCRIPTIVE)}, then run: {_command(folder)}"
        raise DataError(str(path), [fault]) from None
    except OSError as error:
        raise DataError(str(path), [f"cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise DataError(str(path), ["is not UTF-8 text; save it as UTF-8"]) from None
    except json.JSONDecodeError as error:
        fault_here = Fault(line=error.lineno, message=f"is not valid JSON: {error.msg} at column {error.colno}")
        raise DataError(str(path), [fault_here]) from None
    except RecursionError:
        raise DataError(str(path), ["is nested too deeply to be a data package"]) from None
    if not isinstance(package, dict):
        raise DataError(str(path), ["must be a JSON object: {...}"])
    return package


def datapackage_resources(folder: str | Path) -> list[dict[str, Any]]:
    """Describe every CSV file of a folder as a Frictionless table resource.

    Parameters
    ----------
    folder : str or Path
        The folder.

    Returns
    -------
    list of dict
        One resource a file: the tables of a review first, in their usual order, then the others by name. The standard
        wants at least one resource, so a folder without a table has its README.

    Raises
    ------
    DataError
        If a file cannot be read, is not UTF-8 or has no header, or the folder has neither a table nor a README.
    """
    paths = sorted(path for path in Path(folder).glob("*.csv") if path.is_file())
    order = list(TABLES)
    paths.sort(key=lambda path: (order.index(path.stem) if path.stem in TABLES else len(order), path.stem))
    present = {path.stem for path in paths}
    if not paths:
        return [_readme(Path(folder) / "README.md")]
    return [_resource(path, present) for path in paths]


def refresh_datapackage(folder: str | Path) -> None:
    """Write the list of tables in a folder's ``datapackage.json`` anew; leave everything else as it is.

    The file is byte-stable: refreshing twice changes nothing the second time.

    Parameters
    ----------
    folder : str or Path
        The folder; its ``datapackage.json`` must exist, with the descriptive part.

    Raises
    ------
    DataError
        If ``datapackage.json`` or a CSV file cannot be read, or the former cannot be written.
    """
    package = {"$schema": PROFILE, **read_datapackage(folder)}
    package["resources"] = datapackage_resources(folder)
    text = json.dumps(package, ensure_ascii=False, indent=2) + "\n"
    try:
        (Path(folder) / FILE_NAME).write_bytes(text.encode("utf-8"))
    except OSError as error:
        raise DataError(str(Path(folder) / FILE_NAME), [f"cannot be written: {error.strerror}"]) from None
    except UnicodeEncodeError:
        message = "holds half of a character (a lone surrogate), which cannot be written; type that text anew"
        raise DataError(f"{Path(folder).name}/{FILE_NAME}", [message]) from None


def check_datapackage(folder: str | Path) -> list[str]:
    """Compare a folder's ``datapackage.json`` with the files it describes.

    Parameters
    ----------
    folder : str or Path
        The folder.

    Returns
    -------
    list of str
        Every difference, in words; empty when there is none.

    Raises
    ------
    DataError
        If ``datapackage.json`` or a CSV file cannot be read.
    """
    package = read_datapackage(folder)
    differences = [f"{FILE_NAME}: {name} is missing" for name in DESCRIPTIVE if not package.get(name)]
    listed = package.get("resources")
    if not isinstance(listed, list) or not all(isinstance(resource, dict) for resource in listed):
        return [*differences, f"{FILE_NAME}: resources is missing; run: {_command(folder)}"]
    recorded = {str(resource.get("path")): resource for resource in listed}
    found = {resource["path"]: resource for resource in datapackage_resources(folder)}
    stale: list[str] = []
    for path, resource in found.items():
        if path not in recorded:
            stale.append(f"{path} is not listed in {FILE_NAME}")
            continue
        then = recorded[path]
        keys = [*resource, *(key for key in then if key not in resource)]
        stale += [f"{path}: {key} is not what {FILE_NAME} says" for key in keys if resource.get(key) != then.get(key)]
    stale += [f"{path} is listed in {FILE_NAME} but does not exist" for path in recorded if path not in found]
    if stale:
        stale[-1] += f"; if the change is meant, run: {_command(folder)}"
    return differences + stale


def _command(folder: str | Path) -> str:
    return f"python -m metapeer.records.package {folder}"


def _header(path: Path) -> tuple[list[str], bytes]:
    try:
        content = path.read_bytes()
        header = next(csv.reader(io.StringIO(content.decode("utf-8"), newline="")), [])
    except OSError as error:
        raise DataError(str(path), [f"cannot be read: {error.strerror}"]) from None
    except (UnicodeDecodeError, csv.Error):
        raise DataError(str(path), ["is not CSV text in UTF-8; save it as UTF-8 without a byte order mark"]) from None
    if not header:
        raise DataError(str(path), ["is empty; it needs a header line"])
    return header, content


def _readme(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except OSError:
        raise DataError(
            str(path.parent), ["holds no CSV file and no README.md, so there is nothing to describe"]
        ) from None
    return {"name": "readme", "path": path.name, "format": "md", "mediatype": "text/markdown", **_size(content)}


def _size(content: bytes) -> dict[str, Any]:
    return {
        "encoding": "utf-8",
        "bytes": len(content),
        "hash": f"sha256:{hashlib.sha256(content).hexdigest()}",
    }


def _resource(path: Path, present: set[str]) -> dict[str, Any]:
    header, content = _header(path)
    table = TABLES.get(path.stem) or EXTRA_TABLES.get(path.stem)
    schema: dict[str, Any] = {"fields": [_field(name, table) for name in header]}
    # fieldsMatch is left at its default, "exact", which is what we mean: the profile published for version 2.0 wants
    # an array there, against its own text (frictionlessdata/datapackage issue 965), so any value fails somewhere.
    schema["missingValues"] = [""]
    if table and table.key and set(table.key) <= set(header):
        schema["primaryKey"] = list(table.key)
    if table:
        # A key into another package (instruments.csv stands one folder up) cannot be said in version 2.0.
        foreign = [
            {"fields": [column], "reference": {"resource": target, "fields": [target_column]}}
            for column, (target, target_column) in table.references.items()
            if column in header and target in present
        ]
        if foreign:
            schema["foreignKeys"] = foreign
    resource: dict[str, Any] = {"name": path.stem, "path": path.name, "type": "table"}
    if table:
        resource["description"] = table.description
    return resource | {
        "format": "csv",
        "mediatype": "text/csv",
        **_size(content),
        "dialect": {"lineTerminator": "\n"},  # the standard's default is CRLF
        "schema": schema,
    }


def _field(name: str, table: Table | None) -> dict[str, Any]:
    if table is None or name not in table.names:
        return {"name": name, "type": "string"}
    field = table[name]
    descriptor: dict[str, Any] = {
        "name": name,
        "type": "string" if field.type == "digits" else field.type,
        "description": field.description,
    }
    constraints = _constraints(field)
    if constraints:
        descriptor["constraints"] = constraints
    if field.categories:
        descriptor["categories"] = list(field.categories)
    return descriptor


def _constraints(field: Field) -> dict[str, Any]:
    bounds = {
        "minimum": field.minimum,
        "maximum": field.maximum,
        "exclusiveMinimum": field.above,
        "exclusiveMaximum": field.below,
    }
    constraints: dict[str, Any] = {"required": True} if field.required else {}
    return constraints | {key: value for key, value in bounds.items() if value is not None}


def main(arguments: Sequence[str]) -> int:
    """Refresh or check the data packages named on the command line.

    Parameters
    ----------
    arguments : sequence of str
        Folders, and ``--check`` to compare without writing.

    Returns
    -------
    int
        0 when all is well, 1 when a folder is not, 2 when no folder is named.
    """
    folders = [argument for argument in arguments if argument != "--check"]
    if not folders:
        sys.stderr.write("usage: python -m metapeer.records.package [--check] FOLDER...\n")
        return 2
    status = 0
    for folder in folders:
        try:
            if "--check" in arguments:
                differences = check_datapackage(folder)
                sys.stdout.write("".join(f"{folder}: {difference}\n" for difference in differences))
                status |= bool(differences)
            else:
                refresh_datapackage(folder)
                tables = count(len(read_datapackage(folder)["resources"]), "table")
                sys.stdout.write(f"{folder}: {tables} described\n")
        except MetapeerError as error:
            sys.stderr.write(f"{error}\n")
            status = 1
    return int(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
