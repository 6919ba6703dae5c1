// What Kubernetes tells the pod that this process runs in: where its API server is, and who the pod is there.
import { readFileSync } from 'node:fs';

export interface Pod {
  /** Base URL of the API server; null outside a pod. */
  readonly api: string | null;
  /** The token of the service account as it is now: it is replaced every hour or so. null: there is none. */
  token(): string | null;
  /** PEM text of who signed the API server's certificate; null: there is none. */
  ca(): string | null;
}

/** Where every pod finds its service account. */
const FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

export function podOf(environment: NodeJS.ProcessEnv = process.env, folder: string = FOLDER): Pod {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = environment;
  const bracketed = host?.includes(':') === true ? `[${host}]` : host;
  return {
    api: bracketed === undefined ? null : `https://${bracketed}:${port ?? 443}`,
    token: () => readIfThere(`${folder}/token`),
    ca: () => readIfThere(`${folder}/ca.crt`),
  };
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}
