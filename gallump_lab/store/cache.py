"""The guide's cache, in the lab: JSON values that keep their type and really expire."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from gallump_lab.store import times
from gallump_lab.store.store import Store


class Cache:
    """Values by key, shared by all who use the lab.

    Parameters
    ----------
    store : Store
        The lab file.
    clock : callable
        Tells the time, UTC.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime] = times.now) -> None:
        self._store, self._clock = store, clock

    def set(self, key: str, value: Any, expire_minutes: float | None = None) -> bool:
        """Keep a JSON value under a key, for some minutes or for good.

        Returns
        -------
        bool
            True, as the guide has it; what cannot be kept raises.

        Raises
        ------
        ValueError
            If the key is not text, the value would not come back equal (not JSON, NaN, a tuple, keys that are not
            text), or `expire_minutes` is not a positive number.

        Examples
        --------
        >>> lab.cache.set("levels", {"AAPL": [182.5, 190]}, expire_minutes=5)
        True
        """
        if not isinstance(key, str) or not key:
            msg = f"key must be text that is not empty, not {key!r}."
            raise ValueError(msg)
        if expire_minutes is not None and not 0 < expire_minutes < 5e8:
            msg = f"expire_minutes must be a positive number of minutes, or None for no expiry, not {expire_minutes!r}."
            raise ValueError(msg)
        try:
            text = json.dumps(value, allow_nan=False)
            kept = json.loads(text) == value
        except (TypeError, ValueError, RecursionError):
            kept = False
        if not kept:
            msg = (
                f"value for {key!r}, a {type(value).__name__}, would not come back equal. Cache takes dicts with "
                "text as keys, lists, text, finite numbers, booleans and None."
            )
            raise ValueError(msg)
        now = times.naive(self._clock())
        expires = None if expire_minutes is None else now + timedelta(minutes=expire_minutes)
        with self._store.write() as con:
            con.execute("delete from cache where expires_at <= ?", [now])
            con.execute("insert or replace into cache values (?, ?, ?)", [key, text, expires])
        return True

    def get(self, key: str) -> Any:
        """Return the value kept under a key; None if there is none or it has expired."""
        with self._store.read() as con:
            found = con.execute(
                "select value from cache where key = ? and (expires_at is null or expires_at > ?)",
                [key, times.naive(self._clock())],
            ).fetchone()
        return json.loads(found[0]) if found else None
