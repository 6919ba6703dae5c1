// Colours for the charts, read from the style sheet, so that light and dark are declared in one place.
import { signal } from '@preact/signals';

export interface Palette {
  readonly series: readonly string[];
  readonly axis: string;
  readonly grid: string;
  readonly target: string;
  readonly accent: string;
  readonly accentFill: string;
  readonly good: string;
  readonly goodFill: string;
  readonly bad: string;
  readonly font: string;
}

/** How many series colours the style sheet declares; further servers repeat them with a broken line. */
export const SERIES_COLOURS = 8;

export const palette = signal<Palette>(read());

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  palette.value = read();
});

export function seriesVariable(index: number): string {
  return `var(--series-${(index % SERIES_COLOURS) + 1})`;
}

function read(): Palette {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    series: Array.from({ length: SERIES_COLOURS }, (_, i) => colour(`series-${i + 1}`)),
    axis: colour('muted'),
    grid: colour('grid'),
    target: colour('target'),
    accent: colour('accent'),
    accentFill: colour('accent-fill'),
    good: colour('good'),
    goodFill: colour('good-fill'),
    bad: colour('bad'),
    font: `12px ${style.fontFamily}`,
  };
}
