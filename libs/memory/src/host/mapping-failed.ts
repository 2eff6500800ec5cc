/** Something the host refused to do with memory. */
export class MappingFailed extends Error {
  override readonly name = 'MappingFailed';
}
