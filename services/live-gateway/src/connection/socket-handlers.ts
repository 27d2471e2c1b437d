import type { WebSocket, WebSocketBehavior } from 'uWebSockets.js';
import { maxMessageBytes } from '@app/shared/protocol';
import { closeReasons } from './close-reasons.ts';
import type { Viewer } from '../access/visitor.ts';
import { Connection } from './connection.ts';
import type { ConnectionLimits } from './connection.ts';
import type { Traffic } from './traffic.ts';

/** What belongs to a socket. uWebSockets.js makes a socket before there is a `Connection` for it. */
export interface SocketData {
  readonly viewer: Viewer;
  readonly isBatched: boolean;
  link: Link | undefined;
}

interface Link {
  readonly connection: Connection;
  readonly client: ClientHandlers;
}

/** Whoever listens to a connection. */
export interface ClientHandlers {
  readonly onMessage: (text: string) => void;
  readonly onClosed: () => void;
}

/**
 * uWebSockets.js cuts whoever sends more than this, without a close frame. It is above the protocol's own limit, so
 * that a message a little too long gets a close code that says why.
 */
const maxPayloadBytes = 4 * maxMessageBytes;

/** Room above the high-water mark for one round of writes: a snapshot's frame and what follows until the next look. */
const backpressureRoomBytes = 256 * 1024;

/** The handlers that uWebSockets.js calls, each turned into a call on a `Connection` or on its client. */
export function createSocketHandlers(options: {
  readonly onOpen: (connection: Connection) => ClientHandlers;
  readonly limits: ConnectionLimits;
  readonly traffic: Traffic;
  readonly nowMs: () => number;
}): Omit<WebSocketBehavior<SocketData>, 'upgrade'> {
  const { limits, traffic, nowMs } = options;
  return {
    maxPayloadLength: maxPayloadBytes,
    maxBackpressure: limits.highWaterBytes + backpressureRoomBytes,
    // Own pings: see `sweepConnections`.
    idleTimeout: 0,
    sendPingsAutomatically: false,
    open: (socket) => {
      const data = socket.getUserData();
      const { viewer, isBatched } = data;
      const connection = new Connection({ socket, viewer, isBatched, limits, traffic, nowMs });
      const client = options.onOpen(connection);
      // Closed by the one who was told of it: the close handler has found nobody to tell.
      if (connection.isOpen) data.link = { connection, client };
      else client.onClosed();
    },
    message: (socket, message, isBinary) => {
      const link = heard(socket);
      if (link === undefined || !link.connection.isOpen) return;
      if (isBinary || message.byteLength > maxMessageBytes) {
        link.connection.end(isBinary ? closeReasons.binaryMessage : closeReasons.messageTooLong);
        return;
      }
      // Decoded at once: the buffer is void as soon as this returns.
      link.client.onMessage(Buffer.from(message).toString('utf8'));
    },
    pong: (socket, message) => {
      // The number of the ping; what is none is in no list.
      heard(socket)?.connection.notePong(Number(Buffer.from(message).toString('latin1')));
    },
    drain: (socket) => socket.getUserData().link?.connection.noteDrained(),
    dropped: (socket) => {
      // A close frame that did not fit is no loss to count: its connection is no longer open.
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

function heard(socket: WebSocket<SocketData>): Link | undefined {
  const { link } = socket.getUserData();
  link?.connection.noteActivity();
  return link;
}
