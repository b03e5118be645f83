/* In a list marked data-rows: j and k go down and up, Enter opens. Without a script the links do. */
"use strict";
(() => {
  const SETTING = "onecert-keys"; // as in keyboard.js: "off" switches single keys off
  const rows = [...document.querySelectorAll("[data-rows] tbody tr")].filter((row) => row.querySelector("a[href]"));
  if (!rows.length) return;
  let here = -1;

  function choose(next) {
    rows[here]?.classList.remove("is-chosen");
    here = Math.max(0, Math.min(rows.length - 1, next));
    rows[here].classList.add("is-chosen");
    // The link has the focus, so Enter opens it and a screen reader says it.
    rows[here].querySelector("a[href]").focus();
    rows[here].scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (localStorage.getItem(SETTING) === "off" || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input, select, textarea, [contenteditable]")) return;
    if (event.key === "j" || event.key === "k") {
      event.preventDefault();
      choose(event.key === "j" ? here + 1 : here - 1);
    }
  });
})();
