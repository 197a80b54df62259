// The context inspector: what the next question would carry, or what a reply did carry, item by item, and why.

const TIERS = ["hot", "warm", "cold"];
const RANGES = { hot: [0, 8000, 100], warm: [0, 4000, 50], cold: [0, 2000, 20] };
const REST_MS = 150;
const coloured = (name, attributes = {}) => make("i", { style: `background: ${COLOURS[name]}`, ...attributes });
const keyOf = (item) => `${item.kind} ${item.item_id}`;

/**
 * Make the inspector. `tell` sends to the kernel, `typed` gives the question and watchlist as they stand. In a chat, `reveal`
 * shows a message of the transcript if it is there, `changed` hears what is pinned and excluded, `closed` that it was closed;
 * without a chat there is nothing to close, to put in force or to open.
 */
function inspector({ tell, typed, reveal = () => false, changed = () => {}, closed }) {
  const pinned = new Map();
  const excluded = new Map();
  let inForce = {}; // the budgets of the lab
  let tried = null; // the budgets that the sliders try
  let of = null; // the reply that is looked at; null for the next question
  let serial = 0;
  let waiting = 0; // the preview that has been asked for
  let stale = false; // whether there is something newer to ask for
  let resting = null;
  let from = null; // the item whose source is shown

  const alone = !closed;
  const title = make("b", {}, "What this question carries");
  const close = button("Close", () => closed());
  const next = button("Next question", () => (look(null), close.focus()), { hidden: "" });
  const total = make("p", { class: "gl-facts" });
  const problem = make("p", { class: "gl-fault", hidden: "" });
  const bar = make("div", { class: "gl-stack", role: "img" });
  const legend = make("ul", { class: "gl-legend" });
  const room = make("p", { class: "gl-facts" });
  const sliders = {};
  const apply = alone ? null : button("Use from now on", () => tell({ type: "budget", budget: tried }));
  const undo = button("Undo", () => (set(inForce), refresh(), sliders.hot.slider.focus()));
  const chosen = make("p", { class: "gl-actions" }, apply, undo);
  const budgets = make("fieldset", {}, make("legend", {}, "Budgets, in tokens"));
  for (const tier of TIERS) {
    const [min, max, step] = RANGES[tier];
    const name = tier.toUpperCase();
    const slider = make("input", { type: "range", min, max, step, "aria-label": `${name} budget` });
    const figure = make("span", {});
    slider.addEventListener("input", () => (set({ ...(tried ?? inForce), [tier]: Number(slider.value) }), refresh(0)));
    sliders[tier] = { slider, figure };
    budgets.append(make("label", {}, name, slider, figure));
  }
  budgets.append(chosen);
  const items = make("div", {});
  const origin = make("div", { class: "gl-source", role: "group", "aria-label": "Source", hidden: "" });
  const content = make("div", { class: "gl-inspected" }, total, problem, bar, legend, room, budgets, items);
  const root = make("aside", { class: "gl-context", "aria-label": "Context", hidden: "" });
  content.prepend(make("header", {}, title, next, alone ? null : close));
  root.append(content, origin);

  /** Show budgets on the sliders; those of the lab are not a trial. */
  function set(budget) {
    tried = TIERS.some((tier) => budget[tier] !== inForce[tier]) ? budget : null;
    for (const tier of TIERS) {
      const { slider, figure } = sliders[tier];
      slider.max = Math.max(RANGES[tier][1], inForce[tier] ?? 0);
      slider.value = budget[tier];
      figure.textContent = count.format(budget[tier]);
    }
    chosen.hidden = !tried;
  }

  /** Ask what the next question would carry: the newest state, one at a time, however fast the reader types. */
  function refresh(pause = REST_MS) {
    if (root.hidden || of != null) return;
    clearTimeout(resting);
    resting = setTimeout(() => {
      if (waiting) return (stale = true);
      waiting = ++serial;
      stale = false;
      tell({ type: "preview", serial, ...typed(), ...choice(), budget: tried });
    }, pause);
  }

  const choice = () => ({
    pinned: [...pinned.values()].map(({ kind, item_id }) => [kind, item_id]),
    excluded: [...excluded.values()].map(({ kind, item_id }) => [kind, item_id]),
  });

  /** Pin or exclude an item, or leave it to the ranking again. */
  function choose(place, other, item) {
    const key = keyOf(item);
    if (!place.delete(key)) {
      place.set(key, item);
      other.delete(key);
    }
    mark();
    changed(pinned.size, excluded.size);
    refresh(0);
  }

  /** Show on the items that are listed what was chosen of them. */
  function mark() {
    for (const each of items.querySelectorAll(".gl-slot")) {
      each.classList.toggle("gl-is-out", excluded.has(each.dataset.key));
      const [pin, out] = each.querySelectorAll("[aria-pressed]");
      pin.setAttribute("aria-pressed", String(pinned.has(each.dataset.key)));
      out.setAttribute("aria-pressed", String(excluded.has(each.dataset.key)));
    }
  }

  /** Show where an item was said. */
  function lead(item) {
    from = keyOf(item);
    tell({ type: "source", kind: item.kind, item: item.item_id, message: item.message_id });
  }

  function slot(item, i, all) {
    const open = () => (item.kind !== "insight" && reveal(item.message_id)) || lead(item);
    // Turns that stand in the prompt together or not at all are counted with the newest of them.
    const more = item.kept && all[i + 1]?.tokens === 0 ? ", with the turns below" : "";
    const size = item.tokens ? `${count.format(item.tokens)} tokens${more}` : item.kept && "counted with the turn above";
    const about = [item.symbol, item.created_at?.slice(0, 10), item.role === "assistant" ? "Analyst" : item.role && "You"];
    const head = [...about, size].filter(Boolean).map((said) => make("span", {}, said));
    const pin = button("Pin", () => choose(pinned, excluded, item), { "aria-pressed": "false", "aria-label": "Pin for the next question" });
    const out = button("Exclude", () => choose(excluded, pinned, item), { "aria-pressed": "false", "aria-label": "Exclude from the next question" });
    pin.hidden = item.kind === "message"; // the guide's template shows whole messages, which have no rank to gain
    return make(
      "li",
      { class: "gl-slot", "data-key": keyOf(item) },
      make("p", { class: "gl-facts" }, ...head),
      button(item.text, open, { class: "gl-open", dir: "auto", title: "Show where this was said" }),
      make("p", { class: "gl-why" }, item.why),
      make("p", { class: "gl-actions" }, pin, out),
    );
  }

  function group(tier, { slots, nothing }, part) {
    const mine = slots.filter((each) => each.tier === tier);
    const kept = mine.filter((each) => each.kept);
    const missed = mine.filter((each) => !each.kept);
    const name = tier.toUpperCase();
    const words = `${name}: ${kept.length ? `${count.format(kept.length)} kept, ${count.format(part.tokens)} tokens` : nothing[tier]}`;
    const made = make("details", { "data-tier": tier }, make("summary", {}, words));
    if (kept.length) made.append(make("ul", {}, ...kept.map(slot)));
    if (missed.length) {
      const near = make("details", { "data-tier": `${tier} missed` }, make("summary", {}, `Not in, and why (${missed.length})`));
      near.append(make("ul", {}, ...missed.map(slot)));
      made.append(near);
    }
    return made;
  }

  /** Remember where among the items the focus is; gives what brings it back once they are drawn anew. */
  function held() {
    const at = items.contains(document.activeElement) ? document.activeElement : null;
    const slot = at?.closest(".gl-slot");
    const place = slot && [...slot.querySelectorAll("button")].indexOf(at);
    const tier = at?.closest("details").dataset.tier.split(" ")[0];
    return () => {
      if (!at) return;
      const again = slot && items.querySelector(`[data-key="${slot.dataset.key}"]`)?.querySelectorAll("button")[place];
      const found = again?.checkVisibility() ? again : items.querySelector(`[data-tier="${tier}"] > summary`);
      found.focus({ preventScroll: true });
    };
  }

  /** Draw the parts of the prompt side by side, each as wide as its tokens. */
  function stack(parts) {
    const there = parts.filter((part) => part.tokens);
    const said = there.map(({ name, tokens }) => `${name} ${count.format(tokens)}`);
    bar.ariaLabel = `The prompt: ${said.join(", ")}`;
    bar.replaceChildren(...there.map(({ name }, i) => coloured(name, { title: `${said[i]} tokens` })));
    there.forEach(({ tokens }, i) => (bar.children[i].style.flexGrow = tokens));
  }

  /** Draw what the kernel has told. */
  function draw(told) {
    problem.hidden = !told.problem;
    problem.textContent = told.problem ?? "";
    for (const each of [total, bar, legend, room, items]) each.hidden = Boolean(told.problem);
    if (told.problem) return;
    const { parts, tokens, window: size, reply } = told;
    const money = told.most == null ? null : `${cost(told.cost)}, at most ${cost(told.most)} with the reply`;
    const facts = [`${count.format(tokens)} tokens`, money].filter(Boolean);
    total.replaceChildren(...facts.map((said) => make("span", {}, said)));
    stack(parts);
    legend.replaceChildren(
      ...parts.map(({ name, tokens, budget }) => {
        const figure = budget == null ? count.format(tokens) : `${count.format(tokens)} of ${count.format(budget)}`;
        return make("li", {}, coloured(name), make("span", {}, name), make("b", {}, figure));
      }),
    );
    const free = Math.max(0, size - reply - tokens);
    const left = count.format(free);
    room.textContent = `Room left: ${left} of ${count.format(size)} tokens, ${count.format(reply)} kept for the reply.`;
    if (told.items) room.textContent += " This configuration counts items in HOT and COLD, not tokens.";
    if (told.notice) room.textContent += ` ${told.notice}`;
    const before = new Map([...items.querySelectorAll("details")].map((each) => [each.dataset.tier, each.open]));
    const hold = held();
    items.replaceChildren(...TIERS.map((tier, i) => group(tier, told, parts[i])));
    for (const each of items.querySelectorAll("details")) {
      each.open = before.get(each.dataset.tier) ?? ["warm", "cold"].includes(each.dataset.tier);
    }
    mark();
    hold();
  }

  /** Look at a reply, or (null) at the next question. */
  function look(message) {
    of = message;
    origin.hidden = true;
    content.hidden = false;
    title.textContent = message == null ? "Next question: what it carries" : "This reply: what it was given";
    next.hidden = message == null;
    budgets.hidden = message != null;
    content.scrollTop = 0;
    if (message == null) refresh(0);
    else tell({ type: "context", message });
  }

  const told = {
    inspected(message) {
      if (message.of != null) return message.of === of && draw(message);
      if (message.serial !== waiting) return; // asked before the watchlist came, or of an earlier kernel
      waiting = 0;
      if (of == null) draw(message);
      if (stale) refresh(0);
    },
    source(message) {
      const back = button("Back", () => {
        origin.hidden = true;
        content.hidden = false;
        const item = items.querySelector(`[data-key="${from}"] .gl-open`);
        (item?.checkVisibility() ? item : close).focus();
      });
      const found = message.entries.map((entry) => article(entry, () => {}));
      const last = message.entries.at(-1);
      const open = !alone && last && button("Open its session", () => tell({ type: "show", session: last.session_id }));
      const words = message.kind === "insight" ? "What this insight rests on" : "Where this was said";
      const none = found.length ? null : make("p", {}, "Its messages have been forgotten.");
      origin.replaceChildren(make("header", {}, make("b", {}, words), ...[open, back].filter(Boolean)), ...[none, ...found].filter(Boolean));
      origin.querySelector(`[data-id="${message.message}"]`)?.classList.add("gl-found");
      origin.querySelectorAll(".gl-forget, .gl-retry, .gl-decision").forEach((each) => each.remove());
      origin.hidden = false;
      content.hidden = true;
      back.focus();
    },
    applied({ budget }) {
      inForce = { ...inForce, ...budget };
      set(inForce);
      refresh(0);
    },
  };

  return {
    root,
    told,
    refresh,
    look,
    choice,
    /** Show where a note of a reply was said. */
    note: (message, note) => (look(message), lead(note)),
    /** Take the lab's budgets; what was asked of an earlier kernel will not be answered. */
    start(budget) {
      inForce = budget;
      waiting = 0;
      set(tried ?? inForce);
      refresh(0);
    },
    /** The question is on its way: what was chosen for it is used up. */
    sent() {
      pinned.clear();
      excluded.clear();
      mark();
      changed(0, 0);
    },
    clear() {
      this.sent();
      refresh(0);
    },
    /** Take the focus. */
    enter: () => (content.hidden ? origin.querySelector("button") : close).focus(),
    get of() {
      return of;
    },
  };
}
