// The three charts over time: connections per server, imbalance, and moves beside failures; each with a legend that tells figures.
import { useMemo } from 'preact/hooks';
import uPlot from 'uplot';
import { EVEN_THRESHOLD } from '../contract.ts';
import { count, rate, ratio } from '../format.ts';
import { palette, SERIES_COLOURS, seriesVariable } from '../palette.ts';
import type { Column } from '../samples.ts';
import { pointed, sampled, samples, serverIds, shownSeconds } from '../state.ts';
import { Chart, type ChartSpec } from './chart.tsx';
import { evenScale, evenTicks } from './even-scale.ts';

export function ConnectionsChart() {
  const ids = serverIds.value;
  const spec = useMemo(() => connectionsSpec(ids), [ids]);
  return (
    <section class="card connections" aria-labelledby="connections-title">
      <header class="card-head">
        <h2 id="connections-title">Connections per server</h2>
        <Range />
      </header>
      <ul class="legend">
        {ids.map((id, i) => (
          <Key key={id} name={id} colour={seriesVariable(i)} kind={i < SERIES_COLOURS ? 'line' : 'dotted'} value={count(at(samples.connectionsOf(id)))} />
        ))}
        <Key name="target" colour="var(--target)" kind="dashed" value={count(at(samples.target))} />
      </ul>
      <Chart spec={spec} />
    </section>
  );
}

export function ImbalanceChart() {
  const spec = useMemo(imbalanceSpec, []);
  return (
    <section class="card imbalance" aria-labelledby="imbalance-title">
      <header class="card-head">
        <h2 id="imbalance-title">Imbalance</h2>
        <p class="aside">fullest server ÷ its target</p>
      </header>
      <ul class="legend">
        <Key name="imbalance" colour="var(--accent)" kind="line" value={ratio(at(samples.imbalance))} />
        <Key name="even, up to" colour="var(--good)" kind="dashed" value={ratio(EVEN_THRESHOLD)} />
      </ul>
      <Chart spec={spec} />
    </section>
  );
}

export function RatesChart() {
  const spec = useMemo(ratesSpec, []);
  return (
    <section class="card rates" aria-labelledby="rates-title">
      <header class="card-head">
        <h2 id="rates-title">Moves and failed requests</h2>
        <p class="aside">per second</p>
      </header>
      <ul class="legend">
        <Key name="moves" colour="var(--accent)" kind="line" value={rate(at(samples.movesPerS))} />
        <Key name="failed" colour="var(--bad)" kind="block" value={rate(at(samples.failuresPerS))} />
      </ul>
      <Chart spec={spec} />
    </section>
  );
}

function Key(props: { readonly name: string; readonly colour: string; readonly kind: 'line' | 'dashed' | 'dotted' | 'block'; readonly value: string }) {
  return (
    <li>
      <span class={`swatch ${props.kind}`} style={{ color: props.colour }} aria-hidden="true" />
      <span class="key-name">{props.name}</span>
      <span class="key-value">{props.value}</span>
    </li>
  );
}

function Range() {
  return (
    <fieldset class="range">
      <legend class="unseen">Time shown</legend>
      {[60, 120, 600].map((seconds) => (
        <label key={seconds}>
          <input type="radio" name="range" checked={shownSeconds.value === seconds} onChange={() => (shownSeconds.value = seconds)} />
          <span>{seconds / 60} min</span>
        </label>
      ))}
    </fieldset>
  );
}

/** The figure under the pointer, else the latest. */
function at(column: Column): number | null {
  void sampled.value;
  return column[pointed.value ?? column.length - 1] ?? null;
}

function connectionsSpec(ids: readonly string[]): ChartSpec {
  return {
    label: 'Line chart of the connections of each server over time, with the target as a dashed line. The legend tells the figures.',
    series: [
      ...ids.map((id, i) => ({
        label: id,
        stroke: () => palette.peek().series[i % SERIES_COLOURS],
        width: 2,
        ...(i < SERIES_COLOURS ? {} : { dash: [2, 3] }),
      })),
      // Last, so that it stays visible where an even fleet's lines lie on it.
      { label: 'target', stroke: () => palette.peek().target, width: 1.5, dash: [6, 6], ...paths('stepped') },
    ],
    columns: () => [...ids.map((id) => samples.connectionsOf(id)), samples.target],
    y: { range: (_, __, max) => [0, Math.max(10, (max ?? 0) * 1.06)] },
    yAxis: { values: (_, splits) => splits.map(count) },
  };
}

function imbalanceSpec(): ChartSpec {
  return {
    label: `Line chart of the imbalance over time. Up to ${EVEN_THRESHOLD} the fleet is even.`,
    series: [{ label: 'imbalance', stroke: () => palette.peek().accent, width: 2 }],
    columns: () => [samples.imbalance],
    y: { ...evenScale, range: (_, __, max) => [1, Math.max(2, (max ?? 0) * 1.08)] },
    yAxis: {
      splits: (plot, _, __, max) => evenTicks(max, plot.height),
      values: (_, splits) => splits.map(String),
      // uPlot hides every tick of a scale that is not linear unless told which to keep.
      filter: (_, splits) => splits,
    },
    beneath: (plot) => {
      const { ctx, bbox } = plot;
      const y = plot.valToPos(EVEN_THRESHOLD, 'y', true);
      ctx.save();
      ctx.fillStyle = palette.peek().goodFill;
      ctx.fillRect(bbox.left, y, bbox.width, bbox.top + bbox.height - y);
      ctx.strokeStyle = palette.peek().good;
      ctx.lineWidth = uPlot.pxRatio;
      ctx.setLineDash([6 * uPlot.pxRatio, 5 * uPlot.pxRatio]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.restore();
    },
  };
}

function ratesSpec(): ChartSpec {
  return {
    label: 'Chart of moves per second as a line, with its axis on the left, and failed requests per second as bars, with theirs on the right.',
    series: [
      { label: 'moves', stroke: () => palette.peek().accent, fill: () => palette.peek().accentFill, width: 2 },
      {
        label: 'failed',
        scale: 'right',
        stroke: () => palette.peek().bad,
        fill: () => palette.peek().bad,
        width: 0,
        ...paths('bars'),
      },
    ],
    columns: () => [samples.movesPerS, samples.failuresPerS],
    y: { range: upTo },
    yAxis: { values: (_, splits) => splits.map(count) },
    // An axis of their own: one death fails more requests in a second than are ever moved in one.
    right: { scale: { range: upTo }, axis: { stroke: () => palette.peek().bad, values: (_, splits) => splits.map(count) } },
  };
}

function upTo(_: uPlot, __: number | null, max: number | null): uPlot.Range.MinMax {
  return [0, Math.max(10, (max ?? 0) * 1.1)];
}

/** uPlot declares its path builders as optional. */
function paths(kind: 'stepped' | 'bars'): Pick<uPlot.Series, 'paths'> {
  const built = kind === 'stepped' ? uPlot.paths.stepped?.({ align: 1 }) : uPlot.paths.bars?.({ size: [0.8, 12, 2] });
  return built === undefined ? {} : { paths: built };
}
