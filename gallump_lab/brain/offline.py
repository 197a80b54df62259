"""The offline analyst: a note made by fixed rules from what the prompt holds, where there is no model to ask.

It shows the tiers at work: the same prompt gives the same note, and every figure and quotation in it comes from the
prompt. Its one trading rule is plain trend following, and it recommends nothing on prices that are out of date.
"""

import math
import re
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from gallump_lab import tokens
from gallump_lab.brain.answer import Action, Answer, Recommendation, Usage
from gallump_lab.market.market_context import close_age, freshness
from gallump_lab.memory.kinds import asks_assistant, asks_earlier, parted
from gallump_lab.memory.outdated import told
from gallump_lab.memory.text import NOTE, one_line
from gallump_lab.reading import names

if TYPE_CHECKING:
    from gallump_lab.brain.prompt import Prompt
    from gallump_lab.market.market_context import MarketContext, Position, Quote, Trend
    from gallump_lab.memory.records import ContextItem

OPENING = (
    f"{NOTE} Fixed rules made this note from the records in the prompt; of your question they read the symbols alone."
)
_SYMBOLS, _QUOTED = 5, 240  # so many symbols are looked at; so many characters of a record are quoted
_RISK, _SHARE = 0.01, 0.10  # of the portfolio: what a trade may lose at its stop, and what it may cost
_CONFIDENCE = 0.3  # a rule without judgement


def answer(prompt: "Prompt", *, on_text: Callable[[str], None], stop: threading.Event) -> Answer:
    """Return the note, in pieces, until it ends or is stopped."""
    started = time.perf_counter()
    note, found = write(prompt)
    text = ""
    interruption: BaseException | None = None
    try:
        for piece in re.findall(r"\S+\s*", note):
            if stop.is_set():
                break
            text += piece
            on_text(piece)
    except BaseException as error:  # noqa: BLE001 - it goes on in the answer, and is raised once that is recorded
        interruption = error
    whole = text == note and interruption is None
    seconds = time.perf_counter() - started
    return Answer(
        text=text,
        recommendations=found if whole else (),
        model=tokens.OFFLINE,
        usage=Usage(input_tokens=tokens.count(prompt.text), output_tokens=tokens.count(text)),
        cost_usd=0.0,
        latency=seconds,
        first_text=seconds if text else None,
        stop_reason="end_turn" if whole else None,
        state="complete" if whole else "stopped",
        interruption=interruption,
        plain=whole,
        offline=True,
    )


def write(prompt: "Prompt") -> tuple[str, tuple[Recommendation, ...]]:
    """Write the note on a prompt.

    Returns
    -------
    str
        Markdown; the first line says who wrote it.
    tuple of Recommendation
        What the trend rule gives for the symbols that were asked for.
    """
    market, moment = prompt.market_context, prompt.session_context.moment
    at = market.at or (moment.at if moment else None)
    parts: list[str] = [OPENING]
    found: list[Recommendation] = []
    for symbol in market.symbols[:_SYMBOLS]:
        quote, trend = market.quotes.get(symbol), market.trends.get(symbol)
        if quote is None:
            parts.append(f"**{symbol}**: there is no market data for it here, so nothing can be said.")
            continue
        words, recommended = _verdict(market, quote, trend, at)
        parts.append(" ".join(filter(None, (_close(quote), words, _trend(trend), _holding(market, symbol)))))
        found += [recommended] if recommended else []
    if market.symbols[_SYMBOLS:]:
        parts.append(f"Not looked at: {', '.join(market.symbols[_SYMBOLS:])}.")
    if not market.symbols:
        parts.append("No symbol with prices was named; put one on the watchlist or write it in capitals, such as AAPL.")
        if market.portfolio is not None:
            held = ", ".join(f"{each.quantity:,.10g} {each.symbol}" for each in market.portfolio.positions)
            parts.append(f"The portfolio holds {held or 'no positions'} and {_usd(market.portfolio.cash)} in cash.")
    parts += _remembered(prompt)
    if market.problems:
        parts.append(f"Missing from the records: {' '.join(map(_quoted, market.problems[:3]))}")
    parts.append(_age(market, at))
    return "\n\n".join(filter(None, parts)), tuple(found)


def _close(quote: "Quote") -> str:
    when = f"traded at {_usd(quote.price)} at {quote.at:%Y-%m-%d %H:%M} UTC" if quote.at else None
    change = "" if quote.change is None else f", {quote.change:+.1f}% from the close before"
    return f"**{quote.symbol}** {when or f'closed at {_usd(quote.price)} on {quote.date}'}{change}."


def _trend(trend: "Trend | None") -> str:
    if trend is None:
        return ""
    changes = ((5, trend.change_5), (20, trend.change_20), (60, trend.change_60))
    moves = [f"{change:+.1f}% over {bars} bars" for bars, change in changes if change is not None]
    weeks = f"since {trend.since}" if trend.since else "of 52 weeks"
    said = f"Trend: {', '.join([*moves, f'range {weeks} {_usd(trend.low)} to {_usd(trend.high)}'])}"
    if trend.from_mean_50 is not None:
        side = "above" if trend.from_mean_50 >= 0 else "below"
        said += f", {abs(trend.from_mean_50):.1f}% {side} the mean of 50 closes"
    return f"{said}."


def _holding(market: "MarketContext", symbol: str) -> str:
    lots = [
        f"{'holds' if each.quantity >= 0 else 'is short'} {abs(each.quantity):,.10g}"
        + (f" at an entry of {_usd(each.entry)}" if each.entry is not None else "")
        for each in _lots(market, symbol)
    ]
    return f"The portfolio {' and '.join(lots)}." if lots else ""


def _verdict(
    market: "MarketContext", quote: "Quote", trend: "Trend | None", at: datetime | None
) -> tuple[str, Recommendation | None]:
    """Apply the rule: buy or hold what rises by every measure, with the 50-bar mean as stop; leave what falls."""
    signs = (trend.change_20, trend.change_60, trend.from_mean_50) if trend else ()
    known = [sign for sign in signs if sign is not None]
    if len(known) < 3 or quote.price <= 0:
        return "By rule: no trade, the records do not tell a trend.", None
    up, down = all(sign > 0 for sign in known), all(sign < 0 for sign in known)
    if not up and not down:
        return "By rule: no trade, 20 bars, 60 bars and the 50-bar mean do not point the same way.", None
    way = f"20 bars, 60 bars and the 50-bar mean all point {'up' if up else 'down'}"
    if at is not None and freshness(quote, at)[1] == "stale":
        return f"By rule: {way}, but on a price this old no trade is recommended.", None
    quantity = math.fsum(each.quantity for each in _lots(market, quote.symbol))
    if down and not quantity:
        return f"By rule: {way}; stay out.", None
    mean = quote.price / (1 + known[-1] / 100)
    mean = round(mean, 2 if mean >= 1 else 6)
    action: Action
    stop: float | None = mean
    size = f"{abs(quantity):,.10g} shares"
    if not quantity:
        action, size = "buy", _size(market, quote.price, quote.price - mean)
    elif (quantity > 0) == up:
        action = "hold"
    else:
        action, stop = "cover" if up else "sell", None
    if not size:
        return f"By rule: {way}, but the portfolio has no room for a position.", None
    words = f"By rule: {way}; {action} {size}" + (f", with a stop at that mean, {_usd(stop)}" if stop else "")
    return f"{words}. This is a proposal to confirm or reject.", Recommendation(
        action=action,
        symbol=quote.symbol,
        size=size,
        entry=quote.price,
        stop=stop,
        horizon="while the trend lasts",
        confidence=_CONFIDENCE,
        rationale=f"A rule, not a judgement: as of {quote.date} {way}.",
    )


def _size(market: "MarketContext", price: float, loss: float) -> str:
    """Return how much to buy: a stop-out costs at most 1% of the portfolio, the position at most 10% and the cash."""
    if loss <= 0:
        return ""
    if market.portfolio is None:
        return f"a position that loses {_RISK:.0%} of the portfolio at its stop"
    cash, held = market.portfolio.cash, market.portfolio.positions
    priced = [each.quantity * market.quotes[each.symbol].price for each in held if each.symbol in market.quotes]
    worth = cash + math.fsum(priced)
    shares = math.floor(min(_RISK * worth / loss, _SHARE * worth / price, cash / price))
    return f"{shares:,} shares" if shares > 0 else ""


def _lots(market: "MarketContext", symbol: str) -> list["Position"]:
    return [each for each in (market.portfolio.positions if market.portfolio else ()) if each.symbol == symbol]


def _remembered(prompt: "Prompt") -> list[str]:
    """Quote what the session said of the question, the best recalled passage and the best insight that may be of it.

    Recall ranks and marks what stands in HOT as all else, so both are chosen by it, and what is outdated only where it
    is asked for or stands alone. Where it found nothing, the session's last words are quoted.
    """
    earlier = asks_earlier(prompt.user_message)
    wanted = "assistant" if asks_assistant(prompt.user_message) else "user"
    ranked = [slot for slot in prompt.slots if slot.tier == "warm" and (slot.kept or _stands(slot))]
    ranked.sort(key=lambda slot: ((slot.outdated is None) == earlier, slot.role != wanted, slot.rank))
    found = [slot for slot in ranked if (slot.outdated is None) == (ranked[0].outdated is None)]
    said = [slot for slot in found if not slot.kept]
    if not ranked:
        said = [slot for slot in prompt.slots if slot.tier == "hot" and slot.kept and slot.role == "user"]
    quoted = [f"**Earlier in this session** you said: {_quoted(slot.text)}" for slot in said[:1]]
    quoted += [f"**Recalled** {_whence(slot)}: {_quoted(slot.text)}" for slot in found if slot.kept][:1]
    symbols = names.reader(frozenset(prompt.market_context.symbols)).all
    asked = {*symbols(prompt.user_message)}
    cold = [slot for slot in prompt.slots if slot.tier == "cold" and slot.kept]
    about = ({*symbols(slot.text), slot.symbol} - {None} for slot in cold)
    if learnt := [slot for slot, its in zip(cold, about, strict=True) if not (asked and its) or asked & its]:
        best = min(learnt, key=lambda slot: slot.rank)
        quoted.append(f"**Learnt from past sessions**: {_quoted(best.line.removeprefix('- '))}")
    return quoted


def _stands(slot: "ContextItem") -> bool:
    """Return whether HOT shows a passage that states something about the question."""
    near = slot.reason == "in HOT" and "far" not in slot.signals
    return near and slot.role == "user" and bool(parted(slot.text, "user")[0])


def _whence(slot: "ContextItem") -> str:
    who = "you said" if slot.role == "user" else "the analyst said"
    day = f"{slot.created_at:%Y-%m-%d}" if slot.created_at else None
    mark = told(slot.outdated) if slot.outdated else None
    return ", ".join(filter(None, (day, slot.symbol, mark, who)))


def _age(market: "MarketContext", at: datetime | None) -> str:
    if market.live or (market.data_date is None and market.problems):
        return ""
    if market.data_date is None:
        return f"Market data: {market.source}."
    newest = close_age(market.data_date, at)[0] if at else f"close of {market.data_date}"
    return f"Prices are daily closes, not live; the newest is the {newest}."


def _quoted(text: str) -> str:
    words = one_line(text)
    return f"“{words if len(words) <= _QUOTED else f'{words[:_QUOTED].rstrip()} ...'}”"


def _usd(value: float) -> str:
    return f"${value:,.2f}" if value >= 1 else f"${value:.4g}"
