import { type RawData, WebSocket } from 'ws';

/** Whom a websocket tells what happens to it. */
export interface WebSocketOwner {
  /** A whole message has come; also while a close handshake is under way. */
  received(data: RawData, isBinary: boolean): void;
  ponged(): void;
  /** The peer broke the protocol or the connection; `closed` follows. */
  failed(error: Error): void;
  /** Told once, as the last thing. `code` is the peer's; 1005 for none, 1006 for no close frame (RFC 6455 §7.1.5). */
  closed(code: number): void;
}

interface Owned {
  readonly owner?: WebSocketOwner | undefined;
}

/** A websocket that shares its listeners with all others: closures of its own would cost memory of every connection. */
export class OwnedWebSocket extends WebSocket implements Owned {
  owner: WebSocketOwner | undefined = undefined;

  /** From now on the owner is told. To be called once. */
  belongTo(owner: WebSocketOwner): void {
    this.owner = owner;
    this.on('message', onMessage);
    this.on('pong', onPong);
    this.on('error', onError);
    this.on('close', onClose);
  }
}

function onMessage(this: WebSocket & Owned, data: RawData, isBinary: boolean): void {
  this.owner?.received(data, isBinary);
}

function onPong(this: WebSocket & Owned): void {
  this.owner?.ponged();
}

function onError(this: WebSocket & Owned, error: Error): void {
  this.owner?.failed(error);
}

function onClose(this: WebSocket & Owned, code: number): void {
  this.owner?.closed(code);
}
