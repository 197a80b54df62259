"""All that touches DuckDB: the lab file and its lock, its tables, snapshots, the analyst's SQL, the cache."""

from gallump_lab.store.cache import Cache
from gallump_lab.store.errors import (
    DamagedFile,
    DiskFull,
    LabBusy,
    NoPermission,
    NoServer,
    NotALab,
    OtherVersion,
    QueryRefused,
    StoreError,
)
from gallump_lab.store.locks import scratch
from gallump_lab.store.query import frame
from gallump_lab.store.remote import connect
from gallump_lab.store.snapshot import Catalogue, Snapshot
from gallump_lab.store.store import Store

__all__ = [
    "Cache",
    "Catalogue",
    "DamagedFile",
    "DiskFull",
    "LabBusy",
    "NoPermission",
    "NoServer",
    "NotALab",
    "OtherVersion",
    "QueryRefused",
    "Snapshot",
    "Store",
    "StoreError",
    "connect",
    "frame",
    "scratch",
]
