import { createMarker } from '../process/marker.ts';

const marker = createMarker(
  'compute_ctl.marker',
  'compute_ctl created this directory. It is wiped and created again at every start: keep nothing in it.',
);

/** Created in every data directory before anything else: only a directory with this file is ever wiped. */
export const { file: markerFile, isIn: isMarked, put: mark } = marker;
