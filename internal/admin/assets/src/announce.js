let region;

// say has a screen reader read text out once it has finished what it is at.
export function say(text) {
  if (!region?.isConnected) {
    region = document.createElement("div");
    region.className = "visually-hidden";
    region.setAttribute("aria-live", "polite");
    document.body.append(region);
  }
  region.textContent = "";
  // In a later task, because the same text set again would not be a change to read out.
  setTimeout(() => (region.textContent = text), 50);
}
