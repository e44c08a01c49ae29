/** This terminal while a guest's command has it: raw, and put back whatever happens. */
import { enterRawMode } from "../../lib/terminal-mode.ts";

export interface TerminalMode extends Disposable {
  /** Puts the terminal back, stops this process until somebody has it go on, and goes on raw. */
  suspend(): void;
}

/** Takes the terminal on stdin. Disposing puts it back, and so does the end of the process, a crash included. */
export function takeTerminal(): TerminalMode {
  let restore = enterRawMode(0);
  const putBack = (): void => restore?.();
  process.on("exit", putBack);
  return {
    suspend: () => {
      putBack();
      process.once("SIGCONT", () => {
        restore = enterRawMode(0);
      });
      process.kill(0, "SIGTSTP");
    },
    [Symbol.dispose]: () => {
      putBack();
      process.off("exit", putBack);
    },
  };
}
