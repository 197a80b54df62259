"""What `shared_lab.run` left in the lab, beside what the lab had acknowledged."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from shared_lab import BEGINS, Run, past

from gallump_lab import Lab
from gallump_lab.memory import vectors
from gallump_lab.memory.messages import prepare, reply

TWICE = {
    "message id {}": "select message_id from messages",
    "what an analyst said or what was imported: {}": "select text from messages where not starts_with(text, '**')",
    "reply to question {}": "select question_id from turns",
    "slot {}": "select turn_id, tier, kind, item_id from slots",
    "passage of message {}": "select message_id, start from passages",
    "posting {}": "select term, passage_id from postings",
    "embedding {}": "select model, passage_id from embeddings",
    "insight {}": "select insight_id from insights",
    "distilling of session {}": "select session_id, distiller, seen_message from distillings",
}
"""Each of these queries' rows may be there once."""
TORN = {
    "turn {} lacks its question": "select turn_id from turns anti join messages on message_id = question_id",
    "turn {} lacks its reply": "select turn_id from turns t anti join messages m on message_id = reply_id "
    "and m.role = 'assistant' and m.session_id = t.session_id",
    "reply {} has no turn": "select message_id from messages anti join turns on message_id = reply_id "
    "where role = 'assistant' and not starts_with(session_id, 'past')",
    "turn {} has other slots than it counted": """
        select turn_id from turns left join (
            select turn_id, sum(tokens) as n from slots where kept group by turn_id) s using (turn_id)
        where coalesce(n, 0) <> (used->>'hot')::int + (used->>'warm')::int + (used->>'cold')::int""",
    "draft of question {} is left": "select question_id from drafts",
    "session {} is not what its messages are": """
        select session_id from sessions full join (
            select session_id, count(*) as n, min(created_at) as begun, max(created_at) as newest
            from messages group by session_id) m using (session_id)
        where messages <> coalesce(n, 0) or (n > 0 and (begun <> created_at or newest <> last_at))
            or messages is null""",
    "insight {} lacks the event of its coming": "select insight_id from insights "
    "anti join (from insight_events where event = 'added') using (insight_id)",
    "insight {} rests on a message that is not there": "select insight_id from "
    "(select insight_id, unnest(sources) as message_id from insights) anti join messages using (message_id)",
}
"""These queries give what has come in by half."""
_CODES = [f"c{i}" for i in range(vectors.CODE)]


def wrong(run: Run) -> dict[str, list[str]]:
    """Tell what was acknowledged and is lost, what is there twice and what is torn, in words.

    The lab is opened a day later, so that what is still to be distilled is distilled now.
    """
    lab = Lab.open(run.path, clock=lambda: BEGINS + timedelta(days=1))
    with lab.store.read() as con:
        twice = [
            words.format(row)
            for words, query in TWICE.items()
            for row in con.execute(f"select * from ({query}) group by all having count(*) > 1").fetchall()  # noqa: S608 (constants)
        ]
        torn = [words.format(row[0]) for words, query in TORN.items() for row in con.execute(query).fetchall()]
        index_rows = con.execute(
            "select message_id, start, stop, tokens, terms, passage_id from passages order by message_id, start"
        ).df()
        postings = con.execute("select passage_id, term, frequency, terms from postings").df()
        codes = con.execute(f"select passage_id, {', '.join(_CODES)} from embeddings").df()  # noqa: S608 (constants)
    messages = lab.messages
    return {
        "lost": list(_lost(run, lab, messages)),
        "twice": twice,
        "torn": torn + list(_unlike_their_texts(messages, index_rows, postings, codes)),
    }


def _lost(run: Run, lab: Lab, messages: pd.DataFrame) -> Iterator[str]:
    there = dict(zip(messages["message_id"], messages["text"], strict=True))
    texts = set(messages["text"])
    turns = {
        row[0]: row
        for row in lab.sql(
            "select turn_id, question_id, reply_id, count(s.turn_id) as slots from turns left join slots s "
            "using (turn_id) group by all"
        ).itertuples(index=False, name=None)
    }
    insights = set(lab.sql("select insight_id from insights")["insight_id"])
    imported: set[int] = set()
    for line in run.done:
        for message_id, text in line.get("messages", ()):
            if there.get(message_id) != text:
                yield f"message {message_id}: {text!r:.80} is {there.get(message_id)!r:.80}"
        if "turn" in line and list(turns.get(line["turn"][0], ())) != line["turn"]:
            yield f"turn {line['turn']} is {turns.get(line['turn'][0])}"
        if "insight" in line and line["insight"] not in insights:
            yield f"insight {line['insight']}"
        imported |= set(range(*line.get("imported", (0, 0))))
    for place in sorted(imported):
        (text,) = past(place, place + 1)["text"]
        if text not in texts:
            yield f"imported: {text}"


def _unlike_their_texts(
    messages: pd.DataFrame, passages: pd.DataFrame, postings: pd.DataFrame, codes: pd.DataFrame
) -> Iterator[str]:
    """Compare the index with what it would be if all messages were put into an empty one."""
    now = datetime(2026, 1, 1)  # noqa: DTZ001 (as a table has it)
    wanted = prepare([reply(text, now=now, symbol=None, state="complete") for text in messages["text"]])
    ids = messages["message_id"].to_numpy()[wanted.passages["message"]]
    columns = ("start", "stop", "tokens", "terms")
    should = pd.DataFrame({"message_id": ids} | {name: wanted.passages[name] for name in columns})
    if differing := _differing(should, passages[list(should)]):
        yield f"passages: {differing}"
        return
    passage = passages["passage_id"].to_numpy()
    given = wanted.postings | {"passage_id": passage[wanted.postings["passage"]]}
    should = pd.DataFrame({name: given[name] for name in postings}).sort_values(["passage_id", "term"])
    if differing := _differing(should, postings.sort_values(["passage_id", "term"])):
        yield f"postings: {differing}"
    should = pd.DataFrame(wanted.codes, columns=_CODES).assign(passage_id=passage).sort_values("passage_id")
    if differing := _differing(should[list(codes)], codes.sort_values("passage_id")):
        yield f"embeddings: {differing}"


def _differing(should: pd.DataFrame, found: pd.DataFrame) -> str:
    if len(should) != len(found):
        return f"{len(found):,} rows instead of {len(should):,}"
    unlike: Any = (should.to_numpy(np.uint64) != found.to_numpy(np.uint64)).any(axis=1)
    return f"{unlike.sum():,} rows differ" if unlike.any() else ""
