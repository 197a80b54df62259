"""Columns by the names that people and programs give them."""

import re
from collections.abc import Iterable, Mapping, Sequence

from gallump_lab.reading.numbers import currency

Names = Mapping[str, Sequence[str]]
"""Columns, each with its other names, which count where the first is missing."""


def plain(name: object) -> str:
    """Return a column's name in lower case, words joined by underscores, without number and currency.

    >>> plain("Adj Close"), plain("adjClose"), plain("5. adjusted close"), plain("Avg. Cost (EUR)")
    ('adj_close', 'adj_close', 'adjusted_close', 'avg_cost')
    """
    text = re.sub(r"^\d+\.\s", "", str(name).strip())
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", currency(text)[0] or text)
    return re.sub(r"[\W_]+", "_", words).strip("_").casefold()


def places(names: Iterable[object], known: Names) -> dict[str, int]:
    """Return where each of the known columns stands; of several with one name the first, and none as two of them.

    What stands in brackets counts where the whole name is known, else it is passed over: "Qty (Quantity)" is qty.
    """
    texts = [*map(str, names)]
    own: dict[str, int] = {}
    for forms in (texts, (re.sub(r"\s*[(\[].*", "", text, flags=re.DOTALL) for text in texts)):
        for place, form in enumerate(forms):
            own.setdefault(plain(form), place)
    found: dict[str, int] = {}
    for name, others in known.items():
        free = [own[each] for each in (name, *others) if each in own and own[each] not in found.values()]
        if free:
            found[name] = free[0]
    return found
