// Written by `npm run client` from the OpenAPI document; edit the schemas of libs/contracts instead.
export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export type components = {
    schemas: {
        /** @description ObjectMeta is metadata that all persisted resources must have. */
        readonly "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": {
            /** @description Unique within a namespace and kind. */
            readonly name?: string;
            /** @description Prefix of a name the server makes up. */
            readonly generateName?: string;
            /** @description The namespace the object lives in. */
            readonly namespace?: string;
            /** @description Unique in time and space. */
            readonly uid?: string;
            /** @description Changes with every write; sent back, it guards against lost updates. */
            readonly resourceVersion?: string;
            /**
             * Format: int64
             * @description One higher with every change of the desired state.
             */
            readonly generation?: number;
            /**
             * Format: date-time
             * @description When the server created it.
             */
            readonly creationTimestamp?: string;
            /**
             * Format: date-time
             * @description When its deletion was asked for.
             */
            readonly deletionTimestamp?: string;
            /**
             * Format: int64
             * @description Always 0.
             */
            readonly deletionGracePeriodSeconds?: number;
            /** @description Keys and values to select by. */
            readonly labels?: {
                readonly [key: string]: string;
            };
            /** @description Keys and values that say more. */
            readonly annotations?: {
                readonly [key: string]: string;
            };
            /** @description What must be done before the object may go. */
            readonly finalizers?: readonly string[];
            /** @description Objects it depends on. */
            readonly ownerReferences?: readonly {
                /** @description Of the owner. */
                readonly apiVersion: string;
                /** @description Of the owner. */
                readonly kind: string;
                /** @description Of the owner. */
                readonly name: string;
                /** @description Of the owner. */
                readonly uid: string;
                readonly controller?: boolean;
                readonly blockOwnerDeletion?: boolean;
            }[];
            /** @description Who manages which field. Kept by the server; `[{}]` clears it. */
            readonly managedFields?: readonly components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry"][];
        };
        /** @description The fields that one manager manages. */
        readonly "io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry": {
            /** @description Who it is. */
            readonly manager?: string;
            /** @description Apply or Update. */
            readonly operation?: string;
            /** @description The version the fields are of. */
            readonly apiVersion?: string;
            /**
             * Format: date-time
             * @description When it changed last.
             */
            readonly time?: string;
            /** @description FieldsV1. */
            readonly fieldsType?: string;
            /** @description The set of fields, as a tree. */
            readonly fieldsV1?: Record<string, never>;
            /** @description The door it wrote through, if not the main one. */
            readonly subresource?: string;
        };
        readonly "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta": {
            /** @description Version of the list. */
            readonly resourceVersion?: string;
            /** @description Token of the next page. */
            readonly continue?: string;
            /** Format: int64 */
            readonly remainingItemCount?: number;
        };
        /** @description Status is a return value for calls that do not return other objects. */
        readonly "io.k8s.apimachinery.pkg.apis.meta.v1.Status": {
            readonly apiVersion?: string;
            readonly kind?: string;
            /** @description Success or Failure. */
            readonly status?: string;
            /** @description For people. */
            readonly message?: string;
            /** @description For programs. */
            readonly reason?: string;
            /** Format: int32 */
            readonly code?: number;
            readonly details?: Record<string, never>;
        };
        readonly "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions": {
            readonly apiVersion?: string;
            readonly kind?: string;
            /** Format: int64 */
            readonly gracePeriodSeconds?: number;
            /** @description Background, Foreground or Orphan. */
            readonly propagationPolicy?: string;
            readonly dryRun?: readonly string[];
            readonly preconditions?: {
                readonly uid?: string;
                readonly resourceVersion?: string;
            };
        };
        /** @description Namespace is a kind of v1. */
        readonly "io.k8s.api.core.v1.Namespace": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            /**
             * @description Standard object metadata.
             * @default {}
             */
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            /**
             * @default {
             *       "finalizers": [
             *         "kubernetes"
             *       ]
             *     }
             */
            readonly spec?: {
                /**
                 * @description What must be done before the namespace may go: "kubernetes" while there is something in it.
                 * @default [
                 *       "kubernetes"
                 *     ]
                 */
                readonly finalizers?: readonly string[];
            };
            /** @description What is observed. Written by the system. */
            readonly status?: {
                /** @enum {string} */
                readonly phase?: "Active" | "Terminating";
                readonly conditions?: readonly {
                    readonly type: string;
                    /** @enum {string} */
                    readonly status: "True" | "False" | "Unknown";
                    readonly reason: string;
                    /** @default  */
                    readonly message?: string;
                    readonly lastTransitionTime: string;
                    readonly observedGeneration?: number;
                }[];
            };
        };
        /** @description A list of Namespace. */
        readonly "io.k8s.api.core.v1.NamespaceList": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
            readonly items: readonly components["schemas"]["io.k8s.api.core.v1.Namespace"][];
        };
        /** @description Node is a kind of v1. */
        readonly "io.k8s.api.core.v1.Node": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            /**
             * @description Standard object metadata.
             * @default {}
             */
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            /** @default {} */
            readonly spec?: {
                /** @description No new machines are bound to it: cordoned. */
                readonly unschedulable?: boolean;
                /** @description What keeps machines away that do not tolerate it. */
                readonly taints?: readonly {
                    readonly key: string;
                    readonly value?: string;
                    /** @enum {string} */
                    readonly effect: "NoSchedule" | "PreferNoSchedule" | "NoExecute";
                    readonly timeAdded?: string;
                }[];
                /** @description Kept for Kubernetes; nothing reads it. */
                readonly podCIDR?: string;
                /** @description What the machine the node runs on is called by whoever provides it. */
                readonly providerID?: string;
            };
            /** @description What is observed. Written by the system. */
            readonly status?: {
                readonly capacity?: {
                    readonly [key: string]: string;
                };
                readonly allocatable?: {
                    readonly [key: string]: string;
                };
                readonly conditions?: readonly {
                    readonly type: string;
                    /** @enum {string} */
                    readonly status: "True" | "False" | "Unknown";
                    readonly reason: string;
                    /** @default  */
                    readonly message?: string;
                    readonly lastTransitionTime: string;
                    readonly observedGeneration?: number;
                    readonly lastHeartbeatTime?: string;
                }[];
                readonly addresses?: readonly {
                    readonly type: string;
                    readonly address: string;
                }[];
                readonly nodeInfo?: {
                    readonly architecture: string;
                    readonly bootID: string;
                    readonly containerRuntimeVersion: string;
                    readonly kernelVersion: string;
                    readonly kubeProxyVersion: string;
                    readonly kubeletVersion: string;
                    readonly machineID: string;
                    readonly operatingSystem: string;
                    readonly osImage: string;
                    readonly systemUUID: string;
                };
                readonly corral?: {
                    readonly dataPlaneUrl: string;
                    readonly v86Build: string;
                    /** @enum {string} */
                    readonly memoryMode: "Copy" | "MapOnly" | "Full";
                    readonly memoryModeReason?: string;
                    readonly machines?: number;
                    readonly bases?: {
                        readonly count: number;
                        readonly bytes: number;
                        readonly users: number;
                    };
                    readonly memory?: {
                        readonly budgetBytes: number;
                        readonly heldBytes: number;
                        readonly sharedBytes: number;
                        readonly compressedBytes: number;
                        readonly swappedBytes: number;
                        readonly faults: number;
                        readonly swapIns: number;
                        readonly swapOuts: number;
                    };
                    readonly images?: readonly string[];
                    readonly isEmptying?: boolean;
                    readonly snapshots?: readonly string[];
                };
            };
        };
        /** @description A list of Node. */
        readonly "io.k8s.api.core.v1.NodeList": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
            readonly items: readonly components["schemas"]["io.k8s.api.core.v1.Node"][];
        };
        /** @description Event is a kind of v1. */
        readonly "io.k8s.api.core.v1.Event": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            /**
             * @description Standard object metadata.
             * @default {}
             */
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            readonly involvedObject: {
                readonly kind?: string;
                readonly namespace?: string;
                readonly name?: string;
                readonly uid?: string;
                readonly apiVersion?: string;
                readonly resourceVersion?: string;
                readonly fieldPath?: string;
            };
            readonly reason?: string;
            readonly message?: string;
            /** @default Normal */
            readonly type?: string;
            readonly source?: {
                readonly component?: string;
                readonly host?: string;
            };
            readonly firstTimestamp?: string | null;
            readonly lastTimestamp?: string | null;
            readonly eventTime?: string | null;
            readonly count?: number;
            readonly action?: string;
            readonly related?: {
                readonly kind?: string;
                readonly namespace?: string;
                readonly name?: string;
                readonly uid?: string;
                readonly apiVersion?: string;
                readonly resourceVersion?: string;
                readonly fieldPath?: string;
            };
            readonly reportingComponent?: string;
            readonly reportingInstance?: string;
            readonly series?: {
                readonly count?: number;
                readonly lastObservedTime?: string | null;
            };
        };
        /** @description A list of Event. */
        readonly "io.k8s.api.core.v1.EventList": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
            readonly items: readonly components["schemas"]["io.k8s.api.core.v1.Event"][];
        };
        /** @description Lease is a kind of coordination.k8s.io/v1. */
        readonly "io.k8s.api.coordination.v1.Lease": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            /**
             * @description Standard object metadata.
             * @default {}
             */
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            /** @default {} */
            readonly spec?: {
                /** @description Who holds it. */
                readonly holderIdentity?: string;
                /** @description For how long after renewTime it is held. */
                readonly leaseDurationSeconds?: number;
                /** @description When its holder got it. */
                readonly acquireTime?: string;
                /** @description When its holder renewed it last. */
                readonly renewTime?: string;
                /** @description How often it went to another holder. */
                readonly leaseTransitions?: number;
            };
        };
        /** @description A list of Lease. */
        readonly "io.k8s.api.coordination.v1.LeaseList": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
            readonly items: readonly components["schemas"]["io.k8s.api.coordination.v1.Lease"][];
        };
        /** @description ServiceAccount is a kind of v1. */
        readonly "io.k8s.api.core.v1.ServiceAccount": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            /**
             * @description Standard object metadata.
             * @default {}
             */
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            /** @description Secrets it may use. Kept for Kubernetes; nothing reads it. */
            readonly secrets?: readonly {
                readonly kind?: string;
                readonly namespace?: string;
                readonly name?: string;
                readonly uid?: string;
                readonly apiVersion?: string;
                readonly resourceVersion?: string;
                readonly fieldPath?: string;
            }[];
            /** @description Kept for Kubernetes; nothing reads it. */
            readonly imagePullSecrets?: readonly {
                readonly name?: string;
            }[];
            /** @description Kept for Kubernetes; no token is ever put into a guest unasked. */
            readonly automountServiceAccountToken?: boolean;
        };
        /** @description A list of ServiceAccount. */
        readonly "io.k8s.api.core.v1.ServiceAccountList": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
            readonly items: readonly components["schemas"]["io.k8s.api.core.v1.ServiceAccount"][];
        };
        /** @description Secret is a kind of v1. */
        readonly "io.k8s.api.core.v1.Secret": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            /**
             * @description Standard object metadata.
             * @default {}
             */
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            /** @description Bytes by name, as base64. */
            readonly data?: {
                readonly [key: string]: string;
            };
            /** @description Text by name: merged into data when written, and never given back. */
            readonly stringData?: {
                readonly [key: string]: string;
            };
            /**
             * @description What the data is; some types ask for certain names. Cannot be changed.
             * @default Opaque
             */
            readonly type?: string;
            /** @description Once true, neither it nor the data can be changed. */
            readonly immutable?: boolean;
        };
        /** @description A list of Secret. */
        readonly "io.k8s.api.core.v1.SecretList": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
            readonly items: readonly components["schemas"]["io.k8s.api.core.v1.Secret"][];
        };
        /** @description APIKey is a kind of corral.dev/v1. */
        readonly "dev.corral.v1.APIKey": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            /**
             * @description Standard object metadata.
             * @default {}
             */
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            /** @default {} */
            readonly spec?: {
                /** @description What it is for. The only field that can be changed. */
                readonly description?: string;
                /** @description Whose rights it has: a service account of this namespace. By default those of who creates it. */
                readonly serviceAccountName?: string;
                /**
                 * @description What it may be used for at most.
                 * @default {
                 *       "verbs": [
                 *         "*"
                 *       ],
                 *       "resources": [
                 *         "*"
                 *       ]
                 *     }
                 */
                readonly scope?: {
                    /** @description Namespaces it works in; "*" is all of them, and what is in none. By default the namespace of the key. */
                    readonly namespaces?: readonly string[];
                    /**
                     * @description Verbs it works for, such as get, list, watch, create, update, patch, delete.
                     * @default [
                     *       "*"
                     *     ]
                     */
                    readonly verbs?: readonly string[];
                    /**
                     * @description Plurals it works for, such as virtualmachines, virtualmachines/exec or virtualmachines/*.
                     * @default [
                     *       "*"
                     *     ]
                     */
                    readonly resources?: readonly string[];
                };
                /**
                 * @description How long it works, from its creation.
                 * @default 7776000
                 */
                readonly expirationSeconds?: number;
                /** @description When it stops working. Written by the server. */
                readonly expiresAt?: string;
                /** @description Who it stands for, with the groups they had then. Written by the server. */
                readonly owner?: {
                    readonly username: string;
                    /** @default [] */
                    readonly groups?: readonly string[];
                    readonly uid?: string;
                };
                /** @description SHA-256 of the secret, which is kept nowhere. Written by the server. */
                readonly digest?: string;
            };
            /** @description What is observed. Written by the system. */
            readonly status?: {
                readonly token?: string;
                readonly lastUsedAt?: string;
            };
        };
        /** @description A list of APIKey. */
        readonly "dev.corral.v1.APIKeyList": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
            readonly items: readonly components["schemas"]["dev.corral.v1.APIKey"][];
        };
        /** @description ResourceQuota is a kind of v1. */
        readonly "io.k8s.api.core.v1.ResourceQuota": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            /**
             * @description Standard object metadata.
             * @default {}
             */
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            readonly spec?: {
                /** @description The most of each resource that the namespace may use: count/<resource>.<group>, pods, requests.memory, limits.memory, corral.dev/running-virtualmachines, corral.dev/snapshot-bytes. */
                readonly hard?: {
                    readonly [key: string]: string | number;
                };
                /** @description Not supported: a quota counts everything in its namespace. */
                readonly scopes?: readonly string[];
                /** @description Not supported: a quota counts everything in its namespace. */
                readonly scopeSelector?: {
                    readonly [key: string]: unknown;
                };
            };
            /** @description What is observed. Written by the system. */
            readonly status?: {
                /** @description The limits in force. */
                readonly hard?: {
                    readonly [key: string]: string | number;
                };
                /** @description What is used of them. */
                readonly used?: {
                    readonly [key: string]: string | number;
                };
            };
        };
        /** @description A list of ResourceQuota. */
        readonly "io.k8s.api.core.v1.ResourceQuotaList": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
            readonly items: readonly components["schemas"]["io.k8s.api.core.v1.ResourceQuota"][];
        };
        /** @description LimitRange is a kind of v1. */
        readonly "io.k8s.api.core.v1.LimitRange": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            /**
             * @description Standard object metadata.
             * @default {}
             */
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            readonly spec: {
                /** @description The limits, each for itself. */
                readonly limits: readonly {
                    /**
                     * @description What is limited. All three mean virtual machines.
                     * @enum {string}
                     */
                    readonly type: "VirtualMachine" | "Pod" | "Container";
                    /** @description memory: the most guest RAM a machine may have. */
                    readonly max?: {
                        readonly [key: string]: string | number;
                    };
                    /** @description memory: the least guest RAM and resident memory a machine may have. */
                    readonly min?: {
                        readonly [key: string]: string | number;
                    };
                    /** @description memory: guest RAM of machines from an image that say none. */
                    readonly default?: {
                        readonly [key: string]: string | number;
                    };
                    /** @description memory: resident memory of machines that say none. */
                    readonly defaultRequest?: {
                        readonly [key: string]: string | number;
                    };
                    /** @description memory: how many times its resident memory a machine’s guest RAM may be. */
                    readonly maxLimitRequestRatio?: {
                        readonly [key: string]: string | number;
                    };
                }[];
            };
        };
        /** @description A list of LimitRange. */
        readonly "io.k8s.api.core.v1.LimitRangeList": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
            readonly items: readonly components["schemas"]["io.k8s.api.core.v1.LimitRange"][];
        };
        /** @description Role is a kind of rbac.authorization.k8s.io/v1. */
        readonly "io.k8s.api.rbac.v1.Role": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            /**
             * @description Standard object metadata.
             * @default {}
             */
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            /** @default [] */
            readonly rules?: readonly {
                /** @description What may be done: get, list, watch, create, update, patch, delete, deletecollection, or "*" for everything. */
                readonly verbs: readonly string[];
                /** @description Groups of the resources; "" is the core group, "*" any. */
                readonly apiGroups?: readonly string[];
                /** @description Resources by their plural; a subresource is "virtualmachines/exec", "*\/status" that of every resource, "*" everything. */
                readonly resources?: readonly string[];
                /** @description Only objects with these names; empty: all. */
                readonly resourceNames?: readonly string[];
                /** @description Paths that are no resources; "*" at the end stands for any rest. Only in ClusterRoles. */
                readonly nonResourceURLs?: readonly string[];
            }[];
        };
        /** @description A list of Role. */
        readonly "io.k8s.api.rbac.v1.RoleList": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
            readonly items: readonly components["schemas"]["io.k8s.api.rbac.v1.Role"][];
        };
        /** @description RoleBinding is a kind of rbac.authorization.k8s.io/v1. */
        readonly "io.k8s.api.rbac.v1.RoleBinding": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            /**
             * @description Standard object metadata.
             * @default {}
             */
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            readonly subjects?: readonly {
                /** @description User, Group or ServiceAccount. */
                readonly kind: string;
                /** @description "" for ServiceAccount, rbac.authorization.k8s.io for User and Group. */
                readonly apiGroup?: string;
                readonly name: string;
                /** @description Of a ServiceAccount. */
                readonly namespace?: string;
            }[];
            readonly roleRef: {
                /** @default rbac.authorization.k8s.io */
                readonly apiGroup?: string;
                /** @description Role or ClusterRole. */
                readonly kind: string;
                readonly name: string;
            };
        };
        /** @description A list of RoleBinding. */
        readonly "io.k8s.api.rbac.v1.RoleBindingList": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
            readonly items: readonly components["schemas"]["io.k8s.api.rbac.v1.RoleBinding"][];
        };
        /** @description ClusterRole is a kind of rbac.authorization.k8s.io/v1. */
        readonly "io.k8s.api.rbac.v1.ClusterRole": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            /**
             * @description Standard object metadata.
             * @default {}
             */
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            /** @default [] */
            readonly rules?: readonly {
                /** @description What may be done: get, list, watch, create, update, patch, delete, deletecollection, or "*" for everything. */
                readonly verbs: readonly string[];
                /** @description Groups of the resources; "" is the core group, "*" any. */
                readonly apiGroups?: readonly string[];
                /** @description Resources by their plural; a subresource is "virtualmachines/exec", "*\/status" that of every resource, "*" everything. */
                readonly resources?: readonly string[];
                /** @description Only objects with these names; empty: all. */
                readonly resourceNames?: readonly string[];
                /** @description Paths that are no resources; "*" at the end stands for any rest. Only in ClusterRoles. */
                readonly nonResourceURLs?: readonly string[];
            }[];
            readonly aggregationRule?: {
                /** @description The rules of every ClusterRole that one of these selects are this role’s rules. */
                readonly clusterRoleSelectors?: readonly {
                    readonly matchLabels?: {
                        readonly [key: string]: string;
                    };
                    readonly matchExpressions?: readonly {
                        readonly key: string;
                        /** @enum {string} */
                        readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
                        readonly values?: readonly string[];
                    }[];
                }[];
            };
        };
        /** @description A list of ClusterRole. */
        readonly "io.k8s.api.rbac.v1.ClusterRoleList": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
            readonly items: readonly components["schemas"]["io.k8s.api.rbac.v1.ClusterRole"][];
        };
        /** @description ClusterRoleBinding is a kind of rbac.authorization.k8s.io/v1. */
        readonly "io.k8s.api.rbac.v1.ClusterRoleBinding": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            /**
             * @description Standard object metadata.
             * @default {}
             */
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            readonly subjects?: readonly {
                /** @description User, Group or ServiceAccount. */
                readonly kind: string;
                /** @description "" for ServiceAccount, rbac.authorization.k8s.io for User and Group. */
                readonly apiGroup?: string;
                readonly name: string;
                /** @description Of a ServiceAccount. */
                readonly namespace?: string;
            }[];
            readonly roleRef: {
                /** @default rbac.authorization.k8s.io */
                readonly apiGroup?: string;
                /** @description Role or ClusterRole. */
                readonly kind: string;
                readonly name: string;
            };
        };
        /** @description A list of ClusterRoleBinding. */
        readonly "io.k8s.api.rbac.v1.ClusterRoleBindingList": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
            readonly items: readonly components["schemas"]["io.k8s.api.rbac.v1.ClusterRoleBinding"][];
        };
        /** @description PriorityClass is a kind of scheduling.k8s.io/v1. */
        readonly "io.k8s.api.scheduling.v1.PriorityClass": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            /**
             * @description Standard object metadata.
             * @default {}
             */
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            /** @description The priority of machines of this class; higher goes first. Cannot be changed. */
            readonly value: number;
            /**
             * @description Whether machines that name no class are of this one. One class at most.
             * @default false
             */
            readonly globalDefault?: boolean;
            /** @description When to use the class. */
            readonly description?: string;
            /**
             * @description Whether machines of this class may take the place of others of lower priority. Cannot be changed.
             * @default PreemptLowerPriority
             * @enum {string}
             */
            readonly preemptionPolicy?: "PreemptLowerPriority" | "Never";
        };
        /** @description A list of PriorityClass. */
        readonly "io.k8s.api.scheduling.v1.PriorityClassList": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
            readonly items: readonly components["schemas"]["io.k8s.api.scheduling.v1.PriorityClass"][];
        };
        /** @description PodDisruptionBudget is a kind of policy/v1. */
        readonly "io.k8s.api.policy.v1.PodDisruptionBudget": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            /**
             * @description Standard object metadata.
             * @default {}
             */
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            /** @default {} */
            readonly spec?: {
                /** @description How many of the selected machines must stay Ready when one is moved: a number, or a percentage such as 50%. */
                readonly minAvailable?: number | string;
                /** @description How many of the selected machines may be not Ready at once; not together with minAvailable. */
                readonly maxUnavailable?: number | string;
                /** @description The machines it is about, by their labels; none when empty. */
                readonly selector?: {
                    readonly matchLabels?: {
                        readonly [key: string]: string;
                    };
                    readonly matchExpressions?: readonly {
                        readonly key: string;
                        /** @enum {string} */
                        readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
                        readonly values?: readonly string[];
                    }[];
                };
                /**
                 * @description Whether machines that are not Ready may be moved while the budget is used up.
                 * @enum {string}
                 */
                readonly unhealthyPodEvictionPolicy?: "IfHealthyBudget" | "AlwaysAllow";
            };
            /** @description What is observed. Written by the system. */
            readonly status?: {
                readonly observedGeneration?: number;
                readonly disruptedPods?: {
                    readonly [key: string]: string;
                };
                readonly disruptionsAllowed?: number;
                readonly currentHealthy?: number;
                readonly desiredHealthy?: number;
                readonly expectedPods?: number;
                readonly conditions?: readonly {
                    readonly type: string;
                    /** @enum {string} */
                    readonly status: "True" | "False" | "Unknown";
                    readonly reason: string;
                    /** @default  */
                    readonly message?: string;
                    readonly lastTransitionTime: string;
                    readonly observedGeneration?: number;
                }[];
            };
        };
        /** @description A list of PodDisruptionBudget. */
        readonly "io.k8s.api.policy.v1.PodDisruptionBudgetList": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
            readonly items: readonly components["schemas"]["io.k8s.api.policy.v1.PodDisruptionBudget"][];
        };
        /** @description VirtualMachine is a kind of corral.dev/v1. */
        readonly "dev.corral.v1.VirtualMachine": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            /**
             * @description Standard object metadata.
             * @default {}
             */
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            readonly spec: {
                /** @description Where the machine comes from: exactly one of image, snapshot, virtualMachine or pool. */
                readonly source: {
                    /** @description Name of a VirtualMachineImage to start from. */
                    readonly image?: string;
                    /** @description Name of a VirtualMachineSnapshot in this namespace to continue from. */
                    readonly snapshot?: string;
                    /** @description Name of a running VirtualMachine in this namespace to fork: the new machine goes on from the same moment, and the source runs on. */
                    readonly virtualMachine?: string;
                    /** @description Name of a VirtualMachinePool in this namespace to claim a warm machine of; where none is warm, the machine starts from what the pool’s template names. */
                    readonly pool?: string;
                };
                /** @description Guest RAM. Defaults to the image’s or the snapshot’s; at most 2047Mi. */
                readonly memory?: string;
                /** @description How much of the node’s memory the guest’s RAM may take, from 16Mi to memory: what is beyond, and has not been used for longest, is swapped out. Defaults to that of the image it is created from, else to memory. The node and the machine’s place on it count this. */
                readonly residentMemory?: string;
                /**
                 * @description How its process is run: small takes the least memory and starts fastest, compute is faster where a guest computes for long. Defaults to the image’s, else small. A change takes effect at the next start.
                 * @enum {string}
                 */
                readonly class?: "small" | "compute";
                /**
                 * @description What the machine should be doing.
                 * @default Running
                 * @enum {string}
                 */
                readonly powerState?: "Running" | "Paused" | "Stopped";
                /**
                 * @description When to start again after it ended.
                 * @default Always
                 * @enum {string}
                 */
                readonly restartPolicy?: "Always" | "OnFailure" | "Never";
                /**
                 * @description Golden resumes the image’s golden snapshot where one fits; Cold always boots from the BIOS.
                 * @default Golden
                 * @enum {string}
                 */
                readonly bootPolicy?: "Golden" | "Cold";
                /** @description When checkpoints are taken: snapshots the machine is restarted from when its node is lost. At least one of everySeconds and onIdle must be set. */
                readonly checkpointPolicy?: {
                    /** @description Take one so many seconds after the one before, at least 10; none while the machine rests and its last one still holds. */
                    readonly everySeconds?: number;
                    /** @description Take one whenever the machine has come to rest after it was used. */
                    readonly onIdle?: boolean;
                    /**
                     * @description How many to keep, from 1 to 100; older ones are deleted.
                     * @default 5
                     */
                    readonly keepLast?: number;
                    /** @description Delete those older than this. The one that the machine would be restarted from stays, whatever its age. */
                    readonly keepForSeconds?: number;
                };
                /** @description What becomes of the machine when nobody uses it. */
                readonly idlePolicy?: {
                    /** @description Hibernate it after so long without commands, files, typing or work of the guest: at least 10, or 0 for never. Defaults to the Namespace’s annotation corral.dev/hibernate-after-seconds; without it, never. */
                    readonly hibernateAfterSeconds?: number;
                };
                /**
                 * @description Labels a node must carry.
                 * @default {}
                 */
                readonly nodeSelector?: {
                    readonly [key: string]: string;
                };
                /** @description Taints of nodes that do not keep the machine away. */
                readonly tolerations?: readonly {
                    /** @description Key of the taints tolerated; empty with Exists tolerates every key. */
                    readonly key?: string;
                    /**
                     * @description Exists needs no value; Equal, the default, needs the taint’s.
                     * @enum {string}
                     */
                    readonly operator?: "Exists" | "Equal";
                    /** @description Value of the taints tolerated. */
                    readonly value?: string;
                    /**
                     * @description Effect of the taints tolerated; every effect when empty.
                     * @enum {string}
                     */
                    readonly effect?: "NoSchedule" | "PreferNoSchedule" | "NoExecute";
                    /** @description How long a NoExecute taint is tolerated; for ever when empty. */
                    readonly tolerationSeconds?: number;
                }[];
                /** @description Which nodes the machine needs or prefers. */
                readonly affinity?: {
                    /** @description Which nodes the machine needs or prefers. */
                    readonly nodeAffinity?: {
                        /** @description Only nodes that match are taken. */
                        readonly requiredDuringSchedulingIgnoredDuringExecution?: {
                            /** @description A node must match one of them. */
                            readonly nodeSelectorTerms: readonly {
                                /** @description Requirements on the labels of the node; all must hold. */
                                readonly matchExpressions?: readonly {
                                    /** @description A label, or in matchFields metadata.name. */
                                    readonly key: string;
                                    /**
                                     * @description How the value of the node relates to values.
                                     * @enum {string}
                                     */
                                    readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";
                                    /** @description One or more for In and NotIn, one integer for Gt and Lt, none otherwise. */
                                    readonly values?: readonly string[];
                                }[];
                                /** @description Requirements on metadata.name of the node; all must hold. */
                                readonly matchFields?: readonly {
                                    /** @description A label, or in matchFields metadata.name. */
                                    readonly key: string;
                                    /**
                                     * @description How the value of the node relates to values.
                                     * @enum {string}
                                     */
                                    readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";
                                    /** @description One or more for In and NotIn, one integer for Gt and Lt, none otherwise. */
                                    readonly values?: readonly string[];
                                }[];
                            }[];
                        };
                        /** @description Nodes that match are preferred. */
                        readonly preferredDuringSchedulingIgnoredDuringExecution?: readonly {
                            /** @description From 1 to 100: what a node that matches gains. */
                            readonly weight: number;
                            readonly preference: {
                                /** @description Requirements on the labels of the node; all must hold. */
                                readonly matchExpressions?: readonly {
                                    /** @description A label, or in matchFields metadata.name. */
                                    readonly key: string;
                                    /**
                                     * @description How the value of the node relates to values.
                                     * @enum {string}
                                     */
                                    readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";
                                    /** @description One or more for In and NotIn, one integer for Gt and Lt, none otherwise. */
                                    readonly values?: readonly string[];
                                }[];
                                /** @description Requirements on metadata.name of the node; all must hold. */
                                readonly matchFields?: readonly {
                                    /** @description A label, or in matchFields metadata.name. */
                                    readonly key: string;
                                    /**
                                     * @description How the value of the node relates to values.
                                     * @enum {string}
                                     */
                                    readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";
                                    /** @description One or more for In and NotIn, one integer for Gt and Lt, none otherwise. */
                                    readonly values?: readonly string[];
                                }[];
                            };
                        }[];
                    };
                };
                /** @description How machines are spread over domains such as zones. */
                readonly topologySpreadConstraints?: readonly {
                    /** @description How many more machines one domain may hold than the emptiest. */
                    readonly maxSkew: number;
                    /** @description The node label whose values are the domains. */
                    readonly topologyKey: string;
                    /**
                     * @description Whether the constraint is a rule or a preference.
                     * @enum {string}
                     */
                    readonly whenUnsatisfiable: "DoNotSchedule" | "ScheduleAnyway";
                    /** @description The machines of this namespace that are counted; none when empty. */
                    readonly labelSelector?: {
                        readonly matchLabels?: {
                            readonly [key: string]: string;
                        };
                        readonly matchExpressions?: readonly {
                            readonly key: string;
                            /** @enum {string} */
                            readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
                            readonly values?: readonly string[];
                        }[];
                    };
                }[];
                /** @description Who places the machine: default-scheduler, spread-scheduler or bin-pack-scheduler; another name leaves it to a scheduler of yours. */
                readonly schedulerName?: string;
                /** @description The PriorityClass whose value is the machine’s priority. */
                readonly priorityClassName?: string;
                /** @description Who is placed first, and who may take whose place. Filled in from the PriorityClass. */
                readonly priority?: number;
                /**
                 * @description Whether the machine may take the place of one of lower priority. Filled in from the PriorityClass.
                 * @enum {string}
                 */
                readonly preemptionPolicy?: "PreemptLowerPriority" | "Never";
                /** @description The node it is bound to. Written by the scheduler. */
                readonly nodeName?: string;
            };
            /** @description What is observed. Written by the system. */
            readonly status?: {
                /** @enum {string} */
                readonly phase?: "Pending" | "Scheduled" | "Starting" | "Running" | "Paused" | "Hibernated" | "Stopping" | "Stopped" | "Failed" | "Terminating";
                readonly nodeName?: string;
                readonly nominatedNodeName?: string;
                readonly incarnation?: number;
                readonly observedGeneration?: number;
                readonly conditions?: readonly {
                    readonly type: string;
                    /** @enum {string} */
                    readonly status: "True" | "False" | "Unknown";
                    readonly reason: string;
                    /** @default  */
                    readonly message?: string;
                    readonly lastTransitionTime: string;
                    readonly observedGeneration?: number;
                }[];
                readonly memoryMiB?: number;
                readonly residentBytes?: number;
                readonly memory?: {
                    /**
                     * @description How the node holds the machine’s RAM.
                     * @enum {string}
                     */
                    readonly mode: "Full" | "MapOnly" | "Copy";
                    /** @description Why it is not Full. */
                    readonly modeReason?: string;
                    /** @description How much of the node’s memory the RAM may take now; absent where nobody limits it. */
                    readonly budgetBytes?: number;
                    /** @description How much it takes: private pages, and what pages on their way out and compressed ones take. */
                    readonly heldBytes: number;
                    /** @description RAM that is the machine’s own and in place. */
                    readonly privateBytes: number;
                    /** @description RAM in place that is shared with other machines of the same origin. */
                    readonly sharedBytes: number;
                    /** @description RAM that is kept compressed, or about to be, in the machine’s process. */
                    readonly compressedBytes: number;
                    /** @description RAM that is in Redis or in the durable copy. */
                    readonly swappedBytes: number;
                    /** @description RAM that was never used, or holds only zeros, and takes nothing. */
                    readonly zeroBytes: number;
                    /**
                     * @description Off until the budget presses. Refused: the node cannot page this machine’s RAM.
                     * @enum {string}
                     */
                    readonly pager: "Off" | "On" | "Refused";
                    /** @description Why it is Refused. */
                    readonly pagerReason?: string;
                    /** @description Times the guest waited for a page. */
                    readonly faults: number;
                    /** @description Pages that came back, from wherever. */
                    readonly swapIns: number;
                    /** @description Pages that were taken out. */
                    readonly swapOuts: number;
                    /** @description Where pages came back from. */
                    readonly swapInsFrom: {
                        readonly staged: number;
                        readonly compressed: number;
                        readonly redis: number;
                        readonly durable: number;
                    };
                    /** @description How long the guest waited for pages that were out; upper bounds. */
                    readonly swapInMicroseconds?: {
                        readonly p50: number;
                        readonly p99: number;
                    };
                    /** @description What kept Redis from being used. */
                    readonly redis: {
                        readonly timeouts: number;
                        readonly misses: number;
                        readonly refusals: number;
                        readonly stale: number;
                    };
                };
                readonly v86Build?: string;
                /** @enum {string} */
                readonly class?: "small" | "compute";
                readonly startedFrom?: {
                    /** @enum {string} */
                    readonly type: "Boot" | "GoldenSnapshot" | "Snapshot" | "Fork" | "Suspended";
                    readonly name: string;
                    readonly digest?: string;
                };
                readonly imageParts?: {
                    readonly artifacts: {
                        readonly [key: string]: {
                            readonly key: string;
                            readonly sha256: string;
                            readonly sizeBytes: number;
                        };
                    };
                    readonly commandLine: string;
                    readonly guestAgent: boolean;
                    readonly acpi: boolean;
                };
                readonly startedAt?: string;
                readonly startMilliseconds?: number;
                readonly restartCount?: number;
                readonly nextStartTime?: string;
                readonly lastTermination?: {
                    /** @enum {string} */
                    readonly reason: "Stopped" | "GuestPoweredOff" | "GuestPanicked" | "ProcessExited" | "EmulatorFailed" | "StartFailed" | "NodeStopped" | "NodeLost" | "Moved" | "RolledBack" | "Hibernated" | "SwapLost" | "SuspendedStateLost" | "ContinuationLost" | "BaseLost";
                    /** @default  */
                    readonly message?: string;
                    readonly snapshot?: string;
                    readonly exitCode?: number;
                    readonly signal?: string;
                    readonly incarnation: number;
                    readonly finishedAt: string;
                };
                readonly lineage?: {
                    readonly snapshot?: string;
                    readonly digest?: string;
                    readonly layers: readonly string[];
                };
                readonly lastRollback?: {
                    readonly snapshot: string;
                    readonly incarnation: number;
                    readonly requestedAt: string;
                };
                readonly move?: {
                    /** @enum {string} */
                    readonly reason: "Evicted" | "Drained" | "Tainted" | "NodeStopping" | "Preempted";
                    readonly from: string;
                    readonly incarnation: number;
                    readonly requestedAt: string;
                    readonly snapshot?: string;
                };
                readonly continueFrom?: {
                    /** @enum {string} */
                    readonly reason: "Moved" | "SwapLost" | "SuspendedStateLost" | "ContinuationLost" | "NodeLost" | "RolledBack";
                    readonly snapshot: string;
                    readonly incarnation: number;
                };
                readonly hibernation?: {
                    /** @enum {string} */
                    readonly reason: "Idle" | "Requested";
                    readonly requestedAt: string;
                    readonly incarnation: number;
                    readonly since?: string;
                    readonly wakeRequestedAt?: string;
                    readonly snapshot?: string;
                    readonly storedAt?: string;
                };
                readonly idleSince?: string;
                readonly claim?: {
                    readonly pool: string;
                    readonly poolUid: string;
                    /** @enum {string} */
                    readonly type: "Warm" | "Cold" | "Label";
                    /** @description Where the machine comes from: exactly one of image, snapshot, virtualMachine or pool. */
                    readonly source: {
                        /** @description Name of a VirtualMachineImage to start from. */
                        readonly image?: string;
                        /** @description Name of a VirtualMachineSnapshot in this namespace to continue from. */
                        readonly snapshot?: string;
                        /** @description Name of a running VirtualMachine in this namespace to fork: the new machine goes on from the same moment, and the source runs on. */
                        readonly virtualMachine?: string;
                        /** @description Name of a VirtualMachinePool in this namespace to claim a warm machine of; where none is warm, the machine starts from what the pool’s template names. */
                        readonly pool?: string;
                    };
                    readonly virtualMachine?: {
                        readonly name: string;
                        readonly uid: string;
                    };
                };
                readonly fork?: {
                    readonly virtualMachine: string;
                    readonly uid: string;
                    readonly incarnation: number;
                    readonly snapshot: string;
                    readonly nodeName: string;
                    readonly v86Build?: string;
                    readonly memoryMiB?: number;
                };
            };
        };
        /** @description A list of VirtualMachine. */
        readonly "dev.corral.v1.VirtualMachineList": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
            readonly items: readonly components["schemas"]["dev.corral.v1.VirtualMachine"][];
        };
        /** @description VirtualMachineSnapshot is a kind of corral.dev/v1. */
        readonly "dev.corral.v1.VirtualMachineSnapshot": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            /**
             * @description Standard object metadata.
             * @default {}
             */
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            readonly spec: {
                /** @description The machine, in this namespace, to take a snapshot of. */
                readonly virtualMachine: string;
                /** @description The node that takes it. Written by the snapshot controller. */
                readonly nodeName?: string;
                /** @description Of the moment of a live fork: it stays on its node unless a machine elsewhere needs it, and is deleted once its forks run. Written by the server. */
                readonly fork?: {
                    /** @description Whether a machine on another node needs it. */
                    readonly upload: boolean;
                };
            };
            /** @description What is observed. Written by the system. */
            readonly status?: {
                readonly observedGeneration?: number;
                readonly conditions?: readonly {
                    readonly type: string;
                    /** @enum {string} */
                    readonly status: "True" | "False" | "Unknown";
                    readonly reason: string;
                    /** @default  */
                    readonly message?: string;
                    readonly lastTransitionTime: string;
                    readonly observedGeneration?: number;
                }[];
                readonly parent?: string;
                readonly layers?: readonly string[];
                readonly virtualMachineUid?: string;
                readonly incarnation?: number;
                readonly digest?: string;
                readonly manifestKey?: string;
                readonly sizeBytes?: number;
                readonly pauseMilliseconds?: number;
                readonly memoryMiB?: number;
                readonly v86Build?: string;
                readonly imageDigest?: string;
                readonly image?: string;
                readonly imageParts?: {
                    readonly artifacts: {
                        readonly [key: string]: {
                            readonly key: string;
                            readonly sha256: string;
                            readonly sizeBytes: number;
                        };
                    };
                    readonly commandLine: string;
                    readonly guestAgent: boolean;
                    readonly acpi: boolean;
                };
                readonly uploadedBytes?: number;
                readonly totalBytes?: number;
                readonly completedAt?: string;
            };
        };
        /** @description A list of VirtualMachineSnapshot. */
        readonly "dev.corral.v1.VirtualMachineSnapshotList": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
            readonly items: readonly components["schemas"]["dev.corral.v1.VirtualMachineSnapshot"][];
        };
        /** @description VirtualMachinePool is a kind of corral.dev/v1. */
        readonly "dev.corral.v1.VirtualMachinePool": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            /**
             * @description Standard object metadata.
             * @default {}
             */
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            readonly spec: {
                /** @description What the pool’s machines are made from. A change replaces those that wait. */
                readonly template: {
                    /** @description Labels and annotations of the pool’s machines. */
                    readonly metadata?: {
                        readonly labels?: {
                            readonly [key: string]: string;
                        };
                        readonly annotations?: {
                            readonly [key: string]: string;
                        };
                    };
                    /** @description What the pool’s machines are; source may be anything but a pool. */
                    readonly spec: {
                        /** @description Where the machine comes from: exactly one of image, snapshot, virtualMachine or pool. */
                        readonly source: {
                            /** @description Name of a VirtualMachineImage to start from. */
                            readonly image?: string;
                            /** @description Name of a VirtualMachineSnapshot in this namespace to continue from. */
                            readonly snapshot?: string;
                            /** @description Name of a running VirtualMachine in this namespace to fork: the new machine goes on from the same moment, and the source runs on. */
                            readonly virtualMachine?: string;
                            /** @description Name of a VirtualMachinePool in this namespace to claim a warm machine of; where none is warm, the machine starts from what the pool’s template names. */
                            readonly pool?: string;
                        };
                        /** @description Guest RAM. Defaults to the image’s or the snapshot’s; at most 2047Mi. */
                        readonly memory?: string;
                        /** @description How much of the node’s memory the guest’s RAM may take, from 16Mi to memory: what is beyond, and has not been used for longest, is swapped out. Defaults to that of the image it is created from, else to memory. The node and the machine’s place on it count this. */
                        readonly residentMemory?: string;
                        /**
                         * @description How its process is run: small takes the least memory and starts fastest, compute is faster where a guest computes for long. Defaults to the image’s, else small. A change takes effect at the next start.
                         * @enum {string}
                         */
                        readonly class?: "small" | "compute";
                        /**
                         * @description What the machine should be doing.
                         * @default Running
                         * @enum {string}
                         */
                        readonly powerState?: "Running" | "Paused" | "Stopped";
                        /**
                         * @description When to start again after it ended.
                         * @default Always
                         * @enum {string}
                         */
                        readonly restartPolicy?: "Always" | "OnFailure" | "Never";
                        /**
                         * @description Golden resumes the image’s golden snapshot where one fits; Cold always boots from the BIOS.
                         * @default Golden
                         * @enum {string}
                         */
                        readonly bootPolicy?: "Golden" | "Cold";
                        /** @description When checkpoints are taken: snapshots the machine is restarted from when its node is lost. At least one of everySeconds and onIdle must be set. */
                        readonly checkpointPolicy?: {
                            /** @description Take one so many seconds after the one before, at least 10; none while the machine rests and its last one still holds. */
                            readonly everySeconds?: number;
                            /** @description Take one whenever the machine has come to rest after it was used. */
                            readonly onIdle?: boolean;
                            /**
                             * @description How many to keep, from 1 to 100; older ones are deleted.
                             * @default 5
                             */
                            readonly keepLast?: number;
                            /** @description Delete those older than this. The one that the machine would be restarted from stays, whatever its age. */
                            readonly keepForSeconds?: number;
                        };
                        /** @description What becomes of the machine when nobody uses it. */
                        readonly idlePolicy?: {
                            /** @description Hibernate it after so long without commands, files, typing or work of the guest: at least 10, or 0 for never. Defaults to the Namespace’s annotation corral.dev/hibernate-after-seconds; without it, never. */
                            readonly hibernateAfterSeconds?: number;
                        };
                        /**
                         * @description Labels a node must carry.
                         * @default {}
                         */
                        readonly nodeSelector?: {
                            readonly [key: string]: string;
                        };
                        /** @description Taints of nodes that do not keep the machine away. */
                        readonly tolerations?: readonly {
                            /** @description Key of the taints tolerated; empty with Exists tolerates every key. */
                            readonly key?: string;
                            /**
                             * @description Exists needs no value; Equal, the default, needs the taint’s.
                             * @enum {string}
                             */
                            readonly operator?: "Exists" | "Equal";
                            /** @description Value of the taints tolerated. */
                            readonly value?: string;
                            /**
                             * @description Effect of the taints tolerated; every effect when empty.
                             * @enum {string}
                             */
                            readonly effect?: "NoSchedule" | "PreferNoSchedule" | "NoExecute";
                            /** @description How long a NoExecute taint is tolerated; for ever when empty. */
                            readonly tolerationSeconds?: number;
                        }[];
                        /** @description Which nodes the machine needs or prefers. */
                        readonly affinity?: {
                            /** @description Which nodes the machine needs or prefers. */
                            readonly nodeAffinity?: {
                                /** @description Only nodes that match are taken. */
                                readonly requiredDuringSchedulingIgnoredDuringExecution?: {
                                    /** @description A node must match one of them. */
                                    readonly nodeSelectorTerms: readonly {
                                        /** @description Requirements on the labels of the node; all must hold. */
                                        readonly matchExpressions?: readonly {
                                            /** @description A label, or in matchFields metadata.name. */
                                            readonly key: string;
                                            /**
                                             * @description How the value of the node relates to values.
                                             * @enum {string}
                                             */
                                            readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";
                                            /** @description One or more for In and NotIn, one integer for Gt and Lt, none otherwise. */
                                            readonly values?: readonly string[];
                                        }[];
                                        /** @description Requirements on metadata.name of the node; all must hold. */
                                        readonly matchFields?: readonly {
                                            /** @description A label, or in matchFields metadata.name. */
                                            readonly key: string;
                                            /**
                                             * @description How the value of the node relates to values.
                                             * @enum {string}
                                             */
                                            readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";
                                            /** @description One or more for In and NotIn, one integer for Gt and Lt, none otherwise. */
                                            readonly values?: readonly string[];
                                        }[];
                                    }[];
                                };
                                /** @description Nodes that match are preferred. */
                                readonly preferredDuringSchedulingIgnoredDuringExecution?: readonly {
                                    /** @description From 1 to 100: what a node that matches gains. */
                                    readonly weight: number;
                                    readonly preference: {
                                        /** @description Requirements on the labels of the node; all must hold. */
                                        readonly matchExpressions?: readonly {
                                            /** @description A label, or in matchFields metadata.name. */
                                            readonly key: string;
                                            /**
                                             * @description How the value of the node relates to values.
                                             * @enum {string}
                                             */
                                            readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";
                                            /** @description One or more for In and NotIn, one integer for Gt and Lt, none otherwise. */
                                            readonly values?: readonly string[];
                                        }[];
                                        /** @description Requirements on metadata.name of the node; all must hold. */
                                        readonly matchFields?: readonly {
                                            /** @description A label, or in matchFields metadata.name. */
                                            readonly key: string;
                                            /**
                                             * @description How the value of the node relates to values.
                                             * @enum {string}
                                             */
                                            readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";
                                            /** @description One or more for In and NotIn, one integer for Gt and Lt, none otherwise. */
                                            readonly values?: readonly string[];
                                        }[];
                                    };
                                }[];
                            };
                        };
                        /** @description How machines are spread over domains such as zones. */
                        readonly topologySpreadConstraints?: readonly {
                            /** @description How many more machines one domain may hold than the emptiest. */
                            readonly maxSkew: number;
                            /** @description The node label whose values are the domains. */
                            readonly topologyKey: string;
                            /**
                             * @description Whether the constraint is a rule or a preference.
                             * @enum {string}
                             */
                            readonly whenUnsatisfiable: "DoNotSchedule" | "ScheduleAnyway";
                            /** @description The machines of this namespace that are counted; none when empty. */
                            readonly labelSelector?: {
                                readonly matchLabels?: {
                                    readonly [key: string]: string;
                                };
                                readonly matchExpressions?: readonly {
                                    readonly key: string;
                                    /** @enum {string} */
                                    readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
                                    readonly values?: readonly string[];
                                }[];
                            };
                        }[];
                        /** @description Who places the machine: default-scheduler, spread-scheduler or bin-pack-scheduler; another name leaves it to a scheduler of yours. */
                        readonly schedulerName?: string;
                        /** @description The PriorityClass whose value is the machine’s priority. */
                        readonly priorityClassName?: string;
                        /** @description Who is placed first, and who may take whose place. Filled in from the PriorityClass. */
                        readonly priority?: number;
                        /**
                         * @description Whether the machine may take the place of one of lower priority. Filled in from the PriorityClass.
                         * @enum {string}
                         */
                        readonly preemptionPolicy?: "PreemptLowerPriority" | "Never";
                        /** @description The node it is bound to. Written by the scheduler. */
                        readonly nodeName?: string;
                    };
                };
                /** @description How many machines wait, started, to be claimed. */
                readonly warm: number;
                /** @description The most machines there may be of this pool at once, warm and claimed together. */
                readonly maximum: number;
                /** @description Which of its machines are still the pool’s: one whose labels are changed so that this no longer selects it is claimed. By default those with the label corral.dev/pool. */
                readonly selector?: {
                    readonly matchLabels?: {
                        readonly [key: string]: string;
                    };
                    readonly matchExpressions?: readonly {
                        readonly key: string;
                        /** @enum {string} */
                        readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
                        readonly values?: readonly string[];
                    }[];
                };
            };
            /** @description What is observed. Written by the system. */
            readonly status?: {
                readonly observedGeneration?: number;
                /** @description Machines that nobody has claimed, starting or Ready. */
                readonly warm?: number;
                /** @description Of those, the Ready ones: a claim is answered by one of them. */
                readonly ready?: number;
                /** @description Machines claimed from this pool that are still there. */
                readonly claimed?: number;
                /** @description All machines of this pool; written with every machine that is added, so it never exceeds spec.maximum. */
                readonly machines?: number;
                /** @description Claims, ever, for which no machine was warm. */
                readonly coldFallbacks?: number;
                readonly conditions?: readonly {
                    readonly type: string;
                    /** @enum {string} */
                    readonly status: "True" | "False" | "Unknown";
                    readonly reason: string;
                    /** @default  */
                    readonly message?: string;
                    readonly lastTransitionTime: string;
                    readonly observedGeneration?: number;
                }[];
            };
        };
        /** @description A list of VirtualMachinePool. */
        readonly "dev.corral.v1.VirtualMachinePoolList": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
            readonly items: readonly components["schemas"]["dev.corral.v1.VirtualMachinePool"][];
        };
        /** @description VirtualMachineImage is a kind of corral.dev/v1. */
        readonly "dev.corral.v1.VirtualMachineImage": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            /**
             * @description Standard object metadata.
             * @default {}
             */
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            readonly spec: {
                /** @description What it is, for people. */
                readonly description?: string;
                /** @description A Linux bzImage. */
                readonly kernel?: {
                    readonly url: string;
                    /** @description Refused when the bytes have another digest. */
                    readonly sha256?: string;
                };
                /** @description Its initial RAM disk. */
                readonly initrd?: {
                    readonly url: string;
                    /** @description Refused when the bytes have another digest. */
                    readonly sha256?: string;
                };
                /**
                 * @description Kernel command line.
                 * @default
                 */
                readonly commandLine?: string;
                /** @description A raw hard disk; may stand beside a kernel, whose root it then is. */
                readonly disk?: {
                    readonly url: string;
                    /** @description Refused when the bytes have another digest. */
                    readonly sha256?: string;
                };
                /** @description An ISO 9660 CD-ROM. */
                readonly cdrom?: {
                    readonly url: string;
                    /** @description Refused when the bytes have another digest. */
                    readonly sha256?: string;
                };
                /** @description A raw floppy, 160 KiB to 2.88 MiB. */
                readonly floppy?: {
                    readonly url: string;
                    /** @description Refused when the bytes have another digest. */
                    readonly sha256?: string;
                };
                /** @description A 32-bit Multiboot kernel. */
                readonly multiboot?: {
                    readonly url: string;
                    /** @description Refused when the bytes have another digest. */
                    readonly sha256?: string;
                };
                /**
                 * @description RAM of a machine that names none.
                 * @default 128Mi
                 */
                readonly memory?: string;
                /** @description Machines with less are refused. */
                readonly minimumMemory?: string;
                /** @description How much of the node’s memory the RAM of a machine that does not say may take, or all of its RAM where that is less. */
                readonly residentMemory?: string;
                /**
                 * @description Whether the guest runs Corral’s agent: exec and files work, and Ready means it answered.
                 * @default false
                 */
                readonly guestAgent?: boolean;
                /**
                 * @description Class of a machine that names none: small or compute.
                 * @enum {string}
                 */
                readonly class?: "small" | "compute";
                /**
                 * @description Whether the machine has ACPI. Tickless kernels idle cheaper with it.
                 * @default false
                 */
                readonly acpi?: boolean;
            };
            /** @description What is observed. Written by the system. */
            readonly status?: {
                readonly observedGeneration?: number;
                readonly conditions?: readonly {
                    readonly type: string;
                    /** @enum {string} */
                    readonly status: "True" | "False" | "Unknown";
                    readonly reason: string;
                    /** @default  */
                    readonly message?: string;
                    readonly lastTransitionTime: string;
                    readonly observedGeneration?: number;
                }[];
                readonly artifacts?: {
                    readonly [key: string]: {
                        readonly key: string;
                        readonly sha256: string;
                        readonly sizeBytes: number;
                    };
                };
                readonly digest?: string;
                readonly sizeBytes?: number;
                readonly goldenSnapshots?: readonly {
                    readonly memoryMiB: number;
                    readonly v86Build: string;
                    readonly digest: string;
                    readonly manifestKey: string;
                    readonly sizeBytes: number;
                }[];
            };
        };
        /** @description A list of VirtualMachineImage. */
        readonly "dev.corral.v1.VirtualMachineImageList": {
            /** @description APIVersion defines the versioned schema of this representation of an object. */
            readonly apiVersion?: string;
            /** @description Kind is the REST resource this object represents. */
            readonly kind?: string;
            readonly metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
            readonly items: readonly components["schemas"]["dev.corral.v1.VirtualMachineImage"][];
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
};
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
