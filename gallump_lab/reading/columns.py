"""Columns by the names that people and programs give them."""

import re
from collections.abc import Iterable, Mapping, Sequence

from gallump_lab.reading.numbers import currency

Names = Mapping[str, Sequence[str]]
"""Columns, each with patterns of its other names as `plain` gives them; one counts where none before it matches."""


def plain(name: object) -> str:
    """Return a column's name in lower case, words joined by underscores, without number and currency.

    >>> plain("Adj Close"), plain("adjClose"), plain("5. adjusted close"), plain("Kauf in EUR")
    ('adj_close', 'adj_close', 'adjusted_close', 'kauf')
    """
    text = re.sub(r"^\d+\.\s", "", str(name).strip()).replace("%", " percent ")
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", currency(text)[0] or text)
    return re.sub(r"[\W_]+(in$)?", "_", words).strip("_").casefold()


def places(names: Iterable[object], known: Names) -> dict[str, int]:
    """Return where each of the known columns stands; of several with one name the first, and none as two of them.

    What stands in brackets counts where the whole name is known, else it is passed over: "Qty (Quantity)" is qty.
    """
    texts = [*map(str, names)]
    short = [re.sub(r"\s*[(\[].*", "", text, flags=re.DOTALL) for text in texts]
    forms = [(plain(text), place) for several in (texts, short) for place, text in enumerate(several)]
    found: dict[str, int] = {}
    for name, patterns in known.items():
        for pattern in (name, *patterns):
            if free := [at for form, at in forms if at not in found.values() and re.fullmatch(pattern, form)]:
                found[name] = free[0]
                break
    return found
