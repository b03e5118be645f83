/* Files in the form of an application are sent as soon as they are chosen or dropped on their line: the draft
   is saved first (autosave.js), then they go to its evidence. What cannot be sent now stays in its field and
   goes with the form, as without this. */
"use strict";
(() => {
  const NOWHERE = "00000000-0000-0000-0000-000000000000";
  const form = document.querySelector("form[data-autosave]:has([data-scans])");
  const { token } = globalThis.onecert;
  let busy = false;

  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  // A file that misses its line must not replace the page by a picture.
  for (const kind of ["dragover", "drop"]) {
    document.addEventListener(kind, (event) => hasFiles(event) && event.preventDefault());
  }
  if (!form) return;

  const section = () => form.querySelector("[data-scans]");
  const chosen = () => [...section().querySelectorAll("input[type=file]")].filter((input) => input.files.length);
  function say(text, kind = "") {
    const line = section().querySelector("[data-scans-state]");
    line.className = `save-state ${kind}`;
    line.textContent = text;
  }

  function isSmall(input) {
    const large = [...input.files].find((file) => file.size > Number(section().dataset.max));
    if (large) {
      input.value = "";
      say(section().dataset.tooLarge.replace("{name}", large.name), "danger");
    }
    return !large;
  }

  function put(text, sent) {
    const page = new DOMParser().parseFromString(text, "text/html");
    const fresh = page.querySelector("[data-scans]");
    if (!fresh) throw new Error("no part of the form");
    const here = document.activeElement?.id;
    const isIn = section().contains(document.activeElement);
    for (const input of chosen()) if (input !== sent) fresh.querySelector(`#${input.id}`)?.replaceWith(input);
    const open = section().querySelector("details")?.open;
    section().replaceWith(fresh);
    if (open) fresh.querySelector("details").open = true;
    if (isIn && here) document.getElementById(here)?.focus();
  }

  async function send() {
    const id = form.querySelector("input[type=hidden][name=id]").value;
    if (busy || !id) return;
    busy = true;
    try {
      for (let input = chosen()[0]; input; input = chosen()[0]) {
        const body = new FormData();
        body.set("material", input.name.replace("scan-", ""));
        for (const file of input.files) body.append("files", file);
        say(section().dataset.sending);
        const answer = await fetch(section().dataset.url.replace(NOWHERE, id), {
          method: "POST",
          body,
          headers: { "X-CSRF-Token": token(), "X-Part": "scans" },
          redirect: "error",
        });
        if (!answer.ok && answer.status !== 422) throw new Error(answer.status);
        put(await answer.text(), input);
      }
    } catch {
      say(section().dataset.later, "warning");
    }
    busy = false;
  }

  form.addEventListener("change", (event) => {
    if (event.target.matches("[data-scans] input[type=file]") && isSmall(event.target)) send();
  });
  form.addEventListener("autosave:saved", () => chosen().length && send());
  form.addEventListener("dragover", (event) => {
    for (const line of form.querySelectorAll(".scan-line")) line.classList.toggle("is-over", line.contains(event.target));
  });
  form.addEventListener("dragleave", (event) => event.target.closest(".scan-line")?.classList.remove("is-over"));
  form.addEventListener("drop", (event) => {
    const line = event.target.closest(".scan-line");
    if (!line || !event.dataTransfer.files.length) return;
    line.classList.remove("is-over");
    const input = line.querySelector("input");
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
})();
