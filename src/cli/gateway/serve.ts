// One process of the gateway's command: opens the gateway and its admin API as the supervisor says, and closes both.
import { serveAdmin, type Admin } from '../../admin/index.ts';
import { showAddress } from '../../core/address.ts';
import { Gateway } from '../../gateway/gateway.ts';
import type { AdminSettings } from '../../gateway/settings.ts';
import { afterThis, realClock } from '../../host/clock.ts';
import { realFetch } from '../../host/fetch.ts';
import { loadSampler } from '../../host/load.ts';
import { lineLog } from '../../host/log.ts';
import { freshName, realRandom } from '../../host/random.ts';
import { openTier } from '../../tier/tier.ts';
import { readSettings, type Configuration, type ListeningFacts } from './configuration.ts';
import { runWorker, type Opened, type RunningGateway } from './worker.ts';

runWorker<Configuration>(async (configuration, { slot, ticketKeys }) => {
  const gateway = await openGateway(configuration, ticketKeys);
  try {
    const admin = await openAdmin(gateway, configuration.settings.admin, slot);
    const listeners = gateway.listening.map(({ listen, protocol }) => ({ listen: showAddress(listen), protocol }));
    const facts: ListeningFacts = { listeners, admin: admin?.address ?? null };
    return { gateway: running(gateway, admin), facts } satisfies Opened<Configuration>;
  } catch (error) {
    await gateway.close();
    throw error;
  }
});

async function openGateway({ settings, source, log: level, workers }: Configuration, ticketKeys: () => Buffer): Promise<Gateway> {
  const log = lineLog(level);
  const gateway = await Gateway.open(settings, {
    clock: realClock,
    random: realRandom,
    log,
    incarnation: freshName(),
    sampler: loadSampler(),
    fetch: realFetch,
    ticketKeys,
    reload:
      source.kind === 'flags'
        ? null
        : () =>
            new Promise((resolve) => {
              // What is wrong is told to whoever asked; what is right concerns all processes.
              readSettings(source);
              process.kill(process.ppid, 'SIGHUP');
              resolve();
            }),
    openTier: (tier, node) => openTier(tier, { node, clock: realClock, log, fetch: realFetch, freshName, defer: afterThis }),
  });
  gateway.node.onDrain((what) => {
    // An operator emptied it for good. One of several is replaced when it ends; the only one takes the command with it.
    if (what === 'done' && gateway.node.exitsAfterDrain) process.kill(workers === 1 ? process.ppid : process.pid, 'SIGTERM');
  });
  return gateway;
}

/** Each process has its own, at the next port: what it shows and commands is its own. */
async function openAdmin(gateway: Gateway, settings: AdminSettings | null, slot: number): Promise<Admin | null> {
  if (settings === null) return null;
  const { listen, token } = settings;
  const port = listen.port === 0 ? 0 : listen.port + slot;
  return await serveAdmin(gateway, { host: listen.host, port, ...(token === null ? {} : { token }) });
}

function running(gateway: Gateway, admin: Admin | null): RunningGateway<Configuration> {
  return {
    reload: ({ settings }) => gateway.reload(settings),
    drain: async (atOnce) => {
      // The next process has its own on the same address by now.
      if (atOnce) await admin?.close();
      await gateway.drain(atOnce);
    },
    close: async () => {
      await admin?.close();
      await gateway.close();
    },
  };
}
