"""What can be asked: the metrics, is it alive, is it complete, what is it, what is it set to."""

import asyncio
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from exporter.garbage import let_go
from exporter.metrics.formats import negotiate
from exporter.model.clock import Clock
from exporter.model.reload import ReloadOutcome
from exporter.web import delivery, encoding, landing
from exporter.web.content import Pages, Source
from exporter.web.delivery import Limits

LANDING = "/"
METRICS = "/metrics"
HEALTHY = "/-/healthy"
READY = "/-/ready"
CONFIG = "/config"
RELOAD = "/-/reload"

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src '{landing.STYLE_HASH}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # aiohttp would tell its own version and Python's.
    "Server": "flyte-exporter",
}
"""Of every answer; the last one tells a running exporter from other servers."""
_ELSEWHERE = (
    f"Look at {LANDING} for an overview, {METRICS} for the metrics, "
    f"{HEALTHY} and {READY} for the health checks, {CONFIG} for the configuration.\n"
)
_STATUSES = {
    ReloadOutcome.DONE: HTTPStatus.OK,
    ReloadOutcome.REFUSED: HTTPStatus.BAD_REQUEST,
    ReloadOutcome.FAILED: HTTPStatus.INTERNAL_SERVER_ERROR,
    ReloadOutcome.STOPPING: HTTPStatus.SERVICE_UNAVAILABLE,
}


def application(*, source: Source, pages: Pages, clock: Clock, limits: Limits) -> web.Application:
    """Return the routes over *source* and *pages*, as aiohttp serves them."""

    async def metrics(request: web.Request) -> web.StreamResponse:
        return await _exposition(request, source)

    async def healthy(_: web.Request) -> web.StreamResponse:
        return _verdict("healthy", pages.unhealthy())

    async def ready(_: web.Request) -> web.StreamResponse:
        return _verdict("ready", pages.unready())

    async def overview(_: web.Request) -> web.StreamResponse:
        text = landing.render(
            version=pages.version,
            endpoint=pages.endpoint,
            unhealthy=pages.unhealthy(),
            unready=pages.unready(),
            turned_down=pages.turned_down(),
            targets=pages.targets(),
            now=clock.now(),
        )
        return web.Response(text=text, content_type="text/html")

    async def config(_: web.Request) -> web.StreamResponse:
        return web.Response(text=pages.configuration())

    async def reload(_: web.Request) -> web.StreamResponse:
        return await _reload(pages)

    large = frozenset({LANDING, METRICS})
    app = web.Application(middlewares=[delivery.within(limits, large), _explain])
    app.on_response_prepare.append(_add_headers)
    app.router.add_get(LANDING, overview)
    app.router.add_get(METRICS, metrics)
    app.router.add_get(HEALTHY, healthy)
    app.router.add_get(READY, ready)
    app.router.add_get(CONFIG, config)
    app.router.add_post(RELOAD, reload)
    return app


async def _exposition(request: web.Request, source: Source) -> web.StreamResponse:
    media = negotiate(request.headers.get(hdrs.ACCEPT))
    response = web.StreamResponse(
        headers={hdrs.CONTENT_TYPE: media.content_type, hdrs.VARY: "Accept, Accept-Encoding"}
    )
    document = source.snapshot(media)
    blocks = encoding.blocks(document)
    if encoding.accepts_gzip(request.headers.get(hdrs.ACCEPT_ENCODING)):
        response.headers[hdrs.CONTENT_ENCODING] = "gzip"
        blocks = encoding.gzipped(blocks)
    else:
        response.content_length = document.length
    await response.prepare(request)
    if request.method == hdrs.METH_HEAD:
        return response
    # Joining and compressing happen in a worker thread, one block at a time: the event loop goes
    # on polling meanwhile, and a slow client holds one block and not the document.
    while block := await asyncio.to_thread(next, blocks, b""):
        await response.write(block)
    return response


async def _reload(pages: Pages) -> web.Response:
    if not pages.reloads():
        return web.Response(
            status=HTTPStatus.FORBIDDEN,
            text="Reloading is turned off here (web.enable_reload). Send SIGHUP instead.\n",
        )
    outcome, text = await pages.reload()
    return web.Response(status=_STATUSES[outcome], text=f"{text}\n")


def _verdict(claim: str, objection: str) -> web.Response:
    if objection:
        return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text=f"{objection}\n")
    return web.Response(text=f"{claim}\n")


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a request for something else with where to look."""
    try:
        return await handler(request)
    except web.HTTPNotFound as refusal:
        let_go(refusal)
        return web.Response(
            status=HTTPStatus.NOT_FOUND, text=f"There is nothing here. {_ELSEWHERE}"
        )
    except web.HTTPMethodNotAllowed as refusal:
        let_go(refusal)
        methods = sorted(refusal.allowed_methods)
        return web.Response(
            status=HTTPStatus.METHOD_NOT_ALLOWED,
            headers={hdrs.ALLOW: ", ".join(methods)},
            text=f"Here, use {' or '.join(methods)}. {_ELSEWHERE}",
        )


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
