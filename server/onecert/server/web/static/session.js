/* When the session or the network ends, the page stays as it is and says so in its place.

   Loads first and gives the other scripts `onecert`:
     words            texts of this page's language (frame.html, #page-words)
     token()          the form token to send as X-CSRF-Token
     renew()          asks who is signed in now: "alive" (all tokens of the page are new), "other", "ended", "offline"
     tell(near, kind, text)   a notice before an element; one at a time there */
"use strict";
globalThis.onecert = (() => {
  const words = document.getElementById("page-words").dataset;
  const meta = document.querySelector('meta[name="csrf-token"]');
  const told = new WeakMap();
  let ended = false;

  const token = () => meta.content;

  async function renew() {
    let answer;
    try {
      answer = await fetch(words.session, { headers: { Accept: "application/json" }, redirect: "error" });
    } catch {
      return "offline";
    }
    if (answer.status === 401) return "ended";
    if (!answer.ok) return "offline";
    const now = await answer.json();
    if (now.operator !== words.operator) return "other";
    meta.content = now.csrf_token;
    for (const field of document.querySelectorAll('input[name="csrf_token"]')) field.value = now.csrf_token;
    ended = false;
    return "alive";
  }

  function place(near) {
    let box = told.get(near);
    if (!box || !box.isConnected) {
      box = document.createElement("div");
      box.setAttribute("role", "alert");
      near.before(box);
      told.set(near, box);
    }
    return box;
  }

  function tell(near, kind, text) {
    const box = place(near);
    box.className = text ? `notice ${kind}` : "";
    box.replaceChildren();
    if (!text) return;
    const sentence = document.createElement("p");
    sentence.textContent = text;
    box.append(sentence);
    if (kind === "ended") {
      box.className = "notice warning";
      const link = document.createElement("a");
      Object.assign(link, { href: words.signIn, target: "_blank", rel: "noopener", textContent: words.signInLabel });
      sentence.append(" ", link);
    }
  }

  // htmx: the token goes along; what is not an answer is told beside what it was for.
  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-CSRF-Token"] = token();
  });
  document.addEventListener("htmx:responseError", (event) => {
    const { xhr, target } = event.detail;
    if (xhr.status === 401 || (xhr.status === 403 && xhr.responseText.includes("FORM_REFUSED"))) {
      ended = true;
      waiting.add(target);
      tell(target, "ended", words.ended);
      return;
    }
    const page = new DOMParser().parseFromString(xhr.responseText, "text/html");
    const texts = [...page.querySelectorAll(".notice p")].map((line) => line.textContent.trim());
    tell(target, "danger", texts.join(" ") || words.failed);
  });
  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => tell(event.detail.target, "warning", words.offline));
  }
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.shouldSwap && told.has(event.detail.target)) tell(event.detail.target, "", "");
  });

  // Back from signing in in another window: the tokens of this page are made new, and the notices go.
  const waiting = new Set();
  window.addEventListener("focus", async () => {
    if (!ended) return;
    const now = await renew();
    for (const near of waiting) {
      if (now === "alive") tell(near, "", "");
      else if (now === "other") tell(near, "warning", words.other);
    }
    if (now === "alive") waiting.clear();
  });

  return { words, token, renew, tell };
})();
