/** What the images of the machines are made for. */
export const defaultCgroup = 'neon-postgres';
export const defaultAddress = '0.0.0.0:10301';
export const defaultCgroupRoot = '/sys/fs/cgroup';
