// What helps a reader to ask: examples to begin with, and the questions before this one.

/** Give three questions to begin with, of the symbols that are watched; `known` says whether there is earlier talk. */
function examples(watched, known) {
  const [first = "the market", second] = watched.split(/[\s,]+/).filter(Boolean);
  if (known) {
    return [`What did I say about ${first} before?`, `Which stop did I set on ${first}?`, `Given what I decided, what now with ${first}?`];
  }
  const other = second ? `${first} or ${second}: which is the better idea now?` : `What would make you sell ${first}?`;
  return [`Should I buy ${first} now, and where would a stop stand?`, other, `What speaks against ${first}?`];
}

/** What an empty chat shows: a word, and examples, which a click puts into the box. */
function hinting(put) {
  const root = make("div", { class: "gl-hint", role: "group", "aria-label": "Examples" });
  let known = false;
  const show = (watched, talked = known) => {
    known = talked;
    const ways = examples(watched, known).map((each) => button(each, () => put(each), { dir: "auto" }));
    root.replaceChildren(make("p", {}, "Ask about a trade idea, for example:"), ...ways);
  };
  return { root, show };
}

/** Bring earlier questions back by Up and Down, from an empty box; what was typed, or changed, is left alone. */
function recalling(box) {
  let past = [];
  let at = 0;
  return {
    learn: (questions) => ((past = questions), (at = past.length)),
    key(event) {
      const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (!step || event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return;
      if (!box.value) at = past.length;
      const own = box.value !== (past[at] ?? "") || box.selectionStart !== box.value.length;
      if (own) return;
      event.preventDefault();
      at = Math.min(Math.max(at + step, 0), past.length);
      box.value = past[at] ?? "";
      box.dispatchEvent(new Event("input"));
    },
  };
}
