// Counts the TCP connections of processes, as the kernel tells them. Linux only.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** TCP connections that these processes hold, whoever is at their other end. */
export function connectionsOf(pids: readonly number[]): number {
  const held = new Set<string>();
  for (const pid of pids) {
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode !== undefined) held.add(inode);
    }
  }
  const rows = ['tcp', 'tcp6'].flatMap((table) => readFileSync(`/proc/net/${table}`, 'utf8').trim().split('\n').slice(1));
  return rows.filter((row) => {
    const [, , , state, , , , , , inode] = row.trim().split(/\s+/);
    return state !== '0A' && held.has(inode);
  }).length;
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
