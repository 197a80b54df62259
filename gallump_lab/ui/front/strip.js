// The watchlist's prices, under the chat's header, and how old a price is, there and on a card.

const MINUTE_MS = 60_000;
const LEVELS = { fresh: "Fresh", old: "Old: there may be a newer one", stale: "Stale: not a current price" };
const change = new Intl.NumberFormat("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1, signDisplay: "exceptZero" });

/** Say how old a price is; the dot's colour and shape tell its level, and so do words. */
function age({ words, level }) {
  const dot = level && make("i", { class: `gl-dot gl-${level}`, "aria-hidden": "true" });
  const said = level && make("span", { class: "gl-unseen" }, `. ${LEVELS[level]}`);
  return make("span", { class: "gl-age", title: level && LEVELS[level] }, dot, words, said);
}

/** Show the prices that the kernel tells; their age is told anew every minute, the market asked when the reader wants it. */
function strip(tell) {
  const list = make("ul", { tabindex: "0", "aria-label": "Last prices" });
  const words = make("p", { class: "gl-aside" });
  const ask = button("↻", () => tell({ type: "prices", ask: true }), { title: "Ask the market again", "aria-label": "Ask the market again" });
  const root = make("div", { class: "gl-strip", role: "group", "aria-label": "Prices", hidden: "" }, list, words, ask);
  const row = ({ symbol, price: last, change: percent, ...told }) => {
    const way = ["gl-fell", null, "gl-rose"][1 + Math.sign(Math.round(10 * percent))];
    const moved = percent == null ? null : make("span", { class: way }, `${change.format(percent)}%`);
    const figure = last == null ? null : make("span", {}, price.format(last));
    return make("li", {}, make("b", {}, symbol), figure, moved, age(told));
  };
  const grow = () => document.hidden || !root.checkVisibility() || tell({ type: "prices", ask: false });
  const aging = setInterval(grow, MINUTE_MS);
  document.addEventListener("visibilitychange", grow);
  return {
    root,
    show(told) {
      list.replaceChildren(...told.rows.map(row));
      words.textContent = told.words;
      list.hidden = ask.hidden = !told.rows.length;
      root.hidden = !told.rows.length && !told.words;
    },
    close() {
      root.hidden = true;
      clearInterval(aging);
      document.removeEventListener("visibilitychange", grow);
    },
  };
}
