import { say } from "./announce.js";

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

// randomText returns n letters and digits, each as likely as any other: bytes that would make
// the first few likelier are thrown away.
function randomText(n) {
  const limit = 256 - (256 % alphabet.length);
  let text = "";
  while (text.length < n) {
    for (const byte of crypto.getRandomValues(new Uint8Array(n))) {
      if (byte < limit && text.length < n) text += alphabet[byte % alphabet.length];
    }
  }
  return text;
}

document.addEventListener("click", (event) => {
  const reveal = event.target.closest("[data-reveal]");
  if (reveal) {
    const input = document.querySelector(reveal.dataset.reveal);
    const shown = input.type === "password";
    input.type = shown ? "text" : "password";
    reveal.setAttribute("aria-pressed", String(shown));
  }
  const generate = event.target.closest("[data-generate]");
  if (generate) {
    const input = document.querySelector(generate.dataset.generate);
    input.value = randomText(32);
    input.dispatchEvent(new Event("input", { bubbles: true }));
    input.dispatchEvent(new Event("change", { bubbles: true }));
    say("A new value was made");
  }
});
