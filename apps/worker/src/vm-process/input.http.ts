import { assertNever } from '@corral/base';
import type { InputRequest } from '@corral/contracts';
import { Problem } from '@corral/contracts/for-vm-process';
import { isKeyCode, keystrokeOf, type Emulator } from '@corral/v86-host';

/** Types, presses and moves as asked; resolves when the guest has been sent all of it. Throws a Problem for what a PC keyboard cannot type. */
export async function applyInput(emulator: Emulator, input: InputRequest): Promise<void> {
  switch (input.type) {
    case 'text': {
      const strange = Array.from(input.text.replaceAll('\r\n', '\n')).find((character) => !keystrokeOf(character));
      if (strange !== undefined) throw invalid('text', `a US keyboard cannot type ${JSON.stringify(strange)}`);
      return emulator.keyboard.type(input.text);
    }
    case 'keys': {
      const unknown = input.codes.find((code) => !isKeyCode(code));
      if (unknown !== undefined) throw invalid('codes', `${JSON.stringify(unknown)} is not a KeyboardEvent.code of a PC keyboard`);
      return emulator.keyboard.press(input.codes);
    }
    case 'mouse':
      return applyMouse(emulator, input);
    default:
      return assertNever(input, 'input');
  }
}

async function applyMouse({ pointer }: Emulator, { x, y, action, button, wheel }: Extract<InputRequest, { type: 'mouse' }>): Promise<void> {
  if ((x === undefined) !== (y === undefined)) throw invalid(x === undefined ? 'x' : 'y', 'x and y come together');
  if (x !== undefined && y !== undefined) pointer.moveTo(x, y);
  if (wheel !== undefined) pointer.wheel(wheel);
  if (action === 'click') await pointer.click(button);
  else if (action !== 'move') pointer.hold(button, action === 'down');
}

function invalid(field: string, message: string): Problem {
  return new Problem('object.invalid', `${field}: ${message}`, { details: { causes: [{ reason: 'FieldValueInvalid', field, message }] } });
}
