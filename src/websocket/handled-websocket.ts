import { type RawData, WebSocket } from 'ws';

/** Callbacks for the events of one websocket. */
export interface WebSocketHandler {
  /** A whole message arrived. Still called while a close handshake is under way. */
  onMessage(data: RawData, isBinary: boolean): void;
  onPong(): void;
  /** The peer broke the protocol, or the TCP connection failed. `onClose` follows. */
  onError(error: Error): void;
  /**
   * Called once, after everything else. `code` is the peer's: 1005 if its close frame had none, 1006 if no close frame
   * came (RFC 6455 §7.1.5).
   */
  onClose(code: number): void;
}

interface Handled {
  readonly handler?: WebSocketHandler | undefined;
}

/** A websocket whose listeners are shared functions: four closures per connection would cost memory. */
export class HandledWebSocket extends WebSocket implements Handled {
  handler: WebSocketHandler | undefined = undefined;

  /** Calls `handler` for every event from now on. Must be called only once. */
  handleWith(handler: WebSocketHandler): void {
    this.handler = handler;
    this.on('message', onMessage);
    this.on('pong', onPong);
    this.on('error', onError);
    this.on('close', onClose);
  }
}

function onMessage(this: WebSocket & Handled, data: RawData, isBinary: boolean): void {
  this.handler?.onMessage(data, isBinary);
}

function onPong(this: WebSocket & Handled): void {
  this.handler?.onPong();
}

function onError(this: WebSocket & Handled, error: Error): void {
  this.handler?.onError(error);
}

function onClose(this: WebSocket & Handled, code: number): void {
  this.handler?.onClose(code);
}
