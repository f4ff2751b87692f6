import type { FrameLimits } from '../pg/server-frames.ts';

/** Bounds of what a safekeeper sends, and a pageserver that is asked for a lease: one short row. */
export const answerLimits: FrameLimits = {
  loginBytes: 65_536,
  messageBytes: 65_536,
  answerBytes: 1024 * 1024,
};

/** The same for a pageserver that sends a base backup. Its pieces are passed on as they arrive, and not kept. */
export const backupLimits: FrameLimits = { ...answerLimits, messageBytes: 16 * 1024 * 1024 };
