import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { deflateRawSync } from 'node:zlib';
import { deflatedFrame, subprotocol } from '@app/shared/protocol';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import { ModelSession } from './model-gateway.ts';
import type { ModelGateway } from './model-gateway.ts';

export interface ModelServer extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
  readonly wsUrl: string;
  /** All connections, oldest first, including closed ones. */
  readonly sessions: readonly ModelSession[];
  /** `Sec-WebSocket-Protocol` of each upgrade request, including rejected ones. */
  readonly attempts: readonly string[];
  /** The status with which upgrades are rejected; undefined to accept them. */
  refuseWith: number | undefined;
  /** Whether to send `positions` in deflated frames. */
  isDeflating: boolean;
  /** Whether to send no frames. */
  isSilent: boolean;
  closeAll(code: number, reason?: string): void;
  /** Ends every connection without a close frame. */
  terminateAll(): void;
}

/** `ModelGateway` behind real sockets; flushes every 5 ms and serves pages. */
export async function startModelServer(
  gateway: ModelGateway,
  onRequest: (request: IncomingMessage, response: ServerResponse) => void = (_, response) =>
    response.writeHead(404).end(),
): Promise<ModelServer> {
  const http = createServer(onRequest);
  const sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => (offered.has(subprotocol) ? subprotocol : false),
  });
  const sessions: ModelSession[] = [];
  const attempts: string[] = [];
  const open = new Set<WebSocket>();
  const flushing = setInterval(() => {
    for (const session of gateway.sessions) while (session.flush()) continue;
  }, 5);

  http.on('upgrade', (request, socket, head) => {
    attempts.push(request.headers['sec-websocket-protocol'] ?? '');
    if (server.refuseWith !== undefined) {
      socket.end(`HTTP/1.1 ${server.refuseWith} No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (accepted) => {
      open.add(accepted);
      const session = new ModelSession(gateway, (data) => {
        if (server.isSilent) return;
        const isDeflated = server.isDeflating && data.includes('"type":"positions"');
        for (const frame of isDeflated ? deflatedFrames(data) : [data]) accepted.send(frame);
      });
      sessions.push(session);
      accepted.on('message', (data) => {
        if (Buffer.isBuffer(data)) session.receive(data.toString());
      });
      accepted.once('close', () => {
        open.delete(accepted);
        session.close();
      });
    });
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const { port } = addressOf(http.address());

  const server: ModelServer = {
    origin: `http://127.0.0.1:${port}`,
    wsUrl: `ws://127.0.0.1:${port}/ws-live`,
    sessions,
    attempts,
    refuseWith: undefined,
    isSilent: false,
    isDeflating: false,
    closeAll: (code, reason = '') => {
      for (const socket of open) socket.close(code, reason);
    },
    terminateAll: () => {
      for (const socket of open) socket.terminate();
    },
    [Symbol.asyncDispose]: async () => {
      clearInterval(flushing);
      server.terminateAll();
      const closed = once(http, 'close');
      http.close();
      http.closeAllConnections();
      await closed;
    },
  };
  return server;
}

/** A dictionary, and the message that needs it. */
function deflatedFrames(message: string): readonly Buffer[] {
  const dictionary = Buffer.from(message.slice(0, 60));
  return [
    Buffer.concat([Buffer.from([deflatedFrame.dictionaryKind, 0, 0, 0, 7]), deflateRawSync(dictionary)]),
    Buffer.concat([
      Buffer.from([deflatedFrame.messageKind, 0, 0, 0, 7]),
      deflateRawSync(message, { dictionary }),
    ]),
  ];
}

function addressOf(address: AddressInfo | string | null): AddressInfo {
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address;
}
