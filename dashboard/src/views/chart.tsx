// One chart: a uPlot that fills its box, follows the samples and the colour scheme, and shares its pointer with the others.
import { effect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { clock } from '../format.ts';
import { palette } from '../palette.ts';
import { pointed, sampled, samples, shownSeconds } from '../state.ts';

export interface ChartSpec {
  /** What the chart shows, for those who do not see it. */
  readonly label: string;
  /** Everything but the time, which is the same for all. */
  readonly series: readonly uPlot.Series[];
  readonly columns: () => (number | null)[][];
  readonly y: uPlot.Scale;
  readonly yAxis?: uPlot.Axis;
  /** A second scale, `right`, with its axis on that side. */
  readonly right?: { readonly scale: uPlot.Scale; readonly axis: uPlot.Axis };
  /** Draws beneath the lines. */
  readonly beneath?: (plot: uPlot) => void;
}

const Y_AXIS_WIDTH = 46;
// oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- uPlot only declares the enum: there is no object to take it from.
const onTheRight: uPlot.Axis = { scale: 'right', side: 1, size: 48, space: 34, grid: { show: false } };

/** `spec` must be the same object for as long as the chart shows the same lines. */
export function Chart({ spec }: { readonly spec: ChartSpec }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => (box.current === null ? undefined : live(box.current, spec)), [spec]);
  return <div class="chart" ref={box} role="img" aria-label={spec.label} />;
}

/** Builds the chart and keeps it up to date until the returned function is called. */
function live(box: HTMLElement, spec: ChartSpec): () => void {
  const data = (): uPlot.AlignedData => [samples.times, ...spec.columns()];
  const plot = new uPlot(options(spec, box), data(), box);
  const stopData = effect(() => {
    void sampled.value;
    void shownSeconds.value;
    plot.setData(data());
  });
  const stopColours = effect(() => {
    void palette.value;
    plot.redraw(false, true);
  });
  const size = new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: box.clientHeight }));
  size.observe(box);
  return () => {
    stopData();
    stopColours();
    size.disconnect();
    plot.destroy();
  };
}

function options(spec: ChartSpec, box: HTMLElement): uPlot.Options {
  return {
    width: box.clientWidth,
    height: box.clientHeight,
    padding: [10, spec.right === undefined ? 18 : 0, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: false, y: false },
      sync: { key: 'evenkeel' },
      points: { size: 7, width: 0 },
    },
    scales: {
      // From the left while the demo is young, then a window that slides.
      x: { time: false, range: () => [Math.max(0, samples.last - shownSeconds.peek()), Math.max(samples.last, shownSeconds.peek())] },
      y: spec.y,
      ...(spec.right === undefined ? {} : { right: spec.right.scale }),
    },
    axes: [
      { ...axis(), size: 26, space: 64, incrs: [5, 10, 15, 30, 60, 120, 300], values: (_, at) => at.map(clock), grid: { show: false } },
      { ...axis(), size: Y_AXIS_WIDTH, space: 34, ...spec.yAxis },
      ...(spec.right === undefined ? [] : [{ ...axis(), ...onTheRight, ...spec.right.axis }]),
    ],
    series: [{}, ...spec.series.map((series) => ({ points: { show: false }, ...series }))],
    hooks: {
      drawAxes: [(plot) => spec.beneath?.(plot)],
      setCursor: [
        (plot) => {
          pointed.value = plot.cursor.idx ?? null;
        },
      ],
    },
  };
}

function axis(): uPlot.Axis {
  return {
    stroke: () => palette.peek().axis,
    font: palette.peek().font,
    gap: 6,
    ticks: { show: false },
    border: { show: false },
    grid: { stroke: () => palette.peek().grid, width: 1 },
  };
}
