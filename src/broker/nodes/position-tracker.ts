import type { DeliveryQueue, PublicationSink } from '../../hub/delivery-queue.ts';
import type { EncodedMessage, Hub } from '../../hub/hub.ts';
import type { Publication } from '../../protocol/publishing.ts';

/** Hands publications to the hub, and knows to which position all that came over the bus has been handed out. */
export class PositionTracker implements PublicationSink {
  readonly #hub: Hub;
  #position: string | undefined;
  /** Losses of the bus of which the queue may still hold something from before. */
  #pendingLosses = 0;

  constructor(hub: Hub) {
    this.#hub = hub;
  }

  /** Undefined while none is known. */
  get position(): string | undefined {
    return this.#pendingLosses > 0 ? undefined : this.#position;
  }

  publish(publication: Publication, message?: EncodedMessage): number {
    const deliveries = this.#hub.publish(publication, message);
    if (publication.position !== undefined) this.#position = publication.position;
    return deliveries;
  }

  /** Everything up to `position` has come over the bus: it holds when what waits in the queue has been handed out. */
  reach(position: string, queue: DeliveryQueue): void {
    queue.inTurn(() => {
      this.#position = position;
    });
  }

  /** Forgets the position, and those of everything that waits in the queue. */
  reset(queue: DeliveryQueue): void {
    this.#pendingLosses += 1;
    queue.inTurn(() => {
      this.#pendingLosses -= 1;
      this.#position = undefined;
    });
  }
}
