import type { Values } from '../../config/options/entry.ts';
import type { computeLocal } from '../../config/options/compute-local.ts';
import type { LocalDir } from '../state.ts';
import { answered } from './answer.ts';
import * as doApply from './apply.ts';
import * as doConfig from './config.ts';
import * as doInit from './init.ts';
import * as doPlan from './plan.ts';

// The commands with their options; each resolves with the exit code.

type Options<N extends keyof typeof computeLocal.commands> = Values<
  (typeof computeLocal.commands)[N]['options']
>;

export const init = (dir: LocalDir, { file, json }: Options<'init'>): Promise<number> =>
  answered(json, (answer) => doInit.init(dir, file, answer));

export const plan = (dir: LocalDir, { file, json }: Options<'plan'>): Promise<number> =>
  answered(json, (answer) => doPlan.plan(dir, file, answer));

export const apply = (dir: LocalDir, { json, ...options }: Options<'apply'>): Promise<number> =>
  answered(json, (answer) => doApply.apply(dir, options, answer));

export const config = (
  dir: LocalDir,
  { json, ...options }: Options<'config'>,
  args: readonly string[],
): Promise<number> => answered(json, (answer) => doConfig.config(dir, options, args, answer));
