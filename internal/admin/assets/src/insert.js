// button[data-insert="text"][data-insert-into="#id"] puts text where the cursor is.
document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-insert][data-insert-into]");
  const field = button && document.querySelector(button.dataset.insertInto);
  if (!field) return;
  const insert = new CustomEvent("bugle:insert", { detail: button.dataset.insert, cancelable: true });
  if (!field.dispatchEvent(insert)) return; // an editor took it
  field.setRangeText(button.dataset.insert, field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
});
