import { Secret } from '../core/secret.ts';

const mask = '***';
const secretName = /(?:^|[._-])(?:password|passwd|secret|token)$/i;
const urlPassword = /(\w:\/\/[^\s:/@'"]*):[^\s@/'"]+@/g;
const keyPassword = /(\bpassword\s*=\s*)(?:\\?'(?:[^'\\]|\\.)*'|[^\s'"]+)/gi;

/** A copy that can be shown: besides what is a `Secret` by type, passwords inside connection strings and the values
 *  of settings whose name says that they are secret. */
export function masked(value: unknown, name = ''): unknown {
  if (value instanceof Secret) return mask;
  if (typeof value === 'string') return secretName.test(name) ? mask : maskText(value);
  if (Array.isArray(value)) return value.map((item) => masked(item));
  if (value instanceof Map) return masked(Object.fromEntries(value));
  if (typeof value !== 'object' || value === null) return value;
  const settingName = 'name' in value && typeof value.name === 'string' ? value.name : '';
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, masked(member, key === 'value' ? settingName : key)]),
  );
}

export const maskText = (text: string): string =>
  text.replaceAll(urlPassword, `$1:${mask}@`).replaceAll(keyPassword, `$1${mask}`);
