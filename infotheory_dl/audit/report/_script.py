"""The script that shows suspects page by page, and takes down what is decided on each."""

SCRIPT = """
(() => {
  const given = JSON.parse(document.getElementById("suspects").textContent);
  const { classes, features, pictures } = given;
  const rows = given.rows.map(([place, name, label, suggested, told, wrong, claimed, verdict, beside, looks], order) =>
    ({ place, name, label, suggested, told, wrong, claimed, verdict, beside, looks, order }));
  const called = (label) => classes === null ? String(label) : classes[label];
  const short = (label) => classes === null
    ? String(Number(label.toPrecision(5))).replace("-", "\\u2212") : classes[label];
  const review = document.getElementById("review"), perPage = 24, stored = `infotheory-dl audit ${given.id}`;
  const decided = new Map();
  try {
    for (const [place, entry] of JSON.parse(localStorage.getItem(stored) ?? "[]")) decided.set(place, entry);
  } catch { /* a browser that keeps nothing still exports */ }
  const state = { sort: "order", show: "all", label: "", suggested: "", page: 0 };

  const make = (tag, properties = {}, ...children) => {
    const { aria = {}, ...plain } = properties;
    const made = Object.assign(document.createElement(tag), plain);
    for (const [name, value] of Object.entries(aria)) made.setAttribute(`aria-${name}`, value);
    made.append(...children);
    return made;
  };
  const options = (select, entries) => {
    for (const [value, words] of entries) select.append(make("option", { value, textContent: words }));
  };

  const sorts = {
    order: ["most suspect first", (a, b) => a.order - b.order],
    wrong: ["most probably wrong first", (a, b) => b.wrong - a.wrong || a.order - b.order],
    place: ["as in the data", (a, b) => a.place - b.place],
    label: [classes ? "by given class" : "by target", (a, b) => a.label - b.label || a.order - b.order],
    suggested: [classes ? "by suggested class" : "by prediction",
      (a, b) => a.suggested - b.suggested || a.order - b.order],
  };
  const shows = {
    all: ["all", () => true],
    repair: [given.kinds[0], (row) => row.claimed],
    doubt: [given.kinds[1], (row) => !row.claimed],
    open: ["undecided", (row) => !decided.has(row.place)],
    done: ["decided", (row) => decided.has(row.place)],
  };
  const shown = () => rows.filter((row) => shows[state.show][1](row) &&
    (state.label === "" || row.label === Number(state.label)) &&
    (state.suggested === "" || row.suggested === Number(state.suggested))).sort(sorts[state.sort][1]);

  const store = () => {
    try { localStorage.setItem(stored, JSON.stringify([...decided])); } catch { /* as above */ }
    count.textContent = `${decided.size} of ${rows.length} decided`;
    save.disabled = clear.disabled = !decided.size;
  };
  const decide = (row, kind, label) => {
    if (kind === null) decided.delete(row.place);
    else decided.set(row.place, { kind, label });
    store();
  };
  const picture = (number, words) => make("figure", {},
    number === null ? make("span", { className: "none", textContent: "\\u2014" })
      : make("img", { src: pictures[number], alt: words }), make("figcaption", { textContent: words }));
  const seen = (row) => {
    const words = ["this", ...row.beside];
    if (features === null) {
      if (row.looks === null) return make("p", { className: "number", textContent: words.slice(1).join(", ") });
      return make("div", { className: "looks" }, ...row.looks.map((one, i) => picture(one, words[i])));
    }
    const head = make("tr", {}, ...["", ...words].map((text) => make("th", { scope: "col", textContent: text })));
    const body = row.looks.map(([feature, ...values]) => make("tr", {},
      make("th", { scope: "row", textContent: features[feature] }),
      ...values.map((text) => make("td", { textContent: text }))));
    return make("div", { className: "scroll" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
  };

  const card = (row) => {
    const choice = classes === null
      ? make("input", { type: "number", step: "any", aria: { label: `new target of ${row.name}` } })
      : make("select", { aria: { label: `new class of ${row.name}` } });
    if (classes !== null) options(choice, classes.map((name, code) => [code, name]));
    const chosen = () => choice.value === "" ? row.suggested : Number(choice.value);
    const act = (kind, words, key) => make("button", { type: "button", title: `key ${key}`, textContent: words,
      onclick: () => change(kind) });
    const buttons = { keep: act("keep", "keep", "k"), relabel: act("relabel", "relabel", "r"),
      drop: act("drop", "drop", "d") };
    const made = make("li", { className: "card", tabIndex: 0 },
      make("p", { className: "name", textContent: given.named ? row.name : `example ${row.name}` }),
      make("p", { className: "labels", textContent: row.suggested === row.label ? short(row.label)
        : `${short(row.label)} \\u2192 ${short(row.suggested)}` }),
      make("p", { className: "number", textContent: row.told }),
      seen(row));
    if (row.verdict) {
      made.append(make("p", { className: `verdict ${row.verdict[1] ? "yes" : "no"}`, textContent: row.verdict[0] }));
    }
    made.append(make("div", { className: "acts" }, buttons.keep, buttons.relabel, choice, buttons.drop));
    const paint = () => {
      const entry = decided.get(row.place);
      for (const [kind, button] of Object.entries(buttons)) button.setAttribute("aria-pressed", entry?.kind === kind);
      made.dataset.decision = entry?.kind ?? "";
      choice.value = entry?.kind === "relabel" ? entry.label : row.suggested;
    };
    const change = (kind) => {
      // a number that was typed is taken as the field is left, before the click on the button
      const typed = classes === null && kind === "relabel";
      const again = kind !== "undo" && !typed && decided.get(row.place)?.kind === kind;
      const label = kind === "relabel" ? chosen() : row.label;
      decide(row, again || kind === "undo" ? null : kind, label);
      paint();
    };
    choice.addEventListener("change", () => {
      decide(row, "relabel", chosen());
      paint();
    });
    made.addEventListener("keydown", (event) => {
      if (event.target !== made || event.ctrlKey || event.metaKey || event.altKey) return;
      const kind = { k: "keep", r: "relabel", d: "drop", u: "undo" }[event.key];
      if (kind) change(kind);
      const step = kind && kind !== "undo" || event.key === "ArrowRight" ? made.nextElementSibling
        : event.key === "ArrowLeft" ? made.previousElementSibling : null;
      if (step) step.focus();
      if (kind || step) event.preventDefault();
    });
    paint();
    return made;
  };

  const picker = (name, words, entries) => {
    const select = make("select", {
      onchange: () => { Object.assign(state, { [name]: select.value, page: 0 }); draw(); } });
    options(select, entries);
    select.dataset.of = name;
    return make("label", {}, `${words} `, select);
  };
  const present = (key) => [["", "any"], ...[...new Set(rows.map((row) => row[key]))].sort((a, b) => a - b)
    .map((code) => [code, called(code)])];
  const first = (entries) => Object.entries(entries).map(([value, [words]]) => [value, words]);
  const turn = (words, step) => make("button", { type: "button", textContent: words,
    onclick: () => { state.page += step; draw(); list.scrollIntoView({ block: "nearest" }); } });
  const list = make("ol", { className: features === null ? "cards" : "cards wide" });
  const where = make("span", { role: "status" });
  const back = turn("\\u2190 back", -1), next = turn("next \\u2192", 1);
  const count = make("span", { role: "status" });
  const save = make("button", { type: "button", className: "main", textContent: `export ${given.file}`, onclick: () => {
    const cell = (value) => /[",\\r\\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value;
    const lines = [["example", "name", "label", "suggested_label", "decision", "new_label"],
      ...rows.filter((row) => decided.has(row.place)).map((row) => {
        const { kind, label } = decided.get(row.place);
        return [row.place, row.name, called(row.label), called(row.suggested), kind,
          kind === "relabel" ? called(label) : ""];
      })].map((entries) => entries.map(cell).join(","));
    const address = URL.createObjectURL(new Blob([lines.join("\\n") + "\\n"], { type: "text/csv" }));
    make("a", { href: address, download: given.file }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  } });
  const kind = classes === null ? "drop" : "relabel";
  const all = `${kind} all that are ${given.kinds[0]}`;
  const accept = make("button", { type: "button", textContent: all, onclick: () => {
    for (const row of rows) {
      if (row.claimed && !decided.has(row.place)) decided.set(row.place, { kind, label: row.suggested });
    }
    store();
    draw();
  } });
  const clear = make("button", { type: "button", textContent: "forget all", onclick: () => {
    if (!confirm("Forget all decisions?")) return;
    decided.clear();
    store();
    draw();
  } });
  const draw = () => {
    const found = shown(), pages = Math.max(1, Math.ceil(found.length / perPage));
    state.page = Math.min(Math.max(state.page, 0), pages - 1);
    const from = state.page * perPage, part = found.slice(from, from + perPage);
    list.replaceChildren(...part.map(card));
    where.textContent = part.length ? `${from + 1} to ${from + part.length} of ${found.length}` : "none";
    [back.disabled, next.disabled] = [state.page === 0, state.page === pages - 1];
    store();
  };
  review.replaceChildren(
    make("div", { className: "controls" }, picker("sort", "sort", first(sorts)), picker("show", "show", first(shows)),
      ...classes === null ? [] : [
        picker("label", "given", present("label")), picker("suggested", "suggested", present("suggested"))]),
    make("p", { className: "note", textContent:
      "With a card in focus k keeps its label, r relabels it, d drops it, u takes it back; arrows go on and back." }),
    list,
    make("div", { className: "controls" }, back, where, next),
    make("div", { className: "controls" }, count, save, accept, clear));
  draw();
})();
"""
