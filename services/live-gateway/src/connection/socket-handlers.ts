import type { WebSocket, WebSocketBehavior } from 'uWebSockets.js';
import { maxMessageBytes } from '@app/shared/protocol';
import type { Viewer } from '../access/visitor.ts';
import { guardClient } from './client-errors.ts';
import type { ReportClientError } from './client-errors.ts';
import { closeReasons } from './close-reasons.ts';
import { Connection } from './connection.ts';
import type { ConnectionLimits } from './connection.ts';
import type { Traffic } from './traffic.ts';

/** The user data of a socket. uWebSockets.js creates the socket before its `Connection` exists. */
export interface SocketData {
  readonly viewer: Viewer;
  readonly isBatched: boolean;
  /** Undefined until the open handler has run. */
  link: Link | undefined;
}

interface Link {
  readonly connection: Connection;
  readonly client: ClientHandlers;
}

export interface ClientHandlers {
  readonly onMessage: (frame: string) => void;
  readonly onClosed: () => void;
}

/**
 * uWebSockets.js terminates a connection with a longer message, without a close frame. Above the protocol's own limit,
 * so that a slightly longer message gets a close code.
 */
const maxPayloadBytes = 4 * maxMessageBytes;

/** Backpressure allowed above the high-water mark: one snapshot frame and the writes until the next check. */
const backpressureMarginBytes = 256 * 1024;

/** The uWebSockets.js handlers; each calls a `Connection` or its client. */
export function createSocketHandlers(options: {
  readonly onOpen: (connection: Connection) => ClientHandlers;
  readonly limits: ConnectionLimits;
  readonly traffic: Traffic;
  readonly onError: ReportClientError;
  /** The run clock. */
  readonly nowMs: () => number;
}): Omit<WebSocketBehavior<SocketData>, 'upgrade'> {
  const { limits, traffic, onError, nowMs } = options;
  return {
    maxPayloadLength: maxPayloadBytes,
    maxBackpressure: limits.highWaterBytes + backpressureMarginBytes,
    // The gateway sends its own pings: see `sweepConnections`.
    idleTimeout: 0,
    sendPingsAutomatically: false,
    open: (socket) => {
      const data = socket.getUserData();
      const { viewer, isBatched } = data;
      const connection = new Connection({ socket, viewer, isBatched, limits, traffic, onError, nowMs });
      const client = options.onOpen(connection);
      // If `onOpen` closed the connection, the close handler has run before there was a link.
      if (connection.isOpen) data.link = { connection, client };
      else client.onClosed();
    },
    message: (socket, message, isBinary) => {
      const link = noteActivity(socket);
      if (link === undefined || !link.connection.isOpen) return;
      if (isBinary || message.byteLength > maxMessageBytes) {
        link.connection.end(isBinary ? closeReasons.binaryMessage : closeReasons.messageTooLong);
        return;
      }
      // Decoded now: the buffer is invalid after this handler returns.
      const frame = Buffer.from(message).toString('utf8');
      guardClient(link.connection, 'receive', () => link.client.onMessage(frame));
    },
    pong: (socket, message) => {
      // The payload is the ping's number. NaN, from a client's own payload, matches no ping.
      const connection = noteActivity(socket)?.connection;
      const pingNumber = Number(Buffer.from(message).toString('latin1'));
      if (connection !== undefined) guardClient(connection, 'receive', () => connection.notePong(pingNumber));
    },
    drain: (socket) => {
      const connection = socket.getUserData().link?.connection;
      if (connection !== undefined) guardClient(connection, 'receive', () => connection.noteDrained());
    },
    dropped: (socket) => {
      // A dropped close frame does not count: its connection is no longer open.
      if (socket.getUserData().link?.connection.isOpen === true) traffic.onDropped();
    },
    close: (socket, code) => {
      const { link } = socket.getUserData();
      link?.connection.noteClosed();
      traffic.onClosed(code);
      link?.client.onClosed();
    },
  };
}

function noteActivity(socket: WebSocket<SocketData>): Link | undefined {
  const { link } = socket.getUserData();
  link?.connection.noteActivity();
  return link;
}
