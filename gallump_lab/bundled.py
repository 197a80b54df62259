"""The one way to a file that ships with the package, from a checkout and from an installed wheel alike."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_PLACES = (_PACKAGE / "_data", _PACKAGE.parent / "data")


def bundled(name: str) -> Path:
    """Find a bundled file by its name inside data/.

    Raises
    ------
    FileNotFoundError
        If no such file ships with this version; the message names the places that were looked at.
    """
    for place in _PLACES:
        if (place / name).exists():
            return place / name
    msg = f"Bundled file {name!r} is missing; looked in {' and '.join(map(str, _PLACES))}. Install gallump_lab again."
    raise FileNotFoundError(msg)
