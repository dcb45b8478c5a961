import { subscribe, subscribedText } from './client-messages.ts';
import { ReturningClient } from './returning-client.ts';
import { type ServerFrame, TEXT, type WireClient } from './wire-client.ts';

const MESSAGE = /^\{"sequence":(\d+)\}$/;

/** A client that asks for no positions, beside those who do: it must see the bytes that it always saw. */
export class PlainClient extends ReturningClient {
  /** Messages that came twice to one connection. */
  doubled = 0;
  protected readonly lifeMs = [500, 4_000] as const;
  protected readonly absenceMs = [200, 200] as const;
  /** The confirmations that are still to come. */
  #expected: string[] = [];
  readonly #received = new Set<string>();

  protected begin(): void {
    this.#expected = this.channels.map(subscribedText);
    this.#received.clear();
  }

  protected authenticate(wire: WireClient): void {
    wire.send(subscribe(this.channels));
  }

  protected receive({ opcode, payload }: ServerFrame): void {
    if (opcode !== TEXT) return;
    const text = payload.toString();
    if (text === this.#expected[0]) this.#expected.shift();
    else if (!MESSAGE.test(text)) this.faults.push(`unexpected ${text}`);
    else if (this.#received.has(text)) this.doubled += 1;
    else this.#received.add(text);
  }
}
