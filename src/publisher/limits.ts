/** Requests under way at the same time. */
export const MAX_REQUESTS = 4;

/** Pairs of channel and message in a request: the server's limit, which is no setting. */
export const MAX_PAIRS = 1_000;

/** UTF-8 of a request's broadcasts. Base64 adds a third, the rest less than 500 bytes: bodies have 256 KiB. */
export const MAX_BYTES = 196_000;

/** A request with 100 broadcasts is full, however small they are. */
export const MIN_WEIGHT = 0.01;

/** A request may weigh 1; sums of such fractions are not exact. */
export const MAX_WEIGHT = 1.0005;

/** Calls looked at for a request. If so many are blocked, it would take too long to look at all of them each time. */
export const MAX_LOOKED_AT = 1_000;

/** How long an attempt may take. The server answers within 2 s; an answer that is lost never comes. */
export const ATTEMPT_MS = 10_000;

/** How old a request's first call may become before its last attempt. A server restarts in less. */
export const GIVE_UP_MS = 30_000;

/** Bounds of the random pause between two attempts. */
export const MIN_BACKOFF_MS = 200;
export const MAX_BACKOFF_MS = 5_000;

/** How long a publishing token lives: longer than the last attempt takes, whatever the pauses. */
export const TOKEN_SECONDS = 120;
