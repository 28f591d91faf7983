let dialog;
const approved = new WeakSet(); // forms and buttons whose next submit or click goes through

// ask shows a question and resolves to whether the answer was yes. The dialog gives the focus
// back when it closes, which browsers do for showModal.
export function ask(question, { ok = "OK", danger = false } = {}) {
  if (!dialog?.isConnected) build();
  const [no, yes] = dialog.querySelectorAll("button");
  dialog.querySelector("p").textContent = question;
  yes.textContent = ok;
  yes.className = danger ? "btn btn-danger" : "btn btn-primary";
  dialog.returnValue = "";
  dialog.showModal();
  no.focus(); // so that Enter, pressed too soon, does no harm
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok"), { once: true });
  });
}

function build() {
  dialog = document.createElement("dialog");
  dialog.className = "confirm";
  dialog.setAttribute("aria-labelledby", "confirm-question");
  const question = document.createElement("p");
  question.id = "confirm-question";
  const buttons = document.createElement("div");
  buttons.className = "confirm-buttons";
  for (const answer of ["cancel", "ok"]) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn";
    button.textContent = "Cancel";
    button.addEventListener("click", () => dialog.close(answer));
    buttons.append(button);
  }
  dialog.append(question, buttons);
  document.body.append(dialog);
}

const askAs = ({ dataset }) => ask(dataset.confirm, { ok: dataset.confirmOk, danger: "confirmDanger" in dataset });

// Both listen while the event is on its way down, so that htmx and others see only what was
// agreed to.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-confirm], a[data-confirm], input[type=submit][data-confirm]");
  if (!button || approved.delete(button)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (!(await askAs(button))) return;
  approved.add(button);
  button.click();
}, true);

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form[data-confirm]") || approved.delete(form)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const submitter = event.submitter;
  if (!(await askAs(form))) return;
  approved.add(form);
  form.requestSubmit(submitter);
}, true);

// hx-confirm would be window.confirm otherwise.
document.addEventListener("htmx:confirm", async (event) => {
  const { question, issueRequest } = event.detail;
  if (!question) return;
  event.preventDefault();
  if (await ask(question)) issueRequest(true);
});
