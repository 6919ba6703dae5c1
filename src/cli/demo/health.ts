// The balancer's health check: asks each server's rotation endpoint twice a second. One failure takes a server out, one
// success brings it in.
import { request } from 'node:http';
import type { Clock, Timer } from '../../core/clock.ts';
import { probePaths } from '../../node/probes.ts';

const EVERY_MS = 500;
const TIMEOUT_MS = 1_000;

export interface Checked {
  readonly port: number;
  passing: boolean;
}

/** Checks now and from now on; `changed` is told after every change. */
export function watchHealth(servers: readonly Checked[], clock: Clock, changed: () => void): Timer {
  const check = (server: Checked): void => {
    void answersWell(server.port, clock).then((passing) => {
      if (server.passing === passing) return;
      server.passing = passing;
      changed();
    });
  };
  const all = (): void => servers.forEach(check);
  all();
  return clock.every(EVERY_MS, all);
}

function answersWell(port: number, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = request({ host: '127.0.0.1', port, path: probePaths.rotation, agent: false });
    const timer = clock.after(TIMEOUT_MS, () => probe.destroy());
    probe.on('response', (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    probe.on('error', () => resolve(false));
    probe.on('close', () => {
      timer.cancel();
      // Destroyed before there was an answer.
      resolve(false);
    });
    probe.end();
  });
}
