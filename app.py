"""The web app: settings → knowledge base → FastAPI with its own routes and the Gradio page. Composition only.

Without accounts it serves one user at this machine's own address; with them, everyone behind a login (ui.door). The
page answers as soon as it is mounted; models load in a background thread, unfinished work goes on in a worker process.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kb.errors import KBError
from kb.knowledge_base import KnowledgeBase
from kb.service import Service
from kb.settings import Settings, load_settings
from ui.guard import check_tls, listen, may_be_single
from ui.welcome import welcome

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ui.adding import Adding

_WAITING = 400  # events that wait in Gradio's queue before it says that it is full
_STOP_S = 3.0  # how long running requests, then running work, may take to end
_KEEP_ALIVE_S = 75  # idle seconds of a connection; uvicorn's 5 may close it just when the next question is sent


def create_app(settings: Settings, kb: KnowledgeBase | None = None) -> FastAPI:
    """The whole app over the settings' home (opened for writing), or over an open `kb`. Closes it when it shuts down.

    Raises HomeError, HomeBusy, StoreError, IndexMismatch or UsageError.
    """
    kb = kb or KnowledgeBase.open(settings, write=True)
    uploads = _empty_folder(kb.store.home / ".uploads")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    os.environ["HF_HUB_OFFLINE"] = "1"

    import gradio as gr
    from fastapi import FastAPI

    from ui.adding import Adding
    from ui.gradio_door import narrow
    from ui.page import build_page, page_head
    from ui.surround import surround
    from ui.theme import STYLE, theme

    adding = Adding(kb, uploads)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        adding.start()
        yield
        _close(kb, adding, uploads)

    app = FastAPI(title="Vademecum", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    service = Service(kb)
    surround(app, service, adding)
    page = build_page(service, adding).queue(default_concurrency_limit=4, max_size=_WAITING)
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        server_name=settings.host,
        server_port=settings.port,
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=settings.max_file_mb << 20,
        blocked_paths=[str(kb.store.home / name) for name in ("catalog.sqlite", "blobs", "index", "models")],
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        theme=theme(),
        css_paths=STYLE,
        head=page_head(),
    )
    # Mounting leaves this unset, and Gradio then lets any event name any file of this machine as an "upload".
    page.has_launched = True
    narrow(app.routes[-1])
    return app


def main(settings: Settings) -> None:
    """Serve until Ctrl-C or SIGTERM. Raises KBError if it cannot start."""
    check_tls(settings)
    listener = listen(settings.host, settings.port)
    kb = KnowledgeBase.open(settings, write=True)
    first = None if may_be_single(settings) else Service(kb).accounts.first_admin()
    app = create_app(settings, kb)

    import uvicorn

    print(welcome(settings, listener.getsockname()[1], first and (first[0].name, first[1])), flush=True)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=int(_STOP_S),
        timeout_keep_alive=_KEEP_ALIVE_S,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxy),
        forwarded_allow_ips=settings.trusted_proxy or None,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):  # uvicorn stops in good order, then raises what stopped it
        uvicorn.Server(config).run(sockets=[listener])


def _empty_folder(folder: Path) -> Path:
    """A folder for uploads on the library's own disk, without what an earlier run left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    return folder


def _close(kb: KnowledgeBase, adding: Adding, uploads: Path) -> None:
    """Let the adding thread end at its next step; if it takes longer, leave now: everything acknowledged is on disk."""
    ended = adding.stop(_STOP_S)
    shutil.rmtree(uploads, ignore_errors=True)
    if not ended:
        sys.stdout.flush()
        os._exit(0)
    kb.close()


if __name__ == "__main__":
    try:
        main(load_settings())
    except KBError as error:
        print(f"vademecum: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
