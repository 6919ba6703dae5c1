// The big figures on top. Failed requests stand out: the promise is that rebalancing adds none.
import type { ComponentChildren } from 'preact';
import { EVEN_THRESHOLD, type Snapshot } from '../contract.ts';
import { count, rate, ratio, UNKNOWN } from '../format.ts';
import { sampled, samples, snapshot } from '../state.ts';

export function Figures() {
  const now = snapshot.value;
  const up = now?.servers.filter((server) => server.state === 'up').length;
  return (
    <section class="figures" aria-label="Figures">
      <Figure name="Imbalance" note={evenness(now)} id="imbalance">
        {ratio(now?.imbalance)}
      </Figure>
      <Figure name="Servers up" note={otherStates(now)} id="up">
        {count(up)}
        <span class="of"> / {count(now?.servers.length)}</span>
      </Figure>
      <Figure name="Clients connected" note={now === null ? UNKNOWN : missing(now)} id="connected">
        {count(now?.connected)}
      </Figure>
      <Figure name="Moves" note={now === null ? UNKNOWN : `${rate(now.movesPerS)}/s now, ${count(now.bounces)} bounced`} id="moves">
        {count(now?.moves)}
      </Figure>
      <Figure name="Requests/s" note={now === null ? UNKNOWN : `${count(now.requests)} so far`} id="requests">
        {count(now?.requestsPerS)}
      </Figure>
      <Failed now={now} />
    </section>
  );
}

function Failed({ now }: { readonly now: Snapshot | null }) {
  void sampled.value;
  const { mood, note } = failures(now);
  return (
    <Figure name="Failed requests" note={note} id="failed" mood={mood}>
      {count(now?.failedRequests)}
    </Figure>
  );
}

/** A killed server cuts what it was answering, and no balancing can help that; any other failure breaks the promise. */
function failures(now: Snapshot | null): { mood: string; note: string } {
  if (now === null) return { mood: '', note: UNKNOWN };
  if (now.failedRequests === 0) return { mood: 'good', note: 'not one so far' };
  if (samples.failedOtherwise > 0) return { mood: 'bad', note: `${count(samples.failedOtherwise)} of them with no server killed` };
  return { mood: 'calm', note: samples.failedByDeath === now.failedRequests ? 'all when servers were killed' : 'none that this page saw' };
}

interface FigureProps {
  readonly name: string;
  readonly note: string;
  readonly id: string;
  readonly mood?: string;
  readonly children: ComponentChildren;
}

function Figure({ name, note, id, mood = '', children }: FigureProps) {
  return (
    <dl class={`card figure ${mood}`} data-figure={id}>
      <dt>{name}</dt>
      <dd class="value">{children}</dd>
      <dd class="note" title={note}>
        {note}
      </dd>
    </dl>
  );
}

function evenness(now: Snapshot | null): string {
  if (now === null || now.imbalance === null) return UNKNOWN;
  return now.imbalance <= EVEN_THRESHOLD ? 'even' : `even is up to ${EVEN_THRESHOLD}`;
}

function otherStates(now: Snapshot | null): string {
  if (now === null) return UNKNOWN;
  const parts = (['down', 'starting', 'draining'] as const).flatMap((state) => {
    const many = now.servers.filter((server) => server.state === state).length;
    return many === 0 ? [] : [`${many} ${state}`];
  });
  return parts.length === 0 ? 'all of them' : parts.join(', ');
}

function missing(now: Snapshot): string {
  return now.connected >= now.clients ? `all of ${count(now.clients)}` : `of ${count(now.clients)}`;
}
