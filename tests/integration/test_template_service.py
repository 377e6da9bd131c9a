"""The template service over a real broker, beside the real sample service."""

import pytest
from pydantic import TypeAdapter

from contracts.errors import Refused
from contracts.sample import RegisterSample, SampleDetails, WithdrawSamples
from contracts.template import (
    CheckManifest,
    GetManifestTemplate,
    ManifestInvalid,
    ManifestRow,
    ManifestUnreadable,
    ValidateManifest,
)
from contracts.types import FileRef, SampleType, SubmissionId, Zone, derive_id
from infra.bus.bus import Pending
from infra.ids import new_id
from infra.runtime import Blueprint
from services.sample import service as sample_service
from services.sample.settings import Settings as SampleSettings
from services.template import service
from services.template.settings import Settings
from tests.fixtures.laboratory import Laboratory, eventually, laboratory

__all__ = ["laboratory"]

GOOD = "Sample ID,Type,Storage\nS-1,RNA,-80\nS-2,Blood,4\n"
MIXED = f"{GOOD}S-3,Goo,4\n"
ROWS = TypeAdapter(list[ManifestRow])

TEMPLATE = Blueprint("template", service.build, Settings(http_port=0))
SAMPLE = Blueprint("sample", sample_service.build, SampleSettings(http_port=0))


@pytest.fixture
async def lab(laboratory: Laboratory) -> Laboratory:
    """Give a laboratory in which manifests are validated against the samples that there are."""
    await laboratory.start(SAMPLE)
    await laboratory.start(TEMPLATE)
    return laboratory


async def upload(lab: Laboratory, text: str, name: str = "manifest.csv") -> FileRef:
    """Keep a file as the edge does."""
    return await lab.bus.files.put(text.encode(), name=name, media_type="text/csv")


def order(file: FileRef, *, partial: bool = False, sheet: str | None = None) -> ValidateManifest:
    """Make a command for a submission of its own."""
    return ValidateManifest(
        submission_id=SubmissionId(new_id()), file=file, partial=partial, sheet=sheet
    )


async def test_a_valid_manifest_becomes_rows_in_the_file_store(lab: Laboratory) -> None:
    """The answer refers to them; each has the id that its submission and row number give."""
    command = order(await upload(lab, GOOD))

    validated = await lab.bus.ask(command)

    rows = ROWS.validate_json(await lab.bus.files.get(validated.rows))
    assert (validated.accepted, validated.rejected) == (2, 0)
    assert [(row.row, row.details.barcode) for row in rows] == [(2, "S-1"), (3, "S-2")]
    assert [row.sample_id for row in rows] == [derive_id(command.submission_id, n) for n in (2, 3)]
    assert [(zone.zone, zone.samples) for zone in validated.zones] == [
        (Zone.ULTRA_LOW, 1),
        (Zone.REFRIGERATED, 1),
    ]


async def test_the_same_submission_validated_again_gives_the_same_rows(lab: Laboratory) -> None:
    """Another attempt names the same samples, so that it can register them once."""
    command = order(await upload(lab, GOOD))

    first, second = await lab.bus.ask(command), await lab.bus.ask(command)

    assert first.rows.sha256 == second.rows.sha256


async def test_a_bad_row_refuses_the_manifest_and_partial_leaves_it_out(lab: Laboratory) -> None:
    """All or nothing, unless the submitter says otherwise."""
    file = await upload(lab, MIXED)

    with pytest.raises(Refused) as caught:
        await lab.bus.ask(order(file))
    validated = await lab.bus.ask(order(file, partial=True))

    refusal = caught.value.refusal
    assert isinstance(refusal, ManifestInvalid)
    assert [(p.row, p.column, p.rule) for p in refusal.problems] == [
        (4, "Type", "sample_type.unheard")
    ]
    assert (validated.accepted, validated.rejected) == (2, 1)
    assert validated.problems == refusal.problems


async def test_a_barcode_of_the_laboratory_is_refused_with_its_sample(lab: Laboratory) -> None:
    """What is registered already is named, whatever its case in the file."""
    details = SampleDetails(
        barcode="S-2", name="older", sample_type=SampleType.BLOOD, zone=Zone.REFRIGERATED
    )
    older = await lab.bus.ask(RegisterSample(details=details))

    report = await lab.bus.ask(CheckManifest(file=await upload(lab, GOOD.replace("S-2", "s-2"))))

    (problem,) = report.problems
    assert (report.accepted, report.rejected) == (1, 1)
    assert (problem.row, problem.rule, problem.value) == (3, "barcode.taken", "s-2")
    assert str(older.sample_id) in problem.problem


async def test_more_barcodes_than_one_question_holds_are_all_asked_about(lab: Laboratory) -> None:
    """A manifest of several thousand rows finds the taken barcode on its last one."""
    details = SampleDetails(
        barcode="M-2499", name="older", sample_type=SampleType.BLOOD, zone=Zone.REFRIGERATED
    )
    await lab.bus.ask(RegisterSample(details=details))
    rows = "".join(f"M-{n},Blood,4\n" for n in range(2_500))

    report = await lab.bus.ask(
        CheckManifest(file=await upload(lab, f"Sample ID,Type,Storage\n{rows}"))
    )

    assert (report.accepted, report.rejected) == (2_499, 1)
    assert report.problems[0].row == 2_501


async def test_a_dry_run_reports_and_keeps_nothing(lab: Laboratory) -> None:
    """Bad rows are no refusal of a question; a file that is no table is."""
    report = await lab.bus.ask(CheckManifest(file=await upload(lab, MIXED)))

    assert (report.file, report.accepted, report.rejected) == ("manifest.csv", 2, 1)
    with pytest.raises(Refused) as caught:
        await lab.bus.ask(CheckManifest(file=await upload(lab, "%PDF-1.7", "samples.csv")))
    assert isinstance(caught.value.refusal, ManifestUnreadable)


async def test_a_file_beyond_the_bound_is_refused_unread(lab: Laboratory) -> None:
    """The size that the reference states is enough to know."""
    file = await upload(lab, GOOD)
    large = FileRef(sha256=file.sha256, size_bytes=10**9, name="large.csv")

    with pytest.raises(Refused) as caught:
        await lab.bus.ask(order(large))

    assert isinstance(caught.value.refusal, ManifestUnreadable)
    assert caught.value.refusal.rule == "file.too_large"


async def test_a_sheet_that_is_not_there_is_refused(lab: Laboratory) -> None:
    """The sheet is part of the question."""
    with pytest.raises(Refused) as caught:
        await lab.bus.ask(order(await upload(lab, GOOD), sheet="Other"))

    assert isinstance(caught.value.refusal, ManifestUnreadable)
    assert caught.value.refusal.rule == "sheet.not_found"


async def test_without_the_sample_service_a_manifest_waits(laboratory: Laboratory) -> None:
    """No manifest is judged without its barcodes: the order is done when the service is back."""
    await laboratory.start(TEMPLATE)
    command = order(await upload(laboratory, GOOD))
    command_id = str(new_id())

    with pytest.raises(Pending):
        await laboratory.bus.ask(command, message_id=command_id, timeout_seconds=1)
    await laboratory.start(SAMPLE)

    outcome = await eventually(
        lambda: laboratory.bus.outcome(command_id), lambda outcome: outcome is not None
    )
    assert outcome is not None
    assert outcome.refusal is None


async def test_a_withdrawn_submission_s_barcodes_are_free_again(lab: Laboratory) -> None:
    """A manifest whose first submission was undone can be submitted once more."""
    command = order(await upload(lab, GOOD))
    validated = await lab.bus.ask(command)
    await lab.bus.ask(WithdrawSamples(submission_id=command.submission_id, rows=validated.rows))

    assert (await lab.bus.ask(order(command.file))).accepted == 2


async def test_the_template_can_be_asked_for(lab: Laboratory) -> None:
    """Every column, and how many rows a manifest may have."""
    template = await lab.bus.ask(GetManifestTemplate())

    assert template.rows_max == 10_000
    assert [c.name for c in template.columns if c.required] == ["sample_id", "sample_type"]
