"""The rule of a run that counts: under `CI=true` a test that was skipped or expected to fail fails.

It changes the outcome of the whole run, never that of a test, and does nothing on a person's
machine, where a test may be skipped for want of a tool.
"""

import os

import pytest

SEPARATOR = "tests that did not prove anything (under CI=true that is a failure)"


class NothingUnproven:
    """A pytest plugin that collects what was skipped or xfailed and fails the run for it."""

    def __init__(self) -> None:
        self._unproven: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that was skipped as a whole."""
        self._note(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that was skipped or failed as expected."""
        self._note(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run that would pass although something in it was not proven."""
        if self._unproven and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """List what was not proven, and why."""
        if self._unproven:
            terminalreporter.section(SEPARATOR, red=True)
            for line in self._unproven:
                terminalreporter.write_line(line)

    def _note(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        if report.skipped:
            self._unproven.append(f"{report.nodeid}: {_reason(report)}")


def _reason(report: pytest.CollectReport | pytest.TestReport) -> str:
    expected = getattr(report, "wasxfail", None)
    if expected is not None:
        return f"expected to fail: {expected or 'no reason given'}"
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    return "skipped"


def register_under_ci(config: pytest.Config) -> None:
    """Put the rule into force where the run counts."""
    # Under xdist the workers only report; the controller decides.
    if os.environ.get("CI") == "true" and not hasattr(config, "workerinput"):
        config.pluginmanager.register(NothingUnproven(), "nothing-unproven")
