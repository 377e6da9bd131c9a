"""The sample service, put together: every message that it takes, every read model that it keeps."""

from collections.abc import Sequence
from functools import partial

from contracts import sample as contract
from infra.bus.files import Files
from infra.bus.handler import Handler
from infra.log.forwarder import Forwarder
from infra.runtime import Platform, Service, handle
from infra.runtime.live import Live as LiveOf
from infra.store.queries import Reader
from services.sample import projections
from services.sample.handlers import (
    custody,
    disposal,
    genealogy,
    holds,
    imports,
    queries,
    registration,
    submissions,
)
from services.sample.handlers.logs import Samples
from services.sample.handlers.submissions import CountMax
from services.sample.settings import Live, Settings
from services.sample.store import SampleStore


def build(settings: Settings, platform: Platform) -> Service:
    """Put the service together; nothing runs yet."""
    samples = Samples.of(
        platform.log, claim_grace_seconds=settings.claim_grace_seconds, clock=platform.clock
    )
    live = LiveOf[Live].of(platform, settings, Live)
    listed = projections.samples(platform)
    store = SampleStore(Reader(platform.store, listed))
    return Service(
        name="sample",
        settings=settings,
        platform=platform,
        handlers=handlers(samples, store, platform.bus.files, lambda: live.current.max_batch_size),
        live=live,
        projections=(listed,),
        forwarders=(Forwarder(platform.log, clock=platform.clock),),
    )


def handlers(
    samples: Samples, store: SampleStore, files: Files, count_max: CountMax
) -> Sequence[Handler]:
    """List every message that the service takes, and who handles it."""
    return (
        handle(contract.RegisterSample, partial(registration.on_register, samples=samples)),
        handle(
            contract.ChangeSampleStatus, partial(registration.on_change_status, samples=samples)
        ),
        handle(
            contract.PrepareSubmission, partial(imports.on_prepare, samples=samples, files=files)
        ),
        handle(
            contract.ImportSamples,
            partial(imports.on_import, samples=samples, files=files, count_max=count_max),
        ),
        handle(
            contract.RegisterSamples,
            partial(
                submissions.on_register_many, samples=samples, files=files, count_max=count_max
            ),
        ),
        handle(
            contract.WithdrawSamples,
            partial(submissions.on_withdraw_many, samples=samples, files=files),
        ),
        handle(
            contract.MarkSamplesStored,
            partial(submissions.on_mark_stored, samples=samples, files=files),
        ),
        handle(
            contract.CheckMovable, partial(disposal.on_check_movable, samples=samples, files=files)
        ),
        handle(
            contract.CheckDisposable,
            partial(disposal.on_check_disposable, samples=samples, files=files),
        ),
        handle(
            contract.FindDescendants,
            partial(genealogy.on_find_descendants, samples=samples, files=files),
        ),
        handle(contract.DeriveSamples, partial(genealogy.on_derive, samples=samples)),
        handle(contract.PoolSamples, partial(genealogy.on_pool, samples=samples)),
        handle(contract.HoldSamples, partial(holds.on_hold, samples=samples, files=files)),
        handle(contract.ReleaseHold, partial(holds.on_release, samples=samples)),
        handle(contract.PlaceHold, partial(holds.on_place, samples=samples)),
        handle(contract.LiftHold, partial(holds.on_lift, samples=samples)),
        handle(contract.DiscardSamples, partial(disposal.on_discard, samples=samples, files=files)),
        handle(contract.RecordCustody, partial(custody.on_record, samples=samples, files=files)),
        handle(contract.MarkSamplesDisposed, partial(disposal.on_mark_disposed, samples=samples)),
        handle(contract.GetSample, partial(queries.on_get, samples=samples)),
        handle(contract.GetSampleByBarcode, partial(queries.on_get_by_barcode, samples=samples)),
        handle(contract.GetSampleHistory, partial(queries.on_history, samples=samples)),
        handle(contract.GetCustody, partial(queries.on_custody, samples=samples)),
        handle(contract.ListSamples, partial(queries.on_list, store=store)),
        handle(contract.CheckBarcodes, partial(queries.on_check_barcodes, samples=samples)),
    )
