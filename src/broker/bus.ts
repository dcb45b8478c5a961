/**
 * Carries texts between nodes, by topic, in one order that is the same for every node. A bus may be lost and come
 * back; what it carried meanwhile is lost too, and so is every subscription.
 */
export interface Bus {
  /** Starts; `listener` is told what happens from then on. */
  open(listener: BusListener): void;
  /** Resolves to the number of nodes that the text was handed to. Rejects when it is not known to have been sent. */
  publish(topic: string, text: string): Promise<number>;
  /** Resolves when all that is published from now on arrives; rejects when the bus was lost before that. */
  subscribe(topics: readonly string[]): Promise<void>;
  unsubscribe(topics: readonly string[]): void;
  /** Treats the bus as lost, because it does not carry what it took. As after any loss it comes `up` by itself. */
  reset(reason: string): void;
  close(): Promise<void>;
}

export interface BusListener {
  /** The bus is there, without any subscription. */
  up(): void;
  /** The bus is lost; it comes `up` again by itself. */
  down(): void;
  message(topic: string, text: string): void;
}
