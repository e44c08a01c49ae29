/** Progress on stderr: one live line on a terminal, a plain line for each stage that took a while elsewhere. */
import type { ProgressLine } from "../../api/types/progress.ts";
import { formatDurationMs } from "../../model/quantities.ts";
import { stderr, writeOutput } from "../output.ts";
import { LayerSum } from "./layers.ts";
import { printable, printableLine } from "./printable.ts";

/** Stages shorter than this get no plain line. */
const WORTH_A_LINE_MS = 50;
const REFRESH_MS = 100;

export interface ProgressView extends Disposable {
  onProgress(line: ProgressLine): void;
  /** Clears the live line: something else is to be written. Nothing more is shown afterwards. Safe to repeat. */
  done(): void;
}

/** Shows on stderr; `quiet` shows nothing. */
export function createProgressView({ quiet }: { readonly quiet: boolean }): ProgressView {
  const view = quiet ? silent() : viewOn(stderr());
  return { ...view, [Symbol.dispose]: view.done };
}

function viewOn(stream: NodeJS.WriteStream): View {
  return stream.isTTY ? liveView(stream) : plainView();
}

type View = Omit<ProgressView, typeof Symbol.dispose>;

function silent(): View {
  return { onProgress: () => undefined, done: () => undefined };
}

function plainView(): View {
  const layers = new LayerSum();
  return {
    onProgress(line) {
      if (line.event === "note") void writeOutput(2, `${printable(line.text)}\n`);
      if (line.event === "layer" && line.doneBytes === line.totalBytes)
        void writeOutput(2, `${layers.finished(line)}\n`);
      if (line.event === "end" && line.ms >= WORTH_A_LINE_MS) {
        void writeOutput(2, `${line.stage} ${formatDurationMs(line.ms)}\n`);
      }
    },
    done: () => undefined,
  };
}

function liveView(stream: NodeJS.WriteStream): View {
  const layers = new LayerSum();
  let stage = "";
  let note = "";
  let since = performance.now();
  const dim = process.env["NO_COLOR"] === undefined || process.env["NO_COLOR"] === "";
  const draw = (): void => {
    const words = note === "" ? stage : `${stage}: ${note}`;
    const text = `${words} ${((performance.now() - since) / 1000).toFixed(1)} s`.slice(
      0,
      (stream.columns || 80) - 1,
    );
    void writeOutput(2, `\r\u001b[K${dim ? `\u001b[2m${text}\u001b[0m` : text}`);
  };
  let timer: ReturnType<typeof setInterval> | undefined = setInterval(
    () => stage !== "" && draw(),
    REFRESH_MS,
  );
  timer.unref();
  return {
    onProgress(line) {
      if (timer === undefined) return;
      if (line.event === "begin") [stage, note, since] = [line.stage, "", performance.now()];
      if (line.event === "note") note = printableLine(line.text);
      if (line.event === "layer") note = layers.summary(line);
    },
    done() {
      if (timer === undefined) return;
      clearInterval(timer);
      timer = undefined;
      void writeOutput(2, "\r\u001b[K");
    },
  };
}
