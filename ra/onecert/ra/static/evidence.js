/* Evidence: arrow keys go from picture to picture, Turn turns in place, sending shows how far it is.
   Without this the links open the turned picture, and the form is sent as any form. */
"use strict";
(() => {
  function begin() {
    for (const panel of document.querySelectorAll("[data-evidence]")) {
      const items = [...panel.querySelectorAll("details.evidence-item")];
      panel.addEventListener("keydown", (event) => {
        if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input, select, textarea")) return;
        if (event.target.matches(".evidence-frame") && event.key.startsWith("Arrow")) return; // scrolls
        const step = { ArrowRight: 1, ArrowDown: 1, n: 1, ArrowLeft: -1, ArrowUp: -1, p: -1 }[event.key];
        if (!step || !items.length) return;
        event.preventDefault();
        event.stopPropagation();
        const here = items.findIndex((item) => item.open);
        const next = items[(here + step + items.length) % items.length];
        for (const item of items) item.open = item === next;
        next.querySelector("summary").focus();
      });
      panel.addEventListener("click", (event) => {
        const link = event.target.closest("[data-turn]");
        if (!link) return;
        event.preventDefault();
        const picture = link.closest("figure").querySelector("img");
        const address = new URL(picture.src, location.href);
        address.searchParams.set("turn", (Number(address.searchParams.get("turn") || 0) + 90) % 360);
        picture.removeAttribute("width");
        picture.removeAttribute("height");
        picture.src = address.href;
      });
    }

    for (const form of document.querySelectorAll("form[data-upload]")) {
      const files = form.querySelector("input[type=file]");
      const error = form.querySelector("[data-error]");
      const place = form.querySelector(".evidence-progress");
      const tooLarge = () => [...files.files].find((file) => file.size > Number(form.dataset.max));
      const say = (text) => {
        error.textContent = text;
        error.hidden = !text;
      };
      const look = () => {
        const found = tooLarge();
        say(found ? form.dataset.tooLarge.replace("{name}", found.name) : "");
        return !found;
      };
      files.addEventListener("change", look);
      for (const kind of ["dragover", "dragleave", "drop"]) {
        form.addEventListener(kind, (event) => {
          event.preventDefault();
          form.classList.toggle("is-over", kind === "dragover");
          if (kind === "drop" && event.dataTransfer.files.length) {
            files.files = event.dataTransfer.files;
            look();
          }
        });
      }
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        if (!look()) return;
        const button = form.querySelector("button.primary");
        const sending = new XMLHttpRequest();
        const bar = place.querySelector("progress");
        place.hidden = false;
        button.disabled = true;
        sending.upload.addEventListener("progress", (sent) => {
          if (!sent.lengthComputable) return;
          bar.value = Math.round((100 * sent.loaded) / sent.total);
          place.querySelector("span").textContent = `${bar.value} %`;
        });
        sending.addEventListener("load", () => {
          // The page that came, kept or refused: its middle takes the place of this one's.
          const answer = new DOMParser().parseFromString(sending.responseText, "text/html");
          const main = answer.querySelector("main");
          if (!main) return location.reload();
          document.querySelector("main").replaceWith(main);
          begin();
          (main.querySelector(".notice") || main).scrollIntoView();
        });
        // The browser's own way shows what went wrong.
        sending.addEventListener("error", () => HTMLFormElement.prototype.submit.call(form));
        sending.open("POST", form.action || location.href);
        sending.send(new FormData(form));
      });
    }
  }
  begin();
})();
