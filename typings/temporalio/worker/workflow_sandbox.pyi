from temporalio.worker import WorkflowRunner

class SandboxedWorkflowRunner(WorkflowRunner):
    def __init__(self) -> None: ...
