import { connect, type Socket } from 'node:net';
import { clientFrame } from '../../test/support/client-frame.ts';
import { handshake } from '../../test/support/handshake.ts';
import type { Random } from '../../test/support/random.ts';
import { FIN, joinRest, opcodes, readFrames, restOf } from './frame-reader.ts';
import { ReceivedNumbers } from './received-numbers.ts';
import type { Session } from './sessions.ts';

const PONG = clientFrame('', { first: FIN | opcodes.pong });
/** Engine.IO sends its heartbeat as a text message of one character, and expects this one in reply. */
const ENGINE_IO_PONG = clientFrame('3');

// All sockets share one buffer: each read is processed before the next one.
const readBuffer = Buffer.allocUnsafe(65_536);

export interface ReconnectingClientOptions {
  readonly session: Session;
  readonly token: string;
  /** The ports of the servers. Each connection goes to one of them. */
  readonly ports: readonly number[];
  /** The highest number of a message. */
  readonly maxNumber: number;
  readonly random: Random;
  /** When the server ends the connection or cannot be reached, the client comes back within this time. */
  readonly retryMs: number;
  /** Called for what no server may do. */
  readonly onFault: (error: Error) => void;
}

/** A client that connects again whenever its connection has ended. */
export class ReconnectingClient {
  isSubscribed = false;
  cuts = 0;
  /** Received, of all connections. */
  bytes = 0;
  /** How often the server said that it cannot give what was missed. */
  gaps = 0;
  readonly received: ReceivedNumbers;
  readonly #options: ReconnectingClientOptions;
  readonly #request: string;
  #socket: Socket | undefined;
  #isUpgraded = false;
  /** The start of a frame, or of the answer to the handshake, that is not complete yet. */
  #rest: Buffer | undefined;
  /** How many more bytes are received before the connection is cut; undefined when it is not to be. */
  #bytesLeft: number | undefined;
  /** How long the client stays away after the next end of its connection; undefined when that is not a cut. */
  #awayMs: number | undefined;
  #isAway = false;

  constructor(options: ReconnectingClientOptions) {
    this.#options = options;
    this.#request = handshake({ path: options.session.path });
    this.received = new ReceivedNumbers(options.maxNumber);
  }

  connect(): void {
    const { ports, random } = this.#options;
    this.#isUpgraded = false;
    this.#rest = undefined;
    const socket = connect({
      port: random.pick(ports),
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (length) => {
          // Bytes of a connection that was cut meanwhile are lost.
          if (socket === this.#socket) this.#readUntilCut(readBuffer.subarray(0, length));
          return true;
        },
      },
    });
    this.#socket = socket;
    // A refused or broken connection is one that has ended.
    socket.on('error', () => {});
    socket.on('close', () => {
      if (socket === this.#socket) this.#onEnd();
    });
    socket.write(this.#request);
  }

  /** Cuts the connection when so many more bytes were received, of this connection or the next one. */
  cut(afterBytes: number, awayMs: number): void {
    this.#bytesLeft = afterBytes;
    this.#awayMs = awayMs;
    if (afterBytes === 0 && this.#socket !== undefined) this.#end();
  }

  /** Cuts the connection until `comeBack`. */
  leave(): void {
    this.#isAway = true;
    if (this.#socket !== undefined) this.#end();
  }

  comeBack(afterMs: number): void {
    this.#isAway = false;
    setTimeout(() => this.connect(), afterMs);
  }

  /** Takes back a cut that has not happened yet. */
  cancelCut(): void {
    this.#bytesLeft = undefined;
  }

  #end(): void {
    this.#socket?.destroy();
    this.#onEnd();
  }

  #onEnd(): void {
    this.#socket = undefined;
    this.isSubscribed = false;
    if (this.#isAway) return;
    const isCut = this.#bytesLeft === 0;
    const { random, retryMs } = this.#options;
    const awayMs = isCut ? (this.#awayMs ?? 0) : random.fraction() * retryMs;
    if (isCut) {
      this.cuts++;
      this.#bytesLeft = undefined;
    }
    setTimeout(() => this.connect(), awayMs);
  }

  #readUntilCut(chunk: Buffer): void {
    if (this.#bytesLeft === undefined || chunk.length < this.#bytesLeft) {
      if (this.#bytesLeft !== undefined) this.#bytesLeft -= chunk.length;
      this.#read(chunk);
      return;
    }
    this.#read(chunk.subarray(0, this.#bytesLeft));
    this.#bytesLeft = 0;
    if (this.#socket !== undefined) this.#end();
  }

  #read(chunk: Buffer): void {
    this.bytes += chunk.length;
    const bytes = joinRest(this.#rest, chunk);
    try {
      const taken = this.#isUpgraded ? readFrames(bytes, this.#onFrame) : this.#readUpgrade(bytes);
      this.#rest = restOf(bytes, taken);
    } catch (error) {
      this.#options.onFault(error as Error);
    }
  }

  #readUpgrade(bytes: Buffer): number {
    const end = bytes.indexOf('\r\n\r\n');
    if (end === -1) return 0;
    // A server that is being stopped refuses further websockets.
    if (!bytes.toString('latin1', 0, end).startsWith('HTTP/1.1 101 ')) {
      this.#socket?.destroy();
      return bytes.length;
    }
    this.#isUpgraded = true;
    const { session, token } = this.#options;
    this.#socket?.write(Buffer.concat(session.open(token).map((text) => clientFrame(text))));
    return end + 4 + readFrames(bytes.subarray(end + 4), this.#onFrame);
  }

  readonly #onFrame = (opcode: number, bytes: Buffer, start: number, end: number): void => {
    switch (opcode) {
      case opcodes.text:
        if (end - start === 1) this.#socket?.write(ENGINE_IO_PONG);
        else this.#receive(bytes.toString('utf8', start, end));
        return;
      case opcodes.ping:
        this.#socket?.write(PONG);
        return;
      case opcodes.close:
        // The server hangs up. Its code and reason are returned (RFC 6455 §5.5.1).
        this.#socket?.end(clientFrame(bytes.subarray(start, end), { first: FIN | opcodes.close }));
        return;
      default:
        throw new Error(`A client received a frame of opcode ${opcode}`);
    }
  };

  #receive(text: string): void {
    const received = this.#options.session.receive(text);
    if (received.kind === 'message') {
      this.received.add(received.number);
    } else if (received.kind === 'subscribed') {
      this.isSubscribed = true;
      if (received.isGap === true) this.gaps++;
    }
  }
}
