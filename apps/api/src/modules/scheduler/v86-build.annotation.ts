/** On a VirtualMachine: only nodes with this v86 build may run it. Baking sets it, because a golden snapshot is tied to one. */
export const V86_BUILD_ANNOTATION = 'corral.dev/v86-build';
