/** The parts of a key event that decide. */
interface ChordKey {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly altKey: boolean;
}

/**
 * Control and Alt, pressed and let go with nothing between, give the keyboard back from a guest. With any other key
 * they are a chord of the guest's, such as Ctrl Alt Del.
 */
export class ReleaseChord {
  #alone = false;

  down({ key, ctrlKey, altKey }: ChordKey): void {
    this.#alone = (key === 'Control' || key === 'Alt') && ctrlKey && altKey;
  }

  /** Whether this completes the chord. */
  up({ key }: Pick<ChordKey, 'key'>): boolean {
    const complete = this.#alone && (key === 'Control' || key === 'Alt');
    this.#alone = false;
    return complete;
  }
}
