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
            text, half a surrogate pair), or `expire_minutes` is not a positive number.
        """
        if not isinstance(key, str) or not key or _changed(key, key):
            msg = f"key must be text that is not empty and can be written as UTF-8, not {key!r}."
            raise ValueError(msg)
        number = isinstance(expire_minutes, (int, float)) and not isinstance(expire_minutes, bool)
        if expire_minutes is not None and not (number and 0 < expire_minutes < 5e8):
            msg = f"expire_minutes must be a positive number of minutes, or None for no expiry, not {expire_minutes!r}."
            raise ValueError(msg)
        try:
            text = json.dumps(value, allow_nan=False)
            wrong = _changed(json.loads(text), value)
        except (TypeError, ValueError, RecursionError) as error:
            wrong = f"is not JSON or nested too deep ({error})"
        if wrong:
            msg = f"value for {key!r} {wrong}. Cache takes dicts, lists, text, numbers, booleans and None."
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


def _whole(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _changed(back: Any, value: Any) -> str:
    """Return what of a value would not come back equal and of its type (1 is not True, nor 1.0); empty if all would."""
    if type(back) is not type(value):
        return f"holds a {type(value).__name__}, which would come back as a {type(back).__name__}: convert it"
    if isinstance(value, str):
        return "" if _whole(value) else "holds half a surrogate pair, which is no character"
    if isinstance(value, dict):
        for key in value:
            if type(key) is not str or not _whole(key):
                return f"has the key {key!r}, which is no text: use text for keys"
        return next(filter(None, (_changed(back[key], value[key]) for key in value)), "")
    if isinstance(value, list):
        return next(filter(None, map(_changed, back, value)), "")
    return "" if back == value else f"holds {value!r}, which would come back as {back!r}"
