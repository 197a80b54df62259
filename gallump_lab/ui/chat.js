// The chat's front end. The kernel holds the conversation; a view asks for it when it is drawn ("ready") and then follows
// what it is told. Nothing is kept in the widget's saved state. HTML comes from the kernel alone, sanitised there, and is
// set in one place (`html`); everything else is text.

const PATIENCE_MS = 5000;
const NEAR_PX = 48;

/** Make an element; strings among the children become text. */
function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value != null) made.setAttribute(name, value);
  made.append(...children.filter((child) => child != null));
  return made;
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

/** Say a cost so that small ones do not become zero. */
function cost(usd) {
  return usd && usd < 0.1 ? `$${usd.toPrecision(2)}` : price.format(usd);
}

function clock(moment) {
  const time = moment.toLocaleTimeString([], { hour: "numeric", minute: "2-digit" });
  const today = moment.toDateString() === new Date().toDateString();
  return today ? time : `${moment.toLocaleDateString([], { day: "numeric", month: "short", year: "numeric" })}, ${time}`;
}

const dollars = (value) => (value == null ? "–" : price.format(value));
const COLUMNS = [
  ["Action", (idea) => idea.action],
  ["Symbol", (idea) => idea.symbol],
  ["Size", (idea) => idea.size || "–"],
  ["Entry", (idea) => dollars(idea.entry), "gl-number"],
  ["Stop", (idea) => dollars(idea.stop), "gl-number"],
  ["Target", (idea) => dollars(idea.target), "gl-number"],
  ["Horizon", (idea) => idea.horizon || "–"],
  ["Confidence", (idea) => percent.format(idea.confidence), "gl-number"],
];

function ideas(recommendations) {
  const head = COLUMNS.map(([name, , kind]) => make("th", { scope: "col", class: kind }, name));
  const rows = recommendations.flatMap((idea) => {
    const cells = COLUMNS.map(([, cell, kind]) => make("td", { class: kind }, cell(idea)));
    const why = make("td", { colspan: COLUMNS.length }, make("div", {}, idea.rationale));
    return [make("tr", {}, ...cells), ...(idea.rationale ? [make("tr", { class: "gl-why" }, why)] : [])];
  });
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows));
  const words = make("p", {}, "Recommendations, for you to confirm or reject. Nothing is sent to a broker.");
  return make("div", { class: "gl-ideas", role: "group", "aria-label": "Recommendations" }, words, table);
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

const MARKS = {
  asked: "no reply recorded",
  stopped: "stopped",
  cut: "cut at its limit",
  refused: "declined",
  failed: "failed",
};

/** Show one message: who, when, what, and for a reply what came with it. */
function article(entry) {
  const turn = entry.turn;
  const reply = entry.role === "assistant";
  const moment = entry.at ? new Date(entry.at) : new Date();
  const mark = MARKS[entry.state];
  const head = make(
    "header",
    {},
    make("b", {}, reply ? "Analyst" : "You"),
    entry.symbol && !reply ? make("span", { class: "gl-symbol" }, entry.symbol) : null,
    mark ? make("span", { class: "gl-mark" }, mark) : null,
    make("time", { datetime: moment.toISOString() }, clock(moment)),
  );
  const made = make("article", { class: reply ? "gl-reply" : "gl-question" }, head);
  made.append(reply ? html("gl-text", entry.html) : make("div", { class: "gl-text", dir: "auto" }, entry.text));
  if (turn?.recommendations.length) made.append(ideas(turn.recommendations));
  if (turn?.dropped.length) {
    const reasons = turn.dropped.map((reason) => make("li", {}, reason));
    made.append(make("div", { class: "gl-aside" }, "Recommendations left out:", make("ul", {}, ...reasons)));
  }
  const fault = entry.fault ?? turn?.fault;
  if (fault) made.append(make("p", { class: "gl-fault" }, fault));
  if (turn?.seconds != null) made.append(facts(turn));
  Object.assign(made, { session: entry.session, moment });
  return made;
}

function render({ model, el }) {
  const view = Math.random().toString(36).slice(2);
  let minutes = 30;
  let drawn = false;
  let follow = true; // whether the reader is at the end, where new text is kept in sight
  let sent = null; // what the kernel has not yet taken
  let running = null; // the question and the reply that is being written

  const watchlist = make("input", { type: "text", spellcheck: "false", autocomplete: "off", placeholder: "AAPL, MSFT" });
  const offline = make("span", { class: "gl-offline" }, "Offline analyst: no model is asked");
  const top = make("header", { class: "gl-top" }, make("label", {}, "Watchlist", watchlist), offline);
  const log = make("div", { class: "gl-log", role: "log", "aria-live": "off", "aria-label": "Transcript", tabindex: "0" });
  const notice = make("p", { class: "gl-notice", role: "status" });
  const box = make("textarea", { rows: "1", "aria-label": "Your question", placeholder: "Your question" });
  const send = make("button", { type: "submit", title: "Send (Enter; Shift+Enter breaks the line)" }, "Send");
  const stop = make("button", { type: "button", class: "gl-stop", title: "Stop the reply (Esc)" }, "Stop");
  const form = make("form", {}, box, make("div", { class: "gl-buttons" }, send, stop));
  // JupyterLab must not take what is typed here: neither by its shortcuts (Shift+Enter runs a cell) nor by the guard that
  // it puts on a field inside a cell, which forbids line breaks and undoing.
  const root = make("section", { class: "gl-chat", "aria-label": "Chat", "data-lm-suppress-shortcuts": "true" });
  root.addEventListener("beforeinput", (event) => event.stopPropagation(), true);
  root.append(top, log, notice, form);
  el.append(root);

  const say = (words = "") => (notice.textContent = words);
  const late = () => say("The kernel has not answered yet. If it was restarted, run this cell again; your text stays.");
  const toEnd = () => follow && (log.scrollTop = log.scrollHeight);

  /** Draw the dividers between sessions anew. */
  function divide() {
    log.querySelectorAll(".gl-divider").forEach((old) => old.remove());
    const seen = new Set();
    let before = null;
    for (const each of log.querySelectorAll("article")) {
      if (each.session == null) continue; // not stored, so in no session
      if (before && each.session !== before.session) {
        const ended = each.moment - before.moment >= minutes * 60000;
        const words = seen.has(each.session) ? "Earlier session carried on" : "New session";
        const said = ended ? `Session ended after ${count.format(minutes)} minutes · ${words.toLowerCase()}` : words;
        each.before(make("p", { class: "gl-divider" }, make("span", {}, said)));
      }
      seen.add(each.session);
      before = each;
    }
  }

  /** Take away what stands for the turn that is running; the kernel tells what has come of it. */
  function clear() {
    running?.question.remove();
    running?.reply.remove();
    running = null;
    root.classList.remove("gl-busy");
  }

  function begin({ question, settled, open }) {
    clear();
    const reply = make("article", { class: "gl-reply", "aria-busy": "true" });
    const body = make("div", { class: "gl-text" }, html("gl-part", settled), html("gl-part", open));
    reply.append(make("header", {}, make("b", {}, "Analyst"), make("span", { class: "gl-mark" }, "writing …")), body);
    reply.session = question.session;
    reply.moment = new Date();
    running = { question: article(question), reply, body };
    log.append(running.question, reply);
    root.classList.add("gl-busy");
  }

  const told = {
    history(message) {
      if (message.view !== view || drawn) return;
      drawn = true;
      stopAsking();
      if (message.fault) return say(`The transcript could not be read. ${message.fault}`);
      minutes = message.minutes;
      root.classList.toggle("gl-is-offline", message.offline);
      watchlist.value = message.watchlist;
      const hint = message.earlier
        ? make("p", { class: "gl-hint" }, "Earlier messages are in lab.messages.")
        : make("p", { class: "gl-hint gl-empty" }, "Ask about a trade idea.");
      log.replaceChildren(hint, ...message.entries.map(article));
      if (message.running) begin(message.running);
      requestAnimationFrame(() => (log.ariaLive = "polite")); // only what comes from now on is read out
    },
    started(message) {
      begin(message);
      if (message.view !== view) return;
      if (box.value === sent?.text) box.value = "";
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
      log.append(...entries.map(article));
      say();
      if (message.view !== view) return;
      if (!box.value) box.value = restore;
      settle();
    },
    refused(message) {
      if (message.view !== view) return;
      settle();
      say(message.words);
    },
    watchlist(message) {
      if (message.view === view || document.activeElement !== watchlist) watchlist.value = message.text;
    },
  };

  function receive(message) {
    if (!drawn && message.type !== "history") return;
    told[message.type]?.(message);
    if (message.type !== "grown" && message.type !== "watchlist") divide();
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
    if (event.key === "Escape" && running && !event.isComposing) model.send({ type: "stop" });
  });
  stop.addEventListener("click", (event) => {
    box.focus();
    if (event.detail < 2) model.send({ type: "stop" }); // a double click on Send must not stop what it sent
  });
  watchlist.addEventListener("change", () => model.send({ type: "watchlist", view, text: watchlist.value }));
  log.addEventListener("scroll", () => (follow = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_PX));
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
  };
}

export default { render };
