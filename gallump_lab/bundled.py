"""The one way to a file that ships with the package, from a checkout and from an installed wheel alike."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def bundled(name: str, folder: str = "data") -> Path:
    """Find a bundled file by its name inside data/, or inside another folder that ships.

    Raises
    ------
    FileNotFoundError
        If no such file ships with this version; the message names the places that were looked at.
    """
    places = (_PACKAGE / f"_{folder}", _PACKAGE.parent / folder)
    for place in places:
        if (place / name).exists():
            return place / name
    msg = f"Bundled file {name!r} is missing; looked in {' and '.join(map(str, places))}. Install gallump_lab again."
    raise FileNotFoundError(msg)
