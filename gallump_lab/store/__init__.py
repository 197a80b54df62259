"""All that touches DuckDB: the lab file and its lock, schema and migrations, snapshots, the cache."""

from gallump_lab.store.cache import Cache
from gallump_lab.store.errors import (
    DamagedFile,
    DiskFull,
    LabBusy,
    NewerLab,
    NoPermission,
    NotALab,
    QueryRefused,
    StoreError,
)
from gallump_lab.store.far import NoServer
from gallump_lab.store.instance import scratch
from gallump_lab.store.query import frame
from gallump_lab.store.remote import connect
from gallump_lab.store.snapshot import Snapshot
from gallump_lab.store.store import Catalogue, Store

__all__ = [
    "Cache",
    "Catalogue",
    "DamagedFile",
    "DiskFull",
    "LabBusy",
    "NewerLab",
    "NoPermission",
    "NoServer",
    "NotALab",
    "QueryRefused",
    "Snapshot",
    "Store",
    "StoreError",
    "connect",
    "frame",
    "scratch",
]
