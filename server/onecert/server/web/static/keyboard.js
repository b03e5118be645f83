/* Keys for people who work here all day; the help (?) lists them, and there they can be switched off.

     /            the search box            ?   the help
     g, then k    the page whose link in the navigation has data-go="k"
     k            what on this page has data-key="k": a button or link is pressed, a field is focused

   Never while something is typed, never together with Ctrl, Alt or Meta. */
"use strict";
(() => {
  const SETTING = "onecert-keys"; // "off": WCAG 2.1.4 lets people switch single keys off
  const SECOND_KEY_MS = 1500;
  const dialog = document.getElementById("keys");
  if (!dialog) return;
  let going = 0;

  const isOff = () => localStorage.getItem(SETTING) === "off";
  const isTyping = (target) => target.closest("input:not([type=checkbox],[type=radio]), select, textarea, [contenteditable]");
  const named = (element) => (element.dataset.keyName || element.getAttribute("aria-label") || element.textContent).trim();

  function list() {
    const rows = dialog.querySelector("[data-keys]");
    rows.replaceChildren();
    const add = (keys, text) => {
      const row = document.createElement("div");
      const what = document.createElement("dt");
      const how = document.createElement("dd");
      what.textContent = text;
      keys.forEach((key) => {
        const cap = document.createElement("kbd");
        cap.textContent = key;
        how.append(cap, " ");
      });
      row.append(what, how);
      rows.append(row);
    };
    for (const link of document.querySelectorAll("[data-go]")) add(["g", link.dataset.go], named(link));
    if (search()) add(["/"], dialog.dataset.search);
    for (const element of document.querySelectorAll("[data-key]")) add([element.dataset.key], named(element));
    add(["?"], dialog.dataset.help);
    add(["Esc"], dialog.dataset.close);
  }

  const search = () => document.querySelector("[data-page-search], [role=search] input[type=search]");

  function press(element) {
    if (element.matches("input, select, textarea")) element.focus();
    else element.click();
  }

  function show() {
    list();
    dialog.querySelector("[data-keys-on]").checked = !isOff();
    dialog.showModal();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || isTyping(event.target)) return;
    if (dialog.open || event.repeat || isOff()) return;
    const key = event.key;
    if (key.length !== 1 || key === '"' || key === "\\") return;
    const was = going;
    going = 0;
    if (was && Date.now() - was < SECOND_KEY_MS) {
      const link = document.querySelector(`[data-go="${key}"]`);
      if (link) {
        event.preventDefault();
        link.click();
      }
      return;
    }
    const found = key === "/" ? search() : document.querySelector(`[data-key="${key}"]`);
    if (key === "g") going = Date.now();
    else if (key === "?") show();
    else if (found) press(found);
    else return;
    event.preventDefault();
    if (key === "/") found.select();
  });

  dialog.querySelector("[data-keys-on]").addEventListener("change", (event) => {
    localStorage.setItem(SETTING, event.target.checked ? "on" : "off");
  });
  for (const button of document.querySelectorAll("[data-show-keys]")) {
    button.hidden = false;
    button.addEventListener("click", show);
  }
})();
