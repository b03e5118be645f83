/* Saves what is typed:  <form data-autosave="URL"> … <p data-autosave-state></p> … </form>

   After a second without a key, and when a field is left, the form's fields (no files) are posted to URL, with
   the header X-CSRF-Token. The answer is JSON {saved_at (ISO 8601), revision, id?, url?}: hidden fields
   `revision` and `id` of the form take the new values; a new draft names its own URL. A refusal is a problem
   document, whose detail is shown; 409 stops saving. The form hears `autosave:saved` with the answer.
   Without [data-autosave-state] a line is added at the end of the form. */
"use strict";
(() => {
  const PAUSE_MS = 1000;
  const AGAIN_MS = [2000, 5000, 15000, 30000];
  const { words, token, renew } = globalThis.onecert;
  const clock = new Intl.DateTimeFormat("en-GB", { timeZone: "Asia/Shanghai", hour: "2-digit", minute: "2-digit" });

  class Saving {
    constructor(form) {
      this.form = form;
      this.typed = 0; // grows with each change
      this.saved = 0; // what the service has
      this.tries = 0;
      this.busy = this.stopped = this.ended = this.renewed = this.leaving = false;
      this.waiting = null; // the button that was pressed while a save was under way
      this.line = form.querySelector("[data-autosave-state]") ?? form.appendChild(document.createElement("p"));
      this.line.classList.add("save-state");
      this.line.setAttribute("role", "status");
      form.addEventListener("input", () => this.changed(PAUSE_MS));
      form.addEventListener("change", () => this.changed(0));
      form.addEventListener("submit", (event) => this.submitted(event));
    }

    get unsaved() {
      return this.typed > this.saved && !this.leaving;
    }

    changed(pause) {
      this.typed += 1;
      this.later(pause);
    }

    later(pause) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.save(), pause);
    }

    async save() {
      if (this.busy || this.stopped || !this.unsaved) return;
      const version = this.typed;
      this.busy = true;
      try {
        await this.send(version);
      } catch {
        this.again(words.autosaveOffline);
      }
      this.busy = false;
      if (this.waiting) {
        const button = this.waiting;
        this.waiting = null;
        this.form.requestSubmit(button === true ? undefined : button);
      } else if (this.typed > version && this.saved >= version) this.later(PAUSE_MS);
    }

    async send(version) {
      const fields = new URLSearchParams();
      for (const [name, value] of new FormData(this.form)) {
        if (typeof value === "string" && name !== "csrf_token") fields.append(name, value);
      }
      const answer = await fetch(this.form.dataset.autosave, {
        method: "POST",
        body: fields,
        headers: { Accept: "application/json", "X-CSRF-Token": token() },
        redirect: "error",
      });
      if (answer.status === 401 || answer.status === 403) return this.refused(answer);
      if (answer.status >= 500 || answer.status === 429) return this.again(words.autosaveService);
      const told = await answer.json();
      if (!answer.ok) {
        this.stopped = answer.status === 409;
        return this.say("danger", [words.autosaveRefused, told.detail, told.hint].filter(Boolean).join(" "));
      }
      this.saved = version;
      this.tries = 0;
      this.renewed = false;
      for (const name of ["revision", "id"]) {
        const field = this.form.querySelector(`input[type=hidden][name=${name}]`);
        if (field && told[name] !== undefined) field.value = told[name];
      }
      if (told.url) this.form.dataset.autosave = told.url;
      this.say("", words.autosaveSaved.replace("%s", clock.format(new Date(told.saved_at))));
      this.form.dispatchEvent(new CustomEvent("autosave:saved", { bubbles: true, detail: told }));
    }

    async refused(answer) {
      const now = await renew();
      if (now === "alive" && answer.status === 403 && !this.renewed) {
        // A new session in another window had left this page with an old token: once more, with the new one.
        this.renewed = true;
        return this.later(0);
      }
      if (now === "alive") {
        const told = await answer.json();
        return this.say("danger", [words.autosaveRefused, told.detail, told.hint].filter(Boolean).join(" "));
      }
      this.ended = true;
      this.say("warning", now === "other" ? words.other : words.ended, words.signIn);
    }

    again(text) {
      this.say("warning", text);
      this.later(AGAIN_MS[Math.min(this.tries++, AGAIN_MS.length - 1)]);
    }

    async back() {
      if (!this.unsaved) return;
      if (this.ended) {
        const now = await renew();
        if (now === "other") return this.say("warning", words.other);
        if (now !== "alive") return;
        this.ended = false;
      }
      this.later(0);
    }

    submitted(event) {
      if (event.defaultPrevented) return;
      clearTimeout(this.timer);
      if (this.busy) {
        // The revision is about to change; what was pressed is sent right after.
        event.preventDefault();
        this.waiting = event.submitter ?? true;
      } else this.leaving = true;
    }

    say(kind, text, link) {
      this.line.className = `save-state ${kind}`;
      this.line.textContent = text;
      if (!link) return;
      const way = document.createElement("a");
      Object.assign(way, { href: link, target: "_blank", rel: "noopener", textContent: words.signInLabel });
      this.line.append(" ", way);
    }
  }

  const all = [...document.querySelectorAll("form[data-autosave]")].map((form) => new Saving(form));
  window.addEventListener("online", () => all.forEach((saving) => saving.back()));
  window.addEventListener("focus", () => all.forEach((saving) => saving.ended && saving.back()));
  window.addEventListener("pageshow", () => all.forEach((saving) => (saving.leaving = false)));
  window.addEventListener("beforeunload", (event) => {
    if (all.some((saving) => saving.unsaved)) event.preventDefault();
  });
})();
