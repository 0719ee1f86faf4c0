// A form with data-passkey asks the browser for a passkey and is sent with its answer; one that also takes a
// password has a button with data-passkey.

const FAULTS = {
  AbortError: "The question to your device was closed. Try again.",
  InvalidStateError: "This device has a passkey for your account already.",
  NotAllowedError: "No passkey was used: the question was closed, or took too long. Try again.",
  NotSupportedError: "This device cannot make such a passkey. Try another one, or an authenticator app.",
  SecurityError: "Passkeys do not work at this address. Open the application at its own address.",
};
const UNKNOWN = "This browser knows no passkeys. Use another way, or another browser.";
const UNREACHED = "The server did not answer as expected. Load the page again and try once more.";

// Before the other listeners: nothing is sent until there is an answer.
document.addEventListener("submit", (event) => {
  const form = event.target;
  const asking = [event.submitter, form].find((one) => one?.matches("[data-passkey]"));
  if (!asking) return;
  event.preventDefault();
  if (form.ariaBusy !== "true" && isFilled(form)) ask(form, asking.dataset);
}, true);

// Whatever the passkey does not stand for.
function isFilled(form) {
  return [...form.elements].every((field) => field.matches("[data-or-passkey]") || field.reportValidity());
}

async function ask(form, { passkey, options: address }) {
  form.ariaBusy = "true";
  say(form, "");
  try {
    const options = await offered(form, address);
    const answer = await navigator.credentials[passkey]({ publicKey: options });
    form.querySelector("[data-passkey-answer]").value = JSON.stringify(spelt(answer));
    form.submit();
  } catch (fault) {
    say(form, fault.sentence ?? FAULTS[fault.name] ?? UNREACHED);
  } finally {
    form.ariaBusy = null;
  }
}

async function offered(form, address) {
  if (!window.PublicKeyCredential) throw { sentence: UNKNOWN };
  const headers = { "X-CSRFToken": form.elements.csrf_token.value, "HX-Request": "true" };
  const answer = await fetch(address, { method: "POST", headers });
  if (answer.status === 403) location.reload(); // asks for the password, or to sign in
  if (!answer.ok) throw { sentence: await sentenceOf(answer) };
  return read(await answer.json());
}

async function sentenceOf(answer) {
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return page.querySelector("[data-message]")?.textContent.trim() || UNREACHED;
}

function say(form, sentence) {
  const place = form.querySelector("[data-passkey-fault]");
  place.textContent = sentence;
  place.className = sentence ? "notice notice-bad" : "";
}

// What is bytes to the browser travels as base64url.
function read(options) {
  const known = options.excludeCredentials ?? options.allowCredentials ?? [];
  for (const credential of known) credential.id = bytes(credential.id);
  if (options.user) options.user.id = bytes(options.user.id);
  return { ...options, challenge: bytes(options.challenge) };
}

function spelt({ id, rawId, type, response }) {
  const parts = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];
  const texts = parts.filter((part) => response[part]).map((part) => [part, text(response[part])]);
  return { id, rawId: text(rawId), type, response: Object.fromEntries(texts) };
}

function bytes(base64url) {
  const binary = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function text(buffer) {
  const binary = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
