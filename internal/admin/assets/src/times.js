import { each } from "./added.js";

const root = document.documentElement;
const language = root.lang || "en";
const relativeFormat = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const absoluteFormat = absolute(root.dataset.timeZone || undefined);

const units = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
];

function absolute(timeZone) {
  const format = { dateStyle: "medium", timeStyle: "long" };
  try {
    return new Intl.DateTimeFormat(language, { ...format, timeZone });
  } catch {
    return new Intl.DateTimeFormat(language, format); // a zone that this browser does not know
  }
}

// Text is written only where it differs, so that nothing is redrawn or read out for nothing.
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function showRelative(element) {
  const at = new Date(element.dateTime);
  if (isNaN(at)) return;
  const seconds = (at - Date.now()) / 1000;
  const [unit, length] = units.find(([, length]) => Math.abs(seconds) >= length) ?? units.at(-1);
  write(element, relativeFormat.format(Math.trunc(seconds / length), unit));
  element.title = absoluteFormat.format(at);
}

function showCountdown(element) {
  const at = new Date(element.dateTime);
  if (isNaN(at)) return;
  const left = Math.ceil((at - Date.now()) / 1000);
  const [h, m, s] = [Math.floor(left / 3600), Math.floor((left % 3600) / 60), left % 60];
  if (left <= 0) write(element, "now");
  else if (h > 0) write(element, `in ${h} h ${m} min`);
  else if (m > 0) write(element, `in ${m} min ${s} s`);
  else write(element, `in ${s} s`);
  element.title = absoluteFormat.format(at);
}

const all = (selector, show) => () => document.querySelectorAll(selector).forEach(show);

each("time[data-relative]", showRelative);
each("time[data-countdown]", showCountdown);
setInterval(all("time[data-relative]", showRelative), 5_000);
setInterval(all("time[data-countdown]", showCountdown), 1_000);
