"""
Which error codes are Flyte's own: a closed set, in which an outage of the platform speaks.

Codes that user code raises have no end, and those of flytekit for exceptions of the user
(`USER:ValueError`) are among them. `OutOf<resource>`, with which kubelet turns a pod away, is
open-ended, too, as a resource may have any name: others than those listed count among the user's.
"""

_KUBERNETES = """
    ContainerCannotRun ContainerStatusUnknown CrashLoopBackOff CreateContainerConfigError
    CreateContainerError CreatePodSandboxError DeadlineExceeded ErrImageNeverPull Error Evicted
    ImagePullBackOff Interrupted InvalidImageName NodeAffinity NodeLost NodeShutdown OOMKilled
    OutOfamd.com/gpu OutOfcpu OutOfephemeral-storage OutOfmemory OutOfnvidia.com/gpu OutOfpods
    PodPendingTimeout Preempting PrimaryContainerMissing PrimaryContainerNotFound
    ResourceDeletedExternally RunContainerError Shutdown StartError Terminated TopologyAffinityError
    UnexpectedAdmissionError UnexpectedObjectDeletion
"""
"""
What became of a pod, or of a container of it.

Source: flyteplugins `flytek8s/pod_helper.go`, and the reasons of kubelet, which it passes on.
"""

_PLUGINS = """
    AutoRefreshCacheFailed BackOffError BadTaskDefinition BadTaskFormat BadTaskSpecification
    CorruptedPluginState DownstreamSystemError EntityTooLarge ErrorFileBadFormat ErrorFileNotFound
    MetadataAccessFailed PluginInitializationFailed ResourceManagerFailure RuntimeFailure
    SystemError TaskFailedUnknownError TaskFailedWithError
"""
"""
What became of a task.

Source: flyteplugins `tasks/errors/errors.go`, `ioutils/remote_file_output_reader.go`.
"""

_PROPELLER = """
    BadSpecificationError BindingResolutionError BindingResolutionFailure CatalogCallFailed
    CausedByError DownstreamNodeNotFound DynamicNodeFailing DynamicWorkflowBuildFailed
    DynamicWorkflowOutputsNotFound ErrorRecordingError EventRecordingFailed ExecutionNotFound
    FailureNodeError FailureNodeInputResolvingError GetTaskIDFailure IDLNotFoundErr
    IllegalStateError InitializationError InputsNotFoundError InternalError InvalidArrayLength
    InvalidPrimitiveType LaunchPlanExecutionFailed LiteralOffloadingDisabled
    LiteralOffloadingNotSupported MalformedDynamicWorkflow MetadataPrefixCreationFailure
    NoBranchTakenError NodeAborted NodeFailed NotYetImplementedError OffloadedInputsReadFailure
    OutputSizeExceeded OutputsNotFound OutputsNotFoundError OutputsNotGenerated
    PromiseAttributeResolveError RemoteChildWorkflowExecutionFailed RetriesExhausted
    RuntimeExecutionError StorageError SubWorkflowExecutionFailed SubWorkflowExecutionFailing
    SubworkflowNodeFailing TimedOut Timeout TimeoutExpired TooManyPluginPhaseVersions Unknown
    UnknownError UnsupportedTaskType UserProvidedError WorkflowTooLarge WriteOutputsFailed
"""
"""
What became of a node or a workflow.

Source: flytepropeller `controller/nodes/errors/codes.go`, `controller/workflow/errors/codes.go`,
and whatever else stands as the code of an error in `controller/`.
"""

_ADMIN = """
    Aborted AlreadyExists Canceled DataLoss DeadlineExceeded FailedPrecondition Internal
    InvalidArgument NotFound OutOfRange PermissionDenied ResourceExhausted Unauthenticated
    Unavailable Unimplemented Unknown
"""
"""
What the launch of an execution failed with.

Source: flyteadmin `transformers/execution.go`, which has the name of the gRPC code.
"""

_FLYTEKIT = """
    SYSTEM SYSTEM:AgentNotFound SYSTEM:AssertionError SYSTEM:ConnectorNotFound
    SYSTEM:DownloadDataError SYSTEM:NotImplemented SYSTEM:Unavailable SYSTEM:Unknown
    SYSTEM:UnloadableCode SYSTEM:UploadDataError UNKNOWN_OUTPUT
"""
"""
What a task did not get to, or from, its user's code.

Source: flytekit `exceptions/system.py`, `bin/entrypoint.py`.
"""

PLATFORM_CODES = frozenset(
    {
        *_KUBERNETES.split(),
        *_PLUGINS.split(),
        *_PROPELLER.split(),
        *_ADMIN.split(),
        *_FLYTEKIT.split(),
        "Task Aborted",
        "Workflow abort failed",
    }
)
"""As `model.failures.normal` returns them."""
