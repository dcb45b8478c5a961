/** Which of the numbered messages a client has received. */
export class ReceivedNumbers {
  /** By number, from 1 on. */
  readonly #isReceived: Uint8Array;
  /** How many different numbers. */
  count = 0;
  doubled = 0;
  /** How often a message came after a later one. */
  disordered = 0;
  #last = 0;

  /** For the numbers from 1 to `max`. */
  constructor(max: number) {
    this.#isReceived = new Uint8Array(max + 1);
  }

  /** Throws for a number that was never sent. */
  add(number: number): void {
    if (number < 1 || number >= this.#isReceived.length) {
      throw new Error(`Message ${number} was never sent`);
    }
    if (this.#isReceived[number] === 1) {
      this.doubled++;
      return;
    }
    this.#isReceived[number] = 1;
    this.count++;
    if (number < this.#last) this.disordered++;
    else this.#last = number;
  }

  has(number: number): boolean {
    return this.#isReceived[number] === 1;
  }
}
