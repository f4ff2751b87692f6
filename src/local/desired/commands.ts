import type { Values } from '../../config/options/entry.ts';
import type { computeLocal } from '../../config/options/compute-local.ts';
import type { LocalDir } from '../state.ts';
import { answerOf } from './answer.ts';
import * as doApply from './apply.ts';
import * as doConfig from './config.ts';
import * as doInit from './init.ts';
import * as doPassword from './password.ts';
import * as doPlan from './plan.ts';

// The commands with their options; each resolves with the exit code.

type Options<N extends keyof typeof computeLocal.commands> = Values<
  (typeof computeLocal.commands)[N]['options']
>;

export const init = (dir: LocalDir, { file, json }: Options<'init'>): Promise<number> =>
  doInit.init(dir, file, answerOf(json));

export const plan = (dir: LocalDir, { file, json }: Options<'plan'>): Promise<number> =>
  doPlan.plan(dir, file, answerOf(json));

export const apply = (dir: LocalDir, { json, ...options }: Options<'apply'>): Promise<number> =>
  doApply.apply(dir, options, answerOf(json));

export const config = (
  dir: LocalDir,
  { json, ...options }: Options<'config'>,
  args: readonly string[],
): Promise<number> => doConfig.config(dir, options, args, answerOf(json));

export const password = (
  dir: LocalDir,
  { json }: Options<'password'>,
  [role = '']: readonly string[],
): Promise<number> => doPassword.password(dir, role, answerOf(json));
