// The reviewing widget's front end. The kernel holds the insights; a view shows which of them is at hand, and unfolds
// what one rests on. What is done shows at once, faint until the kernel has it in the lab.

const PATIENCE_MS = 5000;
const LOOK_MS = 2000; // so often, at most, it is asked what other notebooks changed
const GRADES = ["Wrong", "Of no use", "Useful", "In every prompt"];
const FAILED = { grade: "Not graded", pin: "Not changed", retire: "Not changed", edit: "Not saved" };

function render({ model, el }) {
  const view = Math.random().toString(36).slice(2);
  const rows = []; // by place
  let at = 0; // which of them is at hand
  let drawn = false;
  let looked = Date.now();
  let pausing = null;
  const tell = (content) => model.send({ view, ...content });

  const progress = make("span", {});
  const done = make("i", {});
  const bar = make("span", { class: "gl-bar", "aria-hidden": "true" }, done);
  const where = make("span", {});
  const top = make("header", { class: "gl-top" }, make("p", { class: "gl-progress" }, progress, bar), where);
  const list = make("div", { class: "gl-log", role: "list", "aria-label": "Insights" });
  const notice = make("p", { class: "gl-notice", role: "status" });
  const heard = make("p", { class: "gl-unseen", "aria-live": "polite" });
  const grades = GRADES.map((words, grade) =>
    keyed(String(grade), words, () => give(grade), { "aria-pressed": "false", "data-grade": grade }),
  );
  const group = make("div", { class: "gl-grades", role: "group", "aria-label": "Grade of the insight at hand" }, ...grades);
  const pin = keyed("p", "Pin", () => turn("pin", "pinned"), { "aria-pressed": "false" });
  const retire = keyed("x", "Retire", () => turn("retire", "retired"));
  const edit = keyed("e", "Edit", () => write());
  const undo = keyed("u", "Undo", () => tell({ type: "undo" }), { "aria-keyshortcuts": "u Control+Z" });
  const acts = make("div", { class: "gl-grades", role: "group", "aria-label": "Change the insight at hand" }, pin, retire, edit, undo);
  const named = "Keys: 0 to 3 grade, ↑ ↓ or k j move, Enter shows sources and history, p pins, x retires, e edits, u undoes.";
  const keys = make("p", { class: "gl-why" }, named);
  const foot = make("footer", { class: "gl-foot" }, group, acts, keys);
  const root = make("section", { class: "gl-chat gl-labeller gl-reviewer gl-empty", "aria-label": "Insights to review" });
  // JupyterLab puts a guard on fields inside a cell, which forbids undoing in them.
  root.addEventListener("beforeinput", (event) => event.stopPropagation(), true);
  root.append(top, list, notice, foot, heard);
  el.append(root);

  const say = (words = "") => (notice.textContent = words);
  const hear = (words) => (heard.textContent = words);
  const late = () => say("The kernel has not answered yet. If it was restarted, run this cell again; all that was done is kept.");
  const dated = (iso) => make("time", { datetime: iso }, day.format(new Date(iso)));

  /** A button that a key stands for. */
  function keyed(key, words, act, attributes = {}) {
    const made = button("", act, { "aria-keyshortcuts": key, ...attributes });
    made.append(make("kbd", { "aria-hidden": "true" }, key), make("span", {}, words));
    return made;
  }

  const current = () => (rows[at]?.gone ? null : rows[at]);
  const place = (insight) => rows.findIndex((row) => row.insight === insight);

  /** Take a row as the lab holds it. */
  function take(row) {
    const before = rows[row.place];
    if (!before) {
      rows[row.place] = row;
      row.made = make("article", { role: "listitem" });
      list.append(row.made);
    } else {
      if (before.insight !== row.insight || row.gone) before.detail = null;
      Object.assign(before, row);
      if (row.gone) Object.assign(before, { text: "", beside: [], open: false, editor: null }); // forgotten for good
    }
    draw(rows[row.place]);
    if (before?.open) ask(before);
  }

  function draw(row) {
    const { made } = row;
    made.hidden = Boolean(row.gone);
    if (row.gone) return made.replaceChildren();
    const focused = made.contains(document.activeElement) ? document.activeElement : null;
    const i = row.place;
    row.chip = make("span", { class: "gl-grade" });
    const expanded = { "aria-expanded": String(Boolean(row.open)) };
    row.button = make("button", { type: "button", class: "gl-open", dir: "auto", ...expanded }, row.draft ?? row.text);
    const marks = ["pinned", "disputed", "superseded", "retired"].filter((name) => row[name]);
    const facts = [
      ...marks.map((name) => make("b", { class: `gl-is-${name}` }, name)),
      row.symbol && make("span", { class: "gl-symbol" }, row.symbol),
      make("span", {}, row.kind),
      row.speaker && make("span", {}, row.speaker),
      make("span", {}, "since ", dated(row.since)),
      row.until && make("span", {}, "until ", dated(row.until)),
      make("span", {}, `by ${row.by}`),
      make("span", {}, `${count.format(row.sources)} source${row.sources === 1 ? "" : "s"}`),
    ];
    const numbers = row.beside.filter(([, , number]) => number);
    const texts = row.beside.filter(([, , number]) => !number);
    const beside = numbers.map(([name, value]) => make("span", {}, `${name} `, make("b", {}, value)));
    row.head = make(
      "div",
      { class: "gl-head" },
      make("div", { class: "gl-line" }, row.button, row.chip),
      make("p", { class: "gl-facts" }, ...facts.filter(Boolean)),
      beside.length ? make("p", { class: "gl-facts gl-beside" }, ...beside) : null,
      ...texts.map(([name, value]) => make("p", { class: "gl-why", dir: "auto" }, `${name}: ${value}`)),
    );
    row.head.addEventListener("click", (event) => !event.target.closest("form") && (stand(i), unfold(row)));
    if (row.editor) row.button.replaceWith(row.editor);
    made.classList.toggle("gl-is-out", Boolean(row.retired || row.superseded));
    if (row.open) row.detail ??= looking();
    made.replaceChildren(row.head, ...(row.open ? [row.detail] : []));
    mark(row);
    lead(row);
    if (focused) (focused.isConnected ? focused : row.button).focus({ preventScroll: true });
  }

  /** Show how an insight is graded; faint what the kernel has not got yet. */
  function mark(row, grade = row.grade, pending = false) {
    row.chip.textContent = grade == null ? "no grade" : `${grade} ${GRADES[grade].toLowerCase()}`;
    row.chip.dataset.grade = grade ?? "";
    row.made.classList.toggle("gl-pending", pending);
  }

  /** Say which insight is at hand: on its row, and on the buttons. */
  function lead(row) {
    const here = row === current();
    if (here) row.made.setAttribute("aria-current", "true");
    else row.made.removeAttribute("aria-current");
    row.button?.setAttribute("tabindex", here ? "0" : "-1");
    if (!here) return;
    grades.forEach((each, i) => each.setAttribute("aria-pressed", String(i === (row.given ?? row.grade))));
    pin.setAttribute("aria-pressed", String(row.pinned));
    pin.lastChild.textContent = row.pinned ? "Unpin" : "Pin";
    retire.lastChild.textContent = row.retired ? "Restore" : "Retire";
  }

  /** Bring something of the list into sight; the notebook around it stays where it is. */
  function bring(each) {
    const [box, around] = [each, list].map((one) => one.getBoundingClientRect());
    if (box.top < around.top) list.scrollTop -= around.top - box.top;
    else if (box.bottom > around.bottom) list.scrollTop += Math.min(box.bottom - around.bottom, box.top - around.top);
  }

  /** Put an insight at hand, and lead the reader to it unless the focus is elsewhere. */
  function stand(i, focus = true) {
    if (!rows[i] || rows[i].gone) return;
    const before = current();
    at = i;
    if (before && before !== rows[i]) lead(before);
    lead(rows[i]);
    bring(rows[i].made);
    const shown = rows.filter((row) => !row.gone);
    where.textContent = `Insight ${count.format(shown.indexOf(rows[i]) + 1)} of ${count.format(shown.length)}`;
    if (focus) (rows[i].editor?.firstChild ?? rows[i].button).focus({ preventScroll: true });
  }

  /** Go to the next insight, or the one before; give whether there is one. */
  function step(by, focus = true) {
    let i = at + by;
    while (rows[i]?.gone) i += by;
    stand(i, focus);
    return Boolean(rows[i]);
  }

  const looking = () => make("p", { class: "gl-origin gl-why" }, "Looking for what it rests on …");
  const ask = (row) => tell({ type: "open", insight: row.insight });

  /** Show or hide what an insight rests on. */
  function unfold(row, open = !row.open) {
    if (open === Boolean(row.open)) return;
    row.open = open;
    row.button.setAttribute("aria-expanded", String(open));
    row.detail?.remove();
    if (!open) return;
    row.detail ??= looking();
    row.made.append(row.detail);
    ask(row);
  }

  function origin({ sources, history }) {
    const said = sources.map(({ who, at, parts }) =>
      make(
        "li",
        {},
        make("p", { class: "gl-facts" }, make("b", {}, who), make("time", { datetime: at }, clock(new Date(at)))),
        make("div", { class: "gl-text", dir: "auto" }, ...parts.map(([text, found]) => make(found ? "mark" : "span", {}, text))),
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

  /** Grade the insight at hand, and go on to the next; one that is unfolded gives way to the next, unfolded. */
  function give(grade) {
    const row = current();
    if (!row) return;
    tell({ type: "grade", insight: row.insight, grade });
    row.given = grade;
    mark(row, grade, true);
    hear(`${GRADES[grade]}.`);
    const { open } = row;
    if (open && !row.editor) unfold(row, false);
    const more = step(1, !group.contains(document.activeElement));
    if (open && more) (unfold(current(), true), bring(current().made));
    const left = rows.filter((each) => !each.gone && !each.retired && each.grade == null && each.given == null).length;
    if (!left) say("Every insight has a grade.");
    else say(more ? "" : `The last insight. ${count.format(left)} above it ${left === 1 ? "has" : "have"} no grade.`);
  }

  function turn(type, name) {
    const row = current();
    if (!row) return;
    say();
    row.made.classList.add("gl-pending");
    tell({ type, insight: row.insight, on: !row[name] });
  }

  /** Edit the text of the insight at hand, in its place. */
  function write() {
    const row = current();
    if (!row || row.draft != null) return; // its last wording is on its way
    if (row.editor) return row.editor.firstChild.focus();
    if (row.retired) return say("It is retired: restore it (x), then edit it.");
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
      row.made.classList.add("gl-pending");
      tell({ type: "edit", insight: row.insight, text: given });
    };
    const fit = () => {
      box.style.height = "auto";
      box.style.height = `${box.scrollHeight + box.offsetHeight - box.clientHeight}px`;
    };
    box.addEventListener("input", fit);
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
    fit();
    box.setSelectionRange(box.value.length, box.value.length);
    if (focused) box.focus({ preventScroll: true });
  }

  function tally({ graded, of }) {
    progress.textContent = `${count.format(graded)} of ${count.format(of)} insight${of === 1 ? "" : "s"} graded`;
    done.style.width = `${of ? (100 * graded) / of : 0}%`;
    root.classList.toggle("gl-empty", rows.every((row) => row.gone));
  }

  const told = {
    insights(message) {
      if (message.view !== view) return;
      stopAsking();
      drawn = true;
      say();
      message.rows.forEach(take);
      tally(message.progress);
      if (rows.some((row) => !row.gone)) stand(message.at, false);
      else say("No insight to review yet: they come from ended sessions, or by lab.insights.add(...).");
    },
    changed(message) {
      if (!drawn) return;
      const mine = message.by === view;
      const row = rows[message.place];
      if (mine && row) {
        row.given = null;
        if (message.did === "edit") row.draft = null;
      }
      message.rows.forEach(take);
      tally(message.progress);
      if (current() == null) step(1, false) || step(-1, false);
      if (!mine || !row) return;
      if (!row.gone) mark(row);
      if (message.undone) say(), stand(message.place, !foot.contains(document.activeElement));
      const words = { pin: row.pinned ? "Pinned." : "Unpinned.", retire: row.retired ? "Retired." : "Restored.", edit: "Saved." };
      if (message.undone || message.did !== "grade") hear(message.undone ? "Undone." : words[message.did]);
    },
    opened(message) {
      if (message.view !== view) return;
      const row = rows[place(message.insight)];
      if (!row?.open) return;
      const detail = origin(message);
      row.detail.replaceWith(detail);
      row.detail = detail;
      if (row === current()) bring(row.made);
    },
    trouble(message) {
      if (message.view !== view) return;
      if (message.of !== "ready") stopAsking(); // else it is asked again
      if (message.of === "look" && notice.textContent) return; // what is said of the reader's own doing stays
      const row = rows[place(message.insight)];
      if (!row || row.gone) return say(message.words);
      if (message.of === "open") return row.detail?.replaceChildren(message.words);
      if (message.of === "undo") return say(message.words), stand(row.place, !foot.contains(document.activeElement));
      row.given = null;
      mark(row);
      if (row.draft != null) field(row, row.draft), (row.draft = null);
      const name = row.text.length > 60 ? `${row.text.slice(0, 60)}…` : row.text;
      say(`${FAILED[message.of]}, “${name}”: ${message.words}`);
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
  const keysOf = {
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    j: () => step(1),
    k: () => step(-1),
    ArrowRight: () => unfold(current(), true),
    ArrowLeft: () => unfold(current(), false),
    p: (event) => event.repeat || turn("pin", "pinned"),
    x: (event) => event.repeat || turn("retire", "retired"),
    e: () => write(),
    u: () => tell({ type: "undo" }),
  };
  GRADES.forEach((_, grade) => (keysOf[grade] = (event) => event.repeat || give(grade)));
  // Wherever one clicks, the keys that follow are for the insight at hand and not for the notebook around it.
  root.addEventListener("click", (event) => event.target.closest("button, article") || stand(at));
  root.addEventListener("keydown", (event) => {
    if (event.target.closest("textarea") || !current()) return;
    const command = event.ctrlKey || event.metaKey;
    const act = command ? event.key.toLowerCase() === "z" && !event.shiftKey && keysOf.u : keysOf[event.key];
    if (!act || event.altKey) return;
    event.preventDefault();
    act(event);
  });

  const stopAsking = () => (clearInterval(asking), clearTimeout(slow));
  const lost = () => say("The kernel was restarted. Run this cell again: all that was done is kept; copy what you are writing.");
  model.on("msg:custom", receive);
  model.on("comm_live_update", lost);
  say("Looking for what was learnt …");
  // The first call may come before JupyterLab has its subshell, and then waits behind a running cell.
  const ready = () => model.send({ type: "ready", view });
  const asking = setInterval(ready, 1000);
  const slow = setTimeout(late, PATIENCE_MS);
  ready();
  return () => {
    stopAsking();
    clearTimeout(pausing);
    document.removeEventListener("visibilitychange", look);
    model.off("msg:custom", receive);
    model.off("comm_live_update", lost);
  };
}

export default { render };
