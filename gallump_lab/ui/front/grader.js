// The grader's front end, for both its kinds: messages that may answer a question, and what was learnt. The kernel holds
// the rows; a view shows which of them is at hand. What is done shows at once, faint until the kernel has it in the lab.

const LOOK_MS = 2000; // so often, at most, it is asked what other notebooks changed
const KINDS = {
  labels: {
    name: "Labels",
    list: "Messages to grade",
    one: "message",
    grades: ["Of no use", "On the subject", "Helps", "Evidence"],
    keys: "Keys: 0 to 3 grade, ↑ ↓ or k j move, u undoes, n and p change the question.",
    looking: "Looking for what may answer the question …",
    none: "No question to label yet: ask one in the chat, or add one by lab.add_question(...).",
    all: "Every message of this question has a grade: n for the next question.",
  },
  insights: {
    name: "Insights to review",
    list: "Insights",
    one: "insight",
    grades: ["Wrong", "Of no use", "Useful", "In every prompt"],
    keys: "Keys: 0 to 3 grade, ↑ ↓ or k j move, Enter shows sources and history, p pins, x retires, e edits, u undoes.",
    looking: "Looking for what was learnt …",
    none: "No insight to review yet: they come from ended sessions, or by lab.insights.add(...).",
    all: "Every insight has a grade.",
  },
};
const DONE = { pin: "Pinned.", unpin: "Unpinned.", retire: "Retired.", restore: "Restored.", edit: "Saved." };
const FAILED = { grade: "Not graded", change: "Not changed", edit: "Not saved" };

function render({ model, el }) {
  const kind = KINDS[model.get("kind")];
  const insights = kind === KINDS.insights;
  const view = Math.random().toString(36).slice(2);
  let rows = []; // by place
  let at = 0; // which of them is at hand
  let head = null; // the question that the messages may answer
  let drawn = false;
  let looked = Date.now();
  let pausing = null;
  const tell = (content) => model.send({ view, ...content });

  const progress = make("span", {});
  const done = make("i", {});
  const bar = make("span", { class: "gl-bar", "aria-hidden": "true" }, done);
  const where = make("span", {});
  const turns = insights ? [] : [keyed("p", "Previous", () => turn(-1)), keyed("n", "Next question", () => turn(1))];
  const top = make("header", { class: "gl-top" }, make("p", { class: "gl-progress" }, progress, bar), where, ...turns);
  const asked = make("div", { class: "gl-asked", role: "group", "aria-label": "Question" });
  const list = make("div", { class: "gl-log", role: "list", "aria-label": kind.list });
  const notice = make("p", { class: "gl-notice", role: "status" });
  const heard = make("p", { class: "gl-unseen", "aria-live": "polite" });
  const grades = kind.grades.map((words, grade) =>
    keyed(String(grade), words, (event) => event.detail > 1 || give(grade), { "aria-pressed": "false", "data-grade": grade }),
  );
  const group = make("div", { class: "gl-grades", role: "group", "aria-label": `Grade of the ${kind.one} at hand` }, ...grades);
  const pin = keyed("p", "Pin", () => change(marked("pinned") ? "unpin" : "pin"), { "aria-pressed": "false" });
  const retire = keyed("x", "Retire", () => change(marked("retired") ? "restore" : "retire"));
  const edit = keyed("e", "Edit", () => write());
  const undo = keyed("u", "Undo", () => tell({ type: "undo" }), { "aria-keyshortcuts": "u Control+Z" });
  const acts = make("div", { class: "gl-grades", role: "group", "aria-label": `Change the ${kind.one} at hand` });
  acts.append(...(insights ? [pin, retire, edit, undo] : [undo]));
  const foot = make("footer", { class: "gl-foot" }, group, acts, make("p", { class: "gl-why" }, kind.keys));
  const root = make("section", { class: "gl-chat gl-grader gl-empty", "aria-label": kind.name });
  root.append(top, asked, list, notice, foot, heard);
  el.append(root);

  const say = (words = "") => (notice.textContent = words);
  const hear = (words) => (heard.textContent = words);
  const late = () => say("The kernel has not answered yet. If it was restarted, run this cell again; all that was done is kept.");
  const dated = (iso) => make("time", { datetime: iso }, day.format(new Date(iso)));
  const timed = (iso) => make("time", { datetime: iso }, clock(new Date(iso)));
  const current = () => (rows[at]?.gone ? null : rows[at]);
  const marked = (name) => Boolean(current()?.marks.includes(name));

  /** A button that a key stands for. */
  function keyed(key, words, act, attributes = {}) {
    const made = button("", act, { "aria-keyshortcuts": key, ...attributes });
    made.append(make("kbd", { "aria-hidden": "true" }, key), make("span", {}, words));
    return made;
  }

  /** Take a row as the lab holds it; what the reader has unfolded or is writing stays. */
  function take(row) {
    const before = rows[row.place];
    if (!before) {
      rows[row.place] = row;
      row.made = make("article", { role: "listitem" });
      list.append(row.made);
    } else Object.assign(before, row, row.gone ? { open: false, editor: null } : {}); // forgotten for good
    draw(rows[row.place]);
    if (before?.open) tell({ type: "open", place: row.place });
  }

  function draw(row) {
    const { made } = row;
    made.hidden = Boolean(row.gone);
    if (row.gone) return made.replaceChildren();
    const focused = made.contains(document.activeElement) ? document.activeElement : null;
    row.chip = make("span", { class: "gl-grade" });
    const words = make("span", { class: "gl-words" }, ...(row.parts ? parted(row.parts) : [row.draft ?? row.text]));
    // A message is no <button>, from which no browser lets the mouse select words.
    const as = insights ? ["button", { type: "button", "aria-expanded": String(Boolean(row.open)) }] : ["div", { role: "button" }];
    row.button = make(as[0], { ...as[1], class: "gl-open", dir: "auto" }, words);
    const facts = [
      ...(row.marks ?? []).map((name) => make("b", { class: `gl-is-${name}` }, name)),
      row.who && make("b", {}, row.who),
      row.symbol && make("span", { class: "gl-symbol" }, row.symbol),
      ...[row.kind, row.speaker].map((said) => said && make("span", {}, said)),
      row.at && timed(row.at),
      row.valid_from && make("span", {}, "since ", dated(row.valid_from)),
      row.valid_until && make("span", {}, "until ", dated(row.valid_until)),
      row.distiller && make("span", {}, `by ${row.distiller}`),
      row.sources != null && make("span", {}, `${count.format(row.sources)} source${row.sources === 1 ? "" : "s"}`),
    ];
    const [short, long] = [true, false].map((fits) => (row.beside ?? []).filter(([, value]) => value.length < 16 === fits));
    const figures = short.map(([name, value]) => make("span", {}, `${name} `, make("b", {}, value)));
    row.head = make(
      "div",
      { class: "gl-head" },
      make("div", { class: "gl-line" }, row.editor ?? row.button, row.chip),
      make("p", { class: "gl-facts" }, ...facts.filter(Boolean)),
      figures.length ? make("p", { class: "gl-facts gl-beside" }, ...figures) : null,
      ...long.map(([name, value]) => make("p", { class: "gl-why", dir: "auto" }, `${name}: ${value}`)),
    );
    row.head.addEventListener("click", (event) => event.target.closest("form") || (stand(row.place), insights && unfold(row)));
    made.classList.toggle("gl-is-out", Boolean(row.marks?.some((name) => name === "retired" || name === "superseded")));
    if (row.open) row.detail ??= looking();
    made.replaceChildren(row.head, ...(row.open ? [row.detail] : []));
    mark(row);
    lead(row);
    if (focused) (focused.isConnected ? focused : row.button).focus({ preventScroll: true });
  }

  /** Show how a row is graded; faint what the kernel has not got yet. */
  function mark(row) {
    const grade = row.given ?? row.grade;
    const words = grade == null ? "no grade" : `${grade} ${kind.grades[grade].toLowerCase()}`;
    row.chip.textContent = row.grader && row.given == null ? `${words}, by ${row.grader}` : words;
    row.chip.dataset.grade = grade ?? "";
    row.made.classList.toggle("gl-pending", row.given != null || row.draft != null);
  }

  /** Say which row is at hand: on the row, and on the buttons. */
  function lead(row) {
    const here = row === current();
    if (here) row.made.setAttribute("aria-current", "true");
    else row.made.removeAttribute("aria-current");
    row.button?.setAttribute("tabindex", here ? "0" : "-1");
    if (!here) return;
    grades.forEach((each, i) => each.setAttribute("aria-pressed", String(i === (row.given ?? row.grade))));
    if (!insights) return;
    pin.setAttribute("aria-pressed", String(marked("pinned")));
    pin.lastChild.textContent = marked("pinned") ? "Unpin" : "Pin";
    retire.lastChild.textContent = marked("retired") ? "Restore" : "Retire";
  }

  /** Bring something of the list into sight; the notebook around it stays where it is. */
  function bring(each) {
    const [box, around] = [each, list].map((one) => one.getBoundingClientRect());
    if (box.top < around.top) list.scrollTop -= around.top - box.top;
    else if (box.bottom > around.bottom) list.scrollTop += Math.min(box.bottom - around.bottom, box.top - around.top);
  }

  /** Put a row at hand, and lead the reader to it unless the focus is elsewhere. */
  function stand(i, focus = true) {
    if (!rows[i] || rows[i].gone) return;
    const before = current();
    at = i;
    if (before && before !== rows[i]) lead(before);
    lead(rows[i]);
    const { made } = rows[i];
    bring(made);
    if (!insights && made.offsetHeight > list.clientHeight) bring(made.querySelector("mark") ?? made.firstChild);
    const shown = rows.filter((row) => !row.gone);
    if (insights) where.textContent = `Insight ${count.format(shown.indexOf(rows[i]) + 1)} of ${count.format(shown.length)}`;
    if (focus) (rows[i].editor?.firstChild ?? rows[i].button).focus({ preventScroll: true });
  }

  /** Go to the next row, or the one before; give whether there is one. */
  function step(by, focus = true) {
    let i = at + by;
    while (rows[i]?.gone) i += by;
    stand(i, focus);
    return Boolean(rows[i]);
  }

  /** Turn to the next question, or the one before. */
  function turn(by) {
    if (!head) return;
    const question = head.place + by;
    if (question < 0 || question >= head.of) return say(by > 0 ? "That was the last question." : "That was the first question.");
    list.setAttribute("aria-busy", "true");
    tell({ type: "question", question });
  }

  const looking = () => make("p", { class: "gl-origin gl-why" }, "Looking for what it rests on …");

  /** Show or hide what an insight rests on. */
  function unfold(row, open = !row.open) {
    if (open === Boolean(row.open)) return;
    row.open = open;
    row.button.setAttribute("aria-expanded", String(open));
    row.detail?.remove();
    if (!open) return;
    row.detail = looking();
    row.made.append(row.detail);
    tell({ type: "open", place: row.place });
  }

  function origin({ sources, history }) {
    const said = sources.map(({ who, at, parts }) =>
      make(
        "li",
        {},
        make("p", { class: "gl-facts" }, make("b", {}, who), timed(at)),
        make("div", { class: "gl-text", dir: "auto" }, ...parted(parts)),
      ),
    );
    const past = history.map(({ at, what, quoted }) => {
      const words = make("span", { dir: "auto" }, quoted == null ? what : `${what}: `);
      return make("li", {}, dated(at), words, quoted == null ? null : make("q", { dir: "auto" }, quoted));
    });
    const nothing = make("p", { class: "gl-why" }, "It rests on no message.");
    return make(
      "div",
      { class: "gl-origin" },
      make("h4", {}, "Sources"),
      said.length ? make("ul", { class: "gl-sources", "aria-label": "Sources" }, ...said) : nothing,
      make("h4", {}, "History"),
      make("ul", { class: "gl-past", "aria-label": "History" }, ...past),
    );
  }

  /** Grade the row at hand, and go on to the next, from the last to the first without a grade; one that is unfolded gives way to the next, unfolded. */
  function give(grade) {
    const row = current();
    if (!row || list.ariaBusy) return;
    tell({ type: "grade", place: row.place, grade });
    row.given = grade;
    mark(row);
    hear(`${kind.grades[grade]}.`);
    const { open } = row;
    if (open && !row.editor) unfold(row, false);
    const focus = !group.contains(document.activeElement);
    const more = step(1, focus);
    if (open && more) (unfold(current(), true), bring(current().made));
    const left = rows.filter((each) => each.wanted && !each.gone && each.grade == null && each.given == null);
    if (left.length && !more) stand(left[0].place, focus);
    if (!left.length) say(kind.all);
    else say(more ? "" : `That was the last ${kind.one}. ${count.format(left.length)} above it had no grade: here is the first.`);
  }

  function change(what) {
    if (!current()) return;
    say();
    current().made.classList.add("gl-pending");
    tell({ type: "change", place: at, what });
  }

  /** Edit the text of the insight at hand, in its place. */
  function write() {
    const row = current();
    if (!row || row.draft != null) return; // its last wording is on its way
    if (row.editor) return row.editor.firstChild.focus();
    if (marked("retired")) return say("It is retired: restore it (x), then edit it.");
    say();
    field(row, row.text);
    bring(row.made);
    row.editor.firstChild.focus({ preventScroll: true });
  }

  /** Put a field with a text in the place of an insight's own. */
  function field(row, text) {
    const box = make("textarea", { rows: "1", dir: "auto", maxlength: "2000", "aria-label": "Text of the insight" });
    box.value = text;
    const leave = () => {
      row.editor.replaceWith(row.button);
      row.editor = null;
      row.button.focus({ preventScroll: true });
    };
    const save = () => {
      const given = box.value.trim();
      if (!given) return say("An insight needs words; to be rid of it, retire it (x).");
      leave();
      if (given === row.text) return;
      row.button.textContent = row.draft = given;
      mark(row);
      tell({ type: "edit", place: row.place, text: given });
    };
    box.addEventListener("input", () => fit(box));
    box.addEventListener("keydown", (event) => {
      if (event.isComposing || event.keyCode === 229) return; // an input method is at work: its Enter picks a word
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault();
      if (event.key === "Enter") save();
      else leave();
    });
    const buttons = [button("Save", save, { title: "Save (Enter)" }), button("Leave", leave, { title: "Leave it as it was (Esc)" })];
    row.editor = make("form", { class: "gl-edit" }, box, ...buttons);
    row.editor.addEventListener("submit", (event) => event.preventDefault());
    const focused = row.button === document.activeElement;
    row.button.replaceWith(row.editor);
    fit(box);
    box.setSelectionRange(box.value.length, box.value.length);
    if (focused) box.focus({ preventScroll: true });
  }

  function tally(told) {
    progress.textContent = told.words;
    done.style.width = `${told.of ? (100 * told.done) / told.of : 0}%`;
    root.classList.toggle("gl-empty", !head && rows.every((row) => row.gone));
  }

  /** Show the question that the messages may answer. */
  function ask() {
    if (!head) return;
    const { place, of, text, kind, symbol, answer } = head;
    where.textContent = `Question ${count.format(place + 1)} of ${count.format(of)}`;
    const about = [symbol && make("span", { class: "gl-symbol" }, symbol), make("span", {}, "asked ", timed(head.at)), make("span", {}, kind)];
    asked.replaceChildren(
      make("p", { class: "gl-text gl-said-text", dir: "auto" }, text),
      make("p", { class: "gl-facts" }, ...about.filter(Boolean)),
      ...(answer ? [make("p", { class: "gl-text gl-answer", dir: "auto" }, make("b", {}, "Answer: "), answer)] : []),
    );
    hear(`Question ${place + 1}: ${text}`);
  }

  const told = {
    rows(message) {
      if ((message.view ?? view) !== view || (!message.view && !drawn)) return;
      line.heard();
      drawn = true;
      const within = list.contains(document.activeElement);
      list.removeAttribute("aria-busy");
      list.replaceChildren();
      [rows, head, at] = [[], message.head, message.at];
      message.rows.forEach(take);
      ask();
      tally(message.progress);
      say(rows.length ? "" : head ? "Nothing had been said by then that could answer it." : kind.none);
      list.scrollTop = 0;
      stand(at, within);
    },
    changed(message) {
      if (!drawn) return;
      const mine = message.by === view;
      const row = rows[message.place];
      if (mine && row && !message.undone) {
        if (message.did === "grade") row.given = null;
        if (message.did === "edit") row.draft = null;
      }
      message.rows.forEach(take);
      tally(message.progress);
      if (current() == null) step(1, false) || step(-1, false);
      if (!mine || !row || row.gone) return;
      mark(row);
      if (message.undone) say(), hear("Undone."), stand(message.place, !foot.contains(document.activeElement));
      else if (message.did !== "grade") hear(DONE[message.did]);
    },
    opened(message) {
      const row = rows[message.place];
      if (message.view !== view || !row?.open) return;
      const detail = origin(message);
      row.detail.replaceWith(detail);
      row.detail = detail;
      if (row === current()) bring(row.made);
    },
    trouble(message) {
      if (message.view !== view) return;
      if (message.of !== "ready") line.heard(); // else it is asked again
      if (message.of === "look") return;
      list.removeAttribute("aria-busy");
      const row = rows[message.place];
      if (!row || row.gone) say(message.words);
      else if (message.of === "open") row.detail?.replaceChildren(message.words);
      else {
        row.given = null;
        if (row.draft != null) field(row, row.draft), (row.draft = null);
        mark(row);
        const name = row.text ?? row.parts.map(([text]) => text).join("");
        say(`${FAILED[message.of]}, “${name.length > 60 ? `${name.slice(0, 60)}…` : name}”: ${message.words}`);
      }
      if (drawn) tell({ type: "look" }); // what the lab refuses may have been changed by others
    },
  };

  const receive = (message) => told[message.type]?.(message);

  /** Ask what other notebooks changed. */
  function look() {
    clearTimeout(pausing);
    if (!drawn || document.hidden) return;
    const rest = looked + LOOK_MS - Date.now();
    if (rest > 0) return (pausing = setTimeout(look, rest));
    looked = Date.now();
    tell({ type: "look" });
  }

  for (const event of ["focusin", "pointerenter"]) root.addEventListener(event, (moved) => root.contains(moved.relatedTarget) || look());
  document.addEventListener("visibilitychange", look);
  apart(root, el);
  const once = (act) => (event) => event.repeat || act();
  const keysOf = {
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    j: () => step(1),
    k: () => step(-1),
    u: () => tell({ type: "undo" }),
    ...(insights
      ? {
          ArrowRight: () => unfold(current(), true),
          ArrowLeft: () => unfold(current(), false),
          p: once(() => pin.click()),
          x: once(() => retire.click()),
          e: () => write(),
        }
      : { n: () => turn(1), p: () => turn(-1) }),
  };
  kind.grades.forEach((_, grade) => (keysOf[grade] = once(() => give(grade))));
  // Wherever one clicks, the keys that follow are for the row at hand and not for the notebook around it.
  root.addEventListener("click", (event) => event.target.closest("button, article") || stand(at));
  root.addEventListener("keydown", (event) => {
    if (event.target.closest("textarea") || !(current() || head)) return;
    const command = event.ctrlKey || event.metaKey;
    const act = command ? event.key.toLowerCase() === "z" && !event.shiftKey && keysOf.u : keysOf[event.key];
    if (!act || event.altKey) return;
    event.preventDefault();
    act(event);
  });

  const lost = () => say("The kernel was restarted. Run this cell again: all that was done is kept; copy what you are writing.");
  say(kind.looking);
  const line = connect(model, view, { receive, late, lost });
  return () => {
    line.close();
    clearTimeout(pausing);
    document.removeEventListener("visibilitychange", look);
  };
}

export default { render };
