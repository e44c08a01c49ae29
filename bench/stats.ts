/** Medians and spread, and how a comparison is shown. */

export interface Sample {
  readonly medianMs: number;
  readonly minMs: number;
  readonly maxMs: number;
  readonly runs: number;
}

export function summarise(timesMs: readonly number[]): Sample {
  const sorted = timesMs.toSorted((a, b) => a - b);
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  const middle = (sorted.length - 1) / 2;
  return {
    medianMs: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2,
    minMs: at(0),
    maxMs: at(sorted.length - 1),
    runs: sorted.length,
  };
}

/** One line of the table: what was measured against what, and whether it is good enough. */
export interface Row {
  readonly name: string;
  readonly ours?: Sample;
  readonly reference?: Sample;
  /** The figure that the target is about, such as `1.12 ×` or `+18 ms`. */
  readonly figure: string;
  readonly target: string;
  readonly met: boolean;
}

export function ratioRow(name: string, ours: Sample, reference: Sample, most: number): Row {
  const ratio = ours.medianMs / reference.medianMs;
  return {
    name,
    ours,
    reference,
    figure: `${ratio.toFixed(2)} ×`,
    target: `≤ ${most} ×`,
    met: ratio <= most,
  };
}

/** A comparison that has no target. */
export function printedRow(name: string, ours: Sample, reference: Sample): Row {
  return { ...ratioRow(name, ours, reference, Infinity), target: "printed" };
}

export function differenceRow(name: string, ours: Sample, reference: Sample, mostMs: number): Row {
  const difference = ours.medianMs - reference.medianMs;
  const figure = `${difference >= 0 ? "+" : ""}${difference.toFixed(1)} ms`;
  return { name, ours, reference, figure, target: `≤ +${mostMs} ms`, met: difference <= mostMs };
}

/** A figure that stands by itself; without a bound it is only printed. */
export function limitRow(
  name: string,
  value: number,
  bound: { readonly least?: number; readonly most?: number },
): Row {
  const { least = -Infinity, most = Infinity } = bound;
  const target =
    bound.least === undefined ? (bound.most === undefined ? "printed" : `≤ ${most}`) : `≥ ${least}`;
  return { name, figure: value.toFixed(value < 100 ? 1 : 0), target, met: value >= least && value <= most };
}

export function renderRows(rows: readonly Row[]): string {
  const show = (sample: Sample | undefined): string =>
    sample === undefined
      ? ""
      : `${sample.medianMs.toFixed(1)} (${sample.minMs.toFixed(1)}–${sample.maxMs.toFixed(1)}, n=${sample.runs})`;
  const lines = rows.map(
    (row) =>
      `| ${row.name} | ${show(row.ours)} | ${show(row.reference)} | ${row.figure} | ${row.target} | ${row.met ? "met" : "MISSED"} |`,
  );
  return [
    "| what | ours, ms: median (min–max) | reference, ms | figure | target | |",
    "|---|---|---|---|---|---|",
    ...lines,
  ].join("\n");
}
