// Small things that the other parts are made of. The files of this folder are joined into one module, in the order that
// chat.py gives. HTML comes from the kernel alone, sanitised there, and is set in one place (`html`); everything else is
// text.

// Those of study/colours.py, which readers with any colour vision tell apart.
const COLOURS = {
  HOT: "#ae3e08",
  WARM: "#bf8b00",
  COLD: "#0067a3",
  Market: "#2fa488",
  Question: "#d566de",
  Instructions: "#686d70",
};

/** Make an element; strings among the children become text. */
function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value != null) made.setAttribute(name, value);
  made.append(...children.filter((child) => child != null));
  return made;
}

/** What was found in a text, marked, and what stands around it. */
const parted = (parts) => parts.map(([text, found]) => make(found ? "mark" : "span", {}, text));

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
    const gone = button("Forget", () => (rest(), first.focus(), act()), { class: "gl-gone" });
    place.replaceChildren(`Forget ${what} for good? `, gone, keep);
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

/** Put a text on the clipboard; give whether it went well. */
async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Over plain HTTP a browser has no clipboard but the selection's.
    const field = make("textarea", { class: "gl-unseen", "aria-hidden": "true" });
    field.value = text;
    button.after(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    button.focus();
    return done;
  }
}

/** A button that copies what `text` gives. */
function copying(text, what) {
  const made = button("", act, { class: "gl-copy" });
  const say = (words, name) => ((made.textContent = words), (made.ariaLabel = name));
  const rest = () => say("Copy", `Copy ${what}`);
  async function act() {
    const words = (await copy(text(), made)) ? "Copied" : "Not copied";
    say(words, words);
    setTimeout(rest, 1500);
  }
  rest();
  return made;
}

/** Hand a Markdown file to the reader. */
function download(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/markdown" }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 5000);
}

const PATIENCE_MS = 5000;

/**
 * Follow what the kernel tells, and say that a view is ready until it is heard: the first call may come before JupyterLab
 * has its subshell, and then waits behind a running cell. `late` hears that no answer came, `lost` that the kernel went.
 */
function connect(model, view, { receive, late, lost }) {
  model.on("msg:custom", receive);
  model.on("comm_live_update", lost);
  const ready = () => model.send({ type: "ready", view });
  const asking = setInterval(ready, 1000);
  const slow = setTimeout(late, PATIENCE_MS);
  ready();
  const heard = () => (clearInterval(asking), clearTimeout(slow));
  const close = () => (heard(), model.off("msg:custom", receive), model.off("comm_live_update", lost));
  return { heard, close };
}

const count = new Intl.NumberFormat("en-US");
const price = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });
const percent = new Intl.NumberFormat("en-US", { style: "percent" });
const share = new Intl.NumberFormat("en-US", { style: "percent", maximumFractionDigits: 1 });

/** Say a cost so that small ones do not become zero. */
function cost(usd) {
  return usd && usd < 0.1 ? `$${usd.toPrecision(2)}` : price.format(usd);
}

const hour = new Intl.DateTimeFormat([], { hour: "numeric", minute: "2-digit" });
const day = new Intl.DateTimeFormat([], { day: "numeric", month: "short", year: "numeric" });

function clock(moment) {
  const today = moment.toDateString() === new Date().toDateString();
  return today ? hour.format(moment) : `${day.format(moment)}, ${hour.format(moment)}`;
}

/** Make a field as high as its text. */
function fit(box) {
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + box.offsetHeight - box.clientHeight}px`;
}

/**
 * Keep what is typed here from JupyterLab: from its shortcuts (x on a button would cut the cell; saving stays
 * JupyterLab's), and from the guard that it puts on a field inside a cell, which forbids line breaks and undoing.
 */
function apart(root, el) {
  root.addEventListener("beforeinput", (event) => event.stopPropagation(), true);
  root.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.key.toLowerCase() !== "s") return;
    event.preventDefault();
    const { key, code, keyCode, ctrlKey, metaKey, shiftKey } = event;
    el.dispatchEvent(new KeyboardEvent("keydown", { key, code, keyCode, ctrlKey, metaKey, shiftKey, bubbles: true, cancelable: true }));
  });
}
