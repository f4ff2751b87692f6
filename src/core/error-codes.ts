import type { Code } from './error-codes/code.ts';
import { givenCodes } from './error-codes/given.ts';
import { runningCodes } from './error-codes/running.ts';

/** Every way this program fails, once. The codes are stable: programs and runbooks may rely on them. */
export const errorCodes = { ...givenCodes, ...runningCodes } as const satisfies Record<string, Code>;

export type ErrorCode = keyof typeof errorCodes;

export const isErrorCode = (text: string): text is ErrorCode => Object.hasOwn(errorCodes, text);
