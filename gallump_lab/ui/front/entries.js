// The transcript's messages and the drawer's sessions.

/** Show what was decided on a recommendation, or what it takes to decide. */
function decision(idea, decide) {
  const place = make("div", { class: "gl-decision" });
  const choose = () => {
    const note = make("input", { type: "text", maxlength: "2000", placeholder: "Note", "aria-label": "Note", dir: "auto" });
    note.value = idea.decision?.note ?? "";
    const say = (verdict) => (event) => event.detail < 2 && decide(verdict, note.value);
    place.replaceChildren(note, button("Accept", say("accepted")), button("Reject", say("rejected")));
    return note;
  };
  if (!idea.decision) return choose(), place;
  const { verdict, note, decided_at: at } = idea.decision;
  place.append(
    make("b", { class: `gl-${verdict}` }, verdict === "accepted" ? "Accepted" : "Rejected"),
    make("time", { datetime: at }, clock(new Date(at))),
    make("span", { class: "gl-text", dir: "auto" }, note),
    button("Change", () => choose().focus()),
  );
  return place;
}

/**
 * Draw what the kernel told of a chart, by a module that it sends once a page: nothing is fetched from elsewhere.
 * Inks are the page's, so it follows the theme; wider than its place it shrinks.
 */
async function plot(place, { words, spec, source }) {
  place.setAttribute("aria-label", words);
  if (!spec) return place.replaceChildren(words);
  if (source) globalThis.gallumpLabEmbed ??= import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const { default: embed } = await globalThis.gallumpLabEmbed;
  const drawn = make("div");
  place.replaceChildren(drawn);
  await embed(drawn, spec, { renderer: "svg", actions: false, ast: true });
  place.scrollIntoView({ block: "nearest" });
}

/** A button that opens a chart below it; what it shows is asked for each time, so it is never old. */
function charting(ask) {
  const place = make("div", { class: "gl-chart", role: "group", hidden: "" });
  const open = button("Chart", () => {
    place.hidden = !place.hidden;
    open.setAttribute("aria-expanded", String(!place.hidden));
    if (!place.hidden) place.replaceChildren("Drawing …"), ask(!globalThis.gallumpLabEmbed);
  });
  open.setAttribute("aria-expanded", "false");
  return [open, place];
}

/** Say where a level stands against the price that an idea was made at. */
function stands(off) {
  const words = Math.abs(off) < 0.0005 ? "at the price" : `${share.format(Math.abs(off))} ${off < 0 ? "below" : "above"}`;
  return make("span", { class: "gl-off" }, ` ${words}`);
}

function card(idea, decide, chart) {
  const { price: last } = idea.made_at;
  const figures = [["Price then", last == null ? null : `${price.format(last)} `, age(idea.made_at)]];
  for (const [name, value] of Object.entries({ Entry: idea.entry, Stop: idea.stop, Target: idea.target })) {
    figures.push([name, ...(value == null ? ["–"] : [price.format(value), last > 0 ? stands(value / last - 1) : null])]);
  }
  if (idea.risk) {
    const { risk, risk_share, reward, reward_share, multiple } = idea.risk;
    figures.push(["Risk", `${price.format(risk)} (${share.format(risk_share)})`]);
    figures.push(["Reward", `${price.format(reward)} (${share.format(reward_share)})`]);
    figures.push(["Reward to risk", `${multiple.toFixed(1)} R`]);
  }
  const name = `${idea.action} ${idea.symbol}`;
  const more = [idea.size, idea.horizon, `confidence ${percent.format(idea.confidence)}`].filter(Boolean);
  const [open, place] = charting(chart);
  const head = make("p", { class: "gl-idea" }, make("b", {}, name), ...more.map((each) => make("span", {}, each)), open);
  const terms = figures.map(([term, ...figure]) => make("div", {}, make("dt", {}, term), make("dd", {}, ...figure)));
  const why = idea.rationale ? make("p", { class: "gl-text", dir: "auto" }, idea.rationale) : null;
  return make("div", { class: "gl-card", role: "group", "aria-label": name }, head, make("dl", {}, ...terms), why, place, decision(idea, decide));
}

const seconds = (time) => (time < 0.1 ? "under 0.1 s" : `${time.toFixed(time < 10 ? 1 : 0)} s`);

/** The line under a reply: who answered, what it cost and which share of each tier's budget it carried. */
function facts(turn, inspect) {
  const [tokens, cached, thought] = [turn.input_tokens, turn.cache_read_tokens, turn.thinking_tokens];
  const thinking = [`thought ${seconds(turn.thinking)}`, thought && `${count.format(thought)} tokens`, turn.thinking_usd && cost(turn.thinking_usd)];
  const saved = turn.saved_usd ? `, ${cost(turn.saved_usd)} saved` : "";
  const said = [
    turn.effort ? `${turn.model}, ${turn.effort} effort` : turn.model,
    turn.thinking == null ? null : thinking.filter(Boolean).join(", "),
    cached ? `${count.format(cached)} of ${count.format(tokens)} tokens from cache${saved}` : tokens == null ? null : `${count.format(tokens)} tokens in`,
    turn.missed ? `cache missed: ${turn.missed}` : null,
    turn.output_tokens == null ? null : `${count.format(turn.output_tokens)} out`,
    turn.cost_usd == null ? null : `${turn.cost_usd && (turn.output_tokens == null || turn.stop_reason == null) ? "at most " : ""}${cost(turn.cost_usd)}`,
    seconds(turn.latency),
  ];
  const tiers = ["hot", "warm", "cold"].map((tier) => {
    const [name, used, budget] = [tier.toUpperCase(), turn.used[tier], turn.budget[tier]];
    const share = `${Math.min(100, budget ? (100 * used) / budget : 0)}%`;
    const bar = make("span", { class: "gl-bar", "aria-hidden": "true" }, make("i"));
    Object.assign(bar.firstChild.style, { width: share, background: COLOURS[name] });
    return make(
      "span",
      { class: "gl-tier", title: `${name}: ${count.format(used)} of ${count.format(budget)} tokens` },
      `${name} ${count.format(used)}/${count.format(budget)}`,
      bar,
    );
  });
  const spoken = said.filter(Boolean).map((words) => make("span", {}, words));
  const open = inspect && button("Context", inspect, { "aria-label": "Context of this reply" });
  return make("p", { class: "gl-facts", role: "group", "aria-label": "Tokens, cost, time and memory" }, ...spoken, ...tiers, open);
}

/** Make the numbers in a reply lead to where what they cite was said, and list what was cited. */
function cite(text, notes, open) {
  const lead = (note, words, attributes) => (open ? button(words, () => open(note), { class: "gl-note", ...attributes }) : words);
  for (const mark of text.querySelectorAll("sup")) {
    const note = notes.find((each) => `[${each.number}]` === mark.textContent);
    mark.replaceChildren(lead(note, mark.textContent, { title: note.words, "aria-label": `Note ${note.words}` }));
  }
  const list = notes.map((note) => make("li", {}, lead(note, note.words, { dir: "auto", title: "Show where this was said" })));
  return make("ul", { class: "gl-notes", "aria-label": "Notes" }, ...list);
}

const MARKS = { stopped: "stopped", cut: "cut at its limit", refused: "declined", failed: "failed" };
const UNFINISHED = new Set(["stopped", "failed"]); // replies to a question that may be asked again

const FOLD_LINES = 12;
const FOLD_SIGNS = 1500;

/** Show what somebody typed; lines with tabs, as spreadsheets give them, are tables. */
function typed(text) {
  const made = make("div", { class: "gl-text", dir: "auto" });
  for (const block of text.split(/((?:^[^\n]*\t[^\n]*(?:\n|$)){2,})/m)) {
    const rows = block.includes("\t") && block.trimEnd().includes("\n") && block.replace(/\n$/, "").split("\n");
    if (!rows || !rows.every((row) => row.includes("\t"))) made.append(block);
    else made.append(make("table", {}, ...rows.map((row) => make("tr", {}, ...row.split("\t").map((cell) => make("td", {}, cell))))));
  }
  return made;
}

/** A button that shows a long text whole; null for one that is short. */
function folding(text, place) {
  const lines = text.split("\n").length;
  if (lines <= FOLD_LINES && text.length <= FOLD_SIGNS) return null;
  const size = lines > FOLD_LINES ? `${count.format(lines)} lines` : `${count.format(text.length)} characters`;
  const fold = (folded) => {
    place.classList.toggle("gl-folded", folded);
    open.textContent = folded ? `Show all (${size})` : "Show less";
    open.setAttribute("aria-expanded", String(!folded));
  };
  const open = button("", () => fold(!place.classList.contains("gl-folded")), { class: "gl-fold" });
  fold(true);
  return open;
}

/** Show one message: who, when, what, and for a reply what came with it. `tell` takes what the reader does with it. */
function article(entry, tell) {
  const { turn, message_id: id } = entry;
  const reply = entry.role === "assistant";
  const moment = entry.created_at ? new Date(entry.created_at) : new Date();
  const mark = MARKS[entry.state];
  const head = make(
    "header",
    {},
    make("b", {}, reply ? "Analyst" : "You"),
    entry.symbol && !reply ? make("span", { class: "gl-symbol" }, entry.symbol) : null,
    mark ? make("span", { class: "gl-mark" }, mark) : null,
    copying(() => entry.text, "this message"),
    id == null ? null : forgetting("this message", () => tell({ type: "forget", message: id, session: null })),
    make("time", { datetime: moment.toISOString() }, clock(moment)),
  );
  const name = `${reply ? "Analyst" : "You"}, ${clock(moment)}`;
  const made = make("article", { class: reply ? "gl-reply" : "gl-question", "data-id": id, "aria-label": name }, head);
  made.append(reply ? html("gl-text", entry.html) : typed(entry.text));
  if (!reply) made.append(folding(entry.text, made.lastChild) ?? "");
  if (turn?.citations.length) made.append(cite(made.lastChild, turn.citations, tell.note && ((note) => tell.note(id, note))));
  for (const code of made.querySelectorAll(".gl-text pre")) {
    const around = make("div", { class: "gl-code" });
    code.replaceWith(around);
    around.append(code, copying(() => code.textContent, "this code"));
  }
  if (turn?.recommendations.length) {
    const words = "Recommendations, to accept or to reject. What you decide is recorded; nothing is ordered.";
    const group = make("div", { class: "gl-ideas", role: "group", "aria-label": "Recommendations" }, make("p", {}, words));
    const decide = (position) => (verdict, note) => tell({ type: "decide", message: id, position, verdict, note });
    const chart = (position) => (embed) => tell({ type: "chart", place: [id, position], embed });
    made.cards = turn.recommendations.map((idea, position) => card(idea, decide(position), chart(position)));
    made.redraw = (position, idea) => {
      const old = made.cards[position].lastChild;
      const inside = old.contains(document.activeElement);
      old.replaceWith(decision(idea, decide(position)));
      if (inside) made.cards[position].lastChild.querySelector("button").focus();
    };
    made.plot = (position, told) => {
      const place = made.cards[position].querySelector(".gl-chart");
      plot(place, told).catch((error) => (delete globalThis.gallumpLabEmbed, place.replaceChildren(`No chart: ${error}`)));
    };
    group.append(...made.cards);
    made.append(group);
  }
  if (turn?.dropped.length) {
    const reasons = turn.dropped.map((reason) => make("li", {}, reason));
    made.append(make("div", { class: "gl-aside" }, "Recommendations left out:", make("ul", {}, ...reasons)));
  }
  const fault = entry.fault ?? turn?.fault;
  if (fault) made.append(make("p", { class: "gl-fault" }, fault));
  else if (entry.note) made.append(make("p", { class: "gl-aside" }, entry.note));
  const question = reply ? turn?.question_id : id;
  if (question != null && (!reply || UNFINISHED.has(entry.state))) {
    const why = reply || fault || entry.state !== "complete" ? null : "No reply is recorded. ";
    const ways = [{ words: "Retry" }, ...(turn?.ways ?? [])].map(({ words, title, how }) =>
      button(words, (event) => event.detail < 2 && tell({ type: "retry", question, how }), { title }),
    );
    made.append(make("p", { class: "gl-retry" }, why, ...ways));
  }
  const inspect = reply && tell.inspect ? () => tell.inspect(id) : null;
  if (turn?.latency != null) made.append(facts(turn, inspect));
  const whole = !UNFINISHED.has(entry.state);
  return Object.assign(made, { said: entry.text, session: entry.session_id, moment, message: id, answers: reply ? turn?.question_id : null, whole });
}

/** Draw anew what depends on more than one message: dividers, which question a reply is to, and who waits for one. */
function divide(log, minutes) {
  log.querySelectorAll(".gl-divider, .gl-to").forEach((old) => old.remove());
  const seen = new Set();
  const waiting = new Map(); // where Retry belongs, by the id of a question without a whole reply
  let before = null;
  for (const each of log.querySelectorAll("article")) {
    if (each.session == null) continue; // not stored, so in no session
    if (before && each.session !== before.session) {
      const ended = each.moment - before.moment >= minutes * 60000;
      const words = seen.has(each.session) ? "Earlier session carried on" : "New session";
      const said = ended ? `Session ended after ${count.format(minutes)} minutes · ${words.toLowerCase()}` : words;
      each.before(make("p", { class: "gl-divider" }, make("span", {}, said)));
    }
    if (each.classList.contains("gl-question")) {
      waiting.set(each.message ?? each, each);
    } else if (each.answers == null) {
      if (before?.session === each.session) waiting.delete(before.message ?? before); // no turn is recorded
    } else {
      if (each.whole) waiting.delete(each.answers);
      else waiting.has(each.answers) && waiting.set(each.answers, each);
      if (before?.message !== each.answers) {
        const asked = log.querySelector(`[data-id="${each.answers}"] > .gl-text`)?.textContent ?? "an earlier question";
        each.firstChild.after(make("p", { class: "gl-to", dir: "auto" }, `To: ${asked}`));
      }
    }
    seen.add(each.session);
    before = each;
  }
  const unanswered = new Set(waiting.values());
  for (const each of log.querySelectorAll("article")) each.classList.toggle("gl-waiting", unanswered.has(each));
}

/** Put a stored message where it belongs: in the place of what was shown of it, or in the order of arrival. */
function put(log, entry, tell) {
  const made = article(entry, tell);
  const id = entry.message_id;
  const old = id == null ? null : log.querySelector(`[data-id="${id}"]`);
  if (old) return old.replaceWith(made);
  const later = id == null ? null : [...log.querySelectorAll("article[data-id]")].find((each) => each.message > id);
  if (later) later.before(made);
  else log.append(made);
}

/** Show a session in the list of them. */
function listed(row, here, tell) {
  const said = [
    row.symbol,
    clock(new Date(row.last_at)),
    `${count.format(row.messages)} ${row.messages === 1 ? "message" : "messages"}`,
    row.cost_usd == null ? null : cost(row.cost_usd),
    row.continues ? "goes on from an earlier one" : null,
  ];
  const open = button(row.title ?? "Untitled", () => tell({ type: "show", session: row.session_id }), {
    class: "gl-open",
    dir: "auto",
    "aria-current": here ? "true" : null,
  });
  const actions = make(
    "p",
    { class: "gl-actions" },
    button("Export", () => tell({ type: "export", session: row.session_id }), { title: "Download as Markdown" }),
    forgetting("this session", () => tell({ type: "forget", message: null, session: row.session_id })),
  );
  const spans = said.filter(Boolean).map((words) => make("span", {}, words));
  const found = row.found && make("p", { class: "gl-text", dir: "auto" }, ...parted(row.found));
  return make("li", {}, open, found, make("p", { class: "gl-facts" }, ...spans), actions);
}
