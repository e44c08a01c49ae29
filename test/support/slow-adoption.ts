/** A driver whose machines, once another daemon adopts them, take no order for a while: they are stuck, or their host is busy. */
import type { Driver, Running } from "../../src/vmm/port.ts";

/** Machines that it adopts go on not before `ready`, unless they end. */
export function withSlowAdoption(driver: Driver, ready: Promise<void>): Driver {
  return {
    name: driver.name,
    probe: () => driver.probe(),
    start: (...given) => driver.start(...given),
    resume: (...given) => driver.resume(...given),
    adopt: async (...given) => {
      const running = await driver.adopt(...given);
      return running === undefined ? undefined : slow(running, ready);
    },
  };
}

function slow(running: Running, ready: Promise<void>): Running {
  return {
    ...running,
    resume: async () => {
      await Promise.race([ready, running.exited]);
      await running.resume();
    },
  };
}
