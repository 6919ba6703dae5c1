// A file of upstreams, read again whenever it changes: written in place, replaced by a rename, or behind a link that is moved (as
// Kubernetes does with a ConfigMap). What cannot be read, or is wrong, leaves the last good list in force.
import { readFileSync, statSync, watch, type FSWatcher } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock } from '../../../core/clock.ts';
import type { Log } from '../../../core/log.ts';
import { readUpstreams } from './upstream-file.ts';
import type { Deliver, Source } from './source.ts';

/** Where the system tells nothing of changes (network file systems), the file is looked at this often. */
const LOOK_MS = 2_000;
/** A change comes as several events, and maybe in several writes. */
const SETTLE_MS = 50;
const MOST_BYTES = 4_194_304;

export interface FilePorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly group: string;
}

export function fileSource(path: string, deliver: Deliver, { clock, log, group }: FilePorts): Source {
  let last: string | null = null;
  let mistake: string | null = null;
  let settling = false;
  let seen = '';

  const look = (told: boolean): void => {
    try {
      const { ino, size, mtimeMs } = statSync(path);
      const now = `${ino} ${size} ${mtimeMs}`;
      if (!told && now === seen) return;
      seen = now;
      if (size > MOST_BYTES) throw new Error(`it must have at most ${MOST_BYTES} bytes, got ${size}`);
      const text = readFileSync(path, 'utf8');
      if (text === last && mistake === null) return;
      const listed = readUpstreams(text);
      if (mistake !== null) log.info({ group, path }, 'the file of upstreams is good again');
      mistake = null;
      if (text === last) return;
      last = text;
      deliver(listed);
    } catch (error) {
      const { message } = error as Error;
      if (message !== mistake) log.error({ group, path }, `${path}: ${message}; the last good list holds`);
      mistake = message;
      if ((error as NodeJS.ErrnoException).code !== undefined) seen = '';
    }
  };

  const soon = (): void => {
    if (settling) return;
    settling = true;
    settle = clock.after(SETTLE_MS, () => {
      settling = false;
      look(true);
    });
  };
  let settle = clock.after(0, () => {});
  const looks = clock.every(LOOK_MS, () => look(false));
  const watcher = watchFolder(dirname(path), soon, log);
  look(true);
  return {
    close() {
      settle.cancel();
      looks.cancel();
      watcher?.close();
    },
  };
}

/** The folder and not the file: a watch of a file stays with what was there when it began. null: it cannot be watched. */
function watchFolder(folder: string, changed: () => void, log: Log): FSWatcher | null {
  try {
    const watcher = watch(folder, { persistent: false }, changed);
    watcher.on('error', (error) => log.debug({ err: error, folder }, 'the folder cannot be watched any more: the file is looked at by the clock'));
    return watcher;
  } catch (error) {
    log.debug({ err: error, folder }, 'the folder cannot be watched: the file is looked at by the clock');
    return null;
  }
}
