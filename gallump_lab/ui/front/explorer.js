// The explorer: the context inspector on one question, with nothing to send and nothing to put in force.

function render({ model, el }) {
  const view = Math.random().toString(36).slice(2);
  let asked = { text: "", watchlist: "" };
  const seen = inspector({ tell: (content) => model.send({ view, ...content }), typed: () => asked });
  const notice = make("p", { class: "gl-notice", role: "status" });
  const root = make("section", { class: "gl-chat gl-explorer", "aria-label": "Explorer" }, seen.root, notice);
  el.append(root);
  const say = (words = "") => (notice.textContent = words);
  const told = {
    question({ text, watchlist, budget }) {
      line.heard();
      say();
      asked = { text, watchlist };
      seen.root.hidden = false;
      seen.start(budget);
    },
    trouble: ({ words }) => say(words),
    ...seen.told,
  };
  apart(root, el);
  const line = connect(model, view, {
    receive: (message) => message.view === view && told[message.type]?.(message),
    late: () => say("The kernel has not answered yet. If it was restarted, run this cell again."),
    lost: () => say("The kernel was restarted. Run this cell again."),
  });
  return line.close;
}

export default { render };
