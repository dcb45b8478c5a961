import { SLOW_READERS } from './attacks.ts';
import type { ControlReport } from './control-deliveries.ts';
import { type AttackResult, describeAttack, formatCount, MEBIBYTE, mebibytes } from './report.ts';
import type { Outcome } from './result-collector.ts';
import { Verdicts } from './verdicts.ts';

/** How far resident memory may rise above its level before the attack, for attacks on memory. */
const MAX_RSS_RISE: Readonly<Record<string, number>> = {
  // 200 slow readers with buffers of their own would take 800 MiB.
  [SLOW_READERS]: 256 * MEBIBYTE,
  'unread confirmations': 256 * MEBIBYTE,
  'pings, unread': 64 * MEBIBYTE,
  'tiny fragments': 64 * MEBIBYTE,
  'tiny chunks': 256 * MEBIBYTE,
  'unfinished bodies': 256 * MEBIBYTE,
  'finished bodies': 256 * MEBIBYTE,
  'hostile batches': 256 * MEBIBYTE,
  'distinct jtis': 128 * MEBIBYTE,
};
/** Far more than any attack should cost, and less than a user would bear. */
const MAX_CONTROL_DELAY_MS = 5_000;
const DELIVERY_FAULTS = ['lost', 'doubled', 'reordered'] as const;

/** What came of all attacks of a run. */
export class RunResults {
  readonly verdicts = new Verdicts();
  readonly attacks: AttackResult[] = [];
  readonly totals = {
    inputs: 0,
    distinctMessages: 0,
    handshakes: 0,
    published: 0,
    deliveries: 0,
    lost: 0,
    doubled: 0,
    reordered: 0,
  };

  addAttack(result: AttackResult): void {
    const faults = faultsOf(result);
    this.attacks.push(result);
    this.addOutcome(result.outcome);
    if (result.control !== undefined) this.addControlReport(result.control);
    this.verdicts.add(faults.length === 0, describeAttack(result), faults);
  }

  addOutcome({ inputs, distinctMessages, handshakes }: Outcome): void {
    this.totals.inputs += inputs;
    this.totals.distinctMessages += distinctMessages;
    this.totals.handshakes += handshakes;
  }

  addControlReport({ published, deliveries, lost, doubled, reordered }: ControlReport): void {
    this.totals.published += published;
    this.totals.deliveries += deliveries;
    this.totals.lost += lost;
    this.totals.doubled += doubled;
    this.totals.reordered += reordered;
  }
}

function faultsOf({ name, outcome, before, peakRss, control }: AttackResult): string[] {
  const faults = [...outcome.faults];
  if (outcome.conforming !== outcome.inputs) {
    faults.push(`${formatCount(outcome.inputs - outcome.conforming)} not conforming`);
  }
  if (control !== undefined) {
    faults.push(...control.faults);
    for (const fault of DELIVERY_FAULTS) {
      if (control[fault] > 0) faults.push(`control group: ${control[fault]} ${fault}`);
    }
    if (control.slowestMs > MAX_CONTROL_DELAY_MS) {
      faults.push(`a control message took more than ${MAX_CONTROL_DELAY_MS} ms`);
    }
  }
  const maxRise = MAX_RSS_RISE[name];
  if (maxRise !== undefined && peakRss !== undefined && peakRss - before.rss > maxRise) {
    faults.push(`resident memory rose by ${mebibytes(peakRss - before.rss)} MiB`);
  }
  return faults;
}
