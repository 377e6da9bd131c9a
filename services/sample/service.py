"""The sample service, put together: every message that it takes, every read model that it keeps."""

from functools import partial

from contracts import sample as contract
from infra.log.forwarder import Forwarder
from infra.runtime import Platform, Service, handle
from infra.store.queries import Reader
from services.sample import projections
from services.sample.handlers import queries, registration, submissions
from services.sample.handlers.logs import Samples
from services.sample.settings import Settings
from services.sample.store import SampleStore


def build(settings: Settings, platform: Platform) -> Service:
    """Put the service together; nothing runs yet."""
    samples = Samples.of(
        platform.log, claim_grace_seconds=settings.claim_grace_seconds, clock=platform.clock
    )
    files = platform.bus.files
    listed = projections.samples(platform)
    store = SampleStore(Reader(platform.store, listed))
    return Service(
        name="sample",
        settings=settings,
        platform=platform,
        handlers=(
            handle(contract.RegisterSample, partial(registration.on_register, samples=samples)),
            handle(
                contract.ChangeSampleStatus, partial(registration.on_change_status, samples=samples)
            ),
            handle(
                contract.RegisterSamples,
                partial(submissions.on_register_many, samples=samples, files=files),
            ),
            handle(
                contract.WithdrawSamples,
                partial(submissions.on_withdraw_many, samples=samples, files=files),
            ),
            handle(
                contract.MarkSamplesStored,
                partial(submissions.on_mark_stored, samples=samples, files=files),
            ),
            handle(contract.GetSample, partial(queries.on_get, samples=samples)),
            handle(
                contract.GetSampleByBarcode, partial(queries.on_get_by_barcode, samples=samples)
            ),
            handle(contract.GetSampleHistory, partial(queries.on_history, samples=samples)),
            handle(contract.ListSamples, partial(queries.on_list, store=store)),
            handle(contract.CheckBarcodes, partial(queries.on_check_barcodes, samples=samples)),
        ),
        projections=(listed,),
        forwarders=(Forwarder(platform.log, clock=platform.clock),),
    )
