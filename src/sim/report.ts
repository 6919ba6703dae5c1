// The report of one or several runs as one self-contained HTML page: a table of figures, plots side by side, and the command
// that reproduces it.
import type { Report } from './measure.ts';
import type { Run } from './run.ts';

export interface ReportAssets {
  /** uPlot as a script and its style sheet, put into the page so that it needs nothing else. */
  readonly script: string;
  readonly style: string;
}

/** More lines than this per plot say nothing: nodes are then drawn as least, mean and most. */
const LINES = 24;
/** More points than this per line are thinned out: a page should stay readable for the browser too. */
const POINTS = 1_500;

const figures: readonly [keyof Report, string][] = [
  ['timeToEvenS', 'time to even, s'],
  ['moves', 'moves'],
  ['movesLowerBound', 'least moves'],
  ['movesRatio', 'moves / least'],
  ['bounces', 'bounces'],
  ['maxMovesOfOneClient', 'most moves of one client'],
  ['movesAfterEven', 'moves after even'],
  ['attempts', 'attempts'],
  ['failedAttempts', 'failed attempts'],
  ['peakReconnectsPerS', 'peak reconnects/s'],
  ['peakPerNode', 'peak attempts/s on a node'],
  ['peakHandshakeQueue', 'longest handshake queue'],
  ['timeToConnectedS', 'time to connected, s'],
  ['clientSecondsWithoutConnection', 'client seconds without connection'],
  ['finalImbalance', 'imbalance at the end'],
  ['maxDeviation', 'largest deviation at the end'],
  ['finalLoadImbalance', 'load imbalance at the end'],
];

export function reportPage(runs: readonly Run[], command: string, assets: ReportAssets): string {
  const reports = runs.map((run) => run.report);
  const [first] = reports;
  const data = runs.map(plotted);
  // A closing tag inside a string would end the script.
  const json = JSON.stringify(data).replaceAll('<', String.raw`\u003c`);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(first.scenario)} - Evenkeel simulation</title>
<style>${assets.style}${pageStyle}</style>
<main>
<h1>${escaped(first.scenario)}</h1>
<p>${first.clients.toLocaleString('en')} clients, ${first.nodes} nodes, seed ${first.seed}. Even: imbalance at most ${first.evenThreshold}.</p>
${figureTable(reports)}
<section id="plots"></section>
<h2>Run it again</h2>
<pre><code>${escaped(command)}</code></pre>
</main>
<script>${assets.script}</script>
<script>const runs = ${json};${pageScript}</script>
</html>
`;
}

function figureTable(reports: readonly Report[]): string {
  const heads = reports.map((report) => `<th scope="col">${escaped(report.policy)}</th>`).join('');
  const rows = figures.map(([key, label]) => {
    const cells = reports.map((report) => `<td>${figure(key, report[key])}</td>`).join('');
    return `<tr><th scope="row">${label}</th>${cells}</tr>`;
  });
  return `<table><thead><tr><td></td>${heads}</tr></thead><tbody>${rows.join('')}</tbody></table>`;
}

/** A time that never came, or a figure that means nothing in this run, is no zero. */
function figure(key: keyof Report, value: unknown): string {
  if (value === null) return key === 'timeToEvenS' ? 'never' : '-';
  return Number(value).toLocaleString('en');
}

/** What the page draws of a run: thinned out, and many nodes as a band. */
function plotted({ report, handshakeQueue }: Run): object {
  const { series } = report;
  const step = Math.max(1, Math.ceil(series.tS.length / POINTS));
  const thin = <T>(values: readonly T[]): T[] => values.filter((_, i) => i % step === 0);
  const nodes = Object.entries(series.perNode);
  const lines = nodes.length <= LINES ? nodes.map(([name, values]) => ({ name, values: thin(values) })) : band(nodes.map(([, values]) => thin(values)));
  return {
    policy: report.policy,
    even: report.evenThreshold,
    tS: thin(series.tS),
    imbalance: thin(series.imbalance),
    reconnectsPerS: thin(series.reconnectsPerS),
    handshakeQueue: thin(handshakeQueue),
    nodes: lines,
  };
}

function band(all: readonly (readonly (number | null)[])[]): { name: string; values: (number | null)[] }[] {
  const at = (i: number): number[] => all.map((values) => values[i]).filter((value) => value !== null && value !== undefined);
  const length = all.reduce((most, values) => Math.max(most, values.length), 0);
  const over = (name: string, pick: (values: readonly number[]) => number): { name: string; values: (number | null)[] } => ({
    name,
    values: Array.from({ length }, (_, i) => {
      const values = at(i);
      return values.length === 0 ? null : pick(values);
    }),
  });
  return [
    over('most', (values) => values.reduce((a, b) => Math.max(a, b), 0)),
    over('mean', (values) => Math.round(values.reduce((a, b) => a + b, 0) / values.length)),
    over('least', (values) => values.reduce((a, b) => Math.min(a, b), Infinity)),
  ];
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const pageStyle = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #d9dee5; --back: #ffffff; --card: #f6f8fa; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa6b5; --line: #323a46; --back: #14181e; --card: #1b2129; } }
body { margin: 0; background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 17px; margin: 32px 0 8px; }
p { color: var(--soft); margin: 0 0 20px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
main > table th, main > table td { padding: 3px 16px 3px 0; text-align: right; border-bottom: 1px solid var(--line); font-weight: 400; }
main > table tbody th { text-align: left; color: var(--soft); } main > table thead th { font-weight: 600; }
#plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(460px, 100%), 1fr)); gap: 20px; margin-top: 28px; }
figure { margin: 0; background: var(--card); border-radius: 8px; padding: 12px 12px 4px; min-width: 0; overflow: hidden; }
figcaption { font-weight: 600; margin: 0 0 6px 6px; }
pre { background: var(--card); padding: 12px; border-radius: 8px; overflow-x: auto; }
.u-legend { font-size: 12px; }
`;

const pageScript = `
const colours = ['#2f6fb0', '#d1731f', '#3a8f5c', '#b0457a', '#7a5cc0', '#a88415', '#3f9aa6', '#b44a3c', '#6b7785', '#5a8f1f'];
const dark = matchMedia('(prefers-color-scheme: dark)').matches;
const axis = { stroke: dark ? '#9aa6b5' : '#5b6675', grid: { stroke: dark ? '#2a323d' : '#e6eaef' }, ticks: { show: false }, font: '12px system-ui' };
const plots = document.getElementById('plots');
function plot(run, title, series, values) {
  const figure = document.createElement('figure');
  const caption = document.createElement('figcaption');
  caption.textContent = title + ', ' + run.policy;
  figure.append(caption);
  plots.append(figure);
  const options = { width: Math.max(300, figure.clientWidth - 24), height: 220, scales: { x: { time: false } }, axes: [{ ...axis, values: (u, ticks) => ticks.map((t) => t + ' s') }, { ...axis, size: 60 }],
    legend: { show: series.length <= 4 }, series: [{ label: 's' }, ...series.map((label, i) => ({ label, stroke: colours[i % colours.length], width: 1.5, points: { show: false } }))] };
  const drawn = new uPlot(options, [run.tS, ...values], figure);
  addEventListener('resize', () => drawn.setSize({ width: Math.max(300, figure.clientWidth - 24), height: 220 }));
}
for (const run of runs) {
  plot(run, 'Imbalance', ['imbalance', 'even'], [run.imbalance, run.tS.map(() => run.even)]);
  plot(run, 'Connections per node', run.nodes.map((node) => node.name), run.nodes.map((node) => node.values));
  plot(run, 'Reconnects/s', ['reconnects/s'], [run.reconnectsPerS]);
  plot(run, 'Handshake queue', ['waiting'], [run.handshakeQueue]);
}
`;
