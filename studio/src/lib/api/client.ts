/** A small client of the public API; every failure becomes an `ApiError` with the service's own sentence. */
import type { FieldProblem } from './types';

export const BASE = '/api/v1';

export class ApiError extends Error {
  constructor(
    message: string,
    /** 0 where no answer came at all. */
    readonly status: number,
    readonly problems: FieldProblem[] = [],
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

interface Options {
  query?: Record<string, string | number | boolean | null | undefined>;
  json?: unknown;
  form?: FormData;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** Called when the service asks for a key; set by the session. */
export const onKeyNeeded: { handle: () => void } = { handle: () => undefined };

export async function request<T>(method: string, path: string, options: Options = {}): Promise<T> {
  const { response, text } = await send(method, path, options);
  const body = parsed(text);
  if (!response.ok) throw problem(response.status, body);
  return body as T;
}

export const get = <T>(path: string, query?: Options['query'], signal?: AbortSignal) =>
  request<T>('GET', path, { query, signal });
export const post = <T>(path: string, json?: unknown, headers?: Record<string, string>) =>
  request<T>('POST', path, { json, headers });

/** An address of the API with its query; what is null or undefined is left out. */
export function address(path: string, query: Options['query'] = {}): string {
  const pairs = Object.entries(query).filter(
    ([, value]) => value !== null && value !== undefined && value !== '',
  );
  const search = new URLSearchParams(pairs.map(([name, value]) => [name, String(value)])).toString();
  const base = path.startsWith('/') && path.startsWith(BASE) ? path : BASE + path;
  return search ? `${base}${base.includes('?') ? '&' : '?'}${search}` : base;
}

export async function text(path: string): Promise<string> {
  const { response, text } = await send('GET', path, {});
  if (!response.ok) throw problem(response.status, parsed(text));
  return text;
}

async function send(method: string, path: string, options: Options) {
  const headers: Record<string, string> = { Accept: 'application/json', ...options.headers };
  let body: BodyInit | undefined = options.form;
  if (options.json !== undefined) {
    headers['Content-Type'] = 'application/json';
    body = JSON.stringify(options.json);
  }
  try {
    const response = await fetch(address(path, options.query), {
      method,
      headers,
      body,
      signal: options.signal,
      credentials: 'same-origin',
    });
    return { response, text: await response.text() };
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError('', 0);
  }
}

function parsed(text: string): unknown {
  try {
    return text ? JSON.parse(text) : undefined;
  } catch {
    return undefined;
  }
}

function problem(status: number, body: unknown): ApiError {
  if (status === 401) onKeyNeeded.handle();
  const { detail, title, errors } = (body ?? {}) as {
    detail?: unknown;
    title?: unknown;
    errors?: FieldProblem[];
  };
  const sentence = [detail, title].find((part) => typeof part === 'string' && part) as string | undefined;
  return new ApiError(sentence ?? `HTTP ${status}`, status, Array.isArray(errors) ? errors : []);
}
