/** The program: the command line, and, as `daemon serve`, the daemon. Each is loaded only when it is the one. */
import { version } from "../package.json";

/** What the binary was made of; a checkout has none (scripts/build.ts). */
declare const BANGER_BUILD: string | undefined;
const build = typeof BANGER_BUILD === "undefined" ? undefined : BANGER_BUILD;

const argv = process.argv.slice(2);
// A compiled binary is its own program; from a checkout, Bun runs this file.
const self = import.meta.path.startsWith("/$bunfs/")
  ? [process.execPath]
  : [process.execPath, ...process.execArgv, import.meta.path];

if (argv.length === 1 && (argv[0] === "version" || argv[0] === "--version")) {
  console.log(`banger ${version}`);
} else if (argv[0] === "daemon" && argv[1] === "serve") {
  const [{ runDaemon }, { agentPath }] = await Promise.all([
    import("./daemon/main.ts"),
    import("./agent-binary.ts"),
  ]);
  const readyFd = argv[2] === "--ready-fd" ? Number(argv[3]) : undefined;
  await runDaemon({ version, build, self, agentPath: await agentPath(), readyFd });
} else if (argv.length === 2 && argv[0] === "daemon" && argv[1] === "inside") {
  const { runInside } = await import("./daemon/inside.ts");
  runInside();
} else {
  const [{ runCli }, { flushOutput }] = await Promise.all([
    import("./cli/main.ts"),
    import("./cli/output.ts"),
  ]);
  const code = await runCli(argv, { self, version, build });
  // A terminal or pipe on stdin would keep the process alive: it ends when everything said has been written.
  await flushOutput();
  process.exit(code);
}
