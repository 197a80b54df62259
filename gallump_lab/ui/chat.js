// The chat's front end. The kernel holds the conversation; a view asks for it when it is drawn ("ready") and then follows
// what it is told. Nothing is kept in the widget's saved state. HTML comes from the kernel alone, sanitised there, and is
// set in one place (`html`); everything else is text.

const PATIENCE_MS = 5000;
const NEAR_PX = 48;
const PAUSE_MS = 200;

/** Make an element; strings among the children become text. */
function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value != null) made.setAttribute(name, value);
  made.append(...children.filter((child) => child != null));
  return made;
}

function button(words, act, attributes = {}) {
  const made = make("button", { type: "button", ...attributes }, words);
  made.addEventListener("click", act);
  return made;
}

/** A button for what cannot be undone: it gives way to the question whether it is meant. */
function forgetting(what, act) {
  const place = make("span", { class: "gl-forget" });
  const rest = () => place.replaceChildren(first);
  const first = button("Forget", () => {
    const keep = button("Keep", () => (rest(), first.focus()));
    place.replaceChildren(`Forget ${what} for good? `, button("Forget", () => (rest(), act()), { class: "gl-gone" }), keep);
    keep.focus();
  });
  first.setAttribute("aria-label", `Forget ${what}`);
  rest();
  return place;
}

/** Make an element of HTML that the kernel has sanitised. */
function html(className, sanitised) {
  const made = make("div", { class: className, dir: "auto" });
  made.innerHTML = sanitised;
  return made;
}

const count = new Intl.NumberFormat("en-US");
const price = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });
const percent = new Intl.NumberFormat("en-US", { style: "percent" });
const share = new Intl.NumberFormat("en-US", { style: "percent", maximumFractionDigits: 1 });

/** Say a cost so that small ones do not become zero. */
function cost(usd) {
  return usd && usd < 0.1 ? `$${usd.toPrecision(2)}` : price.format(usd);
}

function clock(moment) {
  const time = moment.toLocaleTimeString([], { hour: "numeric", minute: "2-digit" });
  const today = moment.toDateString() === new Date().toDateString();
  return today ? time : `${moment.toLocaleDateString([], { day: "numeric", month: "short", year: "numeric" })}, ${time}`;
}

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
  const { verdict, note, at } = idea.decision;
  place.append(
    make("b", { class: `gl-${verdict}` }, verdict === "accepted" ? "Accepted" : "Rejected"),
    make("time", { datetime: at }, clock(new Date(at))),
    make("span", { class: "gl-text", dir: "auto" }, note),
    button("Change", () => choose().focus()),
  );
  return place;
}

function card(idea, decide) {
  const figures = [
    ["Entry", idea.entry],
    ["Stop", idea.stop],
    ["Target", idea.target],
  ].map(([name, value]) => [name, value == null ? "–" : price.format(value)]);
  if (idea.risk) {
    const { risk, risk_share, reward, reward_share, multiple } = idea.risk;
    figures.push(["Risk", `${price.format(risk)} (${share.format(risk_share)})`]);
    figures.push(["Reward", `${price.format(reward)} (${share.format(reward_share)})`]);
    figures.push(["Reward to risk", `${multiple.toFixed(1)} R`]);
  }
  const name = `${idea.action} ${idea.symbol}`;
  const more = [idea.size, idea.horizon, `confidence ${percent.format(idea.confidence)}`].filter(Boolean);
  const head = make("p", { class: "gl-idea" }, make("b", {}, name), ...more.map((each) => make("span", {}, each)));
  const terms = figures.map(([term, figure]) => make("div", {}, make("dt", {}, term), make("dd", {}, figure)));
  const why = idea.rationale ? make("p", { class: "gl-text", dir: "auto" }, idea.rationale) : null;
  const made = make("div", { class: "gl-card", role: "group", "aria-label": name });
  made.append(head, make("dl", {}, ...terms), ...(why ? [why] : []), decision(idea, decide));
  return made;
}

/** The line under a reply: what it cost and which share of each tier's budget it carried. */
function facts(turn) {
  const said = [
    turn.model,
    turn.tokens_in == null ? null : `${count.format(turn.tokens_in)} tokens in`,
    turn.tokens_out == null ? null : `${count.format(turn.tokens_out)} out`,
    turn.cost == null ? null : cost(turn.cost),
    turn.seconds < 0.1 ? "under 0.1 s" : `${turn.seconds.toFixed(1)} s`,
  ];
  const tiers = turn.tiers.map(([name, used, budget]) => {
    const share = `${Math.min(100, budget ? (100 * used) / budget : 0)}%`;
    const bar = make("span", { class: "gl-bar", "aria-hidden": "true" }, make("i"));
    bar.firstChild.style.width = share;
    return make(
      "span",
      { class: "gl-tier", title: `${name}: ${count.format(used)} of ${count.format(budget)} tokens` },
      `${name} ${count.format(used)}/${count.format(budget)}`,
      bar,
    );
  });
  const spoken = said.filter(Boolean).map((words) => make("span", {}, words));
  return make("p", { class: "gl-facts", "aria-label": "Tokens, cost, time and memory" }, ...spoken, ...tiers);
}

const MARKS = { stopped: "stopped", cut: "cut at its limit", refused: "declined", failed: "failed" };
const NOTES = {
  stopped: "Stopped. What had arrived is kept.",
  cut: "The reply reached its limit and is kept as far as it came. A larger budget.reply makes room for longer ones.",
  refused: "The model declined to go on. What had arrived is kept; ask in other words.",
};

/** Show one message: who, when, what, and for a reply what came with it. `tell` takes what the reader does with it. */
function article(entry, tell) {
  const { turn, id } = entry;
  const reply = entry.role === "assistant";
  const moment = entry.at ? new Date(entry.at) : new Date();
  const mark = MARKS[entry.state];
  const head = make(
    "header",
    {},
    make("b", {}, reply ? "Analyst" : "You"),
    entry.symbol && !reply ? make("span", { class: "gl-symbol" }, entry.symbol) : null,
    mark ? make("span", { class: "gl-mark" }, mark) : null,
    id == null ? null : forgetting("this message", () => tell({ type: "forget", message: id, session: null })),
    make("time", { datetime: moment.toISOString() }, clock(moment)),
  );
  const made = make("article", { class: reply ? "gl-reply" : "gl-question", "data-id": id }, head);
  made.append(reply ? html("gl-text", entry.html) : make("div", { class: "gl-text", dir: "auto" }, entry.text));
  if (turn?.ideas.length) {
    const words = "Recommendations, to accept or to reject. What you decide is recorded; nothing is ordered.";
    const group = make("div", { class: "gl-ideas", role: "group", "aria-label": "Recommendations" }, make("p", {}, words));
    const decide = (position) => (verdict, note) => tell({ type: "decide", message: id, position, verdict, note });
    made.cards = turn.ideas.map((idea, position) => card(idea, decide(position)));
    made.redraw = (position, idea) => {
      const old = made.cards[position];
      const inside = old.contains(document.activeElement);
      old.replaceWith((made.cards[position] = card(idea, decide(position))));
      if (inside) made.cards[position].querySelector("button").focus();
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
  else if (NOTES[entry.state]) made.append(make("p", { class: "gl-aside" }, NOTES[entry.state]));
  if (!reply && id != null) {
    const retry = button("Retry", (event) => event.detail < 2 && tell({ type: "retry", question: id }));
    made.append(make("p", { class: "gl-retry" }, fault || entry.state !== "complete" ? null : "No reply was recorded. ", retry));
  }
  if (turn?.seconds != null) made.append(facts(turn));
  return Object.assign(made, { session: entry.session, moment, message: id, answers: reply ? turn?.question : null });
}

/** Show a session in the list of them. */
function listed(row, here, tell) {
  const said = [
    row.symbol,
    clock(new Date(row.at)),
    `${count.format(row.messages)} ${row.messages === 1 ? "message" : "messages"}`,
    row.cost == null ? null : cost(row.cost),
    row.continues ? "goes on from an earlier one" : null,
  ];
  const open = button(row.title, () => tell({ type: "show", session: row.id }), {
    class: "gl-open",
    dir: "auto",
    "aria-current": here ? "true" : null,
  });
  const actions = make(
    "p",
    { class: "gl-actions" },
    button("Export", () => tell({ type: "export", session: row.id }), { title: "Download as Markdown" }),
    forgetting("this session", () => tell({ type: "forget", message: null, session: row.id })),
  );
  const spans = said.filter(Boolean).map((words) => make("span", {}, words));
  return make("li", {}, open, make("p", { class: "gl-facts" }, ...spans), actions);
}

function render({ model, el }) {
  const view = Math.random().toString(36).slice(2);
  let minutes = 30;
  let drawn = false;
  let follow = true; // whether the reader is at the end, where new text is kept in sight
  let sent = null; // what the kernel has not yet taken
  let running = null; // the question, unless it stood there before, and the reply that is being written
  let place = null; // the session that is shown alone
  let loading = false; // whether earlier messages are on their way
  let searching = null;

  const watchlist = make("input", { type: "text", spellcheck: "false", autocomplete: "off", placeholder: "AAPL, MSFT" });
  const tell = (content) => model.send({ view, ...content });
  const offline = make("span", { class: "gl-offline" }, "Offline analyst: no model is asked");
  const past = button("Sessions", () => show(drawer.hidden), { "aria-expanded": "false" });
  const fresh = button("New session", () => tell({ type: "new" }));
  const top = make("header", { class: "gl-top" }, make("label", {}, "Watchlist", watchlist), offline, past, fresh);
  const search = make("input", { type: "search", placeholder: "Search all that was said", "aria-label": "Search sessions" });
  const list = make("ul", {});
  const drawer = make("aside", { class: "gl-drawer", "aria-label": "Sessions", hidden: "" }, search, list);
  const bar = make("div", { class: "gl-place", role: "group", "aria-label": "Session shown" });
  const log = make("div", { class: "gl-log", role: "log", "aria-live": "off", "aria-label": "Transcript", tabindex: "0" });
  const older = button("Earlier messages", () => more(), { class: "gl-older" });
  const down = button("↓ Newest", () => ((follow = true), toEnd(), box.focus()), { class: "gl-down", hidden: "" });
  const middle = make("div", { class: "gl-middle" }, log, down, drawer);
  const notice = make("p", { class: "gl-notice", role: "status" });
  const box = make("textarea", { rows: "1", "aria-label": "Your question", placeholder: "Your question" });
  const send = make("button", { type: "submit", title: "Send (Enter; Shift+Enter breaks the line)" }, "Send");
  const stop = make("button", { type: "button", class: "gl-stop", title: "Stop the reply (Esc)" }, "Stop");
  const form = make("form", {}, box, make("div", { class: "gl-buttons" }, send, stop));
  // JupyterLab must not take what is typed here: neither by its shortcuts (Shift+Enter runs a cell) nor by the guard that
  // it puts on a field inside a cell, which forbids line breaks and undoing.
  const root = make("section", { class: "gl-chat", "aria-label": "Chat", "data-lm-suppress-shortcuts": "true" });
  root.addEventListener("beforeinput", (event) => event.stopPropagation(), true);
  root.append(top, bar, middle, notice, form);
  el.append(root);

  const say = (words = "") => (notice.textContent = words);
  const late = () => say("The kernel has not answered yet. If it was restarted, run this cell again; your text stays.");
  const toEnd = () => follow && (log.scrollTop = log.scrollHeight);

  /** Draw anew what depends on more than one message: dividers, which question a reply is to, and who waits for one. */
  function divide() {
    log.querySelectorAll(".gl-divider, .gl-to").forEach((old) => old.remove());
    const seen = new Set();
    const waiting = new Map(); // questions without a reply, by message id
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
        waiting.delete(each.answers);
        if (before?.message !== each.answers) {
          const asked = log.querySelector(`[data-id="${each.answers}"] > .gl-text`)?.textContent ?? "an earlier question";
          each.firstChild.after(make("p", { class: "gl-to", dir: "auto" }, `To: ${asked}`));
        }
      }
      seen.add(each.session);
      before = each;
    }
    for (const each of log.querySelectorAll(".gl-question")) {
      each.classList.toggle("gl-waiting", waiting.has(each.message));
    }
  }

  /** Put a stored message where it belongs: in the place of what was shown of it, or at the end. */
  function put(entry) {
    const made = article(entry, tell);
    const old = entry.id == null ? null : log.querySelector(`[data-id="${entry.id}"]`);
    if (old) old.replaceWith(made);
    else log.append(made);
  }

  /** Change the transcript without its being read out. */
  function quietly(change) {
    log.ariaLive = "off";
    change();
    requestAnimationFrame(() => requestAnimationFrame(() => (log.ariaLive = "polite")));
  }

  /** Ask for the messages before the first that is shown. */
  function more() {
    const first = log.querySelector("article[data-id]");
    if (loading || older.hidden || !first) return;
    loading = true;
    tell({ type: "earlier", before: first.message });
  }

  function show(open) {
    drawer.hidden = !open;
    past.setAttribute("aria-expanded", String(open));
    if (!open) return past.focus();
    tell({ type: "sessions", search: search.value });
    search.focus();
  }

  /** Say which session is shown alone, and where the next question goes. */
  function stand(at) {
    place = at;
    if (!place) return bar.replaceChildren();
    const next = place.live
      ? "Your next question goes on with this session."
      : "This session has ended. Your next question begins a new one that goes on from it.";
    const back = place.continues
      ? button("What it goes on from", () => tell({ type: "show", session: place.continues }))
      : null;
    bar.replaceChildren(
      make("b", { dir: "auto" }, place.title),
      make("span", {}, next),
      ...(back ? [back] : []),
      button("All messages", () => tell({ type: "show", session: null })),
    );
  }

  /** Take away what stands for the turn that is running; the kernel tells what has come of it. */
  function clear() {
    running?.question?.remove();
    running?.reply.remove();
    running = null;
    root.classList.remove("gl-busy");
  }

  function begin({ question, session, settled, open }) {
    clear();
    const reply = make("article", { class: "gl-reply", "aria-busy": "true" });
    const body = make("div", { class: "gl-text" }, html("gl-part", settled), html("gl-part", open));
    reply.append(make("header", {}, make("b", {}, "Analyst"), make("span", { class: "gl-mark" }, "writing …")), body);
    reply.session = session;
    reply.moment = new Date();
    running = { question: question && article(question, tell), reply, body };
    if (question) log.append(running.question);
    log.append(reply);
    root.classList.add("gl-busy");
  }

  const told = {
    history(message) {
      if (message.view ? message.view !== view || drawn : !drawn) return;
      const first = !drawn;
      drawn = true;
      if (first) stopAsking();
      if (message.fault) return say(`The transcript could not be read. ${message.fault}`);
      minutes = message.minutes;
      root.classList.toggle("gl-is-offline", message.offline);
      watchlist.value = message.watchlist;
      older.hidden = !message.earlier;
      loading = false;
      stand(message.place);
      say(message.notice);
      quietly(() => {
        const hint = make("p", { class: "gl-hint" }, "Ask about a trade idea.");
        log.replaceChildren(older, hint, ...message.entries.map((entry) => article(entry, tell)));
        running = null;
        root.classList.remove("gl-busy");
        if (message.running) begin(message.running);
      });
      follow = true;
      if (message.by !== view) return;
      drawer.hidden || show(false);
      box.focus();
    },
    earlier(message) {
      if (message.view !== view) return;
      loading = false;
      if (!message.earlier && document.activeElement === older) log.focus({ preventScroll: true });
      older.hidden = !message.earlier;
      const below = log.scrollHeight - log.scrollTop;
      quietly(() => older.after(...message.entries.map((entry) => article(entry, tell))));
      divide();
      log.scrollTop = log.scrollHeight - below; // what was in sight stays where it was
    },
    sessions(message) {
      if (message.view !== view || message.search !== search.value) return;
      const rows = message.sessions.map((row) => listed(row, row.id === place?.id, tell));
      list.replaceChildren(...(rows.length ? rows : [make("li", { class: "gl-hint" }, "No session says that.")]));
    },
    exported(message) {
      if (message.view !== view) return;
      const address = URL.createObjectURL(new Blob([message.text], { type: "text/markdown" }));
      make("a", { href: address, download: message.name }).click();
      setTimeout(() => URL.revokeObjectURL(address), PATIENCE_MS);
    },
    forgotten(message) {
      for (const each of log.querySelectorAll("article[data-id]")) {
        if (each.message === message.message || each.session === message.session) each.remove();
      }
      if (!drawer.hidden) tell({ type: "sessions", search: search.value });
    },
    decided(message) {
      log.querySelector(`[data-id="${message.message}"]`)?.redraw(message.position, message.idea);
    },
    started(message) {
      begin(message);
      if (message.view !== view) return;
      if (message.question && box.value === sent?.text) box.value = "";
      settle();
      follow = true;
    },
    grown({ settled, open }) {
      if (!running) return;
      if (settled) running.body.lastChild.before(html("gl-part", settled));
      running.body.lastChild.replaceWith(html("gl-part", open));
    },
    done({ entries, restore, ...message }) {
      clear();
      entries.forEach(put);
      stand(message.place);
      say(message.notice);
      if (message.view !== view) return;
      if (!box.value) box.value = restore;
      fit();
    },
    refused(message) {
      if (message.view !== view) return;
      settle();
      say(message.words);
    },
    trouble(message) {
      if (message.view !== view) return;
      loading = false;
      say(message.words);
    },
    watchlist(message) {
      if (message.view === view || document.activeElement !== watchlist) watchlist.value = message.text;
    },
  };

  function receive(message) {
    if (!drawn && message.type !== "history") return;
    told[message.type]?.(message);
    if (["history", "started", "done", "forgotten"].includes(message.type)) divide();
    toEnd();
  }

  function stopAsking() {
    clearInterval(asking);
    clearTimeout(slow);
    say();
  }

  /** The kernel has taken what was sent, or has refused it. */
  function settle() {
    clearTimeout(sent?.timer);
    sent = null;
    say();
    fit();
  }

  function fit() {
    box.style.height = "auto";
    box.style.height = `${box.scrollHeight + box.offsetHeight - box.clientHeight}px`;
  }

  function submit() {
    box.focus();
    if (sent || !box.value.trim()) return;
    sent = { text: box.value, timer: setTimeout(late, PATIENCE_MS) };
    model.send({ type: "ask", view, text: box.value, watchlist: watchlist.value });
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  box.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return; // an input method is at work: its Enter picks a word
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      submit();
    }
  });
  box.addEventListener("input", fit);
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.isComposing) return;
    if (drawer.contains(event.target)) show(false);
    else if (running) model.send({ type: "stop" });
  });
  stop.addEventListener("click", (event) => {
    box.focus();
    if (event.detail < 2) model.send({ type: "stop" }); // a double click on Send must not stop what it sent
  });
  watchlist.addEventListener("change", () => model.send({ type: "watchlist", view, text: watchlist.value }));
  search.addEventListener("input", () => {
    clearTimeout(searching);
    searching = setTimeout(() => tell({ type: "sessions", search: search.value }), PAUSE_MS);
  });
  log.addEventListener("scroll", () => {
    follow = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_PX;
    down.hidden = follow;
    if (log.scrollTop < NEAR_PX && log.scrollHeight > log.clientHeight) more();
  });
  const resized = new ResizeObserver(toEnd);
  resized.observe(log);

  model.on("msg:custom", receive);
  // The first call may come before JupyterLab has its subshell, and then waits behind a running cell.
  const ready = () => model.send({ type: "ready", view });
  const asking = setInterval(ready, 1000);
  const slow = setTimeout(late, PATIENCE_MS);
  ready();
  return () => {
    stopAsking();
    model.off("msg:custom", receive);
    resized.disconnect();
    clearTimeout(sent?.timer);
    clearTimeout(searching);
  };
}

export default { render };
