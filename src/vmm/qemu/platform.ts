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
}

/**
 * `kvm`: microvm (QEMU's docs/system/i386/microvm). With ACPI on, because Debian's kernels find virtio-mmio devices
 * by ACPI only (CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES is not set), because it gives a power switch (S5), and 24 virtio
 * slots where there are 8 without. PIT, PIC and RTC stay on: a nested host without TSC-deadline needs them.
 *
 * `tcg`: q35, because Linux cannot calibrate its TSC on an emulated microvm about every second time. Without the
 * controllers that nobody uses, whose probing costs the guest a third of a second (measured: 2.1 s to 1.8 s).
 */
export const PLATFORMS: Readonly<Record<QemuAccelerator, Platform>> = {
  kvm: {
    machineType: "microvm",
    machine:
      "microvm,acpi=on,pcie=off,pit=on,pic=on,rtc=on,isa-serial=on,x-option-roms=off,auto-kernel-cmdline=off",
    accel: "kvm",
    cpu: "host",
    transport: "device",
  },
  tcg: {
    machineType: "q35",
    machine: "q35,sata=off,smbus=off,usb=off,vmport=off,i8042=off,graphics=off",
    accel: "tcg,thread=multi",
    cpu: "max",
    transport: "pci",
  },
};
