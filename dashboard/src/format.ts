// How figures are written: grouped digits, ratios with two decimals, time as minutes and seconds.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat('en', { notation: 'compact', minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** What stands where a figure is not known; as wide as a digit, so that nothing jumps when it comes. */
export const UNKNOWN = '–';

/** 12,345; from ten million on 12.3M, so that a figure keeps its width. */
export function count(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN;
  return Math.abs(value) >= 1e7 ? compact.format(value) : whole.format(value);
}

/** 1.02; large ones with one decimal. */
export function ratio(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN;
  return value >= 99.95 ? count(value) : value.toFixed(value >= 9.995 ? 1 : 2);
}

/** A figure of a rate: whole, but never 0 for what is not 0. */
export function rate(value: number | null | undefined): string {
  if (typeof value === 'number' && value > 0 && value < 1) return '<1';
  return count(value);
}

/** Seconds since the demo started as m:ss, or h:mm:ss. */
export function clock(seconds: number): string {
  const total = Math.max(0, Math.floor(seconds));
  const h = Math.floor(total / 3_600);
  const m = Math.floor(total / 60) % 60;
  const s = String(total % 60).padStart(2, '0');
  return h > 0 ? `${h}:${String(m).padStart(2, '0')}:${s}` : `${m}:${s}`;
}
