"""Readers of conversations from a path that the user gives: exports, LoCoMo, BEAM, and plain CSV or JSONL."""

from pathlib import Path
from typing import Literal, get_args

from gallump_lab.bundled import bundled
from gallump_lab.datasets.table import Dataset, DatasetError

Format = Literal["locomo", "beam", "table", "claude", "chatgpt"]

__all__ = ["Dataset", "DatasetError", "read", "sample"]


def read(
    path: str | Path,
    format: Format | None = None,  # noqa: A002 (what it is)
    *,
    observations: bool = False,
) -> Dataset:
    """Read conversations, with their questions if there are any.

    Records that cannot be used are left out, counted and named in the dataset's `problems`. Of an export's conversation
    the thread that was seen last is read: if a later export shows another, the messages of the earlier one, once
    imported, stay in the lab, and nothing says so.

    Parameters
    ----------
    path : str or Path
        A .csv or .jsonl file of messages, a folder with messages.csv or messages.jsonl (and perhaps questions and
        insights beside it), an export of Claude or ChatGPT (the .zip, its conversations.json, or a folder with it or
        its parts), a .json file of LoCoMo, or a folder of BEAM (one chat, or a folder for each).
    format : {"locomo", "beam", "table", "claude", "chatgpt"}, optional
        What it is; by default what its name and, of .json and .zip, its content say.
    observations : bool
        LoCoMo alone: give the facts that its authors had noted of each session as insights.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    DatasetError
        If it is in none of these formats, or `observations` are asked of another than LoCoMo.
    """
    from gallump_lab.datasets import benchmarks, exports, table

    path = Path(path).expanduser()
    if not path.exists():
        msg = f"There is no file or folder {path}. Give the path of the conversations to read."
        raise FileNotFoundError(msg)
    format = _guessed(path) if format is None else format  # noqa: A001
    if format not in get_args(Format):
        msg = f"format must be one of {', '.join(get_args(Format))}, not {format!r}."
        raise DatasetError(msg)
    if observations and format != "locomo":
        msg = f"observations must be False for the format {format!r}: LoCoMo alone has them. Leave it out."
        raise DatasetError(msg)
    if format == "locomo":
        return benchmarks.read_locomo(path, observations=observations)
    if format == "beam":
        return benchmarks.read_beam(path)
    return table.read(path) if format == "table" else exports.read(path, format)


def sample() -> Dataset:
    """Return the bundled sample: two years of synthetic talk over real bars, with labelled questions and insights."""
    return read(bundled("sample"), "table")


def _guessed(path: Path) -> Format:
    from gallump_lab.datasets import export_files

    suffix = path.suffix.lower()
    if path.is_dir():
        if any(path.glob("messages.*")):
            return "table"
        if any(path.glob("chat.json")) or any(path.glob("*/chat.json")):
            return "beam"
        export = bool(export_files.parts(path))
    else:
        if suffix in (".csv", ".tsv", ".jsonl", ".ndjson"):
            return "table"
        export = suffix in (".json", ".zip")
    source = export_files.source(path) if export else None
    if source and (source != "locomo" or (suffix == ".json" and path.is_file())):
        return source
    why = ": it holds no conversation of Claude, ChatGPT or LoCoMo" if export and source is None else ""
    msg = f"{path} is not known as a dataset{why}. "
    beside = [part for part in export_files.parts(path.parent) if part != path] if path.is_file() else []
    if beside:
        msg += f"The export's conversations lie beside it: give {beside[0] if len(beside) == 1 else path.parent}."
    else:
        msg += (
            "Give an export of Claude or ChatGPT (its .zip, its conversations.json or a folder with that), LoCoMo's "
            ".json file, a .csv or .jsonl file with a row or line for each message, or a folder with messages.csv, "
            "messages.jsonl or BEAM's chat.json; or say which it is with format=."
        )
    raise DatasetError(msg)
