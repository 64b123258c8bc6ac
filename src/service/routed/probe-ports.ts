/** The host's own ports from which boards are asked about their flows: below those that the kernel gives out by itself, and reserved. */

const first = 20_000;

/** Probes of boards in one go. */
export const probePorts = 2048;

/** As nftables writes it, and `ip_local_reserved_ports` alike (ip-sysctl.rst). */
export const askedFromPorts = `${first}-${first + probePorts - 1}`;

/** @param index below `probePorts` */
export function probePort(index: number): number {
  return first + index;
}
