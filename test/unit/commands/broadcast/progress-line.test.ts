import { describe, expect, it, vi } from 'vitest';
import { ProgressLine } from '../../../../src/commands/broadcast/progress-line.ts';

describe('a progress line', () => {
  const startLine = (isTTY: boolean) => {
    let written = '';
    const write = (text: string) => {
      written += text;
    };
    return { line: new ProgressLine({ isTTY, write }), written: () => written };
  };

  it('is written over on a terminal, now and then, and shows the last text at the end', () => {
    const clock = vi.spyOn(performance, 'now').mockReturnValue(1_000);
    const { line, written } = startLine(true);
    for (const n of [1, 2, 3]) line.show(`${n} lines`);
    expect(written()).toBe('\r\u001b[K1 lines');
    clock.mockReturnValue(1_100);
    line.show('4 lines');
    line.show('5 lines');
    line.end();
    expect(written()).toBe('\r\u001b[K1 lines\r\u001b[K4 lines\r\u001b[K5 lines\n');
  });

  it('is nowhere else, and not at all if nothing was shown', () => {
    const elsewhere = startLine(false);
    elsewhere.line.show('1 lines');
    elsewhere.line.end();
    const empty = startLine(true);
    empty.line.end();
    expect([elsewhere.written(), empty.written()]).toEqual(['', '']);
  });
});
