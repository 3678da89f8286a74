# Vademecum. `make run` and `make test` set up all they need; both can be run again at any time.
.PHONY: help setup run load test testsetup lint types unit browser faults faults-full screenshots lock clean loop
.DEFAULT_GOAL := help

HOME_DIR ?= indexes
PORT ?= 7860
PY := .venv/bin/python
export PATH := $(CURDIR)/.venv/bin:$(PATH)

help:           ## what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1|/' | awk -F'|' '{printf "  make %-12s %s\n", $$1, $$2}'

setup:          ## install the pinned dependencies into .venv (training packages included)
	@scripts/install.sh train

run: setup      ## start the app on http://127.0.0.1:7860; loads the sample library on first start
	@[ -f "$(HOME_DIR)/catalog.sqlite" ] || { echo "first start: loading the sample library"; \
	  .venv/bin/vademecum add samples/documents --home "$(HOME_DIR)" --vectors-later; }
	@exec .venv/bin/vademecum serve --home "$(HOME_DIR)" --port $(PORT)

test: testsetup lint types unit   ## set up and run everything that CI runs by default

testsetup:
	@scripts/install.sh train,qlora,dev
	@scripts/install_chromium.sh

lint:           ## ruff and the import contracts
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@.venv/bin/lint-imports

types:          ## mypy, strict
	@$(PY) -m mypy

unit:           ## the default suite: first what needs no browser, on two cores, then the browser journeys
	@$(PY) -m pytest -m "not fault and not browser" -n 2 --dist loadfile
	@$(PY) -m pytest -m browser

browser:        ## only the browser journeys
	@$(PY) -m pytest -m browser

faults:         ## kills, full disks, corrupt files: the short form
	@$(PY) -m pytest -m fault

faults-full:    ## 200 kills, full disks, bombs and (NASTY=folder) files that are hard to read; prints their tables
	@$(PY) -m bench.faults
	@$(PY) -m bench.bombs $(if $(NASTY),--nasty "$(NASTY)")

load: setup     ## 200 askers at once, ten minutes for each engine, then a flood (SECONDS=180 for less)
	@$(PY) -m bench.load --seconds $(or $(SECONDS),600)

screenshots: testsetup   ## remake docs/images from the running app
	@$(PY) docs/make_screenshots.py

clean:          ## remove the virtual environment (never the data home)
	rm -rf .venv .mypy_cache .ruff_cache build *.egg-info

loop: setup     ## monographs to a promoted small model, or the reason why not (FILES=…; HOME_DIR=…)
	@.venv/bin/vademecum train loop $(or $(FILES),samples/documents/drug_monographs.json) --home "$(HOME_DIR)"

lock:           ## remake constraints.txt from a fresh environment
	@scripts/lock.sh
