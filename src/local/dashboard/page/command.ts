let ending = '';

/** @param dirOption what the command lines end with */
export const nameDir = (dirOption: string): void => {
  ending = dirOption;
};

/** A command line to be typed, for the directory of this page. */
export const command = (words: string): string => `compute-local ${words}${ending}`;
