/** The two machines that QEMU plays, and why they are as they are. Data only. */

export type QemuAccelerator = "kvm" | "tcg";

/** How virtio devices are attached: `device` is virtio-mmio. */
export type Transport = "device" | "pci";

export interface Platform {
  readonly machineType: string;
  /** The value of `-machine`, still without its memory. */
  readonly machine: string;
  readonly accel: string;
  readonly cpu: string;
  readonly transport: Transport;
  /** What its guests' kernel must be told, in the words of Linux' admin-guide/kernel-parameters. */
  readonly kernelParameters: readonly string[];
}

/**
 * `kvm`: microvm (QEMU's docs/system/i386/microvm). With ACPI on, because Debian's kernels find virtio-mmio devices
 * by ACPI only (CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES is not set), because it gives a power switch (S5), and 24 virtio
 * slots where there are 8 without. PIT, PIC and RTC stay on: a nested host without TSC-deadline needs them.
 *
 * `tcg`: q35, because Linux cannot calibrate its TSC on an emulated microvm about every second time. Without the
 * controllers that nobody uses, whose probing costs the guest a third of a second (measured: 2.1 s to 1.8 s).
 *
 * Its kernel parameters keep a busy host out of the boot (docs/decisions/0007-clocks-under-emulation.md). They are for
 * emulation only: under KVM Linux skips the first test itself, and is told the TSC's rate.
 * - `no_timer_check`: Linux expects five timer ticks within 160 million TSC cycles, 60 ms; when the emulator is not
 *   scheduled in time it tries other wirings, and panics when they "fail" too.
 * - `tsc=unstable`: Linux measures the TSC against the PIT, and a pause at the wrong moment makes the result many times
 *   too low; guest time then runs that much too fast. The HPET, whose rate is a fact, becomes the clock.
 *
 * Its processor has no ERMS and no FSRM: they tell kernels and C libraries to copy with `rep movsb`, which the emulator does byte by
 * byte (measured: 256 MiB of /dev/zero take 0.7 s instead of 0.1 s, and a tmpfs is read in four times the time).
 */
export const PLATFORMS: Readonly<Record<QemuAccelerator, Platform>> = {
  kvm: {
    machineType: "microvm",
    machine:
      "microvm,acpi=on,pcie=off,pit=on,pic=on,rtc=on,isa-serial=on,x-option-roms=off,auto-kernel-cmdline=off",
    accel: "kvm",
    cpu: "host",
    transport: "device",
    kernelParameters: [],
  },
  tcg: {
    machineType: "q35",
    machine: "q35,sata=off,smbus=off,usb=off,vmport=off,i8042=off,graphics=off",
    accel: "tcg,thread=multi",
    cpu: "max,erms=off,fsrm=off",
    transport: "pci",
    kernelParameters: ["no_timer_check", "tsc=unstable"],
  },
};
