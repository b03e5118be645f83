/* A form is sent once: its buttons rest after the first click, and work again when the page is shown again
   (back) or after ten seconds (a download leaves the page as it is). The service takes a form with a key once
   in any case; this only spares people the second click. */
"use strict";
(() => {
  const REST_MS = 10000;

  // Those that stand outside of the form and name it, too.
  const buttonsOf = (form, selector) => [...form.elements].filter((element) => element.matches(selector));

  function wake(form) {
    delete form.dataset.sent;
    form.removeAttribute("aria-busy");
    for (const button of buttonsOf(form, "[data-resting]")) {
      button.disabled = false;
      delete button.dataset.resting;
    }
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.target || form.method === "dialog") return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    form.setAttribute("aria-busy", "true");
    // Not before the browser has read the form: a disabled button would not be part of it.
    setTimeout(() => {
      for (const button of buttonsOf(form, "button:not([type=button]):not(:disabled)")) {
        button.disabled = true;
        button.dataset.resting = "yes";
      }
    });
    setTimeout(() => wake(form), REST_MS);
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) wake(form);
  });
})();
