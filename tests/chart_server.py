"""A server in the shape of Yahoo Finance's chart endpoint, as the installed yfinance reads it, on loopback.

In a test: `server.charts["AAPL"]` is what it answers, a `chart(...)`, a status (int), or a function that returns one of
them; `server.others` are the answers of other paths, and `server.asked` is what was asked for. `server.session()` is
what yfinance asks with: the real one, sent here whatever host it means, so that cookie and crumb are served too and
nothing leaves the machine.
"""

import json
import re
import threading
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

from curl_cffi.requests import Session


def chart(days, price, at, *, zone="America/New_York", currency="USD", splits=(), dividends=()):
    """Return what the endpoint answers with.

    `days` are (day, close) or (day, None) for a halt, adjusted for all splits as Yahoo does; `price` the last trade's
    and `at` its time; `splits` are (day, new, old), `dividends` (day, amount per share of today).
    """
    offset = ZoneInfo(zone)

    def opening(day):
        return int(datetime.fromisoformat(f"{day} 09:30").replace(tzinfo=offset).timestamp())

    closes = [close for _, close in days]
    quote = dict.fromkeys(("open", "high", "low", "close"), closes) | {"volume": [c and 1000 for c in closes]}
    meta = {
        "currency": currency,
        "instrumentType": "EQUITY",
        "exchangeTimezoneName": zone,
        "regularMarketPrice": price,
        "regularMarketTime": int(datetime.fromisoformat(at).replace(tzinfo=offset).timestamp()),
        "regularMarketVolume": 5000,
        "priceHint": 2,
        "validRanges": ["1d", "5d", "1mo", "max"],
    }
    events = {
        "splits": {
            str(opening(day)): {"date": opening(day), "numerator": new, "denominator": old} for day, new, old in splits
        },
        "dividends": {str(opening(day)): {"date": opening(day), "amount": amount} for day, amount in dividends},
    }
    indicators = {"quote": [quote], "adjclose": [{"adjclose": closes}]}
    found = {"meta": meta, "timestamp": [opening(day) for day, _ in days], "events": events, "indicators": indicators}
    return {"chart": {"result": [found], "error": None}}


class ChartServer:
    """Serves charts by symbol until its block ends."""

    def __init__(self):
        self.charts: dict[str, object] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.others: dict[str, object] = {}
        self.headers: dict[str, str] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def session(self):
        """Return a session of yfinance's kind that reaches this server alone."""
        here = self.url

        class Local(Session):
            def request(self, method, url, *args, **options):
                return super().request(method, re.sub(r"^https?://[^/]+", here, url), *args, **options)

        return Local(impersonate="chrome")

    def answer(self, handler):
        """Answer a request: a chart, or whatever the cookie and the crumb need."""
        place = urlsplit(handler.path)
        symbol, asked = unquote(place.path.rpartition("/")[2]), parse_qs(place.query)
        if place.path in self.others or "chart" in place.path:
            self.asked.append((symbol, {name: values[0] for name, values in asked.items()}))
        elif "chart" not in place.path:
            return self._send(handler, 200, "crumb")
        found = self.others.get(place.path) or self.charts.get(symbol, 404)
        found = found() if callable(found) else found
        if isinstance(found, int):
            said = {404: "No data found, symbol may be delisted"}.get(found, "Too Many Requests")
            error = {"code": "Not Found", "description": said}
            return self._send(handler, found, json.dumps({"chart": {"result": None, "error": error}}))
        return self._send(handler, 200, json.dumps(found))

    def _send(self, handler, status, text):
        body = text.encode()
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **self.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)
