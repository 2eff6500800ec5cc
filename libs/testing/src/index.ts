/** What several packages' tests share. Product code never imports it. */
export { S3FaultProxy, type S3Fault, type S3Request } from './s3-faults.ts';
export { guestImages, type BuiltGuestImage, type GuestImages } from './guest-images.ts';
export { Deadline } from './deadline.ts';
export { TcpProxy } from './tcp-proxy.ts';
export { until, type UntilOptions } from './until.ts';
export { Kubectl, kubectlOfVersion, kubectlOnPath, obtainKubectl, picksKubectl, type KubectlResult, type KubectlTarget } from './kubectl.ts';
export { objectClientContract, type ObjectClientSubject } from './object-client.contract.ts';
export { keyQueueContract } from './key-queue.contract.ts';
export { count, flag, oneOf, programOptions, readOptions, someOf, text, type OptionValues, type ProgramOption, type ProgramOptions, type ReadOptions } from './program-options.ts';
