// Where the processes of one machine meet: a directory that only its owner can enter, the secret in it, and the socket.
// The socket's name is the right to host: on Linux an abstract name, which the kernel frees when its holder dies;
// elsewhere a socket file, which the next host replaces when nobody answers there.
import { closeSync, linkSync, lstatSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { EvenkeelError } from '../core/errors.ts';
import { freshName } from '../host/random.ts';
import { bad } from './bounds.ts';

export interface Place {
  readonly secret: string;
  /** What guests connect to. */
  readonly socketPath: string;
  /** Null for an abstract name, which no other process can take while its holder lives. */
  readonly file: SocketFile | null;
}

export interface PlaceOptions {
  readonly name: string;
  /** Default: the system's directory for temporary files. All processes that are to meet must name the same one. */
  readonly directory?: string;
  /** Default: `abstract` on Linux, else `file`. */
  readonly socket?: 'abstract' | 'file';
}

/** Longest path that a socket file may have: the smallest sun_path there is (macOS: 104 bytes with the final zero). */
const SOCKET_PATH_BYTES = 103;

/** Finds the place, or makes it. Throws EVENKEEL_BAD_OPTION when the name is none, or the place is not safe. */
export function findPlace(options: PlaceOptions): Place {
  const { name, directory = tmpdir(), socket = process.platform === 'linux' ? 'abstract' : 'file' } = options;
  if (process.platform === 'win32') throw bad("the engine 'local'", 'needs Linux or macOS', 'Windows');
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(name)) throw bad('the name of a local engine', 'must be 1 to 64 of A-Z a-z 0-9 . _ -', name);
  const { uid } = userInfo();
  const own = join(directory, `evenkeel-${uid}`);
  ownDirectory(own, uid);
  // One for all names: it keeps other users out, and names that are used once leave nothing behind.
  const secret = ownSecret(join(own, 'secret'), uid);
  if (socket === 'abstract') return { secret, socketPath: `\0evenkeel-${uid}-${name}`, file: null };
  const socketPath = join(own, `${name}.sock`);
  const file = new SocketFile(socketPath);
  if (Buffer.byteLength(file.freshPath) > SOCKET_PATH_BYTES)
    throw bad('directory', `must leave the path of the socket within ${SOCKET_PATH_BYTES} bytes`, file.freshPath);
  return { secret, socketPath, file };
}

function ownDirectory(path: string, uid: number): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw new EvenkeelError('EVENKEEL_BAD_OPTION', `directory ${path} cannot be made: ${codeOf(error)}`, error);
  }
  const stat = lstatSync(path);
  const safe = stat.isDirectory() && stat.uid === uid && (stat.mode & 0o077) === 0;
  if (!safe) throw unsafe(path, `a directory of user ${uid} with mode 0700`, stat);
}

/** The secret in the file; made when there is none. Linked into place whole, so that nobody reads half of one. */
function ownSecret(path: string, uid: number): string {
  const fresh = `${path}.${freshName()}`;
  writeFileSync(fresh, freshName() + freshName(), { mode: 0o600, flag: 'wx' });
  try {
    linkSync(fresh, path);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw new EvenkeelError('EVENKEEL_BAD_OPTION', `secret ${path} cannot be made: ${codeOf(error)}`, error);
  } finally {
    rmSync(fresh, { force: true });
  }
  const stat = lstatSync(path);
  if (!stat.isFile() || stat.uid !== uid || (stat.mode & 0o077) !== 0) throw unsafe(path, `a file of user ${uid} with mode 0600`, stat);
  const secret = readFileSync(path, 'utf8').trim();
  if (secret.length < 32 || secret.length > 1_024) throw bad(`secret ${path}`, 'must have 32 to 1024 characters', `${secret.length}`);
  return secret;
}

function unsafe(path: string, rule: string, stat: { readonly uid: number; readonly mode: number }): EvenkeelError {
  return bad(path, `must be ${rule}`, `user ${stat.uid}, mode 0${(stat.mode & 0o7777).toString(8)}`);
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}

/** A lock older than this was left behind by a process that died while it held it: nobody needs it for longer. */
const LOCK_STALE_MS = 5_000;

/**
 * The right to host as a socket file. A host listens on a path of its own and renames that onto the common one, under a
 * lock that is held for an instant. Should two hosts come through all the same, the file is whose inode it is, and the
 * other one finds out by `isOurs` and steps down.
 */
class SocketFile {
  /** What a host listens on before it takes the common path. Closing a server removes its path: never the common one. */
  readonly freshPath: string;
  readonly #path: string;
  #inode: number | null = null;

  constructor(path: string) {
    this.#path = path;
    this.freshPath = `${path}.${freshName().slice(0, 8)}`;
  }

  /** Takes the common path for the server that listens on `freshPath`, unless `isTaken` says no. False when not. */
  async take(isTaken: () => Promise<boolean>, wallTime: number): Promise<boolean> {
    const lock = `${this.#path}.lock`;
    if (!lockedAt(lock, wallTime)) return false;
    try {
      if (await isTaken()) return false;
      renameSync(this.freshPath, this.#path);
      this.#inode = statSync(this.#path).ino;
      return true;
    } finally {
      rmSync(lock, { force: true });
    }
  }

  isOurs(): boolean {
    return this.#inode !== null && statSync(this.#path, { throwIfNoEntry: false })?.ino === this.#inode;
  }

  /** Removes the common path if it is still ours. */
  giveUp(): void {
    if (this.isOurs()) rmSync(this.#path, { force: true });
    this.#inode = null;
  }
}

function lockedAt(lock: string, wallTime: number): boolean {
  try {
    closeSync(openSync(lock, 'wx', 0o600));
    return true;
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw new EvenkeelError('EVENKEEL_ENGINE_UNREACHABLE', `lock ${lock}: ${codeOf(error)}`, error);
  }
  const stat = statSync(lock, { throwIfNoEntry: false });
  if (stat !== undefined && Math.abs(wallTime - stat.mtimeMs) > LOCK_STALE_MS) rmSync(lock, { force: true });
  // Somebody else is at it, or was: the next attempt sees what came of it.
  return false;
}
