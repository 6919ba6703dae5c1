// What a gateway's processes are told to serve: its settings, where they came from, and how it is run.
import { readGatewayFile } from '../../gateway/config/index.ts';
import { settingsFromFlags, type GatewayFlags } from '../../gateway/config/flags.ts';
import type { GatewaySettings } from '../../gateway/settings.ts';
import type { LogLevel } from '../../host/log.ts';

export type ConfigurationSource = { readonly kind: 'file'; readonly path: string } | { readonly kind: 'flags'; readonly flags: GatewayFlags };

export interface Configuration {
  readonly settings: GatewaySettings;
  readonly source: ConfigurationSource;
  readonly log: LogLevel;
  readonly workers: number;
}

/** Throws EVENKEEL_BAD_CONFIG or EVENKEEL_BAD_OPTION. */
export function readSettings(source: ConfigurationSource): GatewaySettings {
  return source.kind === 'file' ? readGatewayFile(source.path) : settingsFromFlags(source.flags);
}

/** What a gateway says once it listens: the JSON of the command. */
export interface ListeningFacts {
  readonly listeners: readonly { readonly listen: string; readonly protocol: 'http' | 'tcp' }[];
  /** Where the admin API answers; null: nowhere. */
  readonly admin: string | null;
}
