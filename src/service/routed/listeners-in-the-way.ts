/** Programs of this host that listen on a service's port: nobody would reach them any more, and the cut needs the port. */
import { hears, listeners } from "../../system/listeners.ts";
import { type Endpoint, portsOf, type RoutedPlan } from "./plan.ts";

export interface InTheWay {
  /** Of the service. */
  readonly name: string;
  readonly port: number;
  readonly protocol: "tcp" | "udp";
  /** As a sentence. */
  readonly what: string;
}

/** Errors: `missing-program`, `command-failed`. */
export async function listenersInTheWay({ services, stateless }: RoutedPlan): Promise<InTheWay[]> {
  const endpoints: (Endpoint & { readonly protocol: "tcp" | "udp" })[] = [
    ...services,
    ...stateless.filter((service) => service.protocol === "udp"),
  ];
  const protocols = (["tcp", "udp"] as const).filter((one) =>
    endpoints.some(({ protocol }) => protocol === one),
  );
  const found: InTheWay[] = [];
  for (const protocol of protocols) {
    const there = await listeners(protocol);
    for (const endpoint of endpoints.filter((one) => one.protocol === protocol)) {
      const { name, address, port, lastPort = port } = endpoint;
      const taken = there.find((one) => port <= one.port && one.port <= lastPort && hears(one, address));
      if (taken === undefined) continue;
      const of = lastPort === port ? "the port" : `one of the ports ${portsOf(endpoint)}`;
      const what = `a program of this host listens on ${protocol === "udp" ? "UDP " : ""}port ${taken.port} of ${taken.address}, ${of} of service ${name}`;
      found.push({ name, port: taken.port, protocol, what });
    }
  }
  return found;
}
