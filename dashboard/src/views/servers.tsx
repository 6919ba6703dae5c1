// The servers: what each holds against its target, and the buttons that kill, start and drain it.
import { command } from '../commands.ts';
import type { ServerFacts, ServerState, Verb } from '../contract.ts';
import { count } from '../format.ts';
import { seriesVariable } from '../palette.ts';
import { link, serverIds, snapshot } from '../state.ts';

/** What each verb needs; what does not apply stays visible and says so, so that nothing jumps and focus is kept. */
const allowed: Readonly<Record<Verb, readonly ServerState[]>> = {
  kill: ['up', 'starting', 'draining'],
  start: ['down'],
  drain: ['up'],
};

const verbs: readonly (readonly [Verb, string])[] = [
  ['kill', 'Kill'],
  ['start', 'Start'],
  ['drain', 'Drain'],
];

export function Servers() {
  const servers = snapshot.value?.servers ?? [];
  // The bars share one scale; room beyond the target lets an even fleet look even, not full.
  const most = servers.reduce((most, server) => Math.max(most, server.connections, (server.target ?? 0) * 1.5), 1);
  return (
    <section class="card servers" aria-labelledby="servers-title">
      <header class="card-head">
        <h2 id="servers-title">Servers</h2>
        <p class="hint">Kill four servers, start them again, and watch.</p>
      </header>
      <ul>
        {servers.map((server) => (
          <Row key={server.id} server={server} most={most} />
        ))}
      </ul>
    </section>
  );
}

function Row({ server, most }: { readonly server: ServerFacts; readonly most: number }) {
  const { id, state, pid } = server;
  const colour = seriesVariable(Math.max(0, serverIds.value.indexOf(id)));
  return (
    <li class={`server ${state}`} data-server={id}>
      <span class="swatch block" style={{ color: colour }} aria-hidden="true" />
      <h3>{id}</h3>
      <span class="state">{state}</span>
      <span class="pid">{pid === null ? '' : `pid ${pid}`}</span>
      <span class="verbs">
        {verbs.map(([verb, name]) => (
          <Button key={verb} server={server} verb={verb} name={name} />
        ))}
      </span>
      <Bar server={server} most={most} colour={colour} />
      <span class="reading">
        <span class="amount">
          <b>{count(server.connections)}</b>
          <span class="of"> / {count(server.target)}</span>
        </span>
        <span class={`rotation ${server.rotation}`}>{rotationWords[server.rotation]}</span>
      </span>
    </li>
  );
}

const rotationWords = { in: 'in rotation', out: 'out of rotation', down: 'not in rotation' } as const;

function Bar({ server, most, colour }: { readonly server: ServerFacts; readonly most: number; readonly colour: string }) {
  const part = (amount: number): string => `${Math.min(100, (100 * amount) / most)}%`;
  return (
    <span
      class="bar"
      role="meter"
      aria-label={`Connections of ${server.id}`}
      aria-valuemin={0}
      aria-valuemax={Math.ceil(most)}
      aria-valuenow={server.connections}
      aria-valuetext={`${count(server.connections)} connections, target ${server.target === null ? 'unknown' : count(server.target)}`}
    >
      <span class="fill" style={{ width: part(server.connections), background: colour }} />
      {server.target !== null && <span class="tick" style={{ left: part(server.target) }} />}
    </span>
  );
}

function Button({ server, verb, name }: { readonly server: ServerFacts; readonly verb: Verb; readonly name: string }) {
  const ready = link.value === 'live' && allowed[verb].includes(server.state);
  return (
    <button
      type="button"
      class={verb}
      aria-label={`${name} ${server.id}`}
      aria-disabled={!ready}
      onClick={() => {
        if (ready) void command(server.id, verb);
      }}
    >
      {name}
    </button>
  );
}
