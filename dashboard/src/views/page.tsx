// The page: header, what the plan does, figures, charts, servers and the log; notices float above and never push anything.
import { link, log, plan, snapshot } from '../state.ts';
import { clock, count, UNKNOWN } from '../format.ts';
import { keyOf } from '../events.ts';
import { dismiss, notices, setRebalancing, wanted } from '../commands.ts';
import { ConnectionsChart, ImbalanceChart, RatesChart } from './charts.tsx';
import { Figures } from './figures.tsx';
import { Servers } from './servers.tsx';

export function Page() {
  return (
    <>
      <Header />
      <main class={link.value === 'lost' ? 'stale' : ''}>
        <PlanLine />
        <Figures />
        <ConnectionsChart />
        <Servers />
        <ImbalanceChart />
        <RatesChart />
        <Log />
      </main>
      <Notices />
    </>
  );
}

function Header() {
  const now = snapshot.value;
  return (
    <header class="top">
      <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
        <path d="M5 17h22a11 10 0 0 1-22 0z" fill="currentColor" />
        <path d="M4 11h24" stroke="currentColor" stroke-width="2.5" stroke-linecap="round" />
      </svg>
      <h1>Evenkeel</h1>
      <p class="what">{now === null ? 'demo' : `demo · ${now.servers.length} servers · ${count(now.clients)} clients · ${now.protocol}`}</p>
      <Line />
      <Switch />
    </header>
  );
}

const lineWords = { connecting: 'Connecting', live: 'Live', lost: 'Lost' } as const;

function Line() {
  return (
    <p class={`link ${link.value}`} title="The line between this page and the demo">
      <span class="dot" aria-hidden="true" />
      {lineWords[link.value]}
    </p>
  );
}

function Switch() {
  const on = wanted.value ?? snapshot.value?.rebalancing === 'on';
  const ready = link.value === 'live';
  return (
    <button
      type="button"
      class="switch"
      role="switch"
      aria-checked={on}
      aria-label="Rebalancing"
      aria-disabled={!ready}
      onClick={() => {
        if (ready) void setRebalancing(!on);
      }}
    >
      <span aria-hidden="true">Rebalancing</span>
      <span class="track" aria-hidden="true">
        <span class="thumb" />
      </span>
      <span class="on-off" aria-hidden="true">
        {snapshot.value === null ? UNKNOWN : on ? 'on' : 'off'}
      </span>
    </button>
  );
}

function PlanLine() {
  const { mood, state, detail, spoken } = plan.value;
  const now = snapshot.value;
  return (
    <section class={`card plan ${mood}`} aria-label="Plan">
      <p class="plan-words">
        <span class="dot" aria-hidden="true" />
        <strong>
          {state}
          {mood === 'moving' ? '' : ':'}
        </strong>
        <span class="plan-detail">{detail}</span>
      </p>
      <p class="unseen" role="status">
        {spoken}
      </p>
      <p class="who">
        {now === null ? (
          ''
        ) : now.coordinator === null ? (
          'nobody coordinates'
        ) : (
          <>
            <b>{now.coordinator}</b> coordinates
          </>
        )}
      </p>
      <p class="age">
        running <b>{clock(now?.t ?? 0)}</b>
      </p>
    </section>
  );
}

function Log() {
  return (
    <section class="card log" aria-labelledby="log-title">
      <header class="card-head">
        <h2 id="log-title">Events</h2>
        <p class="aside">newest first</p>
      </header>
      {/* Scrolls, so the keyboard must reach it. Not read aloud: the plan's state is, and both would be too much. */}
      <ol tabIndex={0} aria-labelledby="log-title">
        {log.value.map((entry) => (
          <li key={keyOf(entry)}>
            <time>{clock(entry.t)}</time>
            <span>{entry.text}</span>
          </li>
        ))}
        {log.value.length === 0 && <li class="empty">Nothing has happened yet.</li>}
      </ol>
    </section>
  );
}

function Notices() {
  return (
    <div class="notices">
      <div role="status">
        {link.value === 'lost' && (
          <p class="notice lost">
            <span class="dot" aria-hidden="true" />
            <span>
              <strong>Connection to the demo lost.</strong> The figures are the last ones known. Trying again every second.
            </span>
          </p>
        )}
      </div>
      <div role="alert">
        {notices.value.map((notice) => (
          <p class="notice" key={notice.id}>
            <span>{notice.text}</span>
            <button type="button" class="quiet" aria-label="Dismiss" onClick={() => dismiss(notice.id)}>
              ×
            </button>
          </p>
        ))}
      </div>
    </div>
  );
}
