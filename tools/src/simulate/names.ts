/** Names that sort as they count. */
export const nodeName = (index: number): string => `sim-${String(index).padStart(5, '0')}`;
export const machineName = (index: number): string => `vm-${String(index).padStart(6, '0')}`;
