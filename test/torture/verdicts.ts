import { printLine } from '../support/progress.ts';

/** Prints and counts the verdicts of a run. */
export class Verdicts {
  passed = 0;
  failed = 0;

  /** `what` must hold for the run to pass. `faults` say why it does not. */
  add(isOk: boolean, what: string, faults: readonly string[] = []): void {
    if (isOk) this.passed += 1;
    else this.failed += 1;
    printLine(`${isOk ? 'ok  ' : 'FAIL'} ${what}`);
    for (const fault of faults) printLine(`       ${fault}`);
  }

  /** Prints the totals; true if all verdicts passed. */
  summarize(): boolean {
    printLine(`\n${this.passed} passed, ${this.failed} failed`);
    return this.failed === 0;
  }
}
