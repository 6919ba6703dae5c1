// Says whether presence is what it should be once everything is quiet: whoever is there is named, once, and nobody else.

/** Names of who is on a topic: as they know themselves, as each of many was answered, and as each of some made it up from joins and leaves. */
export interface Attendance {
  readonly here: readonly string[];
  readonly answered: readonly (readonly string[])[];
  readonly followed: readonly (readonly string[])[];
}

/** Differences, summed over all who asked or followed. `ghosts`: named, but not there, or named twice. */
export interface AttendanceVerdict {
  readonly here: number;
  readonly missing: number;
  readonly ghosts: number;
  readonly followedMissing: number;
  readonly followedGhosts: number;
}

export function judgeAttendance({ here, answered, followed }: Attendance): AttendanceVerdict {
  const [asked, told] = [answered, followed].map((lists) => {
    const of = lists.map((names) => differences(new Set(here), names));
    return { missing: sum(of.map(({ missing }) => missing)), ghosts: sum(of.map(({ ghosts }) => ghosts)) };
  });
  return { here: here.length, ...asked, followedMissing: told.missing, followedGhosts: told.ghosts };
}

function differences(here: ReadonlySet<string>, names: readonly string[]): { missing: number; ghosts: number } {
  const right = new Set(names.filter((name) => here.has(name)));
  return { missing: here.size - right.size, ghosts: names.length - right.size };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
