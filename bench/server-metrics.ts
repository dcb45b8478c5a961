/** The value of a metric of this server. Throws when there is none by that name. */
export async function readMetric(port: number, name: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  const [, value] = new RegExp(`^${name} (\\S+)$`, 'm').exec(await response.text()) ?? [];
  if (value === undefined) throw new Error(`The server has no metric ${name}`);
  return Number(value);
}
