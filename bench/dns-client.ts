/** A process that asks a nameserver 500 times a second and prints what each answer took, ms, as JSON: `dns-client SERVER COUNT NAME...`. */
import { encode } from "dns-packet";

const PER_SECOND = 500;
const LOST_MS = 5_000;

const [server = "", count = "0", ...names] = process.argv.slice(2);
const asked = new Map<number, number>();
const times: number[] = [];
const done = Promise.withResolvers<void>();
const socket = await Bun.udpSocket({
  socket: {
    data(_, message) {
      const sentAt = asked.get(message.readUInt16BE(0));
      if (sentAt === undefined) return;
      times.push(performance.now() - sentAt);
      if (times.length === Number(count)) done.resolve();
    },
  },
});
const from = performance.now();
let sent = 0;
const timer = setInterval(() => {
  // One every two milliseconds, whatever became of the earlier ones.
  for (; sent < Math.min(Number(count), ((performance.now() - from) * PER_SECOND) / 1_000); sent += 1) {
    const name = names[sent % names.length] ?? "";
    const message = encode({ type: "query", id: sent, flags: 0x100, questions: [{ type: "A", name }] });
    asked.set(sent, performance.now());
    socket.send(message, 53, server);
  }
}, 1);
const lost = setTimeout(
  () => done.reject(new Error(`${Number(count) - times.length} answers are missing`)),
  (Number(count) / PER_SECOND) * 1_000 + LOST_MS,
);
await done.promise;
clearInterval(timer);
clearTimeout(lost);
socket.close();
console.log(JSON.stringify(times));
