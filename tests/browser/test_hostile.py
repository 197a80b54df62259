"""Text is shown and never run, whoever wrote it and wherever it stands."""

import json
import unicodedata
from pathlib import Path

import pytest
from messages_server import DROP, Status, end, start, text, tool
from notebook_page import OPEN
from playwright.sync_api import expect
from running_server import eventually

RUNS = (
    '<script>window.hacked = 1; document.title = "hacked"</script>',
    '<img src="https://hostile.example/i.png" onerror="window.hacked = 2">',
    '<svg onload="window.hacked = 3"><a xlink:href="javascript:alert(1)">a</a></svg>',
    "[a link](javascript:window.hacked=4)",
    "![a picture](https://hostile.example/p.png)",
    "[data](data:text/html,<script>alert(5)</script>)",
    '<iframe src="https://hostile.example"></iframe>',
    "<style>body { display: none } .gl-chat { visibility: hidden }</style>",
    '<div style="position: fixed; inset: 0; background: red; z-index: 99999">covered</div>',
    '<b onmouseover="window.hacked = 6" onfocus="window.hacked = 7" tabindex="0" autofocus>bold</b>',
    '"><script>alert(8)</script>',
    "</textarea><script>alert(9)</script>",
    "`</code></pre><script>alert(10)</script>`",
)
UNSEEN = "\x1b[2J\x1b]0;hacked\x07 \u202egpj.exe\u202c \u2066isolated\u2069 \x00\x9b31m"
ZALGO = "Z" + "\u0300\u0316\u0489\u035c" * 25 + "algo"
LONG = "W" * 300
HOSTILE = "\n\n".join((*RUNS, UNSEEN, ZALGO, LONG, f"| {RUNS[7]} |\n|---|\n| {RUNS[8]} |", f"```\n{RUNS[0]}\n```"))
SHORT = tuple(each for each in (*RUNS, UNSEEN, ZALGO, LONG[:190]) if len(each) < 200)

REMEMBERS = """
import json
from datetime import datetime, timedelta, UTC
from pathlib import Path
import pandas as pd
from gallump_lab import Lab
lab = Lab.open('lab.duckdb')
said = json.loads(Path('hostile.json').read_text())
lab.import_messages(pd.DataFrame([
    {'role': role, 'text': text, 'symbol': 'AAPL', 'conversation': str(i),
     'created_at': datetime(2026, 3, 2, 9, tzinfo=UTC) + timedelta(hours=i)}
    for i, each in enumerate(said) for role, text in (('user', each + ' AAPL'), ('assistant', each))]))
for i, each in enumerate(said):
    lab.insights.add(each, kind='lesson', symbol='AAPL', sources=[2 * i + 1])
lab.chat(watchlist=['AAPL'])"""

# What no text may bring about: something that runs, fetches, covers, leaves its place or acts unseen.
BROKEN = r"""chat => {
  const found = [];
  const active = "script, style, img, svg, iframe, object, embed, link, meta, base";
  const scrolling = "pre, pre *, table, table *, .gl-to, .gl-unseen, input";
  for (const each of chat.querySelectorAll("*")) {
    const { position, display } = getComputedStyle(each);
    if (each.matches(active)) found.push(`active: ${each.outerHTML}`);
    if (position === "fixed") found.push(`covers: ${each.outerHTML}`);
    for (const { name, value } of each.attributes) {
      const leads = name === "href" && !/^(https?|mailto):/.test(value);
      if (leads || name.startsWith("on")) found.push(`${name}=${value}`);
    }
    const wide = display !== "inline" && each.scrollWidth > each.clientWidth + 1;
    if (wide && !each.matches(scrolling)) found.push(`wide: ${each.outerHTML}`);
  }
  const unseen = /[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/;
  if (unseen.test(chat.textContent)) found.push(`unseen: ${chat.textContent.match(unseen).index}`);
  if (window.hacked !== undefined) found.push(`ran: ${window.hacked}`);
  if (document.title.includes("hacked")) found.push("title");
  if (!document.body.checkVisibility({ visibilityProperty: true })) found.push("body");
  if (chat.contains(document.elementFromPoint(5, 5))) found.push("page covered");
  return found;
}"""


@pytest.fixture
def unharmed(notebook):
    """Give what to call where hostile text is in sight: it fails if any of it has had an effect."""
    dialogs, requests = [], []
    listeners = {
        "dialog": lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()),
        "request": lambda request: requests.append(request.url),
    }
    for event, listener in listeners.items():
        notebook.page.on(event, listener)
    (notebook.folder / "hostile.json").write_text(json.dumps(SHORT))

    def check():
        assert notebook.chat.evaluate(BROKEN) == []
        assert dialogs == []
        assert [url for url in requests if "hostile.example" in url] == []
        assert notebook.page.url.startswith(notebook.jupyter.url)

    yield check
    for event, listener in listeners.items():  # the next spec has this page too
        notebook.page.remove_listener(event, listener)


def shown(text):
    """Give text as the chat shows it: what would act unseen stands as its escape."""
    acts = {each for each in text if unicodedata.category(each) in {"Cc", "Cf"}} - {"\t", "\n"}
    return text.translate({ord(each): ascii(each)[1:-1] for each in acts})


def test_in_questions_replies_recommendations_and_decisions(notebook, claude, unharmed):
    idea = {"action": "buy", "symbol": "AAPL", "entry": 430, "stop": 400, "target": 500, "confidence": 0.6}
    ideas = [{**idea, "size": each, "horizon": each, "rationale": each} for each in SHORT]
    left_out = [
        {**ideas[0], "symbol": RUNS[0]},
        {**ideas[0], "action": UNSEEN},
        {**ideas[0], "entry": LONG},
        RUNS[3],
    ]
    claude.queue(
        [
            start(),
            *text(*HOSTILE.splitlines(keepends=True)),
            *tool({"recommendations": [*ideas[:10], *left_out]}),
            *end(),
        ],
        [start(), *text("More."), *tool({"recommendations": ideas[10:]}), *end()],
    )
    notebook.open(OPEN)
    notebook.ask(HOSTILE)
    expect(notebook.replies).to_contain_text("<script>window.hacked = 1;")
    asked = notebook.log.locator("article.gl-question .gl-text")
    # What is far out of sight has no inner text; a message that comes late leads back to the end.
    assert eventually(lambda: asked.scroll_into_view_if_needed() or asked.inner_text())
    expect(asked).to_have_text(shown(HOSTILE), use_inner_text=True)
    notebook.replies.locator("td").hover()
    for link in notebook.replies.get_by_role("link").all():
        assert link.get_attribute("href").startswith("https://hostile.example/")
    notebook.ask("Any idea?")
    expect(notebook.replies).to_have_count(2)
    cards = notebook.replies.get_by_role("group", name="buy AAPL")
    expect(cards).to_have_count(len(SHORT))
    for card, notes in ((cards.first, SHORT), (cards.last, SHORT[::-1])):
        card.get_by_label("Note").fill(" ".join(notes))
        card.get_by_role("button", name="Reject").click()
        for note in notes:
            expect(card.locator(".gl-decision .gl-text")).to_contain_text(shown(note.strip())[:20])
    unharmed()
    notebook.narrow()
    unharmed()


def test_in_titles_sessions_an_exported_file_the_inspector_and_a_source(notebook, unharmed):
    notebook.open(REMEMBERS)
    notebook.chat.get_by_role("button", name="Sessions").click()
    drawer = notebook.chat.get_by_role("complementary", name="Sessions")
    expect(drawer.get_by_role("listitem")).to_have_count(len(SHORT))
    unharmed()
    drawer.get_by_label("Search sessions").fill(RUNS[0])
    expect(drawer.get_by_role("listitem")).to_have_count(1)
    drawer.get_by_label("Search sessions").fill("gpj.exe")
    expect(drawer.get_by_role("listitem")).to_contain_text("gpj.exe")
    with notebook.page.expect_download() as download:
        drawer.get_by_role("button", name="Export").click()
    exported = Path(download.value.path()).read_text()
    assert shown(UNSEEN).strip()[:8] in exported
    assert not [each for each in exported if unicodedata.category(each) in {"Cc", "Cf"} and each != "\n"]
    drawer.locator(".gl-open").click()
    expect(notebook.chat.get_by_role("group", name="Session shown")).to_contain_text("gpj.exe")
    unharmed()

    notebook.box.fill("AAPL window hacked alert script hostile")
    notebook.chat.get_by_role("button", name="Context", exact=True).click()
    panel = notebook.chat.get_by_role("complementary", name="Context")
    expect(panel.locator("[data-tier=warm] .gl-slot").first).to_contain_text("AAPL")
    for summary in panel.locator("summary").all():
        if summary.is_visible() and not summary.evaluate("summary => summary.parentElement.open"):
            summary.click()
    unharmed()
    for words in ("<style>body", "WWWW", "gpj.exe"):
        panel.locator("[data-tier=cold] .gl-open", has_text=words).first.click()
        source = panel.get_by_role("group", name="Source")
        expect(source.locator("article")).to_contain_text(words)
        unharmed()
        source.get_by_role("button", name="Back").click()
    notebook.narrow()
    unharmed()


def test_in_faults_notices_and_a_watchlist(notebook, claude, unharmed):
    claude.queue(
        Status.error(400, "invalid_request_error", "\n".join(SHORT)), [start(), *text("Half. " + RUNS[0], DROP)]
    )
    notebook.open(
        f"from gallump_lab import Lab\nlab = Lab.open('lab.duckdb')\nlab.chat(session_id={UNSEEN + RUNS[0] + LONG!r})"
    )
    status = notebook.chat.get_by_role("status")
    expect(status).to_contain_text("is not in this lab")
    unharmed()
    notebook.ask("A bad one?")
    expect(notebook.log.locator(".gl-fault")).to_be_visible()
    notebook.ask("One that breaks?")
    expect(notebook.replies.last.locator(".gl-fault")).to_contain_text("broke off")
    for bad in (RUNS[0], UNSEEN, ZALGO, LONG):
        notebook.chat.get_by_label("Watchlist").fill(bad)
        notebook.ask("Typo above?")
        expect(status).to_contain_text("Watchlist:")
        unharmed()
