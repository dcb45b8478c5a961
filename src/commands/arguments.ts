import { type ParseArgsConfig, parseArgs } from 'node:util';
import { UsageError } from './command.ts';
import { didYouMean } from './did-you-mean.ts';

type Options = NonNullable<ParseArgsConfig['options']>;

/** An option as Node's parser finds it, known or not. */
interface OptionToken {
  /** The long name of a known option. */
  readonly name: string;
  /** As it was written. */
  readonly rawName: string;
  readonly value: string | undefined;
  /** True for a value in the same argument: `--url=…`. */
  readonly inlineValue: boolean | undefined;
}

/** Throws a `UsageError` when the arguments are not these options. */
export function parseOptions<const Known extends Options>(args: string[], options: Known) {
  checkOptions(args, options, '');
  const { values, positionals } = parseStrictly(args, options);
  const [first] = positionals;
  if (first !== undefined) throw new UsageError(`takes no arguments, but got "${first}"`);
  return values;
}

/** As `parseOptions`, for a command that takes arguments beside its options. */
export function parseArguments<const Known extends Options>(args: string[], options: Known) {
  checkOptions(args, options, ' (what begins with - and is no option goes behind --)');
  return parseStrictly(args, options);
}

function parseStrictly<const Known extends Options>(args: string[], options: Known) {
  return parseArgs({ args, options, allowPositionals: true, strict: true });
}

/** Throws for everything that the strict parser would refuse: its own sentences are for whoever calls it. */
function checkOptions(args: string[], options: Options, advice: string): void {
  const { tokens } = parseArgs({
    args,
    options,
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind === 'option') checkOption(token, options, advice);
  }
}

function checkOption(token: OptionToken, options: Options, advice: string): void {
  const { name, rawName, value, inlineValue } = token;
  const option = Object.hasOwn(options, name) ? options[name] : undefined;
  if (option === undefined) {
    const guess = didYouMean(name, [...Object.keys(options), 'help'], '--');
    throw new UsageError(`there is no option ${rawName}${guess || advice}`);
  }
  if (option.type === 'boolean') {
    if (value !== undefined) throw new UsageError(`${rawName} takes no value`);
    return;
  }
  if (value === undefined) throw new UsageError(`${rawName} needs a value`);
  if (!inlineValue && /^-./s.test(value)) {
    throw new UsageError(
      `${rawName} needs a value, and ${value} looks like an option; if it is the value, write --${name}=${value}`,
    );
  }
}
