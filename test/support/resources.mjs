// Loaded into a program under test: at SIGUSR2 it notes what Node keeps open, by kind.
import { writeFileSync } from 'node:fs';

process.on('SIGUSR2', () => {
  const counts = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  writeFileSync(process.env.RESOURCES_FILE, JSON.stringify(counts));
});
