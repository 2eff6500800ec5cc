/**
 * Kubernetes's own messages, as far as requests hold them, by field number. Fields that are left out are skipped on reading.
 * Sources: k8s.io/apimachinery and k8s.io/api, generated.proto of each group.
 */
export const MESSAGES = `
  syntax = "proto2";

  message Unknown { optional TypeMeta typeMeta = 1; optional bytes raw = 2; optional string contentEncoding = 3; optional string contentType = 4; }
  message TypeMeta { optional string apiVersion = 1; optional string kind = 2; }

  message Time { optional int64 seconds = 1; optional int32 nanos = 2; }
  message MicroTime { optional int64 seconds = 1; optional int32 nanos = 2; }
  message Quantity { optional string string = 1; }
  message IntOrString { optional int64 type = 1; optional int32 intVal = 2; optional string strVal = 3; }
  message FieldsV1 { optional bytes Raw = 1; }

  message ObjectMeta {
    optional string name = 1; optional string generateName = 2; optional string namespace = 3; optional string uid = 5;
    optional string resourceVersion = 6; optional Time creationTimestamp = 8; optional Time deletionTimestamp = 9;
    optional int64 deletionGracePeriodSeconds = 10; map<string, string> labels = 11; map<string, string> annotations = 12;
    repeated OwnerReference ownerReferences = 13; repeated string finalizers = 14; repeated ManagedFieldsEntry managedFields = 17;
  }
  message OwnerReference {
    optional string kind = 1; optional string name = 3; optional string uid = 4; optional string apiVersion = 5; optional bool controller = 6; optional bool blockOwnerDeletion = 7;
  }
  message ManagedFieldsEntry {
    optional string manager = 1; optional string operation = 2; optional string apiVersion = 3; optional Time time = 4; optional string fieldsType = 6;
    optional FieldsV1 fieldsV1 = 7; optional string subresource = 8;
  }
  message LabelSelector { map<string, string> matchLabels = 1; repeated LabelSelectorRequirement matchExpressions = 2; }
  message LabelSelectorRequirement { optional string key = 1; optional string operator = 2; repeated string values = 3; }
  message DeleteOptions {
    optional int64 gracePeriodSeconds = 1; optional Preconditions preconditions = 2; optional bool orphanDependents = 3; optional string propagationPolicy = 4; repeated string dryRun = 5;
  }
  message Preconditions { optional string uid = 1; optional string resourceVersion = 2; }
  message ObjectReference {
    optional string kind = 1; optional string namespace = 2; optional string name = 3; optional string uid = 4; optional string apiVersion = 5;
    optional string resourceVersion = 6; optional string fieldPath = 7;
  }
  message LocalObjectReference { optional string name = 1; }

  message Namespace { optional ObjectMeta metadata = 1; optional NamespaceSpec spec = 2; }
  message NamespaceSpec { repeated string finalizers = 1; }
  message Secret { optional ObjectMeta metadata = 1; map<string, bytes> data = 2; optional string type = 3; map<string, string> stringData = 4; optional bool immutable = 5; }
  message ConfigMap { optional ObjectMeta metadata = 1; map<string, string> data = 2; map<string, bytes> binaryData = 3; optional bool immutable = 4; }
  message ServiceAccount {
    optional ObjectMeta metadata = 1; repeated ObjectReference secrets = 2; repeated LocalObjectReference imagePullSecrets = 3; optional bool automountServiceAccountToken = 4;
  }
  message ResourceQuota { optional ObjectMeta metadata = 1; optional ResourceQuotaSpec spec = 2; }
  message ResourceQuotaSpec { map<string, Quantity> hard = 1; repeated string scopes = 2; optional ScopeSelector scopeSelector = 3; }
  message ScopeSelector { repeated ScopedResourceSelectorRequirement matchExpressions = 1; }
  message ScopedResourceSelectorRequirement { optional string scopeName = 1; optional string operator = 2; repeated string values = 3; }
  message LimitRange { optional ObjectMeta metadata = 1; optional LimitRangeSpec spec = 2; }
  message LimitRangeSpec { repeated LimitRangeItem limits = 1; }
  message LimitRangeItem {
    optional string type = 1; map<string, Quantity> max = 2; map<string, Quantity> min = 3; map<string, Quantity> default = 4;
    map<string, Quantity> defaultRequest = 5; map<string, Quantity> maxLimitRequestRatio = 6;
  }
  message Node { optional ObjectMeta metadata = 1; optional NodeSpec spec = 2; }
  message NodeSpec { optional string podCIDR = 1; optional string providerID = 3; optional bool unschedulable = 4; repeated Taint taints = 5; }
  message Taint { optional string key = 1; optional string value = 2; optional string effect = 3; optional Time timeAdded = 4; }
  message Event {
    optional ObjectMeta metadata = 1; optional ObjectReference involvedObject = 2; optional string reason = 3; optional string message = 4; optional EventSource source = 5;
    optional Time firstTimestamp = 6; optional Time lastTimestamp = 7; optional int32 count = 8; optional string type = 9; optional MicroTime eventTime = 10;
    optional EventSeries series = 11; optional string action = 12; optional ObjectReference related = 13; optional string reportingComponent = 14; optional string reportingInstance = 15;
  }
  message EventSource { optional string component = 1; optional string host = 2; }
  message EventSeries { optional int32 count = 1; optional MicroTime lastObservedTime = 2; }
  message Lease { optional ObjectMeta metadata = 1; optional LeaseSpec spec = 2; }
  message LeaseSpec {
    optional string holderIdentity = 1; optional int32 leaseDurationSeconds = 2; optional MicroTime acquireTime = 3; optional MicroTime renewTime = 4; optional int32 leaseTransitions = 5;
  }

  message PolicyRule { repeated string verbs = 1; repeated string apiGroups = 2; repeated string resources = 3; repeated string resourceNames = 4; repeated string nonResourceURLs = 5; }
  message Role { optional ObjectMeta metadata = 1; repeated PolicyRule rules = 2; }
  message ClusterRole { optional ObjectMeta metadata = 1; repeated PolicyRule rules = 2; optional AggregationRule aggregationRule = 3; }
  message AggregationRule { repeated LabelSelector clusterRoleSelectors = 1; }
  message RoleBinding { optional ObjectMeta metadata = 1; repeated Subject subjects = 2; optional RoleRef roleRef = 3; }
  message ClusterRoleBinding { optional ObjectMeta metadata = 1; repeated Subject subjects = 2; optional RoleRef roleRef = 3; }
  message Subject { optional string kind = 1; optional string apiGroup = 2; optional string name = 3; optional string namespace = 4; }
  message RoleRef { optional string apiGroup = 1; optional string kind = 2; optional string name = 3; }

  message PriorityClass { optional ObjectMeta metadata = 1; optional int32 value = 2; optional bool globalDefault = 3; optional string description = 4; optional string preemptionPolicy = 5; }
  message PodDisruptionBudget { optional ObjectMeta metadata = 1; optional PodDisruptionBudgetSpec spec = 2; }
  message PodDisruptionBudgetSpec {
    optional IntOrString minAvailable = 1; optional LabelSelector selector = 2; optional IntOrString maxUnavailable = 3; optional string unhealthyPodEvictionPolicy = 4;
  }
  message Eviction { optional ObjectMeta metadata = 1; optional DeleteOptions deleteOptions = 2; }

  message ExtraValue { repeated string items = 1; }
  message ResourceAttributes {
    optional string namespace = 1; optional string verb = 2; optional string group = 3; optional string version = 4; optional string resource = 5; optional string subresource = 6;
    optional string name = 7; optional FieldSelectorAttributes fieldSelector = 8; optional LabelSelectorAttributes labelSelector = 9;
  }
  message FieldSelectorAttributes { optional string rawSelector = 1; repeated LabelSelectorRequirement requirements = 2; }
  message LabelSelectorAttributes { optional string rawSelector = 1; repeated LabelSelectorRequirement requirements = 2; }
  message NonResourceAttributes { optional string path = 1; optional string verb = 2; }
  message SelfSubjectAccessReview { optional ObjectMeta metadata = 1; optional SelfSubjectAccessReviewSpec spec = 2; }
  message SelfSubjectAccessReviewSpec { optional ResourceAttributes resourceAttributes = 1; optional NonResourceAttributes nonResourceAttributes = 2; }
  message SubjectAccessReview { optional ObjectMeta metadata = 1; optional SubjectAccessReviewSpec spec = 2; }
  message LocalSubjectAccessReview { optional ObjectMeta metadata = 1; optional SubjectAccessReviewSpec spec = 2; }
  message SubjectAccessReviewSpec {
    optional ResourceAttributes resourceAttributes = 1; optional NonResourceAttributes nonResourceAttributes = 2; optional string user = 3; repeated string groups = 4;
    map<string, ExtraValue> extra = 5; optional string uid = 6;
  }
  message SelfSubjectRulesReview { optional ObjectMeta metadata = 1; optional SelfSubjectRulesReviewSpec spec = 2; }
  message SelfSubjectRulesReviewSpec { optional string namespace = 1; }

  message SelfSubjectReview { optional ObjectMeta metadata = 1; }
  message TokenReview { optional ObjectMeta metadata = 1; optional TokenReviewSpec spec = 2; }
  message TokenReviewSpec { optional string token = 1; repeated string audiences = 2; }
  message TokenRequest { optional ObjectMeta metadata = 1; optional TokenRequestSpec spec = 2; }
  message TokenRequestSpec { repeated string audiences = 1; optional BoundObjectReference boundObjectRef = 3; optional int64 expirationSeconds = 4; }
  message BoundObjectReference { optional string kind = 1; optional string apiVersion = 2; optional string name = 3; optional string uid = 4; }
`;

/** The kinds whose bodies are read in protobuf; each is the message of its name. A kind more is a message above and its name here. */
export const READABLE_KINDS: Readonly<Record<string, readonly string[]>> = {
  v1: ['Namespace', 'Secret', 'ConfigMap', 'ServiceAccount', 'ResourceQuota', 'LimitRange', 'Node', 'Event', 'DeleteOptions'],
  'meta.k8s.io/v1': ['DeleteOptions'],
  'rbac.authorization.k8s.io/v1': ['Role', 'RoleBinding', 'ClusterRole', 'ClusterRoleBinding'],
  'policy/v1': ['PodDisruptionBudget', 'Eviction', 'DeleteOptions'],
  'scheduling.k8s.io/v1': ['PriorityClass'],
  'coordination.k8s.io/v1': ['Lease'],
  'authorization.k8s.io/v1': ['SelfSubjectAccessReview', 'SubjectAccessReview', 'LocalSubjectAccessReview', 'SelfSubjectRulesReview'],
  'authentication.k8s.io/v1': ['SelfSubjectReview', 'TokenReview', 'TokenRequest'],
};
