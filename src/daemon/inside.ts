/** The daemon's process in an ordinary user's network namespace, which the daemon starts. */
export { runInside } from "../network/user/run-inside.ts";
