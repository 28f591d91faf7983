// Draws <div data-chart='{"kind","labels","series","unit"}'>; the server puts the same numbers
// into a table for those who do not see the drawing.
import uPlot from "uplot";
import { each } from "./added.js";

const root = document.documentElement;
const language = root.lang || "en";
const zone = knownZone(root.dataset.timeZone);
const number = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
const clock = dateFormat({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = dateFormat({ day: "numeric", month: "short" });
const full = dateFormat({ dateStyle: "medium", timeStyle: "short" });
const dashes = [[], [6, 4], [2, 3], [8, 3, 2, 3]]; // lines differ by more than their colour

function knownZone(name) {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name || undefined }).resolvedOptions().timeZone;
  } catch {
    return new Intl.DateTimeFormat("en").resolvedOptions().timeZone;
  }
}

function dateFormat(options) {
  const format = new Intl.DateTimeFormat(language, { ...options, timeZone: zone });
  return (seconds) => format.format(new Date(seconds * 1000));
}

// colour resolves a name of our palette to what a canvas understands, as the theme has it now.
function colour(element, name) {
  const probe = document.createElement("span");
  probe.style.color = `var(--tblr-${name})`;
  element.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function draw(element, { kind, labels, series, unit }) {
  const stacked = kind !== "lines" && series.length > 1;
  const shown = stacked ? stack(series) : series;
  const withUnit = (value) => (value == null ? "–" : number.format(value) + (unit ? ` ${unit}` : ""));
  const step = labels.length > 1 ? labels[1] - labels[0] : 3600;
  const axis = {
    stroke: colour(element, "secondary"),
    grid: { stroke: colour(element, "border-color"), width: 1 },
    ticks: { show: false },
    font: `12px ${getComputedStyle(element).fontFamily}`,
  };
  const options = {
    width: element.clientWidth,
    height: Number(element.dataset.height) || 200,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
    cursor: { drag: { x: false, y: false } },
    scales: {
      x: { range: (_, from, to) => (kind === "lines" ? [from, to] : [from - step / 2, to + step / 2]) },
      y: { range: (_, from, to) => uPlot.rangeNum(0, Math.max(to ?? 0, 1), 0.1, true) },
    },
    axes: [
      { ...axis, size: 32, values: (_, at, i, space, apart) => at.map(apart >= 86_400 ? day : clock) },
      { ...axis, size: 64, values: (_, at) => at.map(withUnit) },
    ],
    series: [
      { label: "Time", value: (_, at) => (at == null ? (stacked ? "in all" : "–") : full(at)) },
      ...shown.map(({ label, color, raw, values }, i) => ({
        label,
        stroke: colour(element, color),
        width: kind === "lines" ? 2 : 0,
        dash: kind === "lines" ? dashes[i % dashes.length] : undefined,
        fill: kind === "lines" ? undefined : colour(element, color),
        paths: kind === "lines" ? undefined : uPlot.paths.bars({ size: [0.7, 48] }),
        points: { show: kind === "lines" && labels.length < 3 },
        value: (_, value, s, at) => withUnit(at == null ? raw?.reduce((sum, v) => sum + (v ?? 0), 0) : (raw ?? values)[at]),
      })),
    ],
  };
  return new uPlot(options, [labels, ...shown.map(({ values }) => values)], element);
}

// stack adds to each series those before it. The last is the tallest and comes first, so that
// the others are drawn over it.
function stack(series) {
  const sums = [];
  return series
    .map((one) => ({ ...one, raw: one.values, values: one.values.map((v, i) => (sums[i] = (sums[i] ?? 0) + (v ?? 0))) }))
    .reverse();
}

const redraws = new Set();
document.addEventListener("bugle:theme", () => redraws.forEach((redraw) => redraw()));

each("[data-chart]", (element) => {
  const data = JSON.parse(element.dataset.chart);
  element.setAttribute("role", "img");
  if (element.dataset.label) element.setAttribute("aria-label", element.dataset.label);
  let chart;
  const redraw = () => {
    chart?.destroy();
    chart = undefined;
    if (!element.isConnected) redraws.delete(redraw);
    else if (element.clientWidth > 0) chart = draw(element, data);
  };
  redraws.add(redraw);
  // Also the first drawing, and that of a chart which was hidden until now.
  // In the next frame, because drawing changes the size that is being observed.
  const resized = () => {
    if (!chart || !element.isConnected) redraw();
    else if (element.clientWidth > 0) chart.setSize({ width: element.clientWidth, height: chart.height });
  };
  new ResizeObserver(() => requestAnimationFrame(resized)).observe(element);
});
