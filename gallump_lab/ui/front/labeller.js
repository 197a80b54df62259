// The labelling widget's front end. The kernel holds questions and labels; a view asks for a question and shows which of
// its messages is at hand. A grade shows at once, faint until the kernel has it in the lab.

const PATIENCE_MS = 5000;
const GRADES = ["Of no use", "On the subject", "Helps", "Evidence"];

function render({ model, el }) {
  const view = Math.random().toString(36).slice(2);
  let question = null;
  let at = 0; // which of its messages is at hand
  let waiting = true; // for a question
  let after = ""; // what is to be said once it is drawn
  const tell = (content) => model.send({ view, ...content });

  const progress = make("span", {});
  const done = make("i", {});
  const bar = make("span", { class: "gl-bar", "aria-hidden": "true" }, done);
  const where = make("span", {});
  const previous = button("Previous", () => turn(-1), { "aria-keyshortcuts": "p", title: "Previous question (p)" });
  const next = button("Next question", () => turn(1), { "aria-keyshortcuts": "n", title: "Next question (n)" });
  const top = make("header", { class: "gl-top" }, make("p", { class: "gl-progress" }, progress, bar), where, previous, next);
  const asked = make("div", { class: "gl-asked", role: "group", "aria-label": "Question" });
  const list = make("div", { class: "gl-log", role: "list", "aria-label": "Messages to grade" });
  const notice = make("p", { class: "gl-notice", role: "status" });
  const heard = make("p", { class: "gl-unseen", "aria-live": "polite" });
  const grades = GRADES.map((words, grade) =>
    button(words, () => give(grade), { "aria-pressed": "false", "aria-keyshortcuts": String(grade), "data-grade": grade }),
  );
  grades.forEach((each, grade) => each.prepend(make("kbd", { "aria-hidden": "true" }, String(grade))));
  const undo = button("Undo", () => tell({ type: "undo" }), { "aria-keyshortcuts": "u Control+Z", title: "Undo (u)" });
  undo.prepend(make("kbd", { "aria-hidden": "true" }, "u"));
  const group = make("div", { class: "gl-grades", role: "group", "aria-label": "Grade of the message at hand" }, ...grades);
  const keys = make("p", { class: "gl-why" }, "Keys: 0 to 3 grade, ↑ ↓ or k j move, u undoes, n and p change the question.");
  const foot = make("footer", { class: "gl-foot" }, group, undo, keys);
  const root = make("section", { class: "gl-chat gl-labeller", "aria-label": "Labels" });
  root.append(top, asked, list, notice, foot, heard);
  el.append(root);

  const say = (words = "") => (notice.textContent = words);
  const late = () => say("The kernel has not answered yet. If it was restarted, run this cell again; the labels are kept.");

  /** Show how a message is graded. */
  function mark(row, pending = false) {
    const words = row.grade == null ? "no grade" : `${row.grade} ${GRADES[row.grade].toLowerCase()}`;
    row.chip.textContent = row.by_whom ? `${words}, by ${row.by_whom}` : words;
    row.chip.dataset.grade = row.grade ?? "";
    row.made.classList.toggle("gl-pending", pending);
    if (row === question.candidates[at]) press();
  }

  function press() {
    const grade = question.candidates[at]?.grade;
    grades.forEach((each, i) => each.setAttribute("aria-pressed", String(i === grade)));
  }

  function candidate(row, i) {
    const parts = row.parts.map(([text, found]) => make(found ? "mark" : "span", {}, text));
    row.chip = make("span", { class: "gl-grade" });
    const head = make(
      "header",
      {},
      make("b", {}, row.who),
      row.symbol ? make("span", { class: "gl-symbol" }, row.symbol) : null,
      row.chip,
      make("time", { datetime: row.at }, clock(new Date(row.at))),
    );
    row.made = make("article", { role: "listitem", tabindex: "-1" }, head, make("div", { class: "gl-text", dir: "auto" }, ...parts));
    row.made.addEventListener("click", () => i !== at && stand(i));
    return row.made;
  }

  /** Bring something of the list into sight; the notebook around it stays where it is. */
  function bring(each) {
    const [box, around] = [each, list].map((one) => one.getBoundingClientRect());
    if (box.top < around.top) list.scrollTop -= around.top - box.top;
    else if (box.bottom > around.bottom) list.scrollTop += Math.min(box.bottom - around.bottom, box.top - around.top);
  }

  /** Put a message at hand, and lead the reader to it unless the focus is elsewhere. */
  function stand(i, focus = true) {
    const rows = question.candidates;
    if (!rows.length) return press();
    rows[at]?.made.removeAttribute("aria-current");
    rows[at]?.made.setAttribute("tabindex", "-1");
    at = Math.min(Math.max(i, 0), rows.length - 1);
    const { made } = rows[at];
    made.setAttribute("aria-current", "true");
    made.setAttribute("tabindex", "0");
    press();
    bring(made);
    if (made.offsetHeight > list.clientHeight) bring(made.querySelector("mark") ?? made.firstChild);
    if (focus) made.focus({ preventScroll: true });
  }

  /** Grade the message at hand, and go on to the next. */
  function give(grade) {
    const row = question?.candidates[at];
    if (waiting || !row) return;
    Object.assign(row, { grade, by_whom: null });
    tell({ type: "grade", place: question.place, message: row.message, grade });
    mark(row, true);
    const last = at === question.candidates.length - 1;
    heard.textContent = `${GRADES[grade]}.`;
    stand(at + 1, !group.contains(document.activeElement));
    const left = question.candidates.filter((each) => each.grade == null).length;
    if (!left) say("Every message of this question has a grade: n for the next question.");
    else say(last ? `The last message. ${count.format(left)} above it ${left === 1 ? "has" : "have"} no grade.` : "");
  }

  function turn(step) {
    const place = question ? question.place + step : 0;
    if (waiting || !question) return;
    if (place < 0 || place >= question.progress.of) return say(step > 0 ? "That was the last question." : "That was the first question.");
    ask(place);
  }

  function rest() {
    waiting = false;
    list.removeAttribute("aria-busy");
  }

  function ask(place, message = null) {
    waiting = true;
    list.setAttribute("aria-busy", "true");
    tell({ type: "question", place, at: message });
  }

  function tally({ questions, of, labels }) {
    const many = (n, what) => `${count.format(n)} ${what}${n === 1 ? "" : "s"}`;
    progress.textContent = `${count.format(questions)} of ${many(of, "question")}, ${many(labels, "label")}`;
    done.style.width = `${of ? (100 * questions) / of : 0}%`;
    question.progress = { questions, of, labels };
  }

  const told = {
    question(message) {
      if (message.view !== view) return;
      stopAsking();
      rest();
      root.classList.toggle("gl-empty", !message.question);
      if (!message.question) return say("No question to label yet: ask one in the chat, or add one by lab.add_question(...).");
      const within = list.contains(document.activeElement);
      question = message.question;
      const { place, text, kind, symbol, answer, candidates } = question;
      tally(question.progress);
      where.textContent = `Question ${count.format(place + 1)} of ${count.format(question.progress.of)}`;
      const about = [`asked ${clock(new Date(question.at))}`, kind].map((words) => make("span", {}, words));
      if (symbol) about.unshift(make("span", { class: "gl-symbol" }, symbol));
      asked.replaceChildren(
        make("p", { class: "gl-text gl-said-text", dir: "auto" }, text),
        make("p", { class: "gl-facts" }, ...about),
        ...(answer ? [make("p", { class: "gl-text gl-answer", dir: "auto" }, make("b", {}, "Answer: "), answer)] : []),
      );
      at = 0;
      list.replaceChildren(...candidates.map(candidate));
      candidates.forEach((row) => mark(row));
      list.scrollTop = 0;
      say(after || (candidates.length ? "" : "Nothing had been said by then that could answer it."));
      after = "";
      const first = candidates.findIndex((row) => (message.at == null ? row.grade == null : row.message === message.at));
      stand(first, within);
      heard.textContent = `Question ${place + 1}: ${text}`;
    },
    graded(message) {
      if (!question) return;
      tally(message.progress);
      const mine = message.by === view;
      if (message.place !== question.place) return mine && message.undone && ask(message.place, message.message);
      const i = question.candidates.findIndex((row) => row.message === message.message);
      const row = question.candidates[i];
      if (!row) return;
      Object.assign(row, { grade: message.grade, by_whom: message.by_whom });
      mark(row);
      if (!mine || !message.undone) return;
      say();
      heard.textContent = "Undone.";
      stand(i, !foot.contains(document.activeElement));
    },
    trouble(message) {
      if (message.view !== view) return;
      stopAsking();
      say(message.words);
      if (message.of !== "grade") return rest();
      after = message.words;
      if (!waiting) ask(question.place, question.candidates[at].message); // what the lab holds
    },
  };

  const receive = (message) => told[message.type]?.(message);

  apart(root, el);
  const keysOf = {
    ArrowDown: () => question && stand(at + 1),
    ArrowUp: () => question && stand(at - 1),
    j: () => question && stand(at + 1),
    k: () => question && stand(at - 1),
    n: () => turn(1),
    p: () => turn(-1),
    u: () => tell({ type: "undo" }),
  };
  GRADES.forEach((_, grade) => (keysOf[grade] = (event) => event.repeat || give(grade)));
  // Wherever one clicks, the keys that follow are for the message at hand and not for the notebook around it.
  root.addEventListener("click", (event) => question && !event.target.closest("button, article") && stand(at));
  root.addEventListener("keydown", (event) => {
    const command = event.ctrlKey || event.metaKey;
    const act = command ? event.key.toLowerCase() === "z" && !event.shiftKey && keysOf.u : keysOf[event.key];
    if (!act || event.altKey) return;
    event.preventDefault();
    act(event);
  });

  function stopAsking() {
    clearInterval(asking);
    clearTimeout(slow);
  }

  const lost = () => say("The kernel was restarted. Run this cell again: the labels are kept.");
  model.on("msg:custom", receive);
  model.on("comm_live_update", lost);
  say("Looking for what may answer the question …");
  // The first call may come before JupyterLab has its subshell, and then waits behind a running cell.
  const ready = () => model.send({ type: "ready", view });
  const asking = setInterval(ready, 1000);
  const slow = setTimeout(late, PATIENCE_MS);
  ready();
  return () => {
    stopAsking();
    model.off("msg:custom", receive);
    model.off("comm_live_update", lost);
  };
}

export default { render };
