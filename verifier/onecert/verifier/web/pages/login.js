// Sign-in with a USB key. The key's program offers one function:
//   window.onecertSign = async (data, {challenge, client}) => ({certificate, signature, algorithm})
// data is a Uint8Array to be signed as it is; certificate is PEM or base64 DER, signature is base64;
// algorithm may be left out. For mutual login, challenge is what the server sent, with its own signature in
// challenge.server, and client the random octets that it covers: the program checks them before it signs.
"use strict";

const form = document.getElementById("key");
const status = form.querySelector("[role=status]");

async function post(url, body) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", "Accept": "application/json" },
    body: JSON.stringify(body),
  });
  const said = await answer.json();
  if (!answer.ok) {
    throw new Error([said.title, said.detail].filter(Boolean).join(" "));
  }
  return said;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (typeof window.onecertSign !== "function") {
    status.textContent = form.dataset.noPlugIn;
    return;
  }
  status.textContent = form.dataset.working;
  try {
    const client = crypto.getRandomValues(new Uint8Array(32));
    const challenge = await post(form.dataset.challenge, { client: btoa(String.fromCharCode(...client)) });
    const data = Uint8Array.from(atob(challenge.data), (character) => character.charCodeAt(0));
    const signed = await window.onecertSign(data, { challenge, client });
    const done = await post(form.dataset.answer, { ...signed, challenge: challenge.id, next: form.dataset.next });
    window.location.assign(done.next);
  } catch (error) {
    status.textContent = error.message;
  }
});
