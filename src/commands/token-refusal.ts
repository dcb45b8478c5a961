/** Why a server refused a token that was signed a moment ago, with what to look at. There is no other reason to. */
export function describeTokenRefusal(reason: string): string {
  return `${reason} (are JWT_SECRET and the clock the same as the server's?)`;
}
