// How many connections this machine lets one process hold: its limit of open files, and the ports for outgoing connections.
import { readFileSync } from 'node:fs';

/** Open files that one process may have; null where the system does not say. Node raises its soft limit to the hard one. */
export function fileLimit(): number | null {
  const line = /^Max open files\s+(\S+)/m.exec(readFile('/proc/self/limits'));
  if (line === null) return null;
  return line[1] === 'unlimited' ? Infinity : Number(line[1]);
}

/** Connections that may be open to one address and port at a time; null where the system does not say. */
export function outgoingPorts(): number | null {
  const [low, high] = readFile('/proc/sys/net/ipv4/ip_local_port_range').split(/\s+/).map(Number);
  return low > 0 && high >= low ? high - low + 1 : null;
}

/** Empty where there is no such file: other systems have no /proc. */
function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
