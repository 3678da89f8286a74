"""Everything of the web app but Gradio: guard and door around it, and the own routes beside it."""

from __future__ import annotations

from fastapi import FastAPI

from kb.page_image import PageImages
from kb.service import Service
from ui.account import account_routes
from ui.adding import Adding
from ui.api import api_routes
from ui.data_routes import data_routes
from ui.door import Door
from ui.guard import LOOPBACK, Guard, may_be_single, own_names
from ui.login import login_routes
from ui.openai_api import openai_routes
from ui.pages import page_routes
from ui.places import Places, Rate
from ui.refusals import refuse_in_order
from ui.users import user_routes


def surround(app: FastAPI, service: Service, adding: Adding) -> None:
    """Put them in place; what is added last is passed first."""
    settings = service.kb.settings
    rate = Rate(settings.api_per_minute)
    app.add_middleware(Door, accounts=service.accounts, single=may_be_single(settings), rate=rate)
    app.add_middleware(Guard, names=own_names(settings.host, settings.names), addresses=settings.host not in LOOPBACK)
    refuse_in_order(app)
    places = Places(settings.answers_at_once, settings.answers_waiting)
    for router in (
        login_routes(service.accounts),
        account_routes(service.accounts),
        user_routes(service.accounts),
        page_routes(service.kb.store, PageImages(service.kb.store)),
        data_routes(service, adding.folder),
        openai_routes(service, places),
        api_routes(service, adding, places),
    ):
        app.include_router(router)
