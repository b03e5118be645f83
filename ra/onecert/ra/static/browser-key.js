// Makes a key pair in this browser, offers it as an encrypted file, and signs the request that the server
// writes. The private key is exported only wrapped (PKCS#8 in PBES2, RFC 8018); nothing is kept in the
// browser's storage: who closes the tab before saving makes another key. See docs/decisions/0030.
"use strict";

(function () {
  // AlgorithmIdentifier of PBES2 with PBKDF2-HMAC-SHA-256 and AES-256-CBC; 16 octets of salt and of iv go between.
  const ITERATIONS = 600000; // 0x0927c0, in PARAMETERS
  const BEFORE_SALT = "306006092a864886f70d01050d3053303206092a864886f70d01050c30250410";
  const PARAMETERS = "02030927c0300c06082a864886f70d02090500301d060960864801650304012a0410";
  const MIN_PASSWORD = 12;

  function fromHex(text) {
    return Uint8Array.from(text.match(/../g), (pair) => parseInt(pair, 16));
  }
  function join(...parts) {
    const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
  function tlv(tag, content) {
    const n = content.length;
    const head = n < 128 ? [tag, n] : n < 256 ? [tag, 0x81, n] : [tag, 0x82, n >> 8, n & 255];
    return join(Uint8Array.from(head), content);
  }
  function toBase64(octets) {
    return btoa(Array.from(octets, (octet) => String.fromCharCode(octet)).join(""));
  }
  function fromBase64(text) {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  }
  function toPem(octets, label) {
    const lines = toBase64(octets).match(/.{1,64}/g).join("\n");
    return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
  }
  function timesInside(whole, part) {
    let count = 0;
    for (let at = 0; at + part.length <= whole.length; at += 1) {
      if (part.every((octet, offset) => whole[at + offset] === octet)) count += 1;
    }
    return count;
  }

  const KINDS = {
    "P-256": {
      make: { name: "ECDSA", namedCurve: "P-256" },
      sign: { name: "ECDSA", hash: "SHA-256" },
    },
    "RSA-2048": {
      make: { name: "RSASSA-PKCS1-v1_5", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" },
      sign: { name: "RSASSA-PKCS1-v1_5" },
    },
  };

  async function makePair(kind) {
    const pair = await crypto.subtle.generateKey(KINDS[kind].make, true, ["sign", "verify"]);
    const spki = new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey));
    return { kind, pair, spki };
  }

  async function encryptedPem(privateKey, password) {
    const salt = crypto.getRandomValues(new Uint8Array(16));
    const iv = crypto.getRandomValues(new Uint8Array(16));
    const typed = new TextEncoder().encode(password);
    const base = await crypto.subtle.importKey("raw", typed, "PBKDF2", false, ["deriveKey"]);
    typed.fill(0);
    const wrapping = await crypto.subtle.deriveKey(
      { name: "PBKDF2", hash: "SHA-256", salt, iterations: ITERATIONS },
      base, { name: "AES-CBC", length: 256 }, false, ["wrapKey"]);
    const wrapped = await crypto.subtle.wrapKey("pkcs8", privateKey, wrapping, { name: "AES-CBC", iv });
    const algorithm = join(fromHex(BEFORE_SALT), salt, fromHex(PARAMETERS), iv);
    return toPem(tlv(0x30, join(algorithm, tlv(0x04, new Uint8Array(wrapped)))), "ENCRYPTED PRIVATE KEY");
  }

  function start(form) {
    const text = form.dataset;
    const part = (id) => document.getElementById(id);
    const status = part("key-status");
    let made = null;
    let address = null;

    function say(words, kind) {
      status.textContent = words;
      status.className = kind ? `notice ${kind}` : "";
      if (kind) status.focus();
    }
    function leaving(event) {
      event.preventDefault();
    }
    async function post(path, body) {
      const answer = await fetch(path, {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": form.elements.csrf_token.value },
        body: JSON.stringify({ number: text.number, code: text.code, ...body }),
      });
      const told = await answer.json().catch(() => ({}));
      if (!answer.ok) throw new Error([told.detail, told.hint].filter(Boolean).join(" ") || text.textFailed);
      return told;
    }

    if (!window.crypto || !crypto.subtle) {
      say(text.textNoCrypto, "danger");
      part("key-make").disabled = true;
      return;
    }

    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const password = form.elements.password.value;
      if ([...password].length < MIN_PASSWORD) {
        say(text.textShort, "warning");
        form.elements.password.focus();
        return;
      }
      if (password !== form.elements.password2.value) {
        say(text.textDiffer, "warning");
        form.elements.password2.focus();
        return;
      }
      part("key-make").disabled = true;
      say(text.textWorking, "");
      try {
        made = await makePair(form.elements.algorithm.value);
        const pem = await encryptedPem(made.pair.privateKey, password);
        if (address) URL.revokeObjectURL(address);
        address = URL.createObjectURL(new Blob([pem], { type: "application/x-pem-file" }));
        part("key-file").href = address;
        form.elements.password.value = "";
        form.elements.password2.value = "";
        part("key-saved").checked = false;
        part("key-request").disabled = true;
        part("key-save").hidden = false;
        part("key-send").hidden = false;
        window.addEventListener("beforeunload", leaving);
        say(text.textMade, "info");
        part("key-file").focus();
      } catch (error) {
        say(text.textFailed, "danger");
      }
      part("key-make").disabled = false;
    });

    part("key-saved").addEventListener("change", (event) => {
      part("key-request").disabled = !event.target.checked;
    });

    part("key-request").addEventListener("click", async () => {
      part("key-request").disabled = true;
      try {
        const spki = toBase64(made.spki);
        const draft = await post(text.draft, { spki });
        const info = fromBase64(draft.info);
        if (timesInside(info, made.spki) !== 1) throw new Error(text.textNotOurs);
        const signature = await crypto.subtle.sign(KINDS[made.kind].sign, made.pair.privateKey, info);
        await post(text.request, { spki, signature: toBase64(new Uint8Array(signature)) });
        window.removeEventListener("beforeunload", leaving);
        made = null;
        for (const id of ["key-save", "key-send"]) part(id).hidden = true;
        form.querySelector("section").hidden = true;
        say(text.textSent, "success");
      } catch (error) {
        part("key-request").disabled = false;
        say(error.message || text.textFailed, "danger");
      }
    });
  }

  const form = document.getElementById("browser-key");
  if (form) start(form);
})();
