let place;

// toast shows text in the corner of the page. An error stays until it is closed.
export function toast(text, kind = "info") {
  if (!place?.isConnected) {
    place = document.createElement("div");
    place.className = "toasts";
    document.body.append(place);
  }
  const box = document.createElement("div");
  box.className = `note note-${kind === "error" ? "error" : "info"}`;
  box.setAttribute("role", kind === "error" ? "alert" : "status");
  const words = document.createElement("span");
  const close = document.createElement("button");
  close.type = "button";
  close.className = "btn-close";
  close.setAttribute("aria-label", "Close");
  close.addEventListener("click", () => box.remove());
  box.append(words, close);
  place.append(box);
  while (place.children.length > 4) place.firstChild.remove();
  words.textContent = text; // after the box is in the page, so that it is read out
  if (kind === "error") return;
  const leave = () => (box.matches(":hover, :focus-within") ? setTimeout(leave, 2_000) : box.remove());
  setTimeout(leave, 8_000);
}

// The server's HX-Trigger: {"bugle:toast":{"text":"Saved"}} arrives as this event.
document.addEventListener("bugle:toast", ({ detail }) => toast(detail.text ?? detail.value, detail.kind));
