"""Readers of conversations from a path that the user gives: exports, LoCoMo, BEAM, and plain CSV or JSONL."""

from os import PathLike
from pathlib import Path
from typing import Literal, get_args

from gallump_lab.bundled import bundled
from gallump_lab.datasets.table import Dataset, DatasetError

Format = Literal["locomo", "beam", "desk", "table", "claude", "chatgpt"]

__all__ = ["Dataset", "DatasetError", "desk", "read", "sample"]


def read(path: str | Path, format: Format | None = None) -> Dataset:  # noqa: A002 (what it is)
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
    format : {"locomo", "beam", "desk", "table", "claude", "chatgpt"}, optional
        What it is; by default what its name and, of .json and .zip, its content say. "desk", labelled talk of a
        trading desk, is a folder of tables.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    DatasetError
        If it is in none of these formats.
    """
    from gallump_lab.datasets import benchmarks, exports, table

    if not isinstance(path, str | PathLike):
        msg = f"path must be that of a file or folder, not {type(path).__name__}; lab.import_messages takes frames."
        raise DatasetError(msg)
    path = Path(path).expanduser()
    if not path.exists():
        msg = f"There is no file or folder {path}. Give the path of the conversations to read."
        raise FileNotFoundError(msg)
    found = _guessed(path) if format is None else format
    if found not in get_args(Format):
        msg = f"format must be one of {', '.join(get_args(Format))}, not {found!r}."
        raise DatasetError(msg)
    try:
        if found in ("claude", "chatgpt"):
            return exports.read(path, found)
        return {"locomo": benchmarks.read_locomo, "beam": benchmarks.read_beam}.get(found, table.read)(path)
    except RecursionError as error:
        msg = f"{path} cannot be read as JSON: it is nested too deep. Give the file as it was published."
        raise DatasetError(msg) from error


def sample() -> Dataset:
    """Return the bundled sample: two years of synthetic talk over real bars, with labelled questions and insights."""
    return read(bundled("sample"), "table")


def desk() -> Dataset:
    """Return bundled talk of six trading desks, synthetic, whose questions tell outdated values and hearsay apart."""
    return read(bundled("desk"), "desk")


def _guessed(path: Path) -> Format:
    from gallump_lab.datasets import exports

    if path.suffix.lower() in (".csv", ".tsv", ".jsonl", ".ndjson") or any(path.glob("messages.*")):
        return "table"
    if any(path.glob("chat.json")) or any(path.glob("*/chat.json")):
        return "beam"
    if path.suffix.lower() in (".json", ".zip") or path.is_dir():
        found = exports.service_of(path)
        if found and (found != "locomo" or path.suffix.lower() == ".json"):
            return found
    msg = (
        f"{path} is not known as a dataset: it holds no conversation of Claude, ChatGPT or LoCoMo. Give an export of "
        "Claude or ChatGPT (its .zip, its conversations.json or a folder with that), LoCoMo's .json file, a .csv or "
        ".jsonl file with a row or line for each message, or a folder with messages.csv, messages.jsonl or BEAM's "
        "chat.json; or say which it is with format=."
    )
    raise DatasetError(msg)
