"""Keys and passwords: which shapes are known, which are none, and that none is stored, sent, shown or logged."""

import json
import logging
import random
import string
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from messages_server import DROP, Status, end, say, start, text, tool

from gallump_lab import Cold, Config, Lab, Model, datasets, masking, study
from gallump_lab.brain.answer import ModelError
from gallump_lab.masking import Stream, describe, masked
from gallump_lab.memory import insights, messages
from gallump_lab.reading.symbols import SymbolError, validate_symbols
from gallump_lab.store.remote import Remote
from gallump_lab.study import Snapshot

NOW = datetime(2013, 2, 28, 15, 0, tzinfo=UTC)
DICE = random.Random(7)
WORDS = string.ascii_letters + string.digits


def some(number, of=WORDS):
    """Make up so many characters of a key, so that no whole one stands in this file."""
    return "".join(DICE.choice(of) for _ in range(number - 1)) + "7"


CAPITALS = string.ascii_uppercase + string.digits
HEX = "0123456789abcdef"
BASE58 = "".join(sorted({*WORDS} - {*"0OIl"}))
SEEDS = "abandon ability able about above absent absorb abstract absurd abuse access accident"


def block(kind, breaks="\n", *, closed=True):
    lines = [f"-----BEGIN {kind}-----", *(some(64) for _ in range(4)), some(20) + "=", f"-----END {kind}-----"]
    return breaks.join(lines if closed else lines[:-1])


SECRETS = {
    "Anthropic": f"sk-ant-api03-{some(93)}AA",
    "OpenAI": f"sk-{some(48)}",
    "OpenAI, project": f"sk-proj-{some(120, WORDS + '_-')}",
    "Google": f"AIza{some(35)}",
    "AWS": f"AKIA{some(16, CAPITALS)}",
    "AWS, letters alone": "AKIA" + "QZWXECRVTBYNUMIO",
    "GitHub": f"ghp_{some(36)}",
    "GitHub, fine-grained": f"github_pat_{some(82)}",
    "GitLab": f"glpat-{some(20)}",
    "Slack": f"xoxb-123456789012-1234567890123-{some(24)}",
    "Stripe": f"sk_live_{some(24)}",
    "Hugging Face": f"hf_{some(34, string.ascii_letters)}",
    "IEX": f"pk_{some(32, HEX)}",
    "Shopify": f"shpat_{some(32, HEX)}",
    "a wallet's root": f"xprv9s21ZrQH143K{some(95, BASE58)}",
    "a wallet's key": f"L{some(51, BASE58)}",
    "Telegram": f"1234567890:AA{some(33)}",
    "JSON web token": f"eyJ{some(20)}.eyJ{some(60)}.{some(43)}",
    "RSA": block("RSA PRIVATE KEY"),
    "PGP": block("PGP PRIVATE KEY BLOCK"),
    "a block on one line": block("EC PRIVATE KEY", " "),
    "a block that breaks off": block("PRIVATE KEY", closed=False),
    "zero width": f"sk-ant-api03-\u200b{some(50)}\u200b{some(45)}",
}
LABELLED = {  # the secret stands where @ does
    "postgres://user:@@db.local/trades": "p@ss-w0rd!",
    "curl -s -u joe:@ https://broker.example/v2": "s3cretpass",
    'curl -u "joe:@" https://broker.example/v2': "s3cret pass word",
    "https://joe.blob.core.windows.net/bars?sv=2022-11-02&sig=@&se=2027": f"{some(42)}%3D",
    "Authorization: Bearer @": some(40),
    "curl -H 'authorization: Basic @'": "dXNlcjpodW50ZXIy",
    "APCA-API-KEY-ID: @": f"PK{some(18, CAPITALS)}",
    "My Alpaca key is @, paper trading": f"AK{some(24, CAPITALS)}",
    "aws_secret_access_key = @": some(40, WORDS + "/+"),
    "https://finnhub.io/api/v1/quote?symbol=AAPL&token=@": some(20, string.ascii_lowercase + string.digits),
    "https://hooks.slack.com/services/@": f"T0123/B0123/{some(24)}",
    "POLYGON_API_KEY: '@'": some(32, WORDS + "_"),
    "my binance secret is @.": some(64),
    '{"client_secret": "@", "scope": "trade"}': some(32),
    "**API key:** @": some(32),
    'api_key = "@"': "abcd1234efgh",
    "api key: @": "ABCDEFGHIJKLMNOP",
    "my key is @": some(64, HEX),
    "API-Schl\u00fcssel: @": some(32),
    "cl\u00e9 API : @": some(32),
    "clave de API: @": some(32),
    "private key: @": f"0x{some(64, HEX)}",
    "WIF: @": f"5{some(50, BASE58)}",
    "My Flex token is @, query 1234": "123456789012345678901234",
    "https://ibkr.example/FlexStatementService.SendRequest?t=@&q=1234&v=3": "123456789012345678901234",
    "| Service | API key |\n|---|---|\n| Polygon | @ |\n": some(32),
    "broker,api_key,api_secret\nalpaca,paper,@\n": some(40),
    "password=@": "hunter2",
    "my password is @, don't tell": "Tr0ub4dor&3",
    "password @": "hunter2hunter2!",
    "I set my password to @": "hunter2x",
    "| password | @ |": "hunter2hunter2!",
    "PASSWORD:\n@\nAAPL is up": "hunter2hunter2!",
    "**Password:** @": "hunter2!",
    "DB_PASS=@": "hunter2hunter2",
    "pw: @": "hunter2hunter2!",
    "pass @": "Tr0ub4dor3",
    "secret: @": "hunter2hunter2!",
    "Kennwort: @": "hunter2",
    "mot de passe\u00a0: @": "soleil",
    "Mi contrase\u00f1a es @": "Tr0ub4dor&3",
    "clave: @": "gato1234",
    "password: @ for ibkr": "swordfish",
    "password: @\nAAPL": "correct horse battery staple",
    'password: "@"': "it's2cool",
    "My mnemonic is @.": SEEDS,
    "my card is @, cvv 123": "4111 1111 1111 1111",
    "@ (visa)": "5555555555554444",
}
NONE = [
    "sk-ant-...",
    "Set sk-... or YOUR_API_KEY",
    "ANTHROPIC_API_KEY=sk-ant-your-key-goes-here",
    "api_key=<your-api-key>, api_key=$ALPACA_KEY_2024_PAPER, api_key=os.environ['KEY']",
    "api_key = config.api_key, api_key=get_key(2024), session_key = 'london2024'",
    "token: 500",
    "The secret: buy low. The secret to 10-20% a year is patience. The secret: covid19 winners.",
    "Key level 430.50, key resistance/support 2024-01-15T09:30, the key is discipline.",
    "Key date: 2024-01-15T09:30:00+00:00, key figures: revenue_2024_growth_yoy",
    "The API key rotates on 2024-12-31T00:00:00, the session token expires 2024-12-31T00:00",
    "A risk-reward-of-3-to-1 setup, a task-force-2024-for-regulation, risk-on/risk-off",
    f"tx 0x{some(64, HEX)}, commit {some(40, HEX)}, sha256 {some(64, HEX)}",
    "order id 550e8400-e29b-41d4-a716-446655440000, fill 20240115-093000-00017-A",
    "order 123456789012345678901234, account U1234567, t=1700000000&q=5",
    "token: 0xdAC17F958D2ee523a2206206994597C13D831ec7",
    "token: EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v",
    "wallet token bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
    "private key: 0xdAC17F958D2ee523a2206206994597C13D831ec7",
    "The token BTC-USDT-PERP-20241227 expires; token: ETH-USD-20241227-4000-C",
    "binance token: BNBUSDT-PERP-2024Q1, binance token = '1000SHIBUSDT2024'",
    "AAPL240119C00190000 MSFT US5949181045 037833100 BRK.B EURUSD=X ^GSPC 7203.T",
    f"Asia session, AKIA, KEYS, the PKG{some(3, string.digits)} contract, {some(24, CAPITALS)}",
    "Akiak is no key, the MSCI ASIAPACIFICEXJAPANET index, dapi by itself, tokens that begin with shpat_",
    "| Key | Value |\n|---|---|\n| P/E | 25.4 |\n| market cap | 2.5T |",
    "| Token | Price on 2024-01-15 |\n|---|---|\n| SHIB1000 | 0.00001234567890123 |",
    "ticker,key,secret sauce\nAAPL,level2024,none\n",
    "Is a password needed? password: required. The password is not here. def f(password: str = None)",
    "password: ask Joe for it. The password: see the vault, password 12-character minimum, password: 12 or more",
    "Password: stored in [Password Manager] or in a safe; **Unique Passwords**: 1Password can generate them",
    "The password to success: discipline. | user | password | host |",
    "The password is case-sensitive, the password is upper/lower case, password strength: 8/10",
    "pwd: /home/joe/trades, pwd=~/trades, pwd = C:\\Users\\joe, pwd: ./bars",
    "J'ai oubli\u00e9 mon mot de passe. mot de passe oubli\u00e9 ?",
    "\u00bfOlvidaste tu contrase\u00f1a? La clave es la paciencia, la clave del trimestre: ventas",
    "Das Passwort zum Erfolg ist Geduld, die Schl\u00fcsselzahl 2024",
    "pass on AAPL at 190, pass: 200dma, pw: 0.5, low_pass=butter(4), I pass 2024Q3 earnings, user: joe / AAPL",
    "I pass: Q3-2024 is too rich; my pass rate: 80%; secrets: 3 of 5; passport 12345678",
    "user: AAPL/C430x exp June",  # a prompt names who spoke like this
    "user: 0|00000\u00df",
    "https://finance.yahoo.com/quote/AAPL?p=AAPL https://example.com:8080/a@b me@example.com",
    "trade://AAPL:100@430.47 buy://MSFT:400@29.85 sell://MSFT:400@limit",
    "The curl of the yield curve, curl -u is an option, curl https://a.example/b:c, curl -u joe:$PASSWORD",
    "sig = 0.05, signature=pending, a 2-sigma move",
    "order 4111111111111111, scorecard 4111111111111111",
    "visa 4111111111111112, visa volume 4,111,111,111,111,111, card 1700000000000000, cards of 2024 4 2 1",
    "Visa at 310.50, 12 calls; my card ends in 4242",
    "Authorization: Basic authentication is weak",
    "Bearer bonds of 2024, the bearer of 1,000 shares",
    "What is a -----BEGIN PRIVATE KEY----- line good for?",
    "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC KEY-----",
    "My seed phrase is something that nobody else should ever hear about at all",
    "What if the L, K and 5 waves of Elliott agree?",
    "[API key removed] and [password removed]",
    "",
]


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_secret_gives_way_to_a_word_and_the_rest_stays(secret):
    for around in ("{}", "Is {} still valid?", "KEY='{}'\nand AAPL at $190", "({}),"):
        found = masked(around.format(secret))
        assert found.startswith(f"{around.partition('{}')[0]}[")
        assert found.endswith(f" removed]{around.partition('{}')[2]}")
        assert secret[12:24] not in found
        assert masked(found) == found


@pytest.mark.parametrize(("line", "secret"), LABELLED.items(), ids=LABELLED)
def test_what_is_called_a_secret_is_one_in_a_text_and_in_a_stream(line, secret):
    before, _, after = line.partition("@")
    found = masked(f"{before}{secret}{after}")
    assert found.startswith(f"{before}[")
    assert found.endswith(f" removed]{after}")
    assert masked(found) == found
    said, seen = f"Well, {before}{secret}{after}\nand AAPL at 190.", []
    stream = Stream(seen.append)
    for each in said:
        stream.add(each)
    stream.end()
    # What a secret is called may come too late for its first characters, which could be a price.
    shown = "".join(seen) if before else "".join(seen).replace(secret[:7], "", 1)
    assert shown == masked(said)


def test_what_is_none_stays():
    assert [masked(line) for line in NONE] == NONE


def test_words_name_the_kind():
    assert masked(f"key {SECRETS['RSA']}") == "key [private key removed]"
    assert masked("x://a:b@c") == "x://a:[password removed]@c"
    assert describe("Is AAPL cheap?") is None
    assert describe(f"{SECRETS['AWS']} and x://a:b@c") == (
        "What looked like an API key and a password in your question was masked before it was stored or sent. "
        "If it is real, revoke it."
    )


def test_real_talk_has_none():
    sample = datasets.sample()
    talk = [sample.messages["text"], sample.questions["text"], sample.questions["answer"], sample.insights["text"]]
    assert [each for part in talk for each in part.dropna() if masked(each) != each] == []


def test_a_key_in_force_and_what_is_kept_are_masked_whatever_their_shape(tmp_path, monkeypatch):
    monkeypatch.setattr(masking, "_kept", {})
    monkeypatch.setenv("ANTHROPIC_API_KEY", "my own words 8")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "ollama")
    assert masked("I run ollama with my own words 8.") == "I run ollama with [API key removed]."
    Remote(tmp_path / "lab", token="our team 7 says so")  # noqa: S106 (made up)
    masking.keep("short")
    assert masked("A short one: our team 7 says so.") == "A short one: [API key removed]."


def test_a_symbol_that_is_none_is_quoted_masked():
    key = SECRETS["AWS"]
    for wrong in (key, [key]):
        with pytest.raises(SymbolError, match=r"\[API key removed\]") as refused:
            validate_symbols(wrong)
        assert key[4:12] not in str(refused.value)


@pytest.mark.parametrize("size", [1, 4, 50])
def test_a_stream_never_shows_a_key_and_holds_back_no_other_word(size):
    seen = []
    stream = Stream(seen.append)
    for each in ("The stop ", "is ", "at 182."):
        stream.add(each)
        assert "".join(seen).endswith(each)
    key, block = SECRETS["Anthropic"], SECRETS["RSA"]
    said = f" Your key {key} and\n{block}\nand the password: hunter2, all right."
    for begin in range(0, len(said), size):
        stream.add(said[begin : begin + size])
        assert not any(secret[:12] in "".join(seen) for secret in (key, block[40:]))
    stream.end()
    assert "".join(seen) == f"The stop is at 182.{masked(said)}"


KEYS = {
    "asked": SECRETS["Anthropic"],
    "replied": SECRETS["OpenAI, project"],
    "recommended": SECRETS["GitHub"],
    "fault": SECRETS["Google"],
    "imported": SECRETS["Slack"],
    "block": block("OPENSSH PRIVATE KEY"),
    "speaker": SECRETS["GitLab"],
    "insight": SECRETS["Stripe"],
    "note": SECRETS["Hugging Face"],
    "password": "correct7horse",
    "broker": some(32),
    "in force": "plain words of 2013",
}
IDEA = {"action": "buy", "symbol": "AAPL", "size": "5%", "entry": 430, "stop": 400, "target": 500}
IDEA |= {"horizon": "a year", "confidence": 0.5}


class Chatty:
    """A broker whose errors quote what it was given."""

    name = "chatty"
    live = False

    def __getattr__(self, _name):
        def fail(*_):
            msg = f"401, there is no API key {KEYS['broker']}"
            raise OSError(msg)

        return fail


@pytest.fixture
def opened(tmp_path, server, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEYS["in force"])
    config = Config(model=Model(base_url=server.url, max_retries=0), cold=Cold(distiller="nobody"))
    now = [NOW]
    lab = Lab.open(tmp_path / "lab.duckdb", config=config, clock=lambda: now[0], broker=Chatty())
    lab.later = lambda: now.__setitem__(0, now[0] + timedelta(hours=2))
    return lab


def held(place):
    """Give those of the keys of which a text or some bytes hold a part."""
    part = {name: key[len(key) // 2 - 5 :][:10] for name, key in KEYS.items()}
    found = place if isinstance(place, bytes) else str(place).encode()
    return [name for name, each in part.items() if each.encode() in found]


def everything(read):
    """Give every value of every table as text: in the file they are compressed."""
    columns = read("select table_name, column_name from duckdb_columns() where not internal and schema_name = 'main'")
    values = [f'select "{column}"::text as value from "{table}"' for table, column in columns.itertuples(index=False)]  # noqa: S608
    return "\n".join(read(" union all ".join(values))["value"].dropna())


def written_by_hand(lab, reply):
    """Write keys wherever an analyst can; each is told where it was written."""
    key = KEYS["insight"]
    for where, write in (
        ("question", lambda: lab.add_question(f"And {KEYS['imported']}?", answer=KEYS["imported"])),
        ("insight", lambda: lab.insights.add(f"Signs in by {key}", speaker=KEYS["speaker"])),
        ("insight", lambda: lab.insights.edit(1, f"Always signs in by {key}")),
        ("note", lambda: lab.insights.retire(2, f"It says {key}")),
        ("note", lambda: lab.decide(reply.turn_id, 0, "rejected", f"{KEYS['note']} again")),
    ):
        with pytest.warns(UserWarning, match=f"^What looked like an API key in your {where} was masked") as warned:
            write()
        assert [each.filename for each in warned] == [__file__]


def test_planted_keys_are_nowhere(opened, server, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr("gallump_lab.store.locks.RENEWED", 0.01)
    lab, folder, seen, drafts = opened, opened.store.path.parent, [], []

    def hear(piece):
        seen.append(piece)
        while (saved := lab.sql("select text from drafts")["text"]).empty:
            pass
        drafts.extend(saved)

    key = KEYS["replied"]
    ideas = [{**IDEA, "rationale": f"As {KEYS['recommended']} says."}, {**IDEA, "symbol": KEYS["recommended"]}]
    server.queue(
        Status.error(400, "invalid_request_error", f"no such key {KEYS['fault']}"),
        [start(), *text("Yours is ", key[:9], key[9:30], DROP)],
        [
            start(),
            *text("Yours is ", *(key[at : at + 40] for at in range(0, len(key), 40)), ", it seems."),
            *tool({"recommendations": ideas}),
            *end(),
        ],
    )
    question = f"Does {KEYS['asked']} work,\n{KEYS['block']}\nor {KEYS['in force']}? password: {KEYS['password']}"
    with pytest.raises(ModelError) as refused:
        lab.ask(question, watchlist=["AAPL"], on_text=hear)
    first = refused.value.reply
    assert first.notice.startswith("What looked like an API key and a private key and a password in your question")
    with pytest.raises(ModelError):
        lab.retry(first.question_id, on_text=hear)
    reply = lab.retry(first.question_id, on_text=hear)
    assert reply.text.startswith("Yours is [API key removed], it seems.")
    assert lab.messages["text"].iloc[0].startswith("Does [API key removed] work,\n[private key removed]\nor [API")

    talk = {"role": "user", "created_at": NOW - timedelta(days=9), "session_id": "s", "key": "1"}
    rows = [{**talk, "text": f"Use {KEYS['imported']}", "speaker": KEYS["speaker"]}, {**talk, "text": KEYS["block"]}]
    brought = lab.import_messages(pd.DataFrame(rows))
    masked_so = "held what looked like a key or a password; it was masked. If it is real, revoke it."
    assert f"2 messages {masked_so}" in brought.problems
    assert lab.import_messages(pd.DataFrame(rows)).already == 2
    asked = {"text": f"Was it {KEYS['imported']}?", "answer": KEYS["imported"], "asked_at": NOW}
    asked_so = lab.import_questions(pd.DataFrame([{**asked, "kind": KEYS["speaker"], "conversation": KEYS["speaker"]}]))
    assert f"1 question {masked_so}" in repr(asked_so)
    written_by_hand(lab, reply)
    with pytest.raises(ValueError, match="note must be text of at most 2,000") as long:
        lab.decide(reply.turn_id, 0, "rejected", f"{KEYS['note']} " * 100)

    lab.later()
    told = {"text": f"The key is {KEYS['insight']}.", "kind": "fact", "symbol": None, "speaker": None, "sources": [1]}
    told |= {"attribute": "key", "value": KEYS["insight"], "valid_from": None, "valid_until": None}
    server.queue(*[say(json.dumps({"insights": [told]}))] * 2)
    assert lab.distill(by="model", confirm=lambda _: True).sessions == 2

    backup, saved = lab.backup(folder / "backup.duckdb"), folder / "saved.duckdb"
    lab.snapshot().save(saved)
    places = {
        "requests": json.dumps([request.body for request in server.requests]),
        "seen": "".join(seen),
        "drafts": "\n".join(drafts),
        "logs": caplog.text,
        "prints": repr(capfd.readouterr()),
        "notices": f"{refused.value} {vars(refused.value)} {long.value} {reply!r}",
        "preview": lab.preview(question).prompt.text,
        "export": lab.export(reply.session_id),
        "imports": repr(brought),
        "lab": everything(lab.sql),
        "backup": everything(Lab.open(backup).sql),
        "snapshot": everything(Snapshot.load(saved).sql),
    }
    assert {name: found for name, place in places.items() if (found := held(place))} == {}
    assert all(places.values())
    assert len(server.requests) == 5
    files = [path for path in folder.iterdir() if path.is_file()]
    assert {path.name: found for path in files if (found := held(path.read_bytes()))} == {}
    assert {"lab.duckdb", "backup.duckdb", "saved.duckdb"} <= {path.name for path in files}


def test_what_an_older_lab_holds_is_not_sent_and_replays(opened, server, monkeypatch):
    lab = opened
    with monkeypatch.context() as before:
        before.setattr(messages, "masked", lambda text: text)
        before.setattr(insights, "masked", lambda text: text)
        before.setattr(masking, "warn", lambda *_, **__: None)
        lab.insights.add(f"Signs in by {KEYS['insight']}")
        session = lab.sessions.get_or_create_session()
        lab.sessions.add_message(session, "user", f"My note on AAPL is {KEYS['asked']}.")
    assert held("".join(lab.messages["text"])) == ["asked"]
    assert lab.insights.frame["text"].tolist() == ["Signs in by [API key removed]"]
    assert lab.history()["title"].tolist() == ["My note on AAPL is [API key removed]"]  # cut at 80 characters
    lab.later()
    reply = lab.ask("What is my note on AAPL?")
    assert "user: My note on AAPL is [API key removed]." in reply.prompt.text
    assert [request.prompt for request in server.requests] == [reply.prompt.text]
    assert study.replay(lab.snapshot()).frame["identical"].all()
    server.queue([start(), *tool({"insights": []}, index=0, name="remember"), *end("tool_use")])
    lab.distill(session, by="model", confirm=lambda _: True)
    assert "My note on AAPL is [API key removed]." in server.requests[-1].prompt
    assert held(lab.export(session)) == []


def test_an_interrupt_at_the_very_end_of_a_stream_keeps_the_reply(opened, server):
    def interrupt(_):
        raise KeyboardInterrupt

    server.queue([start(), *text("s"), *end()])  # it may become the beginning of a key, and waits
    with pytest.raises(KeyboardInterrupt):
        opened.ask("One letter, please.", on_text=interrupt)
    assert opened.messages[["text", "state"]].iloc[-1].tolist() == ["s", "stopped"]
