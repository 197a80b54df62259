// The chat's front end. The kernel holds the conversation; a view asks for it when it is drawn ("ready") and then follows
// what it is told. Nothing is kept in the widget's saved state.

const NEAR_PX = 48;
const PAUSE_MS = 200;
const DRAFT_MS = 60_000; // so long after a view has gone the next one takes over what was typed there
const SYNC_MS = 2000;

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
  let width = 0; // at which the messages were measured
  let synced = 0; // when it was last asked what is new
  let syncing = null;
  let newest = 0; // the message up to which everything new has been asked for
  let opener = null; // what opened the inspector
  let answerer; // who answers, as the kernel told it last; null for the offline analyst

  const watchlist = make("input", { type: "text", spellcheck: "false", autocomplete: "off", placeholder: "AAPL, MSFT" });
  const tell = (content) => model.send({ view, ...content });
  const offline = make("span", { class: "gl-offline" }, "Offline analyst: no model is asked");
  const spending = make("span", { class: "gl-spending", hidden: "" });
  const past = button("Sessions", () => show(drawer.hidden), { "aria-expanded": "false" });
  const context = button("Context", () => inspect(seen.root.hidden), { "aria-expanded": "false" });
  const fresh = button("New session", () => tell({ type: "new" }));
  const [llm, effort] = ["Model", "Effort"].map((name) => make("select", { "aria-label": name, hidden: "" }));
  const views = make("span", { class: "gl-views" }, past, fresh, context);
  const prices = strip(tell);
  const top = make("header", { class: "gl-top" }, make("label", {}, "Watchlist", watchlist), offline, spending, llm, effort, views);
  const search = make("input", { type: "search", placeholder: "Search all that was said", "aria-label": "Search sessions" });
  const list = make("ul", {});
  const drawer = make("aside", { class: "gl-drawer", "aria-label": "Sessions", hidden: "" }, search, list);
  const bar = make("div", { class: "gl-place", role: "group", "aria-label": "Session shown" });
  const log = make("div", { class: "gl-log", role: "log", "aria-live": "off", "aria-label": "Transcript", tabindex: "0" });
  const older = button("Earlier messages", () => more(), { class: "gl-older" });
  const down = button("↓ Newest", () => ((follow = true), toEnd(), box.focus()), { class: "gl-down", hidden: "" });
  const seen = inspector({ tell, typed: () => ({ text: box.value, watchlist: watchlist.value }), reveal, changed: chose, closed: () => inspect(false) });
  const middle = make("div", { class: "gl-middle" }, make("div", { class: "gl-said" }, log, down), seen.root, drawer);
  const heard = make("p", { class: "gl-unseen", "aria-live": "polite" }); // what a screen reader says of a turn's end
  const chosen = make("p", { class: "gl-notice", "aria-live": "polite" });
  const notice = make("p", { class: "gl-notice", role: "status" });
  const box = make("textarea", { rows: "1", "aria-label": "Your question", placeholder: "Your question" });
  const hint = hinting(fill);
  const recall = recalling(box);
  const send = make("button", { type: "submit", title: "Send (Enter; Shift+Enter breaks the line)" }, "Send");
  const stop = make("button", { type: "button", class: "gl-stop", title: "Stop the reply (Esc)" }, "Stop");
  const form = make("form", {}, box, make("div", { class: "gl-buttons" }, send, stop));
  const root = make("section", { class: "gl-chat", "aria-label": "Chat" });
  root.append(top, prices.root, bar, middle, notice, chosen, form, heard);
  tell.inspect = (message) => (inspect(true), seen.look(message));
  tell.note = (message, note) => (inspect(true), seen.note(message, note));
  el.append(root);

  const say = (words = "") => (notice.textContent = words);
  const covered = () => getComputedStyle(seen.root).position === "absolute"; // the inspector lies over the transcript
  const late = () => say("The kernel has not answered yet. If it was restarted, run this cell again; your text stays.");
  const toEnd = () => follow && (log.scrollTop = log.scrollHeight);
  const shown = (each) => root.contains(each) && each.checkVisibility({ visibilityProperty: true });

  /** Put an example into the box, below what the reader typed there. */
  function fill(example) {
    const shown = [...hint.root.querySelectorAll("button")].some((each) => each.textContent === box.value);
    box.value = box.value.trim() && !shown ? `${box.value.trimEnd()}\n${example}` : example;
    box.focus();
    box.dispatchEvent(new Event("input"));
  }

  /** Take the focus as the cell is run, unless the reader types elsewhere; an empty cell is what running one leaves. */
  function greet() {
    const { activeElement: there } = document;
    const typing = there?.matches("input, textarea, select, [contenteditable=true]") && (there.value ?? there.textContent).trim();
    if (typing || !shown(box)) return;
    root.scrollIntoView({ block: "nearest" });
    box.focus();
    if (box.getBoundingClientRect().bottom > innerHeight) form.scrollIntoView({ block: "nearest" });
  }

  const learn = () => recall.learn([...log.querySelectorAll(".gl-question")].map((each) => each.said));

  /** Lead the reader to a message. */
  function goTo(message) {
    message.setAttribute("tabindex", "-1");
    message.focus({ preventScroll: true });
  }

  /** Show a message of the transcript; give whether it is there. */
  function reveal(message) {
    const found = log.querySelector(`[data-id="${message}"]`);
    if (!found || covered()) return false;
    found.scrollIntoView({ block: "center" });
    found.from = document.activeElement;
    goTo(found);
    found.classList.remove("gl-found");
    requestAnimationFrame(() => found.classList.add("gl-found"));
    return true;
  }

  function inspect(open) {
    seen.root.hidden = !open;
    context.setAttribute("aria-expanded", String(open));
    if (!open) return (shown(opener) ? opener : context).focus();
    opener = document.activeElement;
    seen.look(null);
    seen.enter();
  }

  /** Say what was chosen for the next question, whether or not the inspector is open. */
  function chose(pins, outs) {
    const said = [pins && `${count.format(pins)} pinned`, outs && `${count.format(outs)} excluded`].filter(Boolean);
    if (!said.length) return chosen.replaceChildren();
    chosen.replaceChildren(`For the next question: ${said.join(", ")}. `, button("Clear", () => (seen.clear(), box.focus())));
  }

  /** Say what the day and the month have cost, and what the day may. */
  function spent(told) {
    if (told === undefined) return;
    spending.hidden = !told;
    if (!told) return;
    const bounded = told.limit != null;
    const over = bounded && told.today >= told.limit;
    spending.classList.toggle("gl-over", over);
    const words = [`${cost(told.today)}${bounded ? ` of ${cost(told.limit)}` : ""} today`, `${cost(told.month)} this month`];
    if (told.unpriced) words.push(`${told.unpriced} ${told.unpriced === 1 ? "call" : "calls"} of unknown cost`);
    spending.textContent = `${over ? "Spending limit reached: " : ""}${words.join(", ")}`;
    spending.title =
      "Recorded costs by UTC day and month: turns (at most, while under way), rewriting, distilling, batches. " +
      `${told.unpriced ? "Calls of unknown cost are not in these sums. " : ""}model.max_usd_per_day sets the day's limit.`;
  }

  /** Show who answers, and who else could; what the reader is about to choose from is left alone. */
  function answered(by) {
    if (by === undefined || JSON.stringify(by) === JSON.stringify(answerer)) return;
    answerer = by;
    root.classList.toggle("gl-is-offline", !by);
    llm.hidden = !by;
    effort.hidden = !by?.efforts.length;
    if (!by) return;
    llm.replaceChildren(...Object.entries(by.models).map(([name, words]) => new Option(words, name)));
    llm.value = by.name;
    llm.disabled = by.fixed;
    llm.title = by.fixed ? "ANTHROPIC_MODEL says who answers." : "Who answers, with USD per million tokens in / out";
    effort.replaceChildren(...by.efforts.map((level) => new Option(`${level} effort`, level)));
    effort.value = by.asked;
    effort.title = "How hard the model tries, thinking included; default leaves it to the model";
  }

  /** Ask whether another notebook has added to the lab meanwhile. */
  function sync() {
    clearTimeout(syncing);
    if (!drawn || running || sent) return;
    const rest = synced + SYNC_MS - Date.now();
    if (rest > 0) return (syncing = setTimeout(sync, rest));
    synced = Date.now();
    tell({ type: "sync", newest });
  }

  /** Have a screen reader say something, once. */
  function hear(words) {
    heard.textContent = words;
    setTimeout(() => heard.replaceChildren(), PATIENCE_MS);
  }

  /** Have it said how a turn ended: once, and not piece by piece. */
  function announce(entry) {
    const made = entry.message_id == null ? log.lastChild : log.querySelector(`[data-id="${entry.message_id}"]`);
    const parts = entry.role === "assistant" ? ".gl-mark, .gl-text, .gl-idea, .gl-aside, .gl-fault" : ".gl-fault";
    hear([...made.querySelectorAll(parts)].map((each) => each.innerText).join("\n"));
  }

  /** Let the browser pass over messages that are out of sight, once it knows their heights, so that nothing jumps. */
  function measure() {
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        for (const each of log.querySelectorAll("article:not(.gl-measured, [aria-busy])")) each.classList.add("gl-measured");
      }),
    );
  }

  /** Keep the end in sight; at another width every message is measured again. */
  function resize() {
    if (log.clientWidth !== width) for (const each of log.querySelectorAll(".gl-measured")) each.classList.remove("gl-measured");
    width = log.clientWidth;
    measure();
    toEnd();
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
    list.replaceChildren(); // what it showed may be out of date
    tell({ type: "sessions", search: search.value });
    search.focus();
  }

  /** Say which session is shown alone, and where the next question goes. */
  function stand(at) {
    place = at;
    if (!place) return bar.replaceChildren();
    const next = !place.session_id
      ? "Earlier ones are in Sessions."
      : place.live
      ? "Your next question goes on with this session."
      : "This session has ended. Your next question begins a new one that goes on from it.";
    bar.replaceChildren(make("b", { dir: "auto" }, place.title ?? "Untitled"), make("span", {}, next));
    if (place.continues) bar.append(button("What it goes on from", () => tell({ type: "show", session: place.continues })));
    bar.append(button("All messages", () => tell({ type: "show", session: null })));
  }

  /** Take away what stands for the turn that is running; the kernel tells what has come of it. */
  function clear() {
    clearInterval(running?.counting);
    running?.question?.remove();
    running?.reply.remove();
    running = null;
    root.classList.remove("gl-busy");
  }

  /** Count the seconds for which the model has thought. */
  function think(thought) {
    const [mark, since] = [running.reply.querySelector(".gl-mark"), Date.now() - 1000 * thought];
    const say = () => (mark.textContent = `thinking, ${count.format(Math.round((Date.now() - since) / 1000))} s`);
    running.counting = setInterval(say, 1000);
    say();
  }

  function write() {
    clearInterval(running.counting);
    running.reply.querySelector(".gl-mark").textContent = "writing …";
  }

  function begin({ question, session, settled, open, seconds: thought }) {
    clear();
    const reply = make("article", { class: "gl-reply", "aria-busy": "true" });
    const body = make("div", { class: "gl-text" }, html("gl-part", settled), html("gl-part", open));
    reply.append(make("header", {}, make("b", {}, "Analyst"), make("span", { class: "gl-mark" })), body);
    reply.session = session;
    reply.moment = new Date();
    running = { question: question && article(question, tell), reply, body };
    if (question) log.append(running.question);
    log.append(reply);
    thought == null ? write() : think(thought);
    root.classList.add("gl-busy");
  }

  const told = {
    history(message) {
      if (message.view ? message.view !== view || drawn : !drawn) return;
      if (!drawn) line.heard(), say(), sent && setTimeout(ask); // what was sent before, with the watchlist that comes now
      drawn = true;
      if (message.fault) return say(`The transcript could not be read. ${message.fault}`);
      minutes = message.minutes;
      watchlist.value = message.watchlist;
      prices.show(message.prices);
      older.hidden = !message.earlier;
      loading = false;
      stand(message.place);
      spent(message.spending);
      answered(message.who);
      seen.start(message.budget);
      say(message.notice);
      newest = Math.max(0, ...message.entries.map((entry) => entry.message_id));
      hint.show(message.watchlist, message.known);
      log.replaceChildren(older, hint.root, ...message.entries.map((entry) => article(entry, tell)));
      message.running ? begin(message.running) : clear();
      follow = true;
      if (message.entries.length) learn();
      if (message.first) requestAnimationFrame(greet);
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
      older.after(...message.entries.map((entry) => article(entry, tell)));
      divide(log, minutes);
      log.scrollTop = log.scrollHeight - below; // what was in sight stays where it was
    },
    sessions(message) {
      if (message.view !== view || message.search !== search.value) return;
      const rows = message.sessions.map((row) => listed(row, row.session_id === place?.session_id, tell));
      list.replaceChildren(...(rows.length ? rows : [make("li", { class: "gl-hint" }, "No session says that.")]));
    },
    exported: (message) => message.view === view && download(message.name, message.text),
    forgotten(message) {
      const gone = (each) => each.message === message.message || each.session === message.session;
      const all = [...log.querySelectorAll("article[data-id]")];
      const at = all.findIndex((each) => gone(each) && each.contains(document.activeElement));
      const next = all.slice(at).find((each) => !gone(each)) ?? all.findLast((each) => !gone(each));
      all.filter(gone).forEach((each) => each.remove());
      const left = message.entries.filter((entry) => log.querySelector(`[data-id="${entry.message_id}"]`));
      left.forEach((entry) => put(log, entry, tell)); // without the notes that lead to what has gone
      if (at >= 0) next ? goTo(next) : box.focus();
      if (!drawer.hidden) tell({ type: "sessions", search: search.value });
    },
    fresh(message) {
      if (message.view !== view || running) return;
      spent(message.spending);
      answered(message.who);
      if (!message.entries.length) return;
      newest = Math.max(newest, ...message.entries.map((entry) => entry.message_id));
      message.entries.filter((entry) => !log.querySelector(`[data-id="${entry.message_id}"]`)).forEach((entry) => put(log, entry, tell));
      seen.refresh();
    },
    inspected: (message) => message.view === view && seen.told.inspected(message),
    source: (message) => message.view === view && seen.told.source(message),
    applied(message) {
      if (message.budget) seen.told.applied(message);
      answered(message.who);
      if (message.by === view) say("In force for the questions to come, in every notebook that uses this lab.");
    },
    decided(message) {
      log.querySelector(`[data-id="${message.message}"]`)?.redraw(message.position, message.idea);
    },
    chart: (message) => message.view === view && log.querySelector(`[data-id="${message.place[0]}"]`)?.plot(message.place[1], message),
    started(message) {
      begin(message);
      if (message.view !== view) return;
      if (message.question && box.value === sent?.text) box.value = "";
      if (message.question) seen.sent();
      if (!seen.root.hidden && covered()) inspect(false);
      settle();
      follow = true;
    },
    prices(message) {
      prices.show(message.prices);
      if (message.by === view) say(message.prices.words || "The market has answered just now.");
    },
    thinking: () => running && think(0),
    grown({ settled, open }) {
      if (!running) return;
      write();
      if (settled) running.body.lastChild.before(html("gl-part", settled));
      running.body.lastChild.replaceWith(html("gl-part", open));
    },
    done({ entries, restore, ...message }) {
      clear();
      entries.forEach((entry) => put(log, entry, tell));
      stand(message.place);
      spent(message.spending);
      answered(message.who);
      prices.show(message.prices);
      say(message.notice);
      const reply = entries.at(-1);
      announce(reply);
      synced = 0;
      sync();
      if (message.view !== view) return;
      if (!seen.root.hidden) seen.look(reply.role === "assistant" && !box.value ? reply.message_id : null);
      if (!box.value) box.value = restore;
      fit(box);
    },
    refused(message) {
      if (message.view !== view) return;
      settle();
      say(message.words);
    },
    trouble(message) {
      if (message.view !== view) return;
      if (message.of === "chart") return told.chart(message);
      loading = false;
      if (answerer) [llm.value, effort.value] = [answerer.name, answerer.asked]; // what was chosen is not in force
      say(message.words);
    },
    watchlist(message) {
      if (message.view === view || document.activeElement !== watchlist) watchlist.value = message.text;
      hint.show(message.text);
      prices.show(message.prices);
    },
  };

  function receive(message) {
    if (!drawn && message.type !== "history") return;
    const focused = root.contains(document.activeElement) ? document.activeElement : null;
    const within = focused?.closest("article")?.message;
    const room = [drawer, seen.root].find((each) => each.contains(focused));
    told[message.type]?.(message);
    if (["history", "started", "done", "forgotten", "fresh"].includes(message.type)) divide(log, minutes);
    if (["started", "done", "forgotten"].includes(message.type)) learn();
    if (message.type !== "grown") measure();
    toEnd();
    if (!focused || shown(document.activeElement)) return;
    // What had the focus has gone: what stands in its place takes it.
    const again = within != null && log.querySelector(`[data-id="${within}"]`);
    if (room === drawer && shown(search)) search.focus();
    else if (room === seen.root && shown(room)) seen.enter();
    else if (again) goTo(again);
    else box.focus();
  }

  /** The kernel has taken what was sent, or has refused it. */
  function settle() {
    clearTimeout(sent?.timer);
    sent = null;
    say();
    fit(box);
  }

  function submit() {
    box.focus();
    if (sent || !box.value.trim()) return;
    sent = { text: box.value, timer: setTimeout(late, PATIENCE_MS) };
    if (drawn) ask();
  }

  function ask() {
    tell({ type: "ask", text: sent.text, watchlist: watchlist.value, ...seen.choice() });
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  box.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return; // an input method is at work: its Enter picks a word
    recall.key(event);
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      submit();
    }
  });
  box.addEventListener("input", () => {
    fit(box);
    if (seen.of != null) seen.look(null);
    else seen.refresh();
  });
  for (const event of ["focusin", "pointerenter"]) root.addEventListener(event, sync);
  document.addEventListener("visibilitychange", sync);
  apart(root, el);
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.isComposing) return;
    if (drawer.contains(event.target)) show(false);
    else if (running) tell({ type: "stop" });
    else if (seen.root.contains(event.target)) inspect(false);
    else [event.target.closest("article")?.from, box].find(shown).focus(); // back to the item that led here
  });
  stop.addEventListener("click", (event) => {
    box.focus();
    if (event.detail < 2) tell({ type: "stop" }); // a double click on Send must not stop what it sent
  });
  const choose = (change) => tell({ type: "choose", name: answerer.name, effort: answerer.effort, ...change });
  llm.addEventListener("change", () => choose({ name: llm.value }));
  effort.addEventListener("change", () => choose({ effort: effort.value }));
  watchlist.addEventListener("change", () => tell({ type: "watchlist", text: watchlist.value }));
  watchlist.addEventListener("input", () => seen.refresh());
  search.addEventListener("input", () => {
    clearTimeout(searching);
    searching = setTimeout(() => tell({ type: "sessions", search: search.value }), PAUSE_MS);
  });
  log.addEventListener("scroll", () => {
    follow = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_PX;
    down.hidden = follow;
    if (log.scrollTop < NEAR_PX && log.scrollHeight > log.clientHeight) more();
  });
  const resized = new ResizeObserver(resize);
  resized.observe(log);

  /** The kernel has gone, and with it whoever would end what is under way. */
  function lost() {
    if (!drawn) return;
    if (running) {
      clearInterval(running.counting);
      running.reply.querySelector(".gl-mark").textContent = "broken off";
      running.reply.removeAttribute("aria-busy");
      running = null;
      root.classList.remove("gl-busy");
    }
    settle();
    prices.close(); // nobody tells any more how old they are
    say("The kernel was restarted. Run this cell again: the conversation is kept, and so is what you have typed.");
  }

  const left = globalThis.gallumpLabDraft; // of a cell that was run again
  if (left && Date.now() - left.at < DRAFT_MS) box.value = left.text;
  delete globalThis.gallumpLabDraft;
  const line = connect(model, view, { receive, late, lost });
  return () => {
    line.close();
    prices.close();
    clearInterval(running?.counting);
    if (box.value.trim()) globalThis.gallumpLabDraft = { text: box.value, at: Date.now() };
    resized.disconnect();
    document.removeEventListener("visibilitychange", sync);
    clearTimeout(sent?.timer);
    clearTimeout(searching);
    clearTimeout(syncing);
  };
}

export default { render };
