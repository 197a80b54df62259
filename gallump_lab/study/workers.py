"""More cores and machines: batches of questions go to an executor, the snapshot as a file that each worker reads once.

Of an executor (PEP 3148) `submit` is used, and of its futures `result`, `done`, `cancelled`, `exception` and `cancel`.
So a pool of processes will do, dask's `client.get_executor()` and mpi4py's `MPIPoolExecutor`.
"""

import pickle
import socket
import threading
import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from gallump_lab.memory.records import check
from gallump_lab.store import Snapshot
from gallump_lab.study.ranker import Outcome, Ranker, Task

if TYPE_CHECKING:
    import pandas as pd

BATCH = 8
"""So many questions go to a worker at a time."""
_ONE_AT_A_TIME = threading.Lock()
"""A worker's threads take turns: what questions share is neither made nor held for each of them."""
_SNAPSHOTS: dict[str, Snapshot] = {}
"""The one that this worker ranks on, by its hash."""
_RANKERS: dict[bytes, Ranker] = {}
"""The one of its task."""


def outcomes(
    snapshot: Snapshot, task: Task, questions: "pd.DataFrame", executor: Executor, folder: str | Path | None
) -> Iterator[Outcome]:
    """Rank questions in an executor's workers; what a worker loses is ranked here.

    An interrupt gives what is done, and cancels the rest.

    Raises
    ------
    ValueError
        If what was given is no executor, or cannot reach the workers.
    """
    can = callable(getattr(executor, "submit", None)) and not isinstance(executor, type)
    check(can, "executor", "a concurrent.futures.Executor, such as ProcessPoolExecutor()", executor)
    there = folder is None or (isinstance(folder, (str, Path)) and Path(folder).expanduser().is_dir())
    check(there, "folder", "a folder that is there and that all workers reach", folder)
    try:
        given = pickle.dumps(task)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise _out_of_reach(error) from error
    batches = [questions.iloc[begin : begin + BATCH] for begin in range(0, len(questions), BATCH)]
    here: Ranker | None = None
    with _written(snapshot, folder) as file:
        waiting = deque((_submitted(executor, file, given, batch), batch) for batch in batches)
        try:
            while waiting:
                future, batch = waiting[0]
                try:
                    found = iter(future.result())
                except ValueError:  # what was given is at fault and not a worker: here it would be no better
                    raise
                except Exception as error:  # noqa: BLE001 (whatever befell a worker, the questions are ranked)
                    what = f"{type(error).__name__}: {error}".rstrip(": .")
                    words = f"A worker failed or was lost ({what}); its questions are ranked here, to the same figures."
                    warnings.warn(words, RuntimeWarning, stacklevel=4)
                    here = here or Ranker(snapshot, task)
                    found = here.outcomes(batch)
                waiting.popleft()
                yield from found
        except KeyboardInterrupt:
            for future, _ in waiting:
                if future.done() and not future.cancelled() and not future.exception():
                    yield from future.result()
            raise
        finally:
            for future, _ in waiting:
                future.cancel()


def _submitted(executor: Executor, *given: Any) -> Future[list[Outcome]]:
    """Submit a batch; to a pool that has lost a worker or was shut down, it fails as one that was lost."""
    try:
        return executor.submit(_ranked, *given)
    except (BrokenExecutor, RuntimeError) as error:
        lost: Future[list[Outcome]] = Future()
        lost.set_exception(error)
        return lost


@contextmanager
def _written(snapshot: Snapshot, folder: str | Path | None) -> Iterator[Path]:
    """Write a snapshot to a file named by its hash, which is kept in a folder of the user's."""
    with TemporaryDirectory(prefix="gallump-") as own:
        file = Path(folder or own).expanduser().resolve() / f"{snapshot.hash}.duckdb"
        if not file.exists():
            with suppress(FileExistsError):  # another study of the same has just written it
                snapshot.save(file)
        yield file


def _ranked(file: Path, given: bytes, questions: "pd.DataFrame") -> list[Outcome]:
    """Rank a batch in a worker, which holds one snapshot and one task at a time."""
    with _ONE_AT_A_TIME:
        if file.stem not in _SNAPSHOTS:
            if not file.exists():
                msg = f"folder must be one that all machines share: {socket.gethostname()} has no {file}."
                raise ValueError(msg)
            found = Snapshot.load(file)
            for held in (_SNAPSHOTS, _RANKERS):
                held.clear()
            _SNAPSHOTS[file.stem] = found
        if given not in _RANKERS:
            try:
                task = pickle.loads(given)  # noqa: S301 (what the study itself pickled)
            except (pickle.PicklingError, AttributeError, ImportError) as error:
                raise _out_of_reach(error) from error
            _RANKERS.clear()
            _RANKERS[given] = Ranker(_SNAPSHOTS[file.stem], task)
        return [*_RANKERS[given].outcomes(questions)]


def _out_of_reach(error: Exception) -> ValueError:
    return ValueError(
        f"embedders must be of a class in a module that the workers import; they cannot be sent: {error}."
    )
