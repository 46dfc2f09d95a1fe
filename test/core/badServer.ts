import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** One request as a test sees it. */
export interface Seen {
  readonly path: string;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
  readonly headers: IncomingMessage['headers'];
}

export type Handler = (request: IncomingMessage, response: ServerResponse, index: number) => void;

/** A local http server whose answers a test chooses, also wrong ones. */
export class BadServer {
  readonly seen: Seen[] = [];
  handler: Handler = (_request, response) => response.writeHead(404).end();
  private readonly sockets = new Set<Socket>();

  private constructor(readonly server: Server) {
    server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
      socket.on('error', () => {}); // a client that leaves is no fault of the server
    });
  }

  static async start(): Promise<BadServer> {
    const server = createServer((request, response) => {
      const { range, 'if-range': ifRange } = request.headers;
      self.seen.push({
        path: request.url ?? '',
        range,
        ifRange: ifRange as string | undefined,
        headers: request.headers,
      });
      self.handler(request, response, self.seen.length - 1);
    });
    const self = new BadServer(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return self;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** First byte asked for, or null where the whole file is. */
export function rangeStart(request: IncomingMessage): number | null {
  const match = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
  return match === null ? null : Number(match[1]);
}

export interface ServeOptions {
  readonly etag?: string;
  /** Bytes after which the connection is cut in each answer. */
  readonly cutAfter?: number;
  readonly ignoreRange?: boolean;
}

/** Answers as a good server does, ranges and validators included; with the faults that are asked for. */
export function serve(
  content: Uint8Array,
  request: IncomingMessage,
  response: ServerResponse,
  { etag, cutAfter, ignoreRange = false }: ServeOptions = {},
): void {
  const wanted = ignoreRange ? null : rangeStart(request);
  const condition = request.headers['if-range'];
  const start = wanted !== null && (condition === undefined || condition === etag) ? wanted : null;
  if (start !== null && start >= content.length) {
    response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end();
    return;
  }
  const body = content.subarray(start ?? 0);
  const headers: Record<string, string | number> = {
    'content-type': 'application/octet-stream',
    'content-length': body.length,
    ...(etag === undefined ? {} : { etag }),
  };
  if (start !== null) headers['content-range'] = `bytes ${start}-${content.length - 1}/${content.length}`;
  response.writeHead(start === null ? 200 : 206, headers);
  if (cutAfter !== undefined && cutAfter < body.length) {
    response.write(body.subarray(0, cutAfter), () => setTimeout(() => response.destroy(), 5));
    return;
  }
  response.end(body);
}
