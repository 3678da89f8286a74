"""The web app: settings → knowledge base → FastAPI with its own routes and the Gradio page. Composition only.

One process, one user, this machine's own address: until accounts arrive, other addresses are refused. The page answers
as soon as it is mounted; models load and unfinished work goes on in a background thread.
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
from ui.door import Door
from ui.guard import Guard, listen, refuse_other_addresses

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ui.adding import Adding

_STOP_S = 3.0  # how long running requests, then running work, may take to end

_WELCOME = """
  Vademecum is ready:  {address}

  Try / 试一试:
    1. Ask / 提问:       What are the contraindications of metformin?  ·  硝苯地平有哪些不良反应？
    2. Check / 核对:     click a number [1] in the answer to see its page  ·  点击编号 [1] 查看原页
    3. Add / 添加:       your own PDFs, in the Library tab  ·  在“资料库”中添加您的 PDF

  Stop with Ctrl-C / 按 Ctrl-C 停止
"""


def create_app(settings: Settings, kb: KnowledgeBase | None = None) -> FastAPI:
    """The whole app over the settings' home (opened for writing), or over an open `kb`. Closes it when it shuts down.

    Raises HomeError, HomeBusy, StoreError, IndexMismatch or UsageError.
    """
    refuse_other_addresses(settings.host)
    kb = kb or KnowledgeBase.open(settings, write=True)
    uploads = _empty_folder(kb.store.home / ".uploads")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    os.environ["HF_HUB_OFFLINE"] = "1"

    import gradio as gr
    from fastapi import FastAPI

    from kb.page_image import PageImages
    from ui.adding import Adding
    from ui.page import build_page, page_head
    from ui.pages import page_routes
    from ui.theme import STYLE, theme

    adding = Adding(kb, uploads)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        adding.start()
        yield
        _close(kb, adding, uploads)

    app = FastAPI(title="Vademecum", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Door)
    app.add_middleware(Guard)
    app.include_router(page_routes(kb.store, PageImages(kb.store)))
    page = build_page(Service(kb), adding).queue(default_concurrency_limit=4)
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
    return app


def main(settings: Settings) -> None:
    """Serve until Ctrl-C or SIGTERM. Raises KBError if it cannot start."""
    refuse_other_addresses(settings.host)
    listener = listen(settings.host, settings.port)
    app = create_app(settings)

    import uvicorn

    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    print(_WELCOME.format(address=f"http://{host}:{listener.getsockname()[1]}"), flush=True)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=int(_STOP_S), server_header=False
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
